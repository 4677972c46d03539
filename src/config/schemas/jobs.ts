/**
 * `jobs`: many runs as a plan, which a scheduler, a queue or a loop works through. What a job itself does has the fields of its verb.
 *
 * @example
 * jobsPlanSchema.parse({ verb: 'solve', output_root: 'beamtime' }).sweep; // []
 */

import { z } from 'zod';
import { field, maybe, offByDefault, oneOf, path, positiveInteger, required, text, textList } from '../field.js';
import { overwriteFields } from './shared.js';

/** What a job can do. */
export const JOB_VERBS = ['solve', 'reconstruct', 'train', 'infer'] as const;

/** `jobs plan`: what is done with every scan. */
export const jobsPlanSchema = z.strictObject({
  verb: required(oneOf(...JOB_VERBS), 'What is done with every scan; all flags of that command are understood, too.'),
  output_root: required(path, 'Folder of the plan; every job writes to a folder of its own below it.'),
  sweep: field(
    textList,
    [],
    'A field of the verb and its values, such as probe_modes=1,2,3: a job for each; may be repeated, for all combinations.',
  ),
  append: offByDefault('Add the jobs to the plan that is there.'),
  after: field(
    textList,
    [],
    'Number or name of a job of the plan that must be done before these begin, or all; with --append; may be repeated.',
  ),
  ...overwriteFields,
});

export type JobsPlanConfig = Readonly<z.output<typeof jobsPlanSchema>>;

/** `jobs submit`: how a plan is handed to Slurm. */
export const jobsSubmitSchema = z.strictObject({
  slurm: offByDefault('Hand the jobs to Slurm; needed, to say which scheduler it is.'),
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

export type JobsSubmitConfig = Readonly<z.output<typeof jobsSubmitSchema>>;
