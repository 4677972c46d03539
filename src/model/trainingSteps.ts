/**
 * Training steps as programs: gradients, limits, the optimiser and averages around any loss; in one program per batch, or
 * with gradients added up over several batches first.
 *
 * @example
 * const step = trainingStep({ name: 'step', inputs: [x], loss, outputs: { loss }, weights: scope.nodes, optimiser });
 * const state = await backend.createState({ ...weights, ...optimiserState(scope.specs, optimiser) });
 */
import { PtychoError } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import { gradients } from '../graph/gradients.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { defineProgram, type Program } from '../graph/program.js';
import { optimiserOf } from './optimisers/kinds.js';
import {
  averageState,
  averageUpdates,
  clippedGradients,
  globalNorm,
  type NamedShape,
  type OptimiserOptions,
  optimiserDefaults,
  zeros,
} from './optimisers/optimiser.js';

export { averagedName, type OptimiserOptions, optimiserDefaults } from './optimisers/optimiser.js';

/** What a step is made of. */
export interface StepParts {
  readonly name: string;
  /** Inputs to declare even where nothing needs them. */
  readonly inputs: readonly GraphNode<'input'>[];
  readonly loss: GraphNode;
  readonly outputs: Readonly<Record<string, GraphNode>>;
  /** Outputs that are gradients of the loss: the output's name → the node by which the loss is derived. */
  readonly gradientOutputs?: Readonly<Record<string, GraphNode>>;
  readonly weights: ReadonlyMap<string, GraphNode<'state'>>;
  /** Weights that stay as they are, where they have averages. */
  readonly frozen?: ReadonlyMap<string, GraphNode<'state'>>;
  /** Next values of what no gradient moves. */
  readonly statistics?: ReadonlyMap<string, GraphNode>;
  readonly optimiser: OptimiserOptions;
}

/** Where the state keeps the sum of the gradients by a parameter. */
export const accumulatedName = (name: string): string => `accumulated/${name}`;

/** Sums of gradients before anything was added. */
export function sumsOfGradients(parameters: readonly NamedShape[]): Record<string, Tensor> {
  return Object.fromEntries(parameters.map(({ name, shape }) => [accumulatedName(name), zeros(shape)]));
}

/** Fresh optimiser state for parameters: moments, averages and sums of gradients, as far as the options need them. */
export function optimiserState(
  parameters: readonly NamedShape[],
  options: OptimiserOptions = optimiserDefaults,
): Record<string, Tensor> {
  return {
    ...optimiserOf(options.kind).state(parameters, options),
    ...(options.averaging > 0 ? averageState(parameters) : {}),
    ...(options.accumulates ? sumsOfGradients(parameters) : {}),
  };
}

/**
 * One optimiser step. Feeds: `learning_rate` [] besides what the parts need. Outputs: the parts' and `gradient_norm`, the
 * norm of all gradients of weights before they are limited; all of them from before the step.
 *
 * @throws PtychoError GRAPH_INVALID when an option names a parameter that does not exist.
 */
export function trainingStep(parts: StepParts): Program {
  const { name, inputs, weights, optimiser, frozen, statistics } = parts;
  const { byWeight, outputs } = backward(parts);
  const { updates, gradientNorm } = moved(weights, byWeight, optimiser, frozen);
  Object.assign(updates, Object.fromEntries(statistics ?? []));
  return defineProgram({ name, inputs, outputs: { ...outputs, gradient_norm: gradientNorm }, updates });
}

/**
 * Adds the gradients of a batch, times the fed `batch_weight` [] (its number of groups, when losses are means over
 * groups), to the state `accumulated/NAME`; the weights stay. Outputs: the parts'.
 */
export function accumulationStep(parts: StepParts): Program {
  const { name, inputs, weights } = parts;
  const { byWeight, outputs } = backward(parts);
  const batchWeight = op.input('batch_weight', []);
  const updates: Record<string, GraphNode> = Object.fromEntries(parts.statistics ?? []);
  for (const [n, g] of byWeight) {
    const sum = accumulatedName(n);
    updates[sum] = op.add(op.state(sum, (weights.get(n) as GraphNode).shape), op.mul(g, batchWeight));
  }
  return defineProgram({ name, inputs, outputs, updates });
}

/**
 * The step that {@link accumulationStep}s lead to: one optimiser step along the accumulated gradients, which are zero
 * afterwards. Feeds: `learning_rate` [] and `total_weight` [], the sum of the batch weights. Output: `gradient_norm`, of the
 * mean gradient before it is limited.
 *
 * @throws PtychoError GRAPH_INVALID when an option names a parameter that does not exist.
 */
export function applyAccumulated(
  parameters: readonly NamedShape[],
  options: OptimiserOptions,
  frozen: readonly NamedShape[] = [],
): Program {
  const share = op.div(1, op.input('total_weight', []));
  const weights = new Map(parameters.map(({ name, shape }) => [name, op.state(name, shape)]));
  const means = new Map<string, GraphNode>();
  const cleared: Record<string, GraphNode> = {};
  for (const { name, shape } of parameters) {
    const sum = accumulatedName(name);
    means.set(name, op.mul(op.state(sum, shape), share));
    cleared[sum] = op.broadcast(op.scalar(0), shape);
  }
  const still = new Map(frozen.map(({ name, shape }) => [name, op.state(name, shape)]));
  const { updates, gradientNorm } = moved(weights, means, options, still);
  return defineProgram({
    name: 'apply_accumulated',
    outputs: { gradient_norm: gradientNorm },
    updates: { ...updates, ...cleared },
  });
}

/** Gradients by weights and for outputs from one backward pass. */
function backward({ loss, weights, outputs, gradientOutputs = {} }: StepParts) {
  const names = [...weights.keys()];
  const extra = Object.entries(gradientOutputs);
  const grads = gradients(loss, [...weights.values(), ...extra.map(([, node]) => node)]);
  const wanted = extra.map(([name], i): [string, GraphNode] => [name, grads[names.length + i]]);
  return {
    byWeight: new Map(names.map((n, i) => [n, grads[i]])) as ReadonlyMap<string, GraphNode>,
    outputs: { ...outputs, ...Object.fromEntries(wanted) },
  };
}

/** Limits, optimiser and averages: the next values of everything that a step moves. */
function moved(
  weights: ReadonlyMap<string, GraphNode>,
  byWeight: ReadonlyMap<string, GraphNode>,
  options: OptimiserOptions,
  frozen: ReadonlyMap<string, GraphNode<'state'>> = new Map(),
) {
  for (const name of Object.keys(options.rateFactors ?? {})) {
    if (weights.has(name) || frozen.has(name)) continue;
    throw new PtychoError(
      'GRAPH_INVALID',
      `The learning rate of "${name}" has a factor, but no such parameter is trained: leave the factor out, or train it.`,
      { parameter: name },
    );
  }
  // Adam and the norm need the same squares; an engine would compute them twice.
  const squares = new Map<GraphNode, GraphNode>();
  const squareOf = (g: GraphNode) => {
    const square = squares.get(g) ?? op.square(g);
    squares.set(g, square);
    return square;
  };
  const gradientNorm = globalNorm(byWeight, squareOf);
  const updates = optimiserOf(options.kind).updates(
    {
      weights,
      gradients: clippedGradients(byWeight, weights, gradientNorm, squareOf, options.clip),
      learningRate: op.input('learning_rate', []),
      squareOf,
    },
    options,
  );
  if (options.averaging > 0) {
    const next = new Map<string, GraphNode>([
      ...[...weights.keys()].map((name) => [name, updates[name]] as const),
      ...frozen,
    ]);
    Object.assign(updates, averageUpdates(next, options.averaging));
  }
  return { updates, gradientNorm };
}
