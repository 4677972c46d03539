/** Which epochs change what. */
import type { SolverOptions } from '../config/schemas/solver.js';
import type { EpochSchedule } from './algorithms/algorithm.js';

/** Epochs in which the rotation alone is followed, which patches show at once. */
const TURN_EPOCHS = 4;

/** Whether epoch `epoch` is one of maximum likelihood over all patterns. */
export const isOfAll = ({ algorithm, ml_start }: SolverOptions, epoch: number): boolean =>
  algorithm === 'ml' || (ml_start !== null && epoch >= ml_start);

/** Whether a network paints the object in an epoch. */
export const isPainted = ({ prior, prior_start }: SolverOptions, epoch: number): boolean =>
  prior === 'network' && epoch >= prior_start;

/** Whether scale and asymmetry are found by trial at the end of epoch `epoch`: once what patches show of the rotation is put right. */
export const searchesAt = ({ affine, affine_rule, affine_start }: SolverOptions, epoch: number): boolean =>
  affine && affine_rule === 'search' && epoch === affine_start + TURN_EPOCHS - 1;

/** What all positions share, in epoch `epoch`, and from which epoch on they move by themselves. */
function sharedOf(options: SolverOptions, epoch: number) {
  const { affine, affine_rule: rule, affine_freedom, affine_start: start, affine_stop } = options;
  const searching = rule === 'search';
  // After a search, what is left of the rotation; everything else was found.
  const turns = searching ? 2 * TURN_EPOCHS : TURN_EPOCHS;
  const last = searching ? start + turns - 1 : affine_stop;
  const within = affine && epoch >= start && epoch <= last;
  const turning = affine_freedom.includes('rotation') && epoch < start + turns;
  return {
    relaxed: within && rule === 'published',
    together:
      !within || rule === 'published' ? undefined : turning || searching ? ('turn' as const) : ('moves' as const),
    freeFrom: affine ? Math.max(options.position_start ?? 1, last + 1) : options.position_start,
  };
}

/** What epoch `epoch`, counted from 1, may change. */
export function scheduleOf(options: SolverOptions, epoch: number): EpochSchedule {
  const varying = options.opr_modes > 0 || options.flux;
  // All patterns at once find object and probe alone: what else there is stays as batches left it.
  const inBatches = !isOfAll(options, epoch);
  const within = (start: number | null, stop: number | null, stride: number) =>
    start !== null && epoch >= start && epoch <= (stop ?? Infinity) && (epoch - start) % stride === 0;
  const { relaxed, together, freeFrom } = sharedOf(options, epoch);
  const free = within(freeFrom, options.position_stop, options.position_stride);
  const probe = within(options.probe_start, options.probe_stop, options.probe_stride);
  const fitted = inBatches && options.background !== 'none' && epoch >= options.background_start;
  return {
    object: within(options.object_start, options.object_stop, options.object_stride),
    probe,
    beam: inBatches && varying && probe && epoch >= options.opr_start,
    positions: inBatches && (relaxed || together !== undefined || free),
    affine: inBatches ? together : undefined,
    relaxed: inBatches && relaxed,
    background: fitted,
  };
}
