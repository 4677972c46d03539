/**
 * Which nodes are computed in half precision, where that is asked for: convolutions, which are most of the work, and what lies between
 * them and only moves or compares values. Everything else, the heads and the physics, stays single.
 */
import type { GraphNode, OpName } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';
import { type Emitter, ONNX_FLOAT, ONNX_FLOAT16 } from './model.js';

/** Their images are taken in half precision; kernels and biases come in single and are converted once prepared. */
const CONVOLVING: ReadonlySet<OpName> = new Set<OpName>(['conv2d', 'transposedConv2d', 'upConv2d']);
/** Of half-precise values these make half-precise ones. */
const MOVING: ReadonlySet<OpName> = new Set<OpName>([
  'relu',
  'maxPool2',
  'upsampleNearest2',
  'concat',
  'slice',
  'pad',
  'reflectPad',
]);

/** Names of values in the precision that a user of them needs. */
export class Precisions {
  readonly #half: ReadonlySet<GraphNode>;
  readonly #names = new Map<GraphNode, string | (() => string)>();

  constructor(
    private readonly g: Emitter,
    program: Program,
    half: boolean,
  ) {
    this.#half = half ? halfNodes(program) : new Set();
  }

  isHalf(node: GraphNode): boolean {
    return this.#half.has(node);
  }

  /** Keeps the name of what `node` makes, in its own precision; or how it is made, for whom it is needed only by some. */
  set(node: GraphNode, name: string | (() => string)): void {
    this.#names.set(node, name);
  }

  /** The value in single precision. */
  single(node: GraphNode): string {
    const name = this.#name(node);
    return this.isHalf(node) ? this.g.op('Cast', [name], { to: ONNX_FLOAT }) : name;
  }

  /** What `node` is made of. */
  operands(node: GraphNode): string[] {
    if (!this.isHalf(node)) return node.inputs.map((x) => this.single(x));
    return node.inputs.map((x, i) => (CONVOLVING.has(node.op) && i > 0 ? this.single(x) : this.#lowered(x)));
  }

  #lowered(node: GraphNode): string {
    const name = this.#name(node);
    return this.isHalf(node) ? name : toHalf(this.g, name);
  }

  #name(node: GraphNode): string {
    const name = this.#names.get(node) as string | (() => string);
    return typeof name === 'string' ? name : name();
  }
}

/** A value in half precision. */
export function toHalf(g: Emitter, name: string): string {
  return g.op('Cast', [name], { to: ONNX_FLOAT16 });
}

function halfNodes(program: Program): Set<GraphNode> {
  const half = new Set<GraphNode>();
  for (const node of program.nodes) {
    if (CONVOLVING.has(node.op) || (MOVING.has(node.op) && node.inputs.every((x) => half.has(x)))) half.add(node);
  }
  return half;
}
