/** Small files of a run, written whole or not at all. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PtychoError } from '../core/errors.js';

/**
 * Makes the output folder.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function makeOutputFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw new PtychoError(
      'OUTPUT_UNWRITABLE',
      `The output folder ${folder} cannot be made: ${messageOf(error)}; choose another with --output_dir.`,
      {
        path: folder,
      },
      { cause: error },
    );
  }
}

/**
 * Writes under a temporary name, then renames: readers see the old file or the new one.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeAtomically(file: string, content: string | Uint8Array): Promise<void> {
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}.tmp`);
  try {
    await writeFile(temporary, content);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw new PtychoError(
      'OUTPUT_UNWRITABLE',
      `${file} cannot be written: ${messageOf(error)}; check space and permissions, or choose another --output_dir.`,
      {
        path: file,
      },
      { cause: error },
    );
  }
}

/** JSON with a final line end. */
export const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** One text as a NumPy scalar. */
export const textArray = (text: string) => ({ strings: [text], shape: [] as number[] });
