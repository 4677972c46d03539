/**
 * What an optimiser is: state of its own, and the next values of weights and state as nodes of the program; with the limits of
 * gradients and the moving average of weights, which go with any of them.
 *
 * @example
 * const { state, updates } = optimiserOf('adamw');
 * const next = updates({ weights, gradients, learningRate: op.input('learning_rate', []), squareOf: op.square }, options);
 */
import { type Shape, sizeOf, type Tensor } from '../../core/tensor.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';

/** The optimisers by their names in the configuration. */
export type OptimiserKind = 'adam' | 'adamw' | 'sgd';

/** How gradients are limited before they are used. */
export interface GradientClip {
  /** The norm of all gradients together, each value, or the norm of each tensor relative to that of its weights. */
  readonly algorithm: 'norm' | 'value' | 'agc';
  readonly limit: number;
}

/** How weights are moved. */
export interface OptimiserOptions {
  readonly kind: OptimiserKind;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Nesterov momentum of sgd; 0: none. */
  readonly momentum: number;
  /** A part of the gradient with adam and sgd, of the weights themselves with adamw. */
  readonly weightDecay: number;
  /** Parameters that do not decay, by name: those for which 0 means nothing special (scales, a probe). */
  readonly undecayed?: readonly string[];
  readonly clip: GradientClip | null;
  /** Decay of the moving average of the weights; 0: none is kept. */
  readonly averaging: number;
  /** Factor on the learning rate of single parameters, by name. */
  readonly rateFactors?: Readonly<Record<string, number>>;
  /** Keep sums of gradients, for steps over several batches. */
  readonly accumulates?: boolean;
}

/** Adam as published, without limits and averages. */
export const optimiserDefaults: OptimiserOptions = {
  kind: 'adam',
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  momentum: 0.9,
  weightDecay: 0,
  clip: null,
  averaging: 0,
};

/** What the state of an optimiser depends on. */
export interface NamedShape {
  readonly name: string;
  readonly shape: Shape;
}

/** What a step is computed from. */
export interface StepInputs {
  readonly weights: ReadonlyMap<string, GraphNode>;
  /** Of every weight, limited already. */
  readonly gradients: ReadonlyMap<string, GraphNode>;
  /** A scalar. */
  readonly learningRate: GraphNode;
  /** g²; asked twice for one gradient, it is the same node. */
  readonly squareOf: (gradient: GraphNode) => GraphNode;
}

/** One way to move weights. */
export interface Optimiser {
  /** Fresh state, by name: nothing that the options do not need. */
  state(parameters: readonly NamedShape[], options: OptimiserOptions): Record<string, Tensor>;
  /** The next values of the weights and of the state. */
  updates(step: StepInputs, options: OptimiserOptions): Record<string, GraphNode>;
}

/** Zeros. */
export function zeros(shape: Shape): Tensor {
  return { data: new Float32Array(sizeOf(shape)), shape };
}

/** `rate` × the factor of each parameter; parameters with the same factor share a node. */
export function parameterRates(rate: GraphNode, { rateFactors }: OptimiserOptions): (name: string) => GraphNode {
  const byFactor = new Map<number, GraphNode>([[1, rate]]);
  return (name) => {
    const factor = rateFactors?.[name] ?? 1;
    let node = byFactor.get(factor);
    if (!node) {
      node = op.mul(rate, factor);
      byFactor.set(factor, node);
    }
    return node;
  };
}

/** Whether the options make this parameter decay. */
export function decays(name: string, { weightDecay, undecayed }: OptimiserOptions): boolean {
  return weightDecay > 0 && !undecayed?.includes(name);
}

/** The gradient of loss + ½·decay·‖w‖²: weight decay as adam and sgd have it. */
export function withPenalty(
  name: string,
  weight: GraphNode,
  gradient: GraphNode,
  options: OptimiserOptions,
): GraphNode {
  return decays(name, options) ? op.add(gradient, op.mul(weight, options.weightDecay)) : gradient;
}

/** Keeps the factor finite where all gradients are 0; PyTorch's value. */
const NORM_EPSILON = 1e-6;
/** A tensor of weights counts as at least this long, so that weights that begin at 0 can leave it. */
const AGC_LEAST_NORM = 1e-3;
/** Only against 0/0. */
const TINY = 1e-30;

type Nodes = ReadonlyMap<string, GraphNode>;

/** √Σg² over all tensors together; `squareOf` as in {@link StepInputs}. */
export function globalNorm(gradients: Nodes, squareOf: (g: GraphNode) => GraphNode): GraphNode {
  const sums = [...gradients.values()].map((g) => op.reduceSum(squareOf(g)));
  return op.sqrt(sums.reduce((a, b) => op.add(a, b)));
}

/**
 * Limited gradients. `norm`: g·min(1, limit/(‖all g‖ + 1e-6)). `value`: each value within ±limit. `agc`: tensor by tensor
 * ‖g‖ ≤ limit·max(‖w‖, 1e-3), after Brock et al., ICML 2021 (there unit by unit; tensor by tensor in the published code).
 *
 * @param norm - {@link globalNorm} of the gradients.
 */
export function clippedGradients(
  gradients: Nodes,
  weights: Nodes,
  norm: GraphNode,
  squareOf: (g: GraphNode) => GraphNode,
  clip: GradientClip | null,
): Nodes {
  if (clip === null) return gradients;
  const { algorithm, limit } = clip;
  const mapped = (rule: (g: GraphNode, name: string) => GraphNode) =>
    new Map([...gradients].map(([name, g]) => [name, rule(g, name)]));
  switch (algorithm) {
    case 'norm': {
      const factor = op.minimum(op.div(limit, op.add(norm, NORM_EPSILON)), 1);
      return mapped((g) => op.mul(g, factor));
    }
    case 'value':
      return mapped((g) => op.maximum(op.minimum(g, limit), -limit));
    case 'agc':
      return mapped((g, name) => {
        const length = (square: GraphNode) => op.sqrt(op.reduceSum(square));
        const weight = weights.get(name) as GraphNode;
        const allowed = op.mul(op.maximum(length(op.square(weight)), AGC_LEAST_NORM), limit);
        return op.mul(g, op.minimum(op.div(allowed, op.maximum(length(squareOf(g)), TINY)), 1));
      });
  }
}

const AVERAGE_STEP = 'average.step';

/** The state that holds the average of a weight. */
export function averagedName(name: string): string {
  return `average/${name}`;
}

/** Fresh averages: zeros, which the first step replaces. */
export function averageState(parameters: readonly NamedShape[]): Record<string, Tensor> {
  const out: Record<string, Tensor> = { [AVERAGE_STEP]: zeros([]) };
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
  const done = op.state(AVERAGE_STEP, []); // t + 1
  const share = op.sub(1, op.minimum(op.div(done, op.add(done, 9)), decay));
  const updates: Record<string, GraphNode> = { [AVERAGE_STEP]: op.add(done, 1) };
  for (const [name, w] of next) {
    const average = op.state(averagedName(name), w.shape);
    updates[averagedName(name)] = op.add(average, op.mul(op.sub(w, average), share));
  }
  return updates;
}
