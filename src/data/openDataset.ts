/**
 * Opens a scan of any format: readers hand over what a file holds, and here it becomes, once for all formats, the
 * {@link RawData} that everything else works with: selected, cropped, turned, in object pixels, with known units.
 *
 * @example
 * const raw = await openDataset('scan.npz', { n_subsample: 512, subsample_seed: 7 });
 * try { console.log(raw.count, raw.N, raw.domain, raw.notes); } finally { await raw.close(); }
 */

import { invalidOption, isPtychoError, PtychoError, requireObject } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import { valuesAt } from '../core/numbers.js';
import { counted } from '../core/words.js';
import { npyError } from '../formats/npyHeader.js';
import { totalIntensity } from '../physics/probe.js';
import { Findings } from './findings/finding.js';
import { figuresOf } from './findings/patternFigures.js';
import { addFindings } from './findings/scanChecks.js';
import { type MeasurementDomain, settleMeasurementDomain, traditionOf } from './opening/measurementDomain.js';
import { isNearField } from './opening/nearField.js';
import { describeOrientation, keepsAxes, type Orientation, orientationOf } from './opening/orientation.js';
import { alignPositions } from './opening/positions.js';
import { findProbe, givenProbe, guessedProbe } from './opening/probe.js';
import { gridChange, positionsInPixels, resolveGeometry } from './opening/scanGeometry.js';
import { chooseFrames, selectRows, skipsUnreadable } from './opening/selection.js';
import { nanometres } from './opening/wavelength.js';
import type { OpenDatasetOptions, ReaderOptions } from './options.js';
import { FramePatterns } from './patternSource.js';
import { clipInto, correctInPlace, parseValidRange, prepareFrames, readCorrection } from './prepare/corrections.js';
import { isPlainCut, layFrames } from './prepare/frameLayout.js';
import { type FoundMask, findMask, laidMask, maskOf, maskOfPatterns, unbinned } from './prepare/masks.js';
import { badPixelFinding, judgeFrames, judgePixels } from './prepare/pixels.js';
import { readSample, Sample, settleLayout } from './prepare/sample.js';
import type { RawData } from './rawData.js';
import { openScanFile } from './readers/registry.js';
import type { ScanFile, StoredPatches } from './scanFile.js';

/**
 * Opens a scan. Patterns stay in the file and are read when asked for; positions, probe and object are read and checked now,
 * and at most 64 patterns are looked at.
 *
 * In this order: the reader is chosen (`data_format`, or the file's content); `frames` and `skip_frames` choose frames, positions
 * are paired with them; bounds, then `n_subsample` select patterns; frames are corrected (dark, flat, gain), shifted, cropped,
 * padded, rebinned, transposed; positions are flipped, exchanged and scaled, then turned
 * into object pixels; bad pixels are blanked; the measurement domain is settled. Contract: `specs/data.md`.
 *
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT, FORMAT_UNSUPPORTED, DATASET_KEY_MISSING, DATASET_SHAPE,
 * DATASET_VALUE, DATASET_UNITS, PROBE_SHAPE, CONFIG_INVALID: one sentence each.
 */
export function openDataset(path: string, options?: OpenDatasetOptions): Promise<RawData>;
/** The same, with the path among the options. */
export function openDataset(options: OpenDatasetOptions & { readonly path: string }): Promise<RawData>;
export async function openDataset(
  target: string | (OpenDatasetOptions & { readonly path: string }),
  more: OpenDatasetOptions = {},
): Promise<RawData> {
  if (typeof target !== 'string') {
    requireObject(target, 'A scan is opened by the path of its file, as text, or with options that hold it', ['path']);
  }
  const [path, options] = typeof target === 'string' ? [target, more] : [target.path, target];
  // For readers, what is null is left out.
  const given: ReaderOptions = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== null));
  const file = await openScanFile(path, options.data_format ?? 'auto', given);
  try {
    return await assemble(file, options);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * A scan from what a reader handed over; closing the result closes the file.
 * @throws PtychoError as {@link openDataset}; the file is then still open.
 */
export async function assemble(file: ScanFile, options: OpenDatasetOptions = {}): Promise<RawData> {
  const logger = options.logger ?? silentLogger;
  const { path } = file;
  const notes: string[] = [];
  const note = (sentence: string) => {
    notes.push(sentence);
    logger.warn(sentence);
  };
  file.notes.forEach(note);
  const findings = new Findings(path, { accept: options.accept, logger });

  const orientation = orientationOf(options);
  if (!(orientation.coord_scale > 0 && Number.isFinite(orientation.coord_scale))) {
    throw invalidOption(
      'coord_scale',
      `coord_scale must be a positive number, got ${options.coord_scale}.`,
      options.coord_scale,
    );
  }
  // Which frames, and where each of them lies.
  const chosen = await chooseFrames(file.patterns.count, options);
  const pairing = { drop_unpaired: options.drop_unpaired, frames: chosen };
  const aligned = alignPositions(file, pairing, (finding) => {
    if (finding.severity === 'note') note(finding.message);
    else findings.add(finding);
  });
  const selected = selectRows(aligned.positions, options, path, logger);
  const rows = Int32Array.from(selected, (row) => aligned.frames[row]);

  // What a frame becomes.
  const correction = await readCorrection(file.patterns, options);
  const validRange = options.valid_range ? parseValidRange(options.valid_range) : undefined;
  const stored = await readSample(file.patterns, rows, skipsUnreadable(options));
  // Marks are told before anything is done to them.
  const noData = judgeFrames(stored.data, file.patterns.height * file.patterns.width, validRange);
  if (noData.mask?.every((bad) => bad === 1)) {
    const { origin } = file.patterns;
    throw npyError(
      'DATASET_VALUE',
      origin,
      `holds no data: ${noData.found.join('; ')}. Name the dataset that does with diffraction_path.`,
    );
  }
  const patterns = prepareFrames(file.patterns, { correction, validRange, masked: noData.mask }, (row, values) =>
    logger.warn(
      `${path}: frame ${row} has ${values} values outside of valid_range ${options.valid_range}; here and in other frames they are moved into it.`,
    ),
  );
  if (validRange) clipInto(stored.data, validRange);
  if (correction) correctInPlace(stored.data, correction);
  const sample = new Sample(patterns, stored.data, stored.indices, stored.fileRows);
  const near = isNearField(file.geometry, options);
  const layout = await settleLayout(sample, file, { ...options, near }, note, (side) =>
    givenProbe(options, side, () => {}).catch((error: unknown) => {
      // One of another side is judged when the side of the patterns is known.
      if (isPtychoError(error, 'PROBE_SHAPE')) return undefined;
      throw error;
    }),
  );
  const { N } = layout;
  const grid = gridChange(file, layout, { transpose: orientation.transpose, near });
  const sameGrid = grid.scale.x === 1 && grid.scale.y === 1;

  const geometry = resolveGeometry(file, options, grid, orientation.transpose, note);
  const objectGuess = sameGrid ? file.objectGuess : undefined;
  const { positions, start, end } = positionsInPixels({
    stored: file.positions,
    startUnit: (file.startPositions ?? file.endPositions)?.unit,
    positions: pick(aligned.positions, selected),
    start: aligned.start && pick(aligned.start, selected),
    end: aligned.end && pick(aligned.end, selected),
    orientation,
    geometry,
    grid,
    object: objectGuess && { height: objectGuess.shape[0], width: objectGuess.shape[1] },
  });
  for (const places of [positions, start, end]) if (places) checkTurned(places.x, places.y, file, orientation);
  if (file.positions.unit === 'm') {
    logger.info(`${path}: positions in metres, object pixels of ${nanometres(geometry.objectPixel_m!)}.`);
  } else if (!sameGrid) {
    note(
      `${path}: positions in pixels of the whole frame were multiplied by ${grid.scale.x} (x) and ${grid.scale.y} (y), as object pixels change when patterns are cropped or padded.`,
    );
  }
  if (!sameGrid && file.objectGuess) note(`Left out: the object of ${path} has the pixels of the uncropped frames.`);
  if (objectGuess && !keepsAxes(orientation)) {
    note(`The object of ${path} is not turned by ${describeOrientation(orientation)}; do not compare with it.`);
  }

  // Pixels that cannot be used, then what the others are.
  const plain = isPlainCut(layout, patterns);
  let domain: MeasurementDomain = 'normalized_amplitude';
  const laid = plain ? patterns : layFrames(patterns, layout, () => domain);
  const window = plain ? layout.window : undefined;
  const finished = (mask: FoundMask | undefined) => {
    const found = plain ? mask : laidMask(mask, patterns, layout);
    return found && maskOfPatterns(found, laid, window, orientation.transpose);
  };
  const own = await findMask(file, options);
  const given = own && finished(own);
  const view = { rows, window, transpose: orientation.transpose };
  const looked = await sample.as(laid === patterns ? undefined : layout, () => domain, view);
  const judged = judgePixels(looked.pixels, N, {
    given,
    noData: finished(maskOf(file, [correction?.unusable, noData.mask])),
    autoMask: options.auto_mask,
    dtype: laid.dtype,
  });
  const badPixels = judged.mask;
  const about = [badPixelFinding([...noData.found, ...judged.found], path), ...judged.findings];
  for (const finding of about) if (finding) findings.add(finding);
  // A mask that hides the light would make other findings of its own.
  if (!options.reportOnly) findings.settle();
  const known = await findProbe(file, layout, { ...options, near }, note);
  const settled = settleMeasurementDomain(
    { option: options.measurement_domain, redeclare: options.redeclare, declared: file.measurementDomain },
    layout.rebin === 1 ? looked.pixels : await unbinned(sample, layout, view, noData.mask),
    file.patterns.dtype,
    path,
    {
      side: layout.rebin === 1 ? N : layout.padded,
      // Readings that are corrected are those of a detector.
      tradition: correction ? 'intensities' : traditionOf(file.format, patterns.origin.member),
      probePower: known && totalIntensity(known),
    },
  );
  domain = settled.domain;
  const { reason } = settled;
  if (settled.finding) findings.add(settled.finding);
  if (correction && domain !== 'count_intensity') throw notCorrected(path, domain);
  const negatives = domain === 'count_intensity' ? judged.negatives : undefined;
  if (negatives) findings.add(negatives.finding);
  const source = new FramePatterns(laid, domain, { ...view, badPixels, negativeNoise: negatives !== undefined });
  // What cannot be used is found now and not in the middle of training.
  if (!judged.finite || (judged.negatives && !negatives)) {
    await source.readStored(looked.indices, looked.pixels);
  }
  if (layout.rebin > 1) {
    // Only now it is known how pixels add up.
    looked.pixels.set((await sample.as(layout, () => domain, view)).pixels);
    judgePixels(looked.pixels, N, { given: badPixels, dtype: 'float32' });
  }
  const probeGuess = known ?? (await guessedProbe({ path, source, geometry }, options, note));
  const patches = (stored: StoredPatches | undefined, name: string) =>
    stored && restrict(stored, rows, { N, sameGrid, patterns: file.patterns.count, name, path }, note);

  const raw: RawData = {
    source: path,
    format: file.format,
    count: rows.length,
    N,
    patterns: source,
    xcoords: positions.x,
    ycoords: positions.y,
    xcoordsStart: start?.x,
    ycoordsStart: start?.y,
    xcoordsEnd: end?.x,
    ycoordsEnd: end?.y,
    scanIndex: Int32Array.from(selected, (row) => aligned.scanIndex[row]),
    probeGuess,
    objectGuess,
    objectLayers: objectGuess && file.objectLayers,
    badPixels,
    groundTruth: patches(file.groundTruth, 'ground-truth patches'),
    labels: patches(file.labels, 'labels'),
    norm_Y_I: file.norm_Y_I,
    domain,
    domainReason: reason,
    geometry,
    metadata: file.metadata,
    orientation,
    sampleIndices: rows,
    patternIndexes: namesOfRows(file, rows),
    notes,
    findings,
    preparation: { minCounts: options.min_counts ?? 0, skipUnreadable: skipsUnreadable(options) },
    close: () => file.close(),
  };
  addFindings(raw, figuresOf(looked, N * N, domain === 'count_intensity'), findings, looked);
  if (!options.reportOnly) findings.settle();
  logger.info(`${path}: ${counted(rows.length, 'pattern')} of ${N}×${N}, ${domain}: ${reason}.`);
  return raw;
}

/** The indexes that Ptychodus has for some frames; none where they are not one for each frame. */
function namesOfRows({ patternIndexes, patterns }: ScanFile, rows: Int32Array): Int32Array | undefined {
  if (patternIndexes?.length !== patterns.count) return undefined;
  return Int32Array.from(rows, (row) => patternIndexes[row]);
}

function pick({ x, y }: { x: Float64Array; y: Float64Array }, rows: Int32Array) {
  return { x: valuesAt(x, rows), y: valuesAt(y, rows) };
}

/** Turning and scaling must leave numbers. @throws PtychoError CONFIG_INVALID */
function checkTurned(x: Float64Array, y: Float64Array, file: ScanFile, { coord_scale }: Orientation): void {
  const at = x.findIndex((value, i) => !(Number.isFinite(value) && Number.isFinite(y[i])));
  if (at < 0) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `coord_scale ${coord_scale} makes position ${at} of ${file.path} infinite; give a smaller factor, or the right positions_unit.`,
    { key: 'coord_scale', path: file.path, found: coord_scale },
  );
}

function notCorrected(path: string, domain: MeasurementDomain): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `dark, flat and gain correct the readings of a detector, but the patterns of ${path} are ${domain}; leave them out, or say --measurement_domain count_intensity.`,
    { key: 'dark', path, found: domain },
  );
}

/** Patches of the selected patterns only; none where they do not fit the patterns. */
function restrict(
  stored: StoredPatches,
  rows: Int32Array,
  { N, sameGrid, patterns, name, path }: { N: number; sameGrid: boolean; patterns: number; name: string; path: string },
  note: (sentence: string) => void,
): StoredPatches | undefined {
  const { count, height, width } = stored;
  if (!sameGrid || height !== N || width !== N || count !== patterns) {
    note(
      `Left out: the ${name} of ${path} are ${count} of ${height}×${width} pixels, which does not fit ${patterns} patterns of ${N}×${N}${sameGrid ? '' : ' that were cropped'}.`,
    );
    return undefined;
  }
  return {
    count: rows.length,
    height,
    width,
    readRows: (indices) => stored.readRows(Int32Array.from(indices, (i) => rows[i])),
  };
}
