/** The stitcher of one reconstruction, with everything that decides where a patch goes and what it counts. */
import { hasFired } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { PtychoNetwork } from '../model/network.js';
import { configuredProbeMask, probeIntensity } from '../physics/probe.js';
import { sampleWindow } from '../physics/sampling.js';
import type { PatternBatch, PatternFeed } from './feed.js';
import { type ScanBounds, scanBounds } from './frame.js';
import { PatchFit } from './patches/patchFit.js';
import { PatchPhases, turnPatches } from './patches/patchPhases.js';
import { PatchStore } from './patches/patchStore.js';
import { type PartialCanvas, PatchStitcher, type StitchedImage, type StitchingRule } from './patchStitcher.js';

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

/** How patches become one image. */
export interface StitchingOptions {
  readonly network: { readonly spec: Pick<PtychoNetwork['spec'], 'config' | 'scale'> };
  /** Side of the central square of each patch that is stitched. */
  readonly crop_px: number;
  /** `probe`: patches count by the probe's intensity; `uniform`: every pixel of the crop counts the same. */
  readonly patch_weighting: 'probe' | 'uniform';
  /** Which of the two published rules lays patches down; `shift-and-sum` where not given. */
  readonly stitching?: StitchingRule;
  /**
   * Turn every patch by the phase that makes it agree with its neighbours (a pattern leaves the phase of its patch as a whole
   * open); done for the last preview. Off where not given.
   */
  readonly align_phases?: boolean;
  /** Degree of the polynomials by which the slow part of every patch is fitted to its pattern (`PatchFit`); 0 or not given: not. */
  readonly patch_fit?: number;
  /**
   * How often patches are laid down: after the first time, what they differ by from the image so far, which interpolation has blurred.
   * 1 where not given; more for the last preview only.
   */
  readonly stitching_rounds?: number;
  /** (N, N): other than 0 at detector pixels that say nothing to `patch_fit`. */
  readonly badPixels?: ArrayLike<number>;
  /** Also measure how far overlapping patches disagree; off where not given. */
  readonly uncertainty?: boolean;
  /** Probe of the scan for the weighting; the model's own when not given. */
  readonly probe?: ComplexTensor;
  readonly placement?: PatchPlacement;
}

/** The factors that {@link PatchPlacement} multiplies places by. */
export function placeFactors({ flip_x = false, flip_y = false, coord_scale = 1 }: PatchPlacement): {
  readonly x: number;
  readonly y: number;
} {
  return { x: flip_x ? -coord_scale : coord_scale, y: flip_y ? -coord_scale : coord_scale };
}

/** Bounds after both axes were multiplied by a factor, which may be negative. */
function scaleBounds(bounds: ScanBounds, factors: { readonly x: number; readonly y: number }): ScanBounds {
  const [xa, xb] = [bounds.xMin * factors.x, bounds.xMax * factors.x];
  const [ya, yb] = [bounds.yMin * factors.y, bounds.yMax * factors.y];
  return { xMin: Math.min(xa, xb), xMax: Math.max(xa, xb), yMin: Math.min(ya, yb), yMax: Math.max(ya, yb) };
}

/** Σ_p |P_p|² (N, N), largest value 1. */
export function probeWeights(probe: ComplexTensor): Tensor {
  const power = probeIntensity(probe);
  const largest = power.reduce((m, v) => Math.max(m, v), 0);
  return { data: power.map((v) => v / largest), shape: probe.shape.slice(-2) };
}

/** How much each pixel of a patch counts: the probe's intensity there, or undefined for evenly. */
export function patchWeightsOf({
  patch_weighting,
  probe,
  network,
}: Pick<StitchingOptions, 'patch_weighting' | 'probe' | 'network'>): Tensor | undefined {
  return patch_weighting === 'probe' ? probeWeights(probe ?? network.spec.scale.probe) : undefined;
}

/** What fits the slow part of patches to their patterns, where that is asked for. */
export function patchFitOf({ patch_fit = 0, probe, network, badPixels }: StitchingOptions): PatchFit | undefined {
  if (patch_fit === 0) return undefined;
  const { config, scale } = network.spec;
  return new PatchFit(probe ?? scale.probe, patch_fit, { probeMask: configuredProbeMask(config), badPixels });
}

/** Exchanges rows and columns of square patches in place. */
export function transposePatches(patches: Float32Array, side: number): void {
  for (let from = 0; from < patches.length; from += side * side) {
    for (let row = 1; row < side; row++) {
      for (let column = 0; column < row; column++) {
        const [a, b] = [from + row * side + column, from + column * side + row];
        [patches[a], patches[b]] = [patches[b], patches[a]];
      }
    }
  }
}

/** Lays down the patches of batch after batch. */
export class Stitching {
  /** Patches so far. */
  patterns = 0;
  readonly #make: (bounds: ScanBounds) => PatchStitcher;
  /** Made when the first patch is laid down. */
  #stitcher: PatchStitcher | undefined;
  /** Where the scan goes, as far as it is known beforehand; without it, and beyond it, canvases grow. */
  readonly #bounds: ScanBounds | undefined;
  readonly #factors: { readonly x: number; readonly y: number };
  readonly #side: number;
  readonly #transpose: boolean;
  /** What the second look at the patches needs, where their phases are to be brought together or what was blurred is to be mended. */
  #second: { readonly phases?: PatchPhases; readonly store: PatchStore } | undefined;
  readonly #rounds: number;
  /** How many of the kept patches are in the preview. */
  #shown = 0;
  /** The disk had no room for the second look. */
  unaligned = false;

  constructor(options: StitchingOptions, feed: PatternFeed) {
    const { network, crop_px, placement = {} } = options;
    this.#side = network.spec.config.N;
    this.#factors = placeFactors(placement);
    this.#transpose = placement.transpose === true;
    const patchWeights = patchWeightsOf(options);
    if (this.#transpose && patchWeights) transposePatches(patchWeights.data, this.#side);
    const { stitching: rule, uncertainty } = options;
    this.#make = (bounds) => new PatchStitcher(bounds, crop_px, { rule, patchWeights, uncertainty, grow: feed.grows });
    this.#rounds = options.stitching_rounds ?? 1;
    if (options.align_phases || this.#rounds > 1) {
      this.#second = {
        phases: options.align_phases ? new PatchPhases(crop_px, patchWeights) : undefined,
        store: new PatchStore(crop_px, feed.total),
      };
    }
    this.#bounds = feed.bounds && scaleBounds(feed.bounds, this.#factors);
  }

  /** Adds the patches [B, C, N, N] of a batch, which are transposed in place where that is asked for. */
  add({ re, im }: ComplexTensor, batch: PatternBatch): void {
    const xs = batch.xs.map((x) => x * this.#factors.x);
    const ys = batch.ys.map((y) => y * this.#factors.y);
    if (this.#transpose) for (const part of [re, im]) transposePatches(part, this.#side);
    this.patterns += xs.length;
    if (this.#second?.store.add(re, im, xs.length, this.#side, xs, ys)) {
      this.#second.phases?.add(re, im, xs.length, this.#side, xs, ys);
      return;
    }
    if (this.#second) {
      this.#layDownKept();
      this.dispose();
      this.unaligned = true;
    }
    this.#layDown(re, im, this.#side, xs, ys);
  }

  #layDown(re: Float32Array, im: Float32Array, side: number, xs: Float64Array, ys: Float64Array): void {
    this.#stitcher ??= this.#make(this.#bounds ?? scanBounds(xs, ys));
    this.#stitcher.add(re, im, xs.length, side, xs, ys);
  }

  /** Lays down the patches that were kept since the last time: only for previews, which show them as they were predicted. */
  #layDownKept(): void {
    if (!this.#second) return;
    const { store } = this.#second;
    for (const { re, im, xs, ys } of store.chunks(this.#shown)) this.#layDown(re, im, store.cropSide, xs, ys);
    this.#shown = store.count;
  }

  /** The image so far, of patches as they were predicted; only after the first batch. */
  image(): StitchedImage {
    this.#layDownKept();
    if (!this.#stitcher) throw new Error('there is no image before the first patch');
    return this.#stitcher.finish();
  }

  /**
   * The image of all patches, each turned by the phase that makes it agree with its neighbours, where that was asked for.
   * @param signal leaves out the rounds that are not begun when it fires
   * @throws PtychoError ENGINE_FAILURE for an image that is not finite
   */
  async finalImage(
    signal?: AbortSignal,
  ): Promise<{ readonly stitched: StitchedImage; readonly phaseSpreadRad?: number }> {
    if (!this.#second) return { stitched: finiteImage(this.image()) };
    const { phases, store } = this.#second;
    const { angles, spreadRad } = phases?.solve() ?? {};
    const make = () => this.#make(this.#bounds ?? store.bounds());
    const stitched = await stitchKept(store, make, { angles, rounds: this.#rounds, signal });
    return { stitched: finiteImage(stitched), phaseSpreadRad: spreadRad };
  }

  /** All patches so far as a part of a larger image: with phases as they are, or kept, with their sums over cells, for a second look. */
  part(): { readonly canvas: PartialCanvas } | { readonly phases: PatchPhases; readonly store: PatchStore } {
    const { phases, store } = this.#second ?? {};
    if (phases && store) return { phases, store };
    if (!this.#stitcher) throw new Error('there is no image before the first patch');
    return { canvas: this.#stitcher.partial() };
  }

  /** Lets go of what was kept for the second look. */
  dispose(): void {
    this.#second?.store.close();
    this.#second = undefined;
  }
}

/** What differs from how the patches came. */
interface LayKeptOptions {
  /** (n) every patch is multiplied by e^{−i·angle}. */
  readonly angles?: Float64Array;
  /** (n) positions in place of those that the patches came with. */
  readonly places?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

/** Adds to an image what patches, laid down once more, differ by from it. */
export function addMissing({ re, im }: ComplexTensor, missing: ComplexTensor): void {
  for (let i = 0; i < re.length; i++) {
    re[i] += missing.re[i];
    im[i] += missing.im[i];
  }
}

/**
 * Lets an image through whose values are all finite, so that nothing else is written or shown as a result.
 * @throws PtychoError ENGINE_FAILURE
 */
export function finiteImage<I extends Pick<StitchedImage, 'image'>>(stitched: I): I {
  const { re, im } = stitched.image;
  for (let i = 0; i < re.length; i++) {
    if (Number.isFinite(re[i]) && Number.isFinite(im[i])) continue;
    throw new PtychoError(
      'ENGINE_FAILURE',
      'The image has values that are not finite, so it is not written: look at the weights of the model (ptychopinn bundle verify), or give fewer stitching_rounds and a smaller patch_fit.',
      { pixel: i },
    );
  }
  return stitched;
}

/**
 * All patches of a store, on a fresh stitcher; and on another for each round more, what they differ by from the image so far.
 * @param options `signal` leaves out the rounds that are not begun when it fires
 */
export async function stitchKept(
  store: PatchStore,
  make: () => PatchStitcher,
  { rounds = 1, signal, ...options }: LayKeptOptions & { readonly rounds?: number; readonly signal?: AbortSignal } = {},
): Promise<StitchedImage> {
  const first = make();
  layKept(store, first, options);
  const stitched = first.finish();
  for (let round = 1; round < rounds && !(await hasFired(signal)); round++) {
    const again = make();
    layKept(store, again, options, stitched);
    addMissing(stitched.image, again.finish().image);
  }
  return stitched;
}

/** Adds all patches of a store to a stitcher, or what they differ by from an image. */
function layKept(
  store: PatchStore,
  stitcher: PatchStitcher,
  { angles, places }: LayKeptOptions,
  from?: Pick<StitchedImage, 'image' | 'frame'>,
): void {
  const { cropSide } = store;
  for (const { re, im, count, start, ...own } of store.chunks()) {
    const xs = places?.xs.subarray(start) ?? own.xs;
    const ys = places?.ys.subarray(start) ?? own.ys;
    if (angles) turnPatches(re, im, count, cropSide, angles.subarray(start));
    if (from) subtractImage(re, im, count, cropSide, xs, ys, from);
    stitcher.add(re, im, count, cropSide, xs, ys);
  }
}

/** Takes from (count, M, M) patches what an image shows there, interpolated. */
export function subtractImage(
  re: Float32Array,
  im: Float32Array,
  count: number,
  side: number,
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  { image, frame }: Pick<StitchedImage, 'image' | 'frame'>,
): void {
  const area = side ** 2;
  const half = Math.floor(side / 2);
  const seen = new Float32Array(area);
  const { originYxPx, height, width } = frame;
  for (let k = 0; k < count; k++) {
    const [y, x] = [ys[k] - half - originYxPx[0], xs[k] - half - originYxPx[1]];
    for (const [patches, plane] of [
      [re, image.re],
      [im, image.im],
    ] as const) {
      sampleWindow(plane, height, width, y, x, seen, side, side);
      for (let i = 0; i < area; i++) patches[k * area + i] -= seen[i];
    }
  }
}

/** Takes note of all patches of a store at other positions, for the angles that make neighbours agree there. */
export function noteKept(store: PatchStore, phases: PatchPhases, xs: Float64Array, ys: Float64Array): void {
  for (const { re, im, count, start } of store.chunks()) {
    phases.add(re, im, count, store.cropSide, xs.subarray(start), ys.subarray(start));
  }
}
