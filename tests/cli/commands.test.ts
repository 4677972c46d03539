/** How commands hand flags to workflows and report what these did; the workflows themselves are replaced. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCli } from '../../src/cli/program.js';
import type { TrainingRequest } from '../../src/config/schema.js';
import { PtychoError } from '../../src/core/errors.js';
import { demoWorkflow } from '../../src/workflows/demo.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { reconstructScanWorkflow } from '../../src/workflows/reconstructScan.js';
import { simulateWorkflow } from '../../src/workflows/simulate.js';
import { solveWorkflow } from '../../src/workflows/solve.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { capture, cli } from './capture.js';

vi.mock('../../src/workflows/train.js', () => ({ trainWorkflow: vi.fn() }));
vi.mock('../../src/workflows/infer.js', () => ({ inferWorkflow: vi.fn() }));
vi.mock('../../src/workflows/solve.js', () => ({ solveWorkflow: vi.fn(), solveTilesWorkflow: vi.fn() }));
vi.mock('../../src/workflows/demo.js', () => ({ demoWorkflow: vi.fn() }));
vi.mock('../../src/workflows/reconstructScan.js', () => ({ reconstructScanWorkflow: vi.fn() }));
vi.mock('../../src/workflows/simulate.js', () => ({ simulateWorkflow: vi.fn() }));

const trained = {
  epochs: 5,
  bestEpoch: 4,
  bestLoss: 0.123456789,
  monitored: 'val_loss',
  rFactor: { heldOut: true, network: 0.1506, constant: 0.2612 },
  seconds: 75,
  patternsPerSecond: 321.4,
  outputDir: 'run',
  cancelled: false,
  stoppedEarly: false,
  resumedAfter: 0,
  files: ['wts.zip', 'history.csv', 'config.json', 'run.json'],
  device: 'cpu' as const,
  history: [],
};

beforeEach(() => {
  vi.mocked(trainWorkflow).mockReset().mockResolvedValue(trained);
  vi.mocked(inferWorkflow).mockReset();
  vi.mocked(demoWorkflow).mockReset();
  vi.mocked(solveWorkflow).mockReset();
  vi.mocked(simulateWorkflow).mockReset();
});

describe('train', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ptychopinn-cli-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('takes flags in both spellings over the file, and says what was trained', async () => {
    const file = join(folder, 'run.yaml');
    await writeFile(file, 'preset: measured\nnepochs: 40\nbatch_size: 8\nmodel:\n  gridsize: 2\n  probe_big: true\n');
    const words = [
      '--train-data-file',
      'scan.npz',
      '--nepochs',
      '5',
      '--no-probe-big',
      '--threads=1',
      '--config',
      file,
    ];
    const { code, out, err } = await cli('train', ...words);
    expect([code, err]).toEqual([0, '']);
    expect(out).toBe(
      'Trained 5 epochs in 1:15 (321 patterns/s); best epoch 4: val_loss 0.123457.\n' +
        'Held-out R 0.151, the best constant object 0.261.\n' +
        'Written to run: wts.zip, history.csv, config.json, run.json, logs/debug.log.\n',
    );
    const [given, services] = vi.mocked(trainWorkflow).mock.calls[0];
    const config = given as TrainingRequest;
    expect(config).toMatchObject({ train_data_file: 'scan.npz', nepochs: 5, batch_size: 8 });
    expect(config.model).toMatchObject({ gridsize: 2, probe_big: false });
    expect('N' in config.model).toBe(false);
    expect(config.execution.threads).toBe(1);
    expect(services?.provenance).toMatchObject({
      nepochs: { value: 5, source: 'flag' },
      batch_size: { value: 8, source: 'file', origin: file },
      probe_big: { value: false, source: 'flag' },
      seed: { value: 0, source: 'default' },
    });
  });

  it('is silent with --quiet, but for warnings', async () => {
    vi.mocked(trainWorkflow).mockImplementation(async (_config, services) => {
      services?.onProgress?.({ stage: 'training', done: 1, total: 2, unit: 'groups' });
      services?.logger?.info('a fact');
      services?.logger?.warn('POLICY-001: no CUDA.');
      return trained;
    });
    expect(await cli('train', '--train_data_file', 'scan.npz', '--quiet')).toEqual({
      code: 0,
      out: '',
      err: 'warning: POLICY-001: no CUDA.\n',
    });
  });

  it('ends with 130 after Ctrl-C, the best epoch saved', async () => {
    const captured = capture();
    vi.mocked(trainWorkflow).mockImplementation(async (_config, services) => {
      captured.signals.emit('SIGINT');
      return { ...trained, cancelled: services?.signal?.aborted ?? false };
    });
    expect(await runCli(['train', '--train_data_file', 'scan.npz'], captured.context)).toBe(130);
    expect(captured.err()).toContain('interrupted: finishing this step and saving the best epoch');
    expect(captured.out()).toMatch(/^Interrupted after 5 epochs in 1:15/);
  });

  it('turns what the workflow throws into one sentence', async () => {
    vi.mocked(trainWorkflow).mockRejectedValue(new PtychoError('DATASET_VALUE', 'scan.npz holds NaN.', {}));
    expect(await cli('train', '--train_data_file', 'scan.npz')).toEqual({
      code: 1,
      out: '',
      err: 'ptychopinn: scan.npz holds NaN.\n',
    });
  });
});

describe('infer', () => {
  it('accepts --test_data and prints patterns per second of each stage', async () => {
    vi.mocked(inferWorkflow).mockResolvedValue({
      stages: [
        { name: 'predict', seconds: 2, patternsPerSecond: 144.5 },
        { name: 'stitch', seconds: 0.01, patternsPerSecond: 28900 },
      ],
      patterns: 289,
      outputDir: 'image',
      files: ['reconstruction.npz', 'run.json'],
      coverage: 0.9,
      cancelled: false,
      rFactor: { image: 0.2345, constant: 0.4011, noise: 0.2, patterns: 64, probe: 'scan', probeScale: 1.5 },
      stitched: {} as never,
    });
    const { code, out } = await cli('infer', '--model_path', 'run', '--test-data', 'scan.npz', '--output_dir', 'image');
    expect(code).toBe(0);
    expect(out).toBe(
      'stage     time  patterns/s\n' +
        'predict  2.0 s         145\n' +
        'stitch   0.0 s      28,900\n' +
        'Amplitude R-factor 0.234 on 64 patterns (a constant object: 0.401; counting noise alone: about 0.20), ' +
        'with the probe of the scan, scaled by 1.50 to the counts of the scan.\n' +
        'Reconstructed from 289 patterns, written to image: reconstruction.npz, run.json, logs/debug.log.\n',
    );
    expect(vi.mocked(inferWorkflow).mock.calls[0][0]).toMatchObject({
      model_path: 'run',
      test_data_file: 'scan.npz',
      output_dir: 'image',
    });
  });
});

describe('an image that is no better than a constant object', () => {
  const inferred = {
    stages: [],
    patterns: 289,
    outputDir: 'image',
    files: ['run.json'],
    coverage: 0.9,
    cancelled: false,
    rFactor: { image: 0.3, constant: 0.3, noise: 0.2, patterns: 64, probe: 'scan', probeScale: 1 } as const,
    stitched: {} as never,
  };
  const advice =
    'warning: The image explains the patterns no better than a constant object does (R-factor 0.300 against 0.300): ';

  it('comes with advice, and with exit code 3 where that is asked for', async () => {
    vi.mocked(inferWorkflow).mockResolvedValue(inferred);
    const { code, err } = await cli('infer', 's.npz', '--model_path', 'run', '--quiet');
    expect(code).toBe(0);
    expect(err).toContain(advice);
    expect(err).toContain('"ptychopinn orient s.npz"');
    expect((await cli('infer', 's.npz', '--model_path', 'run', '--strict')).code).toBe(3);
  });

  it('is not advised to do what was done', async () => {
    const rFactor = { ...inferred.rFactor, noise: 0.1, image: 0.2 };
    vi.mocked(inferWorkflow).mockResolvedValue({ ...inferred, rFactor });
    const advised = async (...flags: string[]) => (await cli('infer', 's.npz', '--model_path', 'run', ...flags)).err;
    expect(await advised()).toContain('--refine lsqml:20 (a solver, from this image), --refine_positions 5');
    expect(await advised('--refine', 'lsqml:20')).toContain('photon: --refine_positions 5 (positions that are off) or');
    expect(await advised('--refine_positions', '5')).toContain('(a solver, from this image) or longer training');
  });

  it('is interrupted all the same, and no better image is spoken of', async () => {
    vi.mocked(inferWorkflow).mockResolvedValue({ ...inferred, cancelled: true });
    expect((await cli('infer', 's.npz', '--model_path', 'run', '--strict')).code).toBe(130);
    vi.mocked(inferWorkflow).mockResolvedValue({ ...inferred, rFactor: { ...inferred.rFactor, image: 0.299 } });
    const better = await cli('infer', 's.npz', '--model_path', 'run', '--strict');
    expect(better.code).toBe(0);
    expect(better.err).not.toContain('constant object');
    // Just below one and a half times the noise.
    expect(better.err).not.toContain('counting');
    // Nobody measured R.
    vi.mocked(inferWorkflow).mockResolvedValue({ ...inferred, rFactor: undefined });
    expect((await cli('infer', 's.npz', '--model_path', 'run', '--strict')).code).toBe(0);
  });
});

describe('an image that leaves more than the noise of counting', () => {
  const solved = {
    ...{ algorithm: 'rPIE', epochs: 3, resumedAfter: 0, patterns: 49, seconds: 1, patternsPerSecond: 49 },
    ...{ rFactorStart: 0.4, rFactor: 0.31, loss: 0.1, shift_px: 0, engine: 'SIMD', outputDir: 'solved', files: [] },
    ...{ cancelled: false, history: [] },
  };
  const scored = (image: number, noise?: number) => ({
    ...solved,
    score: {
      image,
      constant: 0.4,
      patterns: 49,
      probe: 'reconstruction',
      probeScale: 1,
      ...(noise && { noise }),
    } as const,
  });

  it('comes with what may bring it down; without counts there is no such noise', async () => {
    vi.mocked(solveWorkflow).mockResolvedValue(scored(0.32, 0.2));
    const { code, out, err } = await cli('solve', 's.npz', '--strict');
    expect(code).toBe(0);
    expect(out).toContain(
      'As evaluate measures it: 0.320 on 49 patterns (a constant object: 0.400; counting noise alone: about 0.20), with the probe of the reconstruction.',
    );
    expect(err).toContain(
      'leaves an R-factor of 0.320, 1.6 times the 0.20 that the noise of counting would leave if each count is one photon: more --epochs,',
    );
    for (const score of [scored(0.29, 0.2), scored(0.31)]) {
      vi.mocked(solveWorkflow).mockResolvedValue(score);
      expect((await cli('solve', 's.npz')).err).not.toContain('counting');
    }
  });
});

describe('reconstruct', () => {
  type Summary = Awaited<ReturnType<typeof reconstructScanWorkflow>>;
  const found = (over: object) =>
    ({
      algorithm: 'rPIE',
      engine: 'SIMD',
      history: [],
      tried: [],
      next: [],
      files: [],
      text: { summary: 'R is 0.101.' },
      score: { image: 0.12, constant: 0.47, noise: 0.072, patterns: 64, probe: 'reconstruction', probeScale: 1 },
      measured: true,
      rFactor: 0.101,
      hurried: false,
      ...over,
    }) as unknown as Summary;

  it.each([
    ['the R that it prints, not that of the sample', {}, null],
    ['that of the sample where no other was measured', { measured: false }, 'an R-factor of 0.120, 1.7 times'],
    ['a probe where the image came to rest', { rFactor: 0.2 }, 'one photon: another --probe may bring it down'],
    ['time where there was none', { rFactor: 0.2, hurried: true }, 'another --probe or more --minutes may bring'],
  ])('advises by %s', async (_, over, advice) => {
    vi.mocked(reconstructScanWorkflow).mockResolvedValue(found(over));
    const { code, err } = await cli('reconstruct', 's.npz', '--strict');
    expect(code).toBe(0);
    if (advice === null) expect(err).not.toContain('leaves an R-factor');
    else expect(err).toContain(advice);
  });

  it('with --strict ends with 3 where R over all patterns is that of a constant object', async () => {
    vi.mocked(reconstructScanWorkflow).mockResolvedValue(found({ rFactor: 0.48 }));
    expect((await cli('reconstruct', 's.npz', '--strict')).code).toBe(3);
  });
});

describe('demo and simulate', () => {
  it('demo hands on its few choices', async () => {
    vi.mocked(demoWorkflow).mockResolvedValue({
      metrics: { phase_pearson: 0.81234 },
      seconds: 170,
      files: ['index.html'],
    });
    const { code, out } = await cli(
      'demo',
      '--output_dir',
      'out',
      '--nepochs',
      '3',
      '--threads',
      '2',
      '--gridsize',
      '2',
    );
    expect(code).toBe(0);
    expect(out).toBe('metric          value\nphase_pearson  0.8123\nDone in 2:50, written to out: index.html.\n');
    expect(vi.mocked(demoWorkflow).mock.calls[0][0]).toEqual({
      outputDir: 'out',
      seed: 0,
      epochs: 3,
      gridsize: 2,
      accelerator: 'auto',
      threads: 2,
      overwrite: false,
    });
  });

  it('simulate takes its numbers typed', async () => {
    vi.mocked(simulateWorkflow).mockResolvedValue({ path: 'a.npz', count: 1024, N: 64 });
    const { code, out } = await cli(
      'simulate',
      '--output_file',
      'a.npz',
      '--photons',
      '1e5',
      '--no-noise',
      '--N',
      '128',
    );
    expect([code, out]).toEqual([0, 'Written a.npz: 1,024 patterns of 64 × 64.\n']);
    expect(vi.mocked(simulateWorkflow).mock.calls[0][0]).toMatchObject({ photons: 1e5, noise: false, N: 128 });
  });
});
