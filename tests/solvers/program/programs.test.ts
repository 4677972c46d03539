/** How programs are used: as few as can be, all of them given back, and failures said once. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Compiled } from '../../../src/backends/backend.js';
import { ProgramPasses } from '../../../src/solvers/program/programPasses.js';
import { backendCases } from '../../support/backends.js';
import { solverProblem } from '../../support/solverProblem.js';

const problem = solverProblem(8, 1, 40);
const { scan, sizes, floor } = problem;
const firstOf = (count: number) => Int32Array.from({ length: count }, (_, k) => k);

let real: Backend;
beforeAll(async () => {
  real = await backendCases[0].create(1);
});
afterAll(() => real.dispose());

/** The backend, and what it holds. */
function watched(run: (compiled: Compiled, n: number) => Compiled['run'] = (compiled) => compiled.run.bind(compiled)) {
  const programs: string[] = [];
  let [open, states, runs] = [0, 0, 0];
  const backend: Backend = {
    ...real,
    info: real.info,
    async compile(program, options) {
      const compiled = await real.compile(program, options);
      programs.push(program.name);
      open++;
      return {
        run: (feeds, state) => run(compiled, runs++)(feeds, state),
        async dispose() {
          open--;
          await compiled.dispose();
        },
      };
    },
    async createState(values) {
      const state = await real.createState(values);
      states++;
      const dispose = state.dispose.bind(state);
      return Object.assign(state, {
        dispose: () => {
          states--;
          return dispose();
        },
      });
    },
    dispose: () => Promise.reject(new Error('the backend is the caller’s')),
  };
  return { backend, programs, held: () => ({ open, states }), runs: () => runs };
}

async function openEngine(backend: Backend, batch: number) {
  const engine = await ProgramPasses.open({ scan, sizes, floor, storeWaves: false, backend, batch });
  problem.fill(engine);
  return engine;
}

describe('programs of the solvers', () => {
  it('serve batches of nearly one size, and what is alike is compiled once', async () => {
    const { backend, programs, runs } = watched();
    const engine = await openEngine(backend, 16);
    for (const count of [34, 33, 36, 35]) await engine.pass(firstOf(count), { wave: 'amplitude', object: true });
    expect(programs).toEqual(['solver_amplitude_object_12x1x8']);
    expect(runs()).toBe(12);
    // A step that is not 1 has a factor to be multiplied with.
    for (const strength of [0.5, 0.7, 1]) await engine.pass(firstOf(34), { wave: 'amplitude', object: true, strength });
    expect(programs).toEqual(['solver_amplitude_object_12x1x8', 'solver_amplitude_object_scaled_12x1x8']);
    await engine.close();
  });

  it('are given back with what they kept; the backend stays', async () => {
    const { backend, held } = watched();
    const engine = await openEngine(backend, 4);
    await engine.pass(firstOf(10), { wave: 'amplitude', object: true, probe: true, keep: true });
    await engine.moves();
    await engine.products();
    expect(held()).toEqual({ open: 3, states: 3 });
    await engine.close();
    expect(held()).toEqual({ open: 0, states: 0 });
  });

  it('say what went wrong in one of several runs, and go on', async () => {
    let broken = true;
    const { backend } = watched((compiled, n) =>
      broken && n === 1 ? () => Promise.reject(new Error('out of memory')) : compiled.run.bind(compiled),
    );
    const engine = await openEngine(backend, 4);
    await expect(engine.pass(firstOf(16), { wave: 'measure' })).rejects.toThrow('out of memory');
    broken = false;
    expect((await engine.pass(firstOf(16), { wave: 'measure' })).counts).toBeGreaterThan(0);
    await engine.close();
  });

  it('may be fed late: what a run is fed stays as it is until it is done', async () => {
    const sums: Float32Array[] = [];
    for (const late of [false, true]) {
      const { backend } = watched((compiled) => async (feeds, state) => {
        if (late) await new Promise((resolve) => setImmediate(resolve));
        return compiled.run(feeds, state);
      });
      const engine = await openEngine(backend, 4);
      await engine.pass(firstOf(20), { wave: 'amplitude', object: true });
      sums.push(Float32Array.from(engine.memory.sums.object.re));
      await engine.close();
    }
    expect(sums[1]).toEqual(sums[0]);
  });
});
