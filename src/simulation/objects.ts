/**
 * Objects to simulate: complex transmissions with known amplitude and phase.
 *
 * @example
 * const object = makeObject('lines', { rows: 224, cols: 224, seed: 1 });
 */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage } from '../core/tensor.js';
import type { ObjectOptions } from './objects/fields.js';
import { diagonalsObject, linesObject } from './objects/lines.js';
import { deadLeaves, siemensStar } from './objects/shapes.js';

import { blankObject, pointsObject, randomField } from './objects/textures.js';

export {
  type ImagePair,
  imageObject,
  type ObjectOptions,
  phaseFromAmplitude,
} from './objects/fields.js';
export { linesObject } from './objects/lines.js';
export { siemensStar } from './objects/shapes.js';
export { randomField } from './objects/textures.js';

const MAKERS = {
  lines: linesObject,
  siemens_star: siemensStar,
  dead_leaves: deadLeaves,
  random_field: randomField,
  points: pointsObject,
  diagonals: diagonalsObject,
  blank: blankObject,
} as const satisfies Record<string, (options: ObjectOptions) => ComplexImage>;

/** One of {@link OBJECT_KINDS}. */
export type ObjectKind = keyof typeof MAKERS;

/** Every kind that {@link makeObject} knows. */
export const OBJECT_KINDS = Object.keys(MAKERS) as readonly ObjectKind[];

/**
 * An object by its kind.
 * @throws PtychoError CONFIG_INVALID for a kind that is not known
 */
export function makeObject(kind: ObjectKind, options: ObjectOptions): ComplexImage {
  if (!Object.hasOwn(MAKERS, kind)) {
    throw new PtychoError('CONFIG_INVALID', `There is no object '${kind}'; choose one of ${OBJECT_KINDS.join(', ')}.`, {
      key: 'object',
      found: kind,
      expected: OBJECT_KINDS,
    });
  }
  return MAKERS[kind](options);
}
