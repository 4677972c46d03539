/** Iterative algorithms in a session. */

import type { Backend } from '../../backends/backend.js';
import { completeConfig } from '../../config/resolve.js';
import { ALGORITHM_TITLES, type SolverOptions } from '../../config/schemas/solver.js';
import { solverDefinition } from '../../config/solverDefinition.js';
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { createdBy } from '../../core/version.js';
import type { RawData } from '../../data/rawData.js';
import { makeFolder } from '../../formats/replaceFile.js';
import { scanFingerprint } from '../../persistence/runState.js';
import { checkState, goingOnWith, readState, saveState } from '../../solvers/files/state.js';
import { fitsKernels } from '../../solvers/host/kernels.js';
import { requireSolverMemory } from '../../solvers/memory.js';
import { solverBackend } from '../../solvers/openPasses.js';
import { runSolver } from '../../solvers/run.js';
import { correctsPositions } from '../../solvers/scan.js';
import type { SolverUpdate } from '../../solvers/updates.js';
import { keep } from './kept.js';
import type { NewResult, Result } from './results.js';
import { every, type Run } from './run.js';
import type { ShownImage, SolveRequest, SolveUpdate } from './views.js';

/** What a run in a session has around it. */
interface Around {
  readonly run: Run;
  readonly logger: Logger;
  /** Where it begins. */
  readonly from?: Result;
}

/** @throws PtychoError those of `runSolver`, and of a state that belongs to another run */
export async function solveScan(
  raw: RawData,
  request: SolveRequest,
  { run, logger, from }: Around,
): Promise<NewResult> {
  const { options: given = {}, threads, showEvery_s = 0.5, stateFolder, stateEvery_s = 5, resume } = request;
  let options = completeConfig(solverDefinition, given, logger);
  requireSolverMemory(raw, options, { threads, logger });
  const scan = await scanFingerprint(raw);
  const stored = resume === undefined ? undefined : await readState(resume);
  if (resume !== undefined && stored === undefined) {
    throw new PtychoError('FILE_NOT_FOUND', `${resume} holds no state of a run to go on from.`, { path: resume });
  }
  if (stored && resume !== undefined) {
    options = goingOnWith(stored, options);
    checkState(stored, { folder: resume, options, init: null, scan, hasResults: false });
  }
  const backend = await engineFor(request, options.passes, raw.N, logger);
  const began = performance.now();
  const due = every(showEvery_s);
  const stateDue = every(stateFolder === undefined ? null : stateEvery_s);
  const result = await runSolver(raw, options, {
    threads,
    backend,
    logger,
    resume: stored?.snapshot,
    start: from && { object: { image: from.image, frame: from.frame, covered: from.coverage }, probe: from.probe },
    signal: run.signal,
    onProgress: run.onProgress,
    onEpoch: async (update) => {
      const { epoch, epochs, loss, rFactor, shift_px } = update;
      const seconds = (performance.now() - began - run.paused_ms) / 1000;
      const shown = due() || showEvery_s === 0 ? shownOf(update) : undefined;
      run.update({ epoch, epochs, loss, rFactor, shift_px, seconds, shown } satisfies SolveUpdate);
      if (stateFolder !== undefined && epoch > 0 && stateDue()) {
        await makeFolder(stateFolder);
        const head = { options: { ...options }, init: null, scan, engine: update.engine, version: createdBy.version };
        await saveState(stateFolder, head, update.snapshot());
        await keep(stateFolder);
      }
      await run.gate();
    },
  }).finally(() => backend?.dispose());
  return {
    kind: 'solved',
    title: ALGORITHM_TITLES[options.algorithm],
    ...{ image: result.image, frame: result.frame, coverage: result.coverage, probe: result.probe },
    ...{ positions: result.positions, rFactor: result.rFactor, loss: result.loss, history: result.history },
    ...{ engine: result.engine, patterns: raw.count, seconds: result.seconds, cancelled: result.cancelled },
    pixel_m: raw.geometry.objectPixel_m,
    solved: { result, raw, algorithm: options.algorithm, moved: correctsPositions(options) },
  };
}

/** The engine that computes in place of the host, where one is asked for or must be. */
async function engineFor(
  { accelerator = 'cpu', threads }: SolveRequest,
  passes: SolverOptions['passes'],
  N: number,
  logger: Logger,
): Promise<Backend | undefined> {
  if (accelerator === 'cpu' && passes !== 'program' && fitsKernels(N)) return undefined;
  const { engineDefinition } = await import('../../config/commands.js');
  const execution = { accelerator, ...(threads === undefined ? {} : { threads }) };
  const engine = completeConfig(engineDefinition, { backend: 'onnx', execution }, logger);
  return solverBackend({ ...engine, passes }, N, logger);
}

const shownOf = (update: SolverUpdate): ShownImage => ({
  ...update.object(),
  coverage: update.coverage(),
  probe: update.probe(),
  positions: update.positions(),
});
