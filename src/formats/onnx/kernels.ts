/**
 * Kernels rearranged for the convolutions that gradients and doubled images are made of. Turning and summing the few
 * entries of a kernel is linear, and a matrix product does it several times faster than slices do.
 */
import type { Emitter } from './emitter.js';

/** w [Co,Ci,k,k] turned by 180°, channels swapped: [Ci,Co,k,k]. */
export function turned(g: Emitter, w: string, [co, ci, k]: readonly number[]): string {
  if (k === 1) return g.transpose(w, [1, 0, 2, 3]);
  const n = k * k;
  const reversal = linear(n, n, (put) => {
    for (let q = 0; q < n; q++) put(q, n - 1 - q);
  });
  return swapped(g, w, [co, ci, n], reversal, [ci, co, k, k]);
}

/**
 * Doubling pixels and then convolving with w [Co,Ci,3,3] is one transposed convolution of stride 2 with this kernel
 * [Ci,Co,4,4]: w turned and summed over 2×2 boxes. Exact, and a quarter of the multiplications.
 */
export function boxKernel(g: Emitter, w: string, [co, ci]: readonly number[]): string {
  return swapped(g, w, [co, ci, 9], boxSums, [ci, co, 4, 4]);
}

/** A linear map of a kernel's entries: row-major [from, to]. */
export interface LinearMap {
  readonly data: Float32Array;
  readonly shape: readonly [from: number, to: number];
}

function linear(from: number, to: number, fill: (put: (from: number, to: number) => void) => void): LinearMap {
  const data = new Float32Array(from * to);
  fill((i, j) => {
    data[i * to + j] += 1;
  });
  return { data, shape: [from, to] };
}

/** Entry (i, j) of the 3×3 kernel adds to the 2×2 box of the turned 4×4 kernel that ends at (3−i, 3−j). */
const boxSums = linear(9, 16, (put) => {
  for (let i = 0; i < 3; i++)
    for (let j = 0; j < 3; j++)
      for (let a = 2 - i; a <= 3 - i; a++) for (let b = 2 - j; b <= 3 - j; b++) put(3 * i + j, 4 * a + b);
});

/**
 * The adjoint of {@link boxKernel}'s sums, [9, 16], for 4×4 kernels whose entries are in the order (half of the row,
 * half of the column, row in the half, column in the half), which is how blocks of 2×2 pixels come.
 */
export const boxSumsAdjoint: LinearMap = (() => {
  const data = new Float32Array(9 * 16);
  for (let q = 0; q < 9; q++)
    for (let p = 0; p < 16; p++) {
      const [a, c, r, s] = [p >> 3, (p >> 2) & 1, (p >> 1) & 1, p & 1];
      data[q * 16 + p] = boxSums.data[q * 16 + 4 * (2 * a + r) + 2 * c + s];
    }
  return { data, shape: [9, 16] };
})();

function swapped(
  g: Emitter,
  w: string,
  [co, ci, n]: readonly number[],
  map: LinearMap,
  shape: readonly number[],
): string {
  const rows = g.reshape(g.transpose(g.reshape(w, [co, ci, n]), [1, 0, 2]), [ci * co, n]);
  return g.reshape(g.op('MatMul', [rows, g.floats(map.data, map.shape)]), shape);
}
