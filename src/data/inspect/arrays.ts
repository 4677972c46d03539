/** The arrays of a scan file as their headers declare them, whatever the format. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { isPtychoError, messageOf } from '../../core/errors.js';
import type { Shape } from '../../core/tensor.js';
import { type Hdf5File, openHdf5 } from '../../formats/hdf5/file.js';
import { openNpz } from '../../formats/npz.js';
import { hasMagic, MAGIC } from '../opening/fileKind.js';

/** One array of the file; `problem` instead of its shape when it cannot be read. */
export interface InspectedArray {
  readonly key: string;
  readonly shape?: Shape;
  readonly dtype?: string;
  readonly order?: 'C' | 'Fortran';
  readonly compressed: boolean;
  /** How it is stored beyond that: chunks and filters of HDF5. */
  readonly storage?: string;
  readonly problem?: string;
}

/** The most datasets of an HDF5 file that are listed. */
const MOST_DATASETS = 500;

/**
 * Lists an archive's arrays or an HDF5 file's datasets; for other kinds of files the list is empty.
 * @throws PtychoError FILE_NOT_FOUND, FILE_TRUNCATED, FILE_FORMAT for a damaged container.
 */
export async function listArrays(file: string): Promise<InspectedArray[]> {
  if (await hasMagic(file, MAGIC.zip)) return listNpz(file);
  if (await hasMagic(file, MAGIC.hdf5)) return listHdf5(file);
  return [];
}

/** Size of a file, or of the files in a folder. */
export function bytesOf(file: string): number {
  const found = statSync(file);
  if (!found.isDirectory()) return found.size;
  return readdirSync(file)
    .map((name) => path.join(file, name))
    .filter((member) => existsSync(member) && statSync(member).isFile())
    .reduce((sum, member) => sum + statSync(member).size, 0);
}

async function listNpz(file: string): Promise<InspectedArray[]> {
  const npz = await openNpz(file);
  try {
    const arrays: InspectedArray[] = [];
    for (const key of npz.keys) {
      const compressed = npz.isCompressed(key);
      try {
        const { shape, dtype, fortranOrder } = await npz.header(key);
        arrays.push({ key, shape, dtype, order: fortranOrder ? 'Fortran' : 'C', compressed });
      } catch (error) {
        if (!isPtychoError(error)) throw error;
        arrays.push({ key, compressed, problem: messageOf(error) });
      }
    }
    return arrays;
  } finally {
    await npz.close();
  }
}

async function listHdf5(file: string): Promise<InspectedArray[]> {
  const hdf5 = await openHdf5(file);
  try {
    return hdf5.datasets(MOST_DATASETS).map((key) => describe(hdf5, key));
  } finally {
    hdf5.close();
  }
}

function describe(hdf5: Hdf5File, key: string): InspectedArray {
  try {
    const { shape, type, chunks, filters, virtual } = hdf5.header(key);
    const storage = [
      chunks && `chunks ${chunks.join('×')}`,
      ...filters.map((filter) => filter.name),
      virtual ? 'virtual' : undefined,
    ].filter((word) => word !== undefined);
    return {
      key,
      shape,
      dtype: type.kind === 'numbers' ? type.dtype : type.kind === 'text' ? 'str' : type.description,
      compressed: filters.length > 0,
      ...(storage.length === 0 ? {} : { storage: storage.join(', ') }),
    };
  } catch (error) {
    if (!isPtychoError(error)) throw error;
    return { key, compressed: false, problem: messageOf(error) };
  }
}
