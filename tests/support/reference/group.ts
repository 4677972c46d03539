/**
 * Group canvas on the host: the C patches of one group merged at their offsets, and cut out again. The oracle for the same
 * step of the tensor program.
 *
 * Offsets are `coordsRelative` = group centre − member, [x, y] pixels: merging translates by −relative, extraction by
 * +relative.
 */
import { PtychoError } from '../../../src/core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape } from '../../../src/core/tensor.js';
import { MERGE_EPSILON } from '../../../src/model/canvas.js';
import { emptyLike, type FloatArray, sampleWindow } from '../../../src/physics/sampling.js';

/** Choices of a merge. */
export interface MergeOptions {
  /**
   * Leaves the numerator unmasked while the denominator counts the central N/2 squares only: the published TensorFlow
   * merge, for parity. It multiplies whatever lies outside the central coverage by up to 1/0.001.
   */
  readonly legacyDenominatorMask?: boolean;
}

/** A merged canvas and how many (translated, fractional) central squares cover each of its pixels. */
export interface MergedGroup<T extends FloatArray = Float32Array> {
  readonly canvas: ComplexImage<T>;
  readonly count: Float64Array;
}

/**
 * Merges patches (C, N, N) on an M×M canvas: U = Σ_j w_j ⊙ translate(O_j, −r_j) / (Σ_j w_j + 0.001) with
 * w_j = translate(m, −r_j) and m = 1 in the central N/2 square. Canvas index = patch index + (M−N)/2 at zero offset.
 *
 * @param relativeXy 2·C numbers: x₀, y₀, x₁, y₁, …
 * @throws PtychoError DATASET_SHAPE for patches, offsets or canvas that do not fit together
 */
export function mergeGroup<T extends FloatArray>(
  patches: ComplexTensor<T>,
  relativeXy: ArrayLike<number>,
  canvasSide: number,
  options: MergeOptions = {},
): MergedGroup<T> {
  const [members, side] = groupShape(patches, relativeXy, canvasSide);
  const area = canvasSide * canvasSide;
  const clip = (canvasSide - side) / 2;
  const sumRe = new Float64Array(area);
  const sumIm = new Float64Array(area);
  const count = new Float64Array(area);
  const re = new Float64Array(area);
  const im = new Float64Array(area);
  const weight = new Float64Array(area);
  const mask = centralSquare(side);
  for (let j = 0; j < members; j++) {
    const x = relativeXy[2 * j] - clip;
    const y = relativeXy[2 * j + 1] - clip;
    const at = j * side * side;
    sampleWindow(patches.re, side, side, y, x, re, canvasSide, canvasSide, 0, at);
    sampleWindow(patches.im, side, side, y, x, im, canvasSide, canvasSide, 0, at);
    sampleWindow(mask, side, side, y, x, weight, canvasSide, canvasSide);
    for (let i = 0; i < area; i++) {
      const w = options.legacyDenominatorMask ? 1 : weight[i];
      sumRe[i] += w * re[i];
      sumIm[i] += w * im[i];
      count[i] += weight[i];
    }
  }
  const canvas = { re: emptyLike(patches.re, area), im: emptyLike(patches.im, area), shape: [canvasSide, canvasSide] };
  for (let i = 0; i < area; i++) {
    canvas.re[i] = sumRe[i] / (count[i] + MERGE_EPSILON);
    canvas.im[i] = sumIm[i] / (count[i] + MERGE_EPSILON);
  }
  return { canvas, count };
}

/**
 * {@link mergeGroup} for a batch (B, C, N, N) with offsets of B·C·2 numbers, group by group: canvases (B, M, M). Groups
 * never share a canvas, whatever the batch size.
 */
export function mergeGroups<T extends FloatArray>(
  patches: ComplexTensor<T>,
  relativeXy: ArrayLike<number>,
  canvasSide: number,
  options: MergeOptions = {},
): ComplexTensor<T> {
  const [batch, members, side] = batchShape(patches);
  const area = canvasSide * canvasSide;
  const re = emptyLike(patches.re, batch * area);
  const im = emptyLike(patches.im, batch * area);
  for (let b = 0; b < batch; b++) {
    const { canvas } = mergeGroup(
      memberSlice(patches, b, members, side),
      offsetsOf(relativeXy, b, members),
      canvasSide,
      options,
    );
    re.set(canvas.re, b * area);
    im.set(canvas.im, b * area);
  }
  return { re, im, shape: [batch, canvasSide, canvasSide] };
}

/** Cuts the C patches of a group out of its canvas: V_j = central N×N of translate(U, +r_j). Result (C, N, N). */
export function extractFromCanvas<T extends FloatArray>(
  canvas: ComplexImage<T>,
  relativeXy: ArrayLike<number>,
  side: number,
): ComplexTensor<T> {
  const canvasSide = canvas.shape[0];
  const members = relativeXy.length / 2;
  const clip = (canvasSide - side) / 2;
  const re = emptyLike(canvas.re, members * side * side);
  const im = emptyLike(canvas.im, members * side * side);
  for (let j = 0; j < members; j++) {
    const x = clip - relativeXy[2 * j];
    const y = clip - relativeXy[2 * j + 1];
    const at = j * side * side;
    sampleWindow(canvas.re, canvasSide, canvasSide, y, x, re, side, side, at);
    sampleWindow(canvas.im, canvasSide, canvasSide, y, x, im, side, side, at);
  }
  return { re, im, shape: [members, side, side] };
}

/** One where i and j both lie in [N/4, 3N/4), else zero. */
export function centralSquare(side: number): Float64Array {
  const mask = new Float64Array(side * side);
  const from = Math.floor(side / 4);
  const to = side - from;
  for (let r = from; r < to; r++) mask.fill(1, r * side + from, r * side + to);
  return mask;
}

/** Group `b` of a batch (B, C, N, N), without copying. */
export function memberSlice<T extends FloatArray>(
  patches: ComplexTensor<T>,
  b: number,
  members: number,
  side: number,
): ComplexTensor<T> {
  const size = members * side * side;
  return {
    re: patches.re.subarray(b * size, (b + 1) * size) as T,
    im: patches.im.subarray(b * size, (b + 1) * size) as T,
    shape: [members, side, side],
  };
}

/** The offsets of group `b` out of B·C·2 numbers. */
export function offsetsOf(relativeXy: ArrayLike<number>, b: number, members: number): Float64Array {
  return Float64Array.from({ length: 2 * members }, (_, i) => relativeXy[2 * members * b + i]);
}

/** Batch, members and side of (B, C, N, N) patches. @throws PtychoError DATASET_SHAPE otherwise. */
export function batchShape(patches: { readonly shape: readonly number[] }): [number, number, number] {
  const [batch, members, side, columns] = patches.shape;
  if (patches.shape.length !== 4 || side !== columns) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `Grouped patches must have shape (B, C, N, N), found ${formatShape(patches.shape)}.`,
      { expected: '(B, C, N, N)', found: patches.shape },
    );
  }
  return [batch, members, side];
}

function groupShape(
  patches: { readonly shape: readonly number[] },
  relativeXy: ArrayLike<number>,
  canvasSide: number,
): [number, number] {
  const [members, side, columns] = patches.shape;
  if (patches.shape.length !== 3 || side !== columns || relativeXy.length !== 2 * members || canvasSide < side) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A merge needs patches (C, N, N), 2·C offsets and a canvas no smaller than N; found patches ${formatShape(patches.shape)}, ${relativeXy.length} offsets, canvas ${canvasSide}.`,
      { patches: patches.shape, offsets: relativeXy.length, canvasSide },
    );
  }
  return [members, side];
}
