/** The log of a run, and how much of it reaches the terminal. */

import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCli } from '../../src/cli/program.js';
import { RunLog } from '../../src/cli/run.js';
import type { TrainingRequest } from '../../src/config/schema.js';
import { PtychoError } from '../../src/core/errors.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { capture, cli } from './capture.js';

vi.mock('../../src/workflows/train.js', () => ({ trainWorkflow: vi.fn() }));
vi.mock('../../src/workflows/infer.js', () => ({ inferWorkflow: vi.fn() }));

let folder: string;
let out: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptychopinn-log-'));
  out = join(folder, 'run');
  vi.mocked(inferWorkflow).mockReset();
  vi.mocked(trainWorkflow)
    .mockReset()
    .mockImplementation(async (given, services) => {
      const config = given as TrainingRequest;
      services?.logger?.info('before the folder');
      await mkdir(config.output_dir, { recursive: true });
      services?.onOutputFolder?.(config.output_dir);
      services?.logger?.debug?.('a detail');
      services?.logger?.warn('take care');
      services?.onProgress?.({ stage: 'training', done: 2, total: 2, unit: 'groups', note: 'loss 0.5' });
      return {
        epochs: 5,
        bestEpoch: 4,
        bestLoss: 0.125,
        monitored: 'val_loss',
        rFactor: { heldOut: true, network: 0.15, constant: 0.26 },
        seconds: 75,
        patternsPerSecond: 321.4,
        outputDir: config.output_dir,
        cancelled: false,
        stoppedEarly: false,
        resumedAfter: 3,
        files: ['wts.zip'],
        device: 'cpu',
        history: [],
      };
    });
});
afterEach(() => rm(folder, { recursive: true }));
const log = () => readFile(join(out, 'logs', 'debug.log'), 'utf8');
const train = (...words: string[]) => cli('train', '--train_data_file', 'scan.npz', '--output_dir', out, ...words);

describe('logs/debug.log', () => {
  it('has everything that was said, whatever the terminal shows', async () => {
    const { err } = await train('--quiet', '--nepochs', '5');
    expect(err).toBe('warning: take care\n');
    const lines = (await log()).trimEnd().split('\n');
    const said = lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT[\d:.]+Z /, ''));
    expect(said).toEqual([
      expect.stringMatching(/^INFO ptychopinn \d+\.\d+\.\d+ train, Node v/),
      expect.stringMatching(/^DEBUG Given: .*nepochs=5 \(flag\)/),
      'INFO before the folder',
      'DEBUG a detail',
      'WARNING take care',
      'DEBUG training: 2/2 groups, loss 0.5',
      expect.stringMatching(/^INFO Trained 5 epochs \(3 of them before it was resumed\) in 1:15/),
      '  Held-out R 0.150, the best constant object 0.260.',
      `  Written to ${out}: wts.zip, logs/debug.log.`,
    ]);
  });

  it('has what ended the run, with its stack, and is continued by the next run', async () => {
    vi.mocked(trainWorkflow).mockImplementationOnce(async (given, services) => {
      const config = given as TrainingRequest;
      await mkdir(config.output_dir);
      services?.onOutputFolder?.(config.output_dir);
      throw new PtychoError('DATASET_VALUE', 'scan.npz holds NaN.', { key: 'diffraction' });
    });
    expect(await train()).toEqual({ code: 1, out: '', err: 'ptychopinn: scan.npz holds NaN.\n' });
    expect(await log()).toMatch(/Z ERROR PtychoError: scan\.npz holds NaN\.\n {6,}at [\s\S]*key: 'diffraction'/);
    await train('--quiet');
    expect((await log()).match(/INFO ptychopinn .* train, Node/g)).toHaveLength(2);
  });

  it('is not begun by a run that is refused before it has a folder', async () => {
    vi.mocked(trainWorkflow).mockRejectedValue(new PtychoError('FILE_NOT_FOUND', 'There is no scan.npz.'));
    expect((await train()).code).toBe(1);
    expect(existsSync(out)).toBe(false);
  });

  it('is not begun in a folder that is not ours', async () => {
    await mkdir(out);
    vi.mocked(trainWorkflow).mockRejectedValue(new PtychoError('OUTPUT_IN_USE', 'run is in use.'));
    expect((await train()).code).toBe(2);
    expect(existsSync(join(out, 'logs'))).toBe(false);
  });

  it('costs one warning where it cannot be written', async () => {
    await mkdir(out);
    await writeFile(join(out, 'logs'), 'a file');
    const { code, err } = await train('--quiet');
    expect(code).toBe(0);
    expect(err).toMatch(/^warning: .*debug\.log cannot be written: .*\nwarning: take care\n$/);
  });

  it('hears of errors that nobody waits for', async () => {
    const captured = capture();
    vi.mocked(trainWorkflow).mockImplementationOnce(async (given, services) => {
      const config = given as TrainingRequest;
      await mkdir(config.output_dir);
      services?.onOutputFolder?.(config.output_dir);
      captured.signals.emit('uncaughtExceptionMonitor', new Error('lost in a worker'));
      throw new PtychoError('CANCELLED', 'Training was cancelled.');
    });
    await runCli(['train', '--train_data_file', 'scan.npz', '--output_dir', out], captured.context);
    expect(await log()).toMatch(/ERROR Error: lost in a worker\n {6,}at /);
    expect(captured.signals.eventNames()).toEqual([]);
  });

  it('keeps to one line of progress in half a minute', async () => {
    let clock = 0;
    const made = new RunLog(folder, 'title', () => new Date(clock));
    made.begin();
    const shown: number[] = [];
    const sink = made.teeProgress(({ done }) => shown.push(done));
    for (; clock <= 90_000; clock += 1000) sink({ stage: 'a', done: clock / 1000, total: 1000, unit: 'groups' });
    made.close();
    made.write('INFO', 'after the end');
    expect(shown).toHaveLength(91);
    const text = await readFile(join(folder, 'logs', 'debug.log'), 'utf8');
    expect(text.split('\n').slice(1)).toEqual([
      '1970-01-01T00:00:30.000Z DEBUG a: 30/1000 groups',
      '1970-01-01T00:01:00.000Z DEBUG a: 60/1000 groups',
      '1970-01-01T00:01:30.000Z DEBUG a: 90/1000 groups',
      '',
    ]);
  });
});

describe('the terminal', () => {
  const everything = [/debug: a detail\n/, /^before the folder\n/m, /warning: take care\n/, /training: 100%/];
  it.each<[string[], boolean[], boolean]>([
    [['--verbose'], [true, true, true, true], true],
    [['--console-level', 'DEBUG'], [true, true, true, true], true],
    [[], [false, true, true, true], true],
    [['--console_level', 'INFO'], [false, true, true, true], true],
    [['--quiet'], [false, false, true, false], false],
    [['--console-level=WARNING'], [false, false, true, false], false],
    [['--console-level', 'ERROR'], [false, false, false, false], false],
    [['--console-level', 'CRITICAL'], [false, false, false, false], false],
  ])('%j shows what it should', async (words, expected, summary) => {
    const { err, out: printed } = await train(...words);
    expect(everything.map((line) => line.test(err))).toEqual(expected);
    expect(printed.startsWith('Trained 5 epochs')).toBe(summary);
  });

  it.each([
    [['--quiet', '--verbose'], /cannot be used with option/],
    [['--console-level', 'INFO', '--quiet'], /cannot be used with option/],
    [['--console-level', 'LOUD'], /Allowed choices are DEBUG, INFO, WARNING, ERROR, CRITICAL/],
  ])('%j is a wrong command line', async (words, message) => {
    const { code, err } = await train(...words);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });

  it('shows everything with debug of infer, unless a flag says otherwise', async () => {
    vi.mocked(inferWorkflow).mockImplementation(async (_config, services) => {
      services?.logger?.debug?.('a detail');
      throw new PtychoError('CANCELLED', 'Stopped.');
    });
    const infer = (...words: string[]) => cli('infer', '--model_path', 'run', '--test_data', 's.npz', ...words);
    expect((await infer('--debug')).err).toContain('debug: a detail\n');
    expect((await infer('--debug', '--console-level', 'INFO')).err).not.toContain('a detail');
    expect((await infer()).err).not.toContain('a detail');
  });
});
