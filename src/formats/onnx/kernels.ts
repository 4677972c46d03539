/** Kernels rearranged for the convolutions that the gradients and the doubled images are made of. */
import type { Emitter } from './emitter.js';

/** w [Co,Ci,k,k] turned by 180°, channels swapped: [Ci,Co,k,k]. */
export function turned(g: Emitter, w: string, kernel: number): string {
  const flipped = kernel === 1 ? w : g.slice(w, [2, 3], [-1, -1], [-kernel - 1, -kernel - 1], [-1, -1]);
  return g.transpose(flipped, [1, 0, 2, 3]);
}

/**
 * Doubling pixels and then convolving with w [Co,Ci,3,3] is one transposed convolution of stride 2 with this kernel
 * [Ci,Co,4,4]: w turned and summed over 2×2 boxes. Exact, and a quarter of the multiplications.
 */
export function boxKernel(g: Emitter, w: string): string {
  const framed = g.pad(turned(g, w, 3), [0, 0, 1, 1], [0, 0, 1, 1]);
  const parts = [0, 1].flatMap((i) => [0, 1].map((j) => g.slice(framed, [2, 3], [i, j], [i + 4, j + 4])));
  return g.op('Sum', parts);
}
