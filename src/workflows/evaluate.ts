/**
 * `evaluate`: an image against the truth in both families of metrics, with the floors beside every number; or, without a truth,
 * two halves of a scan against each other.
 *
 * @example
 * const { metrics, floors } = await evaluateWorkflow({ ...config, reconstruction: 'reconstruction.npz', truth: 'scan.npz' });
 */

import type { EvaluationConfig } from '../config/schemas/evaluation.js';
import { cancelPoint, throwIfCancelled } from '../core/cancel.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { spreadIndices } from '../core/numbers.js';
import type { Services } from '../core/services.js';
import { type ComplexImage, type ComplexTensor, sameShape } from '../core/tensor.js';
import { isSimulation } from '../data/labels.js';
import { splitFileSpec } from '../data/opening/files.js';
import { openTool } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { checkReconstruction, type ReconstructionCheck } from '../evaluation/checks.js';
import { placeAll, type RegisteredImage, register, scanBox } from '../evaluation/comparison/region.js';
import {
  type BothFamilies,
  bothFamilies,
  type MetricFloors,
  metricFloors,
  scanImage,
  scanTotals,
} from '../evaluation/floors.js';
import { type HalfSetCorrelation, halfSetCorrelation } from '../evaluation/halves.js';
import { type Registration, registerImages } from '../evaluation/register.js';
import { requireNewIn } from '../formats/outputs.js';
import { type Frame, frameOfObject, moveToFrame, scanBounds } from '../reconstruction/frame.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { constantObjectRFactor, scaledRFactor } from '../reconstruction/rFactor.js';
import {
  placeOnScan,
  readProbeBeside,
  readStoredImage,
  type StoredImage,
  turnedImage,
} from '../reconstruction/storedImage.js';
import { EVALUATION_FILES, HALVES_FILES, writeEvaluation, writeHalves } from './evaluateFiles.js';

/** How well an image explains the measured patterns. */
export interface EvaluatedRFactor {
  readonly image: number;
  /** Of the best constant object: what the image must beat. */
  readonly constant: number;
  /** What the amplitudes of the image were multiplied by. */
  readonly factor: number;
  readonly patterns: number;
  /** Whose probe: the one beside the image, which it was made with, or that of the scan. */
  readonly probe: 'reconstruction' | 'scan';
}

/** Everything that is known of an image when it was scored. */
export interface EvaluationReport {
  readonly reconstruction: string;
  readonly truth: string;
  /** False where the truth is the object of a measured scan, which somebody reconstructed: then nothing says what was resolved. */
  readonly truthKnown: boolean;
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
export async function evaluateWorkflow(config: EvaluationConfig, services: Services = {}): Promise<EvaluationReport> {
  await requireNewIn(config.output_dir, EVALUATION_FILES, config, services);
  const raw = config.test_data_file === null ? undefined : await openTool(config.test_data_file, config, services);
  try {
    const stored = await readStoredImage(required(config.reconstruction, 'reconstruction'), 'the reconstruction');
    const ours = raw ? placeOnScan(stored, raw) : stored;
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
export async function evaluateHalvesWorkflow(config: EvaluationConfig, services: Services = {}): Promise<HalvesReport> {
  const { backend, execution, neighbor_count, seed } = config;
  const path = required(config.model_path, 'model_path');
  const { logger, signal, onProgress } = services;
  await requireNewIn(config.output_dir, HALVES_FILES, config, services);
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
  { signal }: Services,
): Promise<EvaluationReport> {
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
  const pixel_m = pixelOf(config, raw);
  const options = { phase_align_method, frc_sigma, ms_ssim_sigma, pixel_m };
  const scan = raw && scanImage(await scanTotals(raw, signal), frame);
  await pause();
  const metrics = check.usable ? bothFamilies(image, reference, options) : undefined;
  await pause();
  const floors = metricFloors(reference, { ...options, scan });
  if (metrics) notes.push(...metrics.standard.notes);
  await pause();
  const rFactor = raw && check.usable ? await rFactorOf(config, raw, { ...ours, frame: place }, notes) : undefined;
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
  const lying = () => {
    const { region, placed } = placeAll([one], box);
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
    return { ...lying(), registration };
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

/** An image is explained by the probe that it was made with: that of its file, else that of the scan. */
async function probeFor(
  config: EvaluationConfig,
  raw: RawData,
  ours: StoredImage,
  notes: string[],
): Promise<{ readonly probe?: ComplexTensor; readonly of: EvaluatedRFactor['probe'] }> {
  if (config.probe !== null) return { probe: raw.probeGuess, of: 'scan' };
  const note = (sentence: string) => notes.push(sentence);
  const own = await readProbeBeside(ours.source, raw.N, { note });
  if (!own) return { probe: raw.probeGuess, of: 'scan' };
  note(`R was measured with the probe that ${splitFileSpec(ours.source).file} holds, not with that of the scan.`);
  return { probe: turnedImage(own, ours.turned), of: 'reconstruction' };
}

async function rFactorOf(
  config: EvaluationConfig,
  raw: RawData,
  ours: StoredImage & { readonly frame: Frame },
  notes: string[],
): Promise<EvaluatedRFactor | undefined> {
  const limit = Math.min(config.r_factor_patterns, raw.count);
  if (limit === 0 || raw.domain === 'normalized_amplitude') return undefined;
  const { probe, of } = await probeFor(config, raw, ours, notes);
  if (!probe) return undefined;
  const indices = spreadIndices(raw.count, limit);
  const data = new Float32Array(limit * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, data);
  const scan = {
    diffraction: { data, shape: [limit, raw.N, raw.N] },
    xs: Float64Array.from(indices, (i) => raw.xcoords[i]),
    ys: Float64Array.from(indices, (i) => raw.ycoords[i]),
    probe,
    badPixels: raw.badPixels,
  };
  const { image } = ours;
  const weight = Float32Array.from(image.re, (v, i) => (ours.weight ? ours.weight[i] : v !== 0 || image.im[i] !== 0 ? 1 : 0)); // biome-ignore format: one call
  const { r, factor } = scaledRFactor(scan, ours, { overlapCount: { data: weight, shape: image.shape } });
  return { image: r, constant: constantObjectRFactor(scan).best, factor, patterns: limit, probe: of };
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
