/** Figures of complex fields that solvers lower or keep, and no program asks for. */
import type { ComplexTensor } from '../../../src/core/tensor.js';

type Planes = Pick<ComplexTensor, 're' | 'im'>;

/** Power of each mode, Σ|P|². */
export function modePowers({ re, im }: Planes, pixels: number): number[] {
  return Array.from({ length: re.length / pixels }, (_, m) => {
    let sum = 0;
    for (let i = m * pixels; i < (m + 1) * pixels; i++) sum += re[i] * re[i] + im[i] * im[i];
    return sum;
  });
}

/** Σ of the lengths of the gradients: what `smoothTotalVariation` lowers. */
export function totalVariation(
  { re, im }: Planes,
  { height, width }: { readonly height: number; readonly width: number },
): number {
  let sum = 0;
  for (let r = 0, i = 0; r < height; r++) {
    for (let c = 0; c < width; c++, i++) {
      const down = r + 1 < height ? i + width : i;
      const right = c + 1 < width ? i + 1 : i;
      sum += Math.hypot(re[down] - re[i], re[right] - re[i], im[down] - im[i], im[right] - im[i]);
    }
  }
  return sum;
}
