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

/**
 * Width of a probe: the diameter of a disc of as many pixels as have half the largest intensity or more (modes added up), which is
 * the full width at half maximum of a round probe.
 */
export function probeFwhm({ re, im, shape }: ComplexTensor<Float32Array | Float64Array>): number {
  const area = shape[shape.length - 1] * shape[shape.length - 2];
  const intensity = new Float64Array(area);
  for (let i = 0; i < re.length; i++) intensity[i % area] += re[i] * re[i] + im[i] * im[i];
  const half = intensity.reduce((most, v) => Math.max(most, v), 0) / 2;
  const lit = intensity.reduce((count, v) => count + (half > 0 && v >= half ? 1 : 0), 0);
  return 2 * Math.sqrt(lit / Math.PI);
}
