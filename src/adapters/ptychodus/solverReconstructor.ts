/**
 * An iterative algorithm as a reconstructor of the library: it begins with the object and the probe of the input's product, and
 * hands back both in their geometry.
 *
 * @example
 * const lsqml = reconstructorLibraries().find('PtychoPINN/LSQML');
 * for await (const { product, progress } of lsqml.reconstruct({ patterns, product: input, signal })) show(product, progress);
 */
import type { Backend } from '../../backends/backend.js';
import { engineDefinition } from '../../config/commands.js';
import { completeConfig } from '../../config/resolve.js';
import { ALGORITHM_TITLES, type SolverAlgorithm, type SolverOptions } from '../../config/schemas/solver.js';
import { isPtychoError } from '../../core/errors.js';
import type { ComplexImage } from '../../core/tensor.js';
import { projection } from '../../physics/layers.js';
import { frameOfObject } from '../../reconstruction/frame.js';
import { requireSolverMemory } from '../../solvers/memory.js';
import { solverBackend } from '../../solvers/openPasses.js';
import { copyOf, type SolvedImage } from '../../solvers/run.js';
import { correctsPositions } from '../../solvers/scan.js';
import { solve } from '../../solvers/solve.js';
import type { SolverStart, SolverUpdate } from '../../solvers/updates.js';
import { hasCoherentModes, holdsLight, openSolverInput, type SolverInput } from './input.js';
import type { LibraryLog } from './logger.js';
import { lossesOfSolver, type PlacedObject, placeOnObject, productWith, productWithSolved } from './output.js';
import { acceptFromSettings, engineFromSettings, solverFromSettings } from './settings/configs.js';
import type { PtychoPinnSettings } from './settings/settings.js';
import {
  RESULT_CANCELLED,
  RESULT_OK,
  type ReconstructInput,
  type ReconstructOutput,
  type Reconstructor,
} from './types.js';

/** Progress is counted in percent, as that of the other reconstructors. */
const GOAL = 100;

/** How a {@link SolverReconstructor} is made. */
export interface SolverReconstructorOptions {
  readonly algorithm: SolverAlgorithm;
  readonly settings: PtychoPinnSettings;
  readonly log: LibraryLog;
  /** Runs already, for solvers that compute as tensor programs; it is left running. */
  readonly engine?: Backend;
}

/** A state that can be handed out whatever becomes of the solver. */
type Kept = SolvedImage & Pick<SolverUpdate, 'epochs' | 'history' | 'engine' | 'rFactor'>;

/** A reconstructor that needs no model. */
export class SolverReconstructor implements Reconstructor {
  /** `rPIE`, `ePIE`, `PIE`, `LSQML`, `DM`, `ML`. */
  readonly name: string;
  readonly isTrainable = false;
  readonly algorithm: SolverAlgorithm;
  readonly #settings: PtychoPinnSettings;
  readonly #log: LibraryLog;
  readonly #engine: Backend | undefined;

  constructor({ algorithm, settings, log, engine }: SolverReconstructorOptions) {
    this.name = ALGORITHM_TITLES[algorithm];
    this.algorithm = algorithm;
    this.#settings = settings;
    this.#log = log;
    this.#engine = engine;
  }

  progressGoal(): number {
    return GOAL;
  }

  /**
   * Solves with the settings `PtychoPINNSolver`. Outputs are previews, of whole epochs; the last one is the result. Aborting the
   * signal ends with the last whole epoch, whose result is `RESULT_CANCELLED`.
   * @throws PtychoError those of the input, CONFIG_INVALID for settings that no solver can have, SOLVER_FAILED when it diverges
   */
  async *reconstruct(input: ReconstructInput): AsyncGenerator<ReconstructOutput, void, void> {
    const { config, notes } = solverFromSettings(this.#settings, this.algorithm);
    for (const note of notes) this.#log.info(note);
    if (input.signal?.aborted) {
      yield nothingDone(input);
      return;
    }
    let scan: SolverInput;
    try {
      scan = await openSolverInput(input, this.#log, acceptFromSettings(this.#settings));
    } catch (error) {
      if (!isPtychoError(error, 'CANCELLED')) throw error;
      yield nothingDone(input);
      return;
    }
    let backend: Backend | undefined;
    try {
      const warn = (sentence: string) => this.#log.warn(sentence);
      requireSolverMemory(scan.raw, config, {
        threads: this.#settings.engine.threads.value || null,
        logger: { info: warn, warn },
      });
      backend = this.#engine ?? (await this.#startBackend(config, scan.raw.N));
      yield* this.#outputs(input, scan, config, backend);
    } finally {
      if (backend !== this.#engine) await backend?.dispose();
      await scan.raw.close();
    }
  }

  async *#outputs(
    input: ReconstructInput,
    { raw, positionRows }: SolverInput,
    config: SolverOptions,
    backend: Backend | undefined,
  ): AsyncGenerator<ReconstructOutput, void, void> {
    const { threads, previewSeconds } = this.#settings.engine;
    const base = projection(input.product.object.array);
    let last: Kept | undefined;
    const output = (
      state: Kept,
      result: number,
    ): { readonly placed: PlacedObject; readonly made: ReconstructOutput } => {
      const { image, frame, coverage, probe, positions, history, epoch, epochs } = state;
      const placed = placeOnObject(input.product.object, base, { image, frame, weight: coverage });
      const moved = !correctsPositions(config) ? undefined : { rows: positionRows, ...positions };
      const product = productWith(input.product, placed.object, lossesOfSolver(history));
      return {
        placed,
        made: {
          product: productWithSolved(product, { probe, moved }),
          progress: Math.floor((GOAL * epoch) / epochs),
          progressGoal: GOAL,
          result,
          preview: image,
        },
      };
    };
    const started = performance.now();
    let shown = started;
    try {
      const updates = solve(raw, config, {
        start: this.#start(input, base),
        threads: threads.value || undefined,
        backend,
        logger: this.#log,
        signal: input.signal,
      });
      for await (const update of updates) {
        const { epochs, history, engine, rFactor } = update;
        last = { ...copyOf(update), epochs, history, engine, rFactor };
        // An object that lies elsewhere is told before the work.
        if (update.epoch === 0) output(last, RESULT_OK);
        if (update.epoch === 0 || update.epoch === update.epochs) continue;
        if (performance.now() - shown < 1000 * previewSeconds.value) continue;
        yield output(last, RESULT_OK).made;
        shown = performance.now();
      }
    } catch (error) {
      if (!isPtychoError(error, 'CANCELLED')) throw error;
    }
    if (last === undefined || last.epoch === 0) {
      yield nothingDone(input);
      return;
    }
    const complete = last.epoch === last.epochs;
    const { placed, made } = output(last, complete ? RESULT_OK : RESULT_CANCELLED);
    this.#report(input, last, placed, (performance.now() - started) / 1000);
    yield made;
  }

  /** The object of the product; the probe comes with the scan. */
  #start({ product }: ReconstructInput, base: ComplexImage): SolverStart | undefined {
    if (holdsLight(base)) return { object: { image: base, frame: frameOfObject(base) } };
    this.#log.warn(
      `The object of the product${product.metadata.name ? ` "${product.metadata.name}"` : ''} is 0 or not finite, so that ${this.name} begins with an empty one.`,
    );
    return undefined;
  }

  async #startBackend({ passes }: SolverOptions, N: number): Promise<Backend | undefined> {
    // The accelerator is then that of networks only.
    if (passes === 'host') return undefined;
    const choice = completeConfig(engineDefinition, engineFromSettings(this.#settings));
    return solverBackend({ passes, ...choice }, N, this.#log);
  }

  #report({ product }: ReconstructInput, state: Kept, { reached, cut }: PlacedObject, seconds: number): void {
    const [layers, height, width] = product.object.array.shape;
    const { epoch, epochs, engine, rFactor } = state;
    this.#log.info(
      `${this.name}: ${epoch} of ${epochs} epochs in ${seconds.toPrecision(3)} s (${engine}), R ${rFactor.toPrecision(3)}; light fell on ${reached} of the ${height * width} pixels of the object, the others keep their values.`,
    );
    if (cut > 0) {
      this.#log.warn(`The image is larger than the object: ${cut} of its pixels lie outside the object and are lost.`);
    }
    if (layers > 1) {
      this.#log.warn(
        `${this.name} makes a thin image; the ${layers} layers of the object are changed alike, so that they come to it.`,
      );
    }
    if (hasCoherentModes(product.probe)) {
      this.#log.warn(
        `The probe had ${product.probe.array.shape[0]} coherent (OPR) modes; ${this.name} makes one probe for all positions.`,
      );
    }
  }
}

function nothingDone({ product }: ReconstructInput): ReconstructOutput {
  return { product, progress: 0, progressGoal: GOAL, result: RESULT_CANCELLED };
}
