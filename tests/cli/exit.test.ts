import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import { failureOf } from '../../src/cli/exit.js';
import { PtychoError } from '../../src/core/errors.js';

function thrownBy(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}

describe('failureOf', () => {
  it.each([
    ['USAGE', 2],
    ['CONFIG_INVALID', 2],
    ['CONFIG_UNKNOWN_KEY', 2],
    ['FILE_NOT_FOUND', 1],
    ['ENGINE_FAILURE', 1],
    ['CANCELLED', 130],
  ] as const)('%s ends with %i and its own sentence', (code, exit) => {
    expect(failureOf(new PtychoError(code, 'Something is so.'))).toEqual({ code: exit, message: 'Something is so.' });
  });

  it('puts what commander says into one sentence', () => {
    const unknown = new CommanderError(
      1,
      'commander.unknownOption',
      "error: unknown option '--x'\n(Did you mean --y?)",
    );
    expect(failureOf(unknown)).toEqual({ code: 2, message: "Unknown option '--x'; did you mean --y?" });
    expect(failureOf(new CommanderError(0, 'commander.helpDisplayed', '(outputHelp)')).code).toBe(0);
  });

  it('tells trouble of the system from an error of the program', () => {
    const system = failureOf(thrownBy(() => readFileSync('/nowhere/at/all')));
    expect(system.code).toBe(1);
    expect(system.message).toBe('/nowhere/at/all: there is no such file or folder (ENOENT).');
    expect(failureOf(new TypeError('x is undefined\nmore')).message).toBe('Unexpected error: x is undefined.');
    expect(failureOf('text')).toEqual({ code: 1, message: 'Unexpected error: text.' });
  });
});
