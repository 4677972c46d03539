/** The arrays from which a run goes on: every part names its own, the whole run puts a prefix before each. */
import { PtychoError } from '../../core/errors.js';
import type { NumericArray } from '../../core/tensor.js';

/** A part of a run with something that goes on from epoch to epoch. */
export interface SavedPart {
  /** The arrays by name; those in use where {@link restore} is left out, as values are then put into them. */
  saved(): Record<string, NumericArray>;
  /** @param saved arrays of the names and lengths of {@link saved} */
  restore?(saved: Readonly<Record<string, NumericArray>>): void;
}

/** By the prefix of their names; parts that this run has not are undefined. */
export type SavedParts = Readonly<Record<string, SavedPart | undefined>>;

/** All arrays, as they are used. */
export function arraysInUse(parts: SavedParts): Record<string, NumericArray> {
  const arrays: Record<string, NumericArray> = {};
  for (const [prefix, part] of Object.entries(parts)) {
    for (const [name, array] of Object.entries(part?.saved() ?? {})) arrays[prefix + name] = array;
  }
  return arrays;
}

/** All arrays, copied. */
export const arraysOf = (parts: SavedParts): Record<string, NumericArray> =>
  Object.fromEntries(Object.entries(arraysInUse(parts)).map(([name, array]) => [name, array.slice()]));

/**
 * Puts arrays back.
 * @throws PtychoError CHECKPOINT_INVALID where they are those of another run
 */
export function restoreArrays(parts: SavedParts, arrays: Readonly<Record<string, NumericArray>>): void {
  for (const [prefix, part] of Object.entries(parts)) {
    if (!part) continue;
    const saved: Record<string, NumericArray> = {};
    for (const [name, array] of Object.entries(part.saved())) {
      saved[name] = part.restore ? array.slice() : array;
      put(arrays, prefix + name, saved[name]);
    }
    part.restore?.(saved);
  }
}

function put(arrays: Readonly<Record<string, NumericArray | undefined>>, name: string, target: NumericArray): void {
  const found = arrays[name];
  if (found?.length === target.length) {
    target.set(found);
    return;
  }
  throw new PtychoError(
    'CHECKPOINT_INVALID',
    `The saved state has ${found?.length ?? 'no'} values of ${name}, but this scan with these options needs ${target.length}: it belongs to another run.`,
    { key: name, found: found?.length, expected: target.length },
  );
}
