/** A scan that solvers reconstruct in fractions of a second, and what a run on it takes. */
import { type SolveConfig, solveConfigSchema } from '../../src/config/schemas/solve.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';

/** Some 50 patterns of 64×64 over an object of 108×108 pixels. */
export const solverScan = (over: Record<string, unknown> = {}) =>
  simulate({
    object: 'dead_leaves',
    object_side_px: 108,
    probe: 'structured',
    probe_diameter_px: 24,
    scan: 'jittered_raster',
    step_px: 6,
    photons: 1e5,
    noise: true,
    seed: 4,
    ...over,
  });

/** Writes {@link solverScan}. */
export const writeSolverScan = (file: string, over?: Record<string, unknown>): Promise<unknown> =>
  writeSimulatedScan(file, solverScan(over));

/** A configuration of `solve` on one thread of the processor. */
export const solveRequest = (scan: string, output_dir: string, over: Record<string, unknown> = {}): SolveConfig =>
  solveConfigSchema.parse({
    test_data_file: scan,
    output_dir,
    overwrite: true,
    epochs: 6,
    passes: 'host',
    execution: { threads: 1, accelerator: 'cpu' },
    ...over,
  });
