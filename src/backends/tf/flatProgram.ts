/**
 * A program as a list that can be sent to a worker: structured cloning follows references one inside the other, and
 * programs are deeper than the call stack is.
 */
import type { Shape } from '../../core/tensor.js';
import { type GraphNode, isOp, type OpAttrs, type OpName } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';

/** A node whose operands are positions in the list. */
export interface FlatNode<O extends OpName = OpName> {
  readonly op: O;
  readonly inputs: readonly number[];
  readonly attrs: OpAttrs[O];
  readonly shape: Shape;
  readonly label?: string;
}

export interface FlatProgram {
  readonly name: string;
  /** Operands before users. */
  readonly nodes: readonly FlatNode[];
  /** Positions of the results by name. */
  readonly outputs: Readonly<Record<string, number>>;
  readonly updates: Readonly<Record<string, number>>;
}

/** Flattens a program; state that `constants` names becomes constant. */
export function flattenProgram(
  program: Program,
  constants: Readonly<Record<string, { readonly data: Float32Array }>> = {},
): FlatProgram {
  const positions = new Map<GraphNode, number>();
  const nodes = program.nodes.map((node, i): FlatNode => {
    positions.set(node, i);
    const { op, attrs, shape, label } = node;
    const inputs = node.inputs.map((x) => positions.get(x)!);
    if (isOp(node, 'state') && Object.hasOwn(constants, node.attrs.name)) {
      return { op: 'constant', inputs, attrs: { data: alone(constants[node.attrs.name].data) }, shape, label };
    }
    if (isOp(node, 'constant')) return { op, inputs, attrs: { data: alone(node.attrs.data) }, shape, label };
    return { op, inputs, attrs, shape, label };
  });
  const at = (results: ReadonlyMap<string, GraphNode>) =>
    Object.fromEntries([...results].map(([name, node]) => [name, positions.get(node)!]));
  return { name: program.name, nodes, outputs: at(program.outputs), updates: at(program.updates) };
}

/** A view into a larger array would be sent with all of it. */
function alone(data: Float32Array): Float32Array {
  return data.byteLength === data.buffer.byteLength ? data : data.slice();
}
