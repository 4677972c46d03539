/**
 * One large scan as several jobs: a job for each of its parts, and one that puts them together, which comes after them.
 *
 * @example
 * const steps = stepsOf('infer', 4); // four that predict, and one that makes the image
 */
import { PtychoError } from '../core/errors.js';
import type { PlannedJob } from './plan.js';
import type { JobVerb } from './verbs.js';

/** One of the jobs that a scan becomes. */
export interface PlanStep {
  /** What its name says besides the scan. */
  readonly label: Readonly<Record<string, string>>;
  /** Fields that it sets, which cannot be given. */
  readonly decides: readonly string[];
  /** Their values, from the jobs of the scan that come before. */
  values(before: readonly PlannedJob[]): Readonly<Record<string, unknown>>;
  /** Names of jobs of the scan that must be done before. */
  after(before: readonly PlannedJob[]): readonly string[];
}

const WHOLE: PlanStep = { label: {}, decides: [], values: () => ({}), after: () => [] };

/**
 * The jobs that a scan becomes, in their order.
 * @param parts in which it is cut; one job where not given
 * @throws PtychoError USAGE for a verb that cannot do that
 */
export function stepsOf(verb: JobVerb, parts?: number): readonly PlanStep[] {
  if (parts === undefined) return [WHOLE];
  if (verb === 'infer') return shardSteps(parts);
  throw new PtychoError('USAGE', `--shards is for infer, which predicts parts of a scan on their own; ${verb} cannot.`, { flag: 'shards' }); // biome-ignore format: one sentence
}

function shardSteps(of: number): PlanStep[] {
  const parts = Array.from({ length: of }, (_, i) => ({
    label: { shard: `${i + 1}of${of}` },
    decides: ['shard'],
    values: () => ({ shard: `${i + 1}/${of}` }),
    after: () => [],
  }));
  const image: PlanStep = {
    label: {},
    decides: ['from_shards'],
    values: (before) => ({ from_shards: before.map(({ output_dir }) => output_dir) }),
    after: (before) => before.map(({ id }) => id),
  };
  return [...parts, image];
}
