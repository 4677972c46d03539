/**
 * Finds what in a program depends on the batch size, by comparing it with the same program built for another one.
 * A dimension that differs between the two follows the batch; everything else must be equal.
 */
import { PtychoError } from '../../core/errors.js';
import { formatShape, type Shape, sameShape } from '../../core/tensor.js';
import { type GraphNode, isOp } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';

/** Which dimensions of a program follow the batch. */
export interface BatchAxes {
  /** The shape with −1 where it follows the batch. */
  dims(node: GraphNode): readonly number[];
  /** The same node in the program of the other batch size; undefined when there is none. */
  twinOf<T extends GraphNode>(node: T): T | undefined;
  /** Where the batch size can be read at run time: an input's name and axis. */
  readonly source: { readonly input: string; readonly axis: number } | undefined;
  /** How many times the batch size a dimension is; undefined when it is no multiple. */
  multiple(node: GraphNode, axis: number): number | undefined;
}

/** Every dimension as it stands. */
const fixed: BatchAxes = {
  dims: (node) => node.shape,
  twinOf: () => undefined,
  source: undefined,
  multiple: () => 1,
};

/** Why a program cannot have a free batch axis. */
export function batchError(node: GraphNode, why: string): PtychoError {
  const label = node.label ? ` "${node.label}"` : '';
  return new PtychoError(
    'GRAPH_INVALID',
    `${node.op}${label} of result ${formatShape(node.shape)} cannot have a free batch axis: ${why}.`,
    { op: node.op, label: node.label, shape: node.shape },
  );
}

/**
 * Compares `program` with `twin`; without a twin every dimension is fixed.
 * @throws PtychoError GRAPH_INVALID where the two differ in more than dimensions.
 */
export function findBatchAxes(program: Program, twin: Program | undefined): BatchAxes {
  if (!twin) return fixed;
  if (twin.nodes.length !== program.nodes.length) {
    const counts = `${program.nodes.length} and ${twin.nodes.length}`;
    throw new PtychoError(
      'GRAPH_INVALID',
      `Program "${program.name}" and its twin have ${counts} nodes; they must be built the same way.`,
    );
  }
  const pairs = new Map<GraphNode, GraphNode>();
  program.nodes.forEach((node, i) => {
    pair(pairs, node, twin.nodes[i]);
  });
  for (const [name, node] of program.inputs) {
    const other = twin.inputs.get(name);
    if (!other) throw batchError(node, 'its twin has no such input');
    pair(pairs, node, other);
  }

  const other = (node: GraphNode): Shape => pairs.get(node)!.shape;
  const source = findSource(program, other);
  return {
    dims: (node) => node.shape.map((d, i) => (d === other(node)[i] ? d : -1)),
    twinOf: <T extends GraphNode>(node: T) => pairs.get(node) as T | undefined,
    source: source && { input: source.input, axis: source.axis },
    multiple: (node, axis) => {
      if (!source) return undefined;
      const k = node.shape[axis] / source.size;
      return Number.isInteger(k) && other(node)[axis] === k * source.otherSize ? k : undefined;
    },
  };
}

/** The smallest dimension of an input that follows the batch is the batch itself. */
function findSource(program: Program, other: (node: GraphNode) => Shape) {
  let found: { input: string; axis: number; size: number; otherSize: number } | undefined;
  for (const [input, node] of program.inputs) {
    node.shape.forEach((size, axis) => {
      const otherSize = other(node)[axis];
      if (size !== otherSize && (!found || size < found.size)) found = { input, axis, size, otherSize };
    });
  }
  return found;
}

function pair(pairs: Map<GraphNode, GraphNode>, node: GraphNode, twin: GraphNode): void {
  if (node.op !== twin.op || node.shape.length !== twin.shape.length || node.inputs.length !== twin.inputs.length) {
    throw batchError(node, `its twin is ${twin.op} of result ${formatShape(twin.shape)}`);
  }
  if (node.inputs.some((x, i) => pairs.get(x) !== twin.inputs[i]))
    throw batchError(node, 'its twin has other operands');
  if (isOp(node, 'constant') && isOp(twin, 'constant')) {
    const [a, b] = [node.attrs.data, twin.attrs.data];
    const same = sameShape(node.shape, twin.shape) && a.every((v, i) => Object.is(v, b[i]));
    if (!same) throw batchError(node, 'the constant depends on the batch size');
  } else if (!shapeAttrs.has(node.op) && JSON.stringify(node.attrs) !== JSON.stringify(twin.attrs)) {
    throw batchError(node, 'its attributes depend on the batch size');
  }
  if (isOp(node, 'state') && !sameShape(node.shape, twin.shape)) throw batchError(node, 'state keeps its shape');
  pairs.set(node, twin);
}

/** Ops whose attributes are shapes, which the lowering handles axis by axis. */
const shapeAttrs: ReadonlySet<string> = new Set(['reshape', 'slice', 'pad', 'broadcast']);
