/** The pixels that are compared, the same for every image after each was moved to where it belongs, and their numbers. */
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import type { Provenance } from '../../core/services.js';
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import type { RawData } from '../../data/rawData.js';
import { shiftByKernel } from '../../physics/shiftByKernel.js';
import {
  type Frame,
  frameOfObject,
  intersectFrames,
  moveToFrame,
  type ScanBounds,
} from '../../reconstruction/frame.js';
import { describeFrame } from '../commonFrame.js';
import { metricFloors, scanImage, scanTotals } from '../floors.js';
import { cutImage } from '../images.js';
import { type ReferenceMetrics, referenceMetrics } from '../reference.js';
import { type Registration, registerImages } from '../register.js';
import { type StandardMetrics, standardMetrics } from '../standard.js';
import type { ComparedImage } from './compared.js';

/** Left out at each side of registered images, as published. */
const MARGIN_PX = 2;
/** Similarities need some room; smaller regions are refused. */
const LEAST_SIDE_PX = 16;

/** An image, whether and how it was moved. */
export interface RegisteredImage extends ComparedImage {
  /** Undefined where nobody looked for a shift. */
  readonly registration?: Registration;
}

/** An image on the pixels that are compared. */
export interface PlacedImage extends RegisteredImage {
  /** (rows, cols) of the region. */
  readonly placed: ComplexImage;
  /** 1 where the image means something. */
  readonly covered: Uint8Array;
  /** Share of such pixels. */
  readonly coverage: number;
}

/**
 * The rectangle of the published tools: the positions with half a stitching square around them, cut to the truth.
 * @throws PtychoError DATASET_SHAPE where it holds nothing of the truth
 */
export function scanBox(bounds: ScanBounds, stitchCrop_px: number, truth: ComplexImage | undefined): Frame {
  const half = Math.floor(stitchCrop_px / 2);
  const [top, left] = [Math.trunc(bounds.yMin) - half, Math.trunc(bounds.xMin) - half];
  const height = Math.trunc(bounds.yMax) + half - top;
  const width = Math.trunc(bounds.xMax) + half - left;
  const box: Frame = { originYxPx: [top, left], height, width };
  const shared = truth ? intersectFrames(box, frameOfObject(truth)) : box;
  if (!shared) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The scan (${describeFrame(box)}) lies outside of its objectGuess (${describeFrame(frameOfObject(truth!))}); check that xcoords and ycoords are pixels of it.`,
      { box, truth: truth!.shape },
    );
  }
  return shared;
}

/**
 * Looks for the shift of an image against the truth. Nothing is thrown where none is found: the result says so, and the image
 * stays where it is.
 * @param farthest_px shifts beyond are not believed of an image that says where it lies
 */
export function register(
  image: ComparedImage,
  truth: ComplexImage,
  box: Frame,
  config: Pick<ComparisonConfig, 'skip_registration' | 'register_ptychi_only'>,
  farthest_px: number,
): RegisteredImage {
  if (config.skip_registration || (config.register_ptychi_only && image.kind === 'bundle')) return image;
  const [top, left] = box.originYxPx;
  const fixed = cutImage(truth, top, left, box.height, box.width);
  const found = registerImages(fixed, image.image, { movingMask: image.weight.data });
  // Registration knows first pixels only; here a shift is counted from where the image was thought to lie.
  const [dy, dx] = found.shiftYxPx;
  const shiftYxPx = [dy + top - image.frame.originYxPx[0], dx + left - image.frame.originYxPx[1]] as const;
  const registration = { ...found, shiftYxPx };
  const far = Math.hypot(...shiftYxPx);
  if (found.succeeded && image.frameKnown && far > farthest_px) {
    const reason = `The best shift is ${far.toFixed(1)} px, which cannot be of an image that says where it lies.`;
    return { ...image, registration: { ...registration, succeeded: false, reason } };
  }
  return { ...image, registration };
}

/**
 * The images on the largest rectangle that lies in the truth and in all of them, moved where registration succeeded.
 * @throws PtychoError DATASET_SHAPE where that is too small to compare anything
 */
export function placeAll(
  images: readonly RegisteredImage[],
  box: Frame,
): { readonly region: Frame; readonly placed: readonly PlacedImage[] } {
  const moved = images.map((image) => ({ image, ...moveWhole(image) }));
  let region: Frame | undefined = box;
  for (const { frame } of moved) region = region && intersectFrames(region, frame);
  const margin = images.some(({ registration }) => registration) ? MARGIN_PX : 0;
  if (!region || Math.min(region.height, region.width) - 2 * margin < LEAST_SIDE_PX) {
    const where = images.map(({ name, frame }) => `${name} ${describeFrame(frame)}`).join('; ');
    throw new PtychoError(
      'DATASET_SHAPE',
      `The images share ${region ? `${region.height}×${region.width}` : 'no'} pixels of the scan (${describeFrame(box)}), too few to compare: ${where}.`,
      { box, region },
    );
  }
  const [top, left] = region.originYxPx;
  const inner: Frame = {
    originYxPx: [top + margin, left + margin],
    height: region.height - 2 * margin,
    width: region.width - 2 * margin,
  };
  const placed = moved.map(({ image, frame, rest }): PlacedImage => {
    const shifted = rest[0] === 0 && rest[1] === 0 ? image.image : single(shiftByKernel(image.image, rest));
    const covered = maskIn(image.weight, frame, inner);
    const count = covered.reduce((n, m) => n + m, 0);
    return { ...image, placed: moveToFrame(shifted, frame, inner), covered, coverage: count / covered.length };
  });
  return { region: inner, placed };
}

/** Where the pixels of an image lie after whole pixels of its shift, and what is left of the shift. */
function moveWhole({ frame, registration }: RegisteredImage): {
  readonly frame: Frame;
  readonly rest: readonly [number, number];
} {
  if (!registration?.succeeded) return { frame, rest: [0, 0] };
  const [dy, dx] = registration.shiftYxPx;
  const [down, right] = [Math.round(dy), Math.round(dx)];
  const [top, left] = frame.originYxPx;
  return { frame: { ...frame, originYxPx: [top + down, left + right] }, rest: [dy - down, dx - right] };
}

function maskIn({ data, shape }: Tensor, from: Frame, to: Frame): Uint8Array {
  return Uint8Array.from(moveToFrame({ re: data, im: data, shape }, from, to).re, (w) => (w > 0 ? 1 : 0));
}

const single = ({ re, im, shape }: ComplexImage<Float64Array>): ComplexImage => ({
  re: Float32Array.from(re),
  im: Float32Array.from(im),
  shape,
});

/** An image with its numbers. */
export interface Measured extends PlacedImage {
  /** Undefined without a truth, and where they could not be had: then NaN is shown. */
  readonly reference?: ReferenceMetrics;
  readonly standard?: StandardMetrics;
}

/** How the reference metrics are taken. */
type Metrics = Pick<ComparisonConfig, 'phase_align_method' | 'frc_sigma' | 'ms_ssim_sigma'>;

/** A covered share below this makes every number doubtful. */
const WELL_COVERED = 0.99;

/**
 * Measures an image against the truth, both on the region. What cannot be measured is NaN, with a warning.
 * @param pixel_m side of an object pixel, metres, where it is known
 */
export function measure(
  image: PlacedImage,
  truth: ComplexImage | undefined,
  config: Metrics,
  pixel_m?: number,
): Measured {
  const warnings = [...image.warnings];
  const { name, registration, coverage } = image;
  if (registration && !registration.succeeded) {
    warnings.push(
      `The registration of ${name} failed, so it is compared where it lies. ${registration.reason ?? ''}`.trim(),
    );
  }
  if (coverage < WELL_COVERED) {
    warnings.push(
      `${name} covers ${(100 * coverage).toFixed(1)} % of the pixels that are compared; the others count with their value 0.`,
    );
  }
  if (!truth) return { ...image, warnings };
  const { phase_align_method, frc_sigma, ms_ssim_sigma } = config;
  const attempt = <T>(family: string, of: () => T): T | undefined => {
    try {
      return of();
    } catch (error) {
      if (!isPtychoError(error)) throw error;
      warnings.push(`${name} has no ${family} metrics: ${error.message}`);
      return undefined;
    }
  };
  const reference = attempt('reference', () =>
    referenceMetrics(image.placed, truth, { phase_align_method, frc_sigma, ms_ssim_sigma }),
  );
  const standard = attempt('standard', () => standardMetrics(image.placed, truth, { pixel_m }));
  return { ...image, reference, standard, warnings };
}

/** What an image without any reconstruction scores. */
export interface Floor {
  readonly name: string;
  readonly reference: ReferenceMetrics;
  readonly standard: StandardMetrics;
}

/** Names of floors, which no model may have. */
export const FLOOR_NAMES = ['Constant', 'ScanImage'] as const;

/**
 * The floors beside the scores: an object of one value, and √counts of the positions as an image. Every pattern is read once.
 * @param region where `truth` lies
 * @throws PtychoError DATASET_SHAPE where the region is too small for metrics
 */
export async function floorsOf(raw: RawData, truth: ComplexImage, region: Frame, config: Metrics): Promise<Floor[]> {
  const scan = scanImage(await scanTotals(raw), region);
  const { phase_align_method, frc_sigma, ms_ssim_sigma } = config;
  const pixel_m = raw.geometry.objectPixel_m?.x;
  const floors = metricFloors(truth, { phase_align_method, frc_sigma, ms_ssim_sigma, pixel_m, scan });
  return [
    { name: FLOOR_NAMES[0], ...floors.constant },
    ...(floors.scan ? [{ name: FLOOR_NAMES[1], ...floors.scan }] : []),
  ];
}

/** What is to be known of the standard metrics, each sentence once, with the names that it concerns where these are not all. */
export function metricNotes(models: readonly Measured[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, standard } of models) {
    for (const note of standard?.notes ?? []) names.set(note, [...(names.get(note) ?? []), name]);
  }
  return [...names].map(([note, of]) => (of.length === models.length ? note : `${of.join(', ')}: ${note}`));
}

/** A finished comparison. */
export interface Comparison {
  readonly config: ComparisonConfig;
  readonly raw: Pick<RawData, 'source' | 'geometry' | 'metadata'>;
  readonly models: readonly Measured[];
  /** Empty without a truth. */
  readonly floors: readonly Floor[];
  /** The object of the scan, or what `truth` named, whole. */
  readonly truth: ComplexImage | undefined;
  /** It is no reconstruction of a measurement. */
  readonly truthKnown: boolean;
  /** The same on the region. */
  readonly reference: ComplexImage | undefined;
  readonly region: Frame;
  readonly sampleIndices: Int32Array;
  readonly warnings: readonly string[];
  readonly provenance?: Provenance;
}
