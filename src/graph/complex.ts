/** Complex values in a real graph: a pair of nodes of one shape. */
import type { GraphNode } from './node.js';
import * as op from './ops.js';

export interface ComplexNode {
  readonly re: GraphNode;
  readonly im: GraphNode;
}

/** amplitude·exp(i·phase). */
export function fromPolar(amplitude: GraphNode, phase: GraphNode): ComplexNode {
  return { re: op.mul(amplitude, op.cos(phase)), im: op.mul(amplitude, op.sin(phase)) };
}

/** a·b, broadcasting. */
export function multiply(a: ComplexNode, b: ComplexNode): ComplexNode {
  return {
    re: op.sub(op.mul(a.re, b.re), op.mul(a.im, b.im)),
    im: op.add(op.mul(a.re, b.im), op.mul(a.im, b.re)),
  };
}

/** |z|². */
export function intensity(z: ComplexNode): GraphNode {
  return op.add(op.square(z.re), op.square(z.im));
}

/** Both parts side by side along the last axis: one real matrix product then does the work of two. */
export function sideBySide(z: ComplexNode): GraphNode {
  return op.concat([z.re, z.im], -1);
}

/** The inverse of {@link sideBySide}. */
export function fromSideBySide(x: GraphNode): ComplexNode {
  const n = x.shape[x.shape.length - 1] / 2;
  return { re: op.sliceAxis(x, -1, 0, n), im: op.sliceAxis(x, -1, n, n) };
}
