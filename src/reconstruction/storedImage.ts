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
import { valuesAt } from '../core/numbers.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../core/tensor.js';
import { datasetLike, readArrayFile } from '../data/opening/arrayFile.js';
import { splitFileSpec } from '../data/opening/files.js';
import { keepsAxes } from '../data/opening/orientation.js';
import { checkProbe } from '../data/opening/probe.js';
import { gridOfScan, toPixels } from '../data/opening/scanGeometry.js';
import { nanometres } from '../data/opening/wavelength.js';
import type { RawData } from '../data/rawData.js';
import { RESULT_OBJECTS, RESULT_PROBES } from '../data/readers/keys.js';
import { isHdf5File, usingHdf5 } from '../formats/hdf5/file.js';
import { expectComplex64 } from '../formats/npy.js';
import { isNpyFile } from '../formats/npyFile.js';
import { nameOf } from '../formats/npyHeader.js';
import { usingNpz } from '../formats/npz.js';
import { projection } from '../physics/layers.js';
import { type ImageCoordinates, readCoordinates } from './foreignResults.js';
import { type ImageRecord, readRecord } from './imageRecord.js';
import { readPlace } from './reconstructionFile.js';

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
  /** Sides of a pixel, metres, where a `reconstruction.npz` says so. */
  readonly pixel_m?: ImageRecord['pixel_m'];
  /** (rows·cols) zero where nothing was stitched. */
  readonly weight?: ArrayLike<number>;
  /** Sentences about what was assumed. */
  readonly notes: readonly string[];
}

/** Keys that are tried where none is named: reconstructions of ours, scans with an object, then the results of other programs. */
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
  // Ptychodus, Pty-Chi and PtychoShelves keep slices there; elsewhere they may be modes.
  const sliced = shape.length === 3 && /^\/?object$/.test(origin.member ?? '');
  const notes: string[] = [];
  while (shape.length > 2) {
    const layers = shape.shift() ?? 1;
    if (layers > 1) {
      const image = sliced ? 'the image is their product' : 'the first is used';
      notes.push(`${nameOf(origin)} has ${layers} layers; ${image}.`);
    }
  }
  if (shape.length !== 2 || shape[0] * shape[1] === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${nameOf(origin)} of shape ${formatShape(array.shape)} is no image of rows and columns; name another array with FILE:key.`,
      { path: origin.path, found: array.shape },
    );
  }
  const size = shape[0] * shape[1];
  const image = sliced ? projection(whole) : { re: whole.re.subarray(0, size), im: whole.im.subarray(0, size), shape };
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
  const area = rows * columns;
  const first = (values: Float32Array) =>
    Float32Array.from({ length: layers * area }, (_, i) => values[(i % area) * layers + Math.floor(i / area)]);
  return { re: first(re), im: first(im), shape: [layers, rows, columns] };
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
  return usingHdf5(file, (hdf5) => {
    for (const key of keys) {
      const found = datasetLike(hdf5, key);
      if (found !== undefined) return found;
    }
    return undefined;
  });
}

async function inNpz(file: string, keys: readonly string[]): Promise<string | undefined> {
  return usingNpz(file, (npz) => keys.find((key) => npz.has(key)));
}

/** What stands beside a reconstruction in an NPZ. */
async function placeOf(
  spec: string,
  key: string | undefined,
  image: ComplexImage,
): Promise<Pick<StoredImage, 'originYxPx' | 'weight' | 'pixel_m'>> {
  const { file } = splitFileSpec(spec);
  // The true object of a scan is what its positions are pixels of.
  if (key === 'objectGuess') return { originYxPx: [0, 0] };
  if (key !== 'reconstructed_object' || (await isHdf5File(file)) || (await isNpyFile(file))) return {};
  return usingNpz(file, async (npz) => {
    const { originYxPx, overlapCount } = await readPlace(npz);
    const fits = overlapCount?.data.length === image.re.length;
    const { pixel_m } = await readRecord(npz);
    return {
      originYxPx,
      ...(pixel_m && { pixel_m }),
      ...(fits && { weight: Float64Array.from(overlapCount.data as ArrayLike<number>) }),
    };
  });
}

/** What of a scan an image is laid on. */
export type ScanPlace = Pick<
  RawData,
  'source' | 'count' | 'N' | 'xcoords' | 'ycoords' | 'sampleIndices' | 'geometry' | 'orientation' | 'objectGuess'
>;

/** Pixels may differ by this share: sizes are rounded. */
const SAME_PIXEL = 0.01;
/** Positions that were refined with a scale of their own may stretch them by this share. */
const SAME_STEP = 0.05;

/**
 * Says where an image lies in the pixels of a scan's positions, where its file lets that be known: by the positions that the file
 * keeps, matched one by one with those of the scan, or by metres that both count from the same point. An axis that runs the other
 * way is turned. What cannot be known is left out, with a note.
 * @throws PtychoError DATASET_UNITS where the pixels of the two have different sizes
 */
export function placeOnScan(stored: StoredImage, scan: ScanPlace): StoredImage {
  const { coordinates, image } = stored;
  if (stored.originYxPx !== undefined || coordinates === undefined) return stored;
  requireSamePixel(stored.source, coordinates, scan);
  const notes = [...stored.notes];
  const along = lines(coordinates, scan, (sentence) => notes.push(`${stored.source}: ${sentence}`));
  if (along === undefined) return { ...stored, notes };
  const [height, width] = image.shape;
  const [x, y] = [ends(along.x, coordinates, 'x', width), ends(along.y, coordinates, 'y', height)];
  for (const { step } of [x, y]) {
    if (Math.abs(Math.abs(step) - 1) <= SAME_STEP) continue;
    throw new PtychoError(
      'DATASET_UNITS',
      `A pixel of ${stored.source} is as long as ${Math.abs(step).toPrecision(4)} pixels of ${scan.source}; give an image with the pixels of the scan.`,
      { path: stored.source, found: Math.abs(step), expected: 1 },
    );
  }
  const turned = { rows: y.step < 0, columns: x.step < 0 };
  if (turned.rows || turned.columns) {
    const what = [turned.rows && 'rows', turned.columns && 'columns'].filter(Boolean).join(' and ');
    notes.push(`${stored.source}: the order of its ${what} was reversed, as its coordinates run against those of the scan.`); // biome-ignore format: one call
  }
  return {
    ...stored,
    image: turnedImage(image, turned),
    weight: stored.weight && turnedValues(Float64Array.from(stored.weight), height, width, turned),
    originYxPx: [Math.round(y.low), Math.round(x.low)],
    coordinates: undefined,
    turned,
    notes,
  };
}

/** A coordinate of the file to one of the scan: slope·v + offset. */
interface Line {
  readonly slope: number;
  readonly offset: number;
}

function lines(
  coordinates: ImageCoordinates,
  scan: ScanPlace,
  note: (sentence: string) => void,
): { readonly x: Line; readonly y: Line } | undefined {
  const matched = coordinates.positions && linesOfPositions(coordinates, scan);
  if (matched) return matched;
  if (coordinates.positions) {
    note(`its ${coordinates.positions.x.length} positions are not those of the ${scan.count} patterns of the scan.`);
  }
  const pixel = scan.geometry.objectPixel_m;
  if (coordinates.unit === 'px' || pixel === undefined) {
    if (coordinates.unit === 'm') note('it lies at metres, but the pixels of the scan have no size (object_pixel_m).');
    return undefined;
  }
  if (!keepsAxes(scan.orientation) || scan.orientation.coord_scale !== 1) {
    note('it lies at metres, but the positions of the scan were turned or scaled when it was opened.');
    return undefined;
  }
  const grid = toPixels(gridOfScan(scan, pixel));
  const line = (convert: (v: number) => number, side: number): Line => ({ slope: 1 / side, offset: convert(0) });
  return { x: line(grid.x, pixel.x), y: line(grid.y, pixel.y) };
}

/** From positions that both have, in the same order. */
function linesOfPositions(
  { positions, step }: ImageCoordinates,
  { count, xcoords, ycoords, sampleIndices }: ScanPlace,
): { readonly x: Line; readonly y: Line } | undefined {
  if (positions === undefined) return undefined;
  const there = positions.x.length;
  const rows = there === count ? undefined : sampleIndices;
  if (rows?.some((row) => row >= there)) return undefined;
  const pick = (values: Float64Array) => (rows ? valuesAt(values, rows) : values);
  const x = lineThrough(pick(positions.x), xcoords, 1 / Math.abs(step.x));
  const y = lineThrough(pick(positions.y), ycoords, 1 / Math.abs(step.y));
  return x && y && { x, y };
}

/** The line of least squares; of a given slope where the values hardly differ; undefined where they are not on a line. */
function lineThrough(from: Float64Array, to: Float64Array, usual: number): Line | undefined {
  const n = from.length;
  const mean = (values: Float64Array) => values.reduce((sum, v) => sum + v, 0) / n;
  const [a, b] = [mean(from), mean(to)];
  let [aa, ab, bb] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    aa += (from[i] - a) ** 2;
    ab += (from[i] - a) * (to[i] - b);
    bb += (to[i] - b) ** 2;
  }
  // Both nearly constant: a line of a scan along the other axis.
  const flat = Math.sqrt(bb / n) < FLAT_PX && usual * Math.sqrt(aa / n) < FLAT_PX;
  const slope = flat ? usual : ab / aa;
  const rest = Math.sqrt(Math.max(0, bb - 2 * slope * ab + slope * slope * aa) / n);
  const close = flat || rest <= Math.max(1, 0.1 * Math.sqrt(bb / n));
  return close && Number.isFinite(slope) && slope !== 0 ? { slope, offset: b - slope * a } : undefined;
}

/** Positions that spread less have no scale of their own; pixels. */
const FLAT_PX = 1;

function ends(
  { slope, offset }: Line,
  { first, step }: ImageCoordinates,
  axis: 'x' | 'y',
  length: number,
): { readonly step: number; readonly low: number } {
  const at = (i: number) => slope * (first[axis] + i * step[axis]) + offset;
  return { step: slope * step[axis], low: Math.min(at(0), at(length - 1)) };
}

function requireSamePixel(source: string, { pixel_m }: ImageCoordinates, scan: ScanPlace): void {
  const own = scan.geometry.objectPixel_m;
  if (pixel_m === undefined || own === undefined) return;
  const same = (['x', 'y'] as const).every((axis) => Math.abs(own[axis] / pixel_m[axis] - 1) <= SAME_PIXEL);
  if (same) return;
  throw new PtychoError(
    'DATASET_UNITS',
    `The object of ${source} has pixels of ${nanometres(pixel_m)}, those of ${scan.source} are ${nanometres(own)}; give an image with the pixels of the scan.`,
    { path: source, found: pixel_m, expected: own },
  );
}

/** An image, or modes of a probe, with rows or columns in reverse order. */
export function turnedImage<T extends ComplexImage | ComplexTensor>(image: T, turned: TurnedAxes | undefined): T {
  const [height, width] = image.shape.slice(-2);
  if (!turned) return image;
  return {
    ...image,
    re: turnedValues(image.re, height, width, turned),
    im: turnedValues(image.im, height, width, turned),
  };
}

/** Images one after the other, (…, height, width), each with its rows or columns in reverse order. */
function turnedValues<A extends Float32Array | Float64Array>(
  values: A,
  height: number,
  width: number,
  { rows, columns }: TurnedAxes,
): A {
  if (!rows && !columns) return values;
  const out = values.slice() as A;
  for (let i = 0; i < out.length; i++) {
    const [image, r, c] = [Math.floor(i / (height * width)), Math.floor(i / width) % height, i % width];
    out[i] = values[(image * height + (rows ? height - 1 - r : r)) * width + (columns ? width - 1 - c : c)];
  }
  return out;
}
