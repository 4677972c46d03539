/**
 * Nodes of the tensor program: `{op, inputs, attrs, shape}`, float32, static shapes.
 *
 * Every op is an entry of {@link OpAttrs}: its name and what it needs besides its operands. Shape rules and builders are
 * in `ops.ts`, gradient rules in `gradients.ts`; each engine lowers the same table in a folder of its own.
 */
import type { Shape } from '../core/tensor.js';

type None = Readonly<Record<never, never>>;

/** The op table: name → attributes. All operands and results are float32. */
export interface OpAttrs {
  /** A value known when the program is built. */
  constant: { readonly data: Float32Array };
  /** A value fed at every run. */
  input: { readonly name: string };
  /** A value that stays on the device between runs (weights, moments). */
  state: { readonly name: string };

  // element by element; two operands broadcast as in NumPy
  add: None;
  sub: None;
  mul: None;
  div: None;
  /** 1 where both operands are equal, else 0. */
  equal: None;
  neg: None;
  abs: None;
  sign: None;
  exp: None;
  log: None;
  /** log(1 + x). */
  log1p: None;
  sqrt: None;
  square: None;
  sin: None;
  cos: None;
  sigmoid: None;
  tanh: None;
  atan: None;
  relu: None;
  /** x·sigmoid(x), also called swish. */
  silu: None;
  /** log(1 + exp x). */
  softplus: None;
  /** x·Φ(x), Φ the distribution function of the normal distribution: exact, no approximation by tanh. */
  gelu: None;
  /** (dy, x) → dy·(Φ(x) + x·Φ′(x)). */
  geluGrad: None;
  /** max(0, 1 − |z|): the kernel of linear interpolation. */
  hat: None;
  /** Heaviside step with step(0) = ½. */
  step: None;
  /** max(x, value). */
  maximum: { readonly value: number };
  /** min(x, value). */
  minimum: { readonly value: number };
  /** 1 where x > value, else 0. */
  greater: { readonly value: number };
  /** (dy, y = relu x) → dy where y > 0, else 0. */
  reluGrad: None;

  /** (…, m, k) × (…, k, n); leading axes broadcast. */
  matmul: None;
  transpose: { readonly perm: readonly number[] };
  reshape: { readonly shape: Shape };
  concat: { readonly axis: number };
  slice: { readonly start: readonly number[]; readonly size: readonly number[] };
  /** Zeros before and after, per axis. */
  pad: { readonly before: readonly number[]; readonly after: readonly number[] };
  /** Images mirrored about their outermost pixels, which are not repeated: [B,C,H,W] → [B,C,H+2·size,W+2·size]. */
  reflectPad: { readonly size: number };
  broadcast: { readonly shape: Shape };
  reduceSum: { readonly axes: readonly number[]; readonly keepDims: boolean };
  reduceMean: { readonly axes: readonly number[]; readonly keepDims: boolean };
  reduceMax: { readonly axes: readonly number[]; readonly keepDims: boolean };

  /**
   * (x [B,Ci,H,W], w [Co,Ci,k,k], bias [Co]?) → [B,Co,H′,W′], H′ = H + 2·padding − k + 1: cross-correlation, stride 1, with `padding`
   * zeros on every side: (k−1)/2, which keeps the size, or none.
   */
  conv2d: { readonly padding: number };
  /** (dy [B,Co,H′,W′], w [Co,Ci,k,k]) → dx [B,Ci,H,W]. */
  conv2dInputGrad: { readonly padding: number };
  /** (x [B,Ci,H,W], dy [B,Co,H′,W′]) → dw [Co,Ci,k,k]. */
  conv2dFilterGrad: { readonly kernel: number; readonly padding: number };
  /** (x [B,Ci,H,W], w [Ci,Co,4,4], bias [Co]?) → [B,Co,2H,2W]: transposed convolution of stride 2, cut by one pixel on every side. */
  transposedConv2d: None;
  /** (dy [B,Co,2H,2W], w [Ci,Co,4,4]) → dx [B,Ci,H,W]. */
  transposedConv2dInputGrad: None;
  /** (x [B,Ci,H,W], dy [B,Co,2H,2W]) → dw [Ci,Co,4,4]. */
  transposedConv2dFilterGrad: None;
  /** conv2d(upsampleNearest2(x), w, bias) with a 3×3 kernel, as one op: x [B,Ci,H,W] → [B,Co,2H,2W]. */
  upConv2d: None;
  /** (dy [B,Co,2H,2W], w [Co,Ci,3,3]) → dx [B,Ci,H,W]. */
  upConv2dInputGrad: None;
  /** (x [B,Ci,H,W], dy [B,Co,2H,2W]) → dw [Co,Ci,3,3]. */
  upConv2dFilterGrad: None;
  /** Maximum of every 2×2 block: [B,C,H,W] → [B,C,H/2,W/2]. */
  maxPool2: None;
  /** (x, y = maxPool2 x, dy) → dx; the gradient of a block is divided evenly among its tied maxima. */
  maxPool2Grad: None;
  /** Every pixel becomes a 2×2 block. */
  upsampleNearest2: None;
  /** dy [B,C,2H,2W] → the sum of every 2×2 block. */
  upsampleNearest2Grad: None;
}

/** The name of an op. */
export type OpName = keyof OpAttrs;

/** Ops by what they do to their operands, as lowerings are sorted by. Of one operand, element by element: */
export type UnaryOp =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'exp'
  | 'log'
  | 'log1p'
  | 'sqrt'
  | 'square'
  | 'sin'
  | 'cos'
  | 'sigmoid'
  | 'tanh'
  | 'atan'
  | 'relu'
  | 'silu'
  | 'softplus'
  | 'gelu'
  | 'hat'
  | 'step';
/** Of two operands, element by element. */
export type BinaryOp = 'add' | 'sub' | 'mul' | 'div' | 'equal';
/** Everything that works element by element. */
export type ElementOp = UnaryOp | BinaryOp | 'maximum' | 'minimum' | 'greater' | 'reluGrad' | 'geluGrad';
/** Linear algebra, and what only moves values. */
export type ShapeOp =
  | 'matmul'
  | 'transpose'
  | 'reshape'
  | 'concat'
  | 'slice'
  | 'pad'
  | 'reflectPad'
  | 'broadcast'
  | 'reduceSum'
  | 'reduceMean'
  | 'reduceMax';
/** Convolutions, pooling and doubling. */
export type ImageOp =
  | 'conv2d'
  | 'conv2dInputGrad'
  | 'conv2dFilterGrad'
  | 'transposedConv2d'
  | 'transposedConv2dInputGrad'
  | 'transposedConv2dFilterGrad'
  | 'upConv2d'
  | 'upConv2dInputGrad'
  | 'upConv2dFilterGrad'
  | 'maxPool2'
  | 'maxPool2Grad'
  | 'upsampleNearest2'
  | 'upsampleNearest2Grad';

/** One value of a program and how it is made. Immutable. */
export interface GraphNode<O extends OpName = OpName> {
  readonly id: number;
  readonly op: O;
  readonly inputs: readonly GraphNode[];
  readonly attrs: OpAttrs[O];
  readonly shape: Shape;
  /** The builder's name for it; shown in error messages, copied to the engine's node names. */
  readonly label?: string;
}

/** True when the node is made by `op` (narrows its attributes). */
export function isOp<O extends OpName>(node: GraphNode, op: O): node is GraphNode<O> {
  return node.op === op;
}

/** All nodes that `roots` need, operands before users. Nodes that reach no root are left out. */
export function topologicalOrder(roots: readonly GraphNode[]): GraphNode[] {
  const order: GraphNode[] = [];
  const seen = new Set<GraphNode>();
  // An explicit stack: programs are deeper than the call stack is.
  const stack: { node: GraphNode; next: number }[] = [];
  for (const root of roots) {
    if (seen.has(root)) continue;
    seen.add(root);
    stack.push({ node: root, next: 0 });
    while (stack.length > 0) {
      const top = stack[stack.length - 1];
      if (top.next < top.node.inputs.length) {
        const child = top.node.inputs[top.next++];
        if (!seen.has(child)) {
          seen.add(child);
          stack.push({ node: child, next: 0 });
        }
      } else {
        order.push(top.node);
        stack.pop();
      }
    }
  }
  return order;
}
