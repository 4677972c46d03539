/** The slow part of patches, fitted to their patterns; and patches that are laid down more than once. */
import { describe, expect, it } from 'vitest';
import { inferenceDefinition } from '../../../src/config/commands.js';
import { resolvePart } from '../../../src/config/resolve.js';
import { LegacyRng } from '../../../src/core/rng.js';
import type { ComplexTensor } from '../../../src/core/tensor.js';
import { DiffractionModel } from '../../../src/physics/detector.js';
import { probeIntensity } from '../../../src/physics/probe.js';
import { extractPatch } from '../../../src/physics/sampling.js';
import { frameOfObject, moveToFrame, scanBounds } from '../../../src/reconstruction/frame.js';
import { PatchFit } from '../../../src/reconstruction/patches/patchFit.js';
import { PatchStore } from '../../../src/reconstruction/patches/patchStore.js';
import { PatchStitcher } from '../../../src/reconstruction/patchStitcher.js';
import { finiteImage, stitchKept } from '../../../src/reconstruction/stitching.js';
import { makeObject } from '../../../src/simulation/objects.js';
import { makeProbe } from '../../../src/simulation/probes.js';
import { makeScan } from '../../../src/simulation/scans.js';

const N = 32;
const AREA = N * N;
const object = makeObject('dead_leaves', { rows: 100, cols: 90, seed: 4 });
const probe = makeProbe('structured', { side: N, diameter: 11, curvatureRad: 2, comaRad: 1 });

/** Patches as [n, 1, N, N]. */
function patchesAt(places: readonly (readonly [number, number])[]): ComplexTensor {
  const patches = { re: new Float32Array(places.length * AREA), im: new Float32Array(places.length * AREA) };
  places.forEach(([y, x], k) => {
    const { re, im } = extractPatch(object, y, x, N);
    patches.re.set(re, k * AREA);
    patches.im.set(im, k * AREA);
  });
  return { ...patches, shape: [places.length, 1, N, N] };
}

const copyOf = ({ re, im, shape }: ComplexTensor): ComplexTensor => ({ re: re.slice(), im: im.slice(), shape });

/** The amplitudes of the patterns of patches, times something. */
function patternsOf({ re, im, shape }: ComplexTensor, beam: ComplexTensor, factor = 3) {
  const model = new DiffractionModel(beam);
  const data = new Float32Array(re.length);
  const lambda = new Float64Array(AREA);
  for (let at = 0; at < re.length; at += AREA) {
    model.intensity(re, im, at, lambda);
    for (let i = 0; i < AREA; i++) data[at + i] = factor * Math.sqrt(lambda[i]);
  }
  return { data, shape };
}

/** The patches times something slow, of another size each. */
function spoiled(patches: ComplexTensor, fine = 0): ComplexTensor {
  const { re, im, shape } = copyOf(patches);
  for (let k = 0; k < shape[0]; k++) {
    for (let i = 0; i < AREA; i++) {
      const [y, x] = [Math.floor(i / N) - N / 2, (i % N) - N / 2];
      const angle = 0.02 * (k + 1) * y - 0.03 * x + 0.002 * x * y + fine * Math.sin(2 * x + 3 * y);
      const size = 1 + 0.006 * x - 0.004 * (k + 1) * y;
      const at = k * AREA + i;
      const [a, b] = [size * re[at], size * im[at]];
      re[at] = a * Math.cos(angle) - b * Math.sin(angle);
      im[at] = a * Math.sin(angle) + b * Math.cos(angle);
    }
  }
  return { re, im, shape };
}

const light = probeIntensity(probe);

/** Relative distance where the light is, after the best factor for each patch. */
function distance(a: ComplexTensor, b: ComplexTensor): number {
  let [wrong, all] = [0, 0];
  for (let at = 0; at < a.re.length; at += AREA) {
    let [re, im, power, own] = [0, 0, 0, 0];
    for (let i = 0; i < AREA; i++) {
      const [p, q, r, s, w] = [a.re[at + i], a.im[at + i], b.re[at + i], b.im[at + i], light[i]];
      re += w * (p * r + q * s);
      im += w * (p * s - q * r);
      power += w * (p * p + q * q);
      own += w * (r * r + s * s);
    }
    wrong += own - (re * re + im * im) / power;
    all += own;
  }
  return Math.sqrt(Math.max(0, wrong) / all);
}

describe('PatchFit', () => {
  const truth = patchesAt([
    [40, 40],
    [52.5, 37.25],
  ]);

  it('finds what varies slowly, by degrees, and leaves right patches as they are', () => {
    const [before, after] = [0, 1, 2, 4].reduce<number[][]>(
      ([before, after], degree) => {
        const found = spoiled(truth);
        const was = distance(found, truth);
        if (degree > 0) new PatchFit(probe, degree).improve(found, patternsOf(truth, probe));
        return [
          [...before, was],
          [...after, distance(found, truth)],
        ];
      },
      [[], []],
    );
    expect(before[0]).toBeGreaterThan(0.1);
    expect(after[1]).toBeLessThan(0.5 * before[0]);
    expect(after[2]).toBeLessThan(0.2 * before[0]);
    expect(after[3]).toBeLessThan(0.2 * before[0]);
    const right = copyOf(truth);
    new PatchFit(probe, 4).improve(right, patternsOf(truth, probe));
    expect(distance(right, truth)).toBeLessThan(1e-4);
  });

  it('knows modes that add up, and the mask of the probe', () => {
    const second = makeProbe('gaussian', { side: N, diameter: 9 });
    const modes = {
      re: Float32Array.of(...probe.re, ...second.re.map((v) => v / 2)),
      im: Float32Array.of(...probe.im, ...second.im.map((v) => v / 2)),
      shape: [2, N, N],
    };
    const probeMask = Float32Array.from({ length: AREA }, (_, i) => (i % N < 17 ? 1 : 0));
    const cut = {
      re: modes.re.map((v, i) => v * probeMask[i % AREA]),
      im: modes.im.map((v, i) => v * probeMask[i % AREA]),
      shape: modes.shape,
    };
    const patterns = patternsOf(truth, cut);
    const misfit = (patches: ComplexTensor) => {
      const { data } = patternsOf(patches, cut);
      return Math.sqrt(data.reduce((sum, v, i) => sum + (v - patterns.data[i]) ** 2, 0));
    };
    const found = spoiled(truth);
    const before = misfit(found);
    new PatchFit(modes, 2, { probeMask }).improve(found, patterns);
    expect(misfit(found)).toBeLessThan(0.4 * before);
    const unmasked = spoiled(truth);
    new PatchFit(modes, 2).improve(unmasked, patterns);
    expect(misfit(unmasked)).toBeGreaterThan(0.6 * before);
  });

  it('looks at no bad pixel, and leaves patches alone where there is no light', () => {
    const measured = patternsOf(truth, probe);
    const badPixels = new Uint8Array(AREA);
    for (const hot of [3 * N + 2, 18 * N + 15]) {
      badPixels[hot] = 1;
      for (let k = 0; k < 2; k++) measured.data[k * AREA + hot] = 1e4;
    }
    const found = spoiled(truth);
    const before = distance(found, truth);
    new PatchFit(probe, 2, { badPixels }).improve(found, measured);
    expect(distance(found, truth)).toBeLessThan(0.25 * before);
    const dark = spoiled(truth);
    const was = copyOf(dark);
    new PatchFit(probe, 2).improve(dark, { data: new Float32Array(2 * AREA), shape: dark.shape });
    expect(dark).toEqual(was);
  });

  it('follows noise no more than its terms must', () => {
    // 5,000 counts a pattern: of a right patch 28 coefficients make a wrong one.
    const rng = new LegacyRng(7);
    const many = patchesAt(Array.from({ length: 16 }, (_, k) => [36 + k, 40 + (k % 5)] as const));
    const clear = patternsOf(many, probe);
    const factor = Math.sqrt((5000 * 16) / clear.data.reduce((sum, v) => sum + v * v, 0));
    const noisy = { ...clear, data: clear.data.map((v) => Math.sqrt(rng.poisson((factor * v) ** 2))) };
    const found = copyOf(many);
    new PatchFit(probe, 4).improve(found, noisy);
    expect(distance(found, many)).toBeLessThan(0.12);
  });
});

describe('patches that are laid down again', () => {
  const { xs, ys } = makeScan('jittered_raster', { rows: 100, cols: 90, side: N, stepPx: 5, seed: 1 });
  // Between pixels, where interpolation blurs.
  const [x, y] = [xs.map((v, k) => v + (k % 7) / 7 - 0.4), ys.map((v, k) => v + (k % 5) / 5 - 0.4)];
  const store = new PatchStore(16, xs.length);
  const { re, im } = patchesAt(Array.from(xs, (_, k) => [y[k], x[k]] as const));
  store.add(re, im, xs.length, N, x, y);
  const make = () => new PatchStitcher(scanBounds(x, y), 16);

  /** Relative error where at least four patches lie. */
  function errorOf({ image, overlapCount, frame }: Awaited<ReturnType<typeof stitchKept>>): number {
    const truth = moveToFrame(object, frameOfObject(object), frame);
    let [wrong, all] = [0, 0];
    overlapCount.data.forEach((n, i) => {
      if (n < 4) return;
      wrong += (image.re[i] - truth.re[i]) ** 2 + (image.im[i] - truth.im[i]) ** 2;
      all += truth.re[i] ** 2 + truth.im[i] ** 2;
    });
    return Math.sqrt(wrong / all);
  }

  it('come nearer to the object, and change nothing else', async () => {
    const [once, twice] = [await stitchKept(store, make), await stitchKept(store, make, { rounds: 2 })];
    expect(errorOf(twice)).toBeLessThan(0.75 * errorOf(once));
    expect({ ...twice, image: 0 }).toEqual({ ...once, image: 0 });
  });

  it('are laid down no more when a signal fires that comes while they are', async () => {
    const stop = new AbortController();
    let made = 0;
    const counted = () => {
      // As Ctrl-C does: heard only when the event loop turns.
      if (++made === 2) setImmediate(() => stop.abort());
      return make();
    };
    await stitchKept(store, counted, { rounds: 20, signal: stop.signal });
    expect(made).toBeLessThanOrEqual(3);
  });

  it('make an image that is finite, or none', async () => {
    const stitched = await stitchKept(store, make);
    expect(finiteImage(stitched)).toBe(stitched);
    stitched.image.im[7] = Number.NaN;
    expect(() => finiteImage(stitched)).toThrow(/not finite/);
  });

  it('at most 20 times', () => {
    const ask = (stitching_rounds: number) =>
      resolvePart(inferenceDefinition, { model_path: 'run', test_data_file: 'a.npz', stitching_rounds });
    expect(() => ask(20)).not.toThrow();
    expect(() => ask(21)).toThrow(/from 1 to 20/);
  });
});
