/** The published mask with a soft edge, which no program uses. */
import type { Tensor } from '../../../src/core/tensor.js';
import { gaussianBlur } from '../../../src/physics/gaussian.js';
import { probeMask } from '../../../src/physics/probe.js';

/** The soft probe mask (N, N): a disk of diameter N/2 blurred by σ = 1 px (zeros outside, ±3 px), largest value 1. */
export function softProbeMask(side: number): Tensor<Float64Array> {
  const mask = gaussianBlur(probeMask(side), 1, { edge: 'zero', radius: 3 });
  const largest = mask.data.reduce((a, b) => Math.max(a, b), 0);
  for (let i = 0; i < mask.data.length; i++) mask.data[i] = Math.min(1, Math.max(0, mask.data[i] / largest));
  return mask;
}
