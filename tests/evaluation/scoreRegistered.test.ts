/** `register` of scoreAgainstTruth: a shift that no measurement tells is taken back, and nothing else looks better for it. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { shiftImage } from '../../src/evaluation/shift.js';
import { gaussianBlur } from '../../src/physics/gaussian.js';
import { frameOfObject } from '../../src/reconstruction/frame.js';
import { makeObject } from '../../src/simulation/objects.js';

const [ROWS, COLS] = [120, 132];
const bounds = { xMin: 20, xMax: 111, yMin: 20, yMax: 99 };
const blurred = ({ re, im, shape }: ComplexImage, sigma: number): ComplexImage => ({
  re: Float32Array.from(gaussianBlur({ data: Float64Array.from(re), shape }, sigma).data),
  im: Float32Array.from(gaussianBlur({ data: Float64Array.from(im), shape }, sigma).data),
  shape,
});
const noisy = ({ re, im, shape }: ComplexImage, sigma: number, seed: number): ComplexImage => {
  const rng = new LegacyRng(seed);
  const gauss = () => Math.sqrt(-2 * Math.log(1 - rng.random())) * Math.cos(2 * Math.PI * rng.random());
  return { re: re.map((v) => v + sigma * gauss()), im: im.map((v) => v + sigma * gauss()), shape };
};
/** As smooth as an image of a probe's resolution, so that moving by parts of a pixel is defined. */
const truthOf = (seed: number, kind: 'lines' | 'dead_leaves' = 'lines') =>
  blurred(makeObject(kind, { rows: ROWS, cols: COLS, seed }), 0.8);
const truth = truthOf(3);
const score = (image: ComplexImage, register: boolean, of = truth) =>
  scoreAgainstTruth({ image, frame: { originYxPx: [0, 0], height: ROWS, width: COLS } }, of, { bounds, register });
const turned = ({ re, im, shape }: ComplexImage): ComplexImage => {
  const angle = (i: number) => 0.7 + 0.01 * (i % COLS) - 0.004 * Math.floor(i / COLS);
  return {
    re: re.map((v, i) => 1.3 * (v * Math.cos(angle(i)) - im[i] * Math.sin(angle(i)))),
    im: im.map((v, i) => 1.3 * (re[i] * Math.sin(angle(i)) + v * Math.cos(angle(i)))),
    shape,
  };
};

describe('a registered score', () => {
  it.each([
    [0.5, 0.5],
    [0.25, -0.4],
    [-1.2, 1.45],
    [0, 0.1],
  ] as const)('of the truth moved by (%f, %f) px is that of the truth, also beside another object', (dy, dx) => {
    for (const of of dy === 0.5 ? [truth, truthOf(8, 'dead_leaves')] : [truth]) {
      const moved = turned(shiftImage(of, [dy, dx]));
      const { shift_px, relative_object_error, phase_pearson, amplitude_pearson } = score(moved, true, of);
      expect(Math.abs(shift_px![0] + dy)).toBeLessThan(0.02);
      expect(Math.abs(shift_px![1] + dx)).toBeLessThan(0.02);
      expect(relative_object_error).toBeLessThan(0.005);
      expect(Math.min(phase_pearson, amplitude_pearson)).toBeGreaterThan(0.999);
      expect(relative_object_error).toBeLessThan(0.5 * score(moved, false, of).relative_object_error);
    }
  });

  it('keeps the error of an image that is wrong besides', () => {
    for (const seed of [1]) {
      for (const wrong of [noisy(truth, 0.05, seed), noisy(truth, 0.3, seed), blurred(truth, 1.5)]) {
        const lies = score(wrong, false).relative_object_error;
        expect(score(wrong, true).relative_object_error / lies).toBeGreaterThan(0.995);
        const moved = score(shiftImage(wrong, [0.5, -0.5]), true).relative_object_error;
        expect(moved / lies).toBeGreaterThan(0.99);
        expect(moved / lies).toBeLessThan(1.05);
      }
    }
  });

  it('makes no other object look like the truth, nor one that is moved too far', () => {
    for (const seed of [11, 12]) {
      const other = truthOf(seed);
      const [lies, registered] = [score(other, false), score(other, true)];
      expect(registered.relative_object_error / lies.relative_object_error).toBeGreaterThan(0.97);
      expect(registered.relative_object_error).toBeGreaterThan(0.97 * registered.constant_object_error);
    }
    const far = shiftImage(truth, [0.3, 2.4]);
    expect(score(far, true)).toEqual({ ...score(far, false), shift_px: [0, 0] });
    const constant = {
      re: new Float32Array(ROWS * COLS).fill(1),
      im: new Float32Array(ROWS * COLS),
      shape: [ROWS, COLS],
    };
    expect(score(constant, true)).toEqual({ ...score(constant, false), shift_px: [0, 0] });
  });

  it('is off unless it is asked for', () => {
    expect(scoreAgainstTruth({ image: truth, frame: frameOfObject(truth) }, truth)).not.toHaveProperty('shift_px');
  });
});
