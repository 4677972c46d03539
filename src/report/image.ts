/**
 * Pictures of complex images: amplitude and phase through a colour map, with limits taken from percentiles.
 *
 * @example
 * const picture = renderAmplitude(object, { low: 1, high: 99, mask: overlapCount });
 * await writeFile('amplitude.png', encodePng(withColourBar(picture)));
 */

import { PtychoError } from '../core/errors.js';
import { type ComplexImage, formatShape } from '../core/tensor.js';
import { Canvas, GLYPH_HEIGHT, textWidth } from './canvas.js';
import { type Colormap, colourAt, GRAY, indexAt, TWILIGHT, VIRIDIS } from './colormaps.js';
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
}

/** What both kinds of picture take. */
export interface RenderOptions {
  /** Non-zero where the image means something, `overlap_count` for instance; the rest is drawn in {@link BACKGROUND}. */
  readonly mask?: PixelMask;
  readonly colormap?: Colormap;
}

/** Grey of the pixels that hold nothing. */
export const BACKGROUND: readonly [number, number, number] = [128, 128, 128];

/**
 * The amplitude |o| of an image (rows, columns), coloured between two percentiles of the covered pixels.
 * @param options low and high percentile, 0.5 and 99.5 where not given; viridis where no colour map is given.
 * @throws PtychoError DATASET_SHAPE for an image that is not two-dimensional, or a mask of another size.
 */
export function renderAmplitude(
  image: ComplexImage,
  options: RenderOptions & { low?: number; high?: number } = {},
): Picture {
  checkImage(image, options.mask);
  const values = new Float64Array(image.re.length);
  for (let i = 0; i < values.length; i++) {
    values[i] = options.mask === undefined || options.mask[i] > 0 ? Math.hypot(image.re[i], image.im[i]) : Number.NaN;
  }
  const [low, high] = percentiles(values, options.low ?? 0.5, options.high ?? 99.5);
  return colour(values, image.shape, low, high, options.colormap ?? VIRIDIS, '');
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
  return colour(values, image.shape, limits[0], limits[1], options.colormap ?? (fullTurn ? TWILIGHT : VIRIDIS), 'rad');
}

/**
 * Plain values (rows, columns) in grey, black at the smallest and white at the largest: a diffraction pattern, a map.
 * NaN is drawn in {@link BACKGROUND}.
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

/** Draws the colours of a map as a column, the last one at the top. */
export function drawColours(
  canvas: Canvas,
  colormap: Colormap,
  { left, top, width, height }: { left: number; top: number; width: number; height: number },
): void {
  const straight = { ...colormap, cyclic: false };
  for (let y = 0; y < height; y++) canvas.fill(left, top + y, width, 1, colourAt(straight, 1 - (y + 0.5) / height));
}

/** The picture with a bar of its colours at its right side, the values of both ends written beside it. */
export function withColourBar(picture: Picture): Pixels {
  const [gap, bar] = [4, 10];
  const labels = { top: shortNumber(picture.high), bottom: shortNumber(picture.low) };
  const labelWidth = Math.max(textWidth(labels.top), textWidth(labels.bottom));
  const width = picture.width + gap + bar + 3 + labelWidth;
  const height = Math.max(picture.height, 3 * GLYPH_HEIGHT);
  const canvas = new Canvas(width, height);
  canvas.place(picture, 0, 0);
  drawColours(canvas, picture.colormap, { left: picture.width + gap, top: 0, width: bar, height });
  canvas.text(labels.top, picture.width + gap + bar + 3, 0);
  canvas.text(labels.bottom, picture.width + gap + bar + 3, height - GLYPH_HEIGHT);
  return canvas.pixels;
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
