/**
 * Two properties of opening, judged by the object error against the truth: no scan with a defect gives a wrong image without a word, and no
 * scan without one is doubted.
 */
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { isPtychoError } from '../../src/core/errors.js';
import { openScan } from '../../src/data/findings/survey.js';
import { writeNpz } from '../../src/formats/npz.js';
import fc from './fastCheck.js';
import { KNOWN_PROBES, type KnownScan, type KnownScanOptions, knownScan } from './knownScan.js';
import {
  CONTAINERS,
  DEFECTS,
  DTYPES,
  makesSense,
  ORDERS,
  READINGS,
  type Variant,
  writeVariant,
} from './scanVariants.js';
import { solved } from './solved.js';

/** Scans of few patterns, for whose truth a run of 15 epochs is enough. */
const SCANS: readonly KnownScanOptions[] = [
  { seed: 1, nSide: 5, photons: 2e5 },
  { seed: 2, nSide: 5, photons: 2e4, phase_rad: 1.5 },
  { seed: 3, nSide: 6, photons: 1e6, probe: 'defocused', phase_rad: 0.5 },
  { seed: 4, nSide: 5, photons: 3e5, probe: 'gaussian', contrast: 0.18, step_px: 5 },
];
/** By how much the error of a variant may exceed that of the clean scan, where nothing is said. */
const TOLERANCE = 1.25;
/** What a run of few epochs varies by anyway. */
const SLACK = 0.01;

/** A variant of one of {@link SCANS}. */
export interface Drawn extends Variant {
  readonly scan: number;
  readonly seed: number;
}

/** Draws variants that make sense. */
export const drawnVariant: fc.Arbitrary<Drawn> = fc
  .record({
    scan: fc.nat(SCANS.length - 1),
    container: fc.constantFrom(...CONTAINERS),
    reading: fc.constantFrom(...READINGS),
    dtype: fc.constantFrom(...DTYPES),
    order: fc.constantFrom(...ORDERS),
    defect: fc.constantFrom(...DEFECTS),
    seed: fc.nat(1000),
  })
  .filter(makesSense);

/**
 * Defects after which less is known, however well the scan is opened: noise of two counts a pixel, a frame that is gone. The clean
 * scan is no measure of them; what is opened wrongly is far beyond.
 */
const LOSSY: Readonly<Partial<Record<string, number>>> = { 'negative noise': 2.5, 'missing file': 1.5 };

/** Judges variants in a folder of its own. */
export class SilenceJudge {
  private readonly scans = new Map<number, { known: KnownScan; clean: Promise<number> }>();
  /** What each variant came to, for a table. */
  readonly outcomes: string[] = [];

  constructor(private readonly folder: string) {}

  /** The sentence that a silently wrong image deserves; undefined where all is well. */
  async judge(drawn: Drawn): Promise<string | undefined> {
    const { known, clean: made } = this.scanOf(drawn.scan);
    const clean = await made;
    const place = path.join(this.folder, `variant-${this.outcomes.length}`);
    const { file, probe, data } = await writeVariant(place, known, drawn, drawn.seed);
    const found = await solved(file, known, { probe, data });
    const allowed = Math.max((LOSSY[drawn.defect] ?? TOLERANCE) * clean, clean + SLACK);
    // A doubt is what a user has to hear; notes about the container do not count.
    const right = found.error !== undefined && found.error <= allowed;
    const { doubts } = found.stopped || right ? { doubts: [] } : await opinionOf(file, { ...data, probe });
    await rm(place, { recursive: true, force: true });
    const outcome = found.stopped ? 'stopped' : right ? 'right' : doubts.length > 0 ? 'said' : 'silently wrong';
    const why = found.stopped?.fields.finding ?? found.stopped?.code ?? doubts.at(0) ?? '';
    this.outcomes.push(`${outcome} ${JSON.stringify(drawn)} ${found.error?.toFixed(3) ?? ''} ${why}`);
    return outcome === 'silently wrong'
      ? `a silently wrong image: object error ${found.error?.toFixed(3)}, ${clean.toFixed(3)} where nothing is wrong: ${JSON.stringify(drawn)}`
      : undefined;
  }

  private scanOf(index: number) {
    let scan = this.scans.get(index);
    if (scan === undefined) {
      const known = knownScan(SCANS[index]);
      scan = { known, clean: this.cleanRun(known, index) };
      this.scans.set(index, scan);
    }
    return scan;
  }

  private async cleanRun(known: KnownScan, index: number): Promise<number> {
    const { N, n, counts, x, y, probe } = known;
    const file = path.join(this.folder, `clean-${index}.npz`);
    await writeNpz(file, {
      diffraction: { data: Float32Array.from(counts), shape: [n, N, N] },
      xcoords: { data: x, shape: [n] },
      ycoords: { data: y, shape: [n] },
      probeGuess: probe,
      measurement_domain: { strings: ['count_intensity'], shape: [] },
    });
    const { error, stopped } = await solved(file, known);
    if (error === undefined) throw new Error(`the clean scan ${index} was refused: ${stopped?.message}`);
    return error;
  }
}

/** Scans without a defect: sides, beams, weak and strong objects, doses, steps. */
export const drawnClean: fc.Arbitrary<KnownScanOptions & { readonly stored: (typeof STORED)[number] }> = fc.record({
  seed: fc.nat(100_000),
  N: fc.constantFrom(64, 64, 64, 64, 64, 64, 32, 96, 128),
  nSide: fc.integer({ min: 4, max: 7 }),
  step_px: fc.integer({ min: 3, max: 8 }),
  jitter_px: fc.constantFrom(0, 0.5, 1, 2),
  photons: fc.constantFrom(1e3, 1e4, 1e5, 1e6, 1e7),
  probe: fc.constantFrom(...KNOWN_PROBES),
  phase_rad: fc.constantFrom(0.1, 0.5, 1, 2, 3),
  contrast: fc.constantFrom(0.01, 0.05, 0.12, 0.2),
  stored: fc.constantFrom('uint16', 'uint32', 'float32', 'root', 'normalised'),
});
const STORED = ['uint16', 'uint32', 'float32', 'root', 'normalised'] as const;

/** What opening and the first full pass make of a scan: findings by severity. */
export interface Opinion {
  readonly wrong: readonly string[];
  readonly doubts: readonly string[];
}

/** Opens a scan as commands do. */
export async function opinionOf(file: string, options: Record<string, unknown> = {}): Promise<Opinion> {
  try {
    const raw = await openScan(file, options);
    const all = raw.findings?.all ?? [];
    await raw.close();
    return { wrong: [], doubts: all.filter(({ severity }) => severity === 'doubt').map(({ message }) => message) };
  } catch (error) {
    if (!isPtychoError(error)) throw error;
    return { wrong: [`${error.code}: ${error.message}`], doubts: [] };
  }
}

/** Writes a scan without a defect, and says what opening makes of it. */
export async function opinionOfClean(folder: string, options: ReturnType<typeof cleanOf>): Promise<Opinion> {
  const { N, n, counts, x, y, probe } = knownScan(options);
  const { stored } = options;
  const shape = [n, N, N];
  const largest = Math.sqrt(counts.reduce((most, v) => Math.max(most, v), 0));
  const kinds = {
    uint16: () => Uint16Array.from(counts, (v) => Math.min(v, 65534)),
    uint32: () => Uint32Array.from(counts),
    float32: () => Float32Array.from(counts),
    root: () => Float32Array.from(counts, Math.sqrt),
    normalised: () => Float32Array.from(counts, (v) => Math.sqrt(v) / largest),
  };
  // What fits no 16 bits is not stored in them.
  const kind = stored === 'uint16' && largest > 255 ? 'uint32' : stored;
  const factor = stored === 'normalised' ? 1 / largest : 1;
  const file = path.join(folder, 'clean.npz');
  await writeNpz(file, {
    diffraction: { data: kinds[kind](), shape },
    xcoords: { data: x, shape: [n] },
    ycoords: { data: y, shape: [n] },
    probeGuess: { re: probe.re.map((v) => v * factor), im: probe.im.map((v) => v * factor), shape: [N, N] },
    ...(stored === 'normalised' ? { measurement_domain: { strings: ['normalized_amplitude'], shape: [] } } : {}),
  });
  return opinionOf(file);
}

/** The type of what {@link drawnClean} draws. */
const cleanOf = (options: KnownScanOptions & { readonly stored: (typeof STORED)[number] }) => options;
