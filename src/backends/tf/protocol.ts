/**
 * What the TensorFlow.js backend and its worker say to each other beyond what every backend does. Programs go over as lists: structured
 * cloning follows references one inside the other, and programs are deeper than the call stack is.
 */
import { TFJS_ENGINES } from '../../config/schema.js';
import type { Shape } from '../../core/tensor.js';
import { type GraphNode, isOp, type OpAttrs, type OpName } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';
import type { Accelerator, SkippedEngine } from '../backend.js';
import type { EngineCalls } from '../worker/host.js';

/** TensorFlow.js engines, the better ones first. */
export const ENGINE_NAMES = TFJS_ENGINES;
export type EngineName = (typeof TFJS_ENGINES)[number];

/** Why tfjs-node-gpu is no GPU engine everywhere: it loads without one. */
export const NO_DEVICE = 'it found no CUDA device and runs on the CPU';

export interface EngineWish {
  /** This engine or an error; null: the best that works here. */
  readonly engine: EngineName | null;
  readonly accelerator: Accelerator;
  /** Null: the engine's default (wasm: one). */
  readonly threads: number | null;
}

/** What really runs. */
export interface EngineReport {
  readonly engine: EngineName;
  /** Package and version. */
  readonly version: string;
  readonly device: 'cpu' | 'cuda';
  readonly threads: number;
  readonly skipped: readonly SkippedEngine[];
}

/** What the worker can be asked. */
export interface TfCalls extends EngineCalls {
  /** Finds and loads an engine. */
  open(wish: EngineWish): Promise<EngineReport>;
  compile(program: FlatProgram): Promise<number>;
}

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
