/**
 * What a scan file holds and whether it can be used: the facts behind `ptychopinn inspect`.
 *
 * @example
 * const { scan, problems } = await inspectScan('scan.npz');
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { ScanFormat } from '../config/schemas/data.js';
import { isPtychoError, messageOf } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { extentOf, meanOf } from '../core/numbers.js';
import type { Shape } from '../core/tensor.js';
import { type Hdf5File, usingHdf5 } from '../formats/hdf5/file.js';
import { usingNpz } from '../formats/npz.js';
import { probeDiameter, probeFwhm, totalIntensity } from '../physics/probe.js';
import { type Finding, Findings, sentenceOf } from './findings/finding.js';
import { type Histogram, logHistogram, measurePatterns, type PatternFigures } from './findings/patternFigures.js';
import { addFindings } from './findings/scanChecks.js';
import { meanNearestDistance } from './grouping/neighbourGrid.js';
import { openDataset } from './openDataset.js';
import { hasMagic, MAGIC } from './opening/files.js';
import type { MeasurementDomain } from './opening/measurementDomain.js';
import type { Orientation } from './opening/orientation.js';
import type { OpenDatasetOptions } from './options.js';
import type { RawData } from './rawData.js';
import type { ScanGeometry } from './scanFile.js';

/** A report in plain values, ready for JSON. */
export interface ScanInspection {
  readonly path: string;
  readonly bytes: number;
  /** From the headers; empty for formats that are no containers (TIFF, NPY). */
  readonly arrays: readonly InspectedArray[];
  /** What keeps the scan from being used, or makes results poor; empty for a sound scan. Whole sentences with what to do. */
  readonly problems: readonly string[];
  /** What is worth knowing: transposed, left out, assumed. */
  readonly notes: readonly string[];
  /** Absent when the file cannot be opened as a scan; the first problem then says why. */
  readonly scan?: ScanSummary;
}

export interface ScanSummary {
  /** `memory`, the name of a format, or one that was registered. */
  readonly format: ScanFormat | 'memory' | (string & {});
  readonly count: number;
  readonly N: number;
  readonly domain: MeasurementDomain;
  readonly domainReason: string;
  /** Σ d² of a pattern (photons, in count domains), over `measured` patterns spread evenly over the scan. */
  readonly power: { readonly min: number; readonly mean: number; readonly max: number; readonly measured: number };
  /** How the patterns' power is spread; absent when all are dark. */
  readonly powerHistogram?: Histogram;
  readonly maxAmplitude: number;
  readonly badPixels: number;
  readonly xRange_px: readonly [number, number];
  readonly yRange_px: readonly [number, number];
  /** True when the file records where each exposure began. */
  readonly startPositions: boolean;
  /** Mean distance of a position to its nearest neighbour. */
  readonly meanStep_px?: number;
  readonly probe?: {
    readonly modes: number;
    /** Of a disc as large as all of its light, see {@link probeDiameter}. */
    readonly diameter_px: number;
    /** Full width at half maximum, see {@link probeFwhm}; what `overlap` counts with. */
    readonly fwhm_px: number;
    /** Σ|P|² over all modes. */
    readonly power: number;
  };
  /** Linear overlap of neighbouring positions: 1 − step/diameter, not below 0. */
  readonly overlap?: number;
  readonly objectShape?: Shape;
  readonly groundTruth: boolean;
  readonly labels: boolean;
  readonly scans: number;
  readonly orientation: Orientation;
  readonly geometry: ScanGeometry;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** What was read, for those who draw it. */
export interface InspectedScan {
  readonly raw: RawData;
  /** Patterns that were measured, and their power. */
  readonly indices: Int32Array;
  readonly power: Float64Array;
}

/** Options of {@link inspectScan}: how the scan is opened, and who sees it while it is open. */
export interface InspectOptions extends OpenDatasetOptions {
  readonly onScan?: (scan: InspectedScan, summary: ScanSummary) => Promise<void> | void;
}

const HISTOGRAM_BINS = 24;

/**
 * Looks at a scan file: arrays from their headers, patterns from a sample.
 * @throws PtychoError only when the file is missing or its container is damaged; all else is reported in `problems`.
 */
export async function inspectScan(path: string, options: InspectOptions = {}): Promise<ScanInspection> {
  const { onScan, ...opening } = options;
  const problems: string[] = [];
  const notes: string[] = [];
  let arrays: InspectedArray[] = [];
  let scan: ScanSummary | undefined;
  try {
    arrays = await listArrays(path);
    for (const { problem } of arrays) if (problem !== undefined) problems.push(problem);
    await closing(await openDataset(path, { ...opening, reportOnly: true }), async (raw) => {
      const seen = await look(raw);
      scan = seen.summary;
      problems.push(...seen.problems);
      notes.push(...seen.notes);
      await onScan?.(seen.scan, scan);
    });
  } catch (error) {
    // Nothing to describe: it is not there, or its container cannot be read.
    if (!isPtychoError(error) || arrays.length === 0) throw error;
    if (!problems.includes(messageOf(error))) problems.unshift(messageOf(error));
  }
  // What is listed as unreadable need not be noted as left out once more.
  const told = notes.filter((note) => !problems.some((problem) => note.endsWith(problem)));
  return { path, bytes: bytesOf(path), arrays, problems, notes: told, scan };
}

async function look(raw: RawData) {
  const patterns = await measurePatterns(raw);
  const { power } = patterns;
  const step = meanNearestDistance(raw.xcoords, raw.ycoords);
  const { probeGuess } = raw;
  const probe = probeGuess && {
    modes: probeGuess.shape.length === 3 ? probeGuess.shape[0] : 1,
    diameter_px: probeDiameter(probeGuess),
    fwhm_px: probeFwhm(probeGuess),
    power: totalIntensity(probeGuess),
  };
  const overlap =
    probe === undefined || probe.diameter_px === 0 || Number.isNaN(step)
      ? undefined
      : Math.max(0, 1 - step / probe.diameter_px);
  const [least, most] = extentOf(power);
  const summary: ScanSummary = {
    format: raw.format,
    count: raw.count,
    N: raw.N,
    domain: raw.domain,
    domainReason: raw.domainReason,
    power: { min: least, max: most, mean: meanOf(power), measured: power.length },
    powerHistogram: logHistogram(power, HISTOGRAM_BINS),
    maxAmplitude: patterns.maxAmplitude,
    badPixels: raw.badPixels?.reduce((sum, bad) => sum + bad, 0) ?? 0,
    xRange_px: extentOf(raw.xcoords),
    yRange_px: extentOf(raw.ycoords),
    startPositions: raw.xcoordsStart !== undefined,
    meanStep_px: Number.isNaN(step) ? undefined : step,
    probe,
    overlap,
    objectShape: raw.objectGuess?.shape,
    groundTruth: raw.groundTruth !== undefined,
    labels: raw.labels !== undefined,
    scans: new Set(raw.scanIndex).size,
    orientation: raw.orientation,
    geometry: raw.geometry,
    metadata: raw.metadata,
  };
  return { ...saidOf(raw, patterns), summary, scan: { raw, indices: patterns.indices, power } };
}

/** The findings of more patterns than were looked at on opening, as sentences; what was said on opening is not said twice. */
function saidOf(raw: RawData, patterns: PatternFigures): { problems: string[]; notes: string[] } {
  const findings = new Findings(raw.source);
  // In the order of opening, so that what was seen of fewer patterns is replaced by what is seen of more.
  for (const finding of raw.findings?.all ?? []) findings.add(finding);
  addFindings(raw, patterns, findings);
  // A scan without a probe can be opened, and little more.
  const isProblem = ({ severity, code }: Finding) => severity !== 'note' || code === 'NO_PROBE';
  const problems = findings.all.filter(isProblem).map(sentenceOf);
  const notes = findings.all.filter((finding) => !isProblem(finding)).map(sentenceOf);
  if (!/declares|was given/.test(raw.domainReason)) {
    notes.push(
      `The file does not declare what its numbers are; they are taken as ${raw.domain}. Write it down with \`ptychopinn convert\` (and --measurement_domain, if this is wrong).`,
    );
  }
  return { problems, notes: [...notes, ...raw.notes] };
}

/** One array of the file; `problem` instead of its shape when it cannot be read. */
export interface InspectedArray {
  readonly key: string;
  readonly shape?: Shape;
  readonly dtype?: string;
  readonly order?: 'C' | 'Fortran';
  readonly compressed: boolean;
  /** How it is stored beyond that: chunks and filters of HDF5. */
  readonly storage?: string;
  readonly problem?: string;
}

/** The most datasets of an HDF5 file that are listed. */
const MOST_DATASETS = 500;

/**
 * Lists an archive's arrays or an HDF5 file's datasets; for other kinds of files the list is empty.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT for a damaged container.
 */
export async function listArrays(file: string): Promise<InspectedArray[]> {
  if (await hasMagic(file, MAGIC.zip)) return listNpz(file);
  if (await hasMagic(file, MAGIC.hdf5)) return listHdf5(file);
  return [];
}

/** Size of a file, or of the files in a folder. */
export function bytesOf(file: string): number {
  const found = statSync(file);
  if (!found.isDirectory()) return found.size;
  return readdirSync(file)
    .map((name) => path.join(file, name))
    .filter((member) => existsSync(member) && statSync(member).isFile())
    .reduce((sum, member) => sum + statSync(member).size, 0);
}

async function listNpz(file: string): Promise<InspectedArray[]> {
  return usingNpz(file, async (npz) => {
    const arrays: InspectedArray[] = [];
    for (const key of npz.keys) {
      const compressed = npz.isCompressed(key);
      try {
        const { shape, dtype, fortranOrder } = await npz.header(key);
        arrays.push({ key, shape, dtype, order: fortranOrder ? 'Fortran' : 'C', compressed });
      } catch (error) {
        if (!isPtychoError(error)) throw error;
        arrays.push({ key, compressed, problem: messageOf(error) });
      }
    }
    return arrays;
  });
}

async function listHdf5(file: string): Promise<InspectedArray[]> {
  return usingHdf5(file, (hdf5) => hdf5.datasets(MOST_DATASETS).map((key) => describe(hdf5, key)));
}

function describe(hdf5: Hdf5File, key: string): InspectedArray {
  try {
    const { shape, type, chunks, filters, virtual } = hdf5.header(key);
    const storage = [
      chunks && `chunks ${chunks.join('×')}`,
      ...filters.map((filter) => filter.name),
      virtual ? 'virtual' : undefined,
    ].filter((word) => word !== undefined);
    return {
      key,
      shape,
      dtype: type.kind === 'numbers' ? type.dtype : type.kind === 'text' ? 'str' : type.description,
      compressed: filters.length > 0,
      ...(storage.length === 0 ? {} : { storage: storage.join(', ') }),
    };
  } catch (error) {
    if (!isPtychoError(error)) throw error;
    return { key, compressed: false, problem: messageOf(error) };
  }
}
