/**
 * Scan positions from a file of their own, `FILE` or `FILE:key`:
 * `.csv` holds y,x in metres and `.txt` x y in metres (as Ptychodus reads them); NPY is (n, 2), x and y; NPZ holds xcoords and
 * ycoords (object pixels), positions of a product (metres) or an array (n, 2); HDF5 a dataset or a group of two.
 *
 * @example
 * const { positions, notes } = await readPositionsFile('positions.csv');
 */
import { extname } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { formatShape, type NumericArray, type Tensor } from '../../core/tensor.js';
import { type Hdf5File, isHdf5File, openHdf5, refuseMatlab5 } from '../../formats/hdf5/file.js';
import { expectReal } from '../../formats/npy.js';
import { type NpyOrigin, nameOf, npyError } from '../../formats/npyHeader.js';
import { openNpz, readNpyFile } from '../../formats/npz.js';
import { readTextTable } from '../../formats/textTable.js';
import type { ReaderOptions, StoredPositions } from '../scanFile.js';
import { hasMagic, MAGIC } from './fileKind.js';
import { splitFileSpec } from './fileSpec.js';
import { lengthUnit } from './geometry.js';

type Unit = StoredPositions['unit'];

/** Positions and what was assumed about them. */
export interface FoundPositions {
  readonly positions: StoredPositions;
  readonly notes: readonly string[];
}

/** Pairs of arrays that are positions by their names, and the unit that the names mean; undefined: to be declared. */
const PAIRS: readonly { readonly x: string; readonly y: string; readonly unit?: Unit }[] = [
  { x: 'xcoords', y: 'ycoords', unit: 'px' },
  { x: 'probe_position_x_m', y: 'probe_position_y_m', unit: 'm' },
  // fold_slice and PtychoShelves.
  { x: 'ppX', y: 'ppY', unit: 'm' },
  { x: 'x_m', y: 'y_m', unit: 'm' },
  { x: 'x_px', y: 'y_px', unit: 'px' },
  { x: 'x', y: 'y' },
];
/** A hundred million positions are a lie. */
const MAX_BYTES = 2 ** 28;

/**
 * Reads the positions that `FILE[:key]` names.
 * @param allowLinks folders that links of an HDF5 file may lead to
 * @param unit replaces the unit that the file implies; needed where it implies none
 * @throws PtychoError DATASET_UNITS when the unit is neither declared nor given; DATASET_SHAPE, DATASET_VALUE,
 * DATASET_KEY_MISSING, FILE_FORMAT, and those of reading the file.
 */
export async function readPositionsFile(
  spec: string,
  unit?: Unit,
  allowLinks?: readonly string[],
): Promise<FoundPositions> {
  const { file, key } = splitFileSpec(spec);
  if (await hasMagic(file, MAGIC.npy)) {
    const origin = { path: file };
    const array = expectReal(await readNpyFile(file), origin);
    return { positions: { ...columnsOf(array, origin), unit: unit ?? undeclared(origin), origin }, notes: [] };
  }
  if (await hasMagic(file, MAGIC.zip)) return { positions: await positionsInNpz(file, key, unit), notes: [] };
  if (await isHdf5File(file)) {
    const hdf5 = await openHdf5(file, allowLinks);
    try {
      return { positions: positionsInHdf5(hdf5, key ?? '/', unit), notes: [] };
    } finally {
      hdf5.close();
    }
  }
  await refuseMatlab5(file);
  const kind = extname(file).toLowerCase();
  if (kind !== '.csv' && kind !== '.txt') {
    throw new PtychoError(
      'FILE_FORMAT',
      `${file} holds no positions that are recognised: expected are .csv (y,x), .txt (x y), NPY, NPZ or HDF5.`,
      { path: file },
    );
  }
  const csv = kind === '.csv';
  const [first, second] = (await readTextTable(file, csv ? ',' : ' ', 2)).columns;
  const [x, y] = csv ? [second, first] : [first, second];
  const assumed = `${file} was read as ${csv ? 'y,x' : 'x y'} in ${unit === 'px' ? 'object pixels' : 'metres'}.`;
  return { positions: { x, y, unit: unit ?? 'm', origin: { path: file } }, notes: [assumed] };
}

/**
 * Positions inside an opened HDF5 file: a dataset (n, 2 or 3) or (2, n), x first, or a group that holds two datasets such as
 * `x` and `y`. The unit is given, or that of the attribute `units`, or that of the names (`xcoords`: px, `x_m`: m).
 * @param implied the unit where nothing says otherwise
 * @throws PtychoError DATASET_UNITS, DATASET_SHAPE, DATASET_VALUE, DATASET_KEY_MISSING, and those of reading.
 */
export function positionsInHdf5(file: Hdf5File, path: string, unit?: Unit, implied?: Unit): StoredPositions {
  const declared = (dataset: string) => unitsOf(file, dataset);
  if (file.kindOf(path) === 'group') {
    const group = path.endsWith('/') ? path : `${path}/`;
    const pair = PAIRS.find(({ x, y }) => file.has(group + x) && file.has(group + y));
    if (pair === undefined) {
      throw npyError(
        'DATASET_KEY_MISSING',
        file.origin(path),
        `holds no positions: expected are ${PAIRS.map(({ x, y }) => `${x} and ${y}`).join(', or ')}; name the dataset with positions ${file.path}:path.`,
      );
    }
    const read = (name: string) => coordinates(file.readReal(group + name, MAX_BYTES), file.origin(group + name));
    const [sx, sy] = [declared(group + pair.x), declared(group + pair.y)];
    const origin = file.origin(path);
    if (sx?.unit !== sy?.unit) {
      throw npyError('DATASET_UNITS', origin, `has ${pair.x} and ${pair.y} in different units; save both in one.`);
    }
    const own = unit ?? sx?.unit ?? pair.unit ?? implied ?? undeclared(origin);
    return {
      x: scaled(read(pair.x), sx, own),
      y: scaled(read(pair.y), sy, own),
      unit: own,
      origin,
    };
  }
  const origin = file.origin(path);
  const { x, y } = columnsOf(file.readReal(path, MAX_BYTES), origin);
  const stated = declared(path);
  const own = unit ?? stated?.unit ?? suffixUnit(path) ?? implied ?? undeclared(origin);
  return { x: scaled(x, stated, own), y: scaled(y, stated, own), unit: own, origin };
}

/** Micrometres and the like as metres; values that are taken for object pixels stay as they are. */
function scaled(values: Float64Array, stated: DeclaredUnit | undefined, unit: Unit): Float64Array {
  if (stated === undefined || stated.unit !== unit || stated.scale === 1) return values;
  return values.map((value) => value * stated.scale);
}

interface DeclaredUnit {
  readonly unit: Unit;
  readonly scale: number;
}

/** What the attribute `units` of a dataset says about lengths. */
function unitsOf(file: Hdf5File, path: string): DeclaredUnit | undefined {
  const { units } = file.attributes(path);
  if (typeof units !== 'string' || units.trim() === '') return undefined;
  const factor = lengthUnit(units);
  if (factor === undefined) {
    throw npyError(
      'DATASET_UNITS',
      file.origin(path),
      `is in "${units}", which is no unit of length that is known here.`,
    );
  }
  return factor === 'px' ? { unit: 'px', scale: 1 } : { unit: 'm', scale: factor };
}

async function positionsInNpz(path: string, key: string | undefined, unit?: Unit): Promise<StoredPositions> {
  const npz = await openNpz(path);
  try {
    const read = async (name: string) => {
      const { dataBytes } = await npz.header(name);
      if (dataBytes <= MAX_BYTES) return npz.readReal(name);
      throw npyError('DATASET_SHAPE', npz.origin(name), `has ${dataBytes} bytes, far too many for positions.`);
    };
    if (key !== undefined) {
      const name = key.replace(/^\//, '');
      const origin = npz.origin(name);
      return { ...columnsOf(await read(name), origin), unit: unit ?? suffixUnit(name) ?? undeclared(origin), origin };
    }
    const pair = PAIRS.find(({ x, y }) => npz.has(x) && npz.has(y));
    if (pair === undefined) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${path} holds no xcoords and ycoords; say which of ${npz.keys.join(', ')} holds the positions with ${path}:key.`,
        { path, found: npz.keys },
      );
    }
    const origin = { path };
    const [x, y] = [
      coordinates(await read(pair.x), npz.origin(pair.x)),
      coordinates(await read(pair.y), npz.origin(pair.y)),
    ];
    return { x, y, unit: unit ?? pair.unit ?? undeclared(origin), origin };
  } finally {
    await npz.close();
  }
}

function suffixUnit(name: string): Unit | undefined {
  const suffix = /_(m|px)$/.exec(name)?.[1];
  return suffix as Unit | undefined;
}

function undeclared(origin: NpyOrigin): never {
  throw npyError(
    'DATASET_UNITS',
    origin,
    'does not say whether its positions are metres or object pixels; give positions_unit m or px.',
  );
}

/** One coordinate of each position. */
function coordinates({ data, shape }: Tensor<NumericArray>, origin: NpyOrigin): Float64Array {
  if (shape.filter((length) => length !== 1).length <= 1) return Float64Array.from(data);
  throw npyError(
    'DATASET_SHAPE',
    origin,
    `has shape ${formatShape(shape)}, but positions must have one value for each pattern.`,
  );
}

/** x and y of an array (n, 2), of (n, 3) with z, which is left out, or of (2, n). */
function columnsOf({ data, shape }: Tensor<NumericArray>, origin: NpyOrigin): { x: Float64Array; y: Float64Array } {
  const [rows, columns] = shape;
  if (shape.length === 2 && (columns === 2 || columns === 3)) {
    const column = (at: number) => Float64Array.from({ length: rows }, (_, i) => data[i * columns + at]);
    return { x: column(0), y: column(1) };
  }
  if (shape.length === 2 && rows === 2) {
    return { x: Float64Array.from(data.subarray(0, columns)), y: Float64Array.from(data.subarray(columns)) };
  }
  throw new PtychoError(
    'DATASET_SHAPE',
    `${nameOf(origin)} has shape ${formatShape(shape)}, but positions must be (n, 2): x and y of each pattern.`,
    { path: origin.path, key: origin.member, found: shape },
  );
}

/**
 * The positions for a file that holds patterns only: those of the file that the options name.
 * @throws PtychoError DATASET_KEY_MISSING when they name none, and as {@link readPositionsFile}.
 */
export async function positionsBeside(
  path: string,
  options: Pick<ReaderOptions, 'positions' | 'positions_unit' | 'allow_links'>,
): ReturnType<typeof readPositionsFile> {
  if (options.positions === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${path} holds patterns only; name a file of their positions with positions (.csv with y,x in metres, .txt with x y, NPY, NPZ or HDF5).`,
      { path, key: 'positions' },
    );
  }
  return readPositionsFile(options.positions, options.positions_unit, options.allow_links);
}
