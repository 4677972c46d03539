/**
 * The machine that a run uses: the block `execution`. Nothing in it changes what is computed beyond rounding, and nothing
 * of it ever enters the legacy dictionary (CONFIG-002).
 *
 * @example
 * executionConfigSchema.parse({ threads: 2 }).accelerator; // 'auto'
 */

import { z } from 'zod';
import {
  type FieldMeta,
  field,
  flag,
  type Kind,
  maybe,
  oneOf,
  optional,
  orWord,
  positiveInteger,
  text,
  wholeNumber,
  wholeNumbers,
  wordList,
} from '../../core/field.js';
import { dataConfigSchema } from './data.js';

/** Concerns training alone. */
const ofTraining = <S extends z.ZodType>(
  of: Kind<S>,
  fallback: z.output<S>,
  description: string,
  meta: FieldMeta = {},
) => field(of, fallback, description, { ...meta, trainingOnly: true });
const fixed = <S extends z.ZodType>(
  of: Kind<S>,
  fallback: z.output<S>,
  description: string,
  instead?: string,
  aliases: readonly string[] = [],
) => field(of, fallback, description, { fixed: true, instead, aliases });

/** TensorFlow.js engines, the better ones first. */
export const TFJS_ENGINES = ['tfjs-node-gpu', 'tfjs-node', 'wasm', 'cpu'] as const;

/** Where programs can run; `auto` chooses. */
export const ACCELERATORS = ['auto', 'cuda', 'webgpu', 'coreml', 'directml', 'cpu'] as const;

/** Of which a machine may have several, told apart by a number from 0: `cuda:1`. */
const NUMBERED = ['cuda', 'webgpu', 'directml'] as const;

const numbered = `(?:${NUMBERED.join('|')}):\\d{1,2}`;
const accelerators = {
  schema: z.union([
    z.enum(ACCELERATORS),
    z
      .string()
      .regex(new RegExp(`^${numbered}(?:,${numbered})*$`), { abort: true })
      .refine((written) => new Set(written.split(',')).size === written.split(',').length, { abort: true }),
  ]),
  expected: `${wordList(ACCELERATORS, 'or')}, a numbered device such as cuda:1, or several, each once, such as cuda:0,cuda:1`,
};

/** A device that is asked for: `cuda` is whatever the engine takes first, `cuda` with a number that one. */
export interface AskedDevice {
  readonly accelerator: (typeof ACCELERATORS)[number];
  readonly number?: number;
}

/** The devices that `accelerator` names: one, or several in order. */
export function askedDevices(accelerator: string): readonly AskedDevice[] {
  return accelerator.split(',').map((written) => {
    const [word, number] = written.split(':');
    return {
      accelerator: word as AskedDevice['accelerator'],
      ...(number === undefined ? {} : { number: Number(number) }),
    };
  });
}

const reader = 'prefetch_factor says how many batches are read ahead';

/** The fields of every command that computes. */
export const deviceFields = {
  accelerator: field(
    accelerators,
    'auto',
    'Where programs run: auto takes CUDA, then WebGPU on a real GPU, where they work, and the CPU otherwise; any other word requires that device, with a number that one of several (cuda:1). train and infer share their work out where several are named (cuda:0,cuda:1). All but cuda and cpu need backend onnx.',
    {
      unavailable: ['tpu'],
      instead: 'no engine of this package runs on one',
      valueAliases: {
        gpu: { value: 'cuda', note: 'accelerator gpu means cuda; webgpu is any GPU.' },
        mps: { value: 'webgpu', note: 'accelerator mps means webgpu, which runs on Metal.' },
      },
      aliases: ['torch_accelerator'],
    },
  ),
  precision: field(
    oneOf('32-true', 'tf32', '16-mixed'),
    '32-true',
    'Precision of the computation: 32-true is single; tf32 allows CUDA its shorter products; 16-mixed takes convolutions of predictions in half precision where the device has it and they stay within 1 % of single. Training is single with both of the others, too, but for tf32 on CUDA.',
    {
      unavailable: ['bf16-mixed'],
      instead: 'no engine of this package has it; use 16-mixed or tf32',
      valueAliases: {
        fp32: { value: '32-true', note: 'precision fp32 means 32-true.' },
        fp16: { value: '16-mixed', note: 'precision fp16 means 16-mixed.' },
        bf16: { value: 'bf16-mixed', note: 'precision bf16 means bf16-mixed.' },
      },
    },
  ),
  threads: maybe(
    positiveInteger,
    'CPU threads of the engine; null: one per core (one in all for wasm, where more are experimental; solvers take fewer for small batches).',
    { unit: 'threads' },
  ),
};

export const executionFields = {
  accelerator: deviceFields.accelerator,
  engine: maybe(
    oneOf(...TFJS_ENGINES),
    'TensorFlow.js engine (backend tensorflow only); null: the fastest that works.',
  ),
  threads: deviceFields.threads,
  inference_batch_size: maybe(
    positiveInteger,
    'Groups per prediction in infer, instead of its batch_size, and in the previews of train.',
    { unit: 'groups', aliases: ['torch_inference_batch_size'] },
  ),
  devices: ofTraining(
    orWord(positiveInteger, 'auto'),
    1,
    'Workers: engines that share every batch and average their gradients, and the threads among them; auto: one for each device that accelerator names. batch_size is that of all workers together, so that their number changes a step by rounding only, which many steps enlarge.',
    { aliases: ['workers'] },
  ),
  strategy: ofTraining(
    oneOf('auto', 'ddp'),
    'auto',
    'How workers share the work: auto and ddp both mean that each has all weights and a share of every batch.',
    {
      unavailable: ['fsdp', 'deepspeed'],
      instead: 'devices says how many engines share the work, each with all weights',
      valueAliases: Object.fromEntries([
        ['single_device', { value: 'auto', note: 'strategy single_device means auto; devices 1 is one engine.' }],
        ...[
          'dp',
          'ddp_spawn',
          'ddp_fork',
          'ddp_notebook',
          'ddp_find_unused_parameters_true',
          'ddp_find_unused_parameters_false',
        ].map((word) => [word, { value: 'ddp', note: `strategy ${word} means ddp.` }]),
      ]),
    },
  ),
  deterministic: fixed(
    orWord(flag, 'warn'),
    true,
    'The same seed gives the same draws, weights and order of batches.',
    'nothing is computed faster without it; leave it out',
    ['torch_deterministic'],
  ),
  precision: deviceFields.precision,
  accum_steps: ofTraining(positiveInteger, 1, 'Number of batches whose gradients are averaged for one step.', {
    aliases: ['torch_accumulate_grad_batches', 'accumulate_grad_batches'],
  }),
  num_workers: fixed(wholeNumber, 0, 'Processes that read batches.', reader, ['torch_num_workers']),
  pin_memory: fixed(
    flag,
    false,
    'Keep batches in page-locked memory.',
    'engines here take batches from ordinary memory; leave it out',
  ),
  persistent_workers: fixed(flag, false, 'Keep reading processes between epochs.', reader),
  prefetch_factor: maybe(positiveInteger, 'Batches to read ahead while the engine works; null: two.', {
    unit: 'batches',
  }),
  enable_progress_bar: fixed(flag, false, 'Progress bar of a trainer.', 'progress is shown unless --quiet is given'),
  enable_checkpointing: ofTraining(
    flag,
    true,
    'Keep checkpoints, so that a run can be resumed; the best epoch goes into wts.zip in any case.',
    { aliases: ['torch_enable_checkpointing'] },
  ),
  checkpoint_save_top_k: ofTraining(
    wholeNumber,
    1,
    'How many of the best epochs to keep in checkpoints/, besides the last.',
    {
      unit: 'epochs',
      aliases: ['torch_checkpoint_save_top_k'],
    },
  ),
  checkpoint_monitor_metric: ofTraining(
    text,
    'val_loss',
    'What the best epoch is judged by: a column of history.csv; without validation, val_loss means loss.',
    { aliases: ['checkpoint_monitor'] },
  ),
  checkpoint_mode: ofTraining(oneOf('min', 'max'), 'min', 'Whether a lower or a higher monitored value is better.'),
  early_stop_patience: ofTraining(
    positiveInteger,
    100,
    'Epochs without improvement of the monitored value before training stops.',
    { unit: 'epochs' },
  ),
  logger_backend: ofTraining(
    oneOf('csv', 'tensorboard', 'mlflow', 'none'),
    'csv',
    'Where losses and previews go besides history.csv: tensorboard writes event files, mlflow sends them to a tracking server.',
    { aliases: ['torch_logger', 'logger'] },
  ),
  mlflow_tracking_uri: maybe(
    text,
    'Address of the MLflow tracking server; null: the environment variable MLFLOW_TRACKING_URI.',
  ),
  mlflow_allow_file: maybe(
    text,
    'Local folder from which artifacts may be read that an MLflow server keeps as files (file:); null: no server leads to a local file.',
  ),
  mlflow_experiment: ofTraining(text, 'ptychopinn', 'Name of the MLflow experiment; created if missing.'),
  recon_log_every_n_epochs: ofTraining(
    optional(positiveInteger),
    null,
    'Draw predicted patches every so many epochs, to previews/ and to the logger; null: never.',
    { unit: 'epochs', aliases: ['torch_recon_log_every_n_epochs'] },
  ),
  recon_log_num_patches: ofTraining(positiveInteger, 4, 'Number of patches to draw.', {
    aliases: ['torch_recon_log_num_patches'],
  }),
  recon_log_fixed_indices: ofTraining(optional(wholeNumbers), null, 'Which groups to draw; null: evenly spaced ones.', {
    aliases: ['torch_recon_log_fixed_indices'],
  }),
  recon_log_stitch: ofTraining(flag, false, 'Draw the stitched image, too.', { aliases: ['torch_recon_log_stitch'] }),
  recon_log_max_stitch_samples: ofTraining(
    optional(positiveInteger),
    null,
    'Groups in the stitched preview; null: all.',
    {
      unit: 'groups',
      aliases: ['torch_recon_log_max_stitch_samples'],
    },
  ),
  middle_trim: field(wholeNumber, 0, 'In infer: the same as stitch_crop_px; 0: that decides.', { unit: 'px' }),
  pad_eval: field(flag, false, 'Accepted without effect, which it has none in the published tools either.'),
};

/** The machine: nothing in it changes what is computed beyond rounding. */
export const executionConfigSchema = z.strictObject(executionFields);

/** Where a command computes that has no use for the rest. */
export const deviceConfigSchema = z.strictObject(deviceFields);

/** The blocks of a command that opens a scan and runs a network. */
export const networkBlocks = { data: dataConfigSchema.prefault({}), execution: executionConfigSchema.prefault({}) };
export type { ExecutionConfig } from '../interfaces.js';

/** `engine` picks among the engines of one backend. */
export function checkEngine(
  config: { readonly backend?: string; readonly execution: { readonly engine: string | null } },
  context: z.RefinementCtx,
): void {
  const { engine } = config.execution;
  if (engine === null || config.backend === 'tensorflow') return;
  context.addIssue({
    code: 'custom',
    path: ['execution', 'engine'],
    message: `engine: ${engine} is an engine of TensorFlow.js and needs backend tensorflow; leave engine out, or set backend to tensorflow.`,
  });
}
