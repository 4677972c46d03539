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
  const ramp = fitRamp(conjugateProduct(truth, recon, mask));
  const aligned = removeRamp(recon, ramp);
  const scale = bestScale(aligned, truth, mask) ?? { re: 0, im: 0 };
  for (let i = 0; i < aligned.re.length; i++) {
    const a = aligned.re[i];
    const b = aligned.im[i];
    aligned.re[i] = a * scale.re - b * scale.im;
    aligned.im[i] = a * scale.im + b * scale.re;
  }
  return { aligned, scale, ramp };
}

/** conj(a)·b where the mask is set, 0 elsewhere. */
export function conjugateProduct(a: Image, b: Image, mask?: ArrayLike<number>): ComplexImage<Float64Array> {
  const at = (i: number, value: number) => (mask && !mask[i] ? 0 : value);
  const re = Float64Array.from(a.re, (v, i) => at(i, v * b.re[i] + a.im[i] * b.im[i]));
  const im = Float64Array.from(a.re, (v, i) => at(i, v * b.im[i] - a.im[i] * b.re[i]));
  return { re, im, shape: a.shape };
}

/** The complex factor of least squares that brings `from` to `to` where the mask is set; undefined where `from` is 0 there. */
export function bestScale(from: Image, to: Image, mask?: ArrayLike<number>): Alignment['scale'] | undefined {
  let [re, im, power] = [0, 0, 0];
  for (let i = 0; i < from.re.length; i++) {
    if (mask && !mask[i]) continue;
    re += from.re[i] * to.re[i] + from.im[i] * to.im[i];
    im += from.re[i] * to.im[i] - from.im[i] * to.re[i];
    power += from.re[i] ** 2 + from.im[i] ** 2;
  }
  return power > 0 ? { re: re / power, im: im / power } : undefined;
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
  return relativeObjectError(constantLike(truth), truth, mask);
}

/** An object of the value 1 everywhere. */
export function constantLike({ re: { length }, shape }: Image): ComplexImage<Float64Array> {
  return { re: new Float64Array(length).fill(1), im: new Float64Array(length), shape };
}
