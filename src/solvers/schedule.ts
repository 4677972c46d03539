/** Which epochs change what. */
import type { SolverOptions } from '../config/schemas/solver.js';
import type { EpochSchedule } from './algorithms/algorithm.js';

/** Whether epoch `epoch` is one of maximum likelihood over all patterns. */
export const isOfAll = ({ algorithm, ml_start }: SolverOptions, epoch: number): boolean =>
  algorithm === 'ml' || (ml_start !== null && epoch >= ml_start);

/** Whether a network paints the object in an epoch. */
export const isPainted = ({ prior, prior_start }: SolverOptions, epoch: number): boolean =>
  prior === 'network' && epoch >= prior_start;

/** What epoch `epoch`, counted from 1, may change. */
export function scheduleOf(options: SolverOptions, epoch: number): EpochSchedule {
  const varying = options.opr_modes > 0 || options.flux;
  // All patterns at once find object and probe alone: what else there is stays as batches left it.
  const inBatches = !isOfAll(options, epoch);
  const affine = inBatches && options.affine && epoch >= options.affine_start && epoch <= options.affine_stop;
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
    beam: inBatches && varying && probe && epoch >= options.opr_start,
    positions: affine || (inBatches && free),
    affine,
  };
}
