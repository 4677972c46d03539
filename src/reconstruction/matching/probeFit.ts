/** How alike two probes are. */
import type { ComplexTensor } from '../../core/tensor.js';
import { probeWeights } from '../stitching.js';

/** Probes whose intensities correlate less than this are not the same optics. */
export const SAME_PROBE = 0.8;

/** Σ I_a·I_b / √(Σ I_a²·Σ I_b²) of the intensities of two probes of one size; 1 for others. */
export function similarity(a: ComplexTensor, b: ComplexTensor): number {
  const [x, y] = [probeWeights(a).data, probeWeights(b).data];
  if (x.length !== y.length) return 1;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xy += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 1;
}
