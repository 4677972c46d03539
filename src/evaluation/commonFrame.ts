/** Bringing a reconstruction and the truth to the same pixels. */
import { PtychoError } from '../core/errors.js';
import { formatShape } from '../core/tensor.js';
import { type Frame, frameOfObject, intersectFrames, type ScanBounds, scanBounds } from '../reconstruction/frame.js';
import { centreCut, cutImage, type EvaluatedImage } from './images.js';

/** Two images of one shape. */
export interface ImagePair<T extends EvaluatedImage = EvaluatedImage> {
  readonly image: T;
  readonly truth: T;
}

/**
 * The frame of the published tools, for images that do not say where they lie: the truth is cut to the scan positions with half
 * a stitching square around them (rows ⌊min y⌋ − ⌊M/2⌋ … ⌊max y⌋ + ⌊M/2⌋, columns likewise), then both are cut to
 * their common size about their middles. A reconstruction that is off by a few pixels stays so: register it afterwards.
 *
 * @param positions of the scan, in pixels of the truth
 * @param stitchCrop_px side M of the square that was stitched of each patch
 * @throws PtychoError DATASET_SHAPE where the scan lies outside the truth
 */
export function alignForEvaluation<T extends EvaluatedImage>(
  image: T,
  truth: T,
  positions: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> },
  stitchCrop_px: number,
): ImagePair<T> {
  const { xMin, xMax, yMin, yMax } = scanBounds(positions.xs, positions.ys);
  const half = Math.floor(stitchCrop_px / 2);
  const [rows, cols] = truth.shape;
  const range = (low: number, high: number, size: number) => [
    Math.max(0, Math.trunc(low) - half),
    Math.min(size, Math.trunc(high) + half),
  ];
  const [top, bottom] = range(yMin, yMax, rows);
  const [left, right] = range(xMin, xMax, cols);
  if (bottom <= top || right <= left) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The scan positions (x ${xMin} to ${xMax}, y ${yMin} to ${yMax}) lie outside the truth of shape ${formatShape(truth.shape)}; check that they are pixels of it.`,
      { truth: truth.shape, bounds: { xMin, xMax, yMin, yMax } },
    );
  }
  const cut = cutImage(truth, top, left, bottom - top, right - left);
  const height = Math.min(image.shape[0], cut.shape[0]);
  const width = Math.min(image.shape[1], cut.shape[1]);
  return { image: centreCut(image, height, width), truth: centreCut(cut, height, width) };
}

/**
 * The pixels that a reconstruction with a known frame and the truth share, within the bounding box of the scan where positions
 * are given. Exact: nothing is guessed.
 * @throws PtychoError DATASET_SHAPE where they share nothing
 */
export function cutToCommonFrame(
  reconstruction: { readonly image: EvaluatedImage; readonly frame: Frame },
  truth: EvaluatedImage,
  options: {
    readonly truthOriginYxPx?: readonly [number, number];
    readonly positions?: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> };
  } = {},
): ImagePair & { readonly frame: Frame } {
  const truthFrame = { ...frameOfObject(truth), originYxPx: options.truthOriginYxPx ?? ([0, 0] as const) };
  const both = intersectFrames(reconstruction.frame, truthFrame);
  const wanted = options.positions && boundingBox(scanBounds(options.positions.xs, options.positions.ys));
  const frame = both && wanted ? intersectFrames(both, wanted) : both;
  if (!frame) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The reconstruction (${describeFrame(reconstruction.frame)}) and the truth (${describeFrame(truthFrame)}) share no pixel${wanted ? ' inside the scan' : ''}; check that both are in the same pixels.`,
      { frame: reconstruction.frame, truth: truthFrame },
    );
  }
  const cut = (image: EvaluatedImage, from: Frame) =>
    cutImage(image, frame.originYxPx[0] - from.originYxPx[0], frame.originYxPx[1] - from.originYxPx[1], frame.height, frame.width); // biome-ignore format: one call
  return { image: cut(reconstruction.image, reconstruction.frame), truth: cut(truth, truthFrame), frame };
}

/** A frame in words. */
export const describeFrame = (f: Frame): string =>
  `${f.height}×${f.width} at y ${f.originYxPx[0]}, x ${f.originYxPx[1]}`;

/** The pixels whose centres lie within the bounds: rows ⌈yMin⌉ … ⌊yMax⌋, columns ⌈xMin⌉ … ⌊xMax⌋. */
export function boundingBox(bounds: ScanBounds): Frame {
  const top = Math.ceil(bounds.yMin);
  const left = Math.ceil(bounds.xMin);
  return {
    originYxPx: [top, left],
    height: Math.floor(bounds.yMax) - top + 1,
    width: Math.floor(bounds.xMax) - left + 1,
  };
}
