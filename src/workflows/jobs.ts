/**
 * `jobs`: many runs as a plan. The plan is a file; each of its jobs is one run of `solve`, `reconstruct`, `train` or `infer`, which any
 * process on any machine that sees the folder may do; what was done is read from the folder.
 *
 * @example
 * const { jobs } = await planJobs({ verb: 'solve', output_root: 'beamtime' }, { scans: ['a.h5', 'b.h5'] });
 * for (const { id } of jobs) await runPlannedJob('beamtime', id);
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { jobsPlanDefinition, jobsSubmitDefinition, jobsWorkDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { InferenceConfig, PartOf } from '../config/schema.js';
import type { JobsPlanConfig, JobsSubmitConfig, JobsWorkConfig } from '../config/schemas/jobs.js';
import type { ReconstructConfig } from '../config/schemas/reconstruct.js';
import type { SolveConfig } from '../config/schemas/solve.js';
import type { StudyJobConfig } from '../config/schemas/study.js';
import type { TrainingRequest } from '../config/schemas/training.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { type ProgressSink, silentLogger } from '../core/log.js';
import type { ProvenanceEntry, Services } from '../core/services.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { collectJobs } from '../jobs/collect.js';
import { makeJobs } from '../jobs/makePlan.js';
import { requireDevices } from '../jobs/onDevices.js';
import { findJob, PLAN_FILE, type PlanSummary, planFileOf, readPlan, rootOf, writePlan } from '../jobs/plan.js';
import { openQueue } from '../jobs/queues/openQueue.js';
import { isOneOf, serverOf } from '../jobs/queues/queue.js';
import { allEnded, type JobStatus, setCancelled, statesOf } from '../jobs/record.js';
import { type JobEnd, type JobResult, retryJobs, runJob } from '../jobs/runJob.js';
import { type SlurmBatch, slurmBatches, submitBatches } from '../jobs/slurm.js';
import type { JobOutcome, VerbRunner } from '../jobs/verbs.js';

export type { PlanSummary } from '../jobs/plan.js';

/** Scans, and the values of the verb that were given. */
export interface PlanInputs {
  readonly scans: readonly string[];
  /** With where they came from; plain values of a program are `{ value, source: 'caller' }`. */
  readonly given?: Readonly<Record<string, ProvenanceEntry>>;
}

/**
 * Writes a plan.
 * @throws PtychoError USAGE, CONFIG_INVALID, FILE_NOT_FOUND, OUTPUT_EXISTS, OUTPUT_UNWRITABLE
 */
export async function planJobs(
  given: PartOf<JobsPlanConfig>,
  inputs: PlanInputs,
  services: Services = {},
): Promise<PlanSummary> {
  const config = wholeConfig(jobsPlanDefinition, given, services.logger);
  const { output_root: root, verb, sweep, after, append, shards, tiles } = config;
  const file = path.join(root, PLAN_FILE);
  if (append && !existsSync(file)) {
    throw new PtychoError('USAGE', `There is no plan ${file} to append to; leave --append out.`, { path: file });
  }
  if (after.length > 0 && !append) {
    throw new PtychoError('USAGE', '--after names jobs of a plan that is there: give --append, too.', {
      flag: 'after',
    });
  }
  if (!append) await requireNew([file], { ...newFiles(config, services), field: 'output_root' });
  const earlier = append ? await readPlan(file) : [];
  const parts = { shards, tiles };
  const request = { verb, root, sweep, after, earlier, parts, scans: inputs.scans, given: inputs.given ?? {} };
  const jobs = await makeJobs(request, services);
  await makeOutputFolder(root);
  await writePlan(file, [...earlier, ...jobs]);
  return { file, jobs, total: earlier.length + jobs.length };
}

/**
 * Does one job of a plan; what is done stays done.
 * @param wanted its number, counted from 1, or its name
 * @param accelerator where it computes, instead of what the plan says
 * @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT, USAGE for a plan or a job that is none
 */
export async function runPlannedJob(
  plan: string,
  wanted: string,
  services: Services = {},
  accelerator: string | null = null,
): Promise<JobResult> {
  const jobs = await readPlan(plan);
  const job = findJob(jobs, wanted, planFileOf(plan));
  return runJob({ root: rootOf(plan), job, work: runVerb, accelerator, services });
}

/** How far the jobs of a plan are. @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT */
export async function jobsStatus(plan: string): Promise<JobStatus[]> {
  return statesOf(rootOf(plan), await readPlan(plan));
}

/** Lets jobs that failed begin again. @param wanted their numbers or names; all where none is given @returns names of these jobs */
export async function retryPlannedJobs(plan: string, wanted: readonly string[] = []): Promise<string[]> {
  const jobs = await readPlan(plan);
  return retryJobs(
    rootOf(plan),
    wanted.length === 0 ? jobs : wanted.map((name) => findJob(jobs, name, planFileOf(plan))),
  );
}

/** Writes the table and the page of a plan. */
export async function collectPlan(
  plan: string,
  services: Services = {},
): Promise<{ readonly root: string; readonly files: readonly string[]; readonly states: readonly JobStatus[] }> {
  const states = await jobsStatus(plan);
  const root = rootOf(plan);
  return { root, states, files: await collectJobs(root, states, services.logger) };
}

/** Asks whoever works at jobs to stop, and nobody to begin them. @param wanted their numbers or names; all where none is given */
export async function cancelPlannedJobs(plan: string, wanted: readonly string[] = []): Promise<string[]> {
  const states = await jobsStatus(plan);
  const jobs = states.map(({ job }) => job);
  const chosen = new Set(wanted.map((name) => findJob(jobs, name, planFileOf(plan)).id));
  const names = states.flatMap(({ job, state }) => (state !== 'done' && (wanted.length === 0 || chosen.has(job.id)) ? [job.id] : [])); // biome-ignore format: one line
  for (const id of names) await setCancelled(rootOf(plan), id, true);
  return names;
}

/** What was submitted: to Slurm `batches` and their numbers, none where nothing was; to a queue how many jobs are new in it. */
export type SubmitSummary =
  | { readonly to: 'slurm'; readonly batches: readonly SlurmBatch[]; readonly numbers: readonly string[] }
  | { readonly to: 'queue'; readonly added: number; readonly jobs: number; readonly server: string };

/**
 * Hands what is not done yet to Slurm or to a queue.
 * @param program the words that start this program on the nodes
 * @throws PtychoError USAGE, BACKEND_MISSING, ENGINE_FAILURE, OUTPUT_UNWRITABLE
 */
export async function submitPlan(
  plan: string,
  given: PartOf<JobsSubmitConfig>,
  program: readonly string[],
  services: Services = {},
): Promise<SubmitSummary> {
  const options = wholeConfig(jobsSubmitDefinition, given, services.logger);
  const { slurm, redis, postgres, dry_run } = options;
  if ([slurm, redis !== null, postgres !== null].filter(Boolean).length !== 1) {
    throw new PtychoError('USAGE', 'Say who takes the jobs, one of --slurm, --redis URL and --postgres URL.', { flag: 'slurm' }); // biome-ignore format: one sentence
  }
  const states = await jobsStatus(plan);
  const jobs = states.map(({ job }) => job);
  const done = new Set(states.filter(({ state }) => state === 'done').map(({ job }) => job.id));
  if (!slurm) {
    const root = path.resolve(rootOf(plan));
    const messages = jobs
      .filter(({ id }) => !done.has(id))
      .map(({ id, estimate }) => ({ root, id, seconds: estimate?.processor_seconds ?? 0 }));
    const server = serverOf(redis ?? postgres ?? '');
    if (dry_run) return { to: 'queue', added: 0, jobs: messages.length, server };
    return closing(await openQueue(options), async (queue) => ({ to: 'queue', added: await queue.add(messages), jobs: messages.length, server })); // biome-ignore format: one call
  }
  const batches = slurmBatches(jobs, { plan, program, options, done });
  for (const { file, script } of batches) {
    await mkdir(path.dirname(file), { recursive: true });
    await writeAtomically(file, script);
  }
  return { to: 'slurm', batches, numbers: dry_run ? [] : await submitBatches(batches) };
}

/** What a worker did. */
export type WorkSummary = Readonly<Record<JobEnd, number>>;

/** How often it is looked whether all is done. */
const LOOK_MS = 1000;

/**
 * Does jobs of plans as a queue hands them out, until the signal fires or, with `until_done`, nothing is left. A job at hand is stopped in
 * a state from which another worker goes on.
 * @param plans those that this worker takes jobs of; a message that names another is refused
 * @param run does a job; for programs that keep a log of each
 * @throws PtychoError USAGE, BACKEND_MISSING, FILE_NOT_FOUND
 */
export async function workOnPlans(
  plans: readonly string[],
  given: PartOf<JobsWorkConfig>,
  services: Services = {},
  run: typeof runPlannedJob = runPlannedJob,
): Promise<WorkSummary> {
  const config = wholeConfig(jobsWorkDefinition, given, services.logger);
  const logger = services.logger ?? silentLogger;
  if (config.accelerator !== null) await requireDevices(config.accelerator, logger);
  const roots = plans.map((plan) => rootOf(plan));
  const jobs = await Promise.all(plans.map((plan) => readPlan(plan)));
  const known = plans.map(() => new Set<string>());
  const counts = { done: 0, again: 0, failed: 0 };
  const over = new AbortController();
  const signal = services.signal ? AbortSignal.any([services.signal, over.signal]) : over.signal;
  let atWork = false;
  const look = async () => {
    // Whoever is at work knows that not all is done.
    if (atWork) return;
    for (const [k, root] of roots.entries()) if (!(await allEnded(root, jobs[k], known[k]))) return;
    over.abort();
  };
  return closing(await openQueue(config), async (queue) => {
    const timer = config.until_done ? setInterval(() => void look().catch(() => {}), LOOK_MS) : undefined;
    try {
      await queue.take(
        async ({ root, id }, { signal: stop, progress }) => {
          if (!(await isOneOf(root, roots))) {
            logger.warn(`The queue names a job of ${root}, which this worker was not started for; it was left out.`);
            return 'failed';
          }
          const onProgress: ProgressSink = (event) => {
            services.onProgress?.(event);
            progress(event.total > 0 ? event.done / event.total : 0);
          };
          atWork = true;
          const result = await run(root, id, { ...services, onProgress, signal: stop }, config.accelerator).finally(
            () => {
              atWork = false;
            },
          );
          if (!result.reused && result.record) logger.info(result.message);
          counts[result.end]++;
          return result.end;
        },
        signal,
        logger,
      );
    } finally {
      clearInterval(timer);
    }
    return counts;
  });
}

/** The verbs, each loaded when it is needed. */
export const runVerb: VerbRunner = async (verb, config, services): Promise<JobOutcome> => {
  switch (verb) {
    case 'solve': {
      if ((config as SolveConfig).from_tiles.length > 0) {
        const { solveTilesWorkflow } = await import('./solve.js');
        const { files, score, apart } = await solveTilesWorkflow(config as SolveConfig, services);
        return { cancelled: false, files, figures: { ...(score && { r_factor: score.image }), apart: apart.after } };
      }
      const { rFactor, cancelled, files, epochs } = await (await import('./solve.js')).solveWorkflow(
        config as SolveConfig,
        services,
      );
      return { cancelled, files, figures: { r_factor: rFactor, epochs } };
    }
    case 'reconstruct': {
      const { reconstructScanWorkflow } = await import('./reconstructScan.js');
      const { rFactor, cancelled, files } = await reconstructScanWorkflow(config as ReconstructConfig, services);
      return { cancelled, files, figures: { r_factor: rFactor } };
    }
    case 'train': {
      const { rFactor, cancelled, files, bestLoss, epochs } = await (await import('./train.js')).trainWorkflow(
        config as TrainingRequest,
        services,
      );
      return { cancelled, files, figures: { r_factor: rFactor.network, loss: bestLoss, epochs } };
    }
    case 'infer': {
      if ((config as InferenceConfig).shard !== null) {
        const { inferShardWorkflow } = await import('./infer.js');
        const { files, patterns } = await inferShardWorkflow(config as InferenceConfig, services);
        return { cancelled: false, files, figures: { patterns } };
      }
      const { rFactor, cancelled, files } = await (await import('./infer.js')).inferWorkflow(
        config as InferenceConfig,
        services,
      );
      return { cancelled, files, figures: rFactor ? { r_factor: rFactor.image } : {} };
    }
    case 'study':
      return (await import('./study.js')).runStudyJob(config as StudyJobConfig, services);
  }
};
