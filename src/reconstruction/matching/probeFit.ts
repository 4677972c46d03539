/** How alike two probes are. */
import type { ComplexTensor } from '../../core/tensor.js';
import type { Bundle } from '../../persistence/bundle.js';
import { DiffractionModel } from '../../physics/detector.js';
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

/**
 * How far a network that knows one probe may be trusted with another: the smaller of {@link similarity} and the correlation of the
 * patterns |F P|² of the two, which also knows their phases; 0 for probes of two sizes.
 */
export function probeFit(a: ComplexTensor, b: ComplexTensor): number {
  if (a.shape[a.shape.length - 1] !== b.shape[b.shape.length - 1]) return 0;
  const [x, y] = [patternOf(a), patternOf(b)];
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xy += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  const patterns = xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 0;
  return Math.min(similarity(a, b), patterns);
}

/** |F P|², all modes together. */
function patternOf(probe: ComplexTensor): Float64Array {
  const area = probe.shape[probe.shape.length - 1] ** 2;
  const intensity = new Float64Array(area);
  new DiffractionModel(probe).intensity(new Float64Array(area).fill(1), new Float64Array(area), 0, intensity);
  return intensity;
}

/** The trained probe that fits best, by the name of its scan. */
export function bestFit(
  { scans, probe: own }: Pick<Bundle, 'scans' | 'probe'>,
  probe: ComplexTensor,
): { readonly fit: number; readonly name: string } {
  const known = scans?.filter(({ role }) => role === 'train') ?? [{ name: 'its scan', probe: own }];
  const fits = known.map((scan) => ({ fit: probeFit(probe, scan.probe), name: scan.name }));
  return fits.reduce((best, one) => (one.fit > best.fit ? one : best));
}
