/** Several experiments in one scan file. */
import type { ComplexImage } from '../core/tensor.js';
import type { ScanPositions } from './scans.js';

/** One object and its scan; recorded and true positions. */
export interface Experiment {
  readonly object: ComplexImage;
  readonly nominal: ScanPositions;
  readonly actual: ScanPositions;
}

/**
 * Experiments as one: their objects in a row, the positions moved along with them, and the number of the experiment at each position. A
 * scan file has one object, so this is how several fit into one; patches must lie inside their own object.
 */
export function sideBySide(
  experiments: readonly Experiment[],
): Experiment & { readonly scanIndex: Int32Array | undefined } {
  if (experiments.length === 1) return { ...experiments[0], scanIndex: undefined };
  const rows = Math.max(...experiments.map(({ object }) => object.shape[0]));
  const cols = experiments.reduce((sum, { object }) => sum + object.shape[1], 0);
  const re = new Float32Array(rows * cols);
  const im = new Float32Array(rows * cols);
  const lefts: number[] = [];
  let left = 0;
  for (const { object } of experiments) {
    const [height, width] = object.shape;
    for (let r = 0; r < height; r++) {
      re.set(object.re.subarray(r * width, (r + 1) * width), r * cols + left);
      im.set(object.im.subarray(r * width, (r + 1) * width), r * cols + left);
    }
    lefts.push(left);
    left += width;
  }
  const joined = (which: 'nominal' | 'actual'): ScanPositions => ({
    xs: Float64Array.from(experiments.flatMap((e, k) => Array.from(e[which].xs, (x) => x + lefts[k]))),
    ys: Float64Array.from(experiments.flatMap((e) => Array.from(e[which].ys))),
  });
  return {
    object: { re, im, shape: [rows, cols] },
    nominal: joined('nominal'),
    actual: joined('actual'),
    scanIndex: Int32Array.from(experiments.flatMap((e, k) => Array.from(e.nominal.xs, () => k))),
  };
}
