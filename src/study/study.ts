/**
 * A study over doses and overlaps: how well networks and iterative codes do, from simulation to a verified report. Steps that are done
 * are not repeated; see docs/study.md.
 */
import path from 'node:path';
import { parseStudy, type StudyConfig } from '../config/schemas/study.js';
import { isPtychoError, messageOf, PtychoError } from '../core/errors.js';
import { CONFIG_BYTES, readTextInput } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { type ArmSource, armSourceOf } from './arms.js';
import { overlapStep, simulateStep, splitStep, subsetStep, validateStep } from './data.js';
import {
  type Job,
  jobsOf,
  logFile,
  logsOf,
  SPLITS,
  STUDY_FILE,
  type Study,
  sentinelOf,
  stepId,
  trainingsOf,
  VERIFICATION,
} from './layout.js';
import { type ArmResult, armStep, type ComparisonResult, compareStep, trainStep } from './models.js';
import { STUDY_PAGE, writeStudyPage } from './page.js';
import { FileHashes, type FinishedStep, failureLine, readRecord, type Step, StepRunner } from './steps.js';
import { type ExecutionResult, executionResult } from './summary.js';
import { aggregateStep, digestStep } from './tables.js';
import { type VerificationReport, verifyStudy } from './verify.js';

/** What a study came to. */
export interface StudySummary {
  readonly folder: string;
  /** Steps of this run, and those that were done before. */
  readonly steps: { readonly done: number; readonly reused: number };
  readonly results: readonly ExecutionResult[];
  readonly verification: VerificationReport;
}

/** What a study writes and, when its configuration changes, removes. */
export const STUDY_RESULTS = [
  STUDY_FILE,
  'phase_c',
  'phase_d',
  'phase_e',
  'phase_f',
  'phase_g',
  'analysis',
  'steps',
  STUDY_PAGE,
];

/**
 * Runs a study in its folder, which the caller owns, or what is left of it, and verifies it. A comparison that fails is recorded, and
 * the others continue; anything else that fails ends the run, and the same call continues where it ended.
 * @param sources where iterative arms come from
 * @throws PtychoError CANCELLED, and those of the library that it calls
 */
export async function runStudy(study: Study, services: Services, sources: readonly ArmSource[]): Promise<StudySummary> {
  await writeStudy(study);
  const run = new StudyRun(study, services, sources);
  try {
    await run.all();
  } finally {
    await run.writeLogs();
  }
  const verification = await verifyAndWrite(study.folder, study.config);
  await writeStudyPage(study, run.results, verification);
  return { folder: study.folder, steps: run.steps.counts, results: run.results, verification };
}

/**
 * Verifies a finished study again, from its files alone.
 * @throws PtychoError FILE_NOT_FOUND and FILE_FORMAT for a folder that holds no study
 */
export async function verifyFinishedStudy(folder: string): Promise<VerificationReport> {
  return verifyAndWrite(folder, await readStudy(folder));
}

async function verifyAndWrite(folder: string, config: StudyConfig): Promise<VerificationReport> {
  const report = await verifyStudy(folder, config);
  await makeOutputFolder(path.join(folder, path.dirname(VERIFICATION)));
  await writeAtomically(path.join(folder, VERIFICATION), json(report));
  return report;
}

/** The configuration that a study was run with. @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT */
export async function readStudy(folder: string): Promise<StudyConfig> {
  const file = path.join(folder, STUDY_FILE);
  let text: string;
  try {
    text = await readTextInput(file, { maxBytes: CONFIG_BYTES });
  } catch (cause) {
    throw new PtychoError('FILE_NOT_FOUND', `There is no ${STUDY_FILE} in ${folder}; name the folder of a study, or run it first.`, { path: file }, { cause }); // biome-ignore format: one call
  }
  try {
    return parseStudy((JSON.parse(text) as { config?: unknown }).config, file);
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${file} is no study: ${messageOf(cause)}`, { path: file }, { cause });
  }
}

/** Makes every step once without running it: their configurations are checked thereby. @throws PtychoError CONFIG_INVALID */
export function checkStudy(study: Study, sources: readonly ArmSource[]): void {
  const { config } = study;
  if (config.iterative) armSourceOf(config.iterative, sources).check?.(config.iterative, study.origin);
  stepsToCompare(study, sources, new FileHashes());
  for (const job of jobsOf(config)) compareStep(study, job, false);
}

/** All steps that come before the comparisons, in an order in which they can be done. */
function stepsToCompare(study: Study, sources: readonly ArmSource[], hashes: FileHashes): Step[] {
  const { config } = study;
  const views = Object.keys(config.views);
  return [
    ...config.doses.flatMap((dose) => [simulateStep(study, dose), splitStep(study, dose), validateStep(study, dose)]),
    ...config.doses.flatMap((dose) =>
      views.flatMap((view) => [
        ...SPLITS.map((split) => subsetStep(study, { dose, view, split })),
        ...config.gridsizes.map((gridsize) => overlapStep(study, dose, view, gridsize)),
      ]),
    ),
    ...trainingsOf(config).map((job) => trainStep(study, job)),
    ...jobsOf(config).map((job) => armStep(study, job, sources, hashes)),
  ];
}

/** A step as others see it who do one at a time. */
export interface StudyStep {
  readonly id: string;
  /** Steps that must be done before. */
  readonly after: readonly string[];
  /** A comparison: one that fails does not end the study. */
  readonly mayFail: boolean;
}

/**
 * The steps of a study but for the analysis, which is quick and sees all of them; each after those whose files it reads.
 *
 * @example
 * for (const { id } of stepsOfStudy(study, ARM_SOURCES)) await runStudyStep(study, id, services, ARM_SOURCES);
 */
export function stepsOfStudy(study: Study, sources: readonly ArmSource[]): StudyStep[] {
  const before = stepsToCompare(study, sources, new FileHashes());
  const writer = new Map<string, string>();
  for (const { id, outputs } of before)
    if (typeof outputs !== 'function') for (const file of outputs) writer.set(file, id);
  const after = ({ inputs }: Step) => [...new Set(inputs.flatMap((file) => writer.get(file) ?? []))];
  return [
    ...before.map((step) => ({ id: step.id, after: after(step), mayFail: false })),
    ...jobsOf(study.config).map((job) => {
      const step = compareStep(study, job, false);
      return { id: step.id, after: [...after(step), stepId.arm(job)], mayFail: true };
    }),
  ];
}

/**
 * Does one step of {@link stepsOfStudy} whose earlier ones are done, unless it is done, too.
 * @throws PtychoError USAGE for a name that is none, FILE_NOT_FOUND before its time, and those of the library that it calls
 */
export async function runStudyStep(
  study: Study,
  id: string,
  services: Services,
  sources: readonly ArmSource[],
): Promise<FinishedStep> {
  const steps = new StepRunner(study.folder, services);
  const job = jobsOf(study.config).find((each) => stepId.compare(each) === id);
  if (!job) {
    const step = stepsToCompare(study, sources, steps.hashes).find((each) => each.id === id);
    if (step) return steps.run(step);
    throw new PtychoError('USAGE', `The study in ${study.folder} has no step ${id}.`, { found: id });
  }
  const arm = await readRecord(study.folder, stepId.arm(job));
  if (!arm) throw new PtychoError('FILE_NOT_FOUND', `${id} comes after ${stepId.arm(job)}, which is not done.`, { path: study.folder }); // biome-ignore format: one sentence
  return steps.run(compareStep(study, job, (arm.result as ArmResult).skipped === undefined));
}

/** Writes down what a study is, in its folder. */
export async function writeStudy({ folder, config }: Study): Promise<void> {
  await makeOutputFolder(path.join(folder, 'cli'));
  await writeAtomically(path.join(folder, STUDY_FILE), json({ study_format: 1, version: createdBy.version, config }));
}

/** One run of a study. */
class StudyRun {
  readonly steps: StepRunner;
  readonly results: ExecutionResult[] = [];
  readonly #finished = new Map<string, FinishedStep>();
  readonly #failures = new Map<string, string>();

  constructor(
    private readonly study: Study,
    private readonly services: Services,
    private readonly sources: readonly ArmSource[],
  ) {
    this.steps = new StepRunner(study.folder, services);
  }

  async all(): Promise<void> {
    const { study } = this;
    const { config } = study;
    const skipped = new Map<string, string | undefined>();
    for (const step of stepsToCompare(study, this.sources, this.steps.hashes)) {
      const { record } = await this.#step(step);
      skipped.set(record.id, (record.result as ArmResult | null)?.skipped);
    }
    const jobs = jobsOf(config);
    const whySkipped = (job: Job) => skipped.get(stepId.arm(job));
    for (const job of jobs) this.results.push(await this.#compare(job, whySkipped(job)));
    await this.#step(aggregateStep(study, this.results));
    await this.#step(digestStep(study, (job) => whySkipped(job) !== undefined));
  }

  async #step(step: Step): Promise<FinishedStep> {
    try {
      const finished = await this.steps.run(step);
      this.#finished.set(step.id, finished);
      return finished;
    } catch (error) {
      this.#failures.set(step.id, failureLine(error));
      throw error;
    }
  }

  async #compare(job: Job, iterative_skipped: string | undefined): Promise<ExecutionResult> {
    try {
      const { record } = await this.#step(compareStep(this.study, job, iterative_skipped === undefined));
      const { models } = record.result as ComparisonResult;
      return executionResult(job, { status: 'success', models, iterative_skipped });
    } catch (error) {
      if (!isPtychoError(error) || error.code === 'CANCELLED') throw error;
      (this.services.logger ?? silentLogger).warn(`This comparison failed; the others continue: ${error.message}`);
      return executionResult(job, { status: 'failed', models: [], iterative_skipped, error: error.message });
    }
  }

  /** The logs of what this run did or found done; those of work that is not done end without their last line. */
  async writeLogs(): Promise<void> {
    for (const { name, steps } of logsOf(this.study.config)) {
      const lines = steps.flatMap((id) => {
        const failure = this.#failures.get(id);
        const record = this.#finished.get(id)?.record;
        return [
          ...(record ? [`--- ${id}`, ...record.log] : []),
          ...(failure === undefined ? [] : [`--- ${id}`, failure]),
        ];
      });
      const done = steps.every((id) => this.#finished.has(id));
      if (lines.length === 0) continue;
      const text = [
        `ptychopinn ${createdBy.version} study dose-overlap`,
        ...lines,
        ...(done ? [sentinelOf(name)] : []),
      ];
      await writeAtomically(path.join(this.study.folder, logFile(name)), `${text.join('\n')}\n`);
    }
  }
}
