/**
 * The formats of scan files, and which of them a file has. A reader is loaded when a file may be its own: opening an NPZ archive
 * loads neither HDF5 nor TIFF.
 *
 * @example
 * const file = await openScanFile('scan.npz', 'auto', {}); // the NPZ reader's
 */
import { existsSync, statSync } from 'node:fs';
import type { ScanFormat } from '../../config/schemas/data.js';
import { invalidOption, PtychoError } from '../../core/errors.js';
import { acceptName } from '../../core/field.js';
import { withFileSource } from '../../formats/fileSource.js';
import { isHdf5File, refuseMatlab5 } from '../../formats/hdf5/file.js';
import { hasMagic, isTiffFile, MAGIC, ptychodusFile, tiffFilesAt } from '../opening/files.js';
import type { ReaderOptions } from '../options.js';
import type { ScanFile, ScanReader } from '../scanFile.js';

/** A format of scan files: how it is recognised, and how its reader is loaded. */
export interface ScanFormatEntry {
  /** In words, for messages: `PtychoPINN or Ptychodus NPZ archive`. */
  readonly title: string;
  /** Higher ones are asked first: special kinds before the general ones of the same container. */
  readonly priority: number;
  /** True when the path may be of this format, judged by name and first bytes: then its reader is loaded. */
  mayBe(path: string): Promise<boolean>;
  /** Imports the reader. */
  load(): Promise<ScanReader>;
}

const OWN_FORMATS: Readonly<Record<ScanFormat, ScanFormatEntry>> = {
  npz: {
    title: 'NPZ archive (PtychoPINN, or patterns exported by Ptychodus)',
    priority: 6,
    mayBe: (path) => hasMagic(path, MAGIC.zip),
    load: async () => (await import('./npz.js')).npzReader,
  },
  ptychodus: {
    title: 'Ptychodus diffraction.h5 with its product, or a product with raw data',
    priority: 2,
    mayBe: (path) => hasMagic(ptychodusFile(path), MAGIC.hdf5),
    load: async () => (await import('./ptychodus.js')).ptychodusReader,
  },
  hdf5: {
    title: 'HDF5 or NeXus file',
    priority: 1,
    mayBe: (path) => isHdf5File(path).catch(() => false),
    load: async () => (await import('./hdf5.js')).hdf5Reader,
  },
  cxi: {
    title: 'CXI file',
    priority: 3,
    mayBe: (path) => isHdf5File(path).catch(() => false),
    load: async () => (await import('./cxi.js')).cxiReader,
  },
  npy: {
    title: 'NPY array of patterns with a file of positions',
    priority: 5,
    mayBe: (path) => hasMagic(path, MAGIC.npy),
    load: async () => (await import('./npy.js')).npyReader,
  },
  tiff: {
    title: 'TIFF frames: a stack, a folder or a pattern such as frame_*.tif',
    priority: 4,
    async mayBe(path) {
      if (existsSync(path) && statSync(path).isFile()) return isTiffFile(path);
      return (await tiffFilesAt(path)).length > 0;
    },
    load: async () => (await import('./tiff.js')).tiffReader,
  },
};

const formats = new Map<string, ScanFormatEntry>(Object.entries(OWN_FORMATS));

/**
 * Makes a format of scan files known, for every function that opens scans; a name that is known already gets the new entry. The reader
 * says `format: name` in what it opens.
 * @returns takes it back
 *
 * @example
 * registerScanFormat('mine', {
 *   title: 'MINE file',
 *   priority: 10,
 *   mayBe: async (path) => path.endsWith('.mine'),
 *   load: async () => (await import('./mine.js')).mineReader,
 * });
 * const raw = await openScan('scan.mine');
 */
export function registerScanFormat(name: string, entry: ScanFormatEntry): () => void {
  const before = formats.get(name);
  formats.set(name, entry);
  const forget = acceptName('data_format', name);
  return () => {
    if (!before) forget();
    if (before) formats.set(name, before);
    else formats.delete(name);
  };
}

/**
 * Opens a scan with the reader of the given format, or with the first that recognises it.
 * @throws PtychoError CONFIG_INVALID for a name that is no format; FILE_NOT_FOUND; FILE_FORMAT when no reader recognises the file;
 * those of the reader.
 */
export async function openScanFile(path: string, format: string, options: ReaderOptions): Promise<ScanFile> {
  const entry = formats.get(format === 'auto' ? await recognise(path) : format);
  if (entry) {
    const reader = await entry.load();
    const { product, positions } = options;
    if (product === undefined || positions !== undefined || reader.pairsProducts) return reader.open(path, options);
    return (await import('./withProduct.js')).openWithProduct(reader, path, options, product);
  }
  const known = [...formats.keys()];
  throw invalidOption(
    'data_format',
    `data_format is "${format}", which is none of auto, ${known.join(', ')}.`,
    format,
    { expected: known },
  );
}

/**
 * The format of a file.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED (empty), FILE_FORMAT; FORMAT_UNSUPPORTED for MATLAB files of level 5.
 */
export async function recognise(path: string): Promise<string> {
  const isFolder = existsSync(path) && statSync(path).isDirectory();
  // A pattern of file names is for the reader of series to judge.
  if (!isFolder && (existsSync(path) || !/[*?]/.test(path))) {
    // Says why a file cannot be read before any reader calls it unknown.
    const size = await withFileSource(path, async (source) => source.size);
    await refuseMatlab5(path);
    if (size === 0) {
      throw new PtychoError('FILE_TRUNCATED', `${path} is empty; copy or write it again.`, { path });
    }
  }
  const ordered = [...formats].sort(([, a], [, b]) => b.priority - a.priority);
  for (const [format, { mayBe, load }] of ordered) {
    if ((await mayBe(path)) && ((await (await load()).recognises?.(path)) ?? true)) return format;
  }
  const known = ordered.map(([format, { title }]) => `${format} (${title})`).join(', ');
  throw new PtychoError(
    'FILE_FORMAT',
    `${path} is ${isFolder ? 'a folder' : 'a file'} of no kind that is recognised as a scan; these are: ${known}. Name one with data_format if it is one of them.`,
    { path, expected: [...formats.keys()] },
  );
}
