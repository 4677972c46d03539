/** Objects made of shapes: overlapping opaque leaves of many sizes, and the resolution target. */
import { LegacyRng } from '../../core/rng.js';
import type { ComplexImage } from '../../core/tensor.js';
import { gaussianBlur } from '../../physics/gaussian.js';
import { type ObjectOptions, objectOf, unitRange } from './fields.js';

/** Options of {@link deadLeaves}. */
export interface DeadLeavesOptions extends ObjectOptions {
  /** Shapes that are laid; default 500. */
  readonly leaves?: number;
  /** Smallest and largest radius as shares of the shorter side; default 0.03, 0.2. */
  readonly radius?: readonly [number, number];
  /** Standard deviation of the blur of the edges, pixels; default 1. */
  readonly blur_px?: number;
}

/** Is (u, v), in radii and turned with the shape, inside? */
const SHAPES: readonly ((u: number, v: number) => boolean)[] = [
  (u, v) => u * u + v * v < 1,
  (u, v) => u * u + 4 * v * v < 1,
  (u, v) => Math.abs(u) < 0.8 && Math.abs(v) < 0.8,
  (u, v) => Math.abs(u) < 0.95 && Math.abs(v) < 0.3,
  (u, v) => v > -0.5 && v < 1 - Math.sqrt(3) * Math.abs(u),
];

/**
 * Dead leaves (Matheron 1968; A. Lee, D. Mumford and J. Huang, IJCV 41, 35, 2001): discs, ellipses, squares, bars and triangles of
 * random place, turn and material fall one over the other. Radii follow r⁻³, which makes the picture look alike at every scale, as
 * photographs do: edges, flat parts and fine detail at once. Each leaf has an amplitude and, independently, a phase; amplitude 0.6
 * to 1, phase over 2 rad by default.
 */
export function deadLeaves(options: DeadLeavesOptions): ComplexImage {
  const { rows, cols, leaves = 500, radius = [0.03, 0.2], blur_px = 1 } = options;
  const rng = new LegacyRng(options.seed);
  const shorter = Math.min(rows, cols);
  const amplitude = new Float64Array(rows * cols).fill(0.5);
  const phase = new Float64Array(rows * cols).fill(0.5);
  const [a, b] = [radius[0] ** -2, radius[1] ** -2];
  for (let k = 0; k < leaves; k++) {
    const shape = SHAPES[rng.interval(SHAPES.length - 1)];
    // The inverse of the distribution function of a density ∝ r⁻³.
    const size = shorter * (a + (b - a) * rng.random()) ** -0.5;
    const [y, x] = [rng.uniform(0, rows), rng.uniform(0, cols)];
    const turn = rng.uniform(0, 2 * Math.PI);
    const [cos, sin] = [Math.cos(turn) / size, Math.sin(turn) / size];
    const [dark, late] = [rng.random(), rng.random()];
    const reach = 1.2 * size;
    for (let r = Math.max(0, Math.floor(y - reach)); r < Math.min(rows, y + reach); r++) {
      for (let c = Math.max(0, Math.floor(x - reach)); c < Math.min(cols, x + reach); c++) {
        const [dy, dx] = [r - y, c - x];
        if (!shape(cos * dx + sin * dy, cos * dy - sin * dx)) continue;
        amplitude[r * cols + c] = dark;
        phase[r * cols + c] = late;
      }
    }
  }
  const soft = (data: Float64Array) => unitRange(gaussianBlur({ data, shape: [rows, cols] }, blur_px).data);
  return objectOf(options, { amplitudeRange: [0.6, 1], phaseSpanRad: 2 }, soft(amplitude), () => soft(phase));
}

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
