/** Small files of a run, written whole or not at all. */
import { makeFolder, replaceFile } from './replaceFile.js';

/**
 * Makes the output folder.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export function makeOutputFolder(folder: string): Promise<void> {
  return makeFolder(folder, 'choose another with --output_dir');
}

/**
 * Writes a file that is at hand whole: readers see the old file or the new one.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export function writeAtomically(file: string, content: string | Uint8Array): Promise<void> {
  return replaceFile(file, (handle) => handle.writeFile(content));
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
