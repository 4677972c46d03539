/** The optimisers: Adam and AdamW, stochastic gradient descent, and what a configuration makes of them. */
import type { TrainingConfig } from '../../config/schema.js';
import type { Tensor } from '../../core/tensor.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import {
  decays,
  type Optimiser,
  type OptimiserKind,
  type OptimiserOptions,
  optimiserDefaults,
  parameterRates,
  withPenalty,
  zeros,
} from './optimiser.js';

/** Moments and the step count are state like the weights. */
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
const adam = adamLike(false);
/** AdamW: weight decay apart from the gradient. */
const adamw = adamLike(true);

const velocity = (name: string) => `sgd.momentum/${name}`;

/**
 * Stochastic gradient descent: b ← µb + g, w ← w − lr·(g + µb): Nesterov's momentum in the form that PyTorch has (Sutskever et al., ICML 2013, seen from
 * the point that looks ahead). Without momentum there is no state and w ← w − lr·g.
 */
const sgd: Optimiser = {
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

const optimisers: Readonly<Record<OptimiserKind, Optimiser>> = { adam, adamw, sgd };

/** The optimiser of this name. */
export function optimiserOf(kind: OptimiserKind): Optimiser {
  return optimisers[kind];
}

/** What the optimiser takes from the configuration. */
export type OptimiserConfig = Pick<
  TrainingConfig,
  | 'optimizer'
  | 'adam_beta1'
  | 'adam_beta2'
  | 'momentum'
  | 'weight_decay'
  | 'gradient_clip_val'
  | 'gradient_clip_algorithm'
  | 'weight_averaging'
> & { readonly execution: Pick<TrainingConfig['execution'], 'accum_steps'> };

/**
 * The optimiser that a configuration asks for.
 *
 * @param special - What only the network knows: parameters that have a rate of their own or do not decay.
 */
export function optimiserOptions(
  config: OptimiserConfig,
  special: Pick<OptimiserOptions, 'rateFactors' | 'undecayed'> = {},
): OptimiserOptions {
  return {
    kind: config.optimizer,
    beta1: config.adam_beta1,
    beta2: config.adam_beta2,
    epsilon: optimiserDefaults.epsilon,
    momentum: config.momentum,
    weightDecay: config.weight_decay,
    clip:
      config.gradient_clip_val === null
        ? null
        : { algorithm: config.gradient_clip_algorithm, limit: config.gradient_clip_val },
    averaging: config.weight_averaging,
    accumulates: config.execution.accum_steps > 1,
    ...special,
  };
}
