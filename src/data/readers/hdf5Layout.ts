/** Reads scans whose files have one of the layouts of `hdf5Layouts.ts`. */
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { formatShape, type Tensor } from '../../core/tensor.js';
import { type Hdf5File, openHdf5 } from '../../formats/hdf5/file.js';
import { Hdf5Rows } from '../../formats/hdf5/rows.js';
import { npyError } from '../../formats/npyHeader.js';
import { lengthUnit } from '../opening/geometry.js';
import type { ReaderOptions, ScanGeometry, StoredPositions } from '../scanFile.js';
import { HDF5_LAYOUTS, type Hdf5Layout, type LayoutPositions } from './hdf5Layouts.js';
import { distanceAt, energyAt, energyOfWavelengthAt, pixelAt, unitsAt } from './hdf5Quantities.js';

/** What a layout says of a file. */
export interface LayoutFacts {
  readonly name: string;
  readonly domain?: string;
  /** Datasets of the patterns, in their order. */
  readonly patterns: readonly string[];
  readonly positions?: StoredPositions;
  readonly geometry: ScanGeometry;
  readonly badPixels?: Tensor<Uint8Array>;
  readonly notes: readonly string[];
}

/** A hundred million positions are a lie. */
const MAX_BYTES = 2 ** 28;

/**
 * The layout of a file and what it gives; undefined for a file of none.
 * @param wanted path of the patterns where the user named one: another layout's it is not then
 * @throws PtychoError FORMAT_UNSUPPORTED for scans that are not reconstructed, DATASET_SHAPE, and those of reading the file.
 */
export async function layoutOf(file: Hdf5File, options: ReaderOptions): Promise<LayoutFacts | undefined> {
  const wanted = options.diffraction_path?.replace(/^\/?/, '/');
  for (const layout of HDF5_LAYOUTS) {
    if (layout.fileName !== undefined && !layout.fileName.test(basename(file.path))) continue;
    const patterns = layout.patterns.map((path) => expand(file, path)).find((paths) => paths.length > 0) ?? [];
    if (patterns.length === 0 || (wanted !== undefined && !patterns.includes(wanted))) continue;
    if (layout.requires.some((path) => expand(file, path).length === 0)) continue;
    const beside = layout.beside && join(dirname(file.path), basename(file.path).replace(...layout.beside));
    if (beside !== undefined && (beside === file.path || !existsSync(beside))) continue;
    const chosen = wanted === undefined ? patterns : [wanted];
    if (beside === undefined) return await read(file, file, layout, chosen, options);
    const other = await openHdf5(beside, options.allow_links);
    try {
      return await read(file, other, layout, chosen, options);
    } finally {
      other.close();
    }
  }
  return undefined;
}

async function read(
  file: Hdf5File,
  source: Hdf5File,
  layout: Hdf5Layout,
  patterns: readonly string[],
  options: ReaderOptions,
): Promise<LayoutFacts> {
  const { name, refuse, weights, positions } = layout;
  if (refuse?.text.test(textAt(source, refuse.path))) {
    throw new PtychoError('FORMAT_UNSUPPORTED', `${file.path} ${refuse.reason}.`, {
      path: file.path,
      key: refuse.path,
    });
  }
  const notes = [`${file.path} has the layout of ${name}${layout.note ? `; ${layout.note}` : ''}.`];
  if (source !== file) notes.push(`Positions are those of ${source.path}.`);
  // A piece of the patterns alone has the positions of that piece.
  const chosen = (path: string) => {
    const all = expand(source, path);
    const part = patterns.length < all.length && path.includes('*');
    const [before, after] = layout.patterns[0].split('*');
    const names = patterns.map((pattern) => pattern.slice(before.length, pattern.length - (after ?? '').length));
    return part ? all.filter((one) => names.some((part) => one === path.replace('*', part))) : all;
  };
  const value = (at: Hdf5Layout['energy'], convert: typeof energyAt) => at && convert(source, at.path, notes, at.units);
  const pair = (at: Hdf5Layout['energy']) => at && lengthsAt(source, at.path, at.units, notes);
  return {
    name,
    domain: layout.domain,
    patterns,
    positions:
      positions && options.positions === undefined
        ? positionsAt(source, positions, chosen, options.positions_unit)
        : undefined,
    geometry: {
      energy_eV: value(layout.energy, energyAt) ?? value(layout.wavelength, energyOfWavelengthAt),
      detectorDistance_m: value(layout.distance, distanceAt),
      detectorPixel_m: pair(layout.detectorPixel),
      objectPixel_m: objectPixel(source, layout),
    },
    badPixels: weights === undefined ? undefined : await badPixelsOf(source, chosen(weights)),
    notes,
  };
}

/** The datasets that a path with `*` stands for: the first of any name, or all numbers in their order. */
function expand(file: Hdf5File, path: string): string[] {
  if (!path.includes('*')) return file.has(path) ? [path] : [];
  const [before, after] = path.split('*');
  const group = before.replace(/\/$/, '') || '/';
  if (file.kindOf(group) !== 'group') return [];
  const names = file.keys(group).filter((name) => file.has(before + name + after));
  const numbers = names.filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(a) - Number(b));
  return (numbers.length > 0 ? numbers : names.slice(0, 1)).map((name) => before + name + after);
}

function textAt(file: Hdf5File, path: string): string {
  if (!file.has(path)) return '';
  const array = file.read(path, MAX_BYTES);
  return array.kind === 'text' ? (array.strings[0] ?? '') : '';
}

function positionsAt(
  file: Hdf5File,
  where: LayoutPositions,
  chosen: (path: string) => string[],
  unit: StoredPositions['unit'] | undefined,
): StoredPositions {
  const scaled = (values: ArrayLike<number>, path: string, metres: number): Float64Array => {
    const declared = lengthUnit(unitsAt(file, path) ?? '');
    const factor =
      unit === 'px' ? Math.sign(metres) : typeof declared === 'number' ? Math.sign(metres) * declared : metres;
    return Float64Array.from(values, (value) => value * factor);
  };
  const { metres } = where;
  const own = unit ?? 'm';
  if ('x' in where) {
    const [x, y] = [where.x, where.y].map((path) => file.readReal(path, MAX_BYTES).data);
    const origin = file.origin(where.x.split('/').slice(0, -1).join('/') || '/');
    return { x: scaled(x, where.x, metres.x), y: scaled(y, where.y, metres.y), unit: own, origin };
  }
  const { axis, columns } = where;
  const parts = chosen(where.array).map((path) => {
    const { data, shape } = file.readReal(path, MAX_BYTES);
    const needed = Math.max(columns.x, columns.y) + 1;
    // Some writers have them the other way round.
    const along = (shape[axis] ?? 0) < needed || (shape[axis] > 3 && shape[1 - axis] === 2) ? 1 - axis : axis;
    if (shape.length !== 2 || shape[along] < needed) {
      throw npyError(
        'DATASET_SHAPE',
        file.origin(path),
        `has shape ${formatShape(shape)}, but positions must have ${needed} coordinates each.`,
        { found: shape },
      );
    }
    const coordinate = (at: number) =>
      along === 1
        ? Float64Array.from({ length: shape[0] }, (_, i) => data[i * shape[1] + at])
        : Float64Array.from(data.subarray(at * shape[1], (at + 1) * shape[1]));
    return {
      x: scaled(coordinate(columns.x), path, metres.x),
      y: scaled(coordinate(columns.y), path, metres.y),
    };
  });
  const join = (key: 'x' | 'y') => Float64Array.from(parts.flatMap((part) => Array.from(part[key])));
  return { x: join('x'), y: join('y'), unit: own, origin: file.origin(where.array) };
}

/** One length for both axes, or two: rows, then columns. */
function lengthsAt(file: Hdf5File, path: string, units: string | undefined, notes: string[]) {
  const values = numbersAt(file, path);
  if (values.length === 2 && values[0] !== values[1] && values.every((value) => value > 0)) {
    const factor = lengthUnit(unitsAt(file, path) ?? units ?? '');
    return typeof factor === 'number' ? { x: values[1] * factor, y: values[0] * factor } : undefined;
  }
  const one = pixelAt(file, path, notes, units);
  return one === undefined ? undefined : { x: one, y: one };
}

/** Object pixels have no likely size: electrons have 0.1 Å, light has micrometres. */
function objectPixel(file: Hdf5File, { objectPixel: at }: Hdf5Layout): ScanGeometry['objectPixel_m'] {
  const factor = lengthUnit((at && file.has(at.path) && unitsAt(file, at.path)) || at?.units || '');
  const [first, second = first] = at === undefined ? [] : numbersAt(file, at.path);
  if (typeof factor !== 'number' || !(first > 0) || !(second > 0)) return undefined;
  return { x: second * factor, y: first * factor };
}

/** A few numbers; none where there is something else. */
function numbersAt(file: Hdf5File, path: string): ArrayLike<number> & readonly number[] {
  if (!file.has(path)) return [];
  const { type, dataBytes } = file.header(path);
  if (type.kind !== 'numbers' || type.dtype.startsWith('complex') || dataBytes > 64) return [];
  return Array.from(file.readReal(path).data);
}

/** Pixels that weigh nothing, by the first and the last frame of the weights. */
async function badPixelsOf(file: Hdf5File, paths: readonly string[]): Promise<Tensor<Uint8Array> | undefined> {
  let mask: Tensor<Uint8Array> | undefined;
  for (const path of new Set([paths[0], paths.at(-1)])) {
    if (path === undefined) continue;
    const { shape, type } = file.header(path);
    const [height, width] = shape.slice(-2);
    if (type.kind !== 'numbers' || shape.length < 2 || shape.length > 3 || shape.includes(0)) continue;
    const rows = new Hdf5Rows(file, path);
    const wanted = shape.length === 2 ? shape[0] : 1;
    const values = new Float32Array(height * width);
    for (const last of [false, true]) {
      const from = last ? rows.count - wanted : 0;
      await rows.readInto(
        Int32Array.from({ length: wanted }, (_, i) => from + i),
        values,
      );
      mask ??= { data: new Uint8Array(values.length), shape: [height, width] };
      for (let p = 0; p < mask.data.length; p++) if (values[p] === 0) mask.data[p] = 1;
    }
  }
  return mask;
}
