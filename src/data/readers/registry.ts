/** All readers, and which of them opens a file. */
import { existsSync, statSync } from 'node:fs';
import { SCAN_FORMATS, type ScanFormat } from '../../config/schemas/data.js';
import { PtychoError } from '../../core/errors.js';
import { openInput } from '../../core/inputFile.js';
import { refuseMatlab5 } from '../../formats/hdf5/file.js';
import type { ReaderOptions, ScanFile, ScanReader } from '../scanFile.js';
import { cxiReader } from './cxi.js';
import { hdf5Reader } from './hdf5.js';
import { npyReader } from './npy.js';
import { npzReader } from './npz.js';
import { ptychodusReader } from './ptychodus.js';
import { tiffReader } from './tiff.js';

/** The readers in the order in which they are asked: special kinds before the general ones of the same container. */
export const READERS: readonly ScanReader[] = [
  npzReader,
  npyReader,
  tiffReader,
  cxiReader,
  ptychodusReader,
  hdf5Reader,
];

/**
 * Opens a scan with the reader of the given format, or with the first that recognises it.
 * @throws PtychoError FILE_NOT_FOUND; FILE_FORMAT when no reader recognises the file; those of the reader.
 */
export async function openScanFile(
  path: string,
  format: ScanFormat | 'auto',
  options: ReaderOptions,
): Promise<ScanFile> {
  const reader = format === 'auto' ? await recognise(path) : readerOf(format);
  return reader.open(path, options);
}

/**
 * The reader of a format.
 * @throws PtychoError CONFIG_INVALID for a name that is none.
 */
export function readerOf(format: ScanFormat): ScanReader {
  const reader = READERS.find((candidate) => candidate.format === format);
  if (reader !== undefined) return reader;
  throw new PtychoError(
    'CONFIG_INVALID',
    `data_format is "${format}", which is none of auto, ${SCAN_FORMATS.join(', ')}.`,
    { key: 'data_format', found: format, expected: SCAN_FORMATS },
  );
}

/**
 * The reader that recognises a file.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED (empty), FILE_FORMAT; FORMAT_UNSUPPORTED for MATLAB files of level 5.
 */
export async function recognise(path: string): Promise<ScanReader> {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  // A pattern of file names is for the reader of series to judge.
  if (!isFolder && (existsSync(path) || !/[*?]/.test(path))) {
    // Says why a file cannot be read before any reader calls it unknown.
    const handle = await openInput(path);
    const { size } = await handle.stat().finally(() => handle.close());
    await refuseMatlab5(path);
    if (size === 0) {
      throw new PtychoError('FILE_TRUNCATED', `${path} is empty; copy or write it again.`, { path });
    }
  }
  for (const reader of READERS) if (await reader.recognises(path)) return reader;
  const known = READERS.map((reader) => `${reader.format} (${reader.title})`).join(', ');
  throw new PtychoError(
    'FILE_FORMAT',
    `${path} is ${isFolder ? 'a folder' : 'a file'} of no kind that is recognised as a scan; these are: ${known}. Name one with data_format if it is one of them.`,
    { path, expected: SCAN_FORMATS },
  );
}
