/**
 * Reconstructors for a Ptychodus-style host, in process.
 *
 * @example
 * const { find } = reconstructorLibraries();
 * const pinn = find('PtychoPINN/PINN'); // or 'ptychopinn_pinn', in any case
 * await pinn.openModel('run/wts.zip');
 * for await (const { product, progress } of pinn.reconstruct({ patterns: 'diffraction.h5', product: input })) show(product, progress);
 * const lsqml = find('PtychoPINN/LSQML'); // needs no model
 */
import type { Backend } from '../../backends/backend.js';
import { type ALGORITHM_TITLES, SOLVER_ALGORITHMS } from '../../config/schemas/solver.js';
import { PtychoError } from '../../core/errors.js';
import type { Logger } from '../../core/log.js';
import { LibraryLog } from './logger.js';
import { PtychoPinnReconstructor } from './reconstructor.js';
import { PtychoPinnSettings, type SettingsRegistry } from './settings/settings.js';
import { SolverReconstructor } from './solverReconstructor.js';
import type { ReconstructorLibrary } from './types.js';

/** How a {@link PtychoPinnReconstructorLibrary} is made. */
export interface LibraryOptions {
  /** The host's settings, shared with others; fresh ones with their defaults where not given. */
  readonly settings?: SettingsRegistry;
  /** Hears what the library's log says, at the level of the log. */
  readonly logger?: Logger;
  /** Always this engine, whatever the settings say. */
  readonly backend?: 'onnx' | 'tensorflow';
  /** An engine that runs already, for all models; it is left running. */
  readonly engine?: Backend;
}

const NAMES = { onnx: 'PtychoPINN-onnx', tensorflow: 'PtychoPINN-tf' } as const;

/** Any reconstructor of ours; `isTrainable` tells which. */
export type HostReconstructor = PtychoPinnReconstructor | SolverReconstructor;

/** Display names of the reconstructors that have a model. */
export type NetworkName = `PtychoPINN${'' | '-tf' | '-onnx'}/${'PINN' | 'Supervised'}`;

/** Display names of those that need none. */
export type SolverName = `PtychoPINN/${(typeof ALGORITHM_TITLES)[keyof typeof ALGORITHM_TITLES]}`;

/**
 * `PINN` learns from the physics, `Supervised` from known patches; both reconstruct alike. The library `PtychoPINN` also has the
 * iterative algorithms, which have an engine of their own.
 */
export class PtychoPinnReconstructorLibrary implements ReconstructorLibrary {
  /** `PtychoPINN` for the engine that the settings name, `PtychoPINN-tf` and `PtychoPINN-onnx` for a fixed one. */
  readonly name: string;
  readonly logger: LibraryLog;
  readonly settings: SettingsRegistry;
  /** `PINN` and `Supervised`. */
  readonly networks: readonly PtychoPinnReconstructor[];
  /** `rPIE`, `ePIE`, `PIE`, `LSQML`, `DM` and `ML`; none in a library for a fixed engine. */
  readonly solvers: readonly SolverReconstructor[];

  constructor({ settings, logger, backend, engine }: LibraryOptions = {}) {
    this.name = backend === undefined ? 'PtychoPINN' : NAMES[backend];
    this.logger = new LibraryLog(logger);
    const groups = new PtychoPinnSettings(settings);
    this.settings = groups.registry;
    const common = { settings: groups, log: this.logger, engine };
    this.networks = (['PINN', 'Supervised'] as const).map(
      (name) => new PtychoPinnReconstructor({ name, backend, ...common }),
    );
    this.solvers = (backend === undefined ? SOLVER_ALGORITHMS : []).map(
      (algorithm) => new SolverReconstructor({ algorithm, ...common }),
    );
  }

  /** All reconstructors, networks first. */
  [Symbol.iterator](): IterableIterator<HostReconstructor> {
    return [...this.networks, ...this.solvers].values();
  }

  /** Releases the engines of all reconstructors. */
  async dispose(): Promise<void> {
    for (const reconstructor of this.networks) await reconstructor.dispose();
  }
}

/** A reconstructor and its names. */
export interface RegisteredReconstructor {
  /** `PtychoPINN/PINN`, for people. */
  readonly displayName: string;
  /** `PtychoPINN_PINN`, for settings. */
  readonly simpleName: string;
  readonly library: PtychoPinnReconstructorLibrary;
  readonly reconstructor: HostReconstructor;
}

/** All libraries with one set of settings. */
export interface ReconstructorLibraries {
  readonly settings: SettingsRegistry;
  readonly libraries: readonly PtychoPinnReconstructorLibrary[];
  readonly entries: readonly RegisteredReconstructor[];
  /**
   * The reconstructor of a display name or a simple name, whatever the case of its letters.
   * @throws PtychoError CONFIG_INVALID for any other name
   */
  find(name: NetworkName): PtychoPinnReconstructor;
  /** A solver by its name, in any case. */
  find(name: SolverName): SolverReconstructor;
  /** Any reconstructor by its name, in any case. @throws PtychoError USAGE for an unknown name */
  find(name: string): HostReconstructor;
  /** The same with its library and names. @throws PtychoError CONFIG_INVALID */
  entry(name: string): RegisteredReconstructor;
  /** Releases the engines of all reconstructors. */
  dispose(): Promise<void>;
}

/** The libraries `PtychoPINN`, `PtychoPINN-tf` and `PtychoPINN-onnx`, which share their settings. */
export function reconstructorLibraries(
  options: Omit<LibraryOptions, 'backend' | 'engine'> = {},
): ReconstructorLibraries {
  const first = new PtychoPinnReconstructorLibrary(options);
  const { settings } = first;
  const fixed = (['tensorflow', 'onnx'] as const).map(
    (backend) => new PtychoPinnReconstructorLibrary({ ...options, settings, backend }),
  );
  const libraries = [first, ...fixed];
  const entries = libraries.flatMap((library) =>
    [...library].map((reconstructor) => ({
      displayName: `${library.name}/${reconstructor.name}`,
      simpleName: `${library.name}_${reconstructor.name}`,
      library,
      reconstructor,
    })),
  );
  const entry = (name: string): RegisteredReconstructor => {
    const wanted = name.trim().toLowerCase();
    const found = entries.find((e) => [e.displayName, e.simpleName].some((known) => known.toLowerCase() === wanted));
    if (found) return found;
    const names = entries.map((e) => e.displayName);
    throw new PtychoError(
      'CONFIG_INVALID',
      `There is no reconstructor "${name}" here; the setting Reconstructor/Algorithm must be one of ${names.join(', ')}.`,
      { key: 'Reconstructor/Algorithm', found: name, expected: names },
    );
  };
  return {
    settings,
    libraries,
    entries,
    entry,
    find: ((name: string) => entry(name).reconstructor) as ReconstructorLibraries['find'],
    async dispose() {
      for (const library of libraries) await library.dispose();
    },
  };
}
