/**
 * Exit waves in a tensor program. Fields of a batch are pairs of [batch, N, modes, N]: modes lie between rows and columns, so that
 * transforms and shifts of all of them are products of few, large matrices that nothing has to be rearranged for.
 */

import { type ComplexNode, intensity, multiply } from '../../graph/complex.js';
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import { dftBlocks } from '../../model/detector.js';
import type { Propagation, Transfer } from '../propagation.js';

/** Sizes that a program is built for. */
export interface WaveSizes {
  /** Patches: patterns, or all points of their ways. */
  readonly batch: number;
  /** Points of the way of each pattern, one after the other in a batch; 1. */
  readonly points?: number;
  /** Smooth terms of every pattern's background; left out: there is none. */
  readonly background?: number;
  /** See `Background`. */
  readonly spread?: number;
  /** Probes, of `modes` modes each; 1. */
  readonly probes?: number;
  readonly N: number;
  readonly modes: number;
  /** Coherent modes by which the first mode varies; 0. */
  readonly coherent?: number;
  /** Every pattern has a beam of its own: see `VaryingBeam`. */
  readonly varying?: boolean;
  /** Slices of the object; 1. */
  readonly slices?: number;
  /** Where light goes through empty space, of side N. */
  readonly propagation?: Propagation;
}

/**
 * Cyclic matrices H[i,n] = t[(i+n) mod N] of each row t, (batch, N) → [batch, N, N]. With t the kernel of a shift and both indices of
 * the probe turned round, P'[n,c] = P[−n,−c], H_y·P'·H_x is the shifted probe. H is symmetric: its adjoint is
 * H_y·C·H_x, turned round again.
 */
export function cyclicMatrices(kernels: GraphNode): GraphNode {
  const [batch, N] = kernels.shape;
  const repeated = op.broadcast(op.reshape(kernels, [batch, 1, N]), [batch, N + 1, N]);
  // Cut into rows of N + 1, what repeats after N begins one later in each.
  return op.sliceAxis(op.reshape(repeated, [batch, N, N + 1]), 2, 0, N);
}

/** Shifts of a batch, by rows and by columns. */
export interface ShiftMatrices {
  readonly y: GraphNode;
  readonly x: GraphNode;
}

/** The probe (turned round, pairs of [N, modes·N]) at every position of a batch. */
export function shiftedProbe(probe: ComplexNode, { y, x }: ShiftMatrices, { batch, N, modes }: WaveSizes): ComplexNode {
  const rows = op.reshape(y, [batch * N, N]);
  const shift = (part: GraphNode) => {
    const moved = op.matmul(op.reshape(op.matmul(rows, part), [batch, N * modes, N]), x);
    return op.reshape(moved, [batch, N, modes, N]);
  };
  return { re: shift(probe.re), im: shift(probe.im) };
}

/** The adjoint: fields shifted back and added up over the batch, pairs of [N, modes·N], turned round. */
export function shiftedBack(fields: ComplexNode, { y, x }: ShiftMatrices, { batch, N, modes }: WaveSizes): ComplexNode {
  const rows = op.transposeLast(op.reshape(y, [batch * N, N]));
  const shift = (part: GraphNode) => {
    const moved = op.matmul(op.reshape(part, [batch, N * modes, N]), x);
    return op.matmul(rows, op.reshape(moved, [batch * N, modes * N]));
  };
  return { re: shift(fields.re), im: shift(fields.im) };
}

/** The unitary transform with frequency 0 in the corner, and back. Fields at the detector are [batch·N·modes, 2N], re beside im. */
export class Transform implements Detector<GraphNode> {
  readonly #left: GraphNode;
  readonly #right: GraphNode;

  constructor(private readonly sizes: WaveSizes) {
    const { N } = sizes;
    const blocks = dftBlocks(N, 0);
    this.#left = op.constant(blocks.left, [2 * N, 2 * N], 'DFT along columns');
    this.#right = op.constant(blocks.right, [2 * N, 2 * N], 'DFT along rows');
  }

  forward(wave: ComplexNode): GraphNode {
    const { batch, N, modes } = this.sizes;
    const stacked = op.reshape(op.concat([wave.re, wave.im], 1), [batch, 2 * N, modes * N]);
    const columns = op.reshape(op.matmul(this.#left, stacked), [batch, 2, N, modes, N]);
    const beside = op.reshape(op.transpose(columns, [0, 2, 3, 1, 4]), [batch * N * modes, 2 * N]);
    return op.matmul(beside, this.#right);
  }

  inverse(field: GraphNode): ComplexNode {
    const { batch, N, modes } = this.sizes;
    const rows = op.reshape(op.matmul(field, this.#left), [batch, N, modes, 2, N]);
    const stacked = op.reshape(op.transpose(rows, [0, 3, 1, 2, 4]), [batch, 2 * N, modes * N]);
    const wave = op.matmul(this.#right, stacked);
    const part = (k: number) => op.reshape(op.sliceAxis(wave, 1, k * N, N), [batch, N, modes, N]);
    return { re: part(0), im: part(1) };
  }

  /** Σ|Ψ|² over modes and points, [patterns, N, N]. */
  intensity(field: GraphNode): GraphNode {
    return this.#overModes(op.square(field));
  }

  /** Re Σconj(a)·b over modes, [batch, N, N]. */
  against(a: GraphNode, b: GraphNode): GraphNode {
    return this.#overModes(op.mul(a, b));
  }

  #overModes(products: GraphNode): GraphNode {
    const { batch, N, modes } = this.sizes;
    return overPoints(op.reduceSum(op.reshape(products, [batch * N, 2 * modes, N]), [1]), this.sizes);
  }

  /** Ψ times a complex [batch or 1, N, 1, N]. */
  times(field: GraphNode, by: ComplexNode): GraphNode {
    const { batch, N, modes } = this.sizes;
    const parts = op.reshape(field, [batch, N, modes, 2, N]);
    const part = (k: number) => op.reshape(op.sliceAxis(parts, 3, k, 1), [batch, N, modes, N]);
    const { re, im } = multiply({ re: part(0), im: part(1) }, by);
    const beside = [re, im].map((x) => op.reshape(x, [batch, N, modes, 1, N]));
    return op.reshape(op.concat(beside, 3), [batch * N * modes, 2 * N]);
  }

  /** Real and imaginary part, [batch, N, modes, N] each. */
  parts(field: GraphNode): ComplexNode {
    const { batch, N, modes } = this.sizes;
    const both = op.reshape(field, [batch, N, modes, 2, N]);
    const part = (k: number) => op.reshape(op.sliceAxis(both, 3, k, 1), [batch, N, modes, N]);
    return { re: part(0), im: part(1) };
  }

  /** Through what multiplies every frequency. */
  through(wave: ComplexNode, transfer: ComplexNode): ComplexNode {
    return this.inverse(this.times(this.forward(wave), transfer));
  }

  /** Ψ times a real [patterns, N, N]. */
  scale(field: GraphNode, factor: GraphNode): GraphNode {
    const { batch, N, modes } = this.sizes;
    const parts = op.reshape(field, [batch * N, 2 * modes, N]);
    const own = op.reshape(forPoints(factor, this.sizes), [batch * N, 1, N]);
    return op.reshape(op.mul(parts, own), [batch * N * modes, 2 * N]);
  }
}

/** What a detector sees of exit waves, in a form of its own, and the way back. */
export interface Detector<Field> {
  forward(wave: ComplexNode): Field;
  inverse(field: Field): ComplexNode;
  /** Σ|Ψ|² over modes and points, [patterns, N, N]. */
  intensity(field: Field): GraphNode;
  /** Re Σconj(a)·b over modes and points, [patterns, N, N]. */
  against(a: Field, b: Field): GraphNode;
  /** Ψ times a real [patterns, N, N]. */
  scale(field: Field, factor: GraphNode): Field;
}

/** A detector that is near, fields as pairs of [batch, N, modes, N]. Feeds: `ramp_y_re` … [batch, N], which shift waves back. */
export class NearDetector implements Detector<ComplexNode> {
  readonly #transfer: ComplexNode;

  constructor(
    private readonly transform: Transform,
    private readonly sizes: WaveSizes,
    transfer: Transfer,
  ) {
    const { batch, N } = sizes;
    const ramp = (axis: 'y' | 'x', shape: readonly number[]): ComplexNode => {
      const { re, im } = complexInput(`ramp_${axis}`, [batch, N]);
      return { re: op.reshape(re, shape), im: op.reshape(im, shape) };
    };
    const ramps = multiply(ramp('y', [batch, N, 1, 1]), ramp('x', [batch, 1, 1, N]));
    this.#transfer = against(ramps, transferNode(transfer, N, 'to the detector'));
  }

  forward(wave: ComplexNode): ComplexNode {
    return this.transform.through(wave, this.#transfer);
  }

  inverse(field: ComplexNode): ComplexNode {
    return this.transform.through(field, conjugate(this.#transfer));
  }

  intensity(field: ComplexNode): GraphNode {
    return overPoints(op.reduceSum(intensity(field), [2]), this.sizes);
  }

  against(a: ComplexNode, b: ComplexNode): GraphNode {
    return overPoints(op.reduceSum(realAgainst(a, b), [2]), this.sizes);
  }

  scale(field: ComplexNode, factor: GraphNode): ComplexNode {
    const { batch, N } = this.sizes;
    return scaled(field, op.reshape(forPoints(factor, this.sizes), [batch, N, 1, N]));
  }
}

/** A transfer function as programs multiply with it, [1, N, 1, N]. */
export function transferNode({ re, im }: Transfer, N: number, label: string): ComplexNode {
  const part = (plane: Float64Array) => op.constant(Float32Array.from(plane), [1, N, 1, N], label);
  return { re: part(re), im: part(im) };
}

/** conj(z). */
export const conjugate = ({ re, im }: ComplexNode): ComplexNode => ({ re, im: op.neg(im) });

/** conj(a)·b, broadcasting. */
export function against(a: ComplexNode, b: ComplexNode): ComplexNode {
  return { re: realAgainst(a, b), im: op.sub(op.mul(a.re, b.im), op.mul(a.im, b.re)) };
}

/** Re conj(a)·b. */
export function realAgainst(a: ComplexNode, b: ComplexNode): GraphNode {
  return op.add(op.mul(a.re, b.re), op.mul(a.im, b.im));
}

/** Each part by a real node. */
export function scaled(z: ComplexNode, by: GraphNode | number): ComplexNode {
  return { re: op.mul(z.re, by), im: op.mul(z.im, by) };
}

export const plus = (a: ComplexNode, b: ComplexNode): ComplexNode => ({
  re: op.add(a.re, b.re),
  im: op.add(a.im, b.im),
});

export const minus = (a: ComplexNode, b: ComplexNode): ComplexNode => ({
  re: op.sub(a.re, b.re),
  im: op.sub(a.im, b.im),
});

/**
 * Real [patterns, N, …] or [patches, N, …] summed, in N parts of each pattern, and put one beside the other: [patterns, terms, N]; the host
 * adds the parts in float64.
 */
export function rowSums(terms: readonly GraphNode[], { batch, N, points = 1 }: WaveSizes): GraphNode {
  const patterns = batch / points;
  const rows = terms.map((term) => {
    const length = term.shape.reduce((product, n) => product * n, 1) / patterns;
    return op.reshape(op.reduceSum(op.reshape(term, [patterns, N, length / N]), [2]), [patterns, 1, N]);
  });
  return op.concat(rows, 1);
}

/** What belongs to patterns, for each point of their ways: [patterns, …] → [batch, …]. */
export function forPoints(x: GraphNode, { batch, points = 1 }: WaveSizes): GraphNode {
  if (points === 1) return x;
  const [patterns, ...rest] = x.shape;
  const apart = op.broadcast(op.reshape(x, [patterns, 1, ...rest]), [patterns, points, ...rest]);
  return op.reshape(apart, [batch, ...rest]);
}

/** What patches have, N×N real numbers each, added up over the points of each pattern: [patterns, N, N]. */
function overPoints(x: GraphNode, { batch, N, points = 1 }: WaveSizes): GraphNode {
  if (points === 1) return op.reshape(x, [batch, N, N]);
  return op.reshape(op.reduceSum(op.reshape(x, [batch / points, points, N, N]), [1]), [batch / points, N, N]);
}

/** The probe of each patch, of all that there are; pairs of [batch, N, modes, N]. @param chosen [batch, probes], 1 at its own; left out: there is one */
export function chosenProbe(
  probe: ComplexNode,
  shifts: ShiftMatrices,
  chosen: GraphNode | undefined,
  sizes: WaveSizes,
): ComplexNode {
  const { batch, N, modes, probes = 1 } = sizes;
  const all = shiftedProbe(probe, shifts, { ...sizes, modes: probes * modes });
  if (!chosen) return all;
  const own = op.reshape(chosen, [batch, 1, probes, 1]);
  const of = (part: GraphNode) =>
    op.reshape(op.reduceSum(op.mul(op.reshape(part, [batch, N, probes, modes * N]), own), [2]), [batch, N, modes, N]);
  return { re: of(all.re), im: of(all.im) };
}

/** The adjoint: shifted back and added up for each probe, pairs of [N, probes·modes·N], turned round. */
export function backToProbes(
  fields: ComplexNode,
  shifts: ShiftMatrices,
  chosen: GraphNode | undefined,
  sizes: WaveSizes,
): ComplexNode {
  const { batch, N, modes, probes = 1 } = sizes;
  if (!chosen) return shiftedBack(fields, shifts, sizes);
  const own = op.reshape(chosen, [batch, 1, probes, 1]);
  const of = (part: GraphNode) =>
    op.reshape(op.mul(op.reshape(part, [batch, N, 1, modes * N]), own), [batch, N, probes * modes, N]);
  return shiftedBack({ re: of(fields.re), im: of(fields.im) }, shifts, { ...sizes, modes: probes * modes });
}

/** A pair of inputs. */
export const complexInput = (name: string, shape: readonly number[]): ComplexNode => ({
  re: op.input(`${name}_re`, shape),
  im: op.input(`${name}_im`, shape),
});
