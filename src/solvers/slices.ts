/** Objects of several slices, one after the other in the planes of a field: what each holds, and what all of them come to. */
import type { ComplexImage, ComplexTensor } from '../core/tensor.js';
import { unwrapPhase } from '../physics/unwrap.js';
import { type Frame, fillUncovered, moveToFrame } from '../reconstruction/frame.js';
import type { SolverStart } from './updates.js';

/** Real and imaginary parts of the same length. */
interface Parts {
  readonly re: Float32Array<ArrayBufferLike>;
  readonly im: Float32Array<ArrayBufferLike>;
}

/** The slices of a field, which share its memory. */
export function slicesOf<P extends Parts>({ re, im }: P, pixels: number): Parts[] {
  return Array.from({ length: re.length / pixels }, (_, s) => ({
    re: re.subarray(s * pixels, (s + 1) * pixels),
    im: im.subarray(s * pixels, (s + 1) * pixels),
  }));
}

/** A field as an image, or as slices where there are several, (slices, height, width); copied. */
export const asSlices = ({ re, im }: Parts, { height, width }: Pick<Frame, 'height' | 'width'>): ComplexTensor => ({
  re: Float32Array.from(re),
  im: Float32Array.from(im),
  shape: [re.length / (height * width), height, width],
});

/**
 * Puts an object that is given into a field: its layers, where they are as many as slices, or its image, shared out evenly.
 * @param frame of the field
 */
export function beginWith(object: NonNullable<SolverStart['object']>, field: Parts, frame: Frame): void {
  const slices = slicesOf(field, frame.height * frame.width);
  const placed = (image: ComplexImage) => {
    const { image: whole, fill } = fillUncovered(image, { overlapCount: object.covered });
    return moveToFrame(whole, object.frame, frame, fill);
  };
  const { layers } = object;
  const known = layers?.array.shape[0] === slices.length;
  const whole = known ? undefined : placed(object.image);
  const share = whole && (slices.length === 1 ? whole : rootOf(whole, slices.length));
  slices.forEach((slice, s) => {
    const image = share ?? placed(layerOf(layers!.array, s));
    slice.re.set(image.re);
    slice.im.set(image.im);
  });
}

function layerOf({ re, im, shape: [, height, width] }: ComplexTensor, s: number): ComplexImage {
  const pixels = height * width;
  const cut = (part: Float32Array) => part.slice(s * pixels, (s + 1) * pixels);
  return { re: cut(re), im: cut(im), shape: [height, width] };
}

/** What has the image as its n-th power, without steps where its phase wraps. */
function rootOf({ re, im, shape }: ComplexImage, n: number): ComplexImage {
  const { phase } = unwrapPhase(
    Float64Array.from(re, (v, i) => Math.atan2(im[i], v)),
    shape,
  );
  const size = Float64Array.from(re, (v, i) => Math.hypot(v, im[i]) ** (1 / n));
  return {
    re: Float32Array.from(size, (v, i) => v * Math.cos(phase[i] / n)),
    im: Float32Array.from(size, (v, i) => v * Math.sin(phase[i] / n)),
    shape,
  };
}
