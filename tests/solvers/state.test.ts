/** Which runs may go on from a state. */
import { describe, expect, it } from 'vitest';
import { solverOptionsSchema } from '../../src/config/schemas/solver.js';
import { checkState, goingOnWith, type StoredState } from '../../src/solvers/files/state.js';

const optionsOf = (given: object) => solverOptionsSchema.parse({ epochs: 9, ...given });

/** A state of five epochs; `missing` are options that the version it is from did not have. */
function stateOf(given: object, missing: readonly string[] = []): StoredState {
  const options = Object.fromEntries(Object.entries(optionsOf(given)).filter(([name]) => !missing.includes(name)));
  const head = { options, init: null, scan: {}, engine: 'any', version: '1' };
  return { file: 'solver_state.npz', head, snapshot: { epoch: 5, arrays: {}, history: [] } };
}

const goOn = (state: StoredState, given: object) =>
  checkState(state, { folder: 'run', options: optionsOf(given), init: null, scan: {}, hasResults: true });

describe('a state', () => {
  it('belongs to its options', () => {
    expect(() => goOn(stateOf({}), {})).not.toThrow();
    expect(() => goOn(stateOf({}), { acceleration: 0.5 })).toThrow(/acceleration/);
  });

  it('from before an option goes on as runs did then', () => {
    const old = stateOf({}, ['batching', 'acceleration']);
    expect(() => goOn(old, { batching: 'random', acceleration: 0 })).not.toThrow();
    expect(() => goOn(old, {})).toThrow(/batching/);
    // Where nobody says otherwise, that is how it goes on; and again after that.
    const going = goingOnWith(old, optionsOf({}));
    expect(going).toEqual(optionsOf({ batching: 'random', acceleration: 0 }));
    const again = { ...old, head: { ...old.head, options: going as unknown as typeof old.head.options } };
    expect(goingOnWith(again, optionsOf({}))).toEqual(going);
    expect(goingOnWith(old, optionsOf({ batching: 'compact' })).batching).toBe('compact');
  });
});
