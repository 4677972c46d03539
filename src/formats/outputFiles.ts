/** Small files of a run, written whole or not at all. */
import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { type Drawing, draw, drawPng, PICTURE_FORMATS, type PictureFormat } from '../report/renderer.js';
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

/** @throws PtychoError CONFIG_INVALID for a picture whose name does not end in `.png` */
export function checkPngName(file: string | null, field: string): void {
  if (file === null || file.toLowerCase().endsWith('.png')) return;
  throw new PtychoError('CONFIG_INVALID', `${field} must be the path of a .png file, got ${JSON.stringify(file)}.`, {
    field,
    found: file,
  });
}

/** Draws a picture and writes it as PNG; its folder is made if missing. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writePng(file: string, drawing: Drawing): Promise<void> {
  await makeOutputFolder(path.dirname(path.resolve(file)));
  await writeAtomically(file, await drawPng(drawing));
}

/** The files that a drawing of this name may become. */
export const drawingFiles = (name: string): string[] => PICTURE_FORMATS.map((format) => `${name}.${format}`);

/**
 * Writes a drawing in every format that is asked for: `NAME.png`, …
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeDrawing(
  folder: string,
  name: string,
  drawing: Drawing,
  formats: readonly PictureFormat[] = ['png'],
): Promise<string[]> {
  const files = Array.from(await draw(drawing, formats), ([format, bytes]) => [`${name}.${format}`, bytes] as const);
  for (const [file, bytes] of files) await writeAtomically(path.join(folder, file), bytes);
  return files.map(([file]) => file);
}

/** @throws PtychoError CONFIG_INVALID when a file to write is the one that is read (links followed) */
export async function refuseToOverwrite(input: string, output: string, field: string): Promise<void> {
  const real = (file: string) => realpath(file).catch(() => path.resolve(file));
  if ((await real(input)) !== (await real(output))) return;
  throw new PtychoError('CONFIG_INVALID', `${output} is the file that is read; choose another ${field}.`, {
    field,
    found: output,
  });
}
