/** Objects made of straight lines. */
import type { LegacyRng } from '../../core/rng.js';
import type { ComplexImage } from '../../core/tensor.js';
import { gaussianBlur } from '../../physics/gaussian.js';
import { drawnObject, type ObjectOptions } from './fields.js';

/** Options of {@link linesObject}. */
export interface LinesOptions extends ObjectOptions {
  /** Segments drawn on a canvas of twice the size; default: as many as the mean side has pixels (400 at 400). */
  readonly lines?: number;
  /** Weights of the blurs of 1, 5 and 10 pixels; default 1, 2, 5. A larger first one makes finer detail. */
  readonly blurWeights?: readonly [number, number, number];
}

/** Options of {@link diagonalsObject}. */
export interface DiagonalsOptions extends ObjectOptions {
  /** Lines in each of the two directions; default: a tenth of the mean side (40 at 400). */
  readonly lines?: number;
}

/**
 * Random line segments seen at three scales: segments drawn on a canvas of twice the size, blurred and summed as
 * G(σ=1) + 2·G(σ=5) + 5·G(σ=10), and cut to the centre (the published recipe); amplitude 0.15 to 1, phase over 2 rad
 * from a second draw by default.
 */
export function linesObject(options: LinesOptions): ComplexImage {
  const { rows, cols } = options;
  const weights = options.blurWeights ?? [1, 2, 5];
  const lines = options.lines ?? Math.round((rows + cols) / 2);
  return drawnObject(options, { amplitudeRange: [0.15, 1], phaseSpanRad: 2 }, (rng) =>
    lineField(rng, rows, cols, lines, weights),
  );
}

/**
 * Two sets of lines at 45° across the whole object, each line with its own offset and brightness, blurred by σ = 0.75 px; amplitude
 * 0.3 to 1, phase over 1.5 rad by default. Its spectrum is two crossed streaks: a hard case for groups of neighbours in a row.
 */
export function diagonalsObject(options: DiagonalsOptions): ComplexImage {
  const { rows, cols } = options;
  const lines = options.lines ?? Math.max(1, Math.round((rows + cols) / 20));
  return drawnObject(options, { amplitudeRange: [0.3, 1], phaseSpanRad: 1.5 }, (rng) => {
    const data = new Float64Array(rows * cols);
    for (let k = 0; k < 2 * lines; k++) {
      const falling = k < lines;
      const offset = rng.uniform(-rows, cols);
      const brightness = rng.uniform(0.3, 1);
      for (let r = 0; r < rows; r++) {
        const x = offset + (falling ? r : rows - 1 - r);
        const c = Math.floor(x);
        const f = x - c;
        if (c >= 0 && c < cols) data[r * cols + c] += brightness * (1 - f);
        if (c + 1 >= 0 && c + 1 < cols) data[r * cols + c + 1] += brightness * f;
      }
    }
    return gaussianBlur({ data, shape: [rows, cols] }, 0.75).data;
  });
}

function lineField(
  rng: LegacyRng,
  rows: number,
  cols: number,
  lines: number,
  weights: readonly [number, number, number],
): Float64Array {
  const [height, width] = [2 * rows, 2 * cols];
  const canvas = new Float64Array(height * width);
  for (let k = 0; k < lines; k++) {
    const y0 = rng.uniform(0, height - 1);
    const x0 = rng.uniform(0, width - 1);
    const y1 = rng.uniform(0, height - 1);
    const x1 = rng.uniform(0, width - 1);
    drawSegment(canvas, width, y0, x0, y1, x1);
  }
  const field = new Float64Array(rows * cols);
  const top = Math.floor(rows / 2);
  const left = Math.floor(cols / 2);
  for (const [sigma, weight] of [
    [1, weights[0]],
    [5, weights[1]],
    [10, weights[2]],
  ]) {
    // The centre sees no further than the kernel: the rest need not be blurred.
    const reach = Math.floor(4 * sigma + 0.5);
    const [y0, x0] = [Math.max(0, top - reach), Math.max(0, left - reach)];
    const shape = [Math.min(height, top + rows + reach) - y0, Math.min(width, left + cols + reach) - x0];
    const seen = new Float64Array(shape[0] * shape[1]);
    for (let r = 0; r < shape[0]; r++) {
      const from = (y0 + r) * width + x0;
      seen.set(canvas.subarray(from, from + shape[1]), r * shape[1]);
    }
    const blurred = gaussianBlur({ data: seen, shape }, sigma).data;
    for (let r = 0; r < rows; r++) {
      const from = (top - y0 + r) * shape[1] + left - x0;
      for (let c = 0; c < cols; c++) field[r * cols + c] += weight * blurred[from + c];
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
