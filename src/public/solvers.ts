/**
 * `ptychopinn/solvers`: iterative algorithms. `solve` gives every epoch as it comes, `runSolver` what a whole run came to.
 *
 * @example
 * import { runSolver } from 'ptychopinn/solvers';
 * const { image, rFactor } = await runSolver(raw, { algorithm: 'rpie', epochs: 40 });
 *
 * @module solvers
 */
export {
  SOLVER_ALGORITHMS,
  type SolverAlgorithm,
  type SolverOptions,
  solverOptionsSchema,
} from '../config/schemas/solver.js';
export type { RefinedImage } from '../solvers/refineImage.js';
export { type RunServices, runSolver, type SolvedImage, type SolverResult } from '../solvers/run.js';
export type { ScanToSolve } from '../solvers/scan.js';
export { solve } from '../solvers/solve.js';
export type { SolverRecord, SolverSnapshot, SolverStart, SolverUpdate, SolveServices } from '../solvers/updates.js';
