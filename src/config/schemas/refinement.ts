/**
 * `refine`: a solver and how long it works on the image of a network.
 *
 * @example
 * parseRefinement('lsqml:20'); // { algorithm: 'lsqml', epochs: 20 }
 */
import { z } from 'zod';
import { type Kind, wordList } from '../kinds.js';
import { SOLVER_ALGORITHMS, type SolverAlgorithm } from './solver.js';

const WRITTEN = new RegExp(`^(${SOLVER_ALGORITHMS.join('|')}):([1-9]\\d{0,5})$`, 'i');

/** `algorithm:epochs`. */
export const refinement: Kind<z.ZodString> = {
  schema: z.string().regex(WRITTEN),
  expected: `algorithm:epochs, such as lsqml:20 (${wordList(SOLVER_ALGORITHMS, 'or')})`,
};

/** The parts of such a text, which the schema has let through. */
export function parseRefinement(written: string): { readonly algorithm: SolverAlgorithm; readonly epochs: number } {
  const [, algorithm, epochs] = WRITTEN.exec(written) ?? [];
  return { algorithm: algorithm.toLowerCase() as SolverAlgorithm, epochs: Number(epochs) };
}
