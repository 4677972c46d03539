/** What a file is, by its first bytes. */
import { existsSync, statSync } from 'node:fs';
import { openInput } from '../../core/inputFile.js';

/** The first bytes of formats that are told apart by them. */
export const MAGIC = { zip: 'PK', npy: '\x93NUMPY', hdf5: '\x89HDF\r\n\x1a\n' } as const;

/** True for an existing file (no folder) that begins with these bytes, given as a Latin-1 text. */
export async function hasMagic(path: string, magic: string): Promise<boolean> {
  if (!existsSync(path) || !statSync(path).isFile()) return false;
  const handle = await openInput(path);
  try {
    const head = Buffer.alloc(magic.length);
    await handle.read(head, 0, head.length, 0);
    return head.toString('latin1') === magic;
  } finally {
    await handle.close();
  }
}

/** Little and big endian, classic and BigTIFF. */
const TIFF_MAGICS = ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'];

/** True for an existing file that begins as TIFF does. */
export async function isTiffFile(path: string): Promise<boolean> {
  for (const magic of TIFF_MAGICS) if (await hasMagic(path, magic)) return true;
  return false;
}
