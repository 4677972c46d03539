/** The small arrays of a scan file: positions, scan numbers, probe, object. */
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../core/tensor.js';
import type { NpzFile } from '../formats/npz.js';

/** What a scan holds besides patterns, before patterns are selected. */
export interface ScanArrays {
  readonly xcoords: Float64Array;
  readonly ycoords: Float64Array;
  readonly xcoordsStart?: Float64Array;
  readonly ycoordsStart?: Float64Array;
  readonly scanIndex?: Int32Array;
  /** As stored; its size is checked against the patterns elsewhere. */
  readonly probeGuess?: ComplexTensor;
  readonly objectGuess?: ComplexImage;
  readonly measurementDomain?: string;
}

/**
 * Reads and checks them.
 * @throws PtychoError DATASET_KEY_MISSING for positions, DATASET_SHAPE, DATASET_VALUE, and reading errors.
 */
export async function readScanArrays(npz: NpzFile, logger: Logger): Promise<ScanArrays> {
  for (const key of ['xcoords', 'ycoords']) {
    if (!npz.has(key)) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${npz.path} has no scan positions: xcoords and ycoords (object pixels, one value a pattern) are needed, the file holds ${npz.keys.join(', ')}.`,
        { path: npz.path, key, expected: ['xcoords', 'ycoords'], found: npz.keys },
      );
    }
  }
  const optional = <T>(key: string, read: (key: string) => Promise<T>) => readOptional(npz, key, read, logger);
  const coordinates = (key: string) => readCoordinates(npz, key);
  return {
    xcoords: await coordinates('xcoords'),
    ycoords: await coordinates('ycoords'),
    xcoordsStart: await optional('xcoords_start', coordinates),
    ycoordsStart: await optional('ycoords_start', coordinates),
    scanIndex: await optional('scan_index', async (key) => Int32Array.from((await npz.readReal(key)).data)),
    probeGuess: await optional('probeGuess', (key) => npz.readComplex64(key)),
    objectGuess: await optional('objectGuess', (key) => readObject(npz, key, logger)),
    measurementDomain: await optional('measurement_domain', (key) => readWord(npz, key)),
  };
}

/**
 * Checks positions in object pixels.
 * @throws PtychoError DATASET_VALUE naming the first that is NaN or infinite.
 */
export function checkCoordinates(values: Float64Array, path: string, key: string): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `${path}, array "${key}", has the value ${values[at]} at index ${at}, but scan positions must be finite; remove that pattern or correct it.`,
    { path, key, found: values[at] },
  );
}

async function readCoordinates(npz: NpzFile, key: string): Promise<Float64Array> {
  const { shape } = await npz.header(key);
  if (shape.length !== 1) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${npz.path}, array "${key}", has shape ${formatShape(shape)}, but scan positions must have one axis, one value a pattern.`,
      { path: npz.path, key, found: shape },
    );
  }
  const values = Float64Array.from((await npz.readReal(key)).data);
  checkCoordinates(values, npz.path, key);
  return values;
}

/** An array that a scan may do without: when its dtype cannot be read (None saved as an object, say) it is left out with a warning. */
async function readOptional<T>(
  npz: NpzFile,
  key: string,
  read: (key: string) => Promise<T>,
  logger: Logger,
): Promise<T | undefined> {
  if (!npz.has(key)) return undefined;
  try {
    await npz.header(key);
  } catch (error) {
    if (!isPtychoError(error, 'FORMAT_UNSUPPORTED')) throw error;
    logger.warn(`Left out: ${messageOf(error)}`);
    return undefined;
  }
  return read(key);
}

async function readObject(npz: NpzFile, key: string, logger: Logger): Promise<ComplexImage | undefined> {
  const object = await npz.readComplex64(key);
  const shape = object.shape.filter((length) => length !== 1);
  if (shape.length === 2) return { ...object, shape };
  logger.warn(`${npz.path}, array "${key}", has shape ${formatShape(object.shape)} and is no image: left out.`);
  return undefined;
}

async function readWord(npz: NpzFile, key: string): Promise<string> {
  const array = await npz.read(key);
  if (array.kind === 'text' && array.strings.length === 1) return array.strings[0];
  throw new PtychoError(
    'DATASET_UNITS',
    `${npz.path}, array "${key}", must hold one word, but has shape ${formatShape(array.shape)} of ${array.dtype}.`,
    { path: npz.path, key, found: array.dtype },
  );
}
