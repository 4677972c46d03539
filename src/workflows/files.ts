/** Small files of a run, written whole or not at all. */
import { access, constants, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { messageOf, PtychoError } from '../core/errors.js';
import { systemTrouble } from '../core/systemErrors.js';

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
      `The output folder ${folder} cannot be made: ${await whyNot(folder, error)}; choose another with --output_dir.`,
      {
        path: folder,
      },
      { cause: error },
    );
  }
}

/** Where nothing can be made, Node may say of a missing parent only that it is missing. */
async function whyNot(folder: string, error: unknown): Promise<string> {
  const said = systemTrouble(error);
  if (said?.errno !== 'ENOENT') return said?.what ?? messageOf(error);
  for (let parent = path.dirname(path.resolve(folder)); ; parent = path.dirname(parent)) {
    const trouble = await access(parent, constants.W_OK).then(
      () => undefined,
      (reason: unknown) => systemTrouble(reason),
    );
    if (trouble?.errno === 'ENOENT' && parent !== path.dirname(parent)) continue;
    return `${parent} takes no folders${trouble ? `: ${trouble.what}` : ''}`;
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
