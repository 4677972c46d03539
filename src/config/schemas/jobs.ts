/**
 * `jobs`: many runs as a plan, which a scheduler, a queue or a loop works through. What a job itself does has the fields of its verb.
 *
 * @example
 * jobsPlanSchema.parse({ verb: 'solve', output_root: 'beamtime' }).sweep; // []
 */

import { z } from 'zod';
import {
  field,
  maybe,
  offByDefault,
  oneOf,
  path,
  positiveInteger,
  required,
  text,
  textList,
} from '../../core/field.js';
import { overwriteFields } from './shared.js';

/** What a job can do. */
export const JOB_VERBS = ['solve', 'reconstruct', 'train', 'infer'] as const;

/** What the job of a plan can do besides: a step of a study, planned by `study dose-overlap --plan`. */
export const PLANNED_VERBS = [...JOB_VERBS, 'study'] as const;

/** How an attempt at a job ends, and what a scheduler is told: 75 is EX_TEMPFAIL of sysexits.h, to be asked for once more. */
export const EXIT_OF = { done: 0, again: 75, failed: 1 } as const;

/** `jobs plan`: what is done with every scan. */
export const jobsPlanSchema = z.strictObject({
  verb: required(oneOf(...JOB_VERBS), 'What is done with every scan; all flags of that command are understood, too.'),
  output_root: required(path, 'Folder of the plan; every job writes to a folder of its own below it.'),
  sweep: field(
    textList,
    [],
    'A field of the verb and its values, such as probe_modes=1,2,3: a job for each; may be repeated, for all combinations.',
  ),
  shards: maybe(
    positiveInteger,
    'infer: cut every scan into so many parts by position, a job for each, and a last job that makes the image of them; null: one job a scan.',
    { unit: 'jobs' },
  ),
  tiles: maybe(
    positiveInteger,
    'solve: the same with tiles of the object, which overlap and are put together by the last job; null: one job a scan.',
    { unit: 'jobs' },
  ),
  append: offByDefault('Add the jobs to the plan that is there.'),
  after: field(
    textList,
    [],
    'Number or name of a job of the plan that must be done before these begin, or all; with --append; may be repeated.',
  ),
  ...overwriteFields,
});

/** Configuration of `jobs plan`. */
export type JobsPlanConfig = Readonly<z.output<typeof jobsPlanSchema>>;

/** Where a queue is. */
const queueFields = {
  redis: maybe(
    text,
    'Address of Redis or Valkey, redis://HOST:6379; needs the packages bullmq and ioredis; null: none.',
  ),
  postgres: maybe(text, 'Address of PostgreSQL, postgres://USER@HOST/DATABASE; needs the package pg-boss; null: none.'),
  queue: field(text, 'ptychopinn', 'Name of the queue on its server.'),
};

/** Where a queue is, complete. */
export interface JobsQueueConfig {
  readonly redis: string | null;
  readonly postgres: string | null;
  readonly queue: string;
}

/** `jobs work`: a worker of a queue. */
export const jobsWorkSchema = z.strictObject({
  ...queueFields,
  accelerator: maybe(text, 'Where jobs compute, instead of what the plan says, such as cuda:1; null: as planned.'),
  until_done: offByDefault('End when all jobs of the plans are done or have failed.'),
});

/** Configuration of `jobs work`. */
export type JobsWorkConfig = Readonly<z.output<typeof jobsWorkSchema>>;

/** `jobs submit`: how a plan is handed to Slurm or to a queue. */
export const jobsSubmitSchema = z.strictObject({
  slurm: offByDefault('Hand the jobs to Slurm.'),
  ...queueFields,
  partition: maybe(text, 'Partition; null: the default of the cluster.'),
  account: maybe(text, 'Account that is charged; null: the default of the user.'),
  max_running: maybe(positiveInteger, 'Jobs that run at the same time, at most; null: as many as fit.', {
    unit: 'jobs',
  }),
  cpus: maybe(positiveInteger, 'Processor cores of a job; null: what the plan says, or 1.', { unit: 'cores' }),
  gpus: maybe(positiveInteger, 'GPUs of a job (--gres gpu:N); null: none.', { unit: 'GPUs' }),
  minutes: maybe(positiveInteger, 'Time limit of a job; null: three times the estimate, at least 10.', { unit: 'min' }),
  memory_mb: maybe(positiveInteger, 'Memory of a job; null: one and a half times the estimate, at least 1000.', {
    unit: 'MB',
  }),
  slurm_options: field(
    textList,
    [],
    'Another option of sbatch as it stands there, such as --constraint=skylake; may be repeated.',
  ),
  dry_run: offByDefault('Write the scripts and print what would be submitted; submit nothing.'),
});

/** Configuration of `jobs submit`. */
export type JobsSubmitConfig = Readonly<z.output<typeof jobsSubmitSchema>>;
