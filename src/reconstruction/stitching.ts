/** The stitcher of one reconstruction, with everything that decides where a patch goes and what it counts. */
import type { ComplexTensor } from '../core/tensor.js';
import type { PatternBatch, PatternFeed } from './feed.js';
import { type ScanBounds, scanBounds } from './frame.js';
import { layKept } from './layKept.js';
import { PatchPhases } from './patchPhases.js';
import { PatchStore } from './patchStore.js';
import { patchWeightsOf, placeFactors, scaleBounds, transposePatches } from './placement.js';
import type { ReconstructOptions } from './reconstruct.js';
import { PatchStitcher, type StitchedImage } from './stitch.js';

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
  /** What the second look at the patches needs, where their phases are to be brought together. */
  #second: { readonly phases: PatchPhases; readonly store: PatchStore } | undefined;
  /** How many of the kept patches are in the preview. */
  #shown = 0;
  /** The disk had no room for the second look. */
  unaligned = false;

  constructor(options: ReconstructOptions, feed: PatternFeed) {
    const { network, crop_px, placement = {} } = options;
    this.#side = network.spec.config.N;
    this.#factors = placeFactors(placement);
    this.#transpose = placement.transpose === true;
    const patchWeights = patchWeightsOf(options);
    if (this.#transpose && patchWeights) transposePatches(patchWeights.data, this.#side);
    const { stitching: rule, uncertainty } = options;
    this.#make = (bounds) => new PatchStitcher(bounds, crop_px, { rule, patchWeights, uncertainty, grow: feed.grows });
    if (options.align_phases) {
      this.#second = {
        phases: new PatchPhases(crop_px, patchWeights),
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
      this.#second.phases.add(re, im, xs.length, this.#side, xs, ys);
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

  /** The image of all patches, each turned by the phase that makes it agree with its neighbours, where that was asked for. */
  finalImage(): { readonly stitched: StitchedImage; readonly phaseSpreadRad?: number } {
    if (!this.#second) return { stitched: this.image() };
    const { phases, store } = this.#second;
    const { angles, spreadRad } = phases.solve();
    const aligned = this.#make(this.#bounds ?? store.bounds());
    layKept(store, aligned, { angles });
    return { stitched: aligned.finish(), phaseSpreadRad: spreadRad };
  }

  /** Lets go of what was kept for the second look. */
  dispose(): void {
    this.#second?.store.close();
    this.#second = undefined;
  }
}
