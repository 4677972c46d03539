/**
 * `solve`: a scan reconstructed by an iterative algorithm, without a network.
 *
 * @example
 * solveConfigSchema.parse({ test_data_file: 'scan.npz', algorithm: 'lsqml' }).output_dir; // 'solver_outputs'
 */

import { z } from 'zod';
import { field, required } from '../field.js';
import { anyNumber, optional, path, positiveInteger, positiveNumber, seedNumber, text } from '../kinds.js';
import { type DataConfig, dataConfigSchema } from './data.js';
import { type ExecutionConfig, executionConfigSchema } from './execution.js';
import { overwriteFields } from './output.js';
import { sourceFields } from './sampling.js';
import { solverFields } from './solver.js';

const local = { legacyKey: null } as const;

const scanFields = {
  test_data_file: required(path, 'Scan to reconstruct.', { ...local, aliases: ['test_data'] }),
  output_dir: field(path, 'solver_outputs', 'Folder of the reconstruction and its pictures; made if missing.', local),
  ...overwriteFields,
  n_subsample: field(optional(positiveInteger), null, 'Patterns that are used, drawn at random; null: all.', {
    ...local,
    unit: 'patterns',
  }),
  subsample_seed: field(optional(seedNumber), null, 'Seed of that draw, NumPy-compatible; null: the value of seed.', local), // biome-ignore format: one line a field
};

const beginningFields = {
  init: field(
    optional(text),
    null,
    'Begin with an image: a trained bundle (which reconstructs the scan first), reconstruction.npz or the folder of infer or solve, or a product of Ptychodus; null: an empty object and the probe of the scan.',
    local,
  ),
  resume: field(
    optional(path),
    null,
    'Go on with the run in this folder from its last state; the result is that of a run that was never interrupted. More epochs make a finished run longer.',
    local,
  ),
};

const outputFields = {
  save_every: field(
    optional(positiveInteger),
    10,
    'Write the state from which the run can go on after so many epochs; null: at the end only.',
    { ...local, unit: 'epochs' },
  ),
  preview_seconds: field(
    optional(positiveNumber),
    null,
    'Write the pictures anew every so many seconds while it works; null: at the end only.',
    { ...local, unit: 's' },
  ),
  phase_vmin: field(optional(anyNumber), null, 'Phase at the low end of the colours; null: from the image.', {
    ...local,
    unit: 'rad',
  }),
  phase_vmax: field(optional(anyNumber), null, 'Phase at the high end of the colours; null: from the image.', {
    ...local,
    unit: 'rad',
  }),
  product_file: field(
    optional(path),
    null,
    'Also write the result as a product of Ptychodus, HDF5 (.h5) or NPZ (.npz); null: none.',
    local,
  ),
};

type SolverField = keyof typeof solverFields;

const some = <K extends SolverField>(...names: readonly K[]) =>
  Object.fromEntries(names.map((name) => [name, solverFields[name]])) as Pick<typeof solverFields, K>;

const beginningWith = (prefix: string) => (Object.keys(solverFields) as SolverField[]).filter((n) => n.startsWith(prefix)); // biome-ignore format: one line

const essentials = ['algorithm', 'epochs', 'engine', 'seed'] as const;
const objectFields = ['object_start', 'object_stop', 'object_stride', 'tv_weight'] as const;
const probeFields = [
  ...(['probe_start', 'probe_stop', 'probe_stride', 'probe_modes', 'probe_mode_share', 'orthogonalise_stride'] as const),
  ...(['rescale_probe', 'hold_probe_power', 'probe_power_counts', 'probe_support'] as const),
] as const; // biome-ignore format: two lines
const positionFields = beginningWith('position_');
const grouped = new Set<SolverField>([...essentials, ...objectFields, ...probeFields, ...positionFields]);
/** What no other title claims. */
const stepFields = (Object.keys(solverFields) as SolverField[]).filter((name) => !grouped.has(name));

/** The fields under the titles of the help. */
export const SOLVE_GROUPS: Readonly<Record<string, z.ZodRawShape>> = {
  Solving: { ...scanFields, ...some(...essentials), ...beginningFields },
  Steps: some(...stepFields),
  Object: some(...objectFields),
  Probe: some(...probeFields),
  Positions: some(...positionFields),
  Output: outputFields,
  Source: sourceFields,
};

/** A scan and how it is solved. */
export const solveConfigSchema = z
  .strictObject({
    ...scanFields,
    ...solverFields,
    ...beginningFields,
    ...outputFields,
    ...sourceFields,
    data: dataConfigSchema.prefault({}),
    execution: executionConfigSchema.pick({ accelerator: true, threads: true }).prefault({}),
  })
  .superRefine(({ engine, execution }, context) => {
    if (engine !== 'host' || execution.accelerator !== 'cuda') return;
    context.addIssue({
      code: 'custom',
      path: ['engine'],
      message: 'engine: host computes on the processor, but accelerator is cuda; leave one of them out.',
    });
  });

/** See {@link solveConfigSchema}. */
export type SolveConfig = Readonly<
  Omit<z.output<typeof solveConfigSchema>, 'data' | 'execution'> & {
    data: DataConfig;
    execution: Pick<ExecutionConfig, 'accelerator' | 'threads'>;
  }
>;
