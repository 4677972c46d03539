/** Two images of a session on the same pixels. */
import { PtychoError } from '../../core/errors.js';
import type { ComplexImage } from '../../core/tensor.js';
import { alignComplex, relativeDistance } from '../../evaluation/align.js';
import { cutToCommonFrame } from '../../evaluation/commonFrame.js';
import { halfBitThreshold, resolutionsOf, taperedRingCorrelation } from '../../evaluation/frc.js';
import { cutImage, type EvaluatedImage } from '../../evaluation/images.js';
import { registerImages } from '../../evaluation/register.js';
import { applyRegistration } from '../../evaluation/shift.js';
import type { Frame } from '../../reconstruction/frame.js';
import type { Result } from './results.js';
import type { CompareView } from './views.js';

/** The covered rectangle of an image, so that what was never lit does not count. */
function lit({ image, frame, coverage }: Result): { readonly image: ComplexImage; readonly frame: Frame } {
  const { width, height, originYxPx } = frame;
  let [top, bottom, left, right] = [height, -1, width, -1];
  for (let i = 0; i < coverage.data.length; i++) {
    if (!(coverage.data[i] >= LIT)) continue;
    const [row, column] = [Math.floor(i / width), i % width];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row)];
    [left, right] = [Math.min(left, column), Math.max(right, column)];
  }
  if (bottom < top) return { image, frame };
  const [rows, columns] = [bottom - top + 1, right - left + 1];
  return {
    image: cutImage(image, top, left, rows, columns),
    frame: { originYxPx: [originYxPx[0] + top, originYxPx[1] + left], height: rows, width: columns },
  };
}

/** Of the brightest pixel: a tenth of the light there. */
const LIT = 0.1;

/**
 * Cuts two results to the pixels that both cover, moves the second onto the first where that can be found, scales it by one complex
 * factor and takes its phase ramp out.
 * @throws PtychoError DATASET_SHAPE where they share nothing
 */
export function compareResults(first: Result, second: Result): CompareView {
  const [one, two] = [lit(first), lit(second)];
  const cut = cutToCommonFrame(one, two.image, { truthOriginYxPx: two.frame.originYxPx });
  const registration = registerImages(cut.image, cut.truth);
  const moved = registration.succeeded ? applyRegistration(cut.image, cut.truth, registration.shiftYxPx) : undefined;
  const [a, b] = moved ? [moved.fixed, moved.moving] : [cut.image, cut.truth];
  const [top, left] = moved?.cornerYx ?? [0, 0];
  const { aligned } = alignComplex(b, a);
  const rings = taperedRingCorrelation(a, aligned);
  const [height, width] = a.shape;
  if (height < LEAST_SIDE_PX || width < LEAST_SIDE_PX) {
    throw new PtychoError('DATASET_SHAPE', `${first.title} and ${second.title} share ${height}×${width} pixels, too few to compare.`, { found: a.shape }); // biome-ignore format: one call
  }
  return {
    ...{ a: single(a), b: single(aligned) },
    frame: { originYxPx: [cut.frame.originYxPx[0] + top, cut.frame.originYxPx[1] + left], height, width },
    registration: { shiftYxPx: registration.shiftYxPx, succeeded: registration.succeeded, reason: registration.reason },
    relativeError: relativeDistance(aligned, a),
    frc: { curve: rings.curve, threshold: halfBitThreshold(rings.pixels), side_px: rings.side_px },
    resolutions: resolutionsOf(rings, first.pixel_m?.x),
  };
}

const LEAST_SIDE_PX = 8;

const single = ({ re, im, shape }: EvaluatedImage): ComplexImage => ({
  re: Float32Array.from(re),
  im: Float32Array.from(im),
  shape,
});
