/**
 * Program → ONNX bytes (opset 18, IR version 8).
 *
 * @example
 * const training = encodeOnnx(step);
 * const inference = encodeOnnx(predict, { constants: weights, twin: predictOfAnotherBatchSize });
 */
import { PtychoError } from '../../core/errors.js';
import { formatShape, sameShape, sizeOf, type Tensor } from '../../core/tensor.js';
import { type GraphNode, isOp, type OpName } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';
import { type BatchAxes, findBatchAxes } from './batch.js';
import { lowerBlocked } from './blocked.js';
import { BlockedValues } from './blockedValues.js';
import { Precisions, toHalf } from './half.js';
import { imageLowerings } from './images.js';
import { elementLowerings, type LowerContext, type Lowering, type LoweringTable, shapeLowerings } from './lowering.js';
import { Emitter, encodeModel, type OnnxValue } from './model.js';
import type { Taken } from './pays.js';

/** What the graph calls the present value of a state (an input). */
export const stateInputName = (name: string): string => `state:${name}`;
/** What the graph calls the next value of a state (an output). */
export const stateOutputName = (name: string): string => `next:${name}`;

export interface EncodeOptions {
  /** State values that become part of the model, as initialisers under their own names. */
  readonly constants?: Readonly<Record<string, Tensor>>;
  /**
   * State values that lie in another file: initialisers under their own names that point there.
   * `location` is a bare file name beside the model; offsets and lengths are in bytes, float32 little endian.
   */
  readonly externalData?: {
    readonly location: string;
    readonly entries: ReadonlyMap<string, { readonly offset: number; readonly length: number }>;
  };
  /**
   * The same program built for another batch size (both larger than 1). Dimensions that differ become free: the batch
   * size itself is called `batch`, a k-fold of it `batch_xk`, anything else by value and axis.
   */
  readonly twin?: Program;
  /** Operators of ONNX that the engine has no kernel for on its device, or no exact one; others take their place where there are any. */
  readonly lacking?: ReadonlySet<string>;
  /** Convolutions in half precision; for programs without gradients. */
  readonly half?: boolean;
  /** Channels in a block of the engine's own layout (`blocked.ts`), for engines that have one; not with `twin`, nor in files. */
  readonly blocks?: number;
  /** Where blocks, and tiles in them, are taken; where they pay, if not given. */
  readonly taken?: Taken;
}

type LeafOp = 'constant' | 'input' | 'state';

const lowerings: LoweringTable<Exclude<OpName, LeafOp>> = { ...elementLowerings, ...shapeLowerings, ...imageLowerings };

/**
 * Encodes a program. Inputs and outputs keep their names; state that is neither constant nor external goes in as
 * `state:NAME` and its update comes out as `next:NAME`.
 *
 * @throws PtychoError GRAPH_INVALID when names collide, an update belongs to a constant or the batch axis cannot be free;
 * GRAPH_SHAPE when a constant or external value does not fit its state.
 */
export function encodeOnnx(program: Program, options: EncodeOptions = {}): Uint8Array<ArrayBuffer> {
  checkNames(program, options);
  const g = new Emitter();
  const batch = findBatchAxes(program, options.twin);
  const lacks = (operator: string) => options.lacking?.has(operator) === true;
  const single: LowerContext = { g, batch, lacks, asTaken: (x) => x, isImplicit: implicitBroadcasts(program) };
  const half: LowerContext = { ...single, asTaken: (x) => toHalf(g, x) };

  const names = new Precisions(g, program, options.half ?? false);
  const constant = (node: GraphNode) =>
    isOp(node, 'constant') || (isOp(node, 'state') && builtIn(node, options) !== undefined);
  const { blocks: size, taken } = options;
  const blocked = size === undefined ? undefined : new BlockedValues(program, names, single, { size, constant, taken });
  const inputs: OnnxValue[] = [];
  for (const [name, node] of program.inputs) {
    inputs.push({ name, dims: namedDims(name, node, batch) });
    names.set(node, name);
  }
  for (const [name, node] of program.state) {
    const built = builtIn(node, options);
    if (built) names.set(node, g.weight(name, node.shape, built));
    else {
      inputs.push({ name: stateInputName(name), dims: [...node.shape] });
      names.set(node, stateInputName(name));
    }
  }
  for (const node of program.nodes) {
    if (isOp(node, 'input') || isOp(node, 'state')) continue;
    g.label = node.label ?? '';
    if (blocked && lowerBlocked(node, blocked)) continue;
    names.set(node, lower(node, names.operands(node), names.isHalf(node) ? half : single));
  }

  const outputs: OnnxValue[] = [];
  for (const [name, node] of program.outputs) {
    g.publish(names.single(node), name);
    outputs.push({ name, dims: namedDims(name, node, batch) });
  }
  for (const [name, node] of program.updates) {
    g.publish(names.single(node), stateOutputName(name));
    outputs.push({ name: stateOutputName(name), dims: [...node.shape] });
  }
  return encodeModel({ graph: program.name, ...g.finish(), inputs, outputs });
}

/** A model that copies `x` to `y`, of any lengths along `axes` axes: for taking values from one memory to another. */
export function encodeCopy(axes: number): Uint8Array<ArrayBuffer> {
  const dims = Array.from({ length: axes }, (_, i) => `d${i}`);
  return encodeModel({
    graph: 'copy',
    nodes: [{ op: 'Identity', name: 'copy', inputs: ['x'], outputs: ['y'], attributes: {} }],
    initializers: [],
    inputs: [{ name: 'x', dims }],
    outputs: [{ name: 'y', dims }],
  });
}

function lower(node: GraphNode, operands: readonly string[], ctx: LowerContext): string {
  if (isOp(node, 'constant')) return ctx.g.floats(node.attrs.data, node.shape);
  const rule = lowerings[node.op as Exclude<OpName, LeafOp>] as Lowering<OpName>;
  return rule(node, operands, ctx);
}

/** The value of a state that is part of the model, if it is. */
function builtIn(node: GraphNode<'state'>, { constants, externalData }: EncodeOptions) {
  const { name } = node.attrs;
  const entry = externalData?.entries.get(name);
  if (externalData && entry) {
    const expected = 4 * sizeOf(node.shape);
    if (entry.length !== expected) {
      throw new PtychoError(
        'GRAPH_SHAPE',
        `The external value of "${name}" has ${entry.length} bytes, its shape ${formatShape(node.shape)} needs ${expected}.`,
        { state: name, found: entry.length, expected },
      );
    }
    return { location: externalData.location, offset: entry.offset, length: entry.length };
  }
  const given = constants && Object.hasOwn(constants, name) ? constants[name] : undefined;
  if (given && !(sameShape(given.shape, node.shape) && given.data.length === sizeOf(node.shape))) {
    throw new PtychoError(
      'GRAPH_SHAPE',
      `The constant value of "${name}" has shape ${formatShape(given.shape)}, the program needs ${formatShape(node.shape)}.`,
      { state: name, found: given.shape, expected: node.shape },
    );
  }
  return given?.data;
}

function checkNames(program: Program, { constants, externalData }: EncodeOptions): void {
  const isBuiltIn = (name: string) =>
    (constants !== undefined && Object.hasOwn(constants, name)) || externalData?.entries.has(name) === true;
  const seen = new Set<string>();
  const take = (name: string) => {
    if (seen.has(name)) invalid(program, `two values are called "${name}"`);
    if (name === '' || name.includes('#')) invalid(program, `"${name}" cannot name a value: it is empty or has a '#'`);
    seen.add(name);
  };
  for (const name of program.inputs.keys()) take(name);
  for (const name of program.state.keys()) take(isBuiltIn(name) ? name : stateInputName(name));
  for (const name of program.outputs.keys()) take(name);
  for (const name of program.updates.keys()) {
    if (isBuiltIn(name)) invalid(program, `the state "${name}" is constant and cannot have an update`);
    take(stateOutputName(name));
  }
}

function invalid(program: Program, why: string): never {
  throw new PtychoError('GRAPH_INVALID', `Program "${program.name}" cannot be encoded: ${why}.`, {
    program: program.name,
  });
}

function namedDims(name: string, node: GraphNode, batch: BatchAxes): (number | string)[] {
  return batch.dims(node).map((d, axis) => {
    if (d !== -1) return d;
    const k = batch.multiple(node, axis);
    if (k === undefined) return `${name}_${axis}`;
    return k === 1 ? 'batch' : `batch_x${k}`;
  });
}

const elementwise: ReadonlySet<OpName> = new Set(['add', 'sub', 'mul', 'div', 'equal']);

/**
 * Finds the broadcasts that need not happen: every user combines them, element by element, with an operand that
 * already has the full shape. (Expand costs more than the arithmetic around it.)
 */
function implicitBroadcasts(program: Program): (node: GraphNode<'broadcast'>) => boolean {
  const users = new Map<GraphNode, GraphNode[]>();
  for (const node of program.nodes) {
    for (const x of node.inputs) users.set(x, [...(users.get(x) ?? []), node]);
  }
  const published = new Set([...program.outputs.values(), ...program.updates.values()]);
  const implicit = new Set<GraphNode>();
  for (const node of program.nodes) {
    if (!isOp(node, 'broadcast') || published.has(node)) continue;
    const free = (users.get(node) ?? []).every((user) => {
      const other = user.inputs.find((x) => x !== node);
      return elementwise.has(user.op) && other && !implicit.has(other) && sameShape(other.shape, user.shape);
    });
    if (free) implicit.add(node);
  }
  return (node) => implicit.has(node);
}
