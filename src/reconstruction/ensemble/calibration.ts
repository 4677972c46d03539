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

/** What `calibrate` found. */
export interface Calibration {
  /** SHA-256 of the weights of the members, in order. */
  readonly members: readonly string[];
  /** Scans that it was found on. */
  readonly scans: readonly string[];
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
 * The calibration of a model: the file that is named, or the one beside the model, where there is one of these very weights.
 * @param modelPath the folder of the model, or its `wts.zip`
 * @param members SHA-256 of the weights
 * @param named a file that was asked for: then it must fit
 * @throws PtychoError FILE_NOT_FOUND, BUNDLE_INVALID for a named file that is no calibration, WEIGHTS_MISMATCH for one of other weights
 */
export async function findCalibration(
  modelPath: string,
  members: readonly string[],
  { named, logger }: { readonly named?: string | null; readonly logger?: Logger } = {},
): Promise<Calibration | undefined> {
  const file = named ?? besideModel(modelPath);
  if (file === undefined) return undefined;
  const found = await readCalibration(file);
  const fits = found.members.length === members.length && found.members.every((sha, i) => sha === members[i]);
  if (fits) return found;
  const message = `${file} calibrates other weights than those of ${modelPath}: calibrate this model ("ptychopinn calibrate").`;
  if (named) throw new PtychoError('WEIGHTS_MISMATCH', message, { path: file });
  logger?.warn(message);
  return undefined;
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
  const { members, scans, ensemble, overlap } = found;
  if (!isTexts(members) || !isTexts(scans))
    throw invalid(file, 'it does not say which weights and scans it belongs to');
  for (const part of [ensemble, overlap]) {
    if (part !== undefined && !(isScale(part?.amplitude) && isScale(part?.phase))) {
      throw invalid(file, `it lacks numbers of at least 0 for the levels ${LEVELS.join(', ')}`);
    }
  }
  return { members, scans, ensemble, overlap };
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
