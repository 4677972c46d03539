/**
 * How a stack of patterns is laid out. Files have (n, h, w), or (h, w, n) where older tools wrote them; with or without a
 * last axis of length 1.
 *
 * @example
 * patternLayout([64, 64, 961], 961, { path: 'scan.npz', member: 'diff3d' }); // { count: 961, height: 64, width: 64, last: true }
 */
import { PtychoError } from '../../core/errors.js';
import { formatShape, type Shape } from '../../core/tensor.js';
import { type NpyOrigin, nameOf } from '../../formats/npyHeader.js';

/** Axes of a stack of patterns. */
export interface PatternLayout {
  readonly count: number;
  /** Rows and columns of a pattern. */
  readonly height: number;
  readonly width: number;
  /** The patterns are counted by the last axis, not by the first. */
  readonly last: boolean;
}

/**
 * The rule: the two equal axes are the pixels; else the axis as long as the coordinates counts the patterns; else one that is
 * not longer; else a last axis longer than both others.
 *
 * @param coordinates number of scan positions.
 * @throws PtychoError DATASET_SHAPE for a wrong rank or no patterns.
 */
export function patternLayout(shape: Shape, coordinates: number, origin: NpyOrigin): PatternLayout {
  const fail = (what: string) =>
    new PtychoError('DATASET_SHAPE', `${nameOf(origin)} has shape ${formatShape(shape)}, ${what}.`, {
      path: origin.path,
      key: origin.member,
      found: shape,
    });
  const axes = shape.length === 4 && shape[3] === 1 ? shape.slice(0, 3) : shape;
  if (axes.length !== 3) throw fail('but diffraction must have three axes: (patterns, N, N)');
  const last = patternsComeLast(axes, coordinates);
  const [count, height, width] = last ? [axes[2], axes[0], axes[1]] : axes;
  if (count === 0 || height === 0 || width === 0) throw fail('so it holds no patterns');
  return { count, height, width, last };
}

function patternsComeLast([s0, s1, s2]: Shape, n: number): boolean {
  const canonical = s1 === s2;
  const legacy = s0 === s1;
  if (canonical !== legacy) return legacy;
  if ((s0 === n) !== (s2 === n)) return s2 === n;
  if (s0 < n !== s2 < n) return s2 < n;
  return s2 > Math.max(s0, s1);
}
