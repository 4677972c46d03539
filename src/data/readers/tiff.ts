/**
 * TIFF frames: a multi-page file, the numbered files of a folder, or those that a pattern such as `scan/frame_*.tif` names, in
 * the order of their numbers. Positions come from another file. Frames are read one by one.
 *
 * @example
 * const file = await tiffReader.open('scan/frame_*.tif', { positions: 'positions.txt' });
 */
import { existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { TiffFile, type TiffPage } from '../../formats/tiff.js';
import { isTiffFile } from '../opening/fileKind.js';
import { positionsBeside } from '../opening/positionsFile.js';
import type { ReaderOptions, ScanFile, ScanReader } from '../scanFile.js';

const ENDING = /\.tiff?$/i;
/** Files whose headers are read at the same time. */
const AT_ONCE = 16;

/** See the module. */
export const tiffReader: ScanReader = {
  format: 'tiff',
  title: 'TIFF frames: a stack, a folder or a pattern such as frame_*.tif',
  async recognises(path) {
    if (existsSync(path) && statSync(path).isFile()) return isTiffFile(path);
    return (await filesOf(path)).length > 0;
  },
  async open(path, options) {
    const files = existsSync(path) && statSync(path).isFile() ? [path] : await filesOf(path);
    if (files.length === 0) {
      throw new PtychoError('FILE_NOT_FOUND', `There are no TIFF files (.tif, .tiff) at ${path}.`, { path });
    }
    return files.length === 1 ? openStack(path, files[0], options) : openSeries(path, files, options);
  },
};

/** The files of a folder or a pattern, by their numbers; empty when there are none. */
async function filesOf(path: string): Promise<string[]> {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  const folder = isFolder ? path : dirname(path);
  if (!existsSync(folder) || !(isFolder || /[*?]/.test(basename(path)))) return [];
  const escaped = basename(path).replace(/[.+^${}()|[\]\\]/g, '\\$&');
  const wanted = isFolder ? ENDING : new RegExp(`^${escaped.replace(/\*/g, '.*').replace(/\?/g, '.')}$`);
  const names = (await readdir(folder)).filter(
    (name) => wanted.test(name) && ENDING.test(name) && !name.startsWith('.'),
  );
  const byNumber = new Intl.Collator('en', { numeric: true });
  return names.sort(byNumber.compare).map((name) => join(folder, name));
}

async function openStack(path: string, file: string, options: ReaderOptions): Promise<ScanFile> {
  const stack = await TiffFile.open(file);
  try {
    const [first] = stack.pages;
    stack.pages.forEach((page, i) => {
      checkSame(first, page, `page ${i + 1} of ${file}`, `page 1`);
    });
    return await scan(
      path,
      file,
      stack.pages.length,
      first,
      options,
      async (i) => (await stack.read(i)).data,
      () => stack.close(),
    );
  } catch (error) {
    await stack.close();
    throw error;
  }
}

async function openSeries(path: string, files: readonly string[], options: ReaderOptions): Promise<ScanFile> {
  const headers: TiffPage[] = [];
  for (let from = 0; from < files.length; from += AT_ONCE) {
    headers.push(...(await Promise.all(files.slice(from, from + AT_ONCE).map(headerOf))));
    for (let i = from; i < headers.length; i++) checkSame(headers[0], headers[i], files[i], files[0]);
  }
  const read = async (i: number) => {
    const file = await TiffFile.open(files[i], 1);
    try {
      return (await file.read(0)).data;
    } finally {
      await file.close();
    }
  };
  return scan(path, files[0], files.length, headers[0], options, read, async () => {});
}

async function headerOf(path: string): Promise<TiffPage> {
  const file = await TiffFile.open(path, 2);
  await file.close();
  if (file.pages.length === 1) return file.pages[0];
  throw new PtychoError(
    'DATASET_SHAPE',
    `${path} is a stack of several pages in a series of single frames; open it alone.`,
    { path },
  );
}

function checkSame(first: TiffPage, page: TiffPage, where: string, firstPlace: string): void {
  if (page.width === first.width && page.height === first.height && page.dtype === first.dtype) return;
  const describe = ({ width, height, dtype }: TiffPage) => `${height} × ${width} pixels of ${dtype}`;
  throw new PtychoError(
    'DATASET_SHAPE',
    `${where} has ${describe(page)}, but ${firstPlace} has ${describe(first)}; all frames of a scan must be alike.`,
    { path: where },
  );
}

async function scan(
  path: string,
  source: string,
  count: number,
  { height, width, dtype }: TiffPage,
  options: ReaderOptions,
  frame: (index: number) => Promise<ArrayLike<number>>,
  close: () => Promise<void>,
): Promise<ScanFile> {
  const { positions, notes } = await positionsBeside(path, options);
  const origin = { path };
  return {
    path,
    format: 'tiff',
    patterns: {
      count,
      height,
      width,
      dtype,
      resident: false,
      origin,
      async readRowsInto(rows, out) {
        for (let i = 0; i < rows.length; i++) {
          if (!(rows[i] >= 0 && rows[i] < count)) {
            throw new PtychoError('DATASET_SHAPE', `${path} has no pattern ${rows[i]} among ${count}.`, { path });
          }
          out.set(await frame(rows[i]), i * height * width);
        }
      },
    },
    positions,
    geometry: {},
    metadata: {},
    notes: source === path ? notes : [`${count} frames of ${path}, the first is ${basename(source)}.`, ...notes],
    close,
  };
}
