/** Both backends compute the same; a training with groups of four is in `tests/slow/parity.test.ts`. */
import { expect, it } from 'vitest';
import type { Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { backendCases } from '../support/backends.js';
import { describeParity, type ParityCase, relativeErrors } from './backendParity.js';

const cases = ([1, 2] as const).flatMap((gridsize) =>
  (['cnn', 'cnn_cbam'] as const).flatMap((architecture) =>
    (['nll', 'mae'] as const).map((loss): ParityCase => ({ gridsize, architecture, loss, n_filters_scale: 1 })),
  ),
);
const defaultNetwork: ParityCase = { gridsize: 1, architecture: 'cnn', loss: 'nll', n_filters_scale: 2 };

describeParity([...cases, defaultNetwork], [{ gridsize: 1, loss: 'nll' }]);

it('a small smooth network', async () => {
  const x = op.input('x', [3, 2, 16, 16]);
  const shapes = { w1: [6, 2, 3, 3], b1: [6], w2: [4, 6, 3, 3], w3: [2, 4, 3, 3], m: [32, 16] };
  const weights: Record<string, Tensor> = {};
  const leaves = Object.entries(shapes).map(([name, shape], k) => {
    const size = shape.reduce((a, b) => a * b, 1);
    weights[name] = { data: Float32Array.from({ length: size }, (_, i) => 0.3 * Math.sin(k + 1.3 * i)), shape };
    return op.state(name, shape);
  });
  const [w1, b1, w2, w3, m] = leaves;
  const h = op.silu(op.conv2d(op.tanh(op.conv2d(x, w1, b1)), w2));
  const y = op.matmul(op.upConv2d(op.sigmoid(h), w3), m);
  const loss = op.reduceMean(op.square(op.sub(y, 0.1)));
  const names = Object.keys(shapes);
  const grads = gradients(loss, leaves);
  const program = defineProgram({
    name: 'smooth',
    outputs: { loss, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, grads[i]])) },
  });
  const feeds = { x: { data: Float32Array.from({ length: 1536 }, (_, i) => Math.sin(0.37 * i)), shape: x.shape } };
  const found = [];
  for (const { create } of backendCases) {
    const backend = await create();
    const compiled = await backend.compile(program, { constants: weights });
    found.push(await compiled.run(feeds));
    await backend.dispose();
  }
  const { all, worst, worstName } = relativeErrors(found[1], found[0]);
  expect(all).toBeLessThan(1e-5);
  expect(worst, worstName).toBeLessThan(1e-5);
});
