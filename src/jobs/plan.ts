/**
 * A plan of jobs as a file: JSON lines, one job each, which programs and people can read, cut and join. What a job does is the verb
 * and the values that were given for it; defaults are filled in when it runs.
 *
 * @example
 * const jobs = await readPlan('beamtime/plan.jsonl');
 * const job = findJob(jobs, '3', 'beamtime/plan.jsonl');
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { PLANNED_VERBS } from '../config/schemas/jobs.js';
import { messageOf, PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { nearestName } from '../core/words.js';
import { writeAtomically } from '../formats/outputFiles.js';

/** The name of a plan in its folder. */
export const PLAN_FILE = 'plan.jsonl';
/** Changes when a line means something else. */
const PLAN_FORMAT = 1;
/** Names become those of folders. */
const JOB_ID = /^[A-Za-z0-9][A-Za-z0-9._=-]{0,119}$/;

const inputSchema = z.strictObject({
  path: z.string().min(1),
  /** Of the file, or of all files of a folder. */
  bytes: z.number().nonnegative(),
  modified: z.string(),
  /** SHA-256 of the content, of large files of evenly spaced parts (`fingerprint.ts`). */
  sha256: z.string(),
});

const jobSchema = z.strictObject({
  format: z.literal(PLAN_FORMAT),
  id: z.string().regex(JOB_ID, 'must be of letters, digits and . _ - ='),
  verb: z.enum(PLANNED_VERBS),
  /** Fields of the verb that were given; files by absolute paths. */
  config: z.record(z.string(), z.unknown()),
  /** Where each of them came from. */
  provenance: z.record(
    z.string(),
    z.looseObject({ value: z.unknown(), source: z.enum(['flag', 'file', 'caller', 'metadata', 'default']) }),
  ),
  inputs: z.array(inputSchema),
  output_dir: z.string().min(1),
  /** Names of jobs that must be done before. */
  after: z.array(z.string()),
  /** Names of jobs that must have ended before, done or failed. */
  after_ended: z.array(z.string()).optional(),
  /** What it will take; null where the scan could not be read. */
  estimate: z.strictObject({ processor_seconds: z.number(), memory_bytes: z.number() }).nullable(),
});

/** A job of a plan. */
export type PlannedJob = Readonly<z.output<typeof jobSchema>>;
/** A file that a job reads, and what it was when the job was planned. */
export type JobInput = PlannedJob['inputs'][number];

/** A plan that was written. */
export interface PlanSummary {
  readonly file: string;
  /** Those that are new. */
  readonly jobs: readonly PlannedJob[];
  readonly total: number;
}

/** A job without its format, for who makes one. */
export const plannedJob = (job: Omit<PlannedJob, 'format'>): PlannedJob => ({ format: PLAN_FORMAT, ...job });

/** All jobs that come before one. */
export const before = ({ after, after_ended = [] }: PlannedJob): readonly string[] => [...after, ...after_ended];

/** The plan that a path names: the file, or the one in a folder. */
export function planFileOf(plan: string): string {
  return plan.endsWith('.jsonl') ? plan : path.join(plan, PLAN_FILE);
}

/** The folder in which a plan keeps its records. */
export const rootOf = (plan: string): string => path.dirname(planFileOf(plan));

/**
 * Reads a plan.
 * @param plan the file, or the folder that holds it
 * @throws PtychoError FILE_NOT_FOUND; FILE_FORMAT naming the line that is none
 */
export async function readPlan(plan: string): Promise<PlannedJob[]> {
  const file = planFileOf(plan);
  if (!existsSync(file)) {
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `There is no plan ${file}; name the folder or the .jsonl file that "ptychopinn jobs plan" wrote.`,
      { path: file },
    );
  }
  const lines = (await readTextInput(file, { maxBytes: TABLE_BYTES, what: 'plan' })).split('\n');
  const jobs: PlannedJob[] = [];
  const names = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const job = parseLine(line, `${file}, line ${index + 1}`);
    const wrong = names.has(job.id)
      ? `there are two jobs called ${job.id}`
      : before(job).find((id) => !names.has(id)) &&
        `it comes after ${before(job).find((id) => !names.has(id))}, which no earlier line is`;
    if (wrong) throw new PtychoError('FILE_FORMAT', `${file}, line ${index + 1}: ${wrong}.`, { path: file });
    names.add(job.id);
    jobs.push(job);
  }
  return jobs;
}

function parseLine(line: string, where: string): PlannedJob {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${where}: this is no JSON: ${messageOf(cause)}.`, { path: where }, { cause });
  }
  const parsed = jobSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PtychoError(
    'FILE_FORMAT',
    `${where}: this is no job of a plan: ${issue.path.join('.') || 'the line'}: ${issue.message}.`,
    { path: where },
  );
}

/** Writes a plan. @throws PtychoError OUTPUT_UNWRITABLE */
export function writePlan(file: string, jobs: readonly PlannedJob[]): Promise<void> {
  return writeAtomically(file, jobs.map((job) => `${JSON.stringify(job)}\n`).join(''));
}

/**
 * The job of a number, counted from 1, or of a name.
 * @throws PtychoError USAGE
 */
export function findJob(jobs: readonly PlannedJob[], wanted: string, plan: string): PlannedJob {
  const found = jobs.find(({ id }) => id === wanted) ?? (/^\d+$/.test(wanted) ? jobs[Number(wanted) - 1] : undefined);
  if (found) return found;
  const near = nearestName(wanted, jobs.map(({ id }) => id)); // biome-ignore format: one line
  throw new PtychoError(
    'USAGE',
    `${plan} has no job ${wanted}; ${near ? `did you mean ${near}?` : `give a number from 1 to ${jobs.length}, or the name of a job ("ptychopinn jobs status" lists them).`}`,
    { found: wanted, suggestion: near },
  );
}
