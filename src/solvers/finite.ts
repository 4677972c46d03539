/**
 * Values of a run that are none. The misfit of an epoch is that before the steps of its batches: what the last of them broke shows in
 * object, probe and positions alone, and the last epoch of a run has no next one.
 */
import { PtychoError } from '../core/errors.js';
import { notFiniteAt } from '../core/numbers.js';

/** Arrays of one length each, by what they are called in a sentence. */
export type NamedFields = Readonly<Record<string, readonly ArrayLike<number>[]>>;

/** The first of them with a value that is not finite; undefined where all are. */
export const brokenOf = (fields: NamedFields): string | undefined =>
  Object.keys(fields).find((name) => notFiniteAt(...fields[name]) >= 0);

/**
 * @param when `rpie diverged in epoch 7`
 * @throws PtychoError SOLVER_FAILED naming what has values that are not finite
 */
export function requireFiniteFields(fields: NamedFields, when: string): void {
  const what = brokenOf(fields);
  if (what === undefined) return;
  throw new PtychoError(
    'SOLVER_FAILED',
    `${when}: values of ${what} are not finite; take smaller steps (object_step, probe_step), or look at patterns and probe for values that are far too large.`,
    { what },
  );
}

/** @throws PtychoError DATASET_VALUE naming what of a start has values that are not finite */
export function requireFiniteStart(fields: NamedFields): void {
  const what = brokenOf(fields);
  if (what === undefined) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `Solving cannot begin: values of ${what} to begin with are not finite; look at the probe of the scan, at its positions and at the image to start from (init).`,
    { what },
  );
}
