/** What `jobs` must know of the verbs that it runs; the work itself is handed in by whoever may call them. */
import path from 'node:path';
import {
  inferenceDefinition,
  reconstructDefinition,
  solveDefinition,
  studyJobDefinition,
  trainingDefinition,
} from '../config/commands.js';
import type { ConfigDefinition } from '../config/definition.js';
import type { JOB_VERBS, PLANNED_VERBS } from '../config/schemas/jobs.js';
import type { StudyJobConfig } from '../config/schemas/study.js';
import { noteIdle } from '../config/solverIdle.js';
import type { Services } from '../core/services.js';
import { SHARD_FILE } from '../reconstruction/shards/shardFile.js';
import { STATE_FILE as SOLVER_STATE } from '../solvers/files/state.js';
import { STATE_FILE as SEARCH_STATE } from '../tries/state.js';
import type { PlannedJob } from './plan.js';

/** What is planned for scans. */
export type JobVerb = (typeof JOB_VERBS)[number];
/** What a job can do. */
export type PlannedVerb = (typeof PLANNED_VERBS)[number];

/** What is particular about a verb. */
export interface JobVerbTraits {
  readonly definition: ConfigDefinition<unknown>;
  /** Files below the output folder from which a run that was stopped goes on; none: it begins again; null: it knows itself how far it is. */
  readonly states: readonly string[] | null;
  /** What a run that is done must have left, besides `run.json`: below its folder, or by its configuration. */
  readonly result: string | ((config: unknown) => string);
}

/** The field that names the scan. */
export const SCAN_FIELD: Readonly<Record<JobVerb, 'train_data_file' | 'test_data_file'>> = {
  solve: 'test_data_file',
  reconstruct: 'test_data_file',
  train: 'train_data_file',
  infer: 'test_data_file',
};

export const VERB_TRAITS: Readonly<Record<PlannedVerb, JobVerbTraits>> = {
  solve: {
    // What does nothing in any job is refused when they are planned.
    definition: { ...solveDefinition, expand: noteIdle },
    states: [SOLVER_STATE],
    result: 'reconstruction.npz',
  },
  reconstruct: {
    definition: reconstructDefinition,
    states: [SEARCH_STATE],
    result: 'reconstruction.npz',
  },
  train: {
    definition: trainingDefinition,
    states: ['checkpoints/last.ckpt.zip'],
    result: 'wts.zip',
  },
  infer: { definition: inferenceDefinition, states: [], result: 'reconstruction.npz' },
  study: { definition: studyJobDefinition, states: null, result: (config) => (config as StudyJobConfig).result },
};

/** The file that a job leaves when it is done. */
export function resultFileOf({ verb, config, output_dir }: PlannedJob): string {
  const { result } = VERB_TRAITS[verb];
  if (typeof result === 'function') return result(config);
  const part = verb === 'infer' && typeof config.shard === 'string';
  return path.join(output_dir, part ? SHARD_FILE : result);
}

/** What a run of a verb came to, as far as jobs tell of it. */
export interface JobOutcome {
  /** Stopped early, in a state from which it can go on. */
  readonly cancelled: boolean;
  readonly files: readonly string[];
  /** Figures for tables, by their names. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Runs a verb with a configuration that is complete. */
export type VerbRunner = (verb: PlannedVerb, config: unknown, services: Services) => Promise<JobOutcome>;
