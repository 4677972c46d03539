/**
 * The one rule of every command that writes: a file that is there already, and that the same run did not make, stays.
 *
 * @example
 * z.strictObject({ output_file: required(path, 'NPZ file to write.'), ...overwriteFields });
 */
import { field } from '../field.js';
import { flag } from '../kinds.js';

/** Beside `output_dir` or `output_file` in every schema that has one. */
export const overwriteFields = {
  overwrite: field(
    flag,
    false,
    'Replace files that are there already; without it they are refused before any work is done.',
    { legacyKey: null },
  ),
};
