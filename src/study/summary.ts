/** The numbers of a study: read from the tables of its comparisons, averaged, and subtracted from each other; and how each comparison ended. */
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import type { StudyConfig } from '../config/schemas/study.js';
import { PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { meanOf } from '../core/numbers.js';
import { METRIC_NAMES } from '../evaluation/reference.js';
import { comparisonFolder, iterativeName, type Job, jobsOf, type Split, SUMMARY } from './layout.js';

/** A number, or the word for what is none: `NaN`, `inf`, `-inf`. */
export type Shown = number | string;
/** Amplitude and phase of a metric, or its one value. */
export type Values = Readonly<Partial<Record<'amplitude' | 'phase' | 'value', Shown>>>;
/** Model → metric → values. */
export type Scores = Readonly<Record<string, Readonly<Record<string, Values>>>>;

/** One comparison in numbers. */
export interface JobSummary extends Job {
  /** `comparison_metrics.csv`. */
  readonly reference: Scores;
  /** `comparison_metrics_standard.csv`. */
  readonly standard: Scores;
  /** `comparison_floors.csv`, by floor, family and metric. */
  readonly floors: Readonly<Record<string, Scores>>;
}

/** Mean and best over the comparisons that count, and how many these are. */
export interface Aggregate {
  readonly mean: Shown;
  readonly best: Shown;
  readonly n: number;
}

/** `metrics_summary.json`. */
export interface MetricsSummary {
  readonly generated_at: string;
  readonly study_format: 1;
  /** Comparisons that succeeded. */
  readonly n_jobs: number;
  /** `test` where the study compares it: what the averages are of. */
  readonly aggregate_split: Split;
  /** Name of the iterative arm in tables. */
  readonly iterative: string;
  readonly jobs: readonly JobSummary[];
  readonly aggregate_metrics: Readonly<
    Record<string, Readonly<Record<string, Readonly<Record<'amplitude' | 'phase', Aggregate>>>>>
  >;
}

/** One metric of two models, subtracted. */
export type Delta = Readonly<Record<'amplitude' | 'phase', Shown>>;

/** `metrics_delta_summary.json`. */
export interface DeltaSummary {
  readonly generated_at: string;
  readonly source_metrics: string;
  /** Comparisons that had both models, by `vs_…`. */
  readonly n_jobs: Readonly<Record<string, number>>;
  readonly deltas: Readonly<Record<string, Readonly<Record<(typeof DELTA_METRICS)[number], Delta>>>>;
}

/** What is subtracted. */
const DELTA_METRICS = ['ms_ssim', 'mae'] as const;
const QUANTITIES = ['amplitude', 'phase'] as const;
/** Errors: the smaller the better. */
const ERRORS = new Set<string>(['mae', 'mse']);

/** A number as JSON can hold it. */
export function shown(value: number): Shown {
  if (Number.isFinite(value)) return value;
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'inf' : '-inf';
}

/** The number that is meant; NaN for a value that is missing. */
export function numberOf(value: Shown | undefined): number {
  if (typeof value === 'number') return value;
  return value === 'inf' ? Number.POSITIVE_INFINITY : value === '-inf' ? Number.NEGATIVE_INFINITY : Number.NaN;
}

/**
 * Reads the tables of the comparisons that succeeded.
 * @param folder of the study
 * @throws PtychoError FILE_FORMAT for a table that is not as `compare` writes it
 */
export async function collectSummary(
  folder: string,
  config: StudyConfig,
  failed: readonly Job[],
  generated_at: string,
): Promise<MetricsSummary> {
  const lost = new Set(failed.map(comparisonFolder));
  const jobs: JobSummary[] = [];
  for (const job of jobsOf(config)) if (!lost.has(comparisonFolder(job))) jobs.push(await readJob(folder, job));
  const aggregate_split: Split = config.splits.includes('test') ? 'test' : 'train';
  return {
    generated_at,
    study_format: 1,
    n_jobs: jobs.length,
    aggregate_split,
    iterative: iterativeName(config),
    jobs,
    aggregate_metrics: aggregate(jobs.filter(({ split }) => split === aggregate_split)),
  };
}

async function readJob(folder: string, job: Job): Promise<JobSummary> {
  const at = (name: string) => path.join(folder, comparisonFolder(job), name);
  const floors: Record<string, Record<string, Record<string, Values>>> = {};
  for (const { family, floor, metric, ...values } of await rows(at('comparison_floors.csv'), ['family', 'floor'])) {
    floors[floor] ??= {};
    floors[floor][family] ??= {};
    floors[floor][family][metric] = valuesOf(values);
  }
  const scores = async (name: string): Promise<Scores> => {
    const found: Record<string, Record<string, Values>> = {};
    for (const { model, metric, ...values } of await rows(at(name), ['model'])) {
      found[model] ??= {};
      found[model][metric] = valuesOf(values);
    }
    return found;
  };
  return {
    ...job,
    reference: await scores('comparison_metrics.csv'),
    standard: await scores('comparison_metrics_standard.csv'),
    floors,
  };
}

type Row = Readonly<Record<string, string>>;

async function rows(file: string, keys: readonly string[]): Promise<Row[]> {
  const columns = [...keys, 'metric', 'amplitude', 'phase', 'value'];
  const text = await readTextInput(file, { maxBytes: TABLE_BYTES });
  const table = parse(text, { skip_empty_lines: true }) as string[][];
  if (table[0]?.join() !== columns.join() || table.some((cells) => cells.length !== columns.length)) {
    throw new PtychoError('FILE_FORMAT', `${file} must have the columns ${columns.join(', ')}.`, { path: file });
  }
  return table.slice(1).map((cells) => Object.fromEntries(columns.map((name, c) => [name, cells[c]])));
}

function valuesOf(row: Row): Values {
  const values: Partial<Record<'amplitude' | 'phase' | 'value', Shown>> = {};
  for (const name of ['amplitude', 'phase', 'value'] as const) {
    const cell = row[name];
    if (cell === '') continue;
    values[name] = /^(NaN|-?inf)$/.test(cell) ? cell : shown(Number(cell));
  }
  return values;
}

/** Models of all comparisons in order of appearance. */
export function modelsOf(jobs: readonly JobSummary[]): string[] {
  return [...new Set(jobs.flatMap(({ reference }) => Object.keys(reference)))];
}

/** The same for each of some names. */
const record = <K extends string, V>(names: readonly K[], of: (name: K) => V): Record<K, V> =>
  Object.fromEntries(names.map((name) => [name, of(name)])) as Record<K, V>;

function aggregate(jobs: readonly JobSummary[]): MetricsSummary['aggregate_metrics'] {
  return record(modelsOf(jobs), (model) => {
    const measured = jobs.filter(({ reference }) => model in reference);
    return record(METRIC_NAMES, (metric) =>
      record(QUANTITIES, (quantity): Aggregate => {
        const values = measured.map(({ reference }) => numberOf(reference[model][metric]?.[quantity]));
        // A NaN among them shows in the mean.
        const best = ERRORS.has(metric) ? Math.min(...values) : Math.max(...values);
        return { mean: shown(meanOf(values)), best: shown(best), n: values.length };
      }),
    );
  });
}

/** PtychoPINN − other, averaged over the comparisons that have both; NaN where none has. */
export function deltaSummary(summary: MetricsSummary, generated_at: string): DeltaSummary {
  const own = summary.jobs.filter(
    ({ split, reference }) => split === summary.aggregate_split && 'PtychoPINN' in reference,
  );
  const both = new Map(
    ['Baseline', summary.iterative].map((other) => {
      const pairs = own.flatMap(({ reference }) =>
        other in reference ? [[reference.PtychoPINN, reference[other]] as const] : [],
      );
      return [`vs_${other}`, pairs];
    }),
  );
  const deltas = [...both].map(([vs, pairs]) => {
    const delta = record(DELTA_METRICS, (metric) =>
      record(QUANTITIES, (quantity) => {
        const differences = pairs.map(([a, b]) => numberOf(a[metric]?.[quantity]) - numberOf(b[metric]?.[quantity]));
        return shown(meanOf(differences));
      }),
    );
    return [vs, delta] as const;
  });
  return {
    generated_at,
    source_metrics: SUMMARY,
    n_jobs: Object.fromEntries([...both].map(([vs, pairs]) => [vs, pairs.length])),
    deltas: Object.fromEntries(deltas),
  };
}

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
