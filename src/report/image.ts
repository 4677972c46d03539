/**
 * Pictures of complex images: amplitude and phase through a colour map, with limits taken from percentiles.
 *
 * @example
 * const picture = renderAmplitude(object, { low: 1, high: 99, mask: overlapCount });
 * await writeFile('amplitude.png', encodePng(picture)); // the pixels alone; `figure` puts axes and a scale around them
 */

import { PtychoError } from '../core/errors.js';
import { type ComplexImage, formatShape } from '../core/tensor.js';
import { type Colormap, complexColour, GRAY, HUES, indexAt, TWILIGHT, VIRIDIS } from './colormaps.js';
import { displayPhase, type PixelMask } from './displayPhase.js';
import type { Pixels } from './png.js';

/** A coloured picture that remembers what its colours mean. */
export interface Picture extends Pixels {
  readonly channels: 3;
  /** Value at the first colour. */
  readonly low: number;
  /** Value at the last colour. */
  readonly high: number;
  readonly colormap: Colormap;
  /** Unit of the values, `rad` for a phase, empty for a plain number. */
  readonly unit: string;
  /** Pixel [row, column] of the whole image that the first pixel was; [0, 0] where not given. */
  readonly cutAt?: readonly [number, number];
  /** Hue is the phase and brightness the amplitude, from 0 to `high`; the colour map is that of the phase. */
  readonly complex?: true;
}

/** A rectangle of pixels. */
export interface PixelRegion {
  /** Pixel [row, column] of its first pixel. */
  readonly at: readonly [number, number];
  readonly width: number;
  readonly height: number;
}

/** What both kinds of picture take. */
export interface RenderOptions {
  /** Non-zero where the image means something, `overlap_count` for instance; the rest is drawn in `BACKGROUND`. */
  readonly mask?: PixelMask;
  /** What is outside the mask is drawn faintly in place of `BACKGROUND`, in the colours of what is inside. */
  readonly faint?: boolean;
  readonly colormap?: Colormap;
}

/** Grey of the pixels that hold nothing. */
export const BACKGROUND: readonly [number, number, number] = [128, 128, 128];

/**
 * The amplitude |o| of an image (rows, columns), coloured between two percentiles of the covered pixels.
 * @param options low and high percentile, 0.5 and 99.5 where not given, or the values themselves as limits; viridis where no colour map is given.
 * @throws PtychoError DATASET_SHAPE for an image that is not two-dimensional, or a mask of another size.
 */
export function renderAmplitude(
  image: ComplexImage,
  options: RenderOptions & { low?: number; high?: number; limits?: readonly [number, number] } = {},
): Picture {
  checkImage(image, options.mask);
  const values = amplitudeOf(image, options.mask);
  const [low, high] = options.limits ?? percentiles(values, options.low ?? 0.5, options.high ?? 99.5);
  const map = options.colormap ?? VIRIDIS;
  const picture = colour(values, image.shape, low, high, map, '');
  if (options.faint && options.mask) fadeIn(picture, amplitudeOf(image), options.mask);
  return picture;
}

/** The amplitude, NaN outside the mask. */
const amplitudeOf = ({ re, im }: ComplexImage, mask?: PixelMask): Float64Array =>
  Float64Array.from(re, (v, i) => (mask === undefined || mask[i] > 0 ? Math.hypot(v, im[i]) : Number.NaN));

/** What shows through of the colours outside the mask. */
const FAINT = 0.22;
const PAPER = 244;

/** Draws faintly, over the background, what a picture has outside its mask; what is no number is left blank. */
function fadeIn(picture: Picture, values: Float64Array, mask: PixelMask): void {
  const whole = colour(values, [picture.height, picture.width], picture.low, picture.high, picture.colormap, '');
  for (let i = 0; i < values.length; i++) {
    if (mask[i] > 0) continue;
    for (let k = 3 * i; k < 3 * i + 3; k++) {
      picture.data[k] = Number.isFinite(values[i]) ? FAINT * whole.data[k] + (1 - FAINT) * PAPER : PAPER;
    }
  }
}

/**
 * The phase of an image (rows, columns), its circular mean set to zero, in radians.
 *
 * `range` is `cycle` for the full turn in a cyclic map, two limits, or `auto`: the 1st and 99th percentile in a map that
 * is not cyclic, so that a weak phase can be seen, and the full turn where these are more than 4 rad apart.
 * @param options removePlane takes off the slope that the measurement leaves undetermined (off where not given).
 * @throws PtychoError DATASET_SHAPE for an image that is not two-dimensional, or a mask of another size.
 */
export function renderPhase(
  image: ComplexImage,
  options: RenderOptions & { removePlane?: boolean; range?: 'auto' | 'cycle' | readonly [number, number] } = {},
): Picture {
  checkImage(image, options.mask);
  const values = displayPhase(image, options);
  const range = options.range ?? 'auto';
  let limits: readonly [number, number] = [-Math.PI, Math.PI];
  if (range === 'auto') {
    const found = percentiles(values, 1, 99);
    if (found[1] - found[0] < 4) limits = found;
  } else if (range !== 'cycle') {
    limits = range;
  }
  const fullTurn = limits[1] - limits[0] >= 2 * Math.PI - 1e-6;
  const map = options.colormap ?? (fullTurn ? TWILIGHT : VIRIDIS);
  const picture = colour(values, image.shape, limits[0], limits[1], map, 'rad');
  if (options.faint && options.mask)
    fadeIn(picture, displayPhase(image, { ...options, everywhere: true }), options.mask);
  return picture;
}

/**
 * An image (rows, columns) in one picture: hue is the phase about its mean, brightness the amplitude, black at 0 and full at the
 * 99.5th percentile of the covered pixels, or at `high`.
 * @throws PtychoError DATASET_SHAPE for an image that is not two-dimensional, or a mask of another size.
 */
export function renderComplex(
  image: ComplexImage,
  options: Pick<RenderOptions, 'mask'> & { removePlane?: boolean; high?: number } = {},
): Picture {
  checkImage(image, options.mask);
  const amplitude = amplitudeOf(image, options.mask);
  const phase = displayPhase(image, options);
  const high = options.high ?? percentiles(amplitude, 0, 99.5)[1];
  const [height, width] = image.shape;
  const data = new Uint8Array(3 * width * height);
  for (let i = 0; i < amplitude.length; i++) {
    if (!Number.isFinite(amplitude[i])) data.fill(PAPER, 3 * i, 3 * i + 3);
    // Without amplitude there is no phase, and the colour is black.
    else data.set(complexColour(amplitude[i] / high, Number.isFinite(phase[i]) ? phase[i] : 0), 3 * i);
  }
  return { width, height, channels: 3, data, low: 0, high, colormap: HUES, unit: '', complex: true };
}

/** The rectangle of the non-zero pixels of a mask; the whole image where there are none. */
export function maskedRegion(mask: PixelMask, [rows, columns]: readonly number[]): PixelRegion {
  let [top, left, bottom, right] = [rows, columns, -1, -1];
  for (let i = 0; i < mask.length; i++) {
    if (!(mask[i] > 0)) continue;
    const [r, c] = [Math.floor(i / columns), i % columns];
    [top, left] = [Math.min(top, r), Math.min(left, c)];
    [bottom, right] = [Math.max(bottom, r), Math.max(right, c)];
  }
  if (bottom < 0) return { at: [0, 0], width: columns, height: rows };
  return { at: [top, left], width: right - left + 1, height: bottom - top + 1 };
}

/** The part of a picture that lies in a rectangle. */
export function cropPicture(picture: Picture, { at: [top, left], width, height }: PixelRegion): Picture {
  const data = new Uint8Array(3 * width * height);
  for (let r = 0; r < height; r++) {
    const start = 3 * ((top + r) * picture.width + left);
    data.set(picture.data.subarray(start, start + 3 * width), 3 * r * width);
  }
  const [row, column] = picture.cutAt ?? [0, 0];
  return { ...picture, data, width, height, cutAt: [row + top, column + left] };
}

/**
 * Plain values (rows, columns) in grey, black at the smallest and white at the largest: a diffraction pattern, a map.
 * NaN is drawn in `BACKGROUND`.
 */
export function renderValues(
  values: ArrayLike<number>,
  shape: readonly number[],
  options: {
    /** Percentiles, 0 and 100 where not given. */
    low?: number;
    high?: number;
    /** The values themselves at the first and the last colour, in place of percentiles. */
    limits?: readonly [number, number];
    colormap?: Colormap;
    unit?: string;
  } = {},
): Picture {
  const copy = Float64Array.from(values);
  const [low, high] = options.limits ?? percentiles(copy, options.low ?? 0, options.high ?? 100);
  return colour(copy, shape, low, high, options.colormap ?? GRAY, options.unit ?? '');
}

/** A number in at most six characters, for the ends of a scale. */
export function shortNumber(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e4 || size < 1e-2) return value.toExponential(1).replace('e+', 'e');
  if (size >= 1000) return String(Math.round(value));
  return value
    .toPrecision(3)
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
}

function checkImage(image: ComplexImage, mask: PixelMask | undefined): void {
  if (image.shape.length !== 2 || image.re.length === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A picture needs an image of rows and columns, got shape ${formatShape(image.shape)}.`,
      { found: image.shape },
    );
  }
  if (mask !== undefined && mask.length !== image.re.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The mask of a picture must have its ${image.re.length} pixels, got ${mask.length}.`,
      { found: mask.length, expected: image.re.length },
    );
  }
}

/** Two percentiles of the finite values by linear interpolation; equal limits are spread so that colours exist. */
function percentiles(values: Float64Array, low: number, high: number): [number, number] {
  const finite = values.filter((v) => Number.isFinite(v)).sort();
  if (finite.length === 0) return [0, 1];
  const at = (percent: number) => {
    const position = (Math.min(100, Math.max(0, percent)) / 100) * (finite.length - 1);
    const below = Math.floor(position);
    const above = Math.min(finite.length - 1, below + 1);
    return finite[below] + (position - below) * (finite[above] - finite[below]);
  };
  const [from, to] = [at(low), at(high)];
  // A constant image differs by rounding only; without this it would be drawn as noise at full contrast.
  const least = 1e-6 * Math.max(1, Math.abs(from), Math.abs(to));
  if (to - from >= least) return [from, to];
  const middle = (from + to) / 2;
  return [middle - least, middle + least];
}

function colour(
  values: Float64Array,
  shape: readonly number[],
  low: number,
  high: number,
  colormap: Colormap,
  unit: string,
): Picture {
  const [height, width] = shape;
  const data = new Uint8Array(width * height * 3);
  const span = high - low;
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (!Number.isFinite(v)) {
      data.set(BACKGROUND, 3 * i);
      continue;
    }
    const row = indexAt(colormap, (v - low) / span);
    data[3 * i] = colormap.rgb[3 * row];
    data[3 * i + 1] = colormap.rgb[3 * row + 1];
    data[3 * i + 2] = colormap.rgb[3 * row + 2];
  }
  return { width, height, channels: 3, data, low, high, colormap, unit };
}
