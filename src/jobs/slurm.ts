/**
 * A plan for Slurm: a batch script and an array of jobs for each level of dependencies. A job hears of its time limit a minute before,
 * writes its state, ends with 75 and is put into the queue again; so it does when its node is taken away.
 *
 * @example
 * const batches = slurmBatches(jobs, { plan: 'beamtime', program: ['ptychopinn'], options, done: new Set() });
 * for (const { file, script } of batches) await writeAtomically(file, script);
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import type { JobsSubmitConfig } from '../config/schemas/jobs.js';
import { messageOf, PtychoError } from '../core/errors.js';
import { before, type PlannedJob, planFileOf, rootOf } from './plan.js';

/** Seconds between the warning and the end. */
const NOTICE_SECONDS = 60;
const LEAST = { minutes: 10, memory_mb: 1000 };
/** An estimate is right within a factor of three. */
const SAFETY = { time: 3, memory: 1.5 };
const MINUTES_A_DAY = 1440;

/** One array of jobs. */
export interface SlurmBatch {
  /** Where its script lies. */
  readonly file: string;
  readonly script: string;
  /** Names of the jobs, and their numbers in the plan, counted from 1. */
  readonly jobs: readonly string[];
  readonly numbers: readonly number[];
}

/** What scripts are made of. */
export interface SlurmPlan {
  /** The plan, file or folder. */
  readonly plan: string;
  /** The words that start this program: `['ptychopinn']`. */
  readonly program: readonly string[];
  readonly options: JobsSubmitConfig;
  /** Names of jobs that need not run. */
  readonly done: ReadonlySet<string>;
}

/** The arrays of a plan, those that come first first; what is done is left out. */
export function slurmBatches(jobs: readonly PlannedJob[], { plan, program, options, done }: SlurmPlan): SlurmBatch[] {
  const levels: number[][] = [];
  const levelOf = new Map<string, number>();
  for (const [index, job] of jobs.entries()) {
    if (done.has(job.id)) continue;
    const level = Math.max(0, ...before(job).map((id) => (levelOf.get(id) ?? -1) + 1));
    levelOf.set(job.id, level);
    levels[level] = [...(levels[level] ?? []), index];
  }
  const folder = path.join(path.resolve(rootOf(plan)), 'slurm');
  return levels.map((indices, level) => {
    const members = indices.map((index) => jobs[index]);
    const numbers = indices.map((index) => index + 1);
    const script = scriptOf({ plan: path.resolve(planFileOf(plan)), folder, program, options, members, numbers });
    return { file: path.join(folder, `batch-${level + 1}.sh`), script, jobs: members.map(({ id }) => id), numbers };
  });
}

interface ScriptParts {
  readonly plan: string;
  readonly folder: string;
  readonly program: readonly string[];
  readonly options: JobsSubmitConfig;
  readonly members: readonly PlannedJob[];
  readonly numbers: readonly number[];
}

function scriptOf({ plan, folder, program, options, members, numbers }: ScriptParts): string {
  const cpus = options.cpus ?? Math.max(1, ...members.map(threadsOf));
  const estimates = members.flatMap(({ estimate }) => estimate ?? []);
  const seconds = Math.max(0, ...estimates.map((each) => each.processor_seconds));
  const bytes = Math.max(0, ...estimates.map((each) => each.memory_bytes));
  const minutes = options.minutes ?? Math.max(LEAST.minutes, Math.ceil((SAFETY.time * seconds) / 60));
  const memory = options.memory_mb ?? Math.max(LEAST.memory_mb, Math.ceil((SAFETY.memory * bytes) / 1e6));
  const wanted: readonly (readonly [string, string | number | null])[] = [
    ['job-name', `ptychopinn-${path.basename(path.dirname(plan)).replace(/[^A-Za-z0-9._-]/g, '_')}`],
    ['array', `${rangesOf(numbers)}${options.max_running === null ? '' : `%${options.max_running}`}`],
    ['output', path.join(folder, '%A_%a.log')],
    ['open-mode', 'append'],
    ['requeue', ''],
    ['signal', `B:TERM@${NOTICE_SECONDS}`],
    ['time', timeOf(minutes)],
    ['mem', `${memory}M`],
    ['cpus-per-task', cpus],
    ['gres', options.gpus === null ? null : `gpu:${options.gpus}`],
    ['partition', options.partition],
    ['account', options.account],
  ];
  const lines = wanted.flatMap(([name, value]) =>
    value === null ? [] : [`#SBATCH --${name}${value === '' ? '' : `=${value}`}`],
  );
  const more = options.slurm_options.map((option) => `#SBATCH ${option.startsWith('--') ? option : `--${option}`}`);
  return `#!/bin/bash
# Written by "ptychopinn jobs submit"; every job of the array does the job of its number in the plan.
${[...lines, ...more].join('\n')}

child=
forward() { [ -n "$child" ] && kill -TERM "$child" 2>/dev/null; }
# Before the time limit, or when the node is wanted for something else: the job writes its state and goes on later.
trap forward TERM
${program.map(quoted).join(' ')} jobs run ${quoted(plan)} --index "$SLURM_ARRAY_TASK_ID" &
child=$!
wait "$child"
code=$?
# A signal ends "wait" before the job has ended.
while kill -0 "$child" 2>/dev/null; do wait "$child"; code=$?; done
if [ "$code" = 75 ]; then
  scontrol requeue "\${SLURM_ARRAY_JOB_ID}_\${SLURM_ARRAY_TASK_ID}" && sleep 60
fi
exit "$code"
`;
}

const threadsOf = ({ config }: PlannedJob): number => (typeof config.threads === 'number' ? config.threads : 1);

/** `1-4,7`. */
export function rangesOf(numbers: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < numbers.length; ) {
    let end = at;
    while (numbers[end + 1] === numbers[end] + 1) end++;
    parts.push(end === at ? `${numbers[at]}` : `${numbers[at]}-${numbers[end]}`);
    at = end + 1;
  }
  return parts.join(',');
}

/** `1-02:30:00`. */
function timeOf(minutes: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const [days, rest] = [Math.floor(minutes / MINUTES_A_DAY), minutes % MINUTES_A_DAY];
  return `${days > 0 ? `${days}-` : ''}${two(Math.floor(rest / 60))}:${two(rest % 60)}:00`;
}

/** A word that the shell leaves alone. */
const quoted = (word: string): string =>
  /^[A-Za-z0-9._/=:-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;

/**
 * Submits the batches, each after the one before it.
 * @returns the numbers that Slurm gave them
 * @throws PtychoError BACKEND_MISSING where there is no sbatch; ENGINE_FAILURE with what it said
 */
export async function submitBatches(batches: readonly SlurmBatch[]): Promise<string[]> {
  const numbers: string[] = [];
  for (const { file } of batches) {
    const earlier = numbers.at(-1);
    // A job looks at its own dependencies: one that failed holds up no job that does not need it.
    const after = earlier === undefined ? [] : [`--dependency=afterany:${earlier}`];
    numbers.push(await sbatch(['--parsable', ...after, file]));
  }
  return numbers;
}

async function sbatch(words: readonly string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)('sbatch', [...words]);
    return stdout.trim().split(';')[0];
  } catch (cause) {
    const { code, stderr } = cause as { code?: unknown; stderr?: string };
    if (code === 'ENOENT') {
      throw new PtychoError(
        'BACKEND_MISSING',
        'There is no sbatch here; submit on a machine of the cluster, or write the scripts alone with --dry_run.',
        { program: 'sbatch' },
        { cause },
      );
    }
    throw new PtychoError('ENGINE_FAILURE', `sbatch refused ${words.at(-1)}: ${stderr?.trim() || messageOf(cause)}.`, { program: 'sbatch' }, { cause }); // biome-ignore format: one sentence
  }
}
