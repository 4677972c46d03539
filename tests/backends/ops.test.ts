/** Every op, lowered and run by each engine, against the reference interpreter; its gradient against central differences. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { type Shape, sizeOf, type Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { allEngineCases } from '../support/backends.js';
import { derivedOps, expectGradients, golden } from '../support/gradientCases.js';
import { interpret } from '../support/interpreter.js';
import { expectEqual, expectOp, opsWithCases } from '../support/opCases.js';
import { expectWholeRange } from '../support/rangeCases.js';
import { backendInThread, importerOf, nativePackage } from '../support/tfjs.js';

/** A little network with everything that training needs: kernels, pooling, doubling, momentum. */
function trainingStep(batch: number) {
  const side = 8;
  const x = op.input('x', [batch, 1, side, side]);
  const target = op.input('target', [batch, 1, side, side]);
  const shapes: Record<string, Shape> = {
    'encoder.weight': [4, 1, 3, 3],
    'encoder.bias': [4],
    'middle.weight': [5, 4, 3, 3],
    'middle.bias': [5],
    'decoder.weight': [1, 5, 3, 3],
    'decoder.bias': [1],
    position: [batch, 1, 1, 1],
  };
  const w = Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, op.state(name, shape)]));
  const h = op.maxPool2(op.relu(op.conv2d(x, w['encoder.weight'], w['encoder.bias'], 'encoder')));
  const m = op.silu(op.conv2d(h, w['middle.weight'], w['middle.bias'], 'middle'));
  const y = op.sigmoid(op.upConv2d(m, w['decoder.weight'], w['decoder.bias'], 'decoder'));
  const column = op.constant(
    Float32Array.from({ length: side }, (_, i) => i),
    [side],
  );
  const shifted = op.mul(y, op.hat(op.mul(op.sub(column, w.position), 0.2)));
  const loss = op.reduceMean(op.square(op.sub(shifted, target)));
  const names = Object.keys(shapes);
  const grads = gradients(
    loss,
    names.map((name) => w[name]),
  );
  const updates: Record<string, GraphNode> = {};
  names.forEach((name, i) => {
    const momentum = op.state(`momentum.${name}`, shapes[name]);
    const next = op.add(op.mul(momentum, 0.9), grads[i]);
    updates[`momentum.${name}`] = next;
    updates[name] = op.sub(w[name], op.mul(next, op.input(`rate.${i}`, [])));
  });
  const state: Record<string, Tensor> = {};
  let at = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const n = sizeOf(shape);
    state[name] = { data: Float32Array.from({ length: n }, () => golden(at++) - 0.5), shape };
    state[`momentum.${name}`] = { data: new Float32Array(n), shape };
  }
  // Written down by nobody, read by the program: it must stay as it is.
  state.unused = { data: Float32Array.of(7), shape: [1] };
  const feeds: Record<string, Tensor> = Object.fromEntries(
    names.map((_, i) => [`rate.${i}`, { data: Float32Array.of(0.5), shape: [] }]),
  );
  for (const name of ['x', 'target']) {
    feeds[name] = {
      data: Float32Array.from({ length: batch * side * side }, () => golden(at++)),
      shape: [batch, 1, side, side],
    };
  }
  return { program: defineProgram({ name: 'step', outputs: { loss, shifted }, updates }), state, feeds };
}

/** The ops that tfjs-node is left to do by itself, on the JavaScript engine: it has them all, if slowly. */
const native = {
  name: 'TensorFlow.js without kernels of ours',
  create: (_threads?: number) =>
    backendInThread({ engine: 'tfjs-node' }, importerOf({ '@tensorflow/tfjs-node': () => nativePackage(false) })),
};

describe.each([...allEngineCases, native])('ops on $name', ({ name, create }) => {
  let backend: Backend;
  beforeAll(async () => {
    // Two threads share an operation: where they cut it must not be seen.
    backend = await create(name === 'onnxruntime' ? 2 : undefined);
  });
  afterAll(() => backend.dispose());

  it.each(opsWithCases)('%s', async (opName, list) => {
    await expectOp(backend, opName, list);
  });

  it.each(derivedOps)('the gradient of %s', async (opName, list) => {
    await expectGradients(backend, opName, list);
  });

  it('functions are right for every number, large, small and far below 0', async () => {
    await expectWholeRange(backend);
  });

  it('a training step equals the interpreter over three steps, state included', async () => {
    const { program, state, feeds } = trainingStep(3);
    const compiled = await backend.compile(program);
    const device = await backend.createState(state);
    const values = Object.fromEntries(Object.entries(feeds).map(([name, t]) => [name, t.data]));
    let expected: Record<string, ArrayLike<number>> = Object.fromEntries(
      Object.entries(state).map(([name, t]) => [name, t.data]),
    );
    const losses: number[] = [];
    for (let step = 0; step < 3; step++) {
      const found = await compiled.run(feeds, device);
      const reference = interpret(program, values, expected);
      expectEqual(found.loss, reference.outputs.loss, `loss of step ${step}`);
      expectEqual(found.shifted, reference.outputs.shifted, `image of step ${step}`);
      expected = reference.next;
      losses.push(found.loss.data[0]);
    }
    expect(losses[2]).toBeLessThan(losses[0]);
    const after = await device.read();
    expect(Object.keys(after).sort()).toEqual(Object.keys(state).sort());
    for (const [name, { shape }] of Object.entries(state)) {
      expectEqual(after[name], { data: Float64Array.from(expected[name]), shape }, name);
    }
    await compiled.dispose();
    await device.dispose();
  });
});
