/** Adam, inside the program: moments and step count are state like the weights. */
import type { Shape, Tensor } from '../core/tensor.js';
import { sizeOf } from '../core/tensor.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';

export interface AdamOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
}

export const adamDefaults: AdamOptions = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

const STEP = 'adam.step';
const first = (name: string) => `adam.m/${name}`;
const second = (name: string) => `adam.v/${name}`;

/** Zero moments for weights of the given shapes. */
export function adamState(shapes: Iterable<readonly [name: string, shape: Shape]>): Record<string, Tensor> {
  const out: Record<string, Tensor> = { [STEP]: { data: new Float32Array(1), shape: [] } };
  for (const [name, shape] of shapes) {
    out[first(name)] = { data: new Float32Array(sizeOf(shape)), shape };
    out[second(name)] = { data: new Float32Array(sizeOf(shape)), shape };
  }
  return out;
}

/**
 * The next values of weights, moments and step count.
 * w ← w − lr·m̂/(√v̂ + ε), written with the bias corrections gathered into two scalars.
 * Source: Kingma & Ba, ICLR 2015, algorithm 1.
 */
export function adamUpdates(
  weights: ReadonlyMap<string, GraphNode>,
  gradients: ReadonlyMap<string, GraphNode>,
  learningRate: GraphNode,
  options: AdamOptions = adamDefaults,
): Record<string, GraphNode> {
  const { beta1, beta2, epsilon } = options;
  const step = op.add(op.state(STEP, []), 1);
  const correction = (beta: number) => op.sub(1, op.exp(op.mul(step, Math.log(beta)))); // 1 − βᵗ
  const root2 = op.sqrt(correction(beta2));
  const rate = op.div(op.mul(learningRate, root2), correction(beta1));
  const eps = op.mul(root2, epsilon);
  const updates: Record<string, GraphNode> = { [STEP]: step };
  for (const [name, w] of weights) {
    const g = gradients.get(name);
    if (!g) continue;
    const m = op.add(op.mul(op.state(first(name), w.shape), beta1), op.mul(g, 1 - beta1));
    const v = op.add(op.mul(op.state(second(name), w.shape), beta2), op.mul(op.square(g), 1 - beta2));
    updates[first(name)] = m;
    updates[second(name)] = v;
    updates[name] = op.sub(w, op.div(op.mul(m, rate), op.add(op.sqrt(v), eps)));
  }
  return updates;
}
