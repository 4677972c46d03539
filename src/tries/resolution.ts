/** Resolution by halves: the patterns at even and at odd places are solved apart, with the probe, the beams and the positions that all of them gave. */
import type { SolverOptions } from '../config/schemas/solver.js';
import { isPtychoError } from '../core/errors.js';
import { correlateHalves, type HalfSetCorrelation, LEAST_HALF } from '../evaluation/halves.js';
import type { KeptState } from '../solvers/run.js';
import { imageOf, type SolvedImage } from '../solvers/run.js';
import type { ScanToSolve } from '../solvers/scan.js';
import { scansOf } from '../solvers/together/scansOf.js';
import type { OpenLine } from './line.js';
import { SEEKING, SETTLING } from './search.js';

/** Epochs with long and with short steps; an object alone, whose probe is known, needs few. */
const [LONG, SHORT] = [6, 4];
/** A probe that never changes. */
const NEVER = 2 ** 30;
const FIXED = { probe_start: NEVER, rescale_probe: false };

type Kept = Pick<KeptState, 'probe' | 'positions' | 'lit' | 'beam' | 'affine' | 'together'>;

/** Beams and positions that were found are used as they are. */
const fixedOptions = ({ beam, affine, positions, lit }: Kept): Partial<SolverOptions> => ({
  ...FIXED,
  fly_positions: lit.xs.length / positions.xs.length,
  ...(beam && { opr_modes: beam.weights.shape[1], flux: true }),
  ...(affine && { affine: true, affine_start: NEVER, affine_stop: NEVER }),
});

/**
 * Solves both halves and correlates them. They share probe, beams and positions, but no photon of the object.
 * @param pixel_m side of an object pixel
 * @returns undefined for scans of too few patterns, or halves that share too little
 * @throws PtychoError CANCELLED, SOLVER_FAILED
 */
export async function halfSetResolution(
  open: OpenLine,
  raw: ScanToSolve,
  kept: Kept,
  pixel_m?: number,
): Promise<HalfSetCorrelation | undefined> {
  if (raw.count < 2 * LEAST_HALF) return undefined;
  const { probe, positions, beam, affine, together } = kept;
  const start = { probe, positions, beam, affine, together };
  const fixed = fixedOptions(kept);
  const halves = [];
  for (const parity of [0, 1]) {
    const others = Int32Array.from({ length: Math.floor((raw.count + parity) / 2) }, (_, k) => 2 * k + 1 - parity);
    const seeking = await open({ options: { ...SEEKING, ...fixed }, start, heldOut: others });
    const object = await after(seeking, LONG, () => seeking.branch().object);
    const settling = await open({ options: { ...SEEKING, ...SETTLING, ...fixed }, start: { ...start, object }, heldOut: others }); // biome-ignore format: one call
    halves.push(await after(settling, SHORT, () => settling.keep()));
  }
  const [even, odd] = halves.map((half) => imagesOf(imageOf(half)));
  const found = even.flatMap((image, s) => correlated([image, odd[s]], raw, pixel_m) ?? []);
  // Of several objects the one that is known least.
  return found.length < even.length ? undefined : found.reduce((worst, one) => (coarserOf(one) > coarserOf(worst) ? one : worst)); // biome-ignore format: one line
}

/** The image of one object, or that of each scan where several share the probe. */
function imagesOf(solved: SolvedImage): readonly SolvedImage[] {
  return solved.together?.share === 'probe' ? scansOf(solved) : [solved];
}

/** Half-bit resolution, pixels. */
const coarserOf = ({ resolution }: HalfSetCorrelation): number => resolution.complex.half_bit.px;

function correlated(
  pair: readonly SolvedImage[],
  raw: ScanToSolve,
  pixel_m: number | undefined,
): HalfSetCorrelation | undefined {
  const [{ positions, together }] = pair;
  const { length } = positions.xs;
  const counts = [Math.ceil(length / 2), Math.floor(length / 2)] as const;
  const images = pair.map(({ image, frame, coverage }) => ({ image, frame, weight: coverage }));
  // One scan lies where its file says, several where they were found to.
  const scan = length < raw.count || together ? { source: raw.source, xcoords: positions.xs, ycoords: positions.ys } : raw; // biome-ignore format: one value
  try {
    return correlateHalves(images, scan, counts, pixel_m);
  } catch (error) {
    if (isPtychoError(error, 'DATASET_SHAPE')) return undefined;
    throw error;
  }
}

async function after<T>(line: Awaited<ReturnType<OpenLine>>, epochs: number, take: () => T): Promise<T> {
  try {
    for (let epoch = 0; epoch < epochs; epoch++) await line.advance();
    return take();
  } finally {
    await line.close();
  }
}
