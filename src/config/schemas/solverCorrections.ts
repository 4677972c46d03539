/**
 * Options of a solver for what real measurements have besides an object and a probe: beams that change, scatter, samples that move while a
 * pattern is recorded, positions that are off.
 */

import { z } from 'zod';
import {
  belowOne,
  field,
  flag,
  type Kind,
  maybe,
  oneOf,
  positiveInteger,
  positiveNumber,
  unitInterval,
  wholeNumber,
  wordList,
} from '../../core/field.js';

/** A beam that is another one for every pattern. */
export const beamFields = {
  opr_modes: field(
    wholeNumber,
    0,
    'Coherent modes by which the probe differs from pattern to pattern (orthogonal probe relaxation), for beams that drift; 0: none, 1 to 3 are usual.',
    { unit: 'modes' },
  ),
  opr_start: field(positiveInteger, 3, 'First epoch in which beams are told apart (opr_modes, flux).', {
    unit: 'epochs',
  }),
  opr_smooth: field(
    wholeNumber,
    0,
    'After each epoch, draw the weights of these modes halfway to a polynomial of this degree in the order of acquisition; 0: not at all.',
  ),
  flux: field(flag, false, 'Fit the intensity of the beam to every pattern, for beams that flicker.'),
};

/** What detectors see beside the sample. */
export const backgroundFields = {
  background: field(
    oneOf('none', 'pixel', 'pattern'),
    'none',
    'Fit what the detector sees beside the sample, as scatter and stray light, and add it to the model: one value for every pixel (pixel), or also a smooth one for every pattern (pattern), none of them below 0.',
  ),
  background_start: field(positiveInteger, 5, 'First epoch in which the background is fitted.', { unit: 'epochs' }),
};

/** Patterns that were recorded while the sample moved. */
export const flyFields = {
  fly_positions: field(
    positiveInteger,
    1,
    'Points of the way over which each pattern was recorded while the sample moved (fly scan); one for every 3 pixels of the way is enough; 1: it stood still. The ways are those between the start and end positions of the file (xcoords_start, ycoords_start, xcoords_end, ycoords_end), or twice those from the start to the positions.',
    { unit: 'points' },
  ),
  fly_duty: maybe(
    unitInterval,
    'Share of the way to the next position during which a pattern was exposed: the ways are then those of the path through the positions; null: those that the file gives.',
  ),
};

/** Corrections of the scan positions. */
export const positionFields = {
  position_start: maybe(positiveInteger, 'First epoch in which scan positions are corrected; null: never.', {
    unit: 'epochs',
  }),
  position_stop: maybe(positiveInteger, 'Last epoch in which they are corrected; null: the last one.', {
    unit: 'epochs',
  }),
  position_stride: field(positiveInteger, 1, 'Correct them only every so many epochs.', { unit: 'epochs' }),
  position_method: field(
    oneOf('gradient', 'correlation'),
    'gradient',
    'What patterns move by: the derivatives of their exit waves, or the peak of the cross-correlation of patches before and after their step.',
  ),
  position_step: field(positiveNumber, 1, 'Factor on every correction.'),
  position_momentum: field(
    belowOne,
    0.8,
    'Share of the last move that is carried over, because errors that neighbours share are corrected slowly.',
  ),
  position_update_limit_px: field(positiveNumber, 0.5, 'A position moves at most this far in one epoch.', {
    unit: 'px',
  }),
  position_limit_px: field(positiveNumber, 5, 'Farthest that a position may move from where it was measured.', {
    unit: 'px',
  }),
};

const FREEDOMS = ['scale', 'rotation', 'asymmetry', 'shear'] as const;

const freedoms: Kind<z.ZodString> = {
  schema: z.string().regex(new RegExp(`^(${FREEDOMS.join('|')})(,(${FREEDOMS.join('|')}))*$`)),
  expected: `${wordList(FREEDOMS, 'and')}, or some of them, with commas`,
};

/** Errors that all positions share. */
export const affineFields = {
  affine: field(
    flag,
    false,
    'Correct scale, rotation, asymmetry and shear of the scan; afterwards every position moves by itself.',
  ),
  affine_rule: field(
    oneOf('gain', 'search', 'published'),
    'search',
    'How: scale, asymmetry and shear by trial runs that are judged by held-out patterns (some 200 epochs more); object and positions follow what all patterns ask for together, with a gain (cheap, finds rotations, and scales that are too small); or every position moves, and is drawn to the affine part (published, as PtychoShelves and Pty-Chi do).',
  ),
  affine_freedom: field(freedoms, FREEDOMS.join(','), 'Which of these may be wrong.'),
  affine_start: field(positiveInteger, 5, 'First epoch in which the positions are corrected together.', {
    unit: 'epochs',
  }),
  affine_stop: field(
    positiveInteger,
    30,
    'gain, published: last epoch in which they are; positions move by themselves from the next epoch on (search: eight epochs after the first), or from position_start if that is later.',
    { unit: 'epochs' },
  ),
};
