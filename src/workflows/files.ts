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

/** JSON with a final line end; a list of numbers stays on one line, so that long ones do not make long files. */
export function json(value: unknown): string {
  const lists: string[] = [];
  const text = JSON.stringify(
    value,
    (_, v) => {
      if (!Array.isArray(v) || v.length === 0 || !v.every((item) => typeof item === 'number')) return v;
      return `\0${lists.push(JSON.stringify(v)) - 1}\0`;
    },
    2,
  );
  return `${text.replace(/"\\u0000(\d+)\\u0000"/g, (_, at) => lists[at])}\n`;
}

/** One text as a NumPy scalar. */
export const textArray = (text: string) => ({ strings: [text], shape: [] as number[] });
