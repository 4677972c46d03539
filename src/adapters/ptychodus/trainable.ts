/** Which reconstructors learn: solvers compute without a model. */
import { PtychoError } from '../../core/errors.js';
import type { Reconstructor, TrainableReconstructor } from './types.js';

/** True for a reconstructor that has, or learns, a model. */
export function isTrainable(reconstructor: Reconstructor): reconstructor is TrainableReconstructor {
  return reconstructor.isTrainable;
}

/**
 * The reconstructor, as one that learns.
 * @param what what is asked of it: `open one`
 * @throws PtychoError USAGE for one that computes without a model
 */
export function requireTrainable(reconstructor: Reconstructor, what: string): TrainableReconstructor {
  if (isTrainable(reconstructor)) return reconstructor;
  throw new PtychoError(
    'USAGE',
    `${reconstructor.name} computes without a model and cannot ${what}; take PtychoPINN/PINN or PtychoPINN/Supervised for that.`,
    { reconstructor: reconstructor.name },
  );
}
