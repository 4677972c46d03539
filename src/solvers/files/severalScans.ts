/** Several scans of one run: whether they can be asked for, by what they are known again, and how well each is explained. */
import path from 'node:path';
import { FIELDS_OF_ONE_SCAN } from '../../config/schemas/data.js';
import type { SolveConfig } from '../../config/schemas/solve.js';
import { PtychoError } from '../../core/errors.js';
import { counted } from '../../core/words.js';
import type { RawData } from '../../data/rawData.js';
import { type FolderClaim, type ResumableConfig, resumableClaim } from '../../formats/outputs.js';
import { type ScanFingerprint, scanFingerprint } from '../../persistence/runState.js';
import { PAGE_FILE } from '../../reconstruction/imagePage.js';
import { type ImageRFactor, R_FACTOR_PATTERNS, scoreR } from '../../reconstruction/rFactor.js';
import type { SolvedImage } from '../run.js';
import { scansOf } from '../together/scansOf.js';
import { SOLVED_FILES } from './write.js';
import { filesOfScans, productOfScan, scanFolder } from './writeTogether.js';

/** One of several scans. */
export interface SolvedScanSummary {
  readonly source: string;
  /** Below the output folder: its image, probe and positions. */
  readonly folder: string;
  readonly patterns: number;
  /** Of one object: [y, x] pixels that its positions lie off those of the first scan. */
  readonly offset_yx_px: readonly [number, number];
  readonly score?: ImageRFactor;
}

/** What is said of several scans: of a configuration of `solve` or `reconstruct`. */
export type SharedScans = Pick<SolveConfig, 'share' | 'data'> & Partial<Pick<SolveConfig, 'init'>>;

/** @throws PtychoError CONFIG_INVALID for what is said of one scan but not of several */
export function requireShare({ share, init = null, data }: SharedScans, paths: readonly string[]): void {
  const refused = (key: string, message: string, found: unknown) =>
    new PtychoError('CONFIG_INVALID', message, { key, found });
  if (share === null) return;
  const twice = paths.find((file, i) => paths.findIndex((other) => path.resolve(other) === path.resolve(file)) < i);
  if (twice !== undefined) {
    throw refused(
      'test_data_files',
      `${twice} is named twice among the scans to solve together; name each once.`,
      twice,
    );
  }
  if (init !== null) {
    throw refused(
      'init',
      `init does not go together with share ${share}: several scans begin from an empty object and their own probes; leave one of them out.`,
      init,
    );
  }
  const field = FIELDS_OF_ONE_SCAN.find((name) => data[name] !== null);
  if (field === undefined) return;
  throw refused(
    field,
    `${field} belongs to one scan, but there are ${paths.length} to solve together; leave it out, and have "ptychopinn convert" write each scan that needs it into a file of its own.`,
    data[field],
  );
}

/** Opens all scans of a run, one after the other, and closes them behind the work. */
export async function withScans<T>(
  paths: readonly string[],
  open: (path: string) => Promise<RawData>,
  work: (raws: readonly RawData[]) => Promise<T>,
): Promise<T> {
  const raws: RawData[] = [];
  try {
    for (const file of paths) raws.push(await open(file));
    return await work(raws);
  } finally {
    for (const raw of raws) await raw.close();
  }
}

/** What a run on so many scans writes. */
export function claimOf(
  command: 'solve' | 'reconstruct',
  config: ResumableConfig & Pick<SolveConfig, 'product_file'>,
  stateFile: string,
  scans: number,
): FolderClaim {
  const files = [...SOLVED_FILES, PAGE_FILE];
  if (scans === 1) return resumableClaim(command, config, stateFile, files);
  const { product_file } = config;
  const claim = resumableClaim(command, { ...config, product_file: null }, stateFile, [
    ...files,
    ...filesOfScans(scans),
  ]);
  const products = product_file === null ? [] : Array.from({ length: scans }, (_, s) => productOfScan(product_file, s));
  return { ...claim, files: products.map((file) => ['product_file', file]) };
}

/** Of one scan, or of each of several. */
export async function fingerprintOf(raws: readonly RawData[]): Promise<ScanFingerprint> {
  if (raws.length === 1) return scanFingerprint(raws[0]);
  const parts: Record<string, string> = {};
  for (const [s, raw] of raws.entries()) {
    for (const [name, sum] of Object.entries(await scanFingerprint(raw))) parts[`scan ${s + 1}: ${name}`] = sum;
  }
  return parts;
}

/** What each scan came to. */
export async function scoresOfScans(raws: readonly RawData[], solved: SolvedImage): Promise<SolvedScanSummary[]> {
  const found: SolvedScanSummary[] = [];
  for (const [s, scan] of scansOf(solved).entries()) {
    const { source, offset_yx_px } = scan;
    const known = { source, folder: scanFolder(s), patterns: raws[s].count, offset_yx_px };
    found.push({ ...known, score: await scoreOf(raws[s], scan) });
  }
  return found;
}

/** R as `evaluate` measures it, with the probe that was found and at the positions that were. */
export function scoreOf(raw: RawData, { image, frame, coverage: weight, probe, positions, layers }: SolvedImage) {
  const scoring = { limit: R_FACTOR_PATTERNS, probe, of: 'reconstruction', positions } as const;
  return scoreR(raw, { image, frame, weight, layers }, scoring);
}

/** R of the scan that is explained worst. */
export const worstOf = (scans: readonly SolvedScanSummary[]): ImageRFactor | undefined =>
  scans
    .map(({ score }) => score)
    .reduce((worst, score) => (score && !(worst && worst.image >= score.image) ? score : worst));

/** A scan in a line of the page. */
export const factOf = ({ source, folder, patterns, offset_yx_px: [y, x], score }: SolvedScanSummary) => ({
  name: folder,
  value: `${source}, ${counted(patterns, 'pattern')}${y === 0 && x === 0 ? '' : `, ${y.toFixed(2)} px (y) and ${x.toFixed(2)} px (x) off the first`}${score ? `, R ${score.image.toPrecision(3)}` : ''}`,
});
