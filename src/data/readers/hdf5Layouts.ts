/**
 * Where programs and beamlines put what we want, as data: a layout is recognised by the datasets that it requires, and gives the
 * paths and units of the rest. What is not here is found by the general rules of `hdf5.ts` and `nexus.ts`.
 *
 * @example
 * HDF5_LAYOUTS.find(({ name }) => name.startsWith('PtyPy'))?.positions; // { array: '/chunks/*\/positions', … }
 */

import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { formatShape, type Tensor } from '../../core/tensor.js';
import { type Hdf5File, usingHdf5 } from '../../formats/hdf5/file.js';
import { Hdf5Rows } from '../../formats/hdf5/rows.js';
import { npyError } from '../../formats/npyHeader.js';
import type { MeasurementDomain } from '../opening/measurementDomain.js';
import { lengthUnit } from '../opening/units.js';
import type { ReaderOptions } from '../options.js';
import type { ScanGeometry, StoredPositions } from '../scanFile.js';
import { distanceAt, energyAt, energyOfWavelengthAt, pixelAt, unitsAt } from './hdf5Quantities.js';

/** A dataset with one value, or one for each frame. */
export interface LayoutValue {
  readonly path: string;
  /** Of values without the attribute `units`; left out where files differ. */
  readonly units?: string;
}

/** Positions as an array with x and y along one of its axes, or as two datasets. */
export type LayoutPositions = (
  | {
      readonly array: string;
      /** The axis along which the coordinates of one position lie, and which of them are x and y. */
      readonly axis: 0 | 1;
      readonly columns: { readonly x: number; readonly y: number };
    }
  | { readonly x: string; readonly y: string }
) & {
  /** Metres of one unit; negative where the axis points the other way. */
  readonly metres: { readonly x: number; readonly y: number };
};

/** One layout; paths may hold one `*`, which stands for any name, or for all numbers in their order. */
export interface Hdf5Layout {
  readonly name: string;
  /** Where the patterns are, most wanted first. */
  readonly patterns: readonly string[];
  /** Datasets that must be there, too. */
  readonly requires: readonly string[];
  /** What the file is called, where datasets do not tell. */
  readonly fileName?: RegExp;
  /** Another file beside this one that holds positions and geometry: what in the name is replaced by what. */
  readonly beside?: readonly [RegExp, string];
  readonly positions?: LayoutPositions;
  readonly energy?: LayoutValue;
  readonly wavelength?: LayoutValue;
  readonly distance?: LayoutValue;
  readonly detectorPixel?: LayoutValue;
  readonly objectPixel?: LayoutValue;
  /** Frames, or one frame, of weights: 0 is a bad pixel. */
  readonly weights?: string;
  /** Where the program prescribes it; raw frames are not declared. */
  readonly domain?: MeasurementDomain;
  /** A dataset whose text says that patterns are near fields; the distance is then that of a near detector. */
  readonly near?: { readonly path: string; readonly text: RegExp };
  /** What the user should know of it. */
  readonly note?: string;
}

const MICRO = { x: 1e-6, y: 1e-6 };
const PARAMETERS = /^(.*)_dp(\.\w+)$/;

/** The layouts in the order in which they are tried. */
export const HDF5_LAYOUTS: readonly Hdf5Layout[] = [
  {
    name: 'PtyPy (.ptyd)',
    patterns: ['/chunks/*/data'],
    requires: ['/chunks/*/positions'],
    // Rows first, as in all of PtyPy.
    positions: { array: '/chunks/*/positions', axis: 1, columns: { x: 1, y: 0 }, metres: { x: 1, y: 1 } },
    energy: { path: '/meta/energy', units: 'keV' },
    distance: { path: '/meta/distance', units: 'm' },
    detectorPixel: { path: '/meta/psize', units: 'm' },
    weights: '/chunks/*/weights',
    domain: 'count_intensity',
    near: { path: '/meta/propagation', text: /^near/i },
  },
  {
    name: 'NSLS-II HXN (diffamp)',
    patterns: ['/diffamp'],
    requires: ['/points'],
    positions: { array: '/points', axis: 0, columns: { x: 0, y: 1 }, metres: MICRO },
    wavelength: { path: '/lambda_nm', units: 'nm' },
    distance: { path: '/z_m', units: 'm' },
    detectorPixel: { path: '/ccd_pixel_um', units: 'um' },
    domain: 'count_amplitude',
  },
  {
    name: 'NSLS-II HXN (scan_positions)',
    patterns: ['/diff_data/*/det_images', '/entry/data/data'],
    requires: ['/scan/scan_positions'],
    positions: { array: '/scan/scan_positions', axis: 0, columns: { x: 0, y: 1 }, metres: MICRO },
    energy: { path: '/scan/energy' },
  },
  {
    name: 'NSLS-II HXN (MATLAB)',
    patterns: ['/det_data'],
    requires: ['/pos_xy'],
    positions: { array: '/pos_xy', axis: 1, columns: { x: 0, y: 1 }, metres: MICRO },
    energy: { path: '/energy', units: 'keV' },
    distance: { path: '/det_dist', units: 'um' },
    detectorPixel: { path: '/det_pixel_size', units: 'um' },
  },
  {
    name: 'MAX IV NanoMAX',
    patterns: ['/entry/measurement/*/frames', '/entry/measurement/*/data', '/entry/instrument/*/data'],
    requires: ['/entry/measurement/pseudo/x', '/entry/measurement/pseudo/y'],
    positions: { x: '/entry/measurement/pseudo/x', y: '/entry/measurement/pseudo/y', metres: MICRO },
    energy: { path: '/entry/snapshots/pre_scan/energy', units: 'eV' },
  },
  {
    name: 'LCLS XPP',
    patterns: ['/jungfrau1M/image_img'],
    requires: ['/lmc/ch03', '/lmc/ch05'],
    positions: { x: '/lmc/ch03', y: '/lmc/ch05', metres: { x: -1e-6, y: -1e-6 } },
    note: 'no frame is left out for the intensity of its pulse (/ipm2/sum)',
  },
  {
    name: 'APS 12-ID, processed',
    patterns: ['/dp'],
    requires: ['/positions'],
    fileName: /_\d+_\d+\.(h5|hdf5)$/i,
    positions: { array: '/positions', axis: 1, columns: { x: 2, y: 1 }, metres: { x: -1e-9, y: 1e-9 } },
    note: 'this is one line of the scan',
  },
  {
    name: 'APS 12-ID',
    patterns: ['/entry/data/data'],
    requires: ['/entry/instrument/NDAttributes/monoE'],
    energy: { path: '/entry/instrument/NDAttributes/monoE' },
  },
  {
    name: 'fold_slice and PtychoShelves',
    patterns: ['/dp'],
    requires: ['/ppX', '/ppY'],
    positions: { x: '/ppX', y: '/ppY', metres: { x: 1, y: 1 } },
    wavelength: { path: '/lambda', units: 'm' },
    objectPixel: { path: '/dx', units: 'm' },
  },
  {
    name: 'fold_slice and PtychoShelves',
    patterns: ['/dp'],
    requires: [],
    beside: [PARAMETERS, '$1_para$2'],
    positions: { x: '/ppX', y: '/ppY', metres: { x: 1, y: 1 } },
    wavelength: { path: '/lambda', units: 'm' },
    objectPixel: { path: '/dx', units: 'm' },
  },
];

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
 * @throws PtychoError DATASET_SHAPE, and those of reading the file.
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
    return usingHdf5(beside, (other) => read(file, other, layout, chosen, options), options.allow_links);
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
  const { name, near, weights, positions } = layout;
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
  const distance_m = value(layout.distance, distanceAt);
  const isNear = near?.text.test(textAt(source, near.path)) === true;
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
      detectorDistance_m: distance_m,
      ...(isNear && { propagationDistance_m: distance_m }),
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
