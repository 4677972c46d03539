/** How large a probe is, for overlaps and neighbourhoods. */
import type { ComplexTensor } from '../../core/tensor.js';

/**
 * Diameter in pixels of a disc as large as the probe: 2·√(A/π), A = (Σ|P|²)² / Σ|P|⁴ pixels; the modes of a (P, N, N) probe
 * add up in intensity first.
 */
export function probeDiameter({ re, im, shape }: ComplexTensor<Float32Array | Float64Array>): number {
  const area = shape[shape.length - 1] * shape[shape.length - 2];
  let [sum, squares] = [0, 0];
  for (let p = 0; p < area; p++) {
    let intensity = 0;
    for (let i = p; i < re.length; i += area) intensity += re[i] * re[i] + im[i] * im[i];
    sum += intensity;
    squares += intensity * intensity;
  }
  return squares === 0 ? 0 : 2 * Math.sqrt((sum * sum) / squares / Math.PI);
}
