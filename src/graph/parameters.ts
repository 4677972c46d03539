/**
 * Parameters: declared while a network is built, initialised from a seed, named for files.
 *
 * @example
 * const scope = new ParameterScope();
 * const w = scope.parameter('encoder.0.conv1.weight', [64, 1, 3, 3], 'glorot_uniform');
 * const weights = initialWeights(scope.specs, 0);
 */
import { PtychoError } from '../core/errors.js';
import { LegacyRng } from '../core/rng.js';
import { type Shape, sizeOf, type Tensor } from '../core/tensor.js';
import type { GraphNode } from './node.js';
import { state } from './ops.js';

/** How a parameter starts: Glorot-uniform kernel, drawn evenly from ±limit or normally with a deviation, one value everywhere, or these values. */
export type Initialiser =
  | 'glorot_uniform'
  | { readonly limit: number }
  | { readonly deviation: number }
  | number
  | Float32Array;

export interface ParameterSpec {
  readonly name: string;
  readonly shape: Shape;
  readonly init: Initialiser;
  /** Kept with the weights, but no step moves it. */
  readonly fixed?: boolean;
  /** A mean over the batches of the training, kept with the weights: steps move it, but not along a gradient. Always `fixed`, too. */
  readonly statistic?: boolean;
}

/** Hands out state nodes and remembers what was asked for, in order. */
export class ParameterScope {
  readonly #nodes = new Map<string, { spec: ParameterSpec; node: GraphNode<'state'> }>();
  readonly #next = new Map<string, GraphNode>();

  /**
   * @param stateName where the value of a trained parameter is kept: its name, or that of its average
   * @param training the network is built for a step of training: layers with statistics take those of the batch, and move theirs
   */
  constructor(
    private readonly stateName: (name: string) => string = (name) => name,
    readonly training = false,
  ) {}

  /** The node of a new parameter; asking twice for one name is a mistake in the network. */
  parameter(name: string, shape: Shape, init: Initialiser, fixed = false): GraphNode<'state'> {
    return this.#declared({ name, shape, init, ...(fixed ? { fixed } : {}) });
  }

  /**
   * The node of a new statistic.
   * @param next its value after a step of training
   */
  statistic(
    name: string,
    shape: Shape,
    init: number,
    next: (before: GraphNode<'state'>) => GraphNode,
  ): GraphNode<'state'> {
    const node = this.#declared({ name, shape, init, fixed: true, statistic: true });
    if (this.training) this.#next.set(name, next(node));
    return node;
  }

  #declared(spec: ParameterSpec): GraphNode<'state'> {
    const { name, shape, fixed } = spec;
    if (this.#nodes.has(name))
      throw new PtychoError('GRAPH_INVALID', `The parameter "${name}" is declared twice.`, { name });
    const node = state(fixed ? name : this.stateName(name), shape);
    this.#nodes.set(name, { spec, node });
    return node;
  }

  get specs(): ParameterSpec[] {
    return [...this.#nodes.values()].map((p) => p.spec);
  }

  /** The next values of statistics, by name; empty unless built for training. */
  get updates(): ReadonlyMap<string, GraphNode> {
    return this.#next;
  }

  /** What a step moves: every parameter that is not fixed. */
  get nodes(): ReadonlyMap<string, GraphNode<'state'>> {
    return new Map([...this.#nodes].filter(([, p]) => !p.spec.fixed).map(([name, p]) => [name, p.node]));
  }
}

/** Fan-in plus fan-out of a kernel [out, in, k, k] or a matrix [out, in]. */
function fans(shape: Shape): number {
  const receptive = sizeOf(shape.slice(2));
  return (shape[0] + shape[1]) * receptive;
}

/**
 * Initial values: Glorot uniform U(±√(6/(fan_in+fan_out))), other draws, or given values; the same seed gives the
 * same bytes. Parameters draw in order of declaration.
 * Source: Glorot & Bengio, AISTATS 2010.
 */
export function initialWeights(specs: readonly ParameterSpec[], seed: number): Record<string, Tensor> {
  const rng = new LegacyRng(seed);
  const weights: Record<string, Tensor> = {};
  for (const { name, shape, init } of specs) {
    const data = new Float32Array(sizeOf(shape));
    if (init === 'glorot_uniform') {
      const limit = Math.sqrt(6 / fans(shape));
      for (let i = 0; i < data.length; i++) data[i] = rng.uniform(-limit, limit);
    } else if (typeof init === 'number') {
      data.fill(init);
    } else if (init instanceof Float32Array) {
      data.set(init);
    } else if ('limit' in init) {
      for (let i = 0; i < data.length; i++) data[i] = rng.uniform(-init.limit, init.limit);
    } else {
      for (let i = 0; i < data.length; i++) data[i] = rng.normal(0, init.deviation);
    }
    weights[name] = { data, shape };
  }
  return weights;
}
