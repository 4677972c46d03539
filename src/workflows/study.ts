/**
 * `study dose-overlap`: how well networks and iterative codes do at several doses and overlaps, from simulation to a verified
 * report. Steps that are done are not repeated; see docs/study.md.
 *
 * @example
 * const { verification } = await doseOverlapStudy({ config: parseStudy(values, 'study.yaml'), folder: 'out', origin: 'study.yaml' });
 */
import path from 'node:path';
import { comparisonDefinition, simulationDefinition, trainingDefinition } from '../config/commands.js';
import type { StudyConfig, StudyJobConfig } from '../config/schemas/study.js';
import { PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import { ownerOf } from '../formats/folderLock.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import { withOutputFolder } from '../formats/outputs.js';
import { estimateJob, type JobEstimate } from '../jobs/estimate.js';
import { fingerprintOf } from '../jobs/fingerprint.js';
import { absolutePaths } from '../jobs/makePlan.js';
import { PLAN_FILE, type PlanSummary, plannedJob, writePlan } from '../jobs/plan.js';
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

/** Folder of the plan of a study, below that of the study. */
const PLAN_FOLDER = 'plan';
/** The job that comes after all steps. */
const LAST = 'report';

/**
 * Writes the steps of a study as a plan of jobs, `plan/plan.jsonl` in its folder: for clusters and queues, which do those at the same
 * time that do not need each other. The last job is the analysis with the verification.
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
    const root = path.join(study.folder, PLAN_FOLDER);
    const file = path.join(root, PLAN_FILE);
    const inputs = [await fingerprintOf(path.join(study.folder, STUDY_FILE))];
    const steps = stepsOfStudy(study, sources);
    const names = new Map(steps.map(({ id }, index) => [id, nameOf(index, id)]));
    const named = (ids: readonly string[]) => ids.map((id) => names.get(id) as string);
    const job = (index: number, step: string | null, after: readonly string[], ended?: readonly string[]) => {
      const id = nameOf(index, step ?? LAST);
      const result = path.join(study.folder, step === null ? VERIFICATION : recordFile(step));
      return plannedJob({
        ...{ id, verb: 'study', inputs, output_dir: path.join(root, id), after: [...after] },
        ...(ended && { after_ended: [...ended] }),
        config: { study_dir: study.folder, step, result },
        provenance: {},
        estimate: estimateOf(study.config, step),
      });
    };
    const ids = (mayFail: boolean) => named(steps.flatMap((step) => (step.mayFail === mayFail ? step.id : [])));
    const jobs = [
      ...steps.map(({ id, after }, index) => job(index, id, named(after))),
      // A comparison that fails is reported, too.
      job(steps.length, null, ids(false), ids(true)),
    ];
    await makeOutputFolder(root);
    await writePlan(file, jobs);
    return { file, jobs, total: jobs.length };
  });
}

/** `0007-phase_d.dose_1000.dense.train`, of letters that every file system takes. */
const nameOf = (index: number, id: string): string =>
  `${String(index + 1).padStart(4, '0')}-${id.replace(/[^A-Za-z0-9._=-]+/g, '_')}`.slice(0, 100);

/** Jobs may run in another folder. */
function withAbsolutePaths(config: StudyConfig): StudyConfig {
  const { iterative } = config;
  const training = (block: Readonly<Record<string, unknown>>) => absolutePaths(trainingDefinition, { ...block });
  return {
    ...config,
    simulation: absolutePaths(simulationDefinition, { ...config.simulation }),
    training: training(config.training),
    pinn: training(config.pinn),
    baseline: training(config.baseline),
    comparison: absolutePaths(comparisonDefinition, { ...config.comparison }),
    iterative: iterative && { ...iterative, file: iterative.file === null ? null : path.resolve(iterative.file) },
  };
}

/** As rough as those of other jobs: of a training and a comparison from what they see, of the rest a constant. */
function estimateOf({ simulation, training, split }: StudyConfig, step: string | null): JobEstimate {
  const { N = 64, n_patterns = 2000 } = simulation as { N?: number; n_patterns?: number };
  const size = { N, count: n_patterns * split.fraction, modes: 1 };
  const { nepochs = 50 } = training as { nepochs?: number };
  const kind = step?.split('.')[0];
  const found =
    kind === 'phase_e'
      ? estimateJob('train', { nepochs, n_subsample: null }, size)
      : estimateJob('infer', { n_subsample: null }, kind === 'phase_g' ? { ...size, count: 3 * size.count } : size);
  return { processor_seconds: Math.ceil(found.processor_seconds), memory_bytes: Math.ceil(found.memory_bytes) };
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
