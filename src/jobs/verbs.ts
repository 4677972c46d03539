/** What `jobs` must know of the verbs that it runs; the work itself is handed in by whoever may call them. */
import { inferenceDefinition, reconstructDefinition, solveDefinition, trainingDefinition } from '../config/commands.js';
import type { ConfigDefinition } from '../config/definition.js';
import type { JOB_VERBS } from '../config/schemas/jobs.js';
import type { Services } from '../core/services.js';
import { STATE_FILE as SOLVER_STATE } from '../solvers/files/state.js';
import { STATE_FILE as SEARCH_STATE } from '../tries/state.js';

export type JobVerb = (typeof JOB_VERBS)[number];

/** What is particular about a verb. */
export interface JobVerbTraits {
  readonly definition: ConfigDefinition<unknown>;
  /** The field that names the scan. */
  readonly scan: 'train_data_file' | 'test_data_file';
  /** Files below the output folder from which a run that was stopped goes on; none: it begins again. */
  readonly states: readonly string[];
  /** What a run that is done must have left, besides `run.json`. */
  readonly result: string;
}

export const VERB_TRAITS: Readonly<Record<JobVerb, JobVerbTraits>> = {
  solve: {
    definition: solveDefinition,
    scan: 'test_data_file',
    states: [SOLVER_STATE],
    result: 'reconstruction.npz',
  },
  reconstruct: {
    definition: reconstructDefinition,
    scan: 'test_data_file',
    states: [SEARCH_STATE],
    result: 'reconstruction.npz',
  },
  train: {
    definition: trainingDefinition,
    scan: 'train_data_file',
    states: ['checkpoints/last.ckpt.zip'],
    result: 'wts.zip',
  },
  infer: { definition: inferenceDefinition, scan: 'test_data_file', states: [], result: 'reconstruction.npz' },
};

/** What a run of a verb came to, as far as jobs tell of it. */
export interface JobOutcome {
  /** Stopped early, in a state from which it can go on. */
  readonly cancelled: boolean;
  readonly files: readonly string[];
  /** Figures for tables, by their names. */
  readonly figures: Readonly<Record<string, number>>;
}

/** Runs a verb with a configuration that is complete. */
export type VerbRunner = (verb: JobVerb, config: unknown, services: Services) => Promise<JobOutcome>;
