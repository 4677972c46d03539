/** The published options for scans whose axes disagree with those of the patches, and the weights of patches by the probe. */
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { ScanBounds } from './frame.js';
import type { ReconstructOptions } from './reconstruct.js';

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

/** The factors that {@link PatchPlacement} multiplies places by. */
export function placeFactors({ flip_x = false, flip_y = false, coord_scale = 1 }: PatchPlacement): {
  readonly x: number;
  readonly y: number;
} {
  return { x: flip_x ? -coord_scale : coord_scale, y: flip_y ? -coord_scale : coord_scale };
}

/** Bounds after both axes were multiplied by a factor, which may be negative. */
export function scaleBounds(bounds: ScanBounds, factors: { readonly x: number; readonly y: number }): ScanBounds {
  const [xa, xb] = [bounds.xMin * factors.x, bounds.xMax * factors.x];
  const [ya, yb] = [bounds.yMin * factors.y, bounds.yMax * factors.y];
  return { xMin: Math.min(xa, xb), xMax: Math.max(xa, xb), yMin: Math.min(ya, yb), yMax: Math.max(ya, yb) };
}

/** Σ_p |P_p|² (N, N), largest value 1. */
export function probeWeights(probe: ComplexTensor): Tensor {
  const shape = probe.shape.slice(-2);
  const w = new Float32Array(shape[0] * shape[1]);
  for (let i = 0; i < probe.re.length; i++) w[i % w.length] += probe.re[i] ** 2 + probe.im[i] ** 2;
  const largest = w.reduce((m, v) => Math.max(m, v), 0);
  return { data: w.map((v) => v / largest), shape };
}

/** How much each pixel of a patch counts: the probe's intensity there, or undefined for evenly. */
export function patchWeightsOf({
  patch_weighting,
  probe,
  network,
}: Pick<ReconstructOptions, 'patch_weighting' | 'probe' | 'network'>): Tensor | undefined {
  return patch_weighting === 'probe' ? probeWeights(probe ?? network.spec.scale.probe) : undefined;
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
