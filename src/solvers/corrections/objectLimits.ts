/** What the object is drawn to and held within after an epoch: small values, limits of amplitude and phase, nothing that repeats with the scan. */
import type { SolverOptions } from '../../config/schemas/solver.js';
import { AnyFft2, signedFrequency } from '../../physics/fourier.js';
import type { ModePlanes } from './constraints.js';

/** The options that concern the object alone, pixel by pixel. */
export type ObjectLimits = Pick<
  SolverOptions,
  | 'object_l1'
  | 'object_l2'
  | 'object_amplitude_min'
  | 'object_amplitude_max'
  | 'object_phase_min_rad'
  | 'object_phase_max_rad'
>;

/**
 * |O| ← max(0, |O| − l1·rms|O|)·(1 − l2), the proximal steps of both norms; then amplitude and phase into their limits.
 */
export function limitObject({ re, im }: ModePlanes, options: ObjectLimits): void {
  const { object_l1: l1, object_l2: l2 } = options;
  const { object_amplitude_min: least, object_amplitude_max: most } = options;
  const { object_phase_min_rad: lowest, object_phase_max_rad: highest } = options;
  const bounded = least !== null || most !== null;
  const turned = lowest !== null || highest !== null;
  if (l1 === 0 && l2 === 0 && !bounded && !turned) return;
  let power = 0;
  for (let i = 0; i < re.length; i++) power += re[i] * re[i] + im[i] * im[i];
  const taken = l1 * Math.sqrt(power / re.length);
  for (let i = 0; i < re.length; i++) {
    const size = Math.hypot(re[i], im[i]);
    let wanted = Math.max(0, size - taken) * (1 - l2);
    if (bounded) wanted = Math.min(most ?? Infinity, Math.max(least ?? 0, wanted));
    if (turned) {
      const phase = Math.min(highest ?? Math.PI, Math.max(lowest ?? -Math.PI, Math.atan2(im[i], re[i])));
      re[i] = wanted * Math.cos(phase);
      im[i] = wanted * Math.sin(phase);
      continue;
    }
    // What has no phase gets that of 1.
    const factor = size > 0 ? wanted / size : 0;
    re[i] = size > 0 ? factor * re[i] : wanted;
    im[i] *= factor;
  }
}

/**
 * Takes out of the phase what repeats with the pitch of a regular scan: its transform is 0 within `window` of all multiples of
 * 1/period along both axes but the middle one. The phase is that of O against its mean, as it is (not unwrapped).
 */
export function removeGrid(
  { re, im }: ModePlanes,
  { height, width }: { readonly height: number; readonly width: number },
  { period_px, window }: { readonly period_px: number; readonly window: number },
): void {
  const pixels = height * width;
  const transform = new AnyFft2(height, width);
  const close = (k: number, n: number) => {
    const frequency = signedFrequency(k, n);
    const nearest = Math.round((frequency * period_px) / n);
    return { multiple: nearest, near: Math.abs(frequency - (nearest * n) / period_px) <= window };
  };
  const [rows, columns] = [height, width].map((n) => Array.from({ length: n }, (_, k) => close(k, n)));
  for (let from = 0; from < re.length; from += pixels) {
    let [a, b] = [0, 0];
    for (let i = from; i < from + pixels; i++) {
      a += re[i];
      b += im[i];
    }
    const phase = new Float64Array(pixels);
    for (let i = 0; i < pixels; i++) {
      const [x, y] = [re[from + i], im[from + i]];
      phase[i] = Math.atan2(y * a - x * b, x * a + y * b);
    }
    const grid = { re: phase.slice(), im: new Float64Array(pixels) };
    transform.forward(grid.re, grid.im);
    for (let r = 0, i = 0; r < height; r++) {
      for (let c = 0; c < width; c++, i++) {
        const repeats = rows[r].near && columns[c].near && (rows[r].multiple !== 0 || columns[c].multiple !== 0);
        if (repeats) continue;
        grid.re[i] = 0;
        grid.im[i] = 0;
      }
    }
    transform.inverse(grid.re, grid.im);
    for (let i = 0; i < pixels; i++) {
      const [cos, sin] = [Math.cos(grid.re[i]), -Math.sin(grid.re[i])];
      const [x, y] = [re[from + i], im[from + i]];
      re[from + i] = x * cos - y * sin;
      im[from + i] = x * sin + y * cos;
    }
  }
}
