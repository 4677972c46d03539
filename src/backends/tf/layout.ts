/**
 * Layouts: in which order the axes of a value lie in memory. Axis j in memory is the value's axis `layout[j]`.
 *
 * Values stay in the layout that they were made in until another is needed: convolutions like channels last, so that
 * the whole network runs without moving anything, and a transposition is nothing but another layout.
 */
import type { Shape } from '../../core/tensor.js';

export type Layout = readonly number[];

/** Images [B, C, H, W] with channels last, as the engines' convolutions want them. */
export const CHANNELS_LAST: Layout = [0, 2, 3, 1];
/** Kernels [out, in, k, k] as [k, k, in, out], as the engines' convolutions want them. */
export const KERNEL_LAST: Layout = [2, 3, 1, 0];

const plain = Array.from({ length: 9 }, (_, rank): Layout => Array.from({ length: rank }, (_, i) => i));

/** Axes in their own order. */
export function plainLayout(rank: number): Layout {
  return plain[rank] ?? Array.from({ length: rank }, (_, i) => i);
}

export function isPlain(layout: Layout): boolean {
  return layout.every((axis, j) => axis === j);
}

export function sameLayout(a: Layout, b: Layout): boolean {
  return a === b || (a.length === b.length && a.every((axis, j) => axis === b[j]));
}

/** The shape in memory of a value of `shape`. */
export function inMemory(shape: Shape, layout: Layout): number[] {
  return layout.map((axis) => shape[axis]);
}

/** The permutation that brings a tensor from one layout into another: result axis j is tensor axis q[j]. */
export function permutationBetween(from: Layout, to: Layout): number[] {
  return to.map((axis) => from.indexOf(axis));
}

/** True when moving axes by `permutation` moves no value in memory: only axes of length 1 change places. */
export function movesNothing(shape: Shape, permutation: readonly number[]): boolean {
  let last = -1;
  for (const axis of permutation) {
    if (shape[axis] === 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

/** The layout of transpose(x, perm), which then moves nothing. */
export function transposedLayout(layout: Layout, perm: readonly number[]): Layout {
  return layout.map((axis) => perm.indexOf(axis));
}

/** Where the value's `axes` lie in memory, ascending. */
export function axesInMemory(axes: readonly number[], layout: Layout): number[] {
  return axes.map((axis) => layout.indexOf(axis)).sort((a, b) => a - b);
}

/** The layout that is left when `axes` of the value go away. */
export function withoutAxes(layout: Layout, axes: readonly number[]): Layout {
  return layout.filter((axis) => !axes.includes(axis)).map((axis) => axis - axes.filter((gone) => gone < axis).length);
}

/**
 * A transposition with as few axes as it can be told with: axes of length 1 left out, neighbours that stay neighbours
 * joined. Engines are much faster with fewer axes.
 */
export function joinedTransposition(
  shape: Shape,
  permutation: readonly number[],
): { readonly shape: number[]; readonly permutation: number[] } {
  const runs: number[][] = [];
  for (const axis of permutation) {
    if (shape[axis] === 1) continue;
    const run = runs[runs.length - 1];
    const follows = run && !shape.slice(run[run.length - 1] + 1, axis).some((d) => d !== 1);
    if (follows && axis > run[run.length - 1]) run.push(axis);
    else runs.push([axis]);
  }
  const order = runs.map((run) => run[0]).sort((a, b) => a - b);
  return {
    shape: order.map((first) => runs.find((run) => run[0] === first)!.reduce((n, axis) => n * shape[axis], 1)),
    permutation: runs.map((run) => order.indexOf(run[0])),
  };
}
