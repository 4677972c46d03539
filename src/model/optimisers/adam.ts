/** Adam and AdamW, inside the program: moments and step count are state like the weights. */
import type { Tensor } from '../../core/tensor.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { decays, type Optimiser, type OptimiserOptions, parameterRates, withPenalty, zeros } from './optimiser.js';

const STEP = 'adam.step';
const first = (name: string) => `adam.m/${name}`;
const second = (name: string) => `adam.v/${name}`;

/**
 * w ← w − lr·m̂/(√v̂ + ε), written with the bias corrections gathered into two scalars. `decoupled`: weights decay by
 * lr·decay of their values besides; otherwise the decay is a part of the gradient.
 * Sources: Kingma & Ba, ICLR 2015, algorithm 1; Loshchilov & Hutter, ICLR 2019, algorithm 2 (AdamW).
 */
function adamLike(decoupled: boolean): Optimiser {
  return {
    state(parameters) {
      const out: Record<string, Tensor> = { [STEP]: zeros([]) };
      for (const { name, shape } of parameters) {
        out[first(name)] = zeros(shape);
        out[second(name)] = zeros(shape);
      }
      return out;
    },

    updates({ weights, gradients, learningRate, squareOf }, options) {
      const { beta1, beta2, epsilon } = options;
      const step = op.add(op.state(STEP, []), 1);
      const correction = (beta: number) => op.sub(1, power(beta, step)); // 1 − βᵗ
      const root2 = op.sqrt(correction(beta2));
      const rateOf = parameterRates(op.div(op.mul(learningRate, root2), correction(beta1)), options);
      const eps = op.mul(root2, epsilon);
      const kept = decoupled ? decayFactors(learningRate, options) : undefined;
      const updates: Record<string, GraphNode> = { [STEP]: step };
      for (const [name, w] of weights) {
        const raw = gradients.get(name);
        if (!raw) continue;
        const g = decoupled ? raw : withPenalty(name, w, raw, options);
        const m = op.add(op.mul(op.state(first(name), w.shape), beta1), op.mul(g, 1 - beta1));
        const v = op.add(op.mul(op.state(second(name), w.shape), beta2), op.mul(squareOf(g), 1 - beta2));
        updates[first(name)] = m;
        updates[second(name)] = v;
        const from = kept && decays(name, options) ? op.mul(w, kept(name)) : w;
        updates[name] = op.sub(from, op.div(op.mul(m, rateOf(name)), op.add(op.sqrt(v), eps)));
      }
      return updates;
    },
  };
}

/** βᵗ; 0 for β = 0, whose logarithm is no number that an engine can multiply. */
function power(beta: number, step: GraphNode): GraphNode {
  return beta > 0 ? op.exp(op.mul(step, Math.log(beta))) : op.scalar(0);
}

/** 1 − lr·decay, with each parameter's own rate. */
function decayFactors(learningRate: GraphNode, options: OptimiserOptions): (name: string) => GraphNode {
  const rateOf = parameterRates(learningRate, options);
  const byRate = new Map<GraphNode, GraphNode>();
  return (name) => {
    const rate = rateOf(name);
    let factor = byRate.get(rate);
    if (!factor) {
      factor = op.sub(1, op.mul(rate, options.weightDecay));
      byRate.set(rate, factor);
    }
    return factor;
  };
}

/** Adam; weight decay is a part of the gradient. */
export const adam = adamLike(false);
/** AdamW: weight decay apart from the gradient. */
export const adamw = adamLike(true);
