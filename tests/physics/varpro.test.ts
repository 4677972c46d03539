/** Variable projection: a transcription in float64 by definition, the minimum it finds, and where there is none to find. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import { solveVarpro, VarproSums } from '../../src/physics/varpro.js';

const N = 8;
const AREA = N * N;
const MODES = 2;

function scene(seed: number, patterns = 3) {
  const rng = new LegacyRng(seed);
  const draw = (n: number) => Float32Array.from({ length: n }, () => rng.normal(0, 1));
  const probe = { re: draw(MODES * AREA), im: draw(MODES * AREA), shape: [MODES, N, N] };
  return { probe, re: draw(patterns * AREA), im: draw(patterns * AREA), patterns };
}

/** Σ over modes of |DFT of P·(s1·a + i·s2·b)|², each pixel by its sum: the definition. */
function intensity({ probe, re, im }: ReturnType<typeof scene>, pattern: number, s1: number, s2: number): Float64Array {
  const out = new Float64Array(AREA);
  for (let mode = 0; mode < MODES; mode++) {
    for (let k = 0; k < AREA; k++) {
      let [x, y] = [0, 0];
      for (let n = 0; n < AREA; n++) {
        const [p, q] = [probe.re[mode * AREA + n], probe.im[mode * AREA + n]];
        const [a, b] = [s1 * re[pattern * AREA + n], s2 * im[pattern * AREA + n]];
        const [u, v] = [p * a - q * b, p * b + q * a];
        const turn =
          (2 * Math.PI * ((Math.floor(k / N) - N / 2) * Math.floor(n / N) + ((k % N) - N / 2) * (n % N))) / N;
        x += u * Math.cos(turn) + v * Math.sin(turn);
        y += v * Math.cos(turn) - u * Math.sin(turn);
      }
      out[k] += (x * x + y * y) / AREA;
    }
  }
  return out;
}

function fitted(of: ReturnType<typeof scene>, counts: readonly ArrayLike<number>[], badPixels?: ArrayLike<number>) {
  const sums = new VarproSums(of.probe, badPixels);
  counts.forEach((pattern, i) => {
    sums.add(of.re, of.im, i * AREA, pattern);
  });
  return sums;
}

const patternsOf = (of: ReturnType<typeof scene>, s1: number, s2: number) =>
  Array.from({ length: of.patterns }, (_, i) => intensity(of, i, s1, s2));

describe('varpro', () => {
  it.each([
    [1.7, -0.6],
    [1, 1],
    [0.02, 3],
    [50, 49],
  ])('finds s1 %f, s2 %f again', (s1, s2) => {
    const of = scene(1);
    const found = fitted(of, patternsOf(of, s1, s2)).solve()!;
    expect(found.s1 / s1).toBeCloseTo(1, 6);
    expect(found.s2 / s2).toBeCloseTo(1, 6);
  });

  it('is the least misfit there is, and flat there by central differences', () => {
    const of = scene(2);
    const rng = new LegacyRng(9);
    const counts = patternsOf(of, 3, -2).map((pattern) => pattern.map((v) => rng.poisson(v)));
    const misfit = (s1: number, s2: number) => {
      let sum = 0;
      for (let i = 0; i < of.patterns; i++) {
        intensity(of, i, s1, s2).forEach((v, p) => {
          sum += (v - counts[i][p]) ** 2;
        });
      }
      return sum;
    };
    const { s1, s2 } = fitted(of, counts).solve()!;
    const least = misfit(s1, s2);
    const h = 1e-4;
    const curvature = (misfit(s1 + h, s2) - 2 * least + misfit(s1 - h, s2)) / h ** 2;
    expect(Math.abs(misfit(s1 + h, s2) - misfit(s1 - h, s2)) / (2 * h)).toBeLessThan(1e-5 * curvature);
    expect(Math.abs(misfit(s1, s2 + h) - misfit(s1, s2 - h)) / (2 * h)).toBeLessThan(1e-5 * curvature);
    for (let a = 0; a <= 5; a += 0.5)
      for (let b = -5; b <= 5; b += 0.5) expect(misfit(a, b)).toBeGreaterThanOrEqual(least);
  });

  it('leaves bad pixels out', () => {
    const of = scene(3);
    const bad = new Uint8Array(AREA);
    bad[5] = 1;
    const counts = patternsOf(of, 1.5, 0.5);
    for (const pattern of counts) pattern[5] = 1e6;
    expect(fitted(of, counts).solve()!.s1).not.toBeCloseTo(1.5, 2);
    expect(fitted(of, counts, bad).solve()!.s1).toBeCloseTo(1.5, 6);
  });

  it('blurs exit waves where it is told to', () => {
    const of = scene(4);
    const halved = new VarproSums(of.probe, undefined, (re, im) => {
      for (const x of [re, im])
        x.forEach((v, i) => {
          x[i] = v / 2;
        });
    });
    halved.add(of.re, of.im, 0, intensity(of, 0, 1, 1));
    expect(halved.solve()!.s2).toBeCloseTo(2, 6);
  });

  it('says nothing where there is one part only, or light that no scale explains', () => {
    const of = scene(5);
    const counts = patternsOf(of, 1, 1);
    expect(fitted({ ...of, im: new Float32Array(of.im.length) }, counts).solve()).toBeUndefined();
    // In empty space with a centred probe the parts are one and the same pattern.
    const even = { ...of, re: of.re.fill(1), im: of.im.fill(0.3) };
    expect(fitted(even, counts).solve()).toBeUndefined();
    // A part that is next to nothing takes any scale that noise asks for: such scales are not believed.
    const faint = { ...scene(6), im: scene(6).im.map((v) => 1e-4 * v) };
    const others = patternsOf(scene(7), 1, 1);
    expect(fitted(faint, others).solve()).toBeUndefined();
    expect(solveVarpro({ M: [2, 0, 0, 0, 3, 0, 0, 0, 2], v: [-1, 0, -1] })).toBeUndefined();
  });
});
