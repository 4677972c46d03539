/**
 * `--probe solve`: a solver finds the probe together with the object first, and the network is trained with that probe.
 *
 * @example
 * const raw = await withSolvedProbe(scan, request, services); // raw.probeGuess is what the solver came to
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TrainingRequest } from '../config/schema.js';
import { SOLVE_PROBE } from '../config/schemas/trainingFields.js';
import { throwIfCancelled } from '../core/cancel.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import type { ComplexTensor } from '../core/tensor.js';
import { GUESS_PROBE, readProbe } from '../data/opening/probe.js';
import type { RawData } from '../data/rawData.js';
import { runSolver } from '../solvers/run.js';

/** What solves: it tolerates a wrong probe best (docs/solvers.md). */
const SOLVER = { algorithm: 'rpie', epochs: 50 } as const;

/** How the scan of a training is opened: with the probe that it is solved from, where it is to be solved. */
export function openedProbe({ probe }: Pick<TrainingRequest, 'probe'>): string | null {
  return probe === SOLVE_PROBE ? GUESS_PROBE : probe;
}

/**
 * The scan with the probe that a solver found, beginning with the scan's own, or a guess where it has none; the scan as it is where
 * no probe is to be solved.
 * @throws PtychoError those of `solve`; CANCELLED where it was stopped
 */
export async function withSolvedProbe(
  raw: RawData,
  { probe, seed, execution }: Pick<TrainingRequest, 'probe' | 'seed' | 'execution'>,
  { logger = silentLogger, signal, onProgress }: Services = {},
): Promise<RawData> {
  if (probe !== SOLVE_PROBE) return raw;
  const threads = execution.threads ?? undefined;
  const options = { ...SOLVER, seed };
  const solved = await runSolver(raw, options, { logger, signal, onProgress, threads });
  throwIfCancelled(signal, 'Solving for the probe');
  logger.info(
    `The probe was solved for: ${SOLVER.algorithm}, ${SOLVER.epochs} epochs, R ${solved.rFactor.toPrecision(3)}, ${solved.seconds.toFixed(0)} s.`,
  );
  return { ...raw, probeGuess: solved.probe };
}

/** The probe that `probe: solve` came to: a run that goes on takes it from here, because another number of threads adds up otherwise. */
export const SOLVED_PROBE_FILE = 'probe.npz';

/** The key of the probe of a scan in that file, the scans counted from 0. */
export const solvedKey = (scan: number): string => (scan === 0 ? 'probeGuess' : `probeGuess_${scan + 1}`);

/** The probes that were solved for in the folder of a run, one for each scan; undefined where there are none. */
export async function solvedBefore(
  folder: string | null,
  N: number,
  scans: number,
): Promise<ComplexTensor[] | undefined> {
  const file = folder === null ? undefined : path.join(folder, SOLVED_PROBE_FILE);
  if (file === undefined || !existsSync(file)) return undefined;
  const probes: ComplexTensor[] = [];
  for (let scan = 0; scan < scans; scan++) {
    probes.push(await readProbe(scan === 0 ? file : `${file}:${solvedKey(scan)}`, N));
  }
  return probes;
}
