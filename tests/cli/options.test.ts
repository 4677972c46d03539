/** Flags of published command lines. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { InferenceConfig, TrainingConfig } from '../../src/config/schema.js';
import { cli } from './capture.js';

interface Shown<C> {
  readonly config: C;
  readonly warnings: readonly string[];
  readonly provenance: Record<string, { readonly source: string; readonly origin?: string }>;
}

async function shown<C = TrainingConfig>(command: 'train' | 'infer', ...words: string[]): Promise<Shown<C>> {
  const { code, out, err } = await cli('config', 'show', command, '--json', ...words);
  expect([code, err]).toEqual([0, '']);
  return JSON.parse(out) as Shown<C>;
}
const train = (...words: string[]) => shown('train', ...words);
const infer = (...words: string[]) =>
  shown<InferenceConfig>('infer', '--model_path', 'm', '--test_data', 's.npz', ...words);

describe('every published flag of training', () => {
  it.each<[string, (config: TrainingConfig) => unknown, unknown]>([
    ['--torch-accelerator cpu', (c) => c.execution.accelerator, 'cpu'],
    ['--torch-deterministic', (c) => c.execution.deterministic, true],
    ['--torch-num-workers 0', (c) => c.execution.num_workers, 0],
    ['--torch-accumulate-grad-batches 4', (c) => c.execution.accum_steps, 4],
    ['--accumulate-grad-batches 4', (c) => c.execution.accum_steps, 4],
    ['--torch-learning-rate 0.01', (c) => c.learning_rate, 0.01],
    ['--learning-rate 0.01', (c) => c.learning_rate, 0.01],
    ['--torch-scheduler ReduceLROnPlateau', (c) => c.scheduler, 'ReduceLROnPlateau'],
    ['--torch-plateau-factor 0.25', (c) => c.plateau_factor, 0.25],
    ['--torch-plateau-patience 7', (c) => c.plateau_patience, 7],
    ['--torch-plateau-min-lr 1e-6', (c) => c.plateau_min_lr, 1e-6],
    ['--torch-plateau-threshold 0.1', (c) => c.plateau_threshold, 0.1],
    ['--torch-logger tensorboard', (c) => c.execution.logger_backend, 'tensorboard'],
    ['--logger none', (c) => c.execution.logger_backend, 'none'],
    ['--torch-recon-log-every-n-epochs 3', (c) => c.execution.recon_log_every_n_epochs, 3],
    ['--torch-recon-log-num-patches 3', (c) => c.execution.recon_log_num_patches, 3],
    ['--torch-recon-log-fixed-indices 1,2', (c) => c.execution.recon_log_fixed_indices, [1, 2]],
    ['--torch-recon-log-stitch', (c) => c.execution.recon_log_stitch, true],
    ['--torch-recon-log-max-stitch-samples 9', (c) => c.execution.recon_log_max_stitch_samples, 9],
    ['--no-torch-enable-checkpointing', (c) => c.execution.enable_checkpointing, false],
    ['--enable-checkpointing', (c) => c.execution.enable_checkpointing, true],
    ['--disable-checkpointing', (c) => c.execution.enable_checkpointing, false],
    ['--torch-checkpoint-save-top-k 3', (c) => c.execution.checkpoint_save_top_k, 3],
    ['--checkpoint-monitor mae', (c) => c.execution.checkpoint_monitor_metric, 'mae'],
    ['--checkpoint-mode max', (c) => c.execution.checkpoint_mode, 'max'],
    ['--early-stop-patience 3', (c) => c.execution.early_stop_patience, 3],
    ['--torch-inference-batch-size 8', (c) => c.execution.inference_batch_size, 8],
    ['--max_epochs 7', (c) => c.nepochs, 7],
    ['--torch-loss-mode mae', (c) => [c.nll_weight, c.mae_weight], [0, 1]],
    ['--profile ci', (c) => c.model.physics_forward_mode, 'rectangular_scaled'],
    ['--scale-contract-version ci_intensity_v2', (c) => c.scale_contract_version, 'ci_intensity_v2'],
    ['--log-patch-stats --patch-stats-limit 3', (c) => [c.log_patch_stats, c.patch_stats_limit], [true, 3]],
    ['--probe-mask', (c) => c.model.probe_mask, true],
    ['--do_stitching --test_data t.npz', (c) => c.do_stitching, true],
    ['--init there', (c) => c.init, 'there'],
  ])('%s acts', async (words, of, value) => {
    const { config, warnings } = await train(...words.split(' '));
    expect(of(config)).toEqual(value);
    expect(warnings).toEqual([]);
  });

  it.each<[string, (config: TrainingConfig) => unknown, unknown, string]>([
    ['--device cpu', (c) => c.execution.accelerator, 'cpu', 'device is deprecated: write --accelerator cpu.'],
    ['--device cuda', (c) => c.execution.accelerator, 'cuda', 'device is deprecated: write --accelerator cuda.'],
    [
      '--device cuda --accelerator cpu',
      (c) => c.execution.accelerator,
      'cpu',
      'device is deprecated and was left out: --accelerator cpu says where to run.',
    ],
    [
      '--disable_mlflow',
      (c) => c.execution.logger_backend,
      'none',
      'disable_mlflow is deprecated: write --logger none.',
    ],
    [
      '--disable-mlflow --logger csv',
      (c) => c.execution.logger_backend,
      'csv',
      'disable_mlflow is deprecated: write --logger csv.',
    ],
    ['--n_images 5', (c) => c.n_groups, 5, 'n_images is the former name of n_groups; write n_groups.'],
  ])('%s acts, with a warning', async (words, of, value, warning) => {
    const { config, warnings } = await train(...words.split(' '));
    expect(of(config)).toEqual(value);
    expect(warnings).toEqual([warning]);
  });

  it.each([
    [
      '--disable_mlflow --logger mlflow',
      '--disable_mlflow contradicts --logger_backend mlflow; leave one of them out.',
    ],
    [
      '--disable-checkpointing --enable-checkpointing',
      '--disable_checkpointing contradicts --enable_checkpointing; leave one of them out.',
    ],
    [
      '--torch-deterministic false',
      'deterministic: false is not available in this version; only true is (nothing is computed faster without it; leave it out).',
    ],
  ])('%s is refused', async (words, sentence) => {
    expect(await cli('train', ...words.split(' '))).toEqual({ code: 2, out: '', err: `ptychopinn: ${sentence}\n` });
  });
});

describe('flags that mean a folder without a value', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ptychopinn-bare-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('--resume is output_dir, --debug_dump a folder in it', async () => {
    expect((await train('--resume', '--output_dir', 'mine')).config.resume).toBe('mine');
    expect((await train('--resume', 'there')).config.resume).toBe('there');
    expect((await train('--resume=there')).config.resume).toBe('there');
    const file = join(folder, 'run.yaml');
    await writeFile(file, 'output_dir: from_file\n');
    expect((await train('--resume', '--config', file)).config.resume).toBe('from_file');
    expect((await infer('--debug-dump')).config.debug_dump).toBe(join('inference_outputs', 'debug_dump'));
    expect((await infer('--debug_dump', 'x', '--output_dir', 'y')).config.debug_dump).toBe('x');
    expect((await infer()).config.debug_dump).toBeNull();
  });

  it('--resume takes the configuration of the run that it goes on with', async () => {
    const run = join(folder, 'run');
    await mkdir(run);
    const { config } = await train(
      '--train_data_file',
      'scan.npz',
      '--nepochs',
      '7',
      '--profile',
      'ci',
      '--resume',
      'x',
    );
    await writeFile(join(run, 'config.json'), JSON.stringify({ config, provenance: {} }));
    const resumed = await train('--resume', run);
    expect(resumed.config).toEqual({ ...config, resume: run, output_dir: run });
    expect((await train('--resume', run, '--output_dir', 'elsewhere')).config.output_dir).toBe('elsewhere');
    expect(resumed.provenance.nepochs).toMatchObject({ source: 'file', origin: join(run, 'config.json') });
    expect((await train('--resume', run, '--nepochs', '9')).config.nepochs).toBe(9);
  });

  it('--resume does not warn of names that the run was begun with', async () => {
    const run = join(folder, 'old');
    await mkdir(run);
    const { n_groups, ...config } = (await train('--train_data_file', 'scan.npz', '--n_groups', '8')).config;
    await writeFile(join(run, 'config.json'), JSON.stringify({ config: { ...config, n_images: n_groups } }));
    const resumed = await train('--resume', run);
    expect(resumed.config.n_groups).toBe(8);
    expect(resumed.warnings).toEqual([]);
  });
});

describe('flags that concern training alone', () => {
  it.each(['--logger csv', '--checkpoint_save_top_k 3', '--accum_steps 2', '--recon_log_stitch'])(
    '%s is none of infer',
    async (words) => {
      const { code, err } = await cli('infer', '--model_path', 'm', '--test_data', 's.npz', ...words.split(' '));
      expect([code, err]).toEqual([2, expect.stringMatching(/^ptychopinn: Unknown option/)]);
    },
  );

  it('but a shared execution block may hold them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ptychopinn-shared-'));
    const file = join(folder, 'both.yaml');
    await writeFile(file, 'execution:\n  threads: 2\n  logger: csv\n  accum_steps: 4\n');
    const { out } = await cli(
      'config',
      'show',
      'infer',
      '--model_path',
      'm',
      '--test_data',
      's',
      '--json',
      '--config',
      file,
    );
    const { config, notes } = JSON.parse(out) as { config: InferenceConfig; notes: string[] };
    expect(config.execution.threads).toBe(2);
    expect(notes).toEqual([
      `${file}: logger plays no part in inference and was left out.`,
      `${file}: accum_steps plays no part in inference and was left out.`,
    ]);
    await rm(folder, { recursive: true });
  });
});
