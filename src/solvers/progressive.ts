/**
 * Progressive resolution: the middle of the detector first, which sees large pixels of the same field, then twice as much of it, up to
 * all. Coarse epochs are cheap, and what is large in the object is found before noise at high angles can disturb it.
 */
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import { fourierCrop } from '../physics/fourierCrop.js';
import { totalIntensity } from '../physics/probe.js';
import { patternsOf } from './patternStream.js';
import type { LoadedScan } from './scan.js';
import type { SolverUpdate } from './updates.js';

/** What the finest level begins with. */
export interface CoarseStart {
  readonly object: { readonly image: ComplexImage; readonly frame: LoadedScan['frame'] };
  readonly probe: ComplexTensor;
}

/** Runs a scan that is in memory. */
export type RunLoaded = (
  loaded: LoadedScan,
  probe: ComplexTensor,
  options: SolverOptions,
  start: CoarseStart['object'] | undefined,
) => AsyncGenerator<SolverUpdate, void, void>;

/** Pixels around coarse patches. */
const MARGIN_PX = 1;

/**
 * The coarse levels, one after the other.
 * @throws PtychoError CONFIG_INVALID for sides that cannot be halved so often
 */
export async function coarseStart(
  loaded: LoadedScan,
  probe: ComplexTensor,
  options: SolverOptions,
  run: RunLoaded,
): Promise<CoarseStart> {
  const { N } = loaded.scan;
  const { progressive_levels: levels, progressive_epochs: epochs } = options;
  const coarsest = N / 2 ** (levels - 1);
  if (!Number.isInteger(coarsest) || coarsest < 8 || coarsest % 2 !== 0) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `progressive_levels: ${levels} levels halve patterns of ${N} to ${coarsest}, which is no even side of at least 8; take fewer.`,
      { key: 'progressive_levels', found: levels, N },
    );
  }
  const coarse: SolverOptions = {
    ...options,
    ...{
      epochs,
      progressive_levels: 1,
      position_start: null,
      affine: false,
      opr_modes: 0,
      flux: false,
      background: 'none',
      ml_start: null,
    },
    // Lengths in pixels of the finest level.
    ...{ grid_period_px: null, probe_radius_px: null },
  };
  let found: { readonly image: ComplexImage; readonly from: Grid } | undefined;
  let wave = probe;
  for (let f = 2 ** (levels - 1); f > 1; f /= 2) {
    const grid = { factor: f, margin: MARGIN_PX };
    const small = await coarser(loaded, f);
    const start = found && { image: laid(found.image, found.from, grid, small.frame), frame: small.frame };
    let last: SolverUpdate | undefined;
    const cropped = fourierCrop(wave, N / f);
    for await (const update of run(small, cropped, coarse, start)) last = update;
    const { object, probe: after } = last!;
    found = { image: object().image, from: grid };
    wave = refined(wave, cropped, after());
  }
  const image = laid(found!.image, found!.from, { factor: 1, margin: 0 }, loaded.frame);
  return { object: { image, frame: loaded.frame }, probe: wave };
}

/** The scan as the middle of the detector sees it: the same field in pixels that are `f` times as large. */
async function coarser({ scan, frame, counted, meanCounts, amplitude }: LoadedScan, f: number): Promise<LoadedScan> {
  const n = scan.N / f;
  const area = n * n;
  const amplitudes = new Float32Array(new SharedArrayBuffer(4 * scan.count * area));
  let [total, good] = [0, 0];
  let to = 0;
  for await (const pattern of patternsOf(scan)) {
    for (let r = 0; r < n; r++) {
      const row = (r < n / 2 ? r : r + scan.N - n) * scan.N;
      for (let c = 0; c < n; c++, to++) {
        const value = pattern[row + (c < n / 2 ? c : c + scan.N - n)];
        amplitudes[to] = value;
        if (value < 0) continue;
        total += value * value;
        good++;
      }
    }
  }
  const moved = (values: Float64Array, margin = MARGIN_PX) => {
    const out = new Float64Array(new SharedArrayBuffer(8 * values.length));
    for (let k = 0; k < values.length; k++) out[k] = values[k] / f + margin;
    return out;
  };
  const { ways } = scan;
  const sides = [frame.height, frame.width].map((side) => Math.ceil(side / f) + 2 * MARGIN_PX + 1);
  return {
    scan: {
      ...{ ...scan, N: n, amplitudes, slots: undefined, stream: undefined, ys: moved(scan.ys), xs: moved(scan.xs) },
      ...(ways && { ways: { ...ways, ys: moved(ways.ys, 0), xs: moved(ways.xs, 0) } }),
    },
    frame: { ...frame, originYxPx: [0, 0], height: sides[0], width: sides[1] },
    counted,
    meanCounts: scan.count > 0 ? total / scan.count : meanCounts,
    amplitude: good > 0 ? Math.sqrt(total / good) : amplitude,
  };
}

/** How an array lies over the finest one: pixel i is pixel (i − margin)·factor there. */
interface Grid {
  readonly factor: number;
  readonly margin: number;
}

/** An image on another grid, bilinear; the rims go on. */
function laid(image: ComplexImage, from: Grid, to: Grid, { height, width }: LoadedScan['frame']): ComplexImage {
  const [rows, cols] = image.shape;
  const out = { re: new Float32Array(height * width), im: new Float32Array(height * width), shape: [height, width] };
  const places = (side: number, most: number) =>
    Array.from({ length: side }, (_, i) => {
      const at = ((i - to.margin) * to.factor) / from.factor + from.margin;
      const held = Math.min(most - 1, Math.max(0, at));
      const first = Math.min(most - 2, Math.floor(held));
      return { first, share: held - first };
    });
  const [alongRows, alongColumns] = [places(height, rows), places(width, cols)];
  for (const [source, target] of [
    [image.re, out.re],
    [image.im, out.im],
  ] as const) {
    alongRows.forEach(({ first: r, share: y }, i) => {
      alongColumns.forEach(({ first: c, share: x }, j) => {
        const row = (at: number) => (1 - x) * source[at * cols + c] + x * source[at * cols + c + 1];
        target[i * width + j] = (1 - y) * row(r) + y * row(r + 1);
      });
    });
  }
  return out;
}

/** The probe with what was found of the middle of its far field; the rest keeps its size beside it. */
function refined(probe: ComplexTensor, before: ComplexTensor, after: ComplexTensor): ComplexTensor {
  const N = probe.shape[probe.shape.length - 1];
  const [old, found] = [fourierCrop(before, N), fourierCrop(after, N)];
  const size = Math.sqrt(totalIntensity(after) / totalIntensity(before));
  const mixed = (part: 're' | 'im') => probe[part].map((v, i) => size * (v - old[part][i]) + found[part][i]);
  return { ...probe, re: mixed('re'), im: mixed('im') };
}
