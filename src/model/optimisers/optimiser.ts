/**
 * What an optimiser is: state of its own, and the next values of weights and state as nodes of the program.
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
