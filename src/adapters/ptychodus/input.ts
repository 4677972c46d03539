/**
 * From a host's input to a scan: patterns and positions are paired by the value of their index, positions become pixels of the
 * input's object, and pixels that either side calls bad are used by nothing.
 */
import { untilCancelled } from '../../core/cancel.js';
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { type ComplexTensor, formatShape, sizeOf, type Tensor } from '../../core/tensor.js';
import { surveyScan } from '../../data/findings/survey.js';
import { assemble } from '../../data/openDataset.js';
import { incoherentModes } from '../../data/opening/probe.js';
import { framesInMemory } from '../../data/patternSource.js';
import type { RawData } from '../../data/rawData.js';
import { selectFrames } from '../../data/readers/hdf5Frames.js';
import { numberedFor } from '../../data/readers/product.js';
import { pair } from '../../data/readers/ptychodus.js';
import type { ScanFile } from '../../data/scanFile.js';
import { dtypeOf } from '../../formats/npyWrite.js';
import type { Product, ProductMetadata, ProductProbe } from '../../persistence/product/product.js';
import { projection } from '../../physics/layers.js';
import { extractPatches } from '../../physics/sampling.js';
import { type IndexedPatterns, openPatternFile } from './patternFile.js';
import type { PatternStack, ReconstructInput } from './types.js';

/** Object and probe pixels that differ by more, relative, are told. */
const PIXEL_TOLERANCE = 1e-3;

/**
 * Opens the scan that an input describes; the result must be closed. Positions are pixels of the input's object:
 * pixel (row, column) of the object is position (y = row, x = column).
 * @param options `labels`: known patches are cut from the input's object, for supervised training; `accept`: codes of findings that
 * do not stop
 * @throws PtychoError DATASET_SHAPE for patterns that are not square or arrays that do not fit each other, DATASET_VALUE for an
 * index that occurs twice or none in common, DATASET_UNITS for pixels without size, CANCELLED as soon as the input's signal fires,
 * and those of opening a scan
 */
export async function openInput(
  input: ReconstructInput,
  logger: Logger,
  options: { readonly labels?: boolean; readonly accept?: string[] } = {},
): Promise<RawData> {
  const opening = withPatterns(input, async (found) => {
    const { probe, metadata } = input.product;
    const notes = [...found.notes];
    if (hasCoherentModes(probe)) {
      notes.push(
        `The weights of the ${probe.array.shape[0]} coherent (OPR) modes of ${nameOf(metadata)} are passed on, but not used.`,
      );
    }
    const { file } = scanOf({ ...found, notes }, input.product, badPixelsOf(input, found));
    const raw = await surveyScan(await assemble(file, { logger, accept: options.accept }), { logger });
    return options.labels ? withObjectLabels(raw, logger) : raw;
  });
  return untilCancelled(opening, input.signal, 'Opening the scan', (late) => late.close());
}

/** A scan to solve, and where it came from. */
export interface SolverInput {
  /** Without a probe where that of the product cannot be used. */
  readonly raw: RawData;
  /** Row of the product's positions that each pattern belongs to. */
  readonly positionRows: Int32Array;
}

/**
 * The same for a solver, which changes probe and positions, and makes a probe of its own where it is given none.
 * @throws PtychoError as {@link openInput}
 */
export async function openSolverInput(
  input: ReconstructInput,
  logger: Logger,
  accept: string[] = [],
): Promise<SolverInput> {
  const opening = withPatterns(input, async (found) => {
    const { file, positionRows } = scanOf(found, input.product, badPixelsOf(input, found));
    const { metadata } = input.product;
    const { probeGuess } = file;
    const opened =
      probeGuess && holdsLight(probeGuess)
        ? await assemble(file, { logger, accept })
        : await assemble(
            {
              ...file,
              probeGuess: undefined,
              notes: [
                ...file.notes,
                `The probe of ${nameOf(metadata)} is no light that could be begun with, so one is guessed from the patterns.`,
              ],
            },
            { logger, accept },
          );
    const raw = await surveyScan(opened, { logger });
    // Frames without light are left out.
    return { raw, positionRows: Int32Array.from(raw.sampleIndices, (row) => positionRows[row]) };
  });
  return untilCancelled(opening, input.signal, 'Opening the scan', (late) => late.raw.close());
}

/** True for numbers that are all finite and not all 0. */
export function holdsLight({ re, im }: ComplexTensor): boolean {
  return (
    [re, im].every((part) => part.every(Number.isFinite)) && [re, im].some((part) => part.some((value) => value !== 0))
  );
}

/** True where positions have probes of their own, made of several coherent modes. */
export function hasCoherentModes({ array, opr_weights }: ProductProbe): boolean {
  return array.shape.length === 4 && array.shape[0] > 1 && opr_weights !== undefined;
}

async function withPatterns<T>(input: ReconstructInput, work: (found: IndexedPatterns) => Promise<T>): Promise<T> {
  const found = typeof input.patterns === 'string' ? await openPatternFile(input.patterns) : inMemory(input.patterns);
  try {
    return await work(found);
  } catch (error) {
    await found.close();
    throw error;
  }
}

const nameOf = ({ name }: ProductMetadata): string => `the product${name ? ` "${name}"` : ''}`;

function scanOf(
  found: IndexedPatterns,
  product: Product,
  badPixels: Tensor<Uint8Array> | undefined,
): { readonly file: ScanFile; readonly positionRows: Int32Array } {
  const { patterns, origin } = found;
  const { path } = origin;
  if (patterns.height !== patterns.width) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path} has patterns of ${patterns.height}×${patterns.width} pixels, but square ones are needed; crop or pad them to a square.`,
      { path, found: [patterns.height, patterns.width] },
    );
  }
  const name = nameOf(product.metadata);
  const notes = [...found.notes];
  const { x_m, y_m } = product.positions;
  const indexes = found.indexes ?? numberedFor(path, patterns.count, product.positions.indexes, notes);
  const of = { x: x_m, y: y_m, unit: 'm', origin: { path: name } } as const;
  const rows = pair(indexes, origin, { positions: of, indexes: product.positions.indexes }, notes);
  // In the order of the indexes, whatever that of the arrays: the same scan gives the same groups.
  const order = Array.from(rows.patterns, (_, i) => i).sort((a, b) => indexes[rows.patterns[a]] - indexes[rows.patterns[b]]); // biome-ignore format: one call
  const pick = (values: Int32Array) => Int32Array.from(order, (i) => values[i]);
  const toPixels = pixelsOf(product, name, notes);
  const positionRows = pick(rows.positions);
  const positions = {
    x: Float64Array.from(positionRows, (row) => toPixels.x(x_m[row])),
    y: Float64Array.from(positionRows, (row) => toPixels.y(y_m[row])),
    unit: 'px',
    origin: { path: name },
  } as const;
  const { object, metadata, probe } = product;
  const { probe_photon_count: nphotons } = metadata;
  const positive = (value: number) => (value > 0 ? value : undefined);
  const file: ScanFile = {
    path,
    format: 'ptychodus',
    patterns: selectFrames(patterns, pick(rows.patterns)),
    positions,
    startPositions: positions,
    probeGuess: incoherentModes(probe.array, { path: name, member: 'probe' }, (sentence) => notes.push(sentence)),
    objectGuess: projection(object.array),
    badPixels,
    geometry: {
      energy_eV: positive(metadata.probe_energy_eV),
      detectorDistance_m: positive(metadata.detector_object_distance_m),
      objectPixel_m: { x: object.pixel.width_m, y: object.pixel.height_m },
      objectCentre_m: { x: object.center_x_m, y: object.center_y_m },
    },
    measurementDomain: found.measurementDomain,
    metadata: nphotons > 0 ? { physics_parameters: { nphotons } } : {},
    notes,
    close: () => found.close(),
  };
  return { file, positionRows };
}

/** Metres to pixels of the object, as Ptychodus has it: (0, 0) is its first pixel, its centre at half its size. */
function pixelsOf({ object, probe }: Product, name: string, notes: string[]) {
  const { width_m, height_m } = object.pixel;
  if (!(width_m > 0 && height_m > 0 && Number.isFinite(width_m + height_m))) {
    throw new PtychoError(
      'DATASET_UNITS',
      `The object of ${name} has pixels of ${width_m} × ${height_m} m, so positions in metres cannot be placed on it; give it its pixel size.`,
      { key: 'object', found: [width_m, height_m] },
    );
  }
  const ratios = [probe.pixel.width_m / width_m, probe.pixel.height_m / height_m];
  if (ratios.some((ratio) => ratio > 0 && Math.abs(ratio - 1) > PIXEL_TOLERANCE)) {
    notes.push(`Probe and object of ${name} have pixels of different sizes; those of the object are used for both.`);
  }
  const [height, width] = object.array.shape.slice(-2);
  return {
    x: (x: number) => (x - object.center_x_m) / width_m + width / 2,
    y: (y: number) => (y - object.center_y_m) / height_m + height / 2,
  };
}

function inMemory({ data, shape, indexes }: PatternStack): IndexedPatterns {
  const path = 'the given patterns';
  const origin = { path, member: 'patterns' };
  if (shape.length !== 3 || data.length !== sizeOf(shape) || data.length === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The patterns have shape ${formatShape(shape)} and ${data.length} values, but must be (n, height, width), n at least 1.`,
      { found: shape },
    );
  }
  const [count] = shape;
  if (indexes && indexes.length !== count) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `There are ${indexes.length} indexes for ${count} patterns; give one for each.`,
      { found: indexes.length, expected: count },
    );
  }
  return {
    patterns: framesInMemory(data, shape, dtypeOf(data), origin),
    indexes: Float64Array.from({ length: count }, (_, i) => (indexes ? indexes[i] : i)),
    origin: { path, member: 'indexes' },
    measurementDomain: { text: 'count_intensity', where: 'A host of reconstructors (its patterns are intensities)' },
    notes: [],
    close: async () => {},
  };
}

/** A pixel is bad where the host or the file says so. */
function badPixelsOf({ badPixels }: ReconstructInput, { badPixels: ofFile, patterns }: IndexedPatterns) {
  if (!badPixels) return ofFile;
  const shape = [patterns.height, patterns.width];
  if (badPixels.length !== sizeOf(shape)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The mask of bad pixels has ${badPixels.length} pixels, but the patterns have ${shape.join('×')}; give one value for each.`,
      { found: badPixels.length, expected: sizeOf(shape) },
    );
  }
  return { data: Uint8Array.from(badPixels, (v, p) => (v !== 0 || ofFile?.data[p] ? 1 : 0)), shape };
}

/**
 * A scan whose labels are cut from its object, as a host's supervised training means it: its object is a reconstruction to
 * learn from. A scan that has labels, or no object, is returned as it is.
 */
export function withObjectLabels(raw: RawData, logger: Logger): RawData {
  const { objectGuess, N, xcoords, ycoords } = raw;
  if (raw.labels || raw.groundTruth || !objectGuess) return raw;
  logger.info(`Known patches for supervised training are cut from the object of ${raw.source}.`);
  return {
    ...raw,
    labels: {
      count: raw.count,
      height: N,
      width: N,
      readRows: async (rows) => {
        const at = (values: Float64Array) => Float64Array.from(rows, (row) => values[row]);
        return extractPatches(objectGuess, at(xcoords), at(ycoords), N);
      },
    },
    // Spreading would lose it where it is a method of a class.
    close: () => raw.close(),
  };
}
