import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../src/cli/exit.js';
import { systemTrouble } from '../../src/core/systemErrors.js';

const failed = (code: string, path?: string) =>
  Object.assign(new Error(`${code}: as the system says it`), { code, syscall: 'open', ...(path && { path }) });

describe('errors of the system', () => {
  it.each(['ENOENT', 'EACCES', 'ENOSPC', 'EROFS', 'EMFILE', 'EIO', 'EISDIR', 'ELOOP', 'EDQUOT', 'ENOTDIR'])(
    '%s is a sentence with its name',
    (code) => {
      expect(failureOf(failed(code, '/a/b'))).toEqual({
        code: 1,
        message: expect.stringMatching(new RegExp(`^/a/b: [a-z][^()]+ \\(${code}\\)(; [^.]+)?\\.$`)),
      });
      expect(failureOf(failed(code)).message).toMatch(new RegExp(`^[A-Z][^()]+ \\(${code}\\)(; [^.]+)?\\.$`));
    },
  );

  it('is found in what caused an error, and is told of those that nobody knows', () => {
    expect(systemTrouble(new Error('outer', { cause: failed('ENOSPC') }))).toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      what: 'the disk is full (ENOSPC)',
    });
    expect(systemTrouble(failed('EWHATEVER'))?.sentence).toBe(
      'the system refuses it: EWHATEVER: as the system says it.',
    );
    expect(systemTrouble(new Error('plain'))).toBeUndefined();
    expect(systemTrouble('text')).toBeUndefined();
  });

  it('is no stack for a folder in place of a file', () => {
    try {
      readFileSync('/');
    } catch (error) {
      expect(failureOf(error).message).toMatch(/it is a folder \(EISDIR\); name a file\.$/i);
    }
  });

  it('tells arrays that cannot be had', () => {
    try {
      new Float32Array(2 ** 50);
    } catch (error) {
      expect(failureOf(error).message).toMatch(/^There is not enough memory for this \(/);
    }
    expect.assertions(1);
  });
});
