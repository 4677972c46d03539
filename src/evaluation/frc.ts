/** Fourier ring correlation: down to which detail two images agree, and the resolution that follows from it. */

import { PtychoError } from '../core/errors.js';
import { meanOf } from '../core/numbers.js';
import { type ComplexImage, formatShape } from '../core/tensor.js';
import { AnyFft2, signedFrequency } from '../physics/fourier.js';
import { centreCut, type EvaluatedImage } from './images.js';

type Image = ComplexImage<Float32Array | Float64Array>;

/** A ring with less of an image's power than this share of the whole holds rounding only. */
const EMPTY_SHARE = 1e-26;

/** How `ringCorrelation` treats what is outside the plain definition. */
export interface RingOptions {
  /** Value of a ring that is empty of light in either image; default 0. The published tools have NaN there. */
  readonly empty?: number;
  /** Only a ring of exactly no power counts as empty, as published; else also one that holds nothing but rounding. */
  readonly exact?: boolean;
}

/** A curve over rings, and how many pixels of the spectrum each ring has. */
export interface RingCurve {
  readonly curve: Float64Array;
  readonly pixels: Int32Array;
  /** Side of the square that was transformed, pixels: ring i is i periods across it. */
  readonly side_px: number;
}

/**
 * |Σ F₁·conj F₂| / √(Σ|F₁|²·Σ|F₂|²) over rings of one frequency step, of two complex images of one shape (cut to their central
 * square): element i belongs to i periods across the image, 0 … the corner of the spectrum. Rings above half the side lie
 * outside the circle that all directions reach.
 * Source: van Heel & Schatz, J. Struct. Biol. 151, 250 (2005).
 *
 * @throws PtychoError DATASET_SHAPE when the shapes differ
 */
export function ringCorrelation(a: Image, b: Image, options: RingOptions = {}): RingCurve {
  if (a.shape.join() !== b.shape.join() || a.shape.length !== 2) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The Fourier ring correlation compares two images of one shape; found ${formatShape(a.shape)} and ${formatShape(b.shape)}.`,
      { a: a.shape, b: b.shape },
    );
  }
  const side = Math.min(a.shape[0], a.shape[1]);
  const { empty = 0, exact = false } = options;
  const fft = new AnyFft2(side, side);
  // What is exactly empty is known of the whole spectrum only.
  const halves = !exact && isReal(a) && isReal(b);
  const first = spectrum(a, side, fft, halves);
  const second = spectrum(b, side, fft, halves);
  const middle = Math.floor(side / 2);
  const rings = Math.round(Math.hypot(middle, middle)) + 1;
  const [re, im, powerA, powerB] = Array.from({ length: 4 }, () => new Float64Array(rings));
  const pixels = new Int32Array(rings);
  for (let r = 0; r < side; r++) {
    const fy = signedFrequency(r, side);
    for (let c = 0; c < first.cols; c++) {
      const fx = signedFrequency(c, side);
      const ring = Math.round(Math.sqrt(fy * fy + fx * fx));
      const i = r * first.cols + c;
      // Of a real image, a column but the first and the middle one also stands for its mirror image.
      const times = halves && c > 0 && 2 * c !== side ? 2 : 1;
      pixels[ring] += times;
      re[ring] += times * (first.re[i] * second.re[i] + first.im[i] * second.im[i]);
      if (!halves) im[ring] += first.im[i] * second.re[i] - first.re[i] * second.im[i];
      powerA[ring] += times * (first.re[i] ** 2 + first.im[i] ** 2);
      powerB[ring] += times * (second.re[i] ** 2 + second.im[i] ** 2);
    }
  }
  const [leastA, leastB] = exact ? [0, 0] : [EMPTY_SHARE * sumOf(powerA), EMPTY_SHARE * sumOf(powerB)];
  const curve = Float64Array.from({ length: rings }, (_, k) => {
    // Written so that NaN in an image is NaN in the curve.
    if (powerA[k] <= leastA || powerB[k] <= leastB) return empty;
    return Math.hypot(re[k], im[k]) / Math.sqrt(powerA[k] * powerB[k]);
  });
  return { curve, pixels, side_px: side };
}

/** The curve of `ringCorrelation` alone; 0 where a ring is empty of light. @throws PtychoError DATASET_SHAPE */
export function fourierRingCorrelation(a: Image, b: Image): Float64Array {
  return ringCorrelation(a, b).curve;
}

/**
 * Where a correlation curve first falls below `threshold`, with linear interpolation between rings: the number of periods across
 * the image that are resolved; the curve's length where it never does, NaN for a curve without numbers. Rings that are NaN are
 * passed over.
 * @param threshold one value, or one for each ring
 */
export function frcCrossing(curve: ArrayLike<number>, threshold: number | ArrayLike<number>): number {
  const at = typeof threshold === 'number' ? () => threshold : (i: number) => threshold[i];
  let numbers = 0;
  for (let i = 0; i < curve.length; i++) {
    if (Number.isNaN(curve[i])) continue;
    numbers++;
    if (curve[i] >= at(i)) continue;
    if (i === 0) return 0;
    const [above, below] = [curve[i - 1] - at(i - 1), curve[i] - at(i)];
    // After a ring that is NaN there is nothing to interpolate with.
    return Number.isNaN(above) ? i : i - 1 + Math.min(1, Math.max(0, above / (above - below)));
  }
  return numbers === 0 ? Number.NaN : curve.length;
}

const sumOf = (values: Float64Array): number => values.reduce((sum, v) => sum + v, 0);

const isReal = (image: Image): boolean => image.im.every((v: number) => v === 0);

/** The transform of the central square, zero frequency first; `half` of it for a real image. */
function spectrum(
  image: Image,
  side: number,
  fft: AnyFft2,
  half: boolean,
): { readonly re: Float64Array; readonly im: Float64Array; readonly cols: number } {
  const square = centreCut(image, side, side);
  const re = Float64Array.from(square.re);
  if (half) return fft.forwardReal(re);
  const im = Float64Array.from(square.im);
  fft.forward(re, im);
  return { re, im, cols: side };
}

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

/** Of the amplitudes, of the phases, and of the images as they are. */
export type OfEach<T> = Readonly<Record<'amplitude' | 'phase' | 'complex', T>>;

const ofEach = <A, B>({ amplitude, phase, complex }: OfEach<A>, of: (one: A) => B): OfEach<B> => ({
  amplitude: of(amplitude),
  phase: of(phase),
  complex: of(complex),
});

/** The curves alone. */
export const curvesOf = (rings: OfEach<RingCurve>): OfEach<Float64Array> => ofEach(rings, ({ curve }) => curve);

/** {@link resolutionsOf} each. */
export const allResolutions = (rings: OfEach<RingCurve>, pixel_m?: number): OfEach<Resolutions> =>
  ofEach(rings, (one) => resolutionsOf(one, pixel_m));

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
