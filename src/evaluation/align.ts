/**
 * Alignment of a reconstruction with a truth: ptychography leaves a complex factor and, where the probe may move, a linear
 * phase ramp undetermined. Both images must lie in the same frame.
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, formatShape, sameShape } from '../core/tensor.js';
import { fitRamp, type PhaseRamp, removeRamp } from './phase.js';

type Image = ComplexImage<Float32Array | Float64Array>;

/** A reconstruction in the gauge of the truth. */
export interface Alignment {
  /** scale · recon · e^{−i·ramp}. */
  readonly aligned: ComplexImage<Float64Array>;
  readonly scale: { readonly re: number; readonly im: number };
  /** Radians per pixel. */
  readonly ramp: PhaseRamp;
}

/**
 * The complex scale and phase ramp that bring `recon` closest to `truth` in the least-squares sense over the mask: the ramp
 * from the peak of the Fourier transform of conj(truth)·recon, refined; then the best scale.
 *
 * @param mask (rows, cols); pixels where it is not zero count
 * @throws PtychoError DATASET_SHAPE when the shapes differ
 */
export function alignComplex(recon: Image, truth: Image, mask?: ArrayLike<number>): Alignment {
  if (!sameShape(recon.shape, truth.shape)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A reconstruction of shape ${formatShape(recon.shape)} cannot be compared with a truth of shape ${formatShape(truth.shape)}; bring both to one frame first.`,
      { recon: recon.shape, truth: truth.shape },
    );
  }
  const size = recon.re.length;
  const product = { re: new Float64Array(size), im: new Float64Array(size), shape: recon.shape };
  for (let i = 0; i < size; i++) {
    if (mask && !mask[i]) continue;
    product.re[i] = truth.re[i] * recon.re[i] + truth.im[i] * recon.im[i];
    product.im[i] = truth.re[i] * recon.im[i] - truth.im[i] * recon.re[i];
  }
  const ramp = fitRamp(product);
  const aligned = removeRamp(recon, ramp);
  let re = 0;
  let im = 0;
  let power = 0;
  for (let i = 0; i < size; i++) {
    if (mask && !mask[i]) continue;
    re += aligned.re[i] * truth.re[i] + aligned.im[i] * truth.im[i];
    im += aligned.re[i] * truth.im[i] - aligned.im[i] * truth.re[i];
    power += aligned.re[i] ** 2 + aligned.im[i] ** 2;
  }
  const scale = power > 0 ? { re: re / power, im: im / power } : { re: 0, im: 0 };
  for (let i = 0; i < size; i++) {
    const a = aligned.re[i];
    const b = aligned.im[i];
    aligned.re[i] = a * scale.re - b * scale.im;
    aligned.im[i] = a * scale.im + b * scale.re;
  }
  return { aligned, scale, ramp };
}

/** ‖aligned recon − truth‖ / ‖truth‖ over the mask, after {@link alignComplex}: 0 is perfect, 1 is as good as nothing. */
export function relativeObjectError(recon: Image, truth: Image, mask?: ArrayLike<number>): number {
  return relativeDistance(alignComplex(recon, truth, mask).aligned, truth, mask);
}

/** ‖a − truth‖ / ‖truth‖ over the mask, as they are. */
export function relativeDistance(a: Image, truth: Image, mask?: ArrayLike<number>): number {
  let distance = 0;
  let power = 0;
  for (let i = 0; i < a.re.length; i++) {
    if (mask && !mask[i]) continue;
    distance += (a.re[i] - truth.re[i]) ** 2 + (a.im[i] - truth.im[i]) ** 2;
    power += truth.re[i] ** 2 + truth.im[i] ** 2;
  }
  return power > 0 ? Math.sqrt(distance / power) : Number.NaN;
}

/** The {@link relativeObjectError} of the best constant object: what any reconstruction must beat. */
export function constantObjectError(truth: Image, mask?: ArrayLike<number>): number {
  const ones = {
    re: new Float64Array(truth.re.length).fill(1),
    im: new Float64Array(truth.re.length),
    shape: truth.shape,
  };
  return relativeObjectError(ones, truth, mask);
}
