/** `split`: a scan cut in two along an axis, one part to train on, one to test with. */
import path from 'node:path';
import type { SplitConfig } from '../config/schemas/tools.js';
import { PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { openTool, refuseToOverwrite } from '../data/openTool.js';
import type { RawData } from '../data/rawData.js';
import { writeScan } from '../data/scanWriter.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { probeDiameter } from '../physics/probe.js';
import { changedOptions, extraArrays } from './convert.js';

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
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of coordinates) [min, max] = [Math.min(min, value), Math.max(max, value)];
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

/**
 * Writes `NAME_train.npz` and `NAME_test.npz` to `config.output_dir`, NAME being the input's without its ending. Arrays with an
 * entry for each pattern are divided, the others are in both files.
 * @throws PtychoError CONFIG_INVALID for an empty part or an output that is the input; those of opening and writing.
 */
export async function splitWorkflow(
  input: string,
  config: SplitConfig,
  services: Services = {},
): Promise<SplitSummary> {
  const stem = path.basename(input, path.extname(input));
  const fileOf = (part: 'train' | 'test') => path.join(config.output_dir, `${stem}_${part}.npz`);
  for (const part of ['train', 'test'] as const) await refuseToOverwrite(input, fileOf(part), 'output_dir');
  await requireNew([fileOf('train'), fileOf('test')], { ...newFiles(config, services), field: 'output_dir' });
  const raw = await openTool(input, config, services);
  try {
    const { axis, fraction, gap_px } = config;
    const rows = splitRows(axis === 'x' ? raw.xcoords : raw.ycoords, config);
    const extra = await extraArrays(raw, config.data, services.logger);
    await makeOutputFolder(config.output_dir);
    const total = rows.train.length + rows.test.length;
    let before = 0;
    for (const part of ['train', 'test'] as const) {
      await writeScan(fileOf(part), raw, {
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
      train: { path: fileOf('train'), count: rows.train.length },
      test: { path: fileOf('test'), count: rows.test.length },
      leftOut: raw.count - total,
      overlap: overlapOf(raw, rows, axis),
    };
  } finally {
    await raw.close();
  }
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
