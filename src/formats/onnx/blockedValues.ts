/**
 * Values of a program in blocks of channels, [B, C/s, H, W, s], and the operators of the engine's own domain (`com.microsoft.nchwc`) that make
 * them. Values in blocks keep the shape [B, C, H, W] by name; what works element by element takes them as they are, and what moves whole
 * rows or blocks of channels sees [B, C/s, H, W, s]. A value that is wanted in the plain layout is made so once, where it is asked for.
 *
 * @example
 * values.keep(node, values.conv(values.of(image), arranged, frame([3, 1, 1]), { relu: true }));
 */
import type { Shape } from '../../core/tensor.js';
import { type GraphNode, isOp } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';
import type { Precisions } from './half.js';
import type { LowerContext } from './lowering.js';
import { BLOCKED_DOMAIN, type Emitter } from './model.js';
import { fitsBlocks, type IsConstant, type Layout, type Taken } from './pays.js';

type Attributes = Readonly<Record<string, number | string | readonly number[]>>;

/** What a convolution does besides. */
export interface Finish {
  readonly bias?: readonly string[];
  readonly relu?: boolean;
}

/** {@link Finish}, and the value that then comes of it. */
export interface Finished extends Finish {
  readonly last: GraphNode;
  /** Keeps the name for the ReLU, too. */
  readonly keepRelu: (name: string | undefined) => string | undefined;
}

/** Geometry of a convolution: side of the kernel, zeros around the image, stride. */
export type Geometry = readonly [kernel: number, zeros: number, stride: number];

export const frame = ([kernel, zeros, stride]: Geometry) => ({
  kernel_shape: [kernel, kernel],
  pads: [zeros, zeros, zeros, zeros],
  strides: [stride, stride],
  dilations: [1, 1],
  group: 1,
});

export class BlockedValues implements Layout {
  readonly #g: Emitter;
  readonly #names: Precisions;
  readonly #size: number;
  readonly constant: IsConstant;
  readonly taken: Taken | undefined;
  readonly #ctx: LowerContext;
  /** Values that are there in blocks. */
  readonly #blocks = new Map<GraphNode, string>();
  /** Values that are made within another, which alone is wanted. */
  readonly #within = new Set<GraphNode>();
  readonly #users = new Map<GraphNode, GraphNode[]>();
  readonly #published: ReadonlySet<GraphNode>;

  constructor(program: Program, names: Precisions, ctx: LowerContext, { size, constant, taken }: Layout) {
    this.constant = constant;
    this.taken = taken;
    this.#g = ctx.g;
    this.#ctx = ctx;
    this.#names = names;
    this.#size = size;
    for (const node of program.nodes) {
      for (const x of node.inputs) this.#users.set(x, [...(this.#users.get(x) ?? []), node]);
    }
    this.#published = new Set([...program.outputs.values(), ...program.updates.values()]);
  }

  /** Whether a value is there in blocks, or made within another that is. */
  done(node: GraphNode): boolean {
    return this.#blocks.has(node) || this.#within.has(node);
  }

  /** Keeps a plain value. */
  keepPlain(node: GraphNode, name: string): void {
    this.#names.set(node, name);
  }

  keep(node: GraphNode, name: string): void {
    this.#blocks.set(node, name);
    this.#names.set(node, () => this.own('ReorderOutput', [name], { channels: node.shape[1] }));
  }

  /** Says that nobody will ask for this value. */
  within(node: GraphNode): void {
    this.#within.add(node);
  }

  get g(): Emitter {
    return this.#g;
  }

  get size(): number {
    return this.#size;
  }

  get ctx(): LowerContext {
    return this.#ctx;
  }

  plain(node: GraphNode): string {
    return this.#names.single(node);
  }

  /** The only user of a value that nobody else sees. */
  onlyUser(node: GraphNode): GraphNode | undefined {
    const users = this.#users.get(node) ?? [];
    return users.length === 1 && !this.#published.has(node) ? users[0] : undefined;
  }

  has(node: GraphNode): boolean {
    return this.#blocks.has(node);
  }

  fits(shape: Shape): boolean {
    return fitsBlocks(shape, this.#size);
  }

  /** The value in blocks, rearranged if need be. */
  of(node: GraphNode): string {
    return this.#blocks.get(node) ?? this.own('ReorderInput', [this.plain(node)]);
  }

  /** An operator of the engine's own domain. */
  own(op: string, inputs: readonly string[], attributes: Attributes = {}) {
    return this.#g.op(op, inputs, attributes, BLOCKED_DOMAIN);
  }

  /** As [B, C/s, H, W, s]. */
  open(name: string, [b, c, h, w]: Shape): string {
    return this.#g.reshape(name, [b, c / this.#size, h, w, this.#size]);
  }

  /** Back from {@link open}. */
  shut(name: string, shape: Shape): string {
    return this.#g.reshape(name, shape);
  }

  /**
   * A convolution with a plain kernel [Co, Ci, k, k]; undefined where channels do not come in whole blocks. Images of less than a block of
   * channels are taken plain, so they may be given by name.
   */
  convolved(
    image: GraphNode | string,
    kernel: string,
    [co, ci]: readonly [co: number, ci: number],
    geometry: Geometry,
    more: Finish = {},
  ): string | undefined {
    const s = this.#size;
    const whole = ci % s === 0;
    if (co % s !== 0 || !(whole || ci < s) || (whole && typeof image === 'string')) return undefined;
    const [k] = geometry;
    const given = typeof image === 'string' ? image : whole ? this.of(image) : this.plain(image);
    return this.conv(given, this.#arranged(kernel, [co, ci, k]), frame(geometry), more);
  }

  /** A kernel [Co, Ci, k, k] as [Co/s, Ci/s, k, k, s in, s out], or [Co/s, Ci, k, k, s out]: a transposition of matrices and a move of rows. */
  #arranged(kernel: string, [co, ci, k]: readonly [co: number, ci: number, k: number]): string {
    const s = this.#size;
    const g = this.#g;
    const outInwards = g.transpose(g.reshape(kernel, [co / s, s, ci * k * k]), [0, 2, 1]);
    if (ci < s || k === 1) return g.reshape(outInwards, [co, ci, k, k]);
    const taps = g.transpose(g.reshape(outInwards, [(co * ci) / s ** 2, s, k * k, s]), [0, 2, 1, 3]);
    return g.reshape(taps, [co, ci, k, k]);
  }

  /** A convolution with a kernel that is arranged already. */
  conv(image: string, kernel: string, attributes: Attributes, { bias = [], relu = false }: Finish): string {
    return this.own('Conv', [image, kernel, ...bias], { ...attributes, ...(relu ? { activation: 'Relu' } : {}) });
  }

  /** Bias of a convolution, and whether its only user is a ReLU, which is then done with it. */
  finish(node: GraphNode): Finished {
    const bias = node.inputs[2];
    const user = this.onlyUser(node);
    const relu = user !== undefined && isOp(user, 'relu') ? user : undefined;
    return {
      bias: bias ? [this.plain(bias)] : [],
      relu: relu !== undefined,
      last: relu ?? node,
      keepRelu: (name) => {
        if (name !== undefined && relu) this.keep(relu, name);
        return name;
      },
    };
  }
}
