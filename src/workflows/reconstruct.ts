/**
 * From groups to one image: predict batch by batch and stitch every member at its own position while the engine works
 * on the next batch. Memory does not grow with the scan.
 */
import type { Backend, Compiled } from '../backends/backend.js';
import { throwIfCancelled } from '../core/cancel.js';
import type { ProgressSink } from '../core/log.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { DiffractionDataset } from '../data/dataset.js';
import type { PtychoNetwork } from '../model/network.js';
import { scanBounds } from '../reconstruction/frame.js';
import { PatchStitcher, type StitchedImage } from '../reconstruction/stitch.js';

/** Published options for scans whose axes disagree with those of the patches, in the order in which they are applied. */
export interface PatchPlacement {
  /** Exchange rows and columns of every patch. */
  readonly transpose?: boolean;
  /** Place patches at −x. */
  readonly flip_x?: boolean;
  /** Place patches at −y. */
  readonly flip_y?: boolean;
  /** Multiply the places by this. */
  readonly coord_scale?: number;
}

export interface ReconstructOptions {
  readonly network: PtychoNetwork;
  readonly weights: Readonly<Record<string, Tensor>>;
  readonly backend: Backend;
  readonly dataset: DiffractionDataset;
  /** Groups in one prediction. */
  readonly batch_size: number;
  /** Side of the central square of each patch that is stitched. */
  readonly crop_px: number;
  /** `probe`: patches count by the probe's intensity; `uniform`: every pixel of the crop counts the same. */
  readonly patch_weighting: 'probe' | 'uniform';
  /** Probe of the scan for the weighting; the model's own when not given. */
  readonly probe?: ComplexTensor;
  readonly placement?: PatchPlacement;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/** Wall-clock seconds spent waiting for each stage; reading and stitching overlap with prediction. */
export interface ReconstructTimes {
  read: number;
  predict: number;
  stitch: number;
}

export interface Reconstruction {
  readonly stitched: StitchedImage;
  readonly patterns: number;
  readonly times: ReconstructTimes;
  readonly seconds: number;
}

/** Σ_p |P_p|² (N, N), largest value 1. */
function probeWeights(probe: ComplexTensor): Tensor {
  const shape = probe.shape.slice(-2);
  const w = new Float32Array(shape[0] * shape[1]);
  for (let i = 0; i < probe.re.length; i++) w[i % w.length] += probe.re[i] ** 2 + probe.im[i] ** 2;
  const largest = w.reduce((m, v) => Math.max(m, v), 0);
  return { data: w.map((v) => v / largest), shape };
}

/** Exchanges rows and columns of square patches in place. */
function transposePatches(patches: Float32Array, side: number): void {
  for (let from = 0; from < patches.length; from += side * side) {
    for (let row = 1; row < side; row++) {
      for (let column = 0; column < row; column++) {
        const [a, b] = [from + row * side + column, from + column * side + row];
        [patches[a], patches[b]] = [patches[b], patches[a]];
      }
    }
  }
}

/** Reconstructs the object from every group of a data set. */
export async function reconstruct(options: ReconstructOptions): Promise<Reconstruction> {
  const { network, weights, backend, dataset, batch_size, signal } = options;
  const { coordsNn, count, C } = dataset.groups;
  const started = performance.now();
  const { transpose = false, flip_x = false, flip_y = false, coord_scale = 1 } = options.placement ?? {};
  const scaleX = flip_x ? -coord_scale : coord_scale;
  const scaleY = flip_y ? -coord_scale : coord_scale;
  const xs = new Float64Array(count * C);
  const ys = new Float64Array(count * C);
  for (let i = 0; i < count * C; i++) {
    xs[i] = coordsNn[2 * i] * scaleX;
    ys[i] = coordsNn[2 * i + 1] * scaleY;
  }
  const patchWeights =
    options.patch_weighting === 'probe' ? probeWeights(options.probe ?? network.spec.scale.probe) : undefined;
  if (transpose && patchWeights) transposePatches(patchWeights.data, network.spec.config.N);
  const stitcher = new PatchStitcher(scanBounds(xs, ys), options.crop_px, patchWeights);
  const side = network.spec.config.N;
  const compiled = new Map<number, Compiled>();
  const times: ReconstructTimes = { read: 0, predict: 0, stitch: 0 };
  const timed = async <T>(stage: keyof ReconstructTimes, work: () => Promise<T> | T): Promise<T> => {
    const t = performance.now();
    const result = await work();
    times[stage] += (performance.now() - t) / 1000;
    return result;
  };
  const stitch = (outputs: Readonly<Record<string, Tensor>>, start: number, n: number) => {
    const from = start * C;
    const [re, im] = [outputs.object_real.data, outputs.object_imag.data] as Float32Array[];
    if (transpose) for (const part of [re, im]) transposePatches(part, side);
    stitcher.add(re, im, n * C, side, xs.subarray(from), ys.subarray(from));
    options.onProgress?.({ stage: 'reconstructing', done: (start + n) * C, total: count * C, unit: 'patterns' });
  };

  let waiting: { outputs: Promise<Record<string, Tensor>>; start: number; n: number } | undefined;
  for (let start = 0; start < count; start += batch_size) {
    throwIfCancelled(signal, 'The reconstruction');
    const n = Math.min(batch_size, count - start);
    const batch = await timed('read', () => dataset.batch(Int32Array.from({ length: n }, (_, i) => start + i)));
    let program = compiled.get(n);
    if (!program) {
      program = await backend.compile(network.predict(n), { constants: weights });
      compiled.set(n, program);
    }
    const next = { outputs: program.run({ input: batch.diffraction, input_positions: batch.positions }), start, n };
    // Reported when awaited; not as an unhandled rejection in between.
    next.outputs.catch(() => {});
    if (waiting) {
      const { outputs, start: s, n: m } = waiting;
      const done = await timed('predict', () => outputs);
      await timed('stitch', () => stitch(done, s, m));
    }
    waiting = next;
  }
  if (waiting) {
    const { outputs, start, n } = waiting;
    const done = await timed('predict', () => outputs);
    await timed('stitch', () => stitch(done, start, n));
  }
  for (const c of compiled.values()) await c.dispose();
  return {
    stitched: stitcher.finish(),
    patterns: count * C,
    times,
    seconds: (performance.now() - started) / 1000,
  };
}
