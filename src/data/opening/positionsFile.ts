/**
 * Scan positions from a file of their own, `FILE` or `FILE:key`:
 * tables with titles say what they hold; without them `.csv` holds y,x in metres and `.txt` x y in metres (as Ptychodus reads
 * them); NPY is (n, 2), x and y; NPZ holds xcoords and ycoords (object pixels), positions of a product (metres) or an array
 * (n, 2); HDF5 a dataset or a group of two. What had to be assumed is in the positions' findings.
 *
 * @example
 * const { x, y, unit } = await readPositionsFile('positions.csv');
 */
import { extname } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import type { Shape } from '../../core/tensor.js';
import { type Hdf5File, isHdf5File, refuseMatlab5, usingHdf5 } from '../../formats/hdf5/file.js';
import { expectReal } from '../../formats/npy.js';
import { readNpyFile } from '../../formats/npyFile.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { listedKeys, usingNpz } from '../../formats/npz.js';
import { readTextTable } from '../../formats/textTable.js';
import type { Finding } from '../findings/finding.js';
import type { ReaderOptions } from '../options.js';
import type { StoredPositions } from '../scanFile.js';
import { hasMagic, MAGIC, splitFileSpec } from './files.js';
import { possibleCounts, rasterPositions } from './patternLayout.js';
import { axisOrderAssumed, coordinates, counts, namesAxes, positionsInArray, readTitles } from './positionColumns.js';
import { lengthUnit } from './units.js';

type Unit = StoredPositions['unit'];

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
 * @param patterns how many patterns there may be: decides between (3, n) and (n, 3) where both would do
 * @throws PtychoError DATASET_UNITS when the unit is neither declared nor given; DATASET_SHAPE, DATASET_VALUE,
 * DATASET_KEY_MISSING, FILE_FORMAT, and those of reading the file.
 */
export async function readPositionsFile(
  spec: string,
  unit?: Unit,
  patterns?: readonly number[],
  allowLinks?: readonly string[],
): Promise<StoredPositions> {
  const { file, key } = splitFileSpec(spec);
  if (await hasMagic(file, MAGIC.npy)) {
    const origin = { path: file };
    const array = expectReal(await readNpyFile(file), origin);
    const found = positionsInArray(array, origin, { patterns });
    return { ...found, unit: unit ?? undeclared(origin), origin };
  }
  if (await hasMagic(file, MAGIC.zip)) return positionsInNpz(file, key, unit, patterns);
  if (await isHdf5File(file)) {
    return usingHdf5(file, (hdf5) => positionsInHdf5(hdf5, key ?? '/', unit, undefined, patterns), allowLinks);
  }
  await refuseMatlab5(file);
  if (!['.csv', '.txt', '.dat', '.tsv'].includes(extname(file).toLowerCase())) {
    throw new PtychoError(
      'FILE_FORMAT',
      `${file} holds no positions that are recognised: expected are .csv (y,x, or columns with titles), .txt (x y), NPY, NPZ or HDF5.`,
      { path: file },
    );
  }
  return positionsInTable(file, unit);
}

/** A table with titles, or as Ptychodus reads it: `.csv` is y,x and everything else x y, in metres. */
async function positionsInTable(path: string, unit: Unit | undefined): Promise<StoredPositions> {
  const table = await readTextTable(path, 2);
  const origin = { path };
  const titles = table.titles ?? (table.commented && namesAxes(table.commented) ? table.commented : undefined);
  const note = (code: string, message: string): Finding => ({ code, severity: 'note', message });
  const numbers = (column: number) => table.numbers(column, 'NaN');
  if (titles !== undefined) {
    const { x, y, index, leftOut } = readTitles(titles, path);
    const widest = Math.max(x.column, y.column, index ?? 0);
    if (widest >= table.width) {
      throw new PtychoError(
        'FILE_FORMAT',
        `${path} has the title "${titles[widest]}", but lines with ${table.width} values; write the missing ones.`,
        { path, found: table.width, expected: titles.length },
      );
    }
    const own = unit ?? x.unit ?? 'm';
    const findings: Finding[] = [];
    if (x.unit === undefined && unit === undefined) {
      findings.push(
        note(
          'POSITION_UNIT_ASSUMED',
          `${path} does not say the unit of its positions: they were taken to be in metres.`,
        ),
      );
    } else if (x.unit !== undefined && x.unit !== own) {
      const word = own === 'px' ? 'object pixels' : 'metres';
      findings.push(
        note(
          'POSITION_UNIT_REPLACED',
          `${path} has positions "${x.title}", which were taken to be ${word} as positions_unit says.`,
        ),
      );
    }
    if (leftOut.length > 0) {
      findings.push(
        note(
          'COLUMNS_LEFT_OUT',
          `Left out: ${leftOut.map((title) => `"${title}"`).join(', ')} of ${path}, no positions.`,
        ),
      );
    }
    return {
      x: scaled(numbers(x.column), x, own),
      y: scaled(numbers(y.column), y, own),
      unit: own,
      origin,
      indexes: index === undefined ? undefined : numbers(index),
      findings,
    };
  }
  const csv = extname(path).toLowerCase() === '.csv';
  const indexed = table.width >= 3 && counts(numbers(0));
  const first = indexed ? 1 : 0;
  const [one, two] = [numbers(first), numbers(first + 1)];
  const [x, y] = csv ? [two, one] : [one, two];
  const order = csv ? 'y,x' : 'x y';
  const assumed = `${path} has no titles and was read as ${indexed ? `${csv ? 'index,' : 'index '}` : ''}${order} in ${unit === 'px' ? 'object pixels' : 'metres'}`;
  return {
    x,
    y,
    unit: unit ?? 'm',
    origin,
    indexes: indexed ? numbers(0) : undefined,
    findings: [axisOrderAssumed(`${assumed}.`)],
  };
}

/**
 * Positions inside an opened HDF5 file: a dataset (n, 2 or 3) or (2 or 3, n), x first where nothing says otherwise, or a group
 * that holds two datasets such as `x` and `y`. The unit is given, or that of the attribute `units`, or that of the names (`xcoords`: px, `x_m`: m).
 * @param implied the unit where nothing says otherwise, of a format that also defines the order x, y, z
 * @param patterns how many patterns there may be
 * @throws PtychoError DATASET_UNITS, DATASET_SHAPE, DATASET_VALUE, DATASET_KEY_MISSING, and those of reading.
 */
export function positionsInHdf5(
  file: Hdf5File,
  path: string,
  unit?: Unit,
  implied?: Unit,
  patterns?: readonly number[],
): StoredPositions {
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
    const [sx, sy] = [unitsOf(file, group + pair.x), unitsOf(file, group + pair.y)];
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
  const found = positionsInArray(file.readReal(path, MAX_BYTES), origin, {
    patterns,
    titles: columnNames(file, path),
    ordered: implied !== undefined,
  });
  const stated = unitsOf(file, path);
  const own = unit ?? stated?.unit ?? suffixUnit(path) ?? implied ?? undeclared(origin);
  return { ...found, x: scaled(found.x, stated, own), y: scaled(found.y, stated, own), unit: own, origin };
}

/** Attributes in which files name the columns of a dataset. */
const COLUMN_ATTRIBUTES = ['columns', 'column_names', 'labels', 'axes', 'axis_order', 'order', 'names'];

function columnNames(file: Hdf5File, path: string): string[] | undefined {
  const attributes = file.attributes(path);
  for (const name of COLUMN_ATTRIBUTES) {
    const value = attributes[name];
    const names = typeof value === 'string' ? value.split(/[\s,:;]+/) : Array.isArray(value) ? value.map(String) : [];
    // `xy` and `yx` in one word.
    const apart = names.length === 1 && /^[xyz]{2,3}$/i.test(names[0]) ? [...names[0]] : names;
    if (namesAxes(apart)) return apart;
  }
  return undefined;
}

/** Micrometres and the like as metres; values that are taken for object pixels stay as they are. */
function scaled(
  values: Float64Array,
  stated: { readonly unit?: Unit; readonly scale: number } | undefined,
  unit: Unit,
): Float64Array {
  if (stated === undefined || stated.unit !== unit || stated.scale === 1) return values;
  return values.map((value) => value * stated.scale);
}

/** What the attribute `units` of a dataset says about lengths. */
function unitsOf(file: Hdf5File, path: string): { readonly unit: Unit; readonly scale: number } | undefined {
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

async function positionsInNpz(
  path: string,
  key: string | undefined,
  unit?: Unit,
  patterns?: readonly number[],
): Promise<StoredPositions> {
  return usingNpz(path, async (npz) => {
    const read = async (name: string) => {
      const { dataBytes } = await npz.header(name);
      if (dataBytes <= MAX_BYTES) return npz.readReal(name);
      throw npyError('DATASET_SHAPE', npz.origin(name), `has ${dataBytes} bytes, far too many for positions.`);
    };
    if (key !== undefined) {
      const name = key.replace(/^\//, '');
      const origin = npz.origin(name);
      const found = positionsInArray(await read(name), origin, { patterns });
      return { ...found, unit: unit ?? suffixUnit(name) ?? undeclared(origin), origin };
    }
    const pair = PAIRS.find(({ x, y }) => npz.has(x) && npz.has(y));
    if (pair === undefined) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${path} holds no xcoords and ycoords; say which of ${listedKeys(npz.keys)} holds the positions with ${path}:key.`,
        { path, found: npz.keys },
      );
    }
    const origin = { path };
    const [x, y] = [
      coordinates(await read(pair.x), npz.origin(pair.x)),
      coordinates(await read(pair.y), npz.origin(pair.y)),
    ];
    return { x, y, unit: unit ?? pair.unit ?? undeclared(origin), origin };
  });
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

/**
 * The positions of a file that holds patterns only: those of the file that the options name, or a raster.
 * @param shape of the array of patterns
 * @throws PtychoError DATASET_KEY_MISSING when there are none, and as {@link readPositionsFile}.
 */
export async function positionsBeside(path: string, options: ReaderOptions, shape: Shape): Promise<StoredPositions> {
  const found = await positionsOfOptions(options, shape);
  if (found !== undefined) return found;
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${path} holds patterns only; name a file of their positions with positions (.csv with y,x in metres, .txt with x y, tables with titles, NPY, NPZ or HDF5), or describe a raster with scan_shape and scan_step.`,
    { path, key: 'positions' },
  );
}

/**
 * The positions that options give: a file, or the raster of `scan_shape` and `scan_step`; undefined where they give none.
 * @param shape of the array of patterns; a raster (rows, columns, height, width) needs no `scan_shape`
 * @throws PtychoError CONFIG_INVALID for options that contradict or miss each other, and as {@link readPositionsFile}.
 */
export async function positionsOfOptions(
  { positions, positions_unit, scan_shape, scan_step, channel, allow_links }: ReaderOptions,
  shape: Shape,
): Promise<StoredPositions | undefined> {
  if (scan_step !== undefined) {
    if (positions !== undefined) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `positions (${positions}) and scan_step (${scan_step}) both give positions; leave one of them out.`,
        { key: 'scan_step' },
      );
    }
    const own = shape.length === 4 && channel === undefined ? ([shape[0], shape[1]] as const) : undefined;
    const raster = scan_shape ?? own;
    if (raster === undefined) {
      throw new PtychoError(
        'CONFIG_INVALID',
        'scan_step needs the number of rows and columns of the raster; give them with scan_shape, such as 40,60.',
        { key: 'scan_shape' },
      );
    }
    return rasterPositions(raster, scan_step);
  }
  if (positions === undefined) return undefined;
  return readPositionsFile(positions, positions_unit, possibleCounts(shape), allow_links);
}
