/**
 * Finished images and the probes that they were made with, in whatever file they lie: to be scored, compared, cut into labels, or to
 * begin with.
 *
 * @example
 * const stored = await readStoredImage('result.ptyr', 'the reconstruction');
 * const { image, originYxPx } = placeOnScan(stored, raw); // in pixels of the scan's positions
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../core/tensor.js';
import { datasetLike, readArrayFile } from '../data/opening/arrayFile.js';
import { splitFileSpec } from '../data/opening/files.js';
import { checkProbe } from '../data/opening/probe.js';
import { RESULT_OBJECTS, RESULT_PROBES } from '../data/readers/keys.js';
import { type ImageCoordinates, readCoordinates } from '../data/readers/resultFile.js';
import { isHdf5File, openHdf5 } from '../formats/hdf5/file.js';
import { expectComplex64 } from '../formats/npy.js';
import { isNpyFile } from '../formats/npyFile.js';
import { nameOf } from '../formats/npyHeader.js';
import { openNpz } from '../formats/npz.js';

/** Axes of an image whose order was reversed. */
export interface TurnedAxes {
  readonly rows: boolean;
  readonly columns: boolean;
}

/** An image with what its file says of it. */
export interface StoredImage {
  /** The file, for messages. */
  readonly source: string;
  readonly image: ComplexImage;
  /** Object pixel [y, x] of the first pixel, where the file says so. */
  readonly originYxPx?: readonly [number, number];
  /** Where it lies in the coordinates of another program; `placeOnScan` makes them {@link originYxPx}. */
  readonly coordinates?: ImageCoordinates;
  /** What `placeOnScan` did to the axes; a probe of the same file must be turned likewise. */
  readonly turned?: TurnedAxes;
  /** (rows·cols) zero where nothing was stitched. */
  readonly weight?: ArrayLike<number>;
  /** Sentences about what was assumed. */
  readonly notes: readonly string[];
}

/** Where an image is when nobody says: reconstructions of ours, scans with an object, then the results of other programs. */
export const IMAGE_KEYS: readonly string[] = ['reconstructed_object', 'objectGuess', ...RESULT_OBJECTS];
/** The same for reconstructions: the object that a scan began with is none. */
export const RECONSTRUCTION_KEYS: readonly string[] = IMAGE_KEYS.filter((key) => key !== 'objectGuess');

/**
 * Reads a complex image: a `reconstruction.npz`, a scan with `objectGuess`, a Ptychodus product, a result of PtyPy, PyNX, Pty-Chi or
 * PtychoShelves, `FILE:key`, or the folder of a run that holds a `reconstruction.npz`.
 * @param what for messages: `the reconstruction`
 * @param keys to look for when none is named
 * @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, and those of reading files
 */
export async function readStoredImage(
  given: string,
  what: string,
  keys: readonly string[] = IMAGE_KEYS,
): Promise<StoredImage> {
  const spec = await imageFile(given);
  const { array, origin } = await readArrayFile(spec, keys, what);
  const whole = layersFirst(expectComplex64(array, origin));
  const shape = [...whole.shape];
  const notes: string[] = [];
  while (shape.length > 2) {
    const layers = shape.shift() ?? 1;
    if (layers > 1) notes.push(`${nameOf(origin)} has ${layers} layers; the first is used.`);
  }
  if (shape.length !== 2 || shape[0] * shape[1] === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${nameOf(origin)} of shape ${formatShape(array.shape)} is no image of rows and columns; name another array with FILE:key.`,
      { path: origin.path, found: array.shape },
    );
  }
  const size = shape[0] * shape[1];
  const image = { re: whole.re.subarray(0, size), im: whole.im.subarray(0, size), shape };
  const place = await placeOf(spec, origin.member, image);
  const coordinates =
    place.originYxPx === undefined ? await readCoordinates(origin.path, origin.member, shape) : undefined;
  return { source: spec, image, notes, ...place, ...(coordinates && { coordinates }) };
}

/** For the folder of a run what `solve` or `infer` wrote there. */
export async function imageFile(spec: string): Promise<string> {
  const inFolder = path.join(spec, 'reconstruction.npz');
  return (await stat(inFolder).catch(() => undefined))?.isFile() ? inFolder : spec;
}

/** MATLAB keeps layers behind rows and columns; there are fewer of them than pixels of a side. */
function layersFirst({ re, im, shape }: ComplexTensor): ComplexTensor {
  const [rows, columns, layers] = shape;
  if (shape.length !== 3 || !(layers < rows && layers < columns) || rows < 16 || columns < 16) return { re, im, shape };
  // The first layer is all that is ever used.
  const first = (values: Float32Array) => Float32Array.from({ length: rows * columns }, (_, i) => values[i * layers]);
  return { re: first(re), im: first(im), shape: [rows, columns] };
}

/**
 * The probe beside an image, where its file holds one for patterns of side N.
 * @param spec what {@link readStoredImage} was given
 * @param guess also take the probe that a scan began with (`probeGuess`)
 * @throws PtychoError PROBE_SHAPE, DATASET_VALUE, and those of reading files
 */
export async function readProbeBeside(
  spec: string,
  N: number,
  { guess, note }: { readonly guess?: boolean; readonly note?: (sentence: string) => void } = {},
): Promise<ComplexTensor | undefined> {
  const { file } = splitFileSpec(await imageFile(spec));
  if (await isNpyFile(file)) return undefined;
  const keys = ['reconstructed_probe', ...(guess ? ['probeGuess'] : []), ...RESULT_PROBES];
  const found = (await isHdf5File(file)) ? await inHdf5(file, keys) : await inNpz(file, keys);
  if (found === undefined) return undefined;
  const { array, origin } = await readArrayFile(`${file}:${found}`, [], 'the probe');
  return checkProbe(expectComplex64(array, origin), N, origin, note);
}

async function inHdf5(file: string, keys: readonly string[]): Promise<string | undefined> {
  const hdf5 = await openHdf5(file);
  try {
    for (const key of keys) {
      const found = datasetLike(hdf5, key);
      if (found !== undefined) return found;
    }
    return undefined;
  } finally {
    hdf5.close();
  }
}

async function inNpz(file: string, keys: readonly string[]): Promise<string | undefined> {
  const npz = await openNpz(file);
  try {
    return keys.find((key) => npz.has(key));
  } finally {
    await npz.close();
  }
}

/** What stands beside a reconstruction in an NPZ. */
async function placeOf(
  spec: string,
  key: string | undefined,
  image: ComplexImage,
): Promise<Pick<StoredImage, 'originYxPx' | 'weight'>> {
  const { file } = splitFileSpec(spec);
  // The true object of a scan is what its positions are pixels of.
  if (key === 'objectGuess') return { originYxPx: [0, 0] };
  if (key !== 'reconstructed_object' || (await isHdf5File(file)) || (await isNpyFile(file))) return {};
  const npz = await openNpz(file);
  try {
    const found: { originYxPx?: readonly [number, number]; weight?: ArrayLike<number> } = {};
    if (npz.has('frame_origin_yx_px')) {
      const [y, x] = Array.from((await npz.readReal('frame_origin_yx_px')).data as ArrayLike<number>, Number);
      if (!Number.isInteger(y) || !Number.isInteger(x)) {
        throw new PtychoError(
          'DATASET_VALUE',
          `${file}: frame_origin_yx_px must be two whole numbers, row and column of the first pixel, found ${y}, ${x}.`,
          { path: file, key: 'frame_origin_yx_px' },
        );
      }
      found.originYxPx = [y, x];
    }
    if (npz.has('overlap_count')) {
      const { data } = await npz.readReal('overlap_count');
      if (data.length === image.re.length) found.weight = Float64Array.from(data as ArrayLike<number>);
    }
    return found;
  } finally {
    await npz.close();
  }
}
