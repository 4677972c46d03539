/**
 * Files by their first bytes, `FILE[:key]` as options write it, and the frames among the files of a folder.
 *
 * @example
 * seriesOf(['img_9.tif', 'img_10.tif', 'dark.tif'], 'scan'); // { names: ['img_9.tif', 'img_10.tif'], numbers: [9, 10], foreign: ['dark.tif'] }
 */

import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { extentOf } from '../../core/numbers.js';
import { lettersOf } from '../../formats/byteSource.js';
import { withFileSource } from '../../formats/fileSource.js';

/** The first bytes of formats that are told apart by them. */
export const MAGIC = { zip: 'PK', npy: '\x93NUMPY', hdf5: '\x89HDF\r\n\x1a\n' } as const;

const LONGEST_MAGIC = 8;

/** True for an existing file (no folder) that begins with one of these, each up to 8 bytes as letters. */
export async function hasMagic(path: string, ...magics: readonly string[]): Promise<boolean> {
  if (!existsSync(path) || !statSync(path).isFile()) return false;
  const head = await withFileSource(path, (source) => source.read(0, LONGEST_MAGIC));
  return magics.some((magic) => lettersOf(head).startsWith(magic));
}

/** True for an existing file that begins as TIFF does: little and big endian, classic and BigTIFF. */
export const isTiffFile = (path: string): Promise<boolean> => hasMagic(path, 'II*\0', 'MM\0*', 'II+\0', 'MM\0+');

/**
 * Splits `FILE[:key]`; a key is that of an NPZ or a dataset of HDF5. The part after the last colon is one, unless the whole names a
 * file or the colon belongs to a drive (`C:\…`).
 */
export function splitFileSpec(spec: string): { readonly file: string; readonly key?: string } {
  const match = /^(.{2,}):([\w/.\- ]+)$/.exec(spec);
  if (match === null || existsSync(spec)) return { file: spec };
  return { file: match[1], key: match[2] };
}

/** Frames in the order of their numbers. */
export interface FileSeries {
  readonly names: readonly string[];
  /** The number of each, ascending; undefined where names have none, or several that change. */
  readonly numbers?: Int32Array;
  /** Names that do not belong to the series. */
  readonly foreign: readonly string[];
}

const LARGEST = 2 ** 31 - 1;
const TIFF_ENDING = /\.tiff?$/i;

/**
 * Finds the series.
 * @param where the folder, for messages
 * @throws PtychoError DATASET_SHAPE for two series of which none is clearly meant, or a number that occurs twice.
 */
export function seriesOf(names: readonly string[], where: string): FileSeries {
  const byNumber = new Intl.Collator('en', { numeric: true });
  const kinds = new Map<string, string[]>();
  for (const name of names) {
    const kind = name
      .replace(/\.(tif)f?$/i, '.$1')
      .toLowerCase()
      .replace(/\d+/g, '*');
    kinds.set(kind, [...(kinds.get(kind) ?? []), name]);
  }
  const ordered = [...kinds.entries()].sort(([, a], [, b]) => b.length - a.length);
  const [[kind, largest] = ['', []], second] = ordered;
  if (largest.length <= 1 || !kind.includes('*')) {
    // Names without numbers: all are frames, in the order of the alphabet.
    return { names: [...names].sort(byNumber.compare), foreign: [] };
  }
  if (second !== undefined && 2 * second[1].length > largest.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${where} holds several series of frames, ${kind} (${largest.length} files) and ${second[0]} (${second[1].length}); name the one that is meant with its pattern, such as ${kind}.`,
      { path: where, found: ordered.map(([name]) => name) },
    );
  }
  const sorted = [...largest].sort(byNumber.compare);
  const foreign = ordered.slice(1).flatMap(([, others]) => others);
  const numbers = frameNumbers(sorted, where);
  if (numbers === undefined) return { names: sorted, foreign };
  const order = [...sorted.keys()].sort((a, b) => numbers[a] - numbers[b]);
  return {
    names: order.map((i) => sorted[i]),
    numbers: Int32Array.from(order, (i) => numbers[i]),
    foreign,
  };
}

/** The one number that changes from name to name; of several, the one that has every value once and fewest gaps. */
function frameNumbers(names: readonly string[], where: string): number[] | undefined {
  const found = names.map((name) => [...name.matchAll(/\d+/g)].map(([digits]) => Number(digits)));
  const changing = found[0].flatMap((_, run) => {
    const values = found.map((numbers) => numbers[run]);
    return values.some((value) => value !== values[0])
      ? [{ values, distinct: new Set(values).size === values.length }]
      : [];
  });
  if (changing.length === 1 && !changing[0].distinct) {
    const { values } = changing[0];
    const at = values.findIndex((value, i) => values.indexOf(value) !== i);
    throw new PtychoError(
      'DATASET_SHAPE',
      `${where} holds two frames with the number ${values[at]}, ${names[values.indexOf(values[at])]} and ${names[at]}; remove the one that is not meant.`,
      { path: where, found: values[at] },
    );
  }
  const span = (values: readonly number[]) => {
    const [min, max] = extentOf(values);
    return { max, length: max - min + 1 };
  };
  const candidates = changing
    .filter(({ values, distinct }) => distinct && span(values).max <= LARGEST)
    .sort((a, b) => span(a.values).length - span(b.values).length);
  return candidates[0]?.values;
}

/** `diffraction.h5` of a folder that holds one; any other path as it is. */
export function ptychodusFile(path: string): string {
  const inside = join(path, 'diffraction.h5');
  return existsSync(inside) && statSync(path).isDirectory() ? inside : path;
}

/** The TIFF files of a folder or a pattern; empty when there are none. */
export async function tiffFilesAt(path: string): Promise<string[]> {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  const folder = isFolder ? path : dirname(path);
  if (!existsSync(folder) || !(isFolder || /[*?]/.test(basename(path)))) return [];
  const escaped = basename(path).replace(/[.+^${}()|[\]\\]/g, '\\$&');
  const wanted = isFolder ? TIFF_ENDING : new RegExp(`^${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`);
  return (await readdir(folder))
    .filter((name) => wanted.test(name) && TIFF_ENDING.test(name) && !name.startsWith('.'))
    .map((name) => join(folder, name));
}
