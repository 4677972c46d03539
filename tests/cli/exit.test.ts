import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { describe, expect, it } from 'vitest';
import type { EndingSignal } from '../../src/cli/context.js';
import { failureOf, withInterrupt } from '../../src/cli/exit.js';
import { runCli } from '../../src/cli/program.js';
import { supervise } from '../../src/cli/run.js';
import { PtychoError } from '../../src/core/errors.js';
import { capture } from './capture.js';

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

const options = { level: 'INFO' as const, interrupted: 'finishing this step' };
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

describe('Ctrl-C, SIGTERM and SIGHUP', () => {
  it.each([
    ['SIGINT', 'warning: interrupted: finishing this step; press Ctrl-C again to quit immediately.\n'],
    ['SIGTERM', 'warning: interrupted by SIGTERM: finishing this step; SIGTERM again quits immediately.\n'],
    ['SIGHUP', 'warning: interrupted by SIGHUP: finishing this step; SIGHUP again quits immediately.\n'],
  ] as const)('%s aborts the signal and says so', async (name, said) => {
    const captured = capture();
    const result = await supervise(captured.context, options, async ({ signal }) => {
      expect(signal.aborted).toBe(false);
      captured.signals.emit(name);
      expect(signal.aborted).toBe(true);
      return 'saved';
    });
    expect(result).toBe('saved');
    expect(captured.err()).toBe(said);
    expect(captured.left()).toBe(0);
  });

  it('takes a second one within half a second for the first, and leaves at a later one', async () => {
    const captured = capture();
    let time = 1000;
    const work = async () => {
      for (const [at, name, left] of [
        [1000, 'SIGINT', 0],
        [1020, 'SIGINT', 0],
        [1499, 'SIGTERM', 0],
        [1500, 'SIGINT', 1],
      ] as const) {
        time = at;
        captured.signals.emit(name);
        expect(captured.left()).toBe(left);
      }
    };
    await withInterrupt(captured.context, work, () => time);
  });

  it('hears nothing once the work has ended or failed', async () => {
    const captured = capture();
    const listening = () => SIGNALS.reduce((sum, name) => sum + captured.signals.listenerCount(name), 0);
    await supervise(captured.context, options, async () => expect(listening()).toBe(3));
    expect(listening()).toBe(0);
    const failing = supervise(captured.context, options, async () => {
      throw new Error('broken');
    });
    await expect(failing).rejects.toThrow('broken');
    expect(listening()).toBe(0);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('%s ends a command with %i, also where it comes before the work', async (name: EndingSignal, code) => {
    const captured = capture();
    const running = runCli(['simulate', '--output_file', '/nowhere/never.npz'], captured.context);
    captured.signals.emit(name);
    expect(await running).toBe(code);
    expect(captured.err()).toContain('ptychopinn: The simulation was cancelled.\n');
  });
});
