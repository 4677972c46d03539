/**
 * From a spread to an interval: what a calibration found, and its file.
 *
 * A half-width is h = q·√(s² + c²) with the spread s of a pixel. The floor c stands for what the spread does not see (errors that all
 * networks or patches share); q is the quantile of |error|/√(s² + c²) on the scans that calibrate (split conformal prediction with
 * normalised residuals: Lei et al., J. Am. Stat. Assoc. 113, 1094, 2018).
 *
 * @example
 * const calibration = await findCalibration('run', bundles.map(weightsSha256), logger);
 * if (calibration) intervalsOf({ ensemble: spread }, calibration); // half-widths of 90 % intervals
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { messageOf, PtychoError } from '../../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../../core/inputFile.js';
import type { Logger } from '../../core/log.js';
import type { Tensor } from '../../core/tensor.js';
import { json, writeAtomically } from '../../formats/outputFiles.js';
import { parseBoundedJson } from '../../persistence/json.js';
import type { Uncertainty } from '../spread.js';

/** The file that `calibrate` leaves beside a model. */
export const CALIBRATION_FILE = 'calibration.json';

/** What the intervals cover, beside it. */
export const COVERAGE_FILE = 'coverage.csv';

/** Shares of the pixels that intervals are to cover. */
export const LEVELS = [0.5, 0.68, 0.8, 0.9, 0.95] as const;

/** The share that images are given intervals for. */
export const SHOWN_LEVEL = 0.9;

/** How the spread of one quantity becomes a half-width. */
export interface SpreadScale {
  /** c, in the unit of the quantity; null: the spread says nothing, and every half-width is the same. */
  readonly floor: number | null;
  /** q by level (of √(s² + c²), or half-widths themselves where `floor` is null), in the order of {@link LEVELS}. */
  readonly quantiles: readonly number[];
}

/** The same for amplitude (in the object's units) and phase (radians). */
export interface SpreadCalibration {
  readonly amplitude: SpreadScale;
  readonly phase: SpreadScale;
}

/** What patches are laid down with: intervals hold for images that were made alike. */
const IMAGE_FIELDS = [
  'stitch_crop_px',
  'patch_weighting',
  'stitching',
  'align_phases',
  'patch_fit',
  'stitching_rounds',
  'varpro_scaling',
] as const;

/** The values of the fields that images were made with. */
export type CalibratedImages = Readonly<
  Partial<Record<(typeof IMAGE_FIELDS)[number], string | number | boolean | null>>
>;

/** The part of a configuration that intervals depend on. */
export const calibratedImages = (config: CalibratedImages): CalibratedImages =>
  Object.fromEntries(IMAGE_FIELDS.flatMap((name) => (config[name] === undefined ? [] : [[name, config[name]]])));

/** What `calibrate` found. */
export interface Calibration {
  /** SHA-256 of the weights of the members, in order. */
  readonly members: readonly string[];
  /** Scans that it was found on. */
  readonly scans: readonly string[];
  /** How their images were made; not there in files of earlier versions. */
  readonly images?: CalibratedImages;
  /** Of the spread of several networks; not there for a single one. */
  readonly ensemble?: SpreadCalibration;
  /** Of the spread of overlapping patches. */
  readonly overlap?: SpreadCalibration;
}

/** Half-widths of intervals: so many of the pixels lie no further from the truth. */
export interface Intervals extends Uncertainty {
  readonly level: number;
  readonly from: 'ensemble' | 'overlap';
}

/** The half-width for a spread. @param level index into {@link LEVELS} */
export function halfWidth(spread: number, { floor, quantiles }: SpreadScale, level: number): number {
  if (Number.isNaN(spread)) return Number.NaN;
  return floor === null ? quantiles[level] : quantiles[level] * Math.sqrt(spread * spread + floor * floor);
}

/** The 90 % intervals by what is calibrated: the ensemble's spread before that of overlapping patches. */
export function intervalsOf(
  spreads: { readonly ensemble?: Uncertainty; readonly overlap?: Uncertainty },
  calibration: Calibration,
): Intervals | undefined {
  const level = LEVELS.indexOf(SHOWN_LEVEL);
  for (const from of ['ensemble', 'overlap'] as const) {
    const [spread, scale] = [spreads[from], calibration[from]];
    if (!spread || !scale) continue;
    const widths = ({ data, shape }: Tensor, of: SpreadScale): Tensor => ({ data: data.map((s) => halfWidth(s, of, level)), shape }); // biome-ignore format: one call
    const [amplitude, phase] = [widths(spread.amplitude, scale.amplitude), widths(spread.phase, scale.phase)];
    return { level: SHOWN_LEVEL, from, amplitude, phase };
  }
  return undefined;
}

const FORMAT = 'ptychopinn-calibration';
const VERSION = 1;

/** Writes a calibration. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writeCalibration(file: string, calibration: Calibration): Promise<void> {
  await writeAtomically(file, json({ format: FORMAT, version: VERSION, levels: LEVELS, ...calibration }));
}

/**
 * The calibration of a model: the file that is named, or the one beside the model, where there is one of these very weights and of images made
 * alike.
 * @param modelPath the folder of the model, or its `wts.zip`
 * @param members SHA-256 of the weights
 * @param named a file that was asked for: then it must fit
 * @param images what the image will be made with; without it this is not compared
 * @throws PtychoError FILE_NOT_FOUND, BUNDLE_INVALID for a named file that is no calibration, WEIGHTS_MISMATCH for one of other weights,
 * CONFIG_INVALID for one of images that were made otherwise
 */
export async function findCalibration(
  modelPath: string,
  members: readonly string[],
  {
    named,
    logger,
    images,
  }: { readonly named?: string | null; readonly logger?: Logger; readonly images?: CalibratedImages } = {},
): Promise<Calibration | undefined> {
  const file = named ?? besideModel(modelPath);
  if (file === undefined) return undefined;
  const found = await readCalibration(file);
  const fits = found.members.length === members.length && found.members.every((sha, i) => sha === members[i]);
  const refuse = (code: 'WEIGHTS_MISMATCH' | 'CONFIG_INVALID', message: string): undefined => {
    if (named) throw new PtychoError(code, message, { path: file });
    logger?.warn(message);
  };
  if (!fits) {
    return refuse(
      'WEIGHTS_MISMATCH',
      `${file} calibrates other weights than those of ${modelPath}: calibrate this model ("ptychopinn calibrate").`,
    );
  }
  const others = differences(found.images, images);
  if (others.length === 0) return found;
  return refuse(
    'CONFIG_INVALID',
    `${file} was found on images made with ${others.map(({ name, calibrated }) => `${name} ${calibrated}`).join(', ')}, but this one is made with ${others.map(({ name, here }) => `${name} ${here}`).join(', ')}, so it has no intervals: calibrate with the options of this image.`,
  );
}

/** Fields in which an image is made otherwise than those that were calibrated on. */
function differences(calibrated: CalibratedImages | undefined, here: CalibratedImages | undefined) {
  if (!calibrated || !here) return [];
  return IMAGE_FIELDS.flatMap((name) => {
    const [a, b] = [calibrated[name], here[name]];
    return a === undefined || b === undefined || a === b ? [] : [{ name, calibrated: String(a), here: String(b) }];
  });
}

function besideModel(modelPath: string): string | undefined {
  const folder = modelPath.endsWith('.zip') ? path.dirname(modelPath) : modelPath;
  const file = path.join(folder, CALIBRATION_FILE);
  return existsSync(file) ? file : undefined;
}

/** @throws PtychoError FILE_NOT_FOUND, BUNDLE_INVALID */
export async function readCalibration(file: string): Promise<Calibration> {
  let found: Partial<Calibration> & {
    readonly format?: unknown;
    readonly version?: unknown;
    readonly levels?: unknown;
  };
  try {
    found = (parseBoundedJson(await readTextInput(file, { maxBytes: TABLE_BYTES })) ?? {}) as typeof found;
  } catch (error) {
    if (error instanceof PtychoError) throw error;
    throw invalid(file, `it is not JSON: ${messageOf(error)}`);
  }
  if (found.format !== FORMAT || found.version !== VERSION) {
    throw invalid(file, `it is no calibration of format "${FORMAT}", version ${VERSION}`);
  }
  if (JSON.stringify(found.levels) !== JSON.stringify(LEVELS))
    throw invalid(file, `its levels are not ${LEVELS.join(', ')}`);
  const { members, scans, ensemble, overlap, images } = found;
  if (!isTexts(members) || !isTexts(scans))
    throw invalid(file, 'it does not say which weights and scans it belongs to');
  for (const part of [ensemble, overlap]) {
    if (part !== undefined && !(isScale(part?.amplitude) && isScale(part?.phase))) {
      throw invalid(file, `it lacks numbers of at least 0 for the levels ${LEVELS.join(', ')}`);
    }
  }
  if (images !== undefined && (typeof images !== 'object' || images === null)) {
    throw invalid(file, 'it does not say how its images were made');
  }
  return { members, scans, ...(images && { images: calibratedImages(images) }), ensemble, overlap };
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((text) => typeof text === 'string');

function isScale(value: unknown): value is SpreadScale {
  const { floor, quantiles } = (value ?? {}) as Partial<SpreadScale>;
  const isWidth = (v: unknown) => typeof v === 'number' && Number.isFinite(v) && v >= 0;
  const hasFloor = floor === null || isWidth(floor);
  return hasFloor && Array.isArray(quantiles) && quantiles.length === LEVELS.length && quantiles.every(isWidth);
}

function invalid(file: string, why: string): PtychoError {
  return new PtychoError('BUNDLE_INVALID', `${file}: ${why}.`, { path: file });
}
