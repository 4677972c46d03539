/** What a lowering is: the ONNX form of one op of the table in `src/graph/node.ts`. */
import type { GraphNode, OpName } from '../../graph/node.js';
import type { BatchAxes } from './batch.js';
import type { Emitter } from './emitter.js';

export interface LowerContext {
  readonly g: Emitter;
  readonly batch: BatchAxes;
  /** True for a broadcast that every user makes by itself, so that nothing needs to be expanded. */
  readonly isImplicit: (node: GraphNode<'broadcast'>) => boolean;
}

/** (node, names of its operands, context) → name of its result. */
export type Lowering<O extends OpName> = (node: GraphNode<O>, x: readonly string[], ctx: LowerContext) => string;

/** Lowerings of some ops, each typed by its op's attributes. */
export type LoweringTable<O extends OpName> = { readonly [K in O]: Lowering<K> };
