/** The strictest look at a product of ours: what it holds is written again and compared byte for byte. */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { makeScratchFolder } from '../../formats/scratchFile.js';
import { firstDifferenceInFile } from '../verify.js';
import { SEAL_KEY } from './content.js';
import { readStoredProduct, refuseChanges, type StoredProduct } from './read.js';
import { writeProductFile } from './write.js';

/**
 * Reads a product, checks the hash of its content and compares every byte with what its content comes to.
 * @throws PtychoError FILE_FORMAT for a product of other programs, which holds no hash, and for the first byte that differs;
 * those of reading.
 */
export async function verifyProductFile(path: string): Promise<StoredProduct> {
  const stored = await readStoredProduct(path);
  refuseChanges(path, stored);
  if (stored.seal === 'none') {
    throw new PtychoError(
      'FILE_FORMAT',
      `${path} holds no ${SEAL_KEY}, so it was not written by ptychopinn, or not completely; there is nothing to verify it against.`,
      { path, key: SEAL_KEY },
    );
  }
  const { folder, dispose } = await makeScratchFolder('verify');
  try {
    const again = join(folder, stored.format === 'npz' ? 'product.npz' : 'product.h5');
    await writeProductFile(again, stored.product);
    const at = await firstDifferenceInFile(path, createReadStream(again));
    if (at === undefined) return stored;
    throw new PtychoError(
      'FILE_FORMAT',
      `${path}: byte ${at} is not what ptychopinn writes for this content, although the content is right; the file was changed, or written by another version.`,
      { path, found: at },
    );
  } finally {
    await dispose();
  }
}
