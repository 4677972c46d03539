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
export type { ScansTogether, ScanToSolve, Share } from '../solvers/scan.js';
export { solve } from '../solvers/solve.js';
export { type SolvedTile, type StitchedTiles, stitchTiles, type TilesApart } from '../solvers/tiles/stitchTiles.js';
export { type ScanTile, tileOf } from '../solvers/tiles/tile.js';
export { type JoinedScan, type JoinOptions, joinScans } from '../solvers/together/joinScans.js';
export { type SolvedScan, scansOf } from '../solvers/together/scansOf.js';
export type {
  FoundTogether,
  OffsetState,
  SolverRecord,
  SolverSnapshot,
  SolverStart,
  SolverUpdate,
  SolveServices,
} from '../solvers/updates.js';
