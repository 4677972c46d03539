/** From a ring correlation curve to a resolution. */

import { meanOf } from '../core/numbers.js';
import { frcCrossing, type RingCurve, ringCorrelation } from './frc.js';
import { centreCut, type EvaluatedImage } from './images.js';

/** A resolution, told in all the ways people tell it. */
export interface Resolution {
  /** Periods across the image where the curve falls below the threshold; at most half the side. */
  readonly ring: number;
  /** Half a period, the finest detail that is resolved, in pixels; 1 is the finest that pixels hold. */
  readonly px: number;
  /** The same in metres; there where a pixel size is known. */
  readonly m?: number;
  /** The curve stays above the threshold to the end (Nyquist): the image is finer than its pixels can show. */
  readonly beyond_nyquist: boolean;
}

/** Thresholds that resolutions are read at. */
export interface Resolutions {
  readonly frc50: Resolution;
  readonly frc1over7: Resolution;
  readonly half_bit: Resolution;
}

/** Width of the slope at each edge, as a share of the side. */
const TAPER = 0.125;

/**
 * The ring correlation of two images as it should be measured: means taken out and edges tapered (a window is not periodic, and
 * the jump between its edges would correlate by itself), rings to Nyquist only.
 * @throws PtychoError DATASET_SHAPE when the shapes differ
 */
export function taperedRingCorrelation(a: EvaluatedImage, b: EvaluatedImage): RingCurve {
  const { curve, pixels, side_px } = ringCorrelation(tapered(a), tapered(b));
  const rings = Math.floor(side_px / 2) + 1;
  // Ring 0 holds what the taper left of the means that were taken out: it says nothing, and 1 lets no threshold end there.
  const first = curve.slice(0, rings);
  first[0] = rings > 1 && Number.isNaN(first[1]) ? Number.NaN : 1;
  return { curve: first, pixels: pixels.slice(0, rings), side_px };
}

/**
 * The half-bit threshold for rings of n pixels: (0.2071 + 1.9102/√n) / (1.2071 + 0.9102/√n).
 * Source: van Heel & Schatz, J. Struct. Biol. 151, 250 (2005), eq. 17.
 */
export function halfBitThreshold(pixels: ArrayLike<number>): Float64Array {
  return Float64Array.from({ length: pixels.length }, (_, i) => {
    const root = Math.sqrt(Math.max(1, pixels[i]));
    return (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root);
  });
}

/** The resolutions of a curve to Nyquist. @param pixel_m side of a pixel, metres */
export function resolutionsOf(rings: RingCurve, pixel_m?: number): Resolutions {
  const at = (threshold: number | Float64Array): Resolution => {
    const crossing = frcCrossing(rings.curve, threshold);
    const last = rings.curve.length - 1;
    const ring = Math.min(crossing, last);
    // Ring 0 resolves nothing: half an infinite period.
    const px = ring > 0 ? rings.side_px / (2 * ring) : ring === 0 ? Number.POSITIVE_INFINITY : Number.NaN;
    return { ring, px, ...(pixel_m === undefined ? {} : { m: px * pixel_m }), beyond_nyquist: crossing > last };
  };
  const halfBit = halfBitThreshold(rings.pixels);
  // One pixel can hold no half bit: its threshold is 1, which is all that ring 0 is given.
  halfBit[0] = 0;
  return { frc50: at(0.5), frc1over7: at(1 / 7), half_bit: at(halfBit) };
}

/** The central square less its mean, falling to zero at the edges as a cosine. */
function tapered(image: EvaluatedImage): EvaluatedImage {
  const side = Math.min(...image.shape);
  const square = centreCut(image, side, side);
  const [re, im] = [Float64Array.from(square.re), Float64Array.from(square.im)];
  const [meanRe, meanIm] = [meanOf(re), meanOf(im)];
  const slope = tukeyWindow(side, TAPER);
  for (let r = 0, i = 0; r < side; r++) {
    for (let c = 0; c < side; c++, i++) {
      const weight = slope[r] * slope[c];
      re[i] = (re[i] - meanRe) * weight;
      im[i] = (im[i] - meanIm) * weight;
    }
  }
  return { re, im, shape: [side, side] };
}

/** 1 in the middle, falling as a cosine over `share` of the length at each end. */
export function tukeyWindow(length: number, share: number): Float64Array {
  const width = Math.max(1, share * length);
  return Float64Array.from({ length }, (_, i) => {
    const fromEdge = Math.min(i, length - 1 - i) + 0.5;
    return fromEdge >= width ? 1 : 0.5 - 0.5 * Math.cos((Math.PI * fromEdge) / width);
  });
}
