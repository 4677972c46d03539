/**
 * Objects to simulate: complex transmissions with known amplitude and phase.
 *
 * @example
 * const object = makeObject('lines', { rows: 224, cols: 224, seed: 1 });
 */
import { PtychoError } from '../core/errors.js';
import { LegacyRng } from '../core/rng.js';
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { gaussianBlur } from '../physics/gaussian.js';

/** Every kind that {@link makeObject} knows. */
export const OBJECT_KINDS = ['lines', 'siemens_star'] as const;

/** One of {@link OBJECT_KINDS}. */
export type ObjectKind = (typeof OBJECT_KINDS)[number];

/** What objects have in common. */
export interface ObjectOptions {
  readonly rows: number;
  readonly cols: number;
  /** Equal seeds give equal objects. */
  readonly seed: number;
  /** Smallest and largest amplitude. */
  readonly amplitudeRange?: readonly [number, number];
  /** Difference of largest and smallest phase, radians; the phases lie around zero. */
  readonly phaseSpanRad?: number;
}

/** Options of {@link linesObject}. */
export interface LinesOptions extends ObjectOptions {
  /** Segments drawn on a canvas of twice the size; default: as many as the mean side has pixels (400 at 400). */
  readonly lines?: number;
  /** Weights of the blurs of 1, 5 and 10 pixels; default 1, 2, 5. A larger first one makes finer detail. */
  readonly blurWeights?: readonly [number, number, number];
  /**
   * `independent` (default): a second draw, so that nothing can be learned of the phase from the amplitude.
   * `from_amplitude`: π·tanh((A − max/2)/(3·mean)), as in the published simulation; `phaseSpanRad` is not used then.
   */
  readonly phase?: 'independent' | 'from_amplitude';
}

/** Options of {@link siemensStar}. */
export interface SiemensStarOptions extends ObjectOptions {
  /** Number of opaque spokes. */
  readonly spokes?: number;
}

/**
 * An object by its kind.
 * @throws PtychoError CONFIG_INVALID for a kind that is not known
 */
export function makeObject(kind: ObjectKind, options: ObjectOptions): ComplexImage {
  switch (kind) {
    case 'lines':
      return linesObject(options);
    case 'siemens_star':
      return siemensStar(options);
    default:
      throw new PtychoError(
        'CONFIG_INVALID',
        `There is no object '${kind}'; choose one of ${OBJECT_KINDS.join(', ')}.`,
        {
          key: 'object',
          found: kind,
          expected: OBJECT_KINDS,
        },
      );
  }
}

/**
 * Random line segments seen at three scales: segments drawn on a canvas of twice the size, blurred and summed as
 * G(σ=1) + 2·G(σ=5) + 5·G(σ=10), and cut to the centre (the published recipe); amplitude 0.15 to 1, phase over 2 rad
 * from a second draw by default.
 */
export function linesObject(options: LinesOptions): ComplexImage {
  const { rows, cols, amplitudeRange = [0.15, 1], phaseSpanRad = 2, phase = 'independent' } = options;
  const weights = options.blurWeights ?? [1, 2, 5];
  const lines = options.lines ?? Math.round((rows + cols) / 2);
  const rng = new LegacyRng(options.seed);
  const amplitude = unitRange(lineField(rng, rows, cols, lines, weights));
  const [low, high] = amplitudeRange;
  for (let i = 0; i < amplitude.length; i++) amplitude[i] = low + (high - low) * amplitude[i];
  let angle: Float64Array;
  if (phase === 'independent') {
    angle = unitRange(lineField(rng, rows, cols, lines, weights)).map((v) => phaseSpanRad * (v - 0.5));
  } else {
    const largest = amplitude.reduce((m, a) => Math.max(m, a), 0);
    const mean = amplitude.reduce((s, a) => s + a, 0) / amplitude.length;
    angle = amplitude.map((a) => Math.PI * Math.tanh((a - largest / 2) / (3 * mean)));
  }
  return fromPolar(amplitude, angle, rows, cols);
}

/**
 * A Siemens star: spokes between an inner and an outer circle, cut by two open rings, with edges averaged over 4×4 points a
 * pixel. Spokes have the smallest amplitude and the largest phase. The seed turns the star.
 */
export function siemensStar(options: SiemensStarOptions): ComplexImage {
  const { rows, cols, amplitudeRange = [0.4, 1], phaseSpanRad = 1.2, spokes = 24 } = options;
  const turn = new LegacyRng(options.seed).uniform(0, 2 * Math.PI);
  const radius = 0.46 * Math.min(rows, cols);
  const fine = 4;
  const opaque = (y: number, x: number): boolean => {
    const r = Math.hypot(x, y) / radius;
    if (r > 1 || r < 0.06 || Math.abs(r - 0.37) < 0.02 || Math.abs(r - 0.69) < 0.02) return false;
    return Math.sin(spokes * Math.atan2(y, x) + turn) > 0;
  };
  const [low, high] = amplitudeRange;
  const amplitude = new Float64Array(rows * cols);
  const angle = new Float64Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      let hits = 0;
      for (let k = 0; k < fine * fine; k++) {
        const y = r - rows / 2 + (Math.floor(k / fine) + 0.5) / fine;
        const x = c - cols / 2 + ((k % fine) + 0.5) / fine;
        if (opaque(y, x)) hits++;
      }
      const share = hits / (fine * fine);
      amplitude[r * cols + c] = high + (low - high) * share;
      angle[r * cols + c] = phaseSpanRad * (share - 0.5);
    }
  }
  return fromPolar(amplitude, angle, rows, cols);
}

function lineField(
  rng: LegacyRng,
  rows: number,
  cols: number,
  lines: number,
  weights: readonly [number, number, number],
): Float64Array {
  const [height, width] = [2 * rows, 2 * cols];
  const canvas: Tensor<Float64Array> = { data: new Float64Array(height * width), shape: [height, width] };
  for (let k = 0; k < lines; k++) {
    const y0 = rng.uniform(0, height - 1);
    const x0 = rng.uniform(0, width - 1);
    const y1 = rng.uniform(0, height - 1);
    const x1 = rng.uniform(0, width - 1);
    drawSegment(canvas.data, width, y0, x0, y1, x1);
  }
  const field = new Float64Array(rows * cols);
  const top = Math.floor(rows / 2);
  const left = Math.floor(cols / 2);
  for (const [sigma, weight] of [
    [1, weights[0]],
    [5, weights[1]],
    [10, weights[2]],
  ]) {
    const blurred = gaussianBlur(canvas, sigma).data;
    for (let r = 0; r < rows; r++) {
      for (let c = 0; c < cols; c++) field[r * cols + c] += weight * blurred[(top + r) * width + left + c];
    }
  }
  return field;
}

/** Adds a line of unit brightness a pixel of its longer axis, spread over the two nearest pixels across it. */
function drawSegment(canvas: Float64Array, width: number, y0: number, x0: number, y1: number, x1: number): void {
  const steps = Math.max(1, Math.round(Math.max(Math.abs(y1 - y0), Math.abs(x1 - x0))));
  const steep = Math.abs(y1 - y0) > Math.abs(x1 - x0);
  for (let s = 0; s <= steps; s++) {
    const y = y0 + ((y1 - y0) * s) / steps;
    const x = x0 + ((x1 - x0) * s) / steps;
    const across = steep ? x : y;
    const cell = Math.floor(across);
    const f = across - cell;
    const at = steep ? Math.round(y) * width + cell : cell * width + Math.round(x);
    canvas[at] += 1 - f;
    // f > 0 only inside the canvas, since coordinates end at the last pixel's centre.
    if (f > 0) canvas[at + (steep ? 1 : width)] += f;
  }
}

function unitRange(field: Float64Array): Float64Array {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of field) {
    low = Math.min(low, v);
    high = Math.max(high, v);
  }
  const span = high - low || 1;
  return field.map((v) => (v - low) / span);
}

function fromPolar(amplitude: Float64Array, angle: Float64Array, rows: number, cols: number): ComplexImage {
  const re = new Float32Array(rows * cols);
  const im = new Float32Array(rows * cols);
  for (let i = 0; i < re.length; i++) {
    re[i] = amplitude[i] * Math.cos(angle[i]);
    im[i] = amplitude[i] * Math.sin(angle[i]);
  }
  return { re, im, shape: [rows, cols] };
}
