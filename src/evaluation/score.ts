/**
 * One reconstruction against a known object, in the object's own pixels.
 *
 * @example
 * const score = scoreAgainstTruth(stitched, truth, { bounds: scanBounds(xs, ys) });
 * console.log(score.relative_object_error, 'a constant object has', score.constant_object_error);
 */

import { PtychoError } from '../core/errors.js';
import { moduliOf } from '../core/numbers.js';
import { type ComplexImage, formatShape, type Tensor } from '../core/tensor.js';
import { type Frame, frameOfObject, intersectFrames, moveToFrame, type ScanBounds } from '../reconstruction/frame.js';
import { alignComplex, constantObjectError, relativeDistance } from './align.js';
import { complexPearson, pearson } from './correlation.js';
import { removePhasePlane } from './phase.js';
import { removeRamp } from './ramp.js';

/** Phases that spread less than this are rounding. */
const FLAT_PHASE_RAD = 1e-5;

/** Where and how to compare. */
export interface ScoreOptions {
  /** Pixels whose centres lie within the bounds of the scan positions count; default: wherever image and truth overlap. */
  readonly bounds?: ScanBounds;
  /** Shape of the truth; pixels where it is not zero count. */
  readonly mask?: Tensor<Uint8Array> | Tensor<Float32Array>;
  /** Object pixel [y, x] of truth pixel (0, 0), default [0, 0]. */
  readonly truthOriginYxPx?: readonly [number, number];
}

/** Figures of one comparison; every correlation has its means subtracted, so a constant object scores 0. */
export interface TruthScore {
  /** Pearson of the amplitudes. */
  readonly amplitude_pearson: number;
  /** Pearson of the phases, the plane removed from each. */
  readonly phase_pearson: number;
  /** Modulus of the complex correlation. */
  readonly complex_pearson: number;
  /** Relative L2 distance after the best complex scale and phase ramp. */
  readonly relative_object_error: number;
  /** The same for the best constant object in the same pixels. */
  readonly constant_object_error: number;
  /** Pixels compared, and the share of the region asked for that the image's frame holds. */
  readonly pixels: number;
  readonly region_coverage: number;
}

/**
 * Compares an image in its frame with the true object, inside the scan's bounding box. The image is brought into the
 * truth's gauge by one complex scale and one phase ramp; nothing else is fitted, and the image is not shifted.
 *
 * @throws PtychoError DATASET_SHAPE when mask and truth differ or nothing overlaps
 */
export function scoreAgainstTruth(
  reconstruction: { readonly image: ComplexImage; readonly frame: Frame },
  truth: ComplexImage,
  options: ScoreOptions = {},
): TruthScore {
  const truthFrame = { ...frameOfObject(truth), originYxPx: options.truthOriginYxPx ?? ([0, 0] as const) };
  const wanted = options.bounds ? boundingBox(options.bounds) : truthFrame;
  const visible = intersectFrames(wanted, truthFrame);
  const region = visible && intersectFrames(visible, reconstruction.frame);
  if (!visible || !region) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The reconstruction and the truth share no pixel inside the scan: frame ${describe(reconstruction.frame)}, truth ${describe(truthFrame)}, scan ${describe(wanted)}.`,
      { frame: reconstruction.frame, truth: truthFrame, region: wanted },
    );
  }
  const image = moveToFrame(reconstruction.image, reconstruction.frame, region);
  const reference = moveToFrame(truth, truthFrame, region);
  const mask = cutMask(options.mask, truth, truthFrame, region);
  const { aligned } = alignComplex(image, reference, mask);
  // Both phases are taken about the truth's plane first, so that neither wraps where the other does not.
  const { ramp } = removePhasePlane(reference, { mask });
  const phaseOf = (z: ComplexImage<Float32Array | Float64Array>) =>
    removePhasePlane(removeRamp(z, ramp), { mask }).phase.data;
  return {
    amplitude_pearson: pearson(moduliOf(aligned), moduliOf(reference), mask),
    phase_pearson: pearson(phaseOf(aligned), phaseOf(reference), mask, FLAT_PHASE_RAD),
    // Aligning gives even a constant image a slight ramp, which would count as structure.
    complex_pearson: complexPearson(image, image, mask) === 0 ? 0 : complexPearson(aligned, reference, mask),
    relative_object_error: relativeDistance(aligned, reference, mask),
    constant_object_error: constantObjectError(reference, mask),
    pixels: mask ? mask.reduce((n: number, m) => n + (m ? 1 : 0), 0) : region.height * region.width,
    region_coverage: (region.height * region.width) / (visible.height * visible.width),
  };
}

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

function cutMask(
  mask: ScoreOptions['mask'],
  truth: ComplexImage,
  truthFrame: Frame,
  region: Frame,
): Uint8Array | undefined {
  if (!mask) return undefined;
  if (mask.data.length !== truth.re.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The mask of shape ${formatShape(mask.shape)} does not belong to a truth of shape ${formatShape(truth.shape)}.`,
      { mask: mask.shape, truth: truth.shape },
    );
  }
  const cut = new Uint8Array(region.height * region.width);
  for (let r = 0; r < region.height; r++) {
    const from = (region.originYxPx[0] + r - truthFrame.originYxPx[0]) * truthFrame.width;
    for (let c = 0; c < region.width; c++) {
      cut[r * region.width + c] = mask.data[from + region.originYxPx[1] + c - truthFrame.originYxPx[1]] ? 1 : 0;
    }
  }
  return cut;
}

const describe = (f: Frame): string => `${f.height}×${f.width} at (y ${f.originYxPx[0]}, x ${f.originYxPx[1]})`;
