/** A linear model with gradients written by hand in double precision: what optimisers are tested on. */

import type { Tensor } from '../../src/core/tensor.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import type { OptimiserOptions, StepParts } from '../../src/model/trainingSteps.js';

const [IN, OUT] = [3, 2];
export const linearParameters = [
  { name: 'w', shape: [IN, OUT] },
  { name: 'b', shape: [OUT] },
  { name: 's', shape: [] },
] as const;

/** By name, flat. */
export type Vectors = Record<string, number[]>;

/** Smooth numbers around 0 of order 1, the same every time. */
const numbers = (n: number, seed: number) => Array.from({ length: n }, (_, i) => Math.sin(1.7 * i + seed) + 0.2);

export const linearStart: Vectors = { w: numbers(IN * OUT, 1), b: numbers(OUT, 2), s: [0.7] };

export function linearBatch(rows: number, seed: number) {
  return { x: numbers(rows * IN, seed).map(Math.fround), y: numbers(rows * OUT, seed + 0.5).map(Math.fround) };
}
export type LinearBatch = ReturnType<typeof linearBatch>;

export const tensor = (data: readonly number[], shape: readonly number[]): Tensor => ({
  data: Float32Array.from(data),
  shape,
});

export const linearFeeds = ({ x, y }: LinearBatch) => ({
  x: tensor(x, [x.length / IN, IN]),
  y: tensor(y, [y.length / OUT, OUT]),
});

/** Start values as state. */
export const linearState = (values: Vectors = linearStart) =>
  Object.fromEntries(linearParameters.map(({ name, shape }) => [name, tensor(values[name], shape)]));

/** loss = mean over rows of Σ (s·(x w + b) − y)². */
export function linearParts(rows: number, optimiser: OptimiserOptions): StepParts {
  const x = op.input('x', [rows, IN]);
  const y = op.input('y', [rows, OUT]);
  const weights = new Map<string, GraphNode<'state'>>(
    linearParameters.map(({ name, shape }) => [name, op.state(name, shape)]),
  );
  const node = (name: string) => weights.get(name) as GraphNode;
  const predicted = op.mul(op.add(op.matmul(x, node('w')), node('b')), node('s'));
  const loss = op.reduceMean(op.reduceSum(op.square(op.sub(predicted, y)), [1]));
  return { name: `linear_b${rows}`, inputs: [x, y], loss, outputs: { loss }, weights, optimiser };
}

/** Gradients of the loss, by hand. */
export function linearGradients({ w, b, s }: Vectors, { x, y }: LinearBatch): Vectors {
  const rows = x.length / IN;
  const g: Vectors = { w: w.map(() => 0), b: b.map(() => 0), s: [0] };
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < OUT; o++) {
      let z = b[o];
      for (let i = 0; i < IN; i++) z += x[r * IN + i] * w[i * OUT + o];
      const e = (2 * (s[0] * z - y[r * OUT + o])) / rows;
      for (let i = 0; i < IN; i++) g.w[i * OUT + o] += e * s[0] * x[r * IN + i];
      g.b[o] += e * s[0];
      g.s[0] += e * z;
    }
  }
  return g;
}

/** √Σv² over all vectors. */
export const normOf = (v: Vectors): number => Math.hypot(...Object.values(v).flat());

/** Largest difference between state tensors and expected values, relative to the largest expected one. */
export function deviation(found: Readonly<Record<string, Tensor>>, expected: Vectors): number {
  let [worst, largest] = [0, 0];
  for (const [name, values] of Object.entries(expected)) {
    values.forEach((v, i) => {
      const d = Math.abs(found[name].data[i] - v);
      worst = Number.isNaN(d) ? Number.POSITIVE_INFINITY : Math.max(worst, d);
      largest = Math.max(largest, Math.abs(v));
    });
  }
  return worst / largest;
}
