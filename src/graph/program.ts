/**
 * A program: what is fed, what stays, what comes out. Built once, run by any engine.
 *
 * @example
 * const p = defineProgram({ name: 'step', outputs: { loss }, updates: { w: sub(w, mul(dw, lr)) } });
 */
import { PtychoError } from '../core/errors.js';
import { formatShape, sameShape } from '../core/tensor.js';
import { type GraphNode, isOp, topologicalOrder } from './node.js';

/** A program: made by {@link defineProgram}, run by any engine. */
export interface Program {
  readonly name: string;
  /** Fed at every run, by name. */
  readonly inputs: ReadonlyMap<string, GraphNode<'input'>>;
  /** Read at every run, by name; stays on the device. */
  readonly state: ReadonlyMap<string, GraphNode<'state'>>;
  /** Comes back to the host at every run. */
  readonly outputs: ReadonlyMap<string, GraphNode>;
  /** The state's next values; state that is only read has none. */
  readonly updates: ReadonlyMap<string, GraphNode>;
  /** Every node that an output or update needs, operands first. */
  readonly nodes: readonly GraphNode[];
}

export interface ProgramParts {
  readonly name: string;
  readonly outputs: Readonly<Record<string, GraphNode>>;
  readonly updates?: Readonly<Record<string, GraphNode>>;
  /** Inputs to declare even where no output needs them (part of a published signature). */
  readonly inputs?: readonly GraphNode<'input'>[];
  /** State to declare even where nothing reads it: updates then keep results for another program. */
  readonly state?: readonly GraphNode<'state'>[];
}

/**
 * Gathers a program from its results; nodes that reach no result are dropped (an engine would run them).
 * @throws PtychoError GRAPH_INVALID when two leaves share a name or an update does not fit its state.
 */
export function defineProgram(parts: ProgramParts): Program {
  const outputs = new Map(Object.entries(parts.outputs));
  const updates = new Map(Object.entries(parts.updates ?? {}));
  const nodes = topologicalOrder([...outputs.values(), ...updates.values()]);
  const inputs = new Map<string, GraphNode<'input'>>();
  const state = new Map<string, GraphNode<'state'>>();
  const register = <T extends GraphNode>(map: Map<string, T>, name: string, node: T) => {
    const other = map.get(name);
    if (other && other !== node) invalid(parts.name, `two different leaves are called "${name}"`);
    map.set(name, node);
  };
  for (const n of parts.inputs ?? []) register(inputs, n.attrs.name, n);
  for (const n of parts.state ?? []) register(state, n.attrs.name, n);
  for (const n of nodes) {
    if (isOp(n, 'input')) register(inputs, n.attrs.name, n);
    if (isOp(n, 'state')) register(state, n.attrs.name, n);
  }
  for (const [name, next] of updates) {
    const current = state.get(name);
    if (!current) invalid(parts.name, `the update "${name}" belongs to no state`);
    if (!sameShape(current.shape, next.shape)) {
      invalid(
        parts.name,
        `the update "${name}" has shape ${formatShape(next.shape)}, its state ${formatShape(current.shape)}`,
      );
    }
  }
  return { name: parts.name, inputs, state, outputs, updates, nodes };
}

function invalid(program: string, why: string): never {
  throw new PtychoError('GRAPH_INVALID', `Program "${program}": ${why}.`, { program });
}
