/**
 * TIFF frames: a multi-page file, the numbered files of a folder, or those that a pattern such as `scan/frame_*.tif` names, in
 * the order of their numbers; a gap is a missing frame, a name that does not fit is none. Positions come from another file or
 * are those of a raster. Frames are read one by one.
 *
 * @example
 * const file = await tiffReader.open('scan/frame_*.tif', { positions: 'positions.txt' });
 */

import { existsSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { TiffFile, type TiffPage } from '../../formats/tiff.js';
import { type FileSeries, seriesOf, tiffFilesAt } from '../opening/files.js';
import { crossedAxes, patternLayout } from '../opening/patternLayout.js';
import { listed } from '../opening/positions.js';
import { positionsBeside } from '../opening/positionsFile.js';
import type { ReaderOptions } from '../options.js';
import type { ScanFile, ScanReader } from '../scanFile.js';

/** Files whose headers are read at the same time. */
const AT_ONCE = 16;

export const tiffReader: ScanReader = {
  async open(path, options) {
    const files = existsSync(path) && statSync(path).isFile() ? [path] : await tiffFilesAt(path);
    if (files.length === 0) {
      throw new PtychoError('FILE_NOT_FOUND', `There are no TIFF files (.tif, .tiff) at ${path}.`, { path });
    }
    if (files.length === 1) return openStack(path, files[0], options);
    const folder = dirname(files[0]);
    const found = seriesOf(
      files.map((file) => basename(file)),
      path,
    );
    const series = { ...found, names: found.names.map((name) => join(folder, name)) };
    const last = series.names.at(-1) as string;
    if (!options.drop_unpaired || (await isWhole(last))) return openSeries(path, series, options);
    const file = await openSeries(path, withoutLast(series), options);
    return { ...file, notes: [`Left out: ${last}, the last frame, which is not written to its end.`, ...file.notes] };
  },
};

/** The last frame of a scan that goes on, or was stopped, may be half a file. */
async function isWhole(path: string): Promise<boolean> {
  try {
    return await closing(await TiffFile.open(path, 2), async (file) => file.whole);
  } catch (error) {
    if (isPtychoError(error, 'FILE_TRUNCATED') || isPtychoError(error, 'FILE_FORMAT')) return false;
    throw error;
  }
}

const withoutLast = (series: FileSeries): FileSeries => ({
  ...series,
  names: series.names.slice(0, -1),
  numbers: series.numbers?.slice(0, -1),
});

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

async function openSeries(path: string, series: FileSeries, options: ReaderOptions): Promise<ScanFile> {
  const files = series.names;
  const headers: TiffPage[] = [];
  for (let from = 0; from < files.length; from += AT_ONCE) {
    headers.push(...(await Promise.all(files.slice(from, from + AT_ONCE).map(headerOf))));
    for (let i = from; i < headers.length; i++) checkSame(headers[0], headers[i], files[i], files[0]);
  }
  const read = async (i: number) => {
    return closing(await TiffFile.open(files[i], 1), async (file) => (await file.read(0)).data);
  };
  const file = await scan(path, files[0], files.length, headers[0], options, read, async () => {});
  const { foreign, numbers } = series;
  if (foreign.length === 0) return { ...file, frameNumbers: numbers };
  const left = `Left out: ${listed(foreign)} of ${path}, whose name${foreign.length === 1 ? ' does' : 's do'} not fit the series of ${basename(files[0])}.`;
  return { ...file, frameNumbers: numbers, notes: [left, ...file.notes] };
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
  patternLayout([count, height, width], { channel: options.channel }, { path });
  const positions = await positionsBeside(path, options, [count, height, width]);
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
    positions: crossedAxes(positions, options.scan_shape),
    geometry: {},
    metadata: {},
    notes: source === path ? [] : [`${count} frames of ${path}, the first is ${basename(source)}.`],
    close,
  };
}
