/** Options that do not go together. */
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import { correctsPositions } from './scan.js';

/** Every pattern has a beam of its own. */
export const tellsBeamsApart = ({ opr_modes, flux }: SolverOptions): boolean => opr_modes > 0 || flux;

/** @throws PtychoError CONFIG_INVALID for options that contradict each other */
export function requireCombination(options: SolverOptions): void {
  const { algorithm } = options;
  if (correctsPositions(options) && algorithm === 'dm') {
    throw refused(
      options,
      options.affine ? 'affine' : 'position_start',
      'the difference map cannot correct positions (measured: they shrink towards each other while the misfit falls); use rpie, epie, pie or lsqml.',
    );
  }
  if (tellsBeamsApart(options) && algorithm === 'dm') {
    throw refused(
      options,
      options.flux ? 'flux' : 'opr_modes',
      'the difference map takes one beam for all patterns; use rpie, epie, pie or lsqml.',
    );
  }
}

const refused = ({ algorithm }: SolverOptions, key: keyof SolverOptions, why: string): PtychoError =>
  new PtychoError('CONFIG_INVALID', `${key}: ${why}`, { key, algorithm });
