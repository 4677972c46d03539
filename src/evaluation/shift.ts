/** Moving an image by parts of a pixel. */
import { PtychoError } from '../core/errors.js';
import { notFiniteAt } from '../core/numbers.js';
import type { ComplexImage } from '../core/tensor.js';
import { AnyFft2, signedFrequency } from '../physics/fourier.js';
import { imageSides } from '../physics/sampling.js';
import { shiftByKernel } from '../physics/shiftByKernel.js';
import { cutImage, type EvaluatedImage } from './images.js';

/** Rows down, columns to the right: out(r, c) = in(r − dy, c − dx). */
export type ShiftYx = readonly [dy: number, dx: number];

/**
 * An image moved by a shift in Fourier space, out(r, c) = in(r − dy, c − dx): exact for what repeats, as published. What
 * leaves at one side comes in at the other, so cut at least |shift| pixels off afterwards, or use {@link applyRegistration}.
 * @throws PtychoError DATASET_VALUE for a shift that is not finite, or pixels, each of which would spread over the whole image
 */
export function shiftImage(image: EvaluatedImage, [dy, dx]: ShiftYx): ComplexImage {
  const [rows, cols] = imageSides(image);
  requireShift([dy, dx]);
  const pixel = notFiniteAt(image.re, image.im);
  if (pixel >= 0) {
    throw new PtychoError('DATASET_VALUE', `The image to be moved has a value that is not finite (row ${Math.floor(pixel / cols)}, column ${pixel % cols}), which would spread over all of it; cut it off, or put a number in its place.`, { pixel }); // biome-ignore format: one call
  }
  const re = Float64Array.from(image.re);
  const im = Float64Array.from(image.im);
  const fft = new AnyFft2(rows, cols);
  fft.forward(re, im);
  const [down, right] = [turns(rows, dy), turns(cols, dx)];
  for (let r = 0, i = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++, i++) {
      const a = down.re[r] * right.re[c] - down.im[r] * right.im[c];
      const b = down.re[r] * right.im[c] + down.im[r] * right.re[c];
      [re[i], im[i]] = [re[i] * a - im[i] * b, re[i] * b + im[i] * a];
    }
  }
  fft.inverse(re, im);
  return { re: Float32Array.from(re), im: Float32Array.from(im), shape: image.shape };
}

/** Two images on the same pixels. */
export interface RegisteredPair {
  readonly fixed: EvaluatedImage;
  readonly moving: EvaluatedImage;
  /** Pixel [row, column] of the original `fixed` that is now the first. */
  readonly cornerYx: readonly [number, number];
}

/** Pixels that are left out at each side of registered images, as published. */
const MARGIN = 2;

/**
 * Two images of any sizes after registration, cut to the pixels that both have: `moving` is moved by the shift, whole pixels by
 * cutting and the rest by interpolation, so that nothing comes in from the other side.
 *
 * @param shiftYxPx as {@link registerImages} found it: `moving` is to be moved by it
 * @param margin left out at each side besides, default 2 pixels
 * @returns undefined where they share nothing
 * @throws PtychoError DATASET_VALUE for a shift that is not finite, as a registration has that failed
 */
export function applyRegistration(
  fixed: EvaluatedImage,
  moving: EvaluatedImage,
  [dy, dx]: ShiftYx,
  margin = MARGIN,
): RegisteredPair | undefined {
  requireShift([dy, dx]);
  const [down, right] = [Math.round(dy), Math.round(dx)];
  const rest: ShiftYx = [dy - down, dx - right];
  const moved = rest[0] === 0 && rest[1] === 0 ? moving : shiftByKernel(moving, rest);
  // In pixels of `fixed`.
  const top = Math.max(0, down) + margin;
  const left = Math.max(0, right) + margin;
  const height = Math.min(fixed.shape[0], moving.shape[0] + down) - margin - top;
  const width = Math.min(fixed.shape[1], moving.shape[1] + right) - margin - left;
  if (height <= 0 || width <= 0) return undefined;
  return {
    fixed: cutImage(fixed, top, left, height, width),
    moving: cutImage(moved, top - down, left - right, height, width),
    cornerYx: [top, left],
  };
}

function requireShift([dy, dx]: ShiftYx): void {
  if (Number.isFinite(dy) && Number.isFinite(dx)) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `An image cannot be moved by (${dy}, ${dx}) px: a registration that failed has such a shift, so look at its "succeeded" and "reason" first.`,
    { found: [dy, dx] },
  );
}

/** e^{−2πi·k·d/n} for the frequencies of a transform of n points. */
function turns(n: number, d: number): { readonly re: Float64Array; readonly im: Float64Array } {
  const re = new Float64Array(n);
  const im = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    const angle = (-2 * Math.PI * signedFrequency(k, n) * d) / n;
    re[k] = Math.cos(angle);
    im[k] = Math.sin(angle);
  }
  return { re, im };
}
