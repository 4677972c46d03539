/**
 * The published set of grid lines, made again: two images to train on (legacy NumPy seed 1), two to test on (seed 2), each 400 lines
 * between random points, blurred three times over, of which the middle 392×392 pixels are the object. Check sums are those of a twin
 * computed apart (`tests/bench/gridLines.test.ts`).
 */
import { LegacyRng } from '../../dist/core/rng.js';
import { gaussianBlur } from '../../dist/physics/gaussian.js';

const FULL = 784;
/** Side of an object, in pixels. */
export const SIDE = 392;
const LINES = 400;
/** Widths of the blurs and their weights. */
const BLURS = [
  [1, 1],
  [5, 2],
  [10, 5],
];

/** Sets the pixels of the line from (r0, c0) to (r1, c1) to 1 (Bresenham, IBM Systems Journal 4, 25 (1965)). */
function drawLine(image, r0, c0, r1, c1) {
  const [dr, dc] = [Math.abs(r1 - r0), Math.abs(c1 - c0)];
  // The longer way is walked pixel by pixel.
  const steep = dr > dc;
  const [long, short] = steep ? [dr, dc] : [dc, dr];
  const [longStep, shortStep] = steep
    ? [Math.sign(r1 - r0), Math.sign(c1 - c0)]
    : [Math.sign(c1 - c0), Math.sign(r1 - r0)];
  let [a, b] = steep ? [r0, c0] : [c0, r0];
  let error = 2 * short - long;
  for (let i = 0; i <= long; i++) {
    image[steep ? a * FULL + b : b * FULL + a] = 1;
    if (error >= 0 && i < long) {
      b += shortStep;
      error -= 2 * long;
    }
    a += longStep;
    error += 2 * short;
  }
}

/** The images of a split before they are an object: I = G₁ + 2·G₅ + 5·G₁₀ of the lines. */
export function lineImages(seed, count = 2) {
  const rng = new LegacyRng(seed);
  return Array.from({ length: count }, () => {
    const drawn = new Float64Array(FULL * FULL);
    for (let i = 0; i < LINES; i++) {
      const [r0, c0, r1, c1] = Array.from({ length: 4 }, () => Math.floor(FULL * rng.random()));
      drawLine(drawn, r0, c0, r1, c1);
    }
    const sum = new Float64Array(FULL * FULL);
    for (const [sigma, weight] of BLURS) {
      const { data } = gaussianBlur({ data: drawn, shape: [FULL, FULL] }, sigma, {
        radius: Math.floor(4 * sigma + 0.5),
      });
      for (let i = 0; i < sum.length; i++) sum[i] += weight * data[i];
    }
    const margin = (FULL - SIDE) / 2;
    return Float64Array.from(
      { length: SIDE * SIDE },
      (_, i) => sum[(margin + Math.floor(i / SIDE)) * FULL + margin + (i % SIDE)],
    );
  });
}

/** Mean, standard deviation and maximum over the images of a split. */
export function statisticsOf(images) {
  const n = images.length * images[0].length;
  let [sum, squares, max] = [0, 0, 0];
  for (const image of images)
    for (const v of image) {
      sum += v;
      squares += v * v;
      max = Math.max(max, v);
    }
  const mean = sum / n;
  return { mean, deviation: Math.sqrt(squares / n - mean * mean), max };
}

/** The objects of a split: amplitude I, phase π·tanh((I − max/2)/(3·mean)), with max and mean of the whole split. */
export function gridLineObjects(seed, count = 2) {
  const images = lineImages(seed, count);
  const { mean, max } = statisticsOf(images);
  return images.map((image) => {
    const phase = image.map((v) => Math.PI * Math.tanh((v - max / 2) / (3 * mean)));
    const part = (f) => Float32Array.from(image, (v, i) => v * f(phase[i]));
    return { re: part(Math.cos), im: part(Math.sin), shape: [SIDE, SIDE] };
  });
}
