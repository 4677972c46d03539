/**
 * `study dose-overlap`: how well networks and iterative codes do at several doses and overlaps, from simulation to a verified
 * report. Steps that are done are not repeated; see docs/study.md.
 *
 * @example
 * const { verification } = await doseOverlapStudy({ config: parseStudy(values, 'study.yaml'), folder: 'out', origin: 'study.yaml' });
 */
import path from 'node:path';
import type { StudyJobConfig } from '../config/schemas/study.js';
import { PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import { ownerOf } from '../formats/folderLock.js';
import { withOutputFolder } from '../formats/outputs.js';
import type { PlanSummary } from '../jobs/plan.js';
import { withAbsolutePaths, writeStudyPlan } from '../jobs/studyPlan.js';
import type { JobOutcome } from '../jobs/verbs.js';
import { ARM_SOURCES, type ArmSource } from '../study/arms.js';
import { STUDY_FILE, type Study, VERIFICATION } from '../study/layout.js';
import { recordFile } from '../study/steps.js';
import {
  checkStudy,
  readStudy,
  runStudy,
  runStudyStep,
  STUDY_RESULTS,
  type StudySummary,
  stepsOfStudy,
  writeStudy,
} from '../study/study.js';

export { ARM_SOURCES, type ArmSource } from '../study/arms.js';
export type { Study } from '../study/layout.js';
export { type StudySummary, verifyFinishedStudy } from '../study/study.js';
export type { VerificationReport } from '../study/verify.js';

/**
 * Runs a study, or what is left of it, and verifies it. A comparison that fails is recorded, and the others continue; anything else that
 * fails ends the run, and the same call continues where it ended.
 *
 * @param sources where iterative arms come from
 * @throws PtychoError CANCELLED, OUTPUT_EXISTS for a folder of something else, and those of the steps
 */
export async function doseOverlapStudy(
  study: Study,
  services: Services = {},
  sources: readonly ArmSource[] = ARM_SOURCES,
): Promise<StudySummary> {
  return inFolderOf(study, services, sources, (inside) => runStudy(study, inside, sources));
}

/** @throws PtychoError for what is wrong with the configuration, before the first step */
function inFolderOf<T>(
  study: Study,
  services: Services,
  sources: readonly ArmSource[],
  work: (services: Services) => Promise<T>,
): Promise<T> {
  checkStudy(study, sources);
  const claim = {
    command: 'study dose-overlap',
    overwrite: study.overwrite ?? false,
    results: STUDY_RESULTS,
    isOwn: () => isStudy(study.folder),
  };
  return withOutputFolder(study.folder, claim, services, async (folder) => {
    await folder.make();
    return work({ ...services, signal: folder.signal, ownsOutputs: true });
  });
}

/**
 * Writes the steps of a study as a plan of jobs, `plan/plan.jsonl` in its folder: for clusters and queues, which do those at the same
 * time that do not need each other. The last job is the analysis with the verification.
 *
 * @example
 * const { file, jobs } = await planStudy({ folder: 'study', config: parseStudy({ doses: [1e4] }, 'x.yaml'), origin: 'x.yaml' });
 * for (const { id } of jobs) await runPlannedJob(file, id);
 * @throws PtychoError as {@link doseOverlapStudy} before its first step
 */
export async function planStudy(
  given: Study,
  services: Services = {},
  sources: readonly ArmSource[] = ARM_SOURCES,
): Promise<PlanSummary> {
  const study = { ...given, folder: path.resolve(given.folder), config: withAbsolutePaths(given.config) };
  return inFolderOf(study, services, sources, async () => {
    await writeStudy(study);
    const { folder, config } = study;
    const resultOf = (step: string | null) => path.join(folder, step === null ? VERIFICATION : recordFile(step));
    const steps = stepsOfStudy(study, sources);
    return writeStudyPlan({ folder, config, file: path.join(folder, STUDY_FILE), steps, resultOf });
  });
}

/**
 * Does a job of such a plan.
 * @throws PtychoError OUTPUT_IN_USE while the whole study is run in the folder; DATASET_VALUE where the study does not pass its verification;
 * and those of the step
 */
export async function runStudyJob({ study_dir, step }: StudyJobConfig, services: Services): Promise<JobOutcome> {
  const origin = path.join(study_dir, STUDY_FILE);
  const study = { folder: study_dir, config: await readStudy(study_dir), origin };
  if (step === null) {
    const { verification } = await doseOverlapStudy(study, services);
    const { n_passed, n_checks, all_passed, checks } = verification;
    if (!all_passed) {
      const first = checks.find(({ passed }) => !passed);
      throw new PtychoError('DATASET_VALUE', `${n_passed}/${n_checks} checks of the study passed; ${first?.name}: ${first?.problems[0] ?? ''}`, { path: path.join(study_dir, VERIFICATION) }); // biome-ignore format: one sentence
    }
    return { cancelled: false, files: [VERIFICATION], figures: { checks_passed: n_passed, checks: n_checks } };
  }
  const owner = await ownerOf(study_dir);
  if (owner !== undefined) throw new PtychoError('OUTPUT_IN_USE', `${study_dir} is being written by ${owner}; wait for it.`, { path: study_dir }); // biome-ignore format: one sentence
  const { record } = await runStudyStep(study, step, services, ARM_SOURCES);
  return { cancelled: false, files: Object.keys(record.outputs), figures: {} };
}

/** A folder that a study was begun in may be gone on with, whatever its configuration is now: its steps know what they made. */
async function isStudy(folder: string): Promise<boolean> {
  try {
    await readStudy(folder);
    return true;
  } catch {
    return false;
  }
}
