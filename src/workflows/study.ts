/**
 * `study dose-overlap`: how well networks and iterative codes do at several doses and overlaps, from simulation to a verified
 * report. Steps that are done are not repeated; see docs/study.md.
 *
 * @example
 * const { verification } = await doseOverlapStudy({ config: parseStudy(values, 'study.yaml'), folder: 'out', origin: 'study.yaml' });
 */
import type { Services } from '../core/services.js';
import { withOutputFolder } from '../formats/outputs.js';
import { ARM_SOURCES, type ArmSource } from '../study/arms.js';
import type { Study } from '../study/layout.js';
import { checkStudy, readStudy, runStudy, STUDY_RESULTS, type StudySummary } from '../study/study.js';

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
  // What is wrong with the configuration is said before the first step.
  checkStudy(study, sources);
  const claim = {
    command: 'study dose-overlap',
    overwrite: study.overwrite ?? false,
    results: STUDY_RESULTS,
    isOwn: () => isStudy(study.folder),
  };
  return withOutputFolder(study.folder, claim, services, async (folder) => {
    await folder.make();
    return runStudy(study, { ...services, signal: folder.signal, ownsOutputs: true }, sources);
  });
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
