/** One image against the truth in both families of metrics, with the floors beside every number. */

import type { EvaluationConfig } from '../config/schemas/evaluation.js';
import { cancelPoint } from '../core/cancel.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { type ComplexImage, sameShape } from '../core/tensor.js';
import { isSimulation } from '../data/labels.js';
import type { RawData } from '../data/rawData.js';
import { type Frame, frameOfObject, moveToFrame, scanBounds } from '../reconstruction/frame.js';
import { placeOnScan, readStoredImage, type StoredImage } from '../reconstruction/storedImage.js';
import { checkReconstruction } from './checks.js';
import { placeAll, type RegisteredImage, register, scanBox } from './comparison/measure.js';
import type { EvaluationReport } from './evaluationReport.js';
import { scoreFile } from './fileRFactor.js';
import { bothFamilies, metricFloors, scanImage, scanTotals } from './floors.js';
import { type Registration, registerImages } from './register.js';

/**
 * Scores an image against the truth, in pixels of the truth.
 * @param raw the scan, where there is one: for the frame, the scan image as a floor, and R
 * @throws PtychoError DATASET_SHAPE for images that share too little, DATASET_KEY_MISSING without a truth, CANCELLED
 */
export async function evaluateImage(
  config: EvaluationConfig,
  stored: StoredImage,
  raw: RawData | undefined,
  signal: AbortSignal | undefined,
): Promise<EvaluationReport> {
  const ours = raw ? placeOnScan(stored, raw) : stored;
  const truth = await truthFor(config, raw);
  const pause = cancelPoint(signal, 'The evaluation');
  const positions = raw && { xs: raw.xcoords, ys: raw.ycoords };
  const notes = [...ours.notes, ...truth.notes];
  const truthFrame: Frame = { ...frameOfObject(truth.image), originYxPx: truth.originYxPx ?? [0, 0] };
  const place = placeOf(ours, truth, positions, notes);
  const bounds = positions && scanBounds(positions.xs, positions.ys);
  const check = checkReconstruction(ours.image, { frame: place, weight: ours.weight, truthFrame, bounds });

  await pause();
  // In pixels of the truth, as `compare` has it: one image has one frame and one score.
  const [top, left] = truthFrame.originYxPx;
  const within = ({ originYxPx: [y, x], ...size }: Frame): Frame => ({ ...size, originYxPx: [y - top, x - left] });
  const box = bounds ? scanBox({ xMin: bounds.xMin - left, xMax: bounds.xMax - left, yMin: bounds.yMin - top, yMax: bounds.yMax - top }, config.stitch_crop_size, truth.image) : frameOfObject(truth.image); // biome-ignore format: one call
  const found = placedFor(config, { ...ours, frame: within(place) }, truth.image, { box, usable: check.usable, notes, N: raw?.N }); // biome-ignore format: one call
  const { registration, moved, region, image } = found;
  const reference = moveToFrame(truth.image, frameOfObject(truth.image), region);
  const frame: Frame = { ...region, originYxPx: [region.originYxPx[0] + top, region.originYxPx[1] + left] };
  const { phase_align_method, frc_sigma, ms_ssim_sigma } = config;
  const pixel_m = pixelOf(config, raw, ours);
  const options = { phase_align_method, frc_sigma, ms_ssim_sigma, pixel_m };
  const scan = raw && scanImage(await scanTotals(raw, signal), frame);
  await pause();
  const metrics = check.usable ? bothFamilies(image, reference, options) : undefined;
  await pause();
  const floors = metricFloors(reference, { ...options, scan });
  if (metrics) notes.push(...metrics.standard.notes);
  await pause();
  const scoring = { limit: config.r_factor_patterns, ownProbe: config.probe === null };
  const rFactor =
    raw && check.usable
      ? await scoreFile(raw, { ...ours, frame: place }, scoring, (sentence) => notes.push(sentence))
      : undefined;
  return {
    reconstruction: ours.source,
    truth: truth.source,
    truthKnown: config.truth !== null || (raw !== undefined && isSimulation(raw.metadata)),
    ...{ frame, check, registration, moved, pixel_m, metrics, floors, rFactor, notes },
    files: [],
  };
}

/** The image on the pixels that are compared, moved onto the truth where that is asked for and found. */
function placedFor(
  config: EvaluationConfig,
  ours: StoredImage & { readonly frame: Frame },
  truth: ComplexImage,
  { box, usable, notes, N }: { box: Frame; usable: boolean; notes: string[]; N: number | undefined },
): { region: Frame; image: ComplexImage; registration?: Registration; moved: boolean } {
  const { source: path, image, frame } = ours;
  const weight = {
    data: ours.weight ? Float32Array.from(ours.weight) : image.re.map((v, i) => (v !== 0 || image.im[i] !== 0 ? 1 : 0)),
    shape: image.shape,
  };
  const one: RegisteredImage = {
    ...{ name: path, kind: 'reconstruction', path, image, frame, weight, seconds: Number.NaN, what: '', warnings: [] },
    frameKnown: ours.originYxPx !== undefined,
  };
  const lying = (image: RegisteredImage = one) => {
    const { region, placed } = placeAll([image], box);
    return { region, image: placed[0].placed, moved: false };
  };
  if (!config.register || !usable) return lying();
  const farthest_px = N === undefined ? Number.POSITIVE_INFINITY : N / 4;
  const registered = register(one, truth, box, { skip_registration: false, register_ptychi_only: false }, farthest_px);
  const { registration } = registered;
  if (!registration?.succeeded) {
    notes.push(
      `The images were compared where they lie, since registration failed. ${registration?.reason ?? ''}`.trim(),
    );
    // With the margin that `compare` leaves out, whether or not a shift was found.
    return { ...lying(registered), registration };
  }
  try {
    const { region, placed } = placeAll([registered], box);
    return { region, image: placed[0].placed, registration, moved: true };
  } catch (error) {
    if (!isPtychoError(error, 'DATASET_SHAPE')) throw error;
    notes.push(`The images were compared where they lie, since too little is left once they are moved by ${registration.shiftYxPx.map((v) => v.toFixed(3)).join(', ')} (y, x).`); // biome-ignore format: one call
    return { ...lying(), registration };
  }
}

/** Where the reconstruction lies in the pixels of the truth. */
function placeOf(
  ours: StoredImage,
  truth: StoredImage,
  positions: { readonly xs: Float64Array; readonly ys: Float64Array } | undefined,
  notes: string[],
): Frame {
  const [height, width] = ours.image.shape;
  const origin = truth.originYxPx ?? ([0, 0] as const);
  if (ours.originYxPx) return { originYxPx: ours.originYxPx, height, width };
  if (sameShape(ours.image.shape, truth.image.shape)) return { originYxPx: origin, height, width };
  const found = registerImages(truth.image, ours.image, { upsample: 1, movingMask: ours.weight });
  if (found.succeeded) {
    notes.push(`${ours.source} does not say where it lies; it was found at ${found.shiftYxPx.join(', ')} (y, x) of the truth.`); // biome-ignore format: one call
    return { originYxPx: [origin[0] + found.shiftYxPx[0], origin[1] + found.shiftYxPx[1]], height, width };
  }
  if (!positions) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${ours.source} (${height}×${width}) does not say where it lies in ${truth.source} (${truth.image.shape.join('×')}), and registration did not find it: ${found.reason} Give its scan as test_data.`,
      { reconstruction: ours.image.shape, truth: truth.image.shape },
    );
  }
  notes.push(`${ours.source} does not say where it lies, and registration did not find it; its middle was laid on the middle of the scan, as published.`); // biome-ignore format: one call
  const { xMin, xMax, yMin, yMax } = scanBounds(positions.xs, positions.ys);
  const corner = (low: number, high: number, size: number) => Math.round((low + high - size) / 2);
  return { originYxPx: [corner(yMin, yMax, height), corner(xMin, xMax, width)], height, width };
}

async function truthFor(config: EvaluationConfig, raw: RawData | undefined): Promise<StoredImage> {
  if (config.truth !== null) {
    const truth = await readStoredImage(config.truth, 'the truth');
    return raw ? placeOnScan(truth, raw) : truth;
  }
  if (raw?.objectGuess) return { source: raw.source, image: raw.objectGuess, originYxPx: [0, 0], notes: [] };
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${raw?.source ?? 'The test data'} holds no objectGuess to compare with; name the truth with --truth, or correlate half sets with --halves.`,
    { key: 'objectGuess', path: raw?.source },
  );
}

/** Side of an object pixel, metres: as given, else that of the scan, else that of the image's file. */
export function pixelOf(
  config: EvaluationConfig,
  raw: RawData | undefined,
  stored?: Pick<StoredImage, 'pixel_m'>,
): number | undefined {
  if (config.data.object_pixel_m !== null) return config.data.object_pixel_m;
  const pixel = raw?.geometry.objectPixel_m ?? stored?.pixel_m;
  // A resolution in metres wants square pixels.
  return pixel && Math.abs(pixel.x - pixel.y) < 1e-3 * pixel.x ? pixel.x : undefined;
}
