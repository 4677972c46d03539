/**
 * The steps of a study as a plan: every step is a job, after the steps whose files it reads; a last one, which also sees comparisons that
 * failed, comes after all. What the steps are is handed in.
 *
 * @example
 * const { jobs } = await writeStudyPlan({ folder, config, file: 'study/study.json', steps, resultOf });
 */
import path from 'node:path';
import { comparisonDefinition, simulationDefinition, trainingDefinition } from '../config/commands.js';
import type { StudyConfig } from '../config/schemas/study.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import { estimateJob, type JobEstimate } from './estimate.js';
import { fingerprintOf } from './fingerprint.js';
import { absolutePaths } from './makePlan.js';
import { PLAN_FILE, type PlanSummary, plannedJob, writePlan } from './plan.js';

/** What is planned. */
interface StudyPlan {
  /** Of the study. */
  readonly folder: string;
  readonly config: StudyConfig;
  /** Where it is written down. */
  readonly file: string;
  readonly steps: readonly { readonly id: string; readonly after: readonly string[]; readonly mayFail: boolean }[];
  /** The file by which it is known that a step is done; null: that of the last job. */
  readonly resultOf: (step: string | null) => string;
}

/** Folder of the plan, below that of the study. */
const PLAN_FOLDER = 'plan';
/** The job that comes after all steps. */
const LAST = 'report';

/** Writes the plan. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writeStudyPlan({ folder, config, file, steps, resultOf }: StudyPlan): Promise<PlanSummary> {
  const root = path.join(folder, PLAN_FOLDER);
  const inputs = [await fingerprintOf(file)];
  const names = new Map(steps.map(({ id }, index) => [id, nameOf(index, id)]));
  const named = (ids: readonly string[]) => ids.map((id) => names.get(id) as string);
  const job = (index: number, step: string | null, after: readonly string[], ended?: readonly string[]) => {
    const id = nameOf(index, step ?? LAST);
    return plannedJob({
      ...{ id, verb: 'study', inputs, output_dir: path.join(root, id), after: [...after] },
      ...(ended && { after_ended: [...ended] }),
      config: { study_dir: folder, step, result: resultOf(step) },
      provenance: {},
      estimate: estimateOf(config, step),
    });
  };
  const ids = (mayFail: boolean) => named(steps.flatMap((step) => (step.mayFail === mayFail ? step.id : [])));
  const jobs = [
    ...steps.map(({ id, after }, index) => job(index, id, named(after))),
    // A comparison that fails is reported, too.
    job(steps.length, null, ids(false), ids(true)),
  ];
  const plan = path.join(root, PLAN_FILE);
  await makeOutputFolder(root);
  await writePlan(plan, jobs);
  return { file: plan, jobs, total: jobs.length };
}

/** `0007-phase_d.dose_1000.dense.train`, of letters that every file system takes. */
const nameOf = (index: number, id: string): string =>
  `${String(index + 1).padStart(4, '0')}-${id.replace(/[^A-Za-z0-9._=-]+/g, '_')}`.slice(0, 100);

/** The same study with paths that are absolute: jobs may run in another folder. */
export function withAbsolutePaths(config: StudyConfig): StudyConfig {
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
