/** What HDF5 products may say of their format. */
import { PtychoError } from '../../core/errors.js';
import type { Hdf5Value } from '../../formats/hdf5/file.js';

/** Written to, and accepted in, the attribute `format_id`. */
export const FORMAT_ID = 'ptychodus.product.hdf5';
/** The version that is written; later ones of the same first number are read. */
export const FORMAT_VERSION = '1.0';

/**
 * Checks what a file says of its format; it may say nothing.
 * @throws PtychoError FILE_FORMAT for another format, FORMAT_UNSUPPORTED for a later version.
 */
export function checkFormat(path: string, id: Hdf5Value | undefined, version: Hdf5Value | undefined): void {
  if (id !== undefined && id !== FORMAT_ID) {
    throw new PtychoError('FILE_FORMAT', `${path} says that it is "${id}" and no Ptychodus product (${FORMAT_ID}).`, {
      path,
      found: id,
      expected: FORMAT_ID,
    });
  }
  const major = Number.parseInt(String(version ?? FORMAT_VERSION), 10);
  if (major === 1) return;
  throw new PtychoError(
    'FORMAT_UNSUPPORTED',
    `${path} is a product of version ${version}, but only versions 1.x are read; update ptychopinn.`,
    { path, found: version, expected: FORMAT_VERSION },
  );
}
