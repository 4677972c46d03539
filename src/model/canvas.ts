/**
 * Group canvas: patches merged at their offsets and cut out again, as matrix products.
 *
 * With S[i,m] = hat(m − (i + clip − t)), clip = (M−N)/2, the patch at offset t is S_ty · U · S_txᵀ (bilinear, zeros
 * outside) and its adjoint puts a patch back. Differentiable in image and offset.
 */

import { type ComplexNode, fromSideBySide, sideBySide } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';

/** Added to the denominator of a merge, as in the published code. */
export const MERGE_EPSILON = 0.001;

/** Interpolation matrices of a batch: row and column matrices, each [B, C, N, M]. */
export interface Shifts {
  readonly rows: GraphNode;
  readonly columns: GraphNode;
}

/**
 * Interpolation matrices for `positions` [B, C, 1, 2] (x, y pixels: group centre − member) between N×N patches and an
 * M×M canvas.
 */
export function shiftMatrices(positions: GraphNode, side: number, canvasSide: number): Shifts {
  const [batch, channels] = positions.shape;
  const clip = (canvasSide - side) / 2;
  const grid = new Float32Array(side * canvasSide);
  for (let i = 0; i < side; i++) for (let m = 0; m < canvasSide; m++) grid[i * canvasSide + m] = m - i - clip;
  const distance = op.constant(grid, [side, canvasSide], 'pixel distance');
  const along = (axis: 0 | 1) => {
    const t = op.reshape(op.sliceAxis(positions, 3, axis, 1), [batch, channels, 1, 1]);
    return op.hat(op.add(distance, t));
  };
  return { columns: along(0), rows: along(1) };
}

/** What the denominator and numerator of a merge count. */
export type MergeMask = 'central' | 'denominator_only';

/**
 * Merges patches [B, C, N, N] to one canvas per group [B, 1, M, M]:
 * U = Σ_j w_j ⊙ (S_jᵀ O_j S_j) / (Σ_j w_j + 0.001), w_j = S_jᵀ m S_j, m = central N/2 square.
 * `denominator_only` leaves the numerator unmasked (the older published form, for parity).
 */
export function mergeGroup(patches: ComplexNode, shifts: Shifts, mask: MergeMask = 'central'): ComplexNode {
  const [batch, channels, side] = patches.re.shape;
  const canvas = shifts.rows.shape[3];
  const box = new Float32Array(side);
  box.fill(1, side / 4, side - side / 4);
  const row = op.constant(box, [1, side], 'central mask');
  // The box is separable, and so is its translate: w = w_y ⊗ w_x with w_y = b·S_y.
  const wy = op.matmul(row, shifts.rows); // [B, C, 1, M]
  const wx = op.matmul(row, shifts.columns);
  const flatY = op.reshape(wy, [batch, channels, canvas]);
  const flatX = op.reshape(wx, [batch, channels, canvas]);
  const count = op.add(op.matmul(op.transposeLast(flatY), flatX), MERGE_EPSILON); // [B, M, M]

  const putRows = mask === 'central' ? op.mul(shifts.rows, wy) : shifts.rows;
  const putColumns = mask === 'central' ? op.mul(shifts.columns, wx) : shifts.columns;
  // The sum over members goes into the inner axis of one product: [M, C·N] × [C·N, 2M].
  const spread = op.concat([op.matmul(patches.re, putColumns), op.matmul(patches.im, putColumns)], 3);
  const sum = op.matmul(
    op.transposeLast(op.reshape(putRows, [batch, channels * side, canvas])),
    op.reshape(spread, [batch, channels * side, 2 * canvas]),
  );
  const { re, im } = fromSideBySide(sum);
  const image = [batch, 1, canvas, canvas];
  return { re: op.reshape(op.div(re, count), image), im: op.reshape(op.div(im, count), image) };
}

/** |P|² of a probe (N, N), summed over incoherent modes, relative to its largest value. */
export function relativeWeight(weight: Float32Array): Float32Array {
  const largest = weight.reduce((m, w) => Math.max(m, w), 0);
  return Float32Array.from(weight, (v) => v / largest);
}

/**
 * Merges patches [B, C, N, N] to one canvas per group [B, 1, M, M], each counting where its probe shines:
 * U = Σ_j w_j ⊙ (S_jᵀ O_j S_j) / (Σ_j w_j + 10⁻⁹ max |P|²), w_j = S_jᵀ |P|² S_j (the published weighting `probe`).
 *
 * @param weight {@link relativeWeight}, (N, N); or one for each group, [B, 1, N, N]
 */
export function mergeGroupByProbe(patches: ComplexNode, shifts: Shifts, weight: Float32Array | GraphNode): ComplexNode {
  const [batch, , side] = patches.re.shape;
  const canvas = shifts.rows.shape[3];
  const rows = op.transposeLast(shifts.rows);
  const put = (x: GraphNode) => op.matmul(op.matmul(rows, x), shifts.columns); // [B, C, M, M]
  const w = put(weight instanceof Float32Array ? op.constant(weight, [1, 1, side, side], '|P|²') : weight);
  const image = [batch, 1, canvas, canvas];
  // Where no probe of the group shines, nothing is known and nothing is seen.
  const total = op.add(op.sumTo(w, image), 1e-9);
  const merged = (x: GraphNode) => op.div(op.sumTo(op.mul(w, put(x)), image), total);
  return { re: merged(patches.re), im: merged(patches.im) };
}

/** Cuts the members' patches [B, C, N, N] out of canvases [B, 1, M, M]. */
export function extractPatches(canvas: ComplexNode, shifts: Shifts): ComplexNode {
  const rows = fromSideBySide(op.matmul(shifts.rows, sideBySide(canvas))); // [B, C, N, M] each
  const columns = op.transposeLast(shifts.columns);
  return { re: op.matmul(rows.re, columns), im: op.matmul(rows.im, columns) };
}
