/**
 * Does one job of a plan, as often as it is asked: what is done stays done, what was stopped goes on from its last state, and what
 * somebody else works at is left alone. The result is one word, from which a scheduler's exit code is made.
 *
 * @example
 * const { end } = await runJob({ root: 'beamtime', job, work: runVerb });
 * process.exitCode = EXIT_OF[end];
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { allFields } from '../config/definition.js';
import { resolveConfig } from '../config/resolve.js';
import type { EXIT_OF } from '../config/schemas/jobs.js';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import { sha256OfFile } from '../core/inputFile.js';
import { type Logger, type ProgressEvent, type ProgressSink, silentLogger } from '../core/log.js';
import type { Provenance, Services } from '../core/services.js';
import { systemTrouble } from '../core/systemErrors.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { FolderLock } from '../formats/folderLock.js';
import { changeOf } from './fingerprint.js';
import { before, type PlannedJob } from './plan.js';
import {
  isCancelled,
  type JobRecord,
  keyOf,
  readJobRecord,
  recordFolder,
  setCancelled,
  stateOf,
  writeJobRecord,
  writeProgress,
} from './record.js';
import { type JobOutcome, resultFileOf, VERB_TRAITS, type VerbRunner } from './verbs.js';

/** How an attempt ended: `again` can be asked for once more and may then succeed. */
export type JobEnd = keyof typeof EXIT_OF;

/** A job that is stopped this often makes no headway. */
const MAX_ATTEMPTS = 50;
/** How often it is looked whether a job was cancelled, and how often progress is written. */
const WATCH_MS = 1000;
/** What the system says of places that may be well again in a while. */
const PASSING: ReadonlySet<string> = new Set(['ESTALE', 'EIO', 'EAGAIN', 'ETIMEDOUT', 'EBUSY', 'EMFILE', 'ENFILE', 'ENOSPC', 'EDQUOT', 'EHOSTDOWN']); // biome-ignore format: one line

/** A job, and what it takes to do it. */
export interface JobRun {
  /** Folder of the plan. */
  readonly root: string;
  readonly job: PlannedJob;
  /** Does what the verb does. */
  readonly work: VerbRunner;
  /** Where it computes, instead of what the plan says (`accelerator`): the result is the same but for rounding, and the job is the same. */
  readonly accelerator?: string | null;
  readonly services?: Services;
}

/** What came of it. */
export interface JobResult {
  readonly end: JobEnd;
  /** True where nothing was done, because an earlier attempt had done it or failed. */
  readonly reused: boolean;
  /** One sentence. */
  readonly message: string;
  readonly record?: JobRecord;
}

/** Does a job unless it is done, or failed and was not retried. Never throws for what goes wrong within the job; @throws PtychoError OUTPUT_UNWRITABLE of its record */
export async function runJob(run: JobRun): Promise<JobResult> {
  const { root, job, services = {} } = run;
  const folder = recordFolder(root, job.id);
  await mkdir(folder, { recursive: true });
  let lock: FolderLock;
  const lost = new AbortController();
  try {
    lock = await FolderLock.acquire(folder, { command: 'jobs run', onLost: (error) => lost.abort(error) });
  } catch (error) {
    if (!isPtychoError(error, 'OUTPUT_IN_USE')) throw error;
    return { end: 'again', reused: false, message: `${job.id}: somebody works at it already: ${error.message}` };
  }
  const cancelled = new AbortController();
  const watch = setInterval(() => {
    if (isCancelled(root, job.id)) cancelled.abort();
  }, WATCH_MS);
  try {
    const signals = [lost.signal, cancelled.signal, ...(services.signal ? [services.signal] : [])];
    const onProgress = told(services, (event) => void writeProgress(root, job.id, event));
    return await attempt({ ...run, services: { ...services, onProgress, signal: AbortSignal.any(signals) } });
  } finally {
    clearInterval(watch);
    await lock.release();
  }
}

/** Progress to the caller, and now and then to whoever looks at the folder. */
function told({ onProgress }: Services, write: (event: ProgressEvent) => void): ProgressSink {
  let last = 0;
  return (event) => {
    onProgress?.(event);
    if (Date.now() - last < WATCH_MS) return;
    last = Date.now();
    write(event);
  };
}

async function attempt({ root, job, work, accelerator = null, services = {} }: JobRun): Promise<JobResult> {
  const logger = services.logger ?? silentLogger;
  const key = keyOf(job);
  const found = await readJobRecord(root, job.id);
  const earlier = found?.key === key ? found : undefined;
  if (earlier?.state === 'done' && (await resultOf(job)) === earlier.result_sha256) {
    return { end: 'done', reused: true, message: `${job.id} was done before.`, record: earlier };
  }
  if (earlier?.state === 'failed') {
    const message = `${job.id} failed before: ${earlier.message ?? 'it does not say why'} ("ptychopinn jobs retry" lets it begin again.)`;
    return { end: 'failed', reused: true, message, record: earlier };
  }
  if (isCancelled(root, job.id)) {
    return { end: 'failed', reused: true, message: `${job.id} was cancelled ("ptychopinn jobs retry" takes that back).`, record: earlier }; // biome-ignore format: one sentence
  }
  const waits = await waitsFor(root, job);
  if (waits) return { ...waits, reused: false };
  const clock = { at: performance.now(), cpu: process.cpuUsage() };
  const started: JobRecord = {
    ...{ id: job.id, key, state: 'running', attempts: (earlier?.attempts ?? 0) + 1 },
    ...{ started: new Date().toISOString(), finished: null },
    ...{ seconds: earlier?.seconds ?? 0, processor_seconds: earlier?.processor_seconds ?? 0 },
    ...{ memory_bytes: earlier?.memory_bytes ?? 0, host: hostname(), scheduler_job: schedulerJob() },
    ...{ code: null, message: null, figures: {}, files: [], result_sha256: null, version: createdBy.version },
  };
  await writeJobRecord(root, started);
  const ended = (state: JobEnd, facts: Partial<JobRecord>): JobRecord => {
    const { user, system } = process.cpuUsage(clock.cpu);
    return {
      ...started,
      ...{ state, finished: new Date().toISOString() },
      seconds: started.seconds + (performance.now() - clock.at) / 1000,
      processor_seconds: started.processor_seconds + (user + system) / 1e6,
      memory_bytes: Math.max(started.memory_bytes, 1024 * process.resourceUsage().maxRSS),
      ...facts,
    };
  };
  const end = await outcomeOf(async () => {
    await requireUnchanged(job, logger);
    if (started.attempts > MAX_ATTEMPTS) {
      throw new PtychoError('ENGINE_FAILURE', `it was stopped ${MAX_ATTEMPTS} times; give it more time at once, or let it save its state more often (--save_every).`); // biome-ignore format: one sentence
    }
    const { config, provenance } = configOf(job, { begun: earlier !== undefined, accelerator, logger });
    return work(job.verb, config, { ...services, provenance });
  }, services);
  const wanted = !isCancelled(root, job.id) || end.state === 'done';
  const { state, message, code, outcome } = wanted ? end : { ...end, state: 'failed' as const, message: 'it was cancelled.', code: 'CANCELLED' }; // biome-ignore format: one line
  const record = ended(state, {
    ...{ code, message: state === 'done' ? null : message },
    figures: outcome?.figures ?? {},
    files: [...(outcome?.files ?? [])],
    result_sha256: state === 'done' ? await resultOf(job) : null,
  });
  await writeJobRecord(root, record);
  return { end: state, reused: false, message: `${job.id}: ${message}`, record };
}

/** What another job says of this one: undefined where nothing is in the way. */
async function waitsFor(root: string, job: PlannedJob): Promise<{ end: JobEnd; message: string } | undefined> {
  for (const id of before(job)) {
    // Of another job only the name is known here; that its plan was made again makes it no other dependency.
    const record = await readJobRecord(root, id);
    if (record?.state === 'done') continue;
    if (record?.state === 'failed' && !job.after.includes(id)) continue;
    if (record?.state === 'failed') return { end: 'failed', message: `${job.id} comes after ${id}, which failed: ${record.message ?? 'it does not say why'}` }; // biome-ignore format: one sentence
    return { end: 'again', message: `${job.id} comes after ${id}, which is not done yet.` };
  }
  return undefined;
}

async function requireUnchanged(job: PlannedJob, logger: Logger): Promise<void> {
  for (const input of job.inputs) {
    const change = await changeOf(input);
    if (change === undefined) continue;
    if (change.includes('not there')) {
      throw new PtychoError('FILE_NOT_FOUND', `${input.path} ${change}; put it back, or plan again.`, {
        path: input.path,
      });
    }
    throw new PtychoError(
      'DATASET_VALUE',
      `${input.path} is not the file that was planned: it ${change}; plan again with --overwrite.`,
      { path: input.path },
    );
  }
  if (job.inputs.length > 0) logger.debug?.(`${counted(job.inputs.length, 'input')} as planned.`);
}

/** The configuration of a job; one that was begun goes on, or begins again over what it left. */
function configOf(
  job: PlannedJob,
  {
    begun,
    accelerator,
    logger,
  }: { readonly begun: boolean; readonly accelerator: string | null; readonly logger: Logger },
): { config: unknown; provenance: Provenance } {
  const { definition, states } = VERB_TRAITS[job.verb];
  const values: Record<string, unknown> = { ...job.config, output_dir: job.output_dir };
  const elsewhere = accelerator !== null && allFields(definition).some(({ name }) => name === 'accelerator');
  if (elsewhere) values.accelerator = accelerator;
  if (begun && states !== null) {
    const state = states.find((name) => existsSync(path.join(job.output_dir, name)));
    if (state !== undefined) values.resume = job.output_dir;
    // What is there was written by this job.
    else values.overwrite = true;
  }
  const { config, provenance, warnings, notes } = resolveConfig(definition, { flags: values });
  for (const warning of warnings) logger.warn(warning);
  for (const note of notes) logger.info(note);
  const planned = { ...(job.provenance as Record<string, Provenance[string]>) };
  if (elsewhere) planned.accelerator = provenance.accelerator;
  return { config, provenance: { ...provenance, ...planned } };
}

interface Ended {
  readonly state: JobEnd;
  readonly message: string;
  readonly code: string | null;
  readonly outcome?: JobOutcome;
}

async function outcomeOf(work: () => Promise<JobOutcome>, { signal }: Services): Promise<Ended> {
  try {
    const outcome = await work();
    return outcome.cancelled
      ? { state: 'again', message: 'it was stopped and can go on.', code: 'CANCELLED', outcome }
      : { state: 'done', message: 'done.', code: null, outcome };
  } catch (error) {
    const trouble = systemTrouble(error);
    const code = isPtychoError(error) ? error.code : (trouble?.errno ?? 'UNEXPECTED');
    const message = isPtychoError(error)
      ? error.message
      : (trouble?.sentence ?? `unexpected error: ${messageOf(error)}`);
    const passing =
      signal?.aborted === true ||
      code === 'CANCELLED' ||
      code === 'OUTPUT_IN_USE' ||
      (trouble !== undefined && PASSING.has(trouble.errno));
    return { state: passing ? 'again' : 'failed', message, code };
  }
}

/** The hash of what a job made; null where there is nothing. */
async function resultOf(job: PlannedJob): Promise<string | null> {
  const file = resultFileOf(job);
  return existsSync(file) ? sha256OfFile(file) : null;
}

/** `123_4` of an array, `123` of a single job. */
function schedulerJob(): string | null {
  const { SLURM_ARRAY_JOB_ID: array, SLURM_ARRAY_TASK_ID: task, SLURM_JOB_ID: single } = process.env;
  return array !== undefined && task !== undefined ? `${array}_${task}` : (single ?? null);
}

/** Sets what failed, or was stopped too often, back to the beginning of its attempts. @returns names of these jobs */
export async function retryJobs(root: string, jobs: readonly PlannedJob[]): Promise<string[]> {
  const again: string[] = [];
  for (const job of jobs) {
    const { state, record } = await stateOf(root, job);
    if (isCancelled(root, job.id)) {
      await setCancelled(root, job.id, false);
      if (record === undefined) again.push(job.id);
    }
    if (record === undefined || (state !== 'failed' && state !== 'lost' && state !== 'again')) continue;
    await writeJobRecord(root, { ...record, state: 'again', attempts: 0 });
    again.push(job.id);
  }
  return again;
}
