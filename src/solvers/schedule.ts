/** Which epochs change what. */
import type { SolverOptions } from '../config/schemas/solver.js';
import type { EpochSchedule } from './algorithms/algorithm.js';

/** What epoch `epoch`, counted from 1, may change. */
export function scheduleOf(options: SolverOptions, epoch: number): EpochSchedule {
  const varying = options.opr_modes > 0 || options.flux;
  const affine = options.affine && epoch >= options.affine_start && epoch <= options.affine_stop;
  const within = (start: number | null, stop: number | null, stride: number) =>
    start !== null && epoch >= start && epoch <= (stop ?? Infinity) && (epoch - start) % stride === 0;
  const freeFrom = options.affine
    ? Math.max(options.position_start ?? 1, options.affine_stop + 1)
    : options.position_start;
  const free = within(freeFrom, options.position_stop, options.position_stride);
  const probe = within(options.probe_start, options.probe_stop, options.probe_stride);
  return {
    object: within(options.object_start, options.object_stop, options.object_stride),
    probe,
    beam: varying && probe && epoch >= options.opr_start,
    positions: affine || free,
    affine,
  };
}
