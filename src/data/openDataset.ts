/**
 * Opens a scan of any format: readers hand over what a file holds, and here it becomes, once for all formats, the
 * {@link RawData} that everything else works with: selected, cropped, turned, in object pixels, with known units.
 *
 * @example
 * const raw = await openDataset('scan.npz', { n_subsample: 512, subsample_seed: 7 });
 * try { console.log(raw.count, raw.N, raw.domain, raw.notes); } finally { await raw.close(); }
 */
import { PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { ComplexTensor } from '../core/tensor.js';
import { fourierCrop } from '../physics/fourierCrop.js';
import { totalIntensity } from '../physics/probe.js';
import { type FoundMask, maskOfPatterns, readBadPixels } from './opening/badPixels.js';
import { cropWindow } from './opening/crop.js';
import { GUESS_PROBE, guessProbe } from './opening/guessProbe.js';
import { settleMeasurementDomain } from './opening/measurementDomain.js';
import { LOOKED_AT, type OpenDatasetOptions } from './opening/openDatasetOptions.js';
import { describeOrientation, keepsAxes, orientationOf } from './opening/orientation.js';
import { alignPositions, positionNotes } from './opening/positions.js';
import { checkProbe, readProbe } from './opening/probeFile.js';
import { gridChange, nanometres, positionsInPixels, resolveGeometry } from './opening/scanGeometry.js';
import { selectRows } from './opening/selection.js';
import { FramePatterns } from './patternSource.js';
import type { RawData } from './rawData.js';
import { openScanFile } from './readers/registry.js';
import type { ScanFile, StoredPatches } from './scanFile.js';

export type { OpenDatasetOptions } from './opening/openDatasetOptions.js';

/**
 * Opens a scan. Patterns stay in the file and are read when asked for; positions, probe and object are read and checked now,
 * and 16 patterns are looked at.
 *
 * In this order: the reader is chosen (`data_format`, or the file's content); surplus positions are cut; bounds, then
 * `n_subsample` select patterns; frames are cropped, then transposed; positions are flipped, exchanged and scaled, then turned
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
  const [path, options] = typeof target === 'string' ? [target, more] : [target.path, target];
  const file = await openScanFile(path, options.data_format ?? 'auto', {
    diffraction_path: options.diffraction_path ?? undefined,
    positions: options.positions ?? undefined,
    positions_unit: options.positions_unit ?? undefined,
    product: options.product ?? undefined,
    allow_links: options.allow_links,
    channel: options.channel ?? undefined,
    scan_shape: options.scan_shape ?? undefined,
    scan_step: options.scan_step ?? undefined,
    drop_unpaired: options.drop_unpaired,
    maxResidentBytes: options.maxResidentBytes,
    logger: options.logger,
  });
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
  const { path, patterns } = file;
  const notes: string[] = [];
  const note = (sentence: string) => {
    notes.push(sentence);
    logger.warn(sentence);
  };
  file.notes.forEach(note);

  const orientation = orientationOf(options);
  if (!(orientation.coord_scale > 0 && Number.isFinite(orientation.coord_scale))) {
    throw new PtychoError('CONFIG_INVALID', `coord_scale must be a positive number, got ${options.coord_scale}.`, {
      key: 'coord_scale',
      found: options.coord_scale,
    });
  }
  const { crop_center_px } = options;
  const window = cropWindow(patterns, {
    ...options,
    crop_center_px: crop_center_px === 'auto' ? null : crop_center_px,
  });
  const grid = gridChange(file, window, orientation.transpose);
  const { N } = grid;
  const sameGrid = grid.scale.x === 1 && grid.scale.y === 1;

  const aligned = alignPositions(file, note);
  const rows = selectRows(aligned.positions, options, path, logger);
  const geometry = resolveGeometry(file, options, grid, orientation.transpose, note);
  const objectGuess = sameGrid ? file.objectGuess : undefined;
  const { positions, start } = positionsInPixels({
    stored: file.positions,
    startUnit: file.startPositions?.unit,
    positions: pick(aligned.positions, rows),
    start: aligned.start && pick(aligned.start, rows),
    orientation,
    geometry,
    grid,
    object: objectGuess && { height: objectGuess.shape[0], width: objectGuess.shape[1] },
  });
  if (file.positions.unit === 'm') {
    logger.info(`${path}: positions in metres, object pixels of ${nanometres(geometry.objectPixel_m!)}.`);
  } else if (!sameGrid) {
    note(
      `${path}: positions in pixels of the whole frame were multiplied by ${grid.scale.x} (x) and ${grid.scale.y} (y), as object pixels grow when patterns are cropped.`,
    );
  }
  if (!sameGrid && file.objectGuess) note(`Left out: the object of ${path} has the pixels of the uncropped frames.`);
  positionNotes(positions, path).forEach(note);
  if (objectGuess && !keepsAxes(orientation)) {
    note(`The object of ${path} is not turned by ${describeOrientation(orientation)}; do not compare with it.`);
  }

  const found = await findMask(file, options);
  const badPixels = found && maskOfPatterns(found, patterns, window, orientation.transpose, note);
  const view = { rows, window, transpose: orientation.transpose, badPixels };
  // An amplitude passes unchanged, so this reads the values as stored, and finds unusable pixels now and not in the middle of
  // training.
  const pixels = await lookAt(new FramePatterns(patterns, 'normalized_amplitude', view));
  if (badPixels === undefined) noteSaturation(file, pixels, note);
  const { domain, reason } = settleMeasurementDomain(
    { option: options.measurement_domain, redeclare: options.redeclare, declared: file.measurementDomain },
    pixels,
    patterns.dtype,
    path,
  );
  const source = new FramePatterns(patterns, domain, view);
  const probeGuess = await findProbe(file, source, options, note);
  const patches = (stored: StoredPatches | undefined, name: string) =>
    stored && restrict(stored, rows, { N, sameGrid, patterns: patterns.count, name, path }, note);
  logger.info(`${path}: ${rows.length} patterns of ${N}×${N}, ${domain}: ${reason}.`);
  return {
    source: path,
    format: file.format,
    count: rows.length,
    N,
    patterns: source,
    xcoords: positions.x,
    ycoords: positions.y,
    xcoordsStart: start?.x,
    ycoordsStart: start?.y,
    scanIndex: Int32Array.from(rows, (row) => aligned.scanIndex[row]),
    probeGuess,
    objectGuess,
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
    close: () => file.close(),
  };
}

/** The indexes that Ptychodus has for some frames; none where they are not one for each frame. */
function namesOfRows({ patternIndexes, patterns }: ScanFile, rows: Int32Array): Int32Array | undefined {
  if (patternIndexes?.length !== patterns.count) return undefined;
  return Int32Array.from(rows, (row) => patternIndexes[row]);
}

function pick({ x, y }: { x: Float64Array; y: Float64Array }, rows: Int32Array) {
  return { x: Float64Array.from(rows, (row) => x[row]), y: Float64Array.from(rows, (row) => y[row]) };
}

async function findMask(file: ScanFile, options: OpenDatasetOptions): Promise<FoundMask | undefined> {
  if (options.bad_pixels) return readBadPixels(options.bad_pixels);
  return file.badPixels && { mask: file.badPixels, origin: { path: file.path, member: 'bad_pixels' } };
}

async function findProbe(
  file: ScanFile,
  source: FramePatterns,
  options: OpenDatasetOptions,
  note: (sentence: string) => void,
): Promise<ComplexTensor | undefined> {
  const { N } = source;
  const guessed = options.probe === GUESS_PROBE;
  if (options.probe && !guessed) return readProbe(options.probe, N);
  const probe = file.probeGuess;
  if (probe === undefined && guessed) {
    note(
      `${file.path} holds no probe: a Gaussian as wide as the mean pattern suggests was taken; it knows nothing of defocus or aberrations, so give a measured or simulated probe where there is one.`,
    );
    return guessProbe(source);
  }
  if (probe === undefined) return undefined;
  const { height, width } = file.patterns;
  const [rows, columns] = probe.shape.slice(-2);
  const ofWholeFrames = rows === height && columns === width && (height !== N || width !== N);
  if (!ofWholeFrames) return checkProbe(probe, N, { path: file.path, member: 'probeGuess' });
  const cropped = fourierCrop(probe, N);
  const kept = totalIntensity(cropped) / totalIntensity(probe);
  note(
    `The probe of ${file.path} is that of the whole frames (${height}×${width}); it was cropped in Fourier space as the patterns were, which keeps ${(100 * kept).toFixed(1)} % of its power.`,
  );
  return checkProbe(cropped, N, { path: file.path, member: 'probeGuess' });
}

/** Patterns spread evenly over the scan. */
async function lookAt(source: FramePatterns): Promise<Float32Array> {
  const count = Math.min(LOOKED_AT, source.count);
  const looked = Int32Array.from({ length: count }, (_, i) => Math.floor((i * source.count) / count));
  const pixels = new Float32Array(count * source.N * source.N);
  await source.readStored(looked, pixels);
  return pixels;
}

/** The largest number of an unsigned type is how detectors mark pixels that do not count. */
function noteSaturation({ path, patterns }: ScanFile, pixels: Float32Array, note: (sentence: string) => void): void {
  const bits = { uint16: 16, uint32: 32 }[patterns.dtype as string];
  if (bits === undefined) return;
  const largest = 2 ** bits - 1;
  const marked = pixels.reduce((sum, v) => sum + (v >= largest ? 1 : 0), 0);
  if (marked === 0) return;
  note(
    `${path}: ${marked} pixels of the patterns looked at hold ${largest}, the largest ${patterns.dtype}, with which detectors mark bad pixels; if they are bad, give their mask with bad_pixels FILE[:key].`,
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
