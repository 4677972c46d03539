/**
 * Runs a program node by node. Every value is freed after its last user, so that memory holds what a step needs and
 * nothing of the step before.
 */
import { messageOf } from '../../core/errors.js';
import type { Shape, Tensor } from '../../core/tensor.js';
import type { OpName } from '../../graph/node.js';
import type { Arrays } from '../worker/host.js';
import type { Kernels } from './kernels/kernels.js';
import { lower, type NodePlan } from './lower.js';
import type { FlatNode, FlatProgram } from './protocol.js';
import { Value } from './value.js';

/** State by name. */
export type StateValues = Map<string, Value>;

interface Step extends NodePlan {
  /** Positions of the values that no later node needs. */
  readonly frees: readonly number[];
  /** For a relu that its operand has done already: that operand. */
  readonly doneBy: number | undefined;
}

export class Executor {
  readonly #kernels: Kernels;
  readonly #program: FlatProgram;
  readonly #steps: readonly Step[];
  /** Uploaded once, with whatever is made of them; by position. */
  readonly #constants = new Map<number, Value>();

  constructor(kernels: Kernels, program: FlatProgram) {
    this.#kernels = kernels;
    this.#program = program;
    this.#steps = planOf(program);
    program.nodes.forEach((node, i) => {
      if (isFlat(node, 'constant')) this.#constants.set(i, upload(kernels, node.attrs.data, node.shape));
    });
  }

  /** Runs once; the state gets its next values only when everything went well. */
  async run(feeds: Arrays, state: StateValues): Promise<Arrays> {
    const { nodes, outputs, updates } = this.#program;
    const values = new Array<Value | undefined>(nodes.length);
    const next: [name: string, value: Value][] = [];
    try {
      this.#steps.forEach((step, i) => {
        values[i] = this.#valueOf(i, step, values, feeds, state);
        for (const at of step.frees) {
          values[at]!.dispose();
          values[at] = undefined;
        }
      });
      for (const [name, at] of Object.entries(updates)) next.push([name, values[at]!.share()]);
      const names = Object.keys(outputs);
      const results = await Promise.all(names.map((name) => download(values[outputs[name]]!)));
      for (const [name, value] of next.splice(0)) {
        state.get(name)!.dispose();
        state.set(name, value);
      }
      return Object.fromEntries(names.map((name, i) => [name, results[i]]));
    } finally {
      for (const [, value] of next) value.dispose();
      values.forEach((value, i) => {
        const { op } = nodes[i];
        if (op === 'state') value?.settle();
        else if (op !== 'constant') value?.dispose();
      });
    }
  }

  dispose(): void {
    for (const value of this.#constants.values()) value.dispose();
    this.#constants.clear();
  }

  #valueOf(i: number, step: Step, values: (Value | undefined)[], feeds: Arrays, state: StateValues): Value | undefined {
    const { node, doneBy } = step;
    if (isFlat(node, 'constant')) return this.#constants.get(i);
    if (isFlat(node, 'state')) return state.get(node.attrs.name);
    if (isFlat(node, 'input')) return upload(this.#kernels, feeds[node.attrs.name], node.shape);
    if (doneBy !== undefined) {
      const value = values[doneBy];
      values[doneBy] = undefined;
      return value;
    }
    const operands = node.inputs.map((at) => values[at]!);
    try {
      let result: Value | undefined;
      this.#kernels.tf.tidy(() => {
        result = lower(step, operands, this.#kernels);
      });
      return result;
    } catch (error) {
      const shapes = operands.map((x) => `[${x.shape}]`).join(', ');
      const label = node.label ? ` "${node.label}"` : '';
      throw new Error(`${node.op}${label} of ${shapes}: ${messageOf(error)}`, { cause: error });
    }
  }
}

function isFlat<O extends OpName>(node: FlatNode, op: O): node is FlatNode<O> {
  return node.op === op;
}

/** A host array as a value of the engine. */
export function upload(kernels: Kernels, data: Float32Array, shape: Shape): Value {
  return new Value(kernels, shape, kernels.tf.tensor(data, [...shape], 'float32'));
}

/** A value as a host array of its own: an engine may hand out the array that it goes on using. */
export async function download(value: Value): Promise<Tensor['data'] & Float32Array<ArrayBuffer>> {
  return Float32Array.from(await value.get().data<'float32'>());
}

function planOf({ nodes, outputs, updates }: FlatProgram): Step[] {
  const users = nodes.map((): number[] => []);
  nodes.forEach((node, i) => {
    for (const at of node.inputs) users[at].push(i);
  });
  const results = new Set([...Object.values(outputs), ...Object.values(updates)]);
  const does = (node: FlatNode) => node.op === 'conv2d' || node.op === 'upConv2d';
  const doneBy = nodes.map((node) => {
    const [at] = node.inputs;
    const alone = node.op === 'relu' && does(nodes[at]) && users[at].length === 1 && !results.has(at);
    return alone ? at : undefined;
  });
  const stays = (at: number) => results.has(at) || nodes[at].op === 'constant' || nodes[at].op === 'state';
  return nodes.map((node, i) => ({
    node,
    relu: users[i].length === 1 && doneBy[users[i][0]] === i,
    doneBy: doneBy[i],
    frees:
      doneBy[i] !== undefined
        ? []
        : [...new Set(node.inputs)].filter((at) => !stays(at) && users[at][users[at].length - 1] === i),
  }));
}
