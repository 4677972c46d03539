/** Which files a finished study must have, and which it may have. */
import type { StudyConfig } from '../config/schemas/study.js';
import {
  ANALYSIS,
  armFile,
  armManifest,
  armSkip,
  COMPARISON_FILES,
  comparisonFolder,
  type Job,
  jobsOf,
  logFile,
  logsOf,
  OPTIONAL_FILES,
  OVERLAP_FILES,
  overlapFolder,
  patched,
  SPLITS,
  STUDY_FILE,
  TRAINING_FILES,
  trainingFolder,
  trainingsOf,
  validation,
  viewScan,
} from './layout.js';
import { iterativeName } from './summary.js';

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
        ...gridsizes.flatMap((g) => OVERLAP_FILES.map((file) => `${overlapFolder(dose, view, g)}/${file}`)),
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
