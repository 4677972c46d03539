/** Where a study keeps what (paths below its folder, with forward slashes), and which of it a finished one must have. */
import type { StudyConfig } from '../config/schemas/study.js';
import { canonicalName } from '../evaluation/comparison/names.js';
import { OVERLAP_FILES } from '../evaluation/overlap.js';

/** A study that is being worked on. */
export interface Study {
  readonly folder: string;
  readonly config: StudyConfig;
  /** The file that it was read from, for messages. */
  readonly origin: string;
  /** Work in a folder that holds something else under the study's names. */
  readonly overwrite?: boolean;
}

/** The two parts of a scan. */
export type Split = 'train' | 'test';
export const SPLITS: readonly Split[] = ['train', 'test'];

/** One comparison: all models on one part of one view at one dose. */
export interface Job {
  readonly dose: number;
  readonly view: string;
  readonly split: Split;
}

/** `dose_1000`. */
export const doseName = (dose: number): string => `dose_${dose}`;

export const STUDY_FILE = 'study.json';
export const SUMMARY = 'analysis/metrics_summary.json';
export const VERIFICATION = 'analysis/verification_report.json';
/** Required files of the analysis, the report of their verification aside. */
export const ANALYSIS = {
  summary: SUMMARY,
  table: 'analysis/metrics_summary.md',
  manifest: 'analysis/comparison_manifest.json',
  delta: 'analysis/metrics_delta_summary.json',
  highlights: 'analysis/metrics_delta_highlights.txt',
  preview: 'analysis/metrics_delta_highlights_preview.txt',
  aggregate: 'analysis/aggregate_highlights.txt',
  digest: 'analysis/metrics_digest.md',
  ssimGrid: 'analysis/ssim_grid_summary.md',
  inventory: 'analysis/artifact_inventory.txt',
} as const;

/** The scan of a dose, whole and in parts. */
export const patched = (dose: number, split?: Split): string =>
  `phase_c/${doseName(dose)}/patched${split ? `_${split}` : ''}.npz`;
export const validation = (dose: number): string => `phase_c/${doseName(dose)}/validation.json`;
/** What of a split belongs to a view. */
export const viewScan = ({ dose, view, split }: Job): string =>
  `phase_d/${doseName(dose)}/${view}/${view}_${split}.npz`;
/** Overlap metrics of a view for groups of this size. */
export const overlapFolder = (dose: number, view: string, gridsize: number): string =>
  `phase_d/${doseName(dose)}/${view}/gs${gridsize}`;

/** A training: the baseline of a dose, or a network of a view. */
export interface TrainingJob {
  readonly dose: number;
  /** null: the baseline, which sees the whole training part. */
  readonly view: string | null;
  readonly gridsize: number;
}
export const trainingFolder = ({ dose, view, gridsize }: TrainingJob): string =>
  `phase_e/${doseName(dose)}/${view ?? 'baseline'}/gs${gridsize}`;
export const TRAINING_FILES = ['wts.zip', 'history.csv', 'train.log', 'manifest.json'] as const;

export const armFolder = ({ dose, view, split }: Job): string => `phase_f/${doseName(dose)}/${view}/${split}`;
/** `ptychi_reconstruction.npz`. */
export const armFile = (job: Job, name: string): string => `${armFolder(job)}/${name.toLowerCase()}_reconstruction.npz`;
export const armManifest = (job: Job): string => `${armFolder(job)}/reconstruction_manifest.json`;
export const armSkip = (job: Job): string => `${armFolder(job)}/skip_summary.json`;

export const comparisonFolder = ({ dose, view, split }: Job): string => `phase_g/${doseName(dose)}/${view}/${split}`;
export const COMPARISON_FILES = [
  'comparison_metrics.csv',
  'comparison_metrics_standard.csv',
  'comparison_floors.csv',
  'comparison.json',
] as const;
/** Written beside these; a study is complete without them (REPORTING-ARTIFACT-BOUNDARY-001). */
const OPTIONAL_FILES = [
  'comparison_plot.png',
  'index.html',
  'reconstructions.npz',
  'reconstructions_aligned.npz',
] as const;

/** What the iterative arm is called, also where there is none. */
export const iterativeName = ({ iterative }: StudyConfig): string => canonicalName(iterative?.name ?? 'PtyChi');

/** All comparisons in order. */
export function jobsOf({ doses, views, splits }: Pick<StudyConfig, 'doses' | 'views' | 'splits'>): Job[] {
  return doses.flatMap((dose) =>
    Object.keys(views).flatMap((view) => splits.map((split): Job => ({ dose, view, split }))),
  );
}

/** All trainings in order: of each dose the baseline, then the networks of the views. */
export function trainingsOf({ doses, views, gridsizes }: StudyConfig): TrainingJob[] {
  return doses.flatMap((dose) => [
    { dose, view: null, gridsize: 1 },
    ...Object.keys(views).flatMap((view) => gridsizes.map((gridsize) => ({ dose, view, gridsize }))),
  ]);
}

/** A log of the study: what its steps said, one after the other. */
export interface StudyLog {
  readonly name: string;
  /** Steps whose lines it holds. */
  readonly steps: readonly string[];
}

/** Ids of steps. */
export const stepId = {
  simulate: (dose: number) => `phase_c.${doseName(dose)}.simulate`,
  split: (dose: number) => `phase_c.${doseName(dose)}.split`,
  validate: (dose: number) => `phase_c.${doseName(dose)}.validate`,
  subset: ({ dose, view, split }: Job) => `phase_d.${doseName(dose)}.${view}.${split}`,
  overlap: (dose: number, view: string, gridsize: number) => `phase_d.${doseName(dose)}.${view}.overlap_gs${gridsize}`,
  train: ({ dose, view, gridsize }: TrainingJob) => `phase_e.${doseName(dose)}.${view ?? 'baseline'}.gs${gridsize}`,
  arm: ({ dose, view, split }: Job) => `phase_f.${doseName(dose)}.${view}.${split}`,
  compare: ({ dose, view, split }: Job) => `phase_g.${doseName(dose)}.${view}.${split}`,
  aggregate: 'analysis.aggregate',
  digest: 'analysis.digest',
} as const;

/** The logs of a study by their published names; with several doses those of phases F and G end in the dose. */
export function logsOf(config: StudyConfig): StudyLog[] {
  const { doses, gridsizes } = config;
  const views = Object.keys(config.views);
  const jobs = jobsOf(config);
  const of = (dose: number) => (doses.length === 1 ? '' : `_dose${dose}`);
  return [
    {
      name: 'phase_c_generation',
      steps: doses.flatMap((dose) => [stepId.simulate(dose), stepId.split(dose), stepId.validate(dose)]),
    },
    ...views.map((view) => ({
      name: `phase_d_${view}`,
      steps: doses.flatMap((dose) => [
        ...SPLITS.map((split) => stepId.subset({ dose, view, split })),
        ...gridsizes.map((gridsize) => stepId.overlap(dose, view, gridsize)),
      ]),
    })),
    ...trainingsOf(config).map((job) => ({
      name: `phase_e_${job.view ?? 'baseline'}_gs${job.gridsize}_dose${job.dose}`,
      steps: [stepId.train(job)],
    })),
    ...jobs.map((job) => ({ name: `phase_f_${job.view}_${job.split}${of(job.dose)}`, steps: [stepId.arm(job)] })),
    ...jobs.map((job) => ({ name: `phase_g_${job.view}_${job.split}${of(job.dose)}`, steps: [stepId.compare(job)] })),
    ...views.map((view) => ({
      name: `run_phase_g_${view}`,
      steps: jobs.filter((job) => job.view === view).map((job) => stepId.compare(job)),
    })),
    { name: 'aggregate_report_cli', steps: [stepId.aggregate] },
    { name: 'metrics_digest_cli', steps: [stepId.digest] },
  ];
}
export const logFile = (name: string): string => `cli/${name}.log`;
/** The last line of a log whose work is done. */
export const sentinelOf = (name: string): string => `SUCCESS: ${name}`;

/** Required files by phase, paths below the folder of the study. */
export interface RequiredArtifacts {
  /** Written by recorded steps of phases C to G. */
  readonly phases: readonly string[];
  readonly analysis: readonly string[];
  readonly logs: readonly string[];
  /** All of them and `study.json`, sorted by code units: the lines of `artifact_inventory.txt`. */
  readonly all: readonly string[];
}

/** @param skipped comparisons without an iterative arm */
export function requiredArtifacts(config: StudyConfig, skipped: (job: Job) => boolean): RequiredArtifacts {
  const { doses, gridsizes } = config;
  const name = iterativeName(config);
  const phases = [
    ...doses.flatMap((dose) => [patched(dose), ...SPLITS.map((split) => patched(dose, split)), validation(dose)]),
    ...doses.flatMap((dose) =>
      Object.keys(config.views).flatMap((view) => [
        ...SPLITS.map((split) => viewScan({ dose, view, split })),
        ...gridsizes.flatMap((g) => OVERLAP_FILES.two.map((file) => `${overlapFolder(dose, view, g)}/${file}`)),
      ]),
    ),
    ...trainingsOf(config).flatMap((job) => TRAINING_FILES.map((file) => `${trainingFolder(job)}/${file}`)),
    ...jobsOf(config).flatMap((job) => [
      ...(skipped(job) ? [armSkip(job)] : [armFile(job, name), armManifest(job)]),
      ...COMPARISON_FILES.map((file) => `${comparisonFolder(job)}/${file}`),
    ]),
  ];
  const analysis = Object.values(ANALYSIS);
  const logs = logsOf(config).map((log) => logFile(log.name));
  return { phases, analysis, logs, all: [STUDY_FILE, ...phases, ...analysis, ...logs].sort() };
}

/** Files that a comparison usually writes besides. */
export const optionalArtifacts = (config: StudyConfig): string[] =>
  jobsOf(config).flatMap((job) => OPTIONAL_FILES.map((file) => `${comparisonFolder(job)}/${file}`));

/** `artifact_inventory.txt`. */
export const inventoryText = ({ all }: RequiredArtifacts): string => `${all.join('\n')}\n`;
