/** TensorFlow.js tensors are owned: nothing is left behind by runs, errors or what was disposed. */
import { afterEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import type { Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { backendInThread, importerOf, tf } from '../support/tfjs.js';

const tensors = () => tf.memory().numTensors;
const filled = (shape: number[], seed: number): Tensor => ({
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(seed + 0.7 * i)),
  shape,
});

/** A step with kernels, attention-like broadcasting, transposed state and an output that is a state as well. */
function step() {
  const x = op.input('x', [2, 2, 8, 8]);
  const shapes = { w1: [3, 2, 3, 3], b1: [3], w2: [2, 3, 3, 3], m: [4, 3] };
  const [w1, b1, w2, m] = Object.entries(shapes).map(([name, shape]) => op.state(name, shape));
  const h = op.maxPool2(op.relu(op.conv2d(x, w1, b1)));
  const gate = op.sigmoid(op.matmul(op.reduceMean(h, [2, 3]), op.transposeLast(m)));
  const y = op.mul(op.upConv2d(h, w2), op.reshape(op.sliceAxis(gate, 1, 0, 2), [2, 2, 1, 1]));
  const loss = op.add(op.reduceMean(op.square(op.sub(y, x))), op.reduceSum(op.state('fixed', [2])));
  const leaves = [w1, b1, w2, m];
  const grads = gradients(loss, leaves);
  const updates = Object.fromEntries(Object.keys(shapes).map((n, i) => [n, op.sub(leaves[i], op.mul(grads[i], 0.1))]));
  const state = {
    ...Object.fromEntries(Object.entries(shapes).map(([n, s], i) => [n, filled(s, i)])),
    fixed: filled([2], 9),
  };
  return { program: defineProgram({ name: 'step', outputs: { loss, y, w1 }, updates }), state };
}

describe.each(['wasm', 'cpu'] as const)('tensors of the %s engine', (engine) => {
  let backend: Backend | undefined;
  afterEach(() => backend?.dispose());
  const x = filled([2, 2, 8, 8], 1);

  it('are as many after a hundred steps as after one, and none in the end', async () => {
    backend = await backendInThread({ engine });
    const before = tensors();
    const { program, state } = step();
    const compiled = await backend.compile(program);
    const device = await backend.createState(state);
    const first = await compiled.run({ x }, device);
    const afterOne = tensors();
    let last = first;
    for (let i = 1; i < 100; i++) last = await compiled.run({ x }, device);
    expect(tensors()).toBe(afterOne);
    expect(last.loss.data[0]).toBeLessThan(first.loss.data[0]);
    const read = await device.read();
    expect(read.fixed.data).toEqual(state.fixed.data);
    await device.write({ w1: read.w1 });
    await compiled.run({ x }, device);
    expect(tensors()).toBe(afterOne);
    await device.dispose();
    await compiled.dispose();
    expect(tensors()).toBe(before);
  });

  it('of constants are made once, and go with their program', async () => {
    backend = await backendInThread({ engine });
    const before = tensors();
    const { program, state } = step();
    const compiled = await backend.compile(
      defineProgram({ name: 'predict', outputs: { y: program.outputs.get('y')! } }),
      {
        constants: state,
      },
    );
    const { y: first } = await compiled.run({ x });
    const afterOne = tensors();
    for (let i = 0; i < 5; i++) expect((await compiled.run({ x })).y.data).toEqual(first.data);
    expect(tensors()).toBe(afterOne);
    await compiled.dispose();
    expect(tensors()).toBe(before);
  });

  it('go away when a run fails, and the state stays as it was', async () => {
    let full = false;
    const failing = {
      ...tf,
      matMul: (...args: Parameters<typeof tf.matMul>) => {
        if (full) throw new Error('out of memory');
        return tf.matMul(...args);
      },
    };
    backend = await backendInThread({ engine }, importerOf({ '@tensorflow/tfjs-core': () => failing }));
    const { program, state } = step();
    const compiled = await backend.compile(program);
    const device = await backend.createState(state);
    await compiled.run({ x }, device);
    const [before, values] = [tensors(), (await device.read(['w1'])).w1.data];
    full = true;
    const fails = () =>
      expect(compiled.run({ x }, device)).rejects.toMatchObject({
        code: 'ENGINE_FAILURE',
        message: expect.stringMatching(/^TensorFlow\.js refused "step": .*out of memory$/),
      });
    await fails();
    // What was made of weights that are still there may stay with them, once.
    const afterOne = tensors();
    for (let i = 0; i < 5; i++) await fails();
    expect(tensors()).toBe(afterOne);
    full = false;
    expect((await device.read(['w1'])).w1.data).toEqual(values);
    await compiled.run({ x }, device);
    expect(tensors()).toBe(before);
  });
});
