/**
 * Whether a run may go on from what an earlier one saved: everything that shapes its result must be what it was. Checkpoints of a
 * training and the state of a solver are held against the new run in the same words.
 */
import { PtychoError } from '../core/errors.js';
import { sha256 } from '../core/hash.js';
import type { Logger } from '../core/log.js';
import { spreadIndices } from '../core/numbers.js';
import type { PreparedScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';

/** Part of a scan → SHA-256 of its content. */
export type ScanFingerprint = Readonly<Record<string, string>>;

/** Of how many groups the values are hashed, and of how many patterns where there are no groups; statistics stand for the others. */
const [SAMPLED_GROUPS, SAMPLED_PATTERNS] = [8, 16];

/** Of the scans of a training: patterns as the network is fed them, labels included; positions, groups, probe. */
export async function trainingFingerprint(
  [first, ...more]: readonly PreparedScan[],
  test?: PreparedScan,
): Promise<ScanFingerprint> {
  const parts: Record<string, string> = { ...(await groupedFingerprint(first)) };
  const add = (prefix: string, own: ScanFingerprint) => {
    for (const [name, sum] of Object.entries(own)) parts[`${prefix} ${name}`] = sum;
  };
  for (const [i, scan] of more.entries()) add(`scan ${i + 2}:`, await groupedFingerprint(scan));
  if (test) add('validation', await groupedFingerprint(test));
  return parts;
}

async function groupedFingerprint({ raw, groups, statistics, dataset }: PreparedScan): Promise<ScanFingerprint> {
  const { diffraction, labels } = await dataset.batch(spreadIndices(groups.count, SAMPLED_GROUPS));
  const figures = Float64Array.of(raw.count, raw.N, statistics.meanPower, statistics.meanAmplitude);
  return {
    patterns: hashOf(raw.domain, figures, diffraction.data, labels?.re, labels?.im, badPixelsOf(raw)),
    positions: hashOf(groups.coordsNn),
    groups: hashOf(groups.members, raw.sampleIndices),
    probe: probeHash(raw),
  };
}

/** Of the scan of a solver, as it was opened. */
export async function scanFingerprint(raw: RawData): Promise<ScanFingerprint> {
  const rows = spreadIndices(raw.count, SAMPLED_PATTERNS);
  const patterns = new Float32Array(rows.length * raw.N * raw.N);
  await raw.patterns.readAmplitudes(rows, patterns);
  return {
    patterns: hashOf(raw.domain, Float64Array.of(raw.count, raw.N), patterns, raw.sampleIndices),
    positions: hashOf(raw.xcoords, raw.ycoords),
    probe: probeHash(raw),
    'bad pixels': hashOf(badPixelsOf(raw)),
  };
}

const badPixelsOf = ({ badPixels }: RawData) => badPixels && Uint8Array.from(badPixels);
/** By which the probe of a scan is known again. */
export const probeHash = ({ probeGuess: probe }: Pick<RawData, 'probeGuess'>): string =>
  hashOf(probe?.shape.join() ?? '', probe?.re, probe?.im);

/** SHA-256 of values one after the other. */
export function hashOf(...values: readonly (string | NodeJS.ArrayBufferView | undefined)[]): string {
  return sha256(...values.flatMap((value) => [value ?? '', '\0']));
}

/** The run that saved a state. */
export interface EarlierRun {
  readonly folder: string;
  /** What can be done where it cannot go on: `train again`. */
  readonly otherwise: string;
}

/** A setting that shapes the result and is another now, as texts and as values. */
export interface ChangedSetting {
  readonly key: string;
  readonly now: string;
  readonly before: string;
  readonly found: unknown;
  readonly expected: unknown;
  /** Why it must not change, where that has to be said: begins with a comma. */
  readonly why?: string;
}

/** The error for a setting that may not change. */
export function settingChanged(
  { folder, otherwise }: EarlierRun,
  { key, now, before, found, expected, why = '' }: ChangedSetting,
): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `${key} is ${now}, but the run in ${folder} was begun with ${before}${why}; give the same value to resume it, or ${otherwise} without --resume.`,
    { key, found, expected },
  );
}

/** @throws PtychoError DATASET_VALUE for another scan, naming the first part that differs */
export function requireSameScan(
  { folder, otherwise }: EarlierRun,
  { now, before }: { readonly now: ScanFingerprint; readonly before: ScanFingerprint },
): void {
  for (const part of new Set([...Object.keys(before), ...Object.keys(now)])) {
    if (before[part] === now[part]) continue;
    throw new PtychoError(
      'DATASET_VALUE',
      `The run in ${folder} was begun with another scan: its ${part} ${part.endsWith('probe') ? 'differs' : 'differ'}; give the same files to resume it, or ${otherwise} without --resume.`,
      { part, path: folder },
    );
  }
}

/** Another engine or version may change the last digits: that is told, not refused. */
export function warnOfLastDigits(folder: string, engines: string, logger: Logger): void {
  logger.warn(
    `The run in ${folder} was begun with ${engines} the last digits may differ from a run that was never interrupted.`,
  );
}
