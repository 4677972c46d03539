/** Stochastic gradient descent with Nesterov momentum. */
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { type Optimiser, parameterRates, withPenalty, zeros } from './optimiser.js';

const velocity = (name: string) => `sgd.momentum/${name}`;

/**
 * b ← µb + g, w ← w − lr·(g + µb): Nesterov's momentum in the form that PyTorch has (Sutskever et al., ICML 2013, seen from
 * the point that looks ahead). Without momentum there is no state and w ← w − lr·g.
 */
export const sgd: Optimiser = {
  state: (parameters, { momentum }) =>
    momentum > 0 ? Object.fromEntries(parameters.map(({ name, shape }) => [velocity(name), zeros(shape)])) : {},

  updates({ weights, gradients, learningRate }, options) {
    const { momentum } = options;
    const rateOf = parameterRates(learningRate, options);
    const updates: Record<string, GraphNode> = {};
    for (const [name, w] of weights) {
      const raw = gradients.get(name);
      if (!raw) continue;
      const g = withPenalty(name, w, raw, options);
      let direction = g;
      if (momentum > 0) {
        const b = op.add(op.mul(op.state(velocity(name), w.shape), momentum), g);
        updates[velocity(name)] = b;
        direction = op.add(g, op.mul(b, momentum));
      }
      updates[name] = op.sub(w, op.mul(direction, rateOf(name)));
    }
    return updates;
  },
};
