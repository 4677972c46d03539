/** Options that do not go together. */
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import { correctsPositions } from './scan.js';
import { scheduleOf } from './schedule.js';
import type { SolverStart } from './updates.js';

/** Every pattern has a beam of its own. */
export const tellsBeamsApart = ({ opr_modes, flux }: SolverOptions): boolean => opr_modes > 0 || flux;

/** @throws PtychoError CONFIG_INVALID for options that contradict each other */
export function requireCombination(
  options: SolverOptions,
  { start, near = false }: { readonly start?: SolverStart; readonly near?: boolean } = {},
): void {
  if (near && options.progressive_levels > 1) {
    throw refused(
      options,
      'progressive_levels',
      'near fields are images, which lose no resolution by a cut; leave it out.',
    );
  }
  if (near && options.centre_probe) {
    throw refused(
      options,
      'centre_probe',
      'a beam that moves over a near detector moves over its patterns; leave it out.',
    );
  }
  const { algorithm } = options;
  if (correctsPositions(options) && algorithm === 'dm') {
    throw refused(
      options,
      options.affine ? 'affine' : 'position_start',
      'the difference map cannot correct positions (measured: they shrink towards each other while the misfit falls); use rpie, epie, pie or lsqml.',
    );
  }
  requireSlices(options);
  requireLikelihood(options);
  requirePrior(options);
  if (options.progressive_levels > 1 && start?.object) {
    throw refused(
      options,
      'progressive_levels',
      'coarse resolutions begin from an empty object; leave out the image to start from, or progressive_levels.',
    );
  }
  if (options.background !== 'none' && near) {
    throw refused(options, 'background', 'it is fitted to far fields only; leave it out.');
  }
  if (options.background !== 'none' && options.stream) {
    throw refused(options, 'background', 'it needs all patterns in memory; leave out stream, or use fewer patterns.');
  }
  if (options.stream && algorithm === 'dm') {
    throw refused(
      options,
      'stream',
      'the difference map keeps exit waves of all patterns in memory, which are twice as large; use rpie, epie, pie or lsqml.',
    );
  }
  if (options.centre_probe && algorithm === 'dm') {
    throw refused(
      options,
      'centre_probe',
      'the exit waves that the difference map keeps would have to move, too; use rpie, epie, pie or lsqml.',
    );
  }
  requireOrder(options, 'object_amplitude_min', 'object_amplitude_max');
  requireOrder(options, 'object_phase_min_rad', 'object_phase_max_rad');
  if (tellsBeamsApart(options) && algorithm === 'dm') {
    throw refused(
      options,
      options.flux ? 'flux' : 'opr_modes',
      'the difference map takes one beam for all patterns; use rpie, epie, pie or lsqml.',
    );
  }
  if (tellsBeamsApart(options) && !start?.beam) requireBeamEpochs(options);
}

/** Beams are told apart in epochs of batches that fit the probe: without one, all patterns would keep one beam without a word. */
function requireBeamEpochs(options: SolverOptions): void {
  const { epochs, ml_start } = options;
  for (let epoch = 1; epoch <= epochs; epoch++) if (scheduleOf(options, epoch).beam) return;
  const end = ml_start === null ? `there are ${epochs} epochs` : `ml begins in epoch ${ml_start} of ${epochs}`;
  throw refused(
    options,
    options.flux ? 'flux' : 'opr_modes',
    `no epoch would tell beams apart: that takes epochs of batches that fit the probe, from opr_start (${options.opr_start}) on, and ${end}; give more epochs, or a lower opr_start.`,
  );
}

/** Slices are found by the steps of batches. */
function requireSlices(options: SolverOptions): void {
  const { slices, algorithm } = options;
  if (slices === 1) return;
  if (algorithm === 'dm' || algorithm === 'ml') {
    throw refused(
      options,
      'slices',
      `${algorithm} knows thin objects only; several slices need rpie, epie, pie or lsqml.`,
    );
  }
  const asked =
    (options.ml_start !== null && 'ml_start') ||
    (options.prior === 'network' && 'prior') ||
    (options.progressive_levels > 1 && 'progressive_levels') ||
    (options.affine && 'affine') ||
    (options.centre_probe && 'centre_probe');
  if (asked)
    throw refused(options, asked, `it is for thin objects only, and slices is ${slices}; leave one of them out.`);
}

function requireOrder(
  options: SolverOptions,
  low: 'object_amplitude_min' | 'object_phase_min_rad',
  high: 'object_amplitude_max' | 'object_phase_max_rad',
): void {
  const [least, most] = [options[low], options[high]];
  if (least === null || most === null || least < most) return;
  throw refused(options, low, `${least} is no less than ${high} (${most}); give a lower one.`);
}

/** Maximum likelihood finds object and probe. */
function requireLikelihood(options: SolverOptions): void {
  const { algorithm, ml_start } = options;
  if (algorithm !== 'ml' && ml_start === null) return;
  if (algorithm !== 'ml') return;
  const asked =
    (correctsPositions(options) && (options.affine ? 'affine' : 'position_start')) ||
    (tellsBeamsApart(options) && (options.flux ? 'flux' : 'opr_modes')) ||
    (options.background !== 'none' && 'background');
  if (asked) {
    throw refused(
      options,
      asked,
      'ml takes positions, beams and background as they are; begin with rpie, epie, pie or lsqml, and end with ml by ml_start.',
    );
  }
}

/** A network paints the object for one beam, in batches, after another algorithm. */
function requirePrior(options: SolverOptions): void {
  const { prior, algorithm, epochs, prior_start, ml_start } = options;
  if (prior !== 'network') return;
  if (algorithm === 'dm' || algorithm === 'ml') {
    throw refused(
      options,
      'algorithm',
      'prior network goes on from the batches of rpie, epie, pie or lsqml; take one of them.',
    );
  }
  if (ml_start !== null)
    throw refused(options, 'ml_start', 'prior network is a finish, and so is ml_start; leave one of them out.');
  if (prior_start > epochs) {
    throw refused(
      options,
      'prior_start',
      `the network of prior would begin in epoch ${prior_start}, but there are ${epochs}; give more epochs, or let it begin earlier.`,
    );
  }
  const asked =
    (tellsBeamsApart(options) && (options.flux ? 'flux' : 'opr_modes')) ||
    (options.affine && 'affine') ||
    (options.centre_probe && 'centre_probe') ||
    (options.progressive_levels > 1 && 'progressive_levels') ||
    (options.grid_period_px !== null && 'grid_period_px');
  if (asked) {
    throw refused(
      options,
      asked,
      'with prior network all patterns see one beam, positions move one by one, and nothing but the network makes the object; leave it out.',
    );
  }
}

const refused = ({ algorithm }: SolverOptions, key: keyof SolverOptions, why: string): PtychoError =>
  new PtychoError('CONFIG_INVALID', `${key}: ${why}`, { key, algorithm });
