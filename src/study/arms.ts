/**
 * Where iterative reconstructions of a study come from: a file that another program wrote, a solver of this package, or one that is
 * registered here.
 *
 * @example
 * await doseOverlapStudy(config, services, [...ARM_SOURCES, mySolver]);
 */
import path from 'node:path';
import { solverDefinition } from '../config/commands.js';
import { resolveConfig } from '../config/resolve.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import type { StudyConfig } from '../config/schemas/study.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { openScan } from '../data/findings/survey.js';
import { usingNpz, writeNpz } from '../formats/npz.js';
import { copyToPlace } from '../formats/replaceFile.js';
import { reconstructionArrays } from '../reconstruction/reconstructionFile.js';
import { solvedFacts } from '../solvers/files/write.js';
import { runSolver, type SolverResult } from '../solvers/run.js';
import { correctsPositions } from '../solvers/scan.js';
import type { Job } from './layout.js';

/** How a study asks for an arm. */
export type ArmRequest = NonNullable<StudyConfig['iterative']>;

/** One reconstruction to be had. */
export interface ArmJob extends Job {
  readonly request: ArmRequest;
  /** The scan: all its patterns belong to the comparison. */
  readonly scanFile: string;
  /** NPZ to write: complex `reconstructed_object` (rows, columns) in the pixels of the truth, and what docs/comparison.md names. */
  readonly outputFile: string;
  readonly seed: number;
}

/** Done, or why not. */
export type ArmOutcome = { readonly skipped: string } | { readonly facts: Readonly<Record<string, unknown>> };

/** A source of reconstructions. */
export interface ArmSource {
  /** What `iterative.source` calls it. */
  readonly name: string;
  /** Throws for what is wrong with the request, before the first step of a study. */
  check?(request: ArmRequest, origin: string): void;
  /** Files besides the scan that shape the result. */
  inputs(request: ArmRequest, job: Job): readonly string[];
  /** Writes the file, or says why there is none; throws for what is wrong with the request. */
  provide(job: ArmJob, services: Services): Promise<ArmOutcome>;
}

/** The path of a file arm, absolute. */
function armSourceFile({ file }: ArmRequest, { dose, view, split }: Job): string {
  const values: Readonly<Record<string, string>> = { dose: String(dose), view, split };
  return path.resolve((file ?? '').replace(/\{(dose|view|split)\}/g, (_, name) => values[name]));
}

/** An NPZ that another program wrote; skipped where it is missing or does not keep the contract. */
const fileArm: ArmSource = {
  name: 'file',
  inputs: (request, job) => [armSourceFile(request, job)],
  async provide(job) {
    const source = armSourceFile(job.request, job);
    try {
      await checkContract(source);
    } catch (error) {
      if (isPtychoError(error)) return { skipped: error.message };
      throw error;
    }
    await copyToPlace(source, job.outputFile);
    return { facts: { copied_from: source } };
  },
};

/** @throws PtychoError for what is no complex image in an NPZ; the comparison looks at the rest */
async function checkContract(file: string): Promise<void> {
  return usingNpz(file, async (npz) => {
    const key = 'reconstructed_object';
    if (!npz.has(key)) {
      throw new PtychoError(
        'DATASET_KEY_MISSING',
        `${file} holds no ${key} (it has ${npz.keys.join(', ') || 'nothing'}): save the complex object under that name.`,
        { key, path: file },
      );
    }
    const { shape, dtype } = await npz.header(key);
    if (shape.length === 2 && dtype.startsWith('complex')) return;
    throw new PtychoError(
      'DATASET_SHAPE',
      `${file}: ${key} must be complex with shape (rows, columns), found ${dtype} of shape (${shape.join(', ')}).`,
      { key, path: file, found: shape },
    );
  });
}

/** @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID naming the option */
function optionsOf({ options }: ArmRequest, origin: string): SolverOptions {
  return resolveConfig(solverDefinition, { file: { origin: `${origin}, iterative.options`, values: options } }).config;
}

/** What a scan may be that no solver can do anything with. */
const UNSOLVABLE = ['DATASET_VALUE', 'PROBE_SHAPE', 'SOLVER_FAILED'] as const;

/** The solvers of this package: `iterative: {source: solve, options: {algorithm: lsqml}}`; `seed` is the study's where the options say none. */
const solverArm: ArmSource = {
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
  return closing(await openScan(job.scanFile, { logger }), async (raw) => {
    const solved = await runSolver(raw, options, { logger, signal, onProgress });
    if (solved.cancelled)
      throw new PtychoError(
        'CANCELLED',
        'The study was interrupted; run the same command again to continue with this step.',
      );
    const facts = {
      algorithm: options.algorithm,
      raw,
      moved: correctsPositions(options),
      seconds: solved.seconds,
      settings: options as unknown as Readonly<Record<string, unknown>>,
    };
    await writeNpz(job.outputFile, reconstructionArrays(solved, solvedFacts(solved, facts)));
    return { options, ...provenance(solved), patterns: raw.count };
  });
}

const provenance = ({ epoch, loss, rFactor, history, seconds, engine }: SolverResult) => ({
  epochs: epoch,
  loss,
  r_factor: rFactor,
  r_factor_start: history[0].rFactor,
  seconds,
  engine,
});

/** What `iterative.source` may name; a solver is one more entry. */
export const ARM_SOURCES: readonly ArmSource[] = [fileArm, solverArm];

/** @throws PtychoError CONFIG_INVALID for a source that nobody registered */
export function armSourceOf(request: ArmRequest, sources: readonly ArmSource[]): ArmSource {
  const found = sources.find(({ name }) => name === request.source);
  if (found) return found;
  throw new PtychoError(
    'CONFIG_INVALID',
    `iterative.source ${JSON.stringify(request.source)} is not known; this version has ${sources.map(({ name }) => name).join(', ')}.`,
    { key: 'iterative.source', found: request.source },
  );
}
