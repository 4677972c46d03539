/** The optimisers by name. */
import { adam, adamw } from './adam.js';
import type { Optimiser, OptimiserKind } from './optimiser.js';
import { sgd } from './sgd.js';

const optimisers: Readonly<Record<OptimiserKind, Optimiser>> = { adam, adamw, sgd };

/** The optimiser of this name. */
export function optimiserOf(kind: OptimiserKind): Optimiser {
  return optimisers[kind];
}
