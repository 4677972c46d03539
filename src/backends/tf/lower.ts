/** How an op of the table in `src/graph/node.ts` is run by TensorFlow.js: one entry each, in three files. */
import type { OpName } from '../../graph/node.js';
import type { FlatNode } from './flatProgram.js';
import type { Kernels } from './kernels/kernels.js';
import { elementLowerings } from './lowerElements.js';
import { imageLowerings } from './lowerImages.js';
import { shapeLowerings } from './lowerShapes.js';
import type { Value } from './value.js';

/** What a node is besides its entry in the table. */
export interface NodePlan<O extends OpName = OpName> {
  readonly node: FlatNode<O>;
  /** True when the node's only user is a relu, which it then does as well. */
  readonly relu: boolean;
}

/** (plan, operands, kernels) → result. Operands stay the caller's; the result owns its tensors. */
export type Lowering<O extends OpName> = (plan: NodePlan<O>, x: readonly Value[], kernels: Kernels) => Value;

/** Lowerings of some ops, each typed by its op's attributes. */
export type LoweringTable<O extends OpName> = { readonly [K in O]: Lowering<K> };

export type LoweredOp = Exclude<OpName, 'constant' | 'input' | 'state'>;

const table: LoweringTable<LoweredOp> = { ...elementLowerings, ...shapeLowerings, ...imageLowerings };

/** Runs one node. */
export function lower(plan: NodePlan, operands: readonly Value[], kernels: Kernels): Value {
  const lowering = table[plan.node.op as LoweredOp] as Lowering<OpName>;
  return lowering(plan, operands, kernels);
}
