/**
 * What is known of a job: one small file in the folder of the plan, replaced at once whenever something changes, so that every process
 * on every machine that shares the folder can tell what is done. A lock beside it says whether somebody works at it now.
 *
 * @example
 * const { state } = await stateOf('beamtime', job); // 'done'
 */
import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { sha256 } from '../core/hash.js';
import { CONFIG_BYTES, readTextInput } from '../core/inputFile.js';
import { ownerOf } from '../formats/folderLock.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { canonicalJson } from '../persistence/json.js';
import type { PlannedJob } from './plan.js';

/** Folder of the records below that of the plan. */
const RECORDS = 'jobs';
const RECORD_FILE = 'record.json';

/** Where a job keeps record, log and lock. */
export const recordFolder = (root: string, id: string): string => path.join(root, RECORDS, id);

const recordSchema = z.looseObject({
  id: z.string(),
  /** Hash of what the job was told to do: a plan may be made again. */
  key: z.string(),
  /** `again`: it was stopped and can go on. */
  state: z.enum(['running', 'done', 'again', 'failed']),
  attempts: z.int().nonnegative(),
  started: z.string(),
  finished: z.string().nullable(),
  /** Of all attempts. */
  seconds: z.number(),
  processor_seconds: z.number(),
  /** The most that an attempt took. */
  memory_bytes: z.number(),
  host: z.string(),
  /** The job of the scheduler, `123_4`, where there is one. */
  scheduler_job: z.string().nullable(),
  code: z.string().nullable(),
  message: z.string().nullable(),
  figures: z.record(z.string(), z.number()),
  files: z.array(z.string()),
  /** SHA-256 of the result. */
  result_sha256: z.string().nullable(),
  version: z.string(),
});

/** What is known of a job that was begun. */
export type JobRecord = Readonly<z.output<typeof recordSchema>>;

/** Identifies what a job does: verb, values, inputs and folder. */
export function keyOf({ verb, config, inputs, output_dir }: PlannedJob): string {
  return sha256(
    canonicalJson({ verb, config, inputs: inputs.map(({ path, sha256 }) => ({ path, sha256 })), output_dir }),
  );
}

/** The record of a job; undefined where there is none, or none that can be read. */
export async function readJobRecord(root: string, id: string): Promise<JobRecord | undefined> {
  try {
    const text = await readTextInput(path.join(recordFolder(root, id), RECORD_FILE), { maxBytes: CONFIG_BYTES });
    const parsed = recordSchema.safeParse(JSON.parse(text));
    return parsed.success && parsed.data.id === id ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Writes it. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writeJobRecord(root: string, record: JobRecord): Promise<void> {
  const folder = recordFolder(root, record.id);
  await mkdir(folder, { recursive: true });
  await writeAtomically(path.join(folder, RECORD_FILE), json(record));
}

const CANCEL_FILE = 'cancelled';
const PROGRESS_FILE = 'progress.json';

/** Whether somebody wants a job no more. */
export const isCancelled = (root: string, id: string): boolean =>
  existsSync(path.join(recordFolder(root, id), CANCEL_FILE));

/** Asks whoever works at a job to stop, and whoever would begin it not to; or takes that back. */
export async function setCancelled(root: string, id: string, cancelled: boolean): Promise<void> {
  const file = path.join(recordFolder(root, id), CANCEL_FILE);
  if (!cancelled) return rm(file, { force: true });
  await mkdir(path.dirname(file), { recursive: true });
  await writeAtomically(file, '');
}

/** How far the work on a job is, for whoever looks at it from elsewhere. */
export interface JobProgress {
  readonly stage: string;
  readonly done: number;
  readonly total: number;
  readonly unit: string;
}

/** Writes it, as well as it can: a job does not fail for it. */
export async function writeProgress(root: string, id: string, progress: JobProgress): Promise<void> {
  const { stage, done, total, unit } = progress;
  await writeAtomically(path.join(recordFolder(root, id), PROGRESS_FILE), json({ stage, done, total, unit })).catch(
    () => {},
  );
}

async function readProgress(root: string, id: string): Promise<JobProgress | undefined> {
  try {
    const text = await readTextInput(path.join(recordFolder(root, id), PROGRESS_FILE), { maxBytes: CONFIG_BYTES });
    const { stage, done, total, unit } = JSON.parse(text) as JobProgress;
    const sound =
      typeof stage === 'string' && typeof unit === 'string' && Number.isFinite(done) && Number.isFinite(total);
    return sound ? { stage, done, total, unit } : undefined;
  } catch {
    return undefined;
  }
}

/** How far a job is: `waiting` has not begun, `lost` was running when its process ended without a word. */
export type JobState = 'waiting' | 'running' | 'lost' | 'again' | 'done' | 'failed';

/** A job with all that is known of it. */
export interface JobStatus {
  readonly job: PlannedJob;
  readonly state: JobState;
  readonly record?: JobRecord;
  /** Who works at it now. */
  readonly owner?: string;
  /** How far they are. */
  readonly progress?: JobProgress;
  /** A job that it comes after and that failed: it will not begin. */
  readonly blockedBy?: string;
}

/** Reads how far a job is. A record of another plan under the same name counts for nothing. */
export async function stateOf(root: string, job: PlannedJob): Promise<JobStatus> {
  const owner = await ownerOf(recordFolder(root, job.id));
  const found = await readJobRecord(root, job.id);
  const record = found?.key === keyOf(job) ? found : undefined;
  if (owner !== undefined) return { job, state: 'running', record, owner, progress: await readProgress(root, job.id) };
  if (record === undefined) return { job, state: 'waiting' };
  return { job, state: record.state === 'running' ? 'lost' : record.state, record };
}

/** Nobody works at it, and somebody could. */
const isOpen = (state: JobState): boolean => state === 'waiting' || state === 'again' || state === 'lost';

/** How far all jobs of a plan are, in its order. */
export async function statesOf(root: string, jobs: readonly PlannedJob[]): Promise<JobStatus[]> {
  const stuck = new Set<string>();
  const states: JobStatus[] = [];
  for (const job of jobs) {
    const found = await stateOf(root, job);
    const blockedBy = isOpen(found.state) ? job.after.find((id) => stuck.has(id)) : undefined;
    if (found.state === 'failed' || blockedBy !== undefined) stuck.add(job.id);
    states.push(blockedBy === undefined ? found : { ...found, blockedBy });
  }
  return states;
}

/**
 * Whether nothing of a plan is left to do: all is done, has failed, or comes after what failed. Reads as little as it can, because many
 * workers ask again and again.
 * @param known names of jobs that are done; filled by this
 */
export async function allEnded(root: string, jobs: readonly PlannedJob[], known: Set<string>): Promise<boolean> {
  const stuck = new Set<string>();
  for (const job of jobs) {
    if (known.has(job.id)) continue;
    const { state } = await stateOf(root, job);
    if (state === 'done') known.add(job.id);
    else if (state === 'failed' || (isOpen(state) && job.after.some((id) => stuck.has(id)))) stuck.add(job.id);
    else return false;
  }
  return true;
}
