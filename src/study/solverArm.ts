/** The solvers of this package as a source of iterative reconstructions: `iterative: {source: solve, options: {algorithm: lsqml}}`. */
import type { ConfigDefinition } from '../config/definition.js';
import { fieldsOf } from '../config/field.js';
import { resolveConfig } from '../config/resolve.js';
import { type SolverOptions, solverOptionsSchema } from '../config/schemas/solver.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import { openSurveyed } from '../data/findings/survey.js';
import { writeNpz } from '../formats/npz.js';
import { reconstructionArrays } from '../reconstruction/reconstructionFile.js';
import { runSolver, type SolverResult } from '../solvers/run.js';
import { asWritten, solvedFacts } from '../solvers/write.js';
import type { ArmJob, ArmOutcome, ArmRequest, ArmSource } from './arms.js';

const definition: ConfigDefinition<SolverOptions> = {
  name: 'solver',
  schema: solverOptionsSchema,
  sections: [{ title: 'Solver', key: null, fields: fieldsOf(solverOptionsSchema) }],
};

/** @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID naming the option */
function optionsOf({ options }: ArmRequest, origin: string): SolverOptions {
  return resolveConfig(definition, { file: { origin: `${origin}, iterative.options`, values: options } }).config;
}

/** What a scan may be that no solver can do anything with. */
const UNSOLVABLE = ['DATASET_VALUE', 'PROBE_SHAPE', 'SOLVER_FAILED'] as const;

/** Options of the solver; `seed` is the study's where they say none. */
export const solverArm: ArmSource = {
  name: 'solve',
  check: (request, origin) => void optionsOf(request, origin),
  inputs: () => [],
  async provide(job, services): Promise<ArmOutcome> {
    const given = optionsOf(job.request, 'the study');
    const options = 'seed' in job.request.options ? given : { ...given, seed: job.seed };
    try {
      return { facts: await solveTo(job, options, services) };
    } catch (error) {
      if (UNSOLVABLE.some((code) => isPtychoError(error, code))) return { skipped: (error as PtychoError).message };
      throw error;
    }
  },
};

async function solveTo(job: ArmJob, options: SolverOptions, services: Services): Promise<Record<string, unknown>> {
  const { logger, signal, onProgress } = services;
  const raw = await openSurveyed(job.scanFile, { logger });
  try {
    const solved = await runSolver(raw, options, { logger, signal, onProgress });
    if (solved.cancelled)
      throw new PtychoError('CANCELLED', 'The study was interrupted; the same command goes on with this step.');
    const facts = {
      algorithm: options.algorithm,
      raw,
      moved: options.position_start !== null,
      seconds: solved.seconds,
    };
    await writeNpz(job.outputFile, reconstructionArrays(asWritten(solved), solvedFacts(solved, facts)));
    return { options, ...provenance(solved), patterns: raw.count };
  } finally {
    await raw.close();
  }
}

const provenance = ({ epoch, loss, rFactor, history, seconds, engine }: SolverResult) => ({
  epochs: epoch,
  loss,
  r_factor: rFactor,
  r_factor_start: history[0].rFactor,
  seconds,
  engine,
});
