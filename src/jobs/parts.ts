/**
 * One large scan as several jobs: a job for each of its parts, and one that puts them together, which comes after them.
 *
 * @example
 * const steps = stepsOf('infer', { shards: 4, tiles: null }); // four that predict, and one that makes the image
 */
import { PtychoError } from '../core/errors.js';
import { parsePart } from '../data/grouping/cutByPosition.js';
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

/** In what a scan is cut, for the verb that can do that. */
export interface PlanParts {
  readonly shards: number | null;
  readonly tiles: number | null;
}

/** What parts are called, and the fields that say which one a job does and which ones make the image. */
const KINDS = {
  shards: { verb: 'infer', part: 'shard', all: 'from_shards' },
  tiles: { verb: 'solve', part: 'tile', all: 'from_tiles' },
} as const;

/**
 * The jobs that a scan becomes, in their order; one job where it is not cut.
 * @throws PtychoError USAGE for a verb that cannot do that, CONFIG_INVALID for more parts than there can be
 */
export function stepsOf(verb: JobVerb, parts: PlanParts): readonly PlanStep[] {
  for (const kind of ['shards', 'tiles'] as const) {
    const of = parts[kind];
    if (of === null) continue;
    const { verb: own, part, all } = KINDS[kind];
    if (verb === own) {
      // What a job would refuse is refused now.
      parsePart(`1/${of}`, part);
      return partSteps(of, part, all);
    }
    throw new PtychoError('USAGE', `--${kind} is for ${own}; ${verb} does a scan in one job.`, { flag: kind });
  }
  return [WHOLE];
}

function partSteps(of: number, part: string, all: string): PlanStep[] {
  const parts = Array.from({ length: of }, (_, i) => ({
    label: { [part]: `${i + 1}of${of}` },
    decides: [part],
    values: () => ({ [part]: `${i + 1}/${of}` }),
    after: () => [],
  }));
  const image: PlanStep = {
    label: {},
    decides: [all],
    values: (before) => ({ [all]: before.map(({ output_dir }) => output_dir) }),
    after: (before) => before.map(({ id }) => id),
  };
  return [...parts, image];
}
