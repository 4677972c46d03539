/**
 * From stored values to amplitudes, in place and in one pass: most of the time of reading patterns goes here.
 *
 * @example
 * const toAmplitudes = amplitudeRule('uint16', true);
 * toAmplitudes(values, 0.25, (i, value) => { throw new Error(`${value} at ${i}`); });
 */
import type { NpyDtype } from '../formats/npyHeader.js';

/**
 * Checks that values are finite and not negative, takes their square roots where they are counts, and multiplies by a factor
 * (products in single precision).
 * @param refuse called with the place and the value of the first that is neither; must throw.
 */
export type AmplitudeRule = (
  values: Float32Array,
  scale: number,
  refuse: (place: number, value: number) => never,
) => void;

/** The rule for values of a stored type; `root` says that they are counts. */
export function amplitudeRule(dtype: NpyDtype, root: boolean): AmplitudeRule {
  // Small unsigned counts need no check, and their roots are looked up faster than computed.
  const bits = dtype === 'uint8' ? 8 : dtype === 'uint16' ? 16 : 0;
  return root && bits > 0 ? lookUp(2 ** bits) : (values, scale, refuse) => compute(values, root, scale, refuse);
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
): void {
  const factor = Math.fround(scale);
  for (let i = 0; i < values.length; i++) {
    const v = values[i];
    if (!(v >= 0 && v < Number.POSITIVE_INFINITY)) refuse(i, v);
    if (root) values[i] = Math.fround(Math.sqrt(v)) * factor;
    else if (factor !== 1) values[i] = v * factor;
  }
}
