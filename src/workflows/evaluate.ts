/**
 * `evaluate`: an image against the truth in both families of metrics, with the floors beside every number; or, without a truth,
 * two halves of a scan against each other.
 *
 * @example
 * const { metrics, floors } = await evaluateWorkflow({ ...config, reconstruction: 'reconstruction.npz', truth: 'scan.npz' });
 */
import type { EvaluationConfig } from '../config/schemas/evaluation.js';
import { cancelPoint, throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { sameShape } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import { checkReconstruction, type ReconstructionCheck } from '../evaluation/checks.js';
import { alignForEvaluation, cutToCommonFrame, describeFrame } from '../evaluation/evaluationFrame.js';
import { type BothFamilies, bothFamilies, type MetricFloors, metricFloors } from '../evaluation/floors.js';
import type { EvaluatedImage } from '../evaluation/images.js';
import { type Registration, registerImages } from '../evaluation/register.js';
import { constantObjectRFactor, scaledRFactor } from '../evaluation/rFactor.js';
import { scanImage, scanTotals } from '../evaluation/scanImage.js';
import { applyRegistration } from '../evaluation/shift.js';
import { type Frame, frameOfObject, scanBounds } from '../reconstruction/frame.js';
import { PtychoModel } from './api/ptychoModel.js';
import { type HalfSetCorrelation, halfSetCorrelation } from './evaluation/halves.js';
import { readStoredImage, type StoredImage } from './evaluation/readImage.js';
import { writeEvaluation, writeHalves } from './evaluation/write.js';
import { openTool } from './openTool.js';
import type { WorkflowServices } from './services.js';

/** How well an image explains the measured patterns. */
export interface EvaluatedRFactor {
  readonly image: number;
  /** Of the best constant object: what the image must beat. */
  readonly constant: number;
  /** What the amplitudes of the image were multiplied by. */
  readonly factor: number;
  readonly patterns: number;
}

/** Everything that is known of an image when it was scored. */
export interface EvaluationReport {
  readonly reconstruction: string;
  readonly truth: string;
  /** The pixels that were compared, in pixels of the truth. */
  readonly frame: Frame;
  readonly check: ReconstructionCheck;
  readonly registration?: Registration;
  /** The shift that registration found was taken out. */
  readonly moved: boolean;
  readonly pixel_m?: number;
  /** Undefined for an image that cannot be scored; `check` says why. */
  readonly metrics?: BothFamilies;
  readonly floors: MetricFloors;
  readonly rFactor?: EvaluatedRFactor;
  readonly notes: readonly string[];
  /** Names of the files in `output_dir`. */
  readonly files: readonly string[];
}

/** Two halves of a scan. */
export interface HalvesReport {
  readonly model: string;
  readonly source: string;
  readonly pixel_m?: number;
  readonly halves: HalfSetCorrelation;
  readonly files: readonly string[];
}

/** Scores an image. @throws PtychoError those of reading, DATASET_SHAPE for images that share too little, OUTPUT_UNWRITABLE */
export async function evaluateWorkflow(
  config: EvaluationConfig,
  services: WorkflowServices = {},
): Promise<EvaluationReport> {
  const raw = config.test_data_file === null ? undefined : await openTool(config.test_data_file, config, services);
  try {
    const ours = await readStoredImage(required(config.reconstruction, 'reconstruction'), 'the reconstruction');
    const truth = await truthFor(config, raw);
    const report = await score(config, ours, truth, raw, services);
    throwIfCancelled(services.signal, 'The evaluation');
    if (config.output_dir === null) return report;
    return { ...report, files: await writeEvaluation(config.output_dir, report) };
  } finally {
    await raw?.close();
  }
}

/** Correlates two halves of a scan. @throws PtychoError as {@link halfSetCorrelation}, and those of opening model and scan */
export async function evaluateHalvesWorkflow(
  config: EvaluationConfig,
  services: WorkflowServices = {},
): Promise<HalvesReport> {
  const { backend, execution, neighbor_count, seed } = config;
  const path = required(config.model_path, 'model_path');
  const { logger, signal, onProgress } = services;
  const raw = await openTool(required(config.test_data_file, 'test_data_file'), config, services);
  try {
    const model = await PtychoModel.open(path, { backend, execution, logger });
    try {
      const pixel_m = pixelOf(config, raw);
      const options = { neighbor_count, seed, pixel_m, logger, signal, onProgress };
      const halves = await halfSetCorrelation(model, raw, options);
      const report = { model: path, source: raw.source, pixel_m, halves, files: [] };
      if (config.output_dir === null) return report;
      return { ...report, files: await writeHalves(config.output_dir, report) };
    } finally {
      await model.dispose();
    }
  } finally {
    await raw.close();
  }
}

async function score(
  config: EvaluationConfig,
  ours: StoredImage,
  truth: StoredImage,
  raw: RawData | undefined,
  { signal }: WorkflowServices,
): Promise<EvaluationReport> {
  const pause = cancelPoint(signal, 'The evaluation');
  const positions = raw && { xs: raw.xcoords, ys: raw.ycoords };
  const notes = [...ours.notes, ...truth.notes];
  const truthFrame: Frame = { ...frameOfObject(truth.image), originYxPx: truth.originYxPx ?? [0, 0] };
  const place = placeOf(ours, truth, config, positions, notes);
  const bounds = positions && scanBounds(positions.xs, positions.ys);
  const check = checkReconstruction(ours.image, { frame: place.frame, weight: ours.weight, truthFrame, bounds });

  const pair = place.pair ?? cutToCommonFrame({ image: ours.image, frame: place.frame }, truth.image, { truthOriginYxPx: truthFrame.originYxPx, positions }); // biome-ignore format: one call
  let frame: Frame = pair.frame;
  let [image, reference]: EvaluatedImage[] = [pair.image, pair.truth];
  let registration: Registration | undefined;
  let moved = false;
  await pause();
  if (config.register && check.usable) {
    const found = registerImages(reference, image);
    registration = found;
    const shared = found.succeeded ? applyRegistration(reference, image, found.shiftYxPx) : undefined;
    if (shared && Math.min(...shared.fixed.shape) >= LEAST_SIDE) {
      moved = true;
      [image, reference] = [shared.moving, shared.fixed];
      const [height, width] = shared.fixed.shape;
      const [top, left] = shared.cornerYx;
      frame = { originYxPx: [frame.originYxPx[0] + top, frame.originYxPx[1] + left], height, width };
    } else {
      notes.push(found.succeeded
          ? `The images were compared where they lie, since too little is left once they are moved by ${found.shiftYxPx.map((v) => v.toFixed(3)).join(', ')} (y, x).`
          : `The images were compared where they lie, since registration failed. ${found.reason}`); // biome-ignore format: one call
    }
  }
  requireRoom(frame);
  const { phase_align_method, frc_sigma, ms_ssim_sigma } = config;
  const pixel_m = pixelOf(config, raw);
  const options = { phase_align_method, frc_sigma, ms_ssim_sigma, pixel_m };
  const scan = raw && scanImage(await scanTotals(raw, signal), frame);
  await pause();
  const metrics = check.usable ? bothFamilies(image, reference, options) : undefined;
  await pause();
  const floors = metricFloors(reference, { ...options, scan });
  if (metrics) notes.push(...metrics.standard.notes);
  await pause();
  const rFactor = raw && check.usable ? await rFactorOf(config, raw, { ...ours, frame: place.frame }) : undefined;
  return {
    reconstruction: ours.source,
    truth: truth.source,
    ...{ frame, check, registration, moved, pixel_m, metrics, floors, rFactor, notes },
    files: [],
  };
}

/** Below this the windows of the similarities have no room. */
const LEAST_SIDE = 16;

function requireRoom(frame: Frame): void {
  if (Math.min(frame.height, frame.width) >= LEAST_SIDE) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    `Reconstruction and truth share ${describeFrame(frame)} pixels, too few to compare: ${LEAST_SIDE} a side are needed.`,
    { frame },
  );
}

/** Where the reconstruction lies in the pixels of the truth. */
function placeOf(
  ours: StoredImage,
  truth: StoredImage,
  config: EvaluationConfig,
  positions: { readonly xs: Float64Array; readonly ys: Float64Array } | undefined,
  notes: string[],
): {
  readonly frame: Frame;
  readonly pair?: { readonly image: EvaluatedImage; readonly truth: EvaluatedImage; readonly frame: Frame };
} {
  const [height, width] = ours.image.shape;
  const origin = truth.originYxPx ?? ([0, 0] as const);
  if (ours.originYxPx) return { frame: { originYxPx: ours.originYxPx, height, width } };
  if (sameShape(ours.image.shape, truth.image.shape)) return { frame: { originYxPx: origin, height, width } };
  const found = registerImages(truth.image, ours.image, { upsample: 1, movingMask: ours.weight });
  if (found.succeeded) {
    notes.push(`${ours.source} does not say where it lies; it was found at ${found.shiftYxPx.join(', ')} (y, x) of the truth.`); // biome-ignore format: one call
    const frame = {
      originYxPx: [origin[0] + found.shiftYxPx[0], origin[1] + found.shiftYxPx[1]] as const,
      height,
      width,
    };
    return { frame };
  }
  if (!positions) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${ours.source} (${height}×${width}) does not say where it lies in ${truth.source} (${truth.image.shape.join('×')}), and registration did not find it: ${found.reason} Give its scan as test_data.`,
      { reconstruction: ours.image.shape, truth: truth.image.shape },
    );
  }
  notes.push(`${ours.source} does not say where it lies, and registration did not find it; its middle was laid on the middle of the scan, as published.`); // biome-ignore format: one call
  const pair = alignForEvaluation(ours.image, truth.image, positions, config.stitch_crop_size);
  const [rows, cols] = pair.truth.shape;
  const { xMin, xMax, yMin, yMax } = scanBounds(positions.xs, positions.ys);
  const corner = (low: number, high: number, size: number) => Math.round((low + high - size) / 2);
  const frame: Frame = {
    originYxPx: [corner(yMin, yMax, rows), corner(xMin, xMax, cols)],
    height: rows,
    width: cols,
  };
  return { frame: { originYxPx: [corner(yMin, yMax, height), corner(xMin, xMax, width)], height, width }, pair: { ...pair, frame } }; // biome-ignore format: one expression
}

async function truthFor(config: EvaluationConfig, raw: RawData | undefined): Promise<StoredImage> {
  if (config.truth !== null) return readStoredImage(config.truth, 'the truth');
  if (raw?.objectGuess) return { source: raw.source, image: raw.objectGuess, originYxPx: [0, 0], notes: [] };
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${raw?.source ?? 'The test data'} holds no objectGuess to compare with; name the truth with --truth, or correlate half sets with --halves.`,
    { key: 'objectGuess', path: raw?.source },
  );
}

async function rFactorOf(
  config: EvaluationConfig,
  raw: RawData,
  ours: StoredImage & { readonly frame: Frame },
): Promise<EvaluatedRFactor | undefined> {
  const limit = Math.min(config.r_factor_patterns, raw.count);
  if (limit === 0 || !raw.probeGuess || raw.domain === 'normalized_amplitude') return undefined;
  const indices = Int32Array.from({ length: limit }, (_, i) => Math.floor((i * raw.count) / limit));
  const data = new Float32Array(limit * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, data);
  const scan = {
    diffraction: { data, shape: [limit, raw.N, raw.N] },
    xs: Float64Array.from(indices, (i) => raw.xcoords[i]),
    ys: Float64Array.from(indices, (i) => raw.ycoords[i]),
    probe: raw.probeGuess,
    badPixels: raw.badPixels,
  };
  const { image } = ours;
  const weight = Float32Array.from(image.re, (v, i) => (ours.weight ? ours.weight[i] : v !== 0 || image.im[i] !== 0 ? 1 : 0)); // biome-ignore format: one call
  const { r, factor } = scaledRFactor(scan, ours, { overlapCount: { data: weight, shape: image.shape } });
  return { image: r, constant: constantObjectRFactor(scan).best, factor, patterns: limit };
}

function pixelOf(config: EvaluationConfig, raw: RawData | undefined): number | undefined {
  if (config.data.object_pixel_m !== null) return config.data.object_pixel_m;
  const pixel = raw?.geometry.objectPixel_m;
  // A resolution in metres wants square pixels.
  return pixel && Math.abs(pixel.x - pixel.y) < 1e-3 * pixel.x ? pixel.x : undefined;
}

/** The schema asks for it wherever it is used. */
function required(value: string | null, key: string): string {
  if (value !== null) return value;
  throw new PtychoError('CONFIG_INVALID', `${key} must be given.`, { key });
}
