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
import { jobsPlanDefinition, jobsSubmitDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { InferenceConfig, PartOf } from '../config/schema.js';
import type { JobsPlanConfig, JobsSubmitConfig } from '../config/schemas/jobs.js';
import type { ReconstructConfig } from '../config/schemas/reconstruct.js';
import type { SolveConfig } from '../config/schemas/solver.js';
import type { TrainingRequest } from '../config/schemas/training.js';
import { PtychoError } from '../core/errors.js';
import type { ProvenanceEntry, Services } from '../core/services.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { collectJobs } from '../jobs/collect.js';
import { makeJobs } from '../jobs/makePlan.js';
import { findJob, PLAN_FILE, type PlannedJob, planFileOf, readPlan, rootOf, writePlan } from '../jobs/plan.js';
import { type JobStatus, statesOf } from '../jobs/record.js';
import { type JobResult, retryJobs, runJob } from '../jobs/runJob.js';
import { type SlurmBatch, slurmBatches, submitBatches } from '../jobs/slurm.js';
import type { JobOutcome, VerbRunner } from '../jobs/verbs.js';

/** Scans, and the values of the verb that were given. */
export interface PlanInputs {
  readonly scans: readonly string[];
  /** With where they came from; plain values of a program are `{ value, source: 'caller' }`. */
  readonly given?: Readonly<Record<string, ProvenanceEntry>>;
}

/** A plan that was written. */
export interface PlanSummary {
  readonly file: string;
  /** Those that are new. */
  readonly jobs: readonly PlannedJob[];
  readonly total: number;
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
  const { output_root: root, verb, sweep, after, append } = config;
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
  const request = { verb, root, sweep, after, earlier, scans: inputs.scans, given: inputs.given ?? {} };
  const jobs = await makeJobs(request, services);
  await makeOutputFolder(root);
  await writePlan(file, [...earlier, ...jobs]);
  return { file, jobs, total: earlier.length + jobs.length };
}

/**
 * Does one job of a plan; what is done stays done.
 * @param wanted its number, counted from 1, or its name
 * @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT, USAGE for a plan or a job that is none
 */
export async function runPlannedJob(plan: string, wanted: string, services: Services = {}): Promise<JobResult> {
  const jobs = await readPlan(plan);
  const job = findJob(jobs, wanted, planFileOf(plan));
  return runJob({ root: rootOf(plan), job, work: runVerb, services });
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

/** What was submitted: `numbers` are those of Slurm, none where nothing was. */
export interface SubmitSummary {
  readonly batches: readonly SlurmBatch[];
  readonly numbers: readonly string[];
}

/**
 * Hands what is not done yet to Slurm.
 * @param program the words that start this program on the nodes
 * @throws PtychoError BACKEND_MISSING, ENGINE_FAILURE, OUTPUT_UNWRITABLE
 */
export async function submitPlan(
  plan: string,
  given: PartOf<JobsSubmitConfig>,
  program: readonly string[],
  services: Services = {},
): Promise<SubmitSummary> {
  const options = wholeConfig(jobsSubmitDefinition, given, services.logger);
  if (!options.slurm) throw new PtychoError('USAGE', 'Say which scheduler takes the jobs: --slurm.', { flag: 'slurm' });
  const states = await jobsStatus(plan);
  const done = new Set(states.filter(({ state }) => state === 'done').map(({ job }) => job.id));
  const batches = slurmBatches(states.map(({ job }) => job), { plan, program, options, done }); // biome-ignore format: one call
  for (const { file, script } of batches) {
    await mkdir(path.dirname(file), { recursive: true });
    await writeAtomically(file, script);
  }
  return { batches, numbers: options.dry_run ? [] : await submitBatches(batches) };
}

/** The verbs, each loaded when it is needed. */
export const runVerb: VerbRunner = async (verb, config, services): Promise<JobOutcome> => {
  switch (verb) {
    case 'solve': {
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
      const { rFactor, cancelled, files } = await (await import('./infer.js')).inferWorkflow(
        config as InferenceConfig,
        services,
      );
      return { cancelled, files, figures: rFactor ? { r_factor: rFactor.image } : {} };
    }
  }
};
