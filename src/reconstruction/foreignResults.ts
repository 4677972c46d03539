/**
 * Where the object of a finished reconstruction lies, as far as its file says: results of other programs by their key tables
 * (below), Ptychodus products by their centre.
 *
 * @example
 * await readCoordinates('result.ptyr', '/content/obj/SscanG00/data', [400, 400]); // { unit: 'm', first: { x, y }, step: { x, y } }
 */

import { datasetLike } from '../data/opening/arrayFile.js';
import { lengthUnit } from '../data/opening/units.js';
import { type PairKeys, POSITION_KEYS, RESULT_LAYOUTS, type ResultLayout } from '../data/readers/keys.js';
import { readProduct } from '../data/readers/product.js';
import { type Hdf5File, isHdf5File, openHdf5 } from '../formats/hdf5/file.js';
import { isNpyFile } from '../formats/npyFile.js';
import { openNpz } from '../formats/npz.js';

/** A value along columns (x) and one along rows (y). */
interface Pair {
  readonly x: number;
  readonly y: number;
}

/** Coordinates of an object's pixels. */
export interface ImageCoordinates {
  /** The program that keeps them so. */
  readonly program: string;
  readonly unit: 'px' | 'm';
  /** Of the first pixel. */
  readonly first: Pair;
  /** From one pixel to the next; negative where an axis runs the other way. */
  readonly step: Pair;
  /** Side of a pixel, where the file says so. */
  readonly pixel_m?: Pair;
  /** Where the patterns were, in the same coordinates. */
  readonly positions?: { readonly x: Float64Array; readonly y: Float64Array };
}

/** The arrays of a file, HDF5 or NPZ. */
interface Arrays {
  has(key: string): boolean;
  numbers(key: string): Promise<{ readonly data: Float64Array; readonly shape: readonly number[] }>;
  attribute(key: string, name: string): unknown;
}

/**
 * @param key of the object in the file
 * @param shape rows and columns of the object
 * @returns undefined where the file does not say
 * @throws PtychoError those of reading the file, DATASET_VALUE for what is no number
 */
export async function readCoordinates(
  path: string,
  key: string | undefined,
  [rows, columns]: readonly number[],
): Promise<ImageCoordinates | undefined> {
  if (key === undefined || (await isNpyFile(path))) return undefined;
  if (await isHdf5File(path)) {
    const file = await openHdf5(path);
    try {
      if (!POSITION_KEYS.every((name) => file.has(`/${name}`))) {
        return await fromLayouts(hdf5Arrays(file), (layout) => starOf(file, layout.object, key), [rows, columns]);
      }
    } finally {
      file.close();
    }
    return isObject(key) ? fromProduct(path, [rows, columns]) : undefined;
  }
  const npz = await openNpz(path);
  try {
    if (!POSITION_KEYS.every((name) => npz.has(name))) {
      const arrays: Arrays = {
        has: (name) => npz.has(name.slice(1)),
        numbers: async (name) => {
          const { data, shape } = await npz.readReal(name.slice(1));
          return { data: Float64Array.from(data), shape };
        },
        attribute: () => undefined,
      };
      return await fromLayouts(arrays, ({ object }) => (object === `/${key}` ? '' : undefined), [rows, columns]);
    }
  } finally {
    await npz.close();
  }
  return isObject(key) ? fromProduct(path, [rows, columns]) : undefined;
}

const isObject = (key: string): boolean => key.replace(/^\//, '') === 'object';

function hdf5Arrays(file: Hdf5File): Arrays {
  return {
    has: (key) => file.has(key),
    numbers: async (key) => {
      const array = file.read(key);
      return array.kind === 'real'
        ? { data: Float64Array.from(array.data), shape: array.shape }
        : { data: new Float64Array(0), shape: [0] };
    },
    attribute: (key, name) => file.attributes(key)[name],
  };
}

/** What stands for `*` where a layout's object is this one; '' where it has none, undefined where it is another. */
function starOf(file: Hdf5File, pattern: string, key: string): string | undefined {
  const path = key.startsWith('/') ? key : `/${key}`;
  const at = pattern.indexOf('*');
  if (at < 0) return pattern === path ? '' : undefined;
  const [before, after] = [pattern.slice(0, at), pattern.slice(at + 1)];
  if (!path.startsWith(before) || !path.endsWith(after)) return undefined;
  const star = path.slice(before.length, path.length - after.length);
  return star.includes('/') || datasetLike(file, path) === undefined ? undefined : star;
}

async function fromLayouts(
  arrays: Arrays,
  starIn: (layout: ResultLayout) => string | undefined,
  shape: readonly [number, number],
): Promise<ImageCoordinates | undefined> {
  for (const layout of RESULT_LAYOUTS) {
    const star = starIn(layout);
    if (star === undefined) continue;
    const found = await coordinatesBy(layout, withStar(arrays, star), shape);
    if (found !== undefined) return found;
  }
  return undefined;
}

function withStar(arrays: Arrays, star: string): Arrays {
  const named = (key: string) => key.replace('*', star);
  return {
    has: (key) => arrays.has(named(key)),
    numbers: (key) => arrays.numbers(named(key)),
    attribute: (key, name) => arrays.attribute(named(key), name),
  };
}

async function coordinatesBy(
  { program, ...layout }: ResultLayout,
  arrays: Arrays,
  [rows, columns]: readonly [number, number],
): Promise<ImageCoordinates | undefined> {
  const pixel_m = layout.pixel_m && (await pairOf(arrays, layout.pixel_m));
  const positions = layout.positions && (await positionsOf(arrays, layout.positions));
  const known = { program, pixel_m, positions };
  if (layout.axes && arrays.has(layout.axes.x) && arrays.has(layout.axes.y)) {
    const [x, y] = [await axisOf(arrays, layout.axes.x, columns), await axisOf(arrays, layout.axes.y, rows)];
    if (x && y) return { ...known, unit: 'm', first: { x: x.first, y: y.first }, step: { x: x.step, y: y.step } };
  }
  const first = layout.corner_m && (await pairOf(arrays, layout.corner_m));
  if (first && pixel_m) return { ...known, unit: 'm', first, step: pixel_m };
  // Positions in pixels are counted from the middle; those in metres mean nothing without a corner.
  if (positions === undefined || layout.axes || layout.corner_m) return undefined;
  return { ...known, unit: 'px', first: { x: -columns / 2, y: -rows / 2 }, step: { x: 1, y: 1 } };
}

async function pairOf(arrays: Arrays, keys: PairKeys): Promise<Pair | undefined> {
  const names = 'both' in keys ? [keys.both] : [keys.x, keys.y];
  if (!names.every((name) => arrays.has(name))) return undefined;
  const values: number[] = [];
  for (const name of names) values.push(...(await arrays.numbers(name)).data.slice(0, 2));
  const [a, b = a] = values;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return undefined;
  return 'both' in keys && keys.order === 'yx' ? { x: b, y: a } : { x: a, y: b };
}

/** First value and mean step of an axis, in metres; undefined where it is of another length or has no unit of length. */
async function axisOf(
  arrays: Arrays,
  key: string,
  length: number,
): Promise<{ readonly first: number; readonly step: number } | undefined> {
  const { data } = await arrays.numbers(key);
  const units = arrays.attribute(key, 'units');
  const factor = lengthUnit(typeof units === 'string' ? units : 'm');
  if (data.length !== length || length < 2 || typeof factor !== 'number') return undefined;
  const step = (data[length - 1] - data[0]) / (length - 1);
  return Number.isFinite(step) && step !== 0 ? { first: data[0] * factor, step: step * factor } : undefined;
}

async function positionsOf(
  arrays: Arrays,
  { key, order }: NonNullable<ResultLayout['positions']>,
): Promise<ImageCoordinates['positions']> {
  if (!arrays.has(key)) return undefined;
  const { data, shape } = await arrays.numbers(key);
  if (shape.length !== 2) return undefined;
  const [height, width] = shape;
  const columns = width === 2;
  if (!columns && (height < 2 || height > 4)) return undefined;
  const n = columns ? height : width;
  const axis = (a: number) => Float64Array.from({ length: n }, (_, i) => data[columns ? 2 * i + a : a * width + i]);
  return order === 'xy' ? { x: axis(0), y: axis(1) } : { x: axis(1), y: axis(0) };
}

/** The middle of a product's object lies at its centre. */
async function fromProduct(
  path: string,
  [rows, columns]: readonly [number, number],
): Promise<ImageCoordinates | undefined> {
  const { geometry } = await readProduct(path);
  const { objectPixel_m: pixel_m, objectCentre_m: centre } = geometry;
  if (pixel_m === undefined || centre === undefined) return undefined;
  const first = { x: centre.x - (columns / 2) * pixel_m.x, y: centre.y - (rows / 2) * pixel_m.y };
  return { program: 'Ptychodus', unit: 'm', first, step: pixel_m, pixel_m };
}
