/**
 * fast-check with a seed that is the same in every run, so that a change is judged by what it changes. `PTYCHOPINN_SEED=random npx
 * vitest run` (or a number) looks elsewhere; a counterexample it finds becomes a test of its own.
 */
import fc from 'fast-check';

const asked = process.env.PTYCHOPINN_SEED ?? '20261129';
if (asked !== 'random') fc.configureGlobal({ seed: Number(asked) });

export default fc;
