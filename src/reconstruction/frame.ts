/**
 * Where an image lies: a canvas with its origin in object pixels; which part of each patch goes into it, and what stands where none
 * does.
 *
 * Canvas pixel (r, c) is object pixel (originYxPx[0] + r, originYxPx[1] + c), so an image and its frame can be compared
 * with any other image of the same object.
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, formatShape, type Tensor } from '../core/tensor.js';
import { meanNearestDistance } from '../data/grouping/neighbourGrid.js';

/** A rectangle of object pixels. */
export interface Frame {
  /** Object pixel [y, x] of canvas pixel (0, 0); whole numbers for stitched images. */
  readonly originYxPx: readonly [number, number];
  readonly height: number;
  readonly width: number;
}

/** The extreme scan positions, in object pixels. */
export interface ScanBounds {
  readonly xMin: number;
  readonly xMax: number;
  readonly yMin: number;
  readonly yMax: number;
}

/** Canvases above this many pixels are refused: three planes of it would take 1.5 GiB. */
const LARGEST_CANVAS_PX = 2 ** 27;

/**
 * The bounds of a scan.
 * @param xs columns of the positions, object pixels
 * @param ys their rows, object pixels
 * @throws PtychoError DATASET_SHAPE for no or unequal coordinates, DATASET_VALUE for one that is not finite
 */
export function scanBounds(xs: ArrayLike<number>, ys: ArrayLike<number>): ScanBounds {
  if (xs.length === 0 || xs.length !== ys.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A scan needs equally many x and y coordinates, at least one; found ${xs.length} and ${ys.length}.`,
      { xs: xs.length, ys: ys.length },
    );
  }
  let [xMin, xMax, yMin, yMax] = [xs[0], xs[0], ys[0], ys[0]];
  for (let i = 0; i < xs.length; i++) {
    if (!Number.isFinite(xs[i]) || !Number.isFinite(ys[i])) {
      throw new PtychoError(
        'DATASET_VALUE',
        `Scan position ${i} is (x ${xs[i]}, y ${ys[i]}); positions must be finite.`,
        {
          index: i,
        },
      );
    }
    xMin = Math.min(xMin, xs[i]);
    xMax = Math.max(xMax, xs[i]);
    yMin = Math.min(yMin, ys[i]);
    yMax = Math.max(yMax, ys[i]);
  }
  return { xMin, xMax, yMin, yMax };
}

/** The smallest bounds that hold both. */
export function unionBounds(a: ScanBounds, b: ScanBounds): ScanBounds {
  return {
    xMin: Math.min(a.xMin, b.xMin),
    xMax: Math.max(a.xMax, b.xMax),
    yMin: Math.min(a.yMin, b.yMin),
    yMax: Math.max(a.yMax, b.yMax),
  };
}

/**
 * The smallest frame of whole pixels that holds M×M crops centred (index ⌊M/2⌋) on every position within the bounds.
 * @throws PtychoError DATASET_VALUE when that is more than memory should hold
 */
export function frameForScan(bounds: ScanBounds, cropSide: number): Frame {
  const half = Math.floor(cropSide / 2);
  const top = Math.floor(bounds.yMin) - half;
  const left = Math.floor(bounds.xMin) - half;
  const height = Math.ceil(bounds.yMax) - half + cropSide - top;
  const width = Math.ceil(bounds.xMax) - half + cropSide - left;
  if (!(height * width <= LARGEST_CANVAS_PX)) {
    throw new PtychoError(
      'DATASET_VALUE',
      `The scan spans ${height}×${width} pixels, more than an image can hold here; check that xcoords and ycoords are in object pixels.`,
      { height, width, limit: LARGEST_CANVAS_PX },
    );
  }
  return { originYxPx: [top, left], height, width };
}

/** The frame that an object array itself defines: origin (0, 0). */
export function frameOfObject(object: { readonly shape: readonly number[] }): Frame {
  if (object.shape.length !== 2) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `An object must have shape (rows, columns), found ${formatShape(object.shape)}.`,
      {
        found: object.shape,
      },
    );
  }
  return { originYxPx: [0, 0], height: object.shape[0], width: object.shape[1] };
}

/** The pixels that two frames share, or undefined when they do not meet. Frames must have whole-pixel origins. */
export function intersectFrames(a: Frame, b: Frame): Frame | undefined {
  const top = Math.max(a.originYxPx[0], b.originYxPx[0]);
  const left = Math.max(a.originYxPx[1], b.originYxPx[1]);
  const height = Math.min(a.originYxPx[0] + a.height, b.originYxPx[0] + b.height) - top;
  const width = Math.min(a.originYxPx[1] + a.width, b.originYxPx[1] + b.width) - left;
  return height > 0 && width > 0 ? { originYxPx: [top, left], height, width } : undefined;
}

/** True where every pixel of `inner` is one of `outer`. */
export function holdsFrame(outer: Frame, inner: Frame): boolean {
  const below = [0, 1].every((axis) => outer.originYxPx[axis] <= inner.originYxPx[axis]);
  return (
    below &&
    inner.originYxPx[0] + inner.height <= outer.originYxPx[0] + outer.height &&
    inner.originYxPx[1] + inner.width <= outer.originYxPx[1] + outer.width
  );
}

/** The smallest frame that holds both. */
export function unionFrames(a: Frame, b: Frame): Frame {
  const top = Math.min(a.originYxPx[0], b.originYxPx[0]);
  const left = Math.min(a.originYxPx[1], b.originYxPx[1]);
  return {
    originYxPx: [top, left],
    height: Math.max(a.originYxPx[0] + a.height, b.originYxPx[0] + b.height) - top,
    width: Math.max(a.originYxPx[1] + a.width, b.originYxPx[1] + b.width) - left,
  };
}

/** The part of an image that lies in `to`, on the canvas of `to`; pixels that the image does not have become `fill`. */
export function moveToFrame(
  image: ComplexImage,
  from: Frame,
  to: Frame,
  fill: { readonly re: number; readonly im: number } = { re: 0, im: 0 },
): ComplexImage {
  const re = new Float32Array(to.height * to.width).fill(fill.re);
  const im = new Float32Array(to.height * to.width).fill(fill.im);
  const shared = intersectFrames(from, to);
  if (shared) {
    const [top, left] = shared.originYxPx;
    for (let r = 0; r < shared.height; r++) {
      const source = (top + r - from.originYxPx[0]) * from.width + left - from.originYxPx[1];
      const target = (top + r - to.originYxPx[0]) * to.width + left - to.originYxPx[1];
      re.set(image.re.subarray(source, source + shared.width), target);
      im.set(image.im.subarray(source, source + shared.width), target);
    }
  }
  return { re, im, shape: [to.height, to.width] };
}

/** Where the central M×M pixels of an N×N patch begin, along either axis: pixel ⌊N/2⌋ becomes pixel ⌊M/2⌋. */
export function cropStart(side: number, cropSide: number): number {
  return Math.floor(side / 2) - Math.floor(cropSide / 2);
}

/**
 * The central M×M of an (N, N) array.
 * @throws PtychoError CONFIG_INVALID when M > N
 */
export function cutCentre({ data, shape }: Tensor, cropSide: number): Float32Array {
  const side = shape[0];
  if (cropSide > side) throw cropError(cropSide, side);
  const skip = cropStart(side, cropSide);
  const out = new Float32Array(cropSide * cropSide);
  for (let i = 0; i < cropSide; i++) {
    const from = (skip + i) * side + skip;
    out.set(data.subarray(from, from + cropSide), i * cropSide);
  }
  return out;
}

/** The error for a crop that is no part of a patch. */
export function cropError(cropSide: number, side: number | string): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `Stitching uses the central M×M pixels of each N×N patch, so M must be a whole number with 0 < M ≤ N; got M = ${cropSide}, N = ${side}.`,
    { key: 'M', found: cropSide, expected: `1 to ${side}` },
  );
}

/**
 * The side M of the central square of each patch that is stitched: N/2 where such squares of neighbours overlap by half or
 * more, else twice the mean distance to the nearest neighbour, at most N; all of the patch where there is only one. So sparse
 * scans, down to single shots, do not fall into islands smaller than what was measured.
 *
 * @param xs,ys positions in object pixels
 */
export function chooseCropSide(xs: Float64Array, ys: Float64Array, N: number): number {
  if (xs.length < 2) return N;
  const wanted = 2 * Math.ceil(meanNearestDistance(xs, ys));
  return Math.max(Math.floor(N / 2), Math.min(N, wanted));
}

/** What is known of an image's coverage. */
export interface FillOptions {
  /** Stands for the object where the image does not reach; default: the mean of the image over covered pixels. */
  readonly fill?: { readonly re: number; readonly im: number };
  /** Weight plane of a stitched image: pixels where it is 0 are not covered and take `fill`. */
  readonly overlapCount?: Tensor;
}

/** The image with uncovered pixels replaced, and the fill that was used. */
export function fillUncovered(image: ComplexImage, options: FillOptions = {}) {
  const weight = options.overlapCount?.data;
  let { fill } = options;
  if (!fill) {
    let [re, im, n] = [0, 0, 0];
    for (let i = 0; i < image.re.length; i++) {
      if (weight && weight[i] === 0) continue;
      re += image.re[i];
      im += image.im[i];
      n++;
    }
    fill = { re: re / Math.max(1, n), im: im / Math.max(1, n) };
  }
  if (!weight) return { image, fill };
  const { re: fillRe, im: fillIm } = fill;
  const re = image.re.map((v, i) => (weight[i] === 0 ? fillRe : v));
  const im = image.im.map((v, i) => (weight[i] === 0 ? fillIm : v));
  return { image: { re, im, shape: image.shape }, fill };
}
