/**
 * Where an image lies: a canvas with its origin in object pixels.
 *
 * Canvas pixel (r, c) is object pixel (originYxPx[0] + r, originYxPx[1] + c), so an image and its frame can be compared
 * with any other image of the same object.
 */
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, formatShape } from '../core/tensor.js';

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
 * @param xs, ys positions in object pixels (column, row)
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
