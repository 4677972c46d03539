/**
 * Which notebook kernel runs this process, if any.
 *
 * The only TypeScript kernel that is known here is tslab. It gives its own module to the cells alone, so a package finds it
 * through `__tslab__`, the global that the kernel wraps every cell with (tslab 1.0.22, `dist/executor.js`); nothing of it is a
 * dependency, and where it is not there nothing is missing.
 */

/** What shows pictures below the cell that runs. */
export interface NotebookKernel {
  readonly name: string;
  /** Shows a PNG file. */
  png(file: Uint8Array): void;
}

/** @param globals where a kernel leaves its traces; `globalThis` unless a test says otherwise */
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
