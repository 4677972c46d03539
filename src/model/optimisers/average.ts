/** A moving average of the weights, kept beside them. */
import type { Tensor } from '../../core/tensor.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { type NamedShape, zeros } from './optimiser.js';

const STEP = 'average.step';

/** The state that holds the average of a weight. */
export function averagedName(name: string): string {
  return `average/${name}`;
}

/** Fresh averages: zeros, which the first step replaces. */
export function averageState(parameters: readonly NamedShape[]): Record<string, Tensor> {
  const out: Record<string, Tensor> = { [STEP]: zeros([]) };
  for (const { name, shape } of parameters) out[averagedName(name)] = zeros(shape);
  return out;
}

/**
 * a ← a + (1 − d)(w − a) with d = min(decay, (1 + t)/(10 + t)), the usual warm-up: t counts the steps after the first one,
 * which copies the weights (d = 0), so that where the average starts never matters.
 *
 * @param next - The weights after the step.
 */
export function averageUpdates(next: ReadonlyMap<string, GraphNode>, decay: number): Record<string, GraphNode> {
  const done = op.state(STEP, []); // t + 1
  const share = op.sub(1, op.minimum(op.div(done, op.add(done, 9)), decay));
  const updates: Record<string, GraphNode> = { [STEP]: op.add(done, 1) };
  for (const [name, w] of next) {
    const average = op.state(averagedName(name), w.shape);
    updates[averagedName(name)] = op.add(average, op.mul(op.sub(w, average), share));
  }
  return updates;
}
