/** `comparison_manifest.json`: which comparisons a study has, and how each ended. */
import { comparisonFolder, type Job } from './layout.js';

/** How one comparison ended. */
export interface ExecutionResult extends Job {
  readonly status: 'success' | 'failed';
  /** Below the folder of the study. */
  readonly output_dir: string;
  /** Names in its tables. */
  readonly models: readonly string[];
  /** Why it has no iterative arm. */
  readonly iterative_skipped?: string;
  readonly error?: string;
}

export interface ComparisonManifest {
  readonly generated_at: string;
  readonly n_success: number;
  readonly n_failed: number;
  readonly n_executed: number;
  readonly execution_results: readonly ExecutionResult[];
}

/** Counts what happened. */
export function comparisonManifest(results: readonly ExecutionResult[], generated_at: string): ComparisonManifest {
  const n_success = results.filter(({ status }) => status === 'success').length;
  return {
    generated_at,
    n_success,
    n_failed: results.length - n_success,
    n_executed: results.length,
    execution_results: results,
  };
}

/** The record of a comparison. */
export const executionResult = (
  job: Job,
  outcome: Pick<ExecutionResult, 'status' | 'models' | 'iterative_skipped' | 'error'>,
): ExecutionResult => ({ ...job, output_dir: comparisonFolder(job), ...outcome });
