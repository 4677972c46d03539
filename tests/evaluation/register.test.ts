import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { alignForEvaluation } from '../../src/evaluation/commonFrame.js';
import { cutImage } from '../../src/evaluation/images.js';
import { registerImages } from '../../src/evaluation/register.js';
import { applyRegistration, shiftImage } from '../../src/evaluation/shift.js';
import { gaussianBlur } from '../../src/physics/gaussian.js';
import { shiftByKernel } from '../../src/physics/shiftByKernel.js';
import { makeObject } from '../../src/simulation/objects.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared, sharedFile } from '../support/shared.js';

describe('images that are moved', () => {
  const image = { re: Float32Array.from({ length: 64 }, (_, i) => i), im: new Float32Array(64), shape: [8, 8] };

  it('by a shift that a failed registration has are refused', () => {
    const { shiftYxPx } = registerImages(image, { ...image, re: new Float32Array(64) });
    expect(shiftYxPx).toEqual([Number.NaN, Number.NaN]);
    expect(() => applyRegistration(image, image, shiftYxPx)).toThrow(
      /cannot be moved by \(NaN, NaN\) px: a registration/,
    );
    expect(() => shiftImage(image, [0.5, Number.NaN])).toThrow(/cannot be moved by \(0.5, NaN\) px/);
  });

  it('with a value that would spread over all of them are refused', () => {
    const broken = { ...image, im: image.im.map((v, i) => (i === 19 ? Number.POSITIVE_INFINITY : v)) };
    expect(() => shiftImage(broken, [0.5, 0])).toThrow(/\(row 2, column 3\), which would spread over all of it/);
  });
});

describeShared('golden registrations', () => {
  // Read when a test runs: where there is no such file, the tests are still listed as skipped.
  let expected: ReturnType<typeof JSON.parse>;
  beforeAll(() => {
    expected = JSON.parse(readFileSync(sharedFile('golden', 'f_registration.json'), 'utf8'));
  });
  const upsample = 50;

  it('finds the true shift of images that repeat to 1/upsample, also where the published one did not', async () => {
    const golden = await readGolden('f_registration.npz');
    const reference = await golden.complex('reference');
    for (let k = 0; k < 5; k++) {
      const { shiftYxPx, succeeded } = registerImages(reference, await golden.complex(`image${k}`), { upsample });
      expect(succeeded).toBe(true);
      const [dy, dx] = expected[k].true_shift_yx;
      expect(Math.abs(shiftYxPx[0] + dy), `image ${k}, y`).toBeLessThanOrEqual(1 / upsample);
      expect(Math.abs(shiftYxPx[1] + dx), `image ${k}, x`).toBeLessThanOrEqual(1 / upsample);
    }
    await golden.close();
  });

  it('finds the published shift of real images', async () => {
    const golden = await readGolden('f_registration.npz');
    const real = async (key: string): Promise<ComplexImage<Float64Array>> => {
      const { data, shape } = await golden.real(key);
      return { re: data, im: new Float64Array(data.length), shape };
    };
    const { shiftYxPx } = registerImages(await real('real_ref'), await real('real_shifted'), { upsample });
    expect(maxDifference(shiftYxPx, expected[5].real_offset_u50)).toBeLessThanOrEqual(1 / upsample);
    await golden.close();
  });

  it('finds the shift of windows, which the published one does not', async () => {
    const golden = await readGolden('f_registration.npz');
    const found = registerImages(await golden.complex('window_ref'), await golden.complex('window_img'), { upsample });
    const [dy, dx] = expected[6]['window_true(yx) content shift of img rel. ref'];
    expect(found).toMatchObject({ shiftYxPx: [-dy, -dx], succeeded: true });
    await golden.close();
  });

  it('shifts as published: in Fourier space, two pixels cut off', async () => {
    const golden = await readGolden('f_registration.npz');
    const moved = shiftImage(await golden.complex('image2'), expected[2].offset_u50);
    const aligned = await golden.complex('aligned2');
    const ours = cutImage(moved, 2, 2, 92, 92);
    expect(Math.max(maxDifference(ours.re, aligned.re), maxDifference(ours.im, aligned.im))).toBeLessThan(1e-5);
    await golden.close();
  });

  it('has the published frame', async () => {
    const golden = await readGolden('f_registration.npz');
    const { data } = await golden.real('align_scan_yx');
    const [ys, xs] = [0, 1].map((axis) => [0, 1, 2].map((k) => data[2 * k + axis]));
    const found = alignForEvaluation(
      await golden.complex('align_recon'),
      await golden.complex('align_gt'),
      { xs, ys },
      20,
    );
    for (const [ours, key] of [
      [found.image, 'align_out_recon'],
      [found.truth, 'align_out_gt'],
    ] as const) {
      const theirs = await golden.complex(key);
      expect(ours.shape).toEqual(theirs.shape);
      expect(maxDifference(ours.re, theirs.re) + maxDifference(ours.im, theirs.im)).toBe(0);
    }
    await golden.close();
  });
});

/** An image as 10⁴ photons per pixel show it: amplitude and phase each uncertain by 1/(2√photons). */
function measured(
  image: ComplexImage,
  seed: number,
  gauge = { turn: 0, x: 0, y: 0, scale: 1 },
  photons = 1e4,
): ComplexImage {
  const rng = new LegacyRng(seed);
  const sigma = 0.5 / Math.sqrt(photons);
  const re = new Float32Array(image.re.length);
  const im = new Float32Array(image.re.length);
  const cols = image.shape[1];
  for (let i = 0; i < re.length; i++) {
    const angle = gauge.turn + gauge.x * (i % cols) + gauge.y * Math.floor(i / cols);
    const [a, b] = [image.re[i] + rng.normal(0, sigma), image.im[i] + rng.normal(0, sigma)];
    re[i] = gauge.scale * (a * Math.cos(angle) - b * Math.sin(angle));
    im[i] = gauge.scale * (a * Math.sin(angle) + b * Math.cos(angle));
  }
  return { re, im, shape: image.shape };
}

describe('windows of one object at 10⁴ photons per pixel', () => {
  const cases = [
    { kind: 'lines', shift: [0.1, 0], corner: [0, 0] },
    { kind: 'lines', shift: [-0.1, 0.1], corner: [7, -9] },
    { kind: 'dead_leaves', shift: [0.1, -0.1], corner: [-12, 5] },
    { kind: 'random_field', shift: [0, 0.1], corner: [3, 14] },
  ] as const;
  it.each(cases)('$kind: finds a shift of $shift px between them to less than 0.05 px', ({ kind, shift, corner }) => {
    const object = makeObject(kind, { rows: 160, cols: 160, seed: 6 });
    const moved = shiftImage(object, shift);
    const fixed = measured(cutImage(object, 30, 30, 80, 80), 1);
    const window = cutImage(moved, 30 + corner[0], 30 + corner[1], 76, 84);
    const moving = measured(window, 2, { turn: 1.3, x: 0.06, y: -0.05, scale: 2 });
    const found = registerImages(fixed, moving);
    expect(found.succeeded).toBe(true);
    expect(Math.abs(found.shiftYxPx[0] - (corner[0] - shift[0]))).toBeLessThan(0.05);
    expect(Math.abs(found.shiftYxPx[1] - (corner[1] - shift[1]))).toBeLessThan(0.05);
    expect(found.correlation).toBeGreaterThan(0.99);
  });

  it('lays them on each other', () => {
    const object = makeObject('dead_leaves', { rows: 120, cols: 120, seed: 2 });
    const fixed = cutImage(object, 20, 20, 64, 64);
    const pair = applyRegistration(fixed, cutImage(object, 25, 17, 64, 60), [5, -3])!;
    expect(pair.fixed.shape).toEqual([55, 53]);
    expect(pair.cornerYx).toEqual([7, 2]);
    expect(maxDifference(pair.fixed.re, pair.moving.re)).toBe(0);
    expect(applyRegistration(fixed, fixed, [70, 0])).toBeUndefined();
    const [dy, dx] = [0.3, -0.45];
    const field = makeObject('random_field', { rows: 64, cols: 64, seed: 3 });
    const blur = (part: Float32Array) => gaussianBlur({ data: Float64Array.from(part), shape: [64, 64] }, 1.2).data;
    const smooth = { re: blur(field.re), im: blur(field.im), shape: [64, 64] };
    const back = shiftByKernel(shiftByKernel(smooth, [dy, dx]), [-dy, -dx]);
    const inner = (z: ComplexImage<Float32Array | Float64Array>) => cutImage(z, 14, 14, 36, 36).re;
    expect(maxDifference(inner(back), inner(smooth))).toBeLessThan(2e-3);
  });
});

describe('a registration that cannot be', () => {
  const object = makeObject('dead_leaves', { rows: 64, cols: 64, seed: 4 });
  const full = (re: number): ComplexImage => ({
    re: new Float32Array(4096).fill(re),
    im: new Float32Array(4096),
    shape: [64, 64],
  });
  const failure = (fixed: ComplexImage, moving: ComplexImage) => {
    const found = registerImages(fixed, moving);
    expect(found.succeeded).toBe(false);
    return found;
  };

  it('says what is empty or flat', () => {
    expect(failure(full(0), object).reason).toMatch(/fixed image is empty/);
    expect(failure(object, full(3)).reason).toMatch(/moving image is flat/);
    expect(failure(object, full(3)).shiftYxPx).toEqual([Number.NaN, Number.NaN]);
  });

  it('says how many pixels are no numbers, and does without them where they are masked', () => {
    const broken = { ...object, re: object.re.slice() };
    broken.re[70] = Number.NaN;
    expect(failure(object, broken).reason).toMatch(/moving image has 1 pixels/);
    const movingMask = object.re.map((_, i) => (i === 70 ? 0 : 1));
    expect(registerImages(object, broken, { movingMask }).succeeded).toBe(true);
  });

  it('does not believe in images of different objects, nor in one shift of a lattice', () => {
    for (const seed of [31, 32, 33]) {
      const other = makeObject('dead_leaves', { rows: 64, cols: 64, seed });
      expect(failure(object, other)).toMatchObject({ reason: expect.stringMatching(/fits nearly as well/) });
    }
    const lattice = full(1);
    for (let i = 0; i < 4096; i++) lattice.re[i] += 0.3 * Math.sin((2 * Math.PI * (i % 64)) / 8) * Math.sin((2 * Math.PI * Math.floor(i / 64)) / 8); // biome-ignore format: one line
    expect(failure(lattice, lattice).reason).toMatch(/repeat/);
  });

  it('finds the shift of an image that is smoother than the other, as a network makes them', () => {
    const truth = makeObject('siemens_star', { rows: 100, cols: 96, seed: 3 });
    const blurred = (data: Float32Array) => gaussianBlur({ data: Float64Array.from(data), shape: truth.shape }, 3).data;
    const smooth = { re: blurred(truth.re), im: blurred(truth.im), shape: truth.shape };
    for (const [dy, dx] of [
      [0, 0],
      [1.3, -0.6],
    ]) {
      const found = registerImages(truth, shiftByKernel(smooth, [-dy, -dx]));
      expect(found.succeeded).toBe(true);
      expect(Math.hypot(found.shiftYxPx[0] - dy, found.shiftYxPx[1] - dx)).toBeLessThan(0.05);
    }
  });

  it('refuses what is no image', () => {
    expect(() => registerImages(object, { ...object, shape: [4096] })).toThrow(/rows, cols/);
    expect(() => registerImages(object, object, { fixedMask: [1, 0] })).toThrow(/mask of 2 pixels/);
    expect(() => registerImages(object, object, { upsample: 0 })).toThrow(/upsample/);
  });
});
