/**
 * From stored values to amplitudes, in place and in one pass: most of the time of reading patterns goes here.
 *
 * @example
 * const toAmplitudes = amplitudeRule('uint16', true);
 * toAmplitudes(values, 0.25, (i, value) => { throw new Error(`${value} at ${i}`); });
 */
import type { NpyDtype } from '../formats/npyHeader.js';

/**
 * Checks that values are finite and not negative (unless it was said what becomes of those), takes their square roots where they are counts, and multiplies by a factor
 * (products in single precision).
 * @param refuse called with the place and the value of the first that is neither; must throw.
 */
export type AmplitudeRule = (
  values: Float32Array,
  scale: number,
  refuse: (place: number, value: number) => never,
) => void;

/** What becomes of values below zero; that of the noise of dark counts, say. */
export type Negatives = 'refuse' | 'clip' | 'keep';

/** The rule for values of a stored type; `root` says that they are counts. */
export function amplitudeRule(dtype: NpyDtype, root: boolean, negatives: Negatives = 'refuse'): AmplitudeRule {
  // Small unsigned counts need no check, and their roots are looked up faster than computed.
  const bits = dtype === 'uint8' ? 8 : dtype === 'uint16' ? 16 : 0;
  return root && bits > 0
    ? lookUp(2 ** bits)
    : (values, scale, refuse) => compute(values, root, scale, refuse, negatives);
}

function lookUp(size: number): AmplitudeRule {
  let roots: Float32Array | undefined;
  let rootsScale = Number.NaN;
  return (values, scale) => {
    if (roots === undefined || rootsScale !== scale) {
      const factor = Math.fround(scale);
      roots = new Float32Array(size);
      for (let k = 0; k < size; k++) roots[k] = Math.fround(Math.sqrt(k)) * factor;
      rootsScale = scale;
    }
    const table = roots;
    for (let i = 0; i < values.length; i++) values[i] = table[values[i] | 0];
  };
}

function compute(
  values: Float32Array,
  root: boolean,
  scale: number,
  refuse: (place: number, value: number) => never,
  negatives: Negatives,
): void {
  const factor = Math.fround(scale);
  for (let i = 0; i < values.length; i++) {
    let v = values[i];
    if (!(v >= 0 && v < Number.POSITIVE_INFINITY)) {
      if (negatives === 'refuse' || !(v < 0 && v > Number.NEGATIVE_INFINITY)) refuse(i, v);
      if (negatives === 'clip') {
        v = 0;
        values[i] = 0;
      }
    }
    if (root) values[i] = Math.fround(Math.sqrt(v)) * factor;
    else if (factor !== 1) values[i] = v * factor;
  }
}
