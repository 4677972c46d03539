/** A backend as its users see it: runs, state, refusals, and how it ends. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import type { Tensor } from '../../src/core/tensor.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { backendCases } from '../support/backends.js';

const vector = (...values: number[]): Tensor => ({ data: Float32Array.from(values), shape: [values.length] });

const x = op.input('x', [2]);
const w = op.state('w', [2]);
const fixed = op.state('fixed', [2]);
/** y = x·w + fixed, then w += x. */
const accumulate = defineProgram({
  name: 'accumulate',
  outputs: { y: op.add(op.mul(x, w), fixed) },
  updates: { w: op.add(w, x) },
});
const readOnly = defineProgram({ name: 'readOnly', outputs: { y: op.mul(w, 10) } });

describe.each(backendCases)('$name', ({ create, call, info }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  describe('runs and state', () => {
    it('says who runs', () => {
      expect(backend.info).toEqual(info);
    });

    it('keeps state between runs and shares it between programs', async () => {
      const state = await backend.createState({ w: vector(1, 2), fixed: vector(0, 100) });
      const [step, look] = [await backend.compile(accumulate), await backend.compile(readOnly)];
      expect([...(await step.run({ x: vector(1, 1) }, state)).y.data]).toEqual([1, 102]);
      expect([...(await look.run({}, state)).y.data]).toEqual([20, 30]);
      expect([...(await step.run({ x: vector(2, 0) }, state)).y.data]).toEqual([4, 100]);
      expect([...(await look.run({}, state)).y.data]).toEqual([40, 30]);
      await state.write({ w: vector(7, 8) });
      expect([...(await look.run({}, state)).y.data]).toEqual([70, 80]);
      const { fixed: same, ...others } = await state.read(['fixed']);
      expect([[...same.data], same.shape, others]).toEqual([[0, 100], [2], {}]);
    });

    it('runs concurrent calls in the order they came', async () => {
      const state = await backend.createState({ w: vector(0, 0), fixed: vector(0, 0) });
      const step = await backend.compile(accumulate);
      const runs = [1, 2, 3, 4].map((v) => step.run({ x: vector(v, 1) }, state));
      const between = state.read(['w']);
      const last = step.run({ x: vector(5, 1) }, state);
      const found = (await Promise.all(runs)).map(({ y }) => [...y.data]);
      expect(found).toEqual([
        [0, 0],
        [2, 1],
        [9, 2],
        [24, 3],
      ]);
      expect([...(await between).w.data]).toEqual([10, 4]);
      expect([...(await last).y.data]).toEqual([50, 4]);
    });

    it('leaves feeds and values to the caller, and what it returns too', async () => {
      const values = { w: vector(1, 2), fixed: vector(3, 4) };
      const state = await backend.createState(values);
      const step = await backend.compile(accumulate);
      const feed = vector(5, 6);
      const pending = step.run({ x: feed }, state);
      feed.data.fill(0);
      values.w.data.fill(0);
      const first = await pending;
      await step.run({ x: vector(1, 1) }, state);
      expect([...first.y.data]).toEqual([8, 16]);
      expect([feed.data.length, values.w.data.length]).toEqual([2, 2]);
      const read = await state.read();
      read.w.data.fill(-1);
      expect([...(await state.read()).w.data]).toEqual([7, 9]);
    });

    it('takes a view into a larger array, and ignores feeds that no input wants', async () => {
      const state = await backend.createState({ w: vector(1, 2), fixed: vector(0, 0) });
      const step = await backend.compile(accumulate);
      const view = { data: Float32Array.of(9, 9, 3, 4, 9).subarray(2, 4), shape: [2] };
      expect([...(await step.run({ x: view, other: vector(1) }, state)).y.data]).toEqual([3, 8]);
    });

    it('builds constants in, so that no state is needed', async () => {
      const constant = await backend.compile(readOnly, { constants: { w: vector(4, 5) } });
      expect([...(await constant.run({})).y.data]).toEqual([40, 50]);
      const some = await backend.compile(accumulate, { constants: { fixed: vector(1, 1) } });
      const state = await backend.createState({ w: vector(2, 3) });
      expect([...(await some.run({ x: vector(1, 1) }, state)).y.data]).toEqual([3, 4]);
    });

    it('leaves the event loop free during a run', async () => {
      const side = 1536;
      const a = op.input('a', [side, side]);
      const heavy = await backend.compile(
        defineProgram({ name: 'heavy', outputs: { y: op.reduceSum(op.matmul(op.matmul(a, a), a)) } }),
      );
      const feeds = { a: { data: new Float32Array(side * side).fill(1e-3), shape: [side, side] } };
      const events: string[] = [];
      const run = heavy.run(feeds).then(() => events.push('run'));
      setTimeout(() => events.push('timer'), 1);
      await run;
      expect(events).toEqual(['timer', 'run']);
    });
  });

  describe('refusals', () => {
    const rejects = (code: string, message: string) =>
      expect.objectContaining({ code, message: expect.stringContaining(message) });

    it('names an input that is missing or has another shape', async () => {
      const state = await backend.createState({ w: vector(1, 2), fixed: vector(0, 0) });
      const step = await backend.compile(accumulate);
      await expect(step.run({}, state)).rejects.toEqual(
        rejects('GRAPH_SHAPE', 'Program "accumulate" needs the input "x" (2,).'),
      );
      await expect(step.run({ x: vector(1, 2, 3) }, state)).rejects.toEqual(
        rejects('GRAPH_SHAPE', 'The input of "accumulate" "x" must have shape (2,), got (3,) with 3 values.'),
      );
      await expect(step.run({ x: { data: new Float32Array(3), shape: [2] } }, state)).rejects.toEqual(
        rejects('GRAPH_SHAPE', '3 values'),
      );
    });

    it('names a state that is missing, has another shape or belongs elsewhere', async () => {
      const step = await backend.compile(accumulate);
      await expect(step.run({ x: vector(1, 2) })).rejects.toEqual(
        rejects('GRAPH_INVALID', 'needs a state, and it is missing'),
      );
      const half = await backend.createState({ w: vector(1, 2) });
      await expect(step.run({ x: vector(1, 2) }, half)).rejects.toEqual(
        rejects('GRAPH_SHAPE', '"fixed" (2,), which is not in the state'),
      );
      const wide = await backend.createState({ w: vector(1, 2, 3), fixed: vector(0, 0) });
      await expect(step.run({ x: vector(1, 2) }, wide)).rejects.toEqual(rejects('GRAPH_SHAPE', 'which has shape (3,)'));
      await expect(wide.write({ w: vector(1) })).rejects.toEqual(
        rejects('GRAPH_SHAPE', 'The state "w" must have shape (3,)'),
      );
      await expect(wide.read(['nothing'])).rejects.toEqual(rejects('GRAPH_SHAPE', 'The state holds no "nothing".'));
      const other = await create();
      const foreign = await other.createState({ w: vector(1, 2), fixed: vector(0, 0) });
      await expect(step.run({ x: vector(1, 2) }, foreign)).rejects.toEqual(
        rejects('GRAPH_INVALID', 'belongs to another backend'),
      );
      await other.dispose();
    });

    it('refuses to run what was disposed', async () => {
      const step = await backend.compile(accumulate);
      const state = await backend.createState({ w: vector(1, 2), fixed: vector(0, 0) });
      await state.dispose();
      await expect(step.run({ x: vector(1, 2) }, state)).rejects.toEqual(
        rejects('ENGINE_FAILURE', 'the state was disposed'),
      );
      await step.dispose();
      await step.dispose();
      await expect(
        step.run({ x: vector(1, 2) }, await backend.createState({ w: vector(1, 2), fixed: vector(0, 0) })),
      ).rejects.toEqual(rejects('ENGINE_FAILURE', 'the program was disposed'));
    });

    it('refuses everything after its own end, after finishing what was asked before', async () => {
      const other = await create();
      const look = await other.compile(readOnly);
      const state = await other.createState({ w: vector(1, 2) });
      const pending = look.run({}, state);
      await other.dispose();
      expect([...(await pending).y.data]).toEqual([10, 20]);
      await expect(look.run({}, state)).rejects.toEqual(rejects('ENGINE_FAILURE', 'it was disposed'));
      await expect(other.compile(readOnly)).rejects.toEqual(rejects('ENGINE_FAILURE', 'it was disposed'));
      await state.dispose();
      await look.dispose();
      await other.dispose();
    });

    it('refuses a number of threads that is none', async () => {
      await expect(create(0)).rejects.toEqual(rejects('CONFIG_INVALID', 'threads must be'));
    });
  });

  describe('the process', () => {
    const script = (end: string) => `
    const [{ selectBackend }, op, { defineProgram }] = await Promise.all(
      ['backends/select.js', 'graph/ops.js', 'graph/program.js'].map((f) => import(new URL(f, process.argv[1]))));
    const backend = await selectBackend(${call});
    const program = await backend.compile(defineProgram({ name: 'p', outputs: { y: op.neg(op.input('x', [1])) } }));
    const run = program.run({ x: { data: Float32Array.of(3), shape: [1] } });
    ${end}`;
    const dist = new URL('../../dist/', import.meta.url).href;
    const execute = (end: string) =>
      promisify(execFile)(process.execPath, ['--input-type=module', '-e', script(end), dist], { timeout: 60_000 });

    it('ends by itself after dispose', async () => {
      const { stdout, stderr } = await execute('await run; await backend.dispose(); console.log("end");');
      expect([stdout, stderr]).toEqual(['end\n', '']);
    });

    it('ends by itself when dispose is forgotten, but not before a pending run', async () => {
      const { stdout, stderr } = await execute('run.then(({ y }) => console.log(y.data[0]));');
      expect([stdout, stderr]).toEqual(['-3\n', '']);
    });
  });
});
