/**
 * Scans written anew as contract NPZ files: converted from any readable format, or cut in two along an axis. Patterns stream through,
 * so that a scan may be larger than the memory; `_metadata.data_transformations` tells what was done.
 */

import path from 'node:path';
import { type DataConfig, dataConfigSchema } from '../config/schemas/data.js';
import type { ConvertConfig, SplitConfig } from '../config/schemas/tools.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import type { Logger } from '../core/log.js';
import { extentOf } from '../core/numbers.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import { probeDiameter } from '../physics/probe.js';
import { openScan } from './findings/survey.js';
import { openOptions, openTool } from './preparedScan.js';
import type { RawData } from './rawData.js';
import { type ExtraArrays, readExtraArrays, writeScan } from './scanWriter.js';

/** What was written. */
export interface ConversionSummary {
  readonly path: string;
  readonly source: string;
  readonly format: RawData['format'];
  readonly count: number;
  readonly N: number;
  readonly domain: RawData['domain'];
  readonly domainReason: string;
}

/**
 * Reads `input` as the configuration says and writes it to `config.output_file`, whatever is there.
 * @throws PtychoError as `openDataset` and `writeScan`
 */
export async function convertScan(
  input: string,
  config: ConvertConfig,
  services: Services = {},
): Promise<ConversionSummary> {
  // A wrong declaration in the file can be corrected here, and only here.
  // Values are copied as stored, of which nothing is kept from the first pass.
  return closing(
    await openScan(
      input,
      { ...openOptions(config, services), redeclare: true },
      { keepBytes: 0, signal: services.signal },
    ),
    async (raw) => {
      await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
      const extra = await extraArrays(raw, config.data, services.logger);
      await writeScan(config.output_file, raw, {
        extra: extra?.of(raw.sampleIndices),
        compress: config.compress,
        signal: services.signal,
        onPatterns: (done) => services.onProgress?.({ stage: 'writing', done, total: raw.count, unit: 'patterns' }),
        transformation: {
          tool: `${createdBy.package} convert`,
          operation: 'convert',
          parameters: { format: raw.format, version: createdBy.version, ...changedOptions(config) },
        },
      });
      const { source, format, count, N, domain, domainReason } = raw;
      return { path: config.output_file, source, format, count, N, domain, domainReason };
    },
  );
}

/**
 * What an NPZ scan holds besides the contract's arrays; nothing for other formats, and nothing for patterns that were cropped,
 * padded, rebinned, moved or turned, which arrays of unknown meaning would no longer fit.
 */
async function extraArrays(raw: RawData, data: DataConfig, logger?: Logger): Promise<ExtraArrays | undefined> {
  if (raw.format !== 'npz') return undefined;
  const extra = await readExtraArrays(raw.source);
  for (const note of extra.notes) logger?.warn(note);
  const { crop_px, crop_center_px, pad_to, rebin, fftshift, transpose } = data;
  const reshaped = [crop_px, crop_center_px, pad_to].some((v) => v !== null) || rebin !== 1 || fftshift === 'yes';
  if (!reshaped && !transpose) return extra;
  if (extra.keys.length > 0) {
    logger?.warn(
      `Left out: ${extra.keys.join(', ')} of ${raw.source}, of which it is not known how to cut, pad, add up or turn them with the patterns.`,
    );
  }
  return undefined;
}

/** The options that are not left to the file, for the record. */
function changedOptions(config: Pick<ConvertConfig, 'probe' | 'measurement_domain' | 'data'>) {
  const { probe, measurement_domain, data } = config;
  const usual: Readonly<Record<string, unknown>> = dataConfigSchema.parse({});
  const isUsual = (name: string, value: unknown) =>
    value === null || JSON.stringify(value) === JSON.stringify(usual[name]);
  const given = Object.entries({ probe, measurement_domain, ...data }).filter(
    ([name, value]) => !isUsual(name, value) && !NOT_RECORDED.has(name),
  );
  return given.length === 0 ? {} : { options: Object.fromEntries(given) };
}

/** Left to its default, or of no consequence to what is written. */
const NOT_RECORDED: ReadonlySet<string> = new Set([
  'data_format',
  'neighbor_function',
  'min_neighbor_distance_px',
  'max_neighbor_distance_px',
  'quadrant_candidates',
  'scan_pattern',
  'cache_groups',
]);

/** One of the two files. */
export interface SplitPart {
  readonly path: string;
  readonly count: number;
}

/** How much the parts still share: light that fell on the same place is no independent test. */
export interface SplitOverlap {
  /** Test patterns nearer to a training position than the probe's diameter. */
  readonly testPatterns: number;
  /** The least distance of a test position to a training position, where that is below the probe's diameter. */
  readonly nearest_px?: number;
  /** Diameter of a disc as large as the probe; half the patterns' side where the scan has no probe. */
  readonly probeDiameter_px: number;
}

/** What was written. */
export interface SplitSummary {
  readonly source: string;
  readonly axis: 'x' | 'y';
  /** Coordinate of the cut, object pixels. */
  readonly threshold_px: number;
  readonly train: SplitPart;
  readonly test: SplitPart;
  /** Patterns in the gap, in neither part. */
  readonly leftOut: number;
  readonly overlap: SplitOverlap;
}

/** Which patterns go where. */
export interface SplitRows {
  readonly threshold_px: number;
  readonly train: Int32Array;
  readonly test: Int32Array;
}

/**
 * Cuts at min + (max − min)·fraction: positions before the cut train, those on or behind it test; positions nearer to it than
 * gap/2 are in neither.
 * @throws PtychoError CONFIG_INVALID when a part is left empty
 */
export function splitRows(
  coordinates: Float64Array,
  options: { readonly fraction: number; readonly axis: 'x' | 'y'; readonly gap_px: number },
): SplitRows {
  const [min, max] = extentOf(coordinates);
  const threshold_px = min + (max - min) * options.fraction;
  const half = options.gap_px / 2;
  const all = Int32Array.from(coordinates.keys());
  const train = all.filter((i) => coordinates[i] < threshold_px && threshold_px - coordinates[i] >= half);
  const test = all.filter((i) => coordinates[i] >= threshold_px && coordinates[i] - threshold_px >= half);
  const empty = train.length === 0 ? 'training' : test.length === 0 ? 'testing' : undefined;
  if (empty === undefined) return { threshold_px, train, test };
  throw new PtychoError(
    'CONFIG_INVALID',
    `Cut at ${options.axis} = ${Number(threshold_px.toPrecision(6))} px with a gap of ${options.gap_px} px, the scan (${options.axis} from ${Number(min.toPrecision(6))} to ${Number(max.toPrecision(6))} px) leaves no pattern for ${empty}; change fraction, gap_px or axis.`,
    { field: options.gap_px > 0 ? 'gap_px' : 'fraction', found: options.fraction },
  );
}

/** The files that a scan is cut into: `NAME_train.npz` and `NAME_test.npz`, NAME being the input's without its ending. */
export function splitFiles(input: string, { output_dir }: Pick<SplitConfig, 'output_dir'>) {
  const stem = path.basename(input, path.extname(input));
  const fileOf = (part: string) => path.join(output_dir, `${stem}_${part}.npz`);
  return { train: fileOf('train'), test: fileOf('test') } as const;
}

/**
 * Writes {@link splitFiles}, whatever is there. Arrays with an entry for each pattern are divided, the others are in both files.
 * @throws PtychoError CONFIG_INVALID for an empty part; those of opening and writing.
 */
export async function splitScan(input: string, config: SplitConfig, services: Services = {}): Promise<SplitSummary> {
  const files = splitFiles(input, config);
  return closing(await openTool(input, config, services), async (raw) => {
    const { axis, fraction, gap_px } = config;
    const rows = splitRows(axis === 'x' ? raw.xcoords : raw.ycoords, config);
    const extra = await extraArrays(raw, config.data, services.logger);
    await makeOutputFolder(config.output_dir);
    const total = rows.train.length + rows.test.length;
    let before = 0;
    for (const part of ['train', 'test'] as const) {
      await writeScan(files[part], raw, {
        rows: rows[part],
        extra: extra?.of(Int32Array.from(rows[part], (row) => raw.sampleIndices[row])),
        signal: services.signal,
        onPatterns: (done) => services.onProgress?.({ stage: 'writing', done: before + done, total, unit: 'patterns' }),
        transformation: {
          tool: `${createdBy.package} split`,
          operation: 'split',
          parameters: {
            part,
            axis,
            fraction,
            gap_px,
            threshold_px: rows.threshold_px,
            version: createdBy.version,
            ...changedOptions(config),
          },
        },
      });
      before += rows[part].length;
    }
    return {
      source: raw.source,
      axis,
      threshold_px: rows.threshold_px,
      train: { path: files.train, count: rows.train.length },
      test: { path: files.test, count: rows.test.length },
      leftOut: raw.count - total,
      overlap: overlapOf(raw, rows, axis),
    };
  });
}

function overlapOf(raw: RawData, { train, test, threshold_px }: SplitRows, axis: 'x' | 'y'): SplitOverlap {
  const diameter = raw.probeGuess ? probeDiameter(raw.probeGuess) : raw.N / 2;
  const along = axis === 'x' ? raw.xcoords : raw.ycoords;
  // Only positions this near to the cut can have a partner on its other side.
  const near = (rows: Int32Array) => rows.filter((i) => Math.abs(along[i] - threshold_px) < diameter);
  const trainNear = near(train);
  let nearest = diameter;
  let testPatterns = 0;
  for (const i of near(test)) {
    let least = diameter;
    for (const j of trainNear) {
      least = Math.min(least, Math.hypot(raw.xcoords[i] - raw.xcoords[j], raw.ycoords[i] - raw.ycoords[j]));
    }
    if (least < diameter) testPatterns++;
    nearest = Math.min(nearest, least);
  }
  return {
    testPatterns,
    ...(testPatterns === 0 ? {} : { nearest_px: nearest }),
    probeDiameter_px: diameter,
  };
}
