/** The resolution target. */
import { LegacyRng } from '../../core/rng.js';
import type { ComplexImage } from '../../core/tensor.js';
import { type ObjectOptions, objectOf } from './fields.js';

/** Options of {@link siemensStar}. */
export interface SiemensStarOptions extends ObjectOptions {
  /** Number of opaque spokes. */
  readonly spokes?: number;
}

/**
 * A Siemens star: spokes between an inner and an outer circle, cut by two open rings, with edges averaged over 4×4 points a
 * pixel. Spokes have the smallest amplitude and the largest phase. The seed turns the star.
 */
export function siemensStar(options: SiemensStarOptions): ComplexImage {
  const { rows, cols, spokes = 24 } = options;
  const turn = new LegacyRng(options.seed).uniform(0, 2 * Math.PI);
  const radius = 0.46 * Math.min(rows, cols);
  const fine = 4;
  const opaque = (y: number, x: number): boolean => {
    const r = Math.hypot(x, y) / radius;
    if (r > 1 || r < 0.06 || Math.abs(r - 0.37) < 0.02 || Math.abs(r - 0.69) < 0.02) return false;
    return Math.sin(spokes * Math.atan2(y, x) + turn) > 0;
  };
  const spoke = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      let hits = 0;
      for (let k = 0; k < fine * fine; k++) {
        const y = r - rows / 2 + (Math.floor(k / fine) + 0.5) / fine;
        const x = c - cols / 2 + ((k % fine) + 0.5) / fine;
        if (opaque(y, x)) hits++;
      }
      spoke[r * cols + c] = hits / (fine * fine);
    }
  }
  const open = spoke.map((share) => 1 - share);
  return objectOf(options, { amplitudeRange: [0.4, 1], phaseSpanRad: 1.2 }, open, () => spoke);
}
