/**
 * `display(image)`: below the cell in a TypeScript notebook, as a PNG file elsewhere.
 *
 * @example
 * const result = await reconstruct(model, 'scan.npz');
 * await display(result, { title: 'star', pixelSize_m: 25e-9 }); // amplitude and phase
 * await display(model); // its losses
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf, PtychoError } from '../../core/errors.js';
import { encodePng } from '../../report/png.js';
import { drawPng } from '../../report/renderer.js';
import { type Displayable, type DrawOptions, drawFigure } from './draw.js';

export type { Displayable, DrawOptions } from './draw.js';

/** How it is drawn, and where it goes. */
export interface DisplayOptions extends DrawOptions {
  /** A PNG file to write, in a notebook too; where not given, and outside a notebook, one in the folder `display`. */
  readonly file?: string;
  /** The kernel that shows it; the one that runs this process where not given, `null` for none. */
  readonly kernel?: NotebookKernel | null;
  /** Hears of every file that was written; `console.log` where not given. */
  readonly print?: (line: string) => void;
}

/** Files are numbered as they come, so that a second run replaces those of the first. */
let shown = 0;

/**
 * Shows an image, a reconstruction, a pattern or the losses of a model: amplitude in viridis, phase in a cyclic map, each with a
 * colour bar and a bar of known length (pixels, or nm and µm with `pixelSize_m`), or curves over the epochs.
 *
 * In a Jupyter kernel for TypeScript (tslab) the picture appears below the cell. Elsewhere it becomes a file in the folder that
 * the environment's `PTYCHOPINN_DISPLAY` names (`display` where it names none), and a line is printed.
 * @returns the file that was written, if any
 * @throws PtychoError as `drawFigure`; OUTPUT_UNWRITABLE
 */
export async function display(what: Displayable, options: DisplayOptions = {}): Promise<string | undefined> {
  const drawing = drawFigure(what, options);
  const png = 'spec' in drawing ? await drawPng(drawing) : encodePng(drawing);
  const kernel = options.kernel === undefined ? findKernel() : (options.kernel ?? undefined);
  kernel?.png(png);
  if (kernel && options.file === undefined) return undefined;
  const file = options.file ?? nextFile(options.title);
  try {
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, png);
  } catch (error) {
    throw new PtychoError('OUTPUT_UNWRITABLE', `The picture ${file} cannot be written: ${messageOf(error)}.`, {
      path: file,
    });
  }
  if (!kernel) (options.print ?? console.log)(`${options.title ?? 'picture'}: ${file}`);
  return file;
}

function nextFile(title = 'picture'): string {
  shown++;
  const words = title.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const name = words.slice(0, 40).replace(/^-+|-+$/g, '') || 'picture';
  return path.join(process.env.PTYCHOPINN_DISPLAY ?? 'display', `${String(shown).padStart(2, '0')}-${name}.png`);
}

/** What shows pictures below the cell that runs. */
export interface NotebookKernel {
  readonly name: string;
  /** Shows a PNG file. */
  png(file: Uint8Array): void;
}

/**
 * Which notebook kernel runs this process, if any. The only TypeScript kernel that is known here is tslab. It gives its own module to
 * the cells alone, so a package finds it through `__tslab__`, the global that the kernel wraps every cell with (tslab 1.0.22,
 * `dist/executor.js`); nothing of it is a dependency, and where it is not there nothing is missing.
 * @param globals where a kernel leaves its traces; `globalThis` unless a test says otherwise
 */
export function findKernel(globals: object = globalThis): NotebookKernel | undefined {
  const { __tslab__: tslab } = globals as { readonly __tslab__?: unknown };
  const load = member(tslab, 'require');
  if (typeof load !== 'function') return undefined;
  let display: unknown;
  try {
    display = member(load('tslab'), 'display');
  } catch {
    // Something else of that name: then pictures go to files, as anywhere.
    return undefined;
  }
  const png = member(display, 'png');
  return typeof png === 'function' ? { name: 'tslab', png: (file) => void png.call(display, file) } : undefined;
}

function member(of: unknown, name: string): unknown {
  const holds = (typeof of === 'object' && of !== null) || typeof of === 'function';
  return holds ? (of as Record<string, unknown>)[name] : undefined;
}
