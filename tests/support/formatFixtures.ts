/** The sample files of `fixtures/formats`: those that are kept, and the same made anew by h5py where there is one. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import type { PtychoErrorCode } from '../../src/core/errors.js';
import type { ComplexNpyArray, RealNpyArray } from '../../src/formats/npy.js';
import { type NpzFile, openNpz } from '../../src/formats/npz.js';
import { describePython, findPython } from './python.js';

/** Where the kept files are. */
export const formatFixtures = fileURLToPath(new URL('../../fixtures/formats', import.meta.url));

/** Runs tests on the kept files, and on files that the installed h5py has just written. */
export function describeFixtures(name: string, body: (file: (...parts: string[]) => string) => void): void {
  describe(name, () => body((...parts) => path.join(formatFixtures, ...parts)));
  const modules = ['numpy', 'h5py'];
  describePython(`${name}, written by the h5py of this machine`, modules, () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-formats-'));
    beforeAll(() => {
      const python = findPython(modules);
      if (python === null) throw new Error('no Python with NumPy and h5py');
      execFileSync(python, [path.join(formatFixtures, 'make.py'), folder]);
    });
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    body((...parts) => path.join(folder, ...parts));
  });
}

/** The NumPy arrays that the files of a folder were made from. */
export async function truthOf(file: (name: string) => string): Promise<Truth> {
  const npz = await openNpz(file('truth.npz'));
  try {
    const arrays = new Map<string, Awaited<ReturnType<NpzFile['read']>>>();
    for (const key of npz.keys) arrays.set(key, await npz.read(key));
    return {
      real: (key) => arrays.get(key) as RealNpyArray,
      complex: (key) => arrays.get(key) as ComplexNpyArray,
      keys: npz.keys,
    };
  } finally {
    await npz.close();
  }
}

/** See {@link truthOf}. */
export interface Truth {
  readonly keys: readonly string[];
  real(key: string): RealNpyArray;
  complex(key: string): ComplexNpyArray;
}

/** Expects one sentence with a code, about a file. */
export async function refuses(work: () => unknown, code: PtychoErrorCode, message: RegExp): Promise<void> {
  let thrown: unknown;
  try {
    await work();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ name: 'PtychoError', code, message: expect.stringMatching(message) });
  expect((thrown as Error).message).toMatch(/^[^\n]*\.$/);
}
