/** Kept patches laid down once more: at other positions, or with other phases. */
import { type PatchPhases, turnPatches } from './patchPhases.js';
import type { PatchStore } from './patchStore.js';
import type { PatchStitcher } from './stitch.js';

/** What differs from how the patches came. */
export interface LayKeptOptions {
  /** (n) every patch is multiplied by e^{−i·angle}. */
  readonly angles?: Float64Array;
  /** (n) positions in place of those that the patches came with. */
  readonly places?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

/** Adds all patches of a store to a stitcher. */
export function layKept(store: PatchStore, stitcher: PatchStitcher, { angles, places }: LayKeptOptions): void {
  for (const { re, im, count, xs, ys, start } of store.chunks()) {
    if (angles) turnPatches(re, im, count, store.cropSide, angles.subarray(start));
    stitcher.add(re, im, count, store.cropSide, places?.xs.subarray(start) ?? xs, places?.ys.subarray(start) ?? ys);
  }
}

/** Takes note of all patches of a store at other positions, for the angles that make neighbours agree there. */
export function noteKept(store: PatchStore, phases: PatchPhases, xs: Float64Array, ys: Float64Array): void {
  for (const { re, im, count, start } of store.chunks()) {
    phases.add(re, im, count, store.cropSide, xs.subarray(start), ys.subarray(start));
  }
}
