import { describe, expect, it } from 'vitest';
import { extractPatch, extractPatches } from '../../src/physics/sampling.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { translate, translateReal } from '../support/reference/translate.js';
import { describeShared } from '../support/shared.js';

const ramp = (rows: number, cols: number) => ({
  re: Float64Array.from({ length: rows * cols }, (_, i) => i + 1),
  im: Float64Array.from({ length: rows * cols }, (_, i) => -2 * i),
  shape: [rows, cols],
});

describe('translate', () => {
  it('moves content by whole pixels toward +x and +y and fills with zeros', () => {
    const out = translateReal({ data: Float64Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] }, [1, 0]);
    expect([...out.data]).toEqual([0, 1, 2, 0, 4, 5]);
    const down = translateReal({ data: Float64Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] }, [0, 1]);
    expect([...down.data]).toEqual([0, 0, 0, 1, 2, 3]);
  });

  it('spreads an impulse over four pixels by nearness', () => {
    const data = new Float64Array(25);
    data[2 * 5 + 2] = 1;
    const out = translateReal({ data, shape: [5, 5] }, [0.25, -0.5]);
    const expected = new Float64Array(25);
    expected[1 * 5 + 2] = 0.375; // (1−¼)·½
    expected[1 * 5 + 3] = 0.125;
    expected[2 * 5 + 2] = 0.375;
    expected[2 * 5 + 3] = 0.125;
    expect([...out.data]).toEqual([...expected]);
  });

  it('gives zeros when the content leaves the image', () => {
    const out = translate(ramp(4, 4), [9, -12]);
    expect(out.re.every((v) => v === 0)).toBe(true);
    expect(out.im.every((v) => v === 0)).toBe(true);
  });

  it('treats real and imaginary parts alike', () => {
    const z = ramp(6, 5);
    const out = translate(z, [0.3, -1.7]);
    expect(maxDifference(out.re, translateReal({ data: z.re, shape: z.shape }, [0.3, -1.7]).data)).toBe(0);
    expect(maxDifference(out.im, translateReal({ data: z.im, shape: z.shape }, [0.3, -1.7]).data)).toBe(0);
  });
});

describe('extractPatch', () => {
  it('cuts exactly object[y−N/2 : y+N/2, x−N/2 : x+N/2] at whole positions', () => {
    const object = ramp(9, 11);
    const patch = extractPatch(object, 4, 6, 4);
    expect(patch.shape).toEqual([4, 4]);
    for (let i = 0; i < 4; i++) {
      for (let j = 0; j < 4; j++) expect(patch.re[i * 4 + j]).toBe(object.re[(2 + i) * 11 + 4 + j]);
    }
  });

  it('shows a bright pixel of the object at N/2 + (pixel − position) (sign test)', () => {
    const object = { re: new Float64Array(40 * 50), im: new Float64Array(40 * 50), shape: [40, 50] };
    const [brightY, brightX] = [21, 27];
    object.re[brightY * 50 + brightX] = 1;
    for (const [y, x] of [
      [21, 27],
      [18, 30],
      [24, 23],
      [20, 27],
    ]) {
      const patch = extractPatch(object, y, x, 16);
      const brightest = patch.re.indexOf(1);
      expect([Math.floor(brightest / 16), brightest % 16]).toEqual([8 + brightY - y, 8 + brightX - x]);
    }
  });

  it('is linear between pixels, and zero outside the object', () => {
    const object = ramp(9, 11);
    const patch = extractPatch(object, 4.25, 6.5, 2);
    // The ramp grows by 1 a column and 11 a row.
    expect(patch.re[0]).toBeCloseTo(object.re[3 * 11 + 5] + 0.5 + 0.25 * 11, 12);
    expect([...extractPatch(object, -20, 3, 4).re]).toEqual(new Array(16).fill(0));
  });

  it('refuses unequal coordinates', () => {
    expect(() => extractPatches(ramp(9, 9), [1, 2], [1], 4)).toThrow(/2 x and 1 y coordinates/);
  });
});

describeShared('golden: translation and patches', () => {
  it('translate', async () => {
    const golden = await readGolden('b_translate_patches.npz');
    const images = await golden.complex('translate_imgs');
    const offsets = await golden.real('translate_offsets_xy');
    const torch = await golden.complex('translate_torch');
    const [n, rows, cols] = images.shape;
    const area = rows * cols;
    for (let k = 0; k < n; k++) {
      const part = (z: Float32Array) => z.subarray(k * area, (k + 1) * area);
      const image = { re: part(images.re), im: part(images.im), shape: [rows, cols] };
      const out = translate(image, [offsets.data[2 * k], offsets.data[2 * k + 1]]);
      expect(maxDifference(out.re, part(torch.re))).toBeLessThan(1e-5);
      expect(maxDifference(out.im, part(torch.im))).toBeLessThan(1e-5);
    }
    await golden.close();
  });

  it('patches of single positions, and the (mirrored) labels of groups', async () => {
    const golden = await readGolden('b_translate_patches.npz');
    const object = await golden.complex('patch_object');
    const single = await golden.real('patch1_coords_offsets');
    const singlePatches = await golden.complex('patch1_get_image_patches');
    const xs = Float64Array.from({ length: 5 }, (_, k) => single.data[2 * k]);
    const ys = Float64Array.from({ length: 5 }, (_, k) => single.data[2 * k + 1]);
    const cut = extractPatches(object, xs, ys, 64);
    expect(maxDifference(cut.re, singlePatches.re)).toBeLessThan(1e-5);
    expect(maxDifference(cut.im, singlePatches.im)).toBeLessThan(1e-5);

    // The published labels of a group sit at centre + relative, the members' mirror image; the interpolation is the same.
    const centre = await golden.real('patch_coords_offsets');
    const relative = await golden.real('patch_coords_relative');
    const labels = await golden.complex('patch_get_image_patches');
    for (let b = 0; b < 5; b++) {
      for (let c = 0; c < 4; c++) {
        const x = centre.data[2 * b] + relative.data[8 * b + c];
        const y = centre.data[2 * b + 1] + relative.data[8 * b + 4 + c];
        const patch = extractPatch(object, y, x, 64);
        const label = labels.re.filter((_, i) => Math.floor(i / (64 * 64 * 4)) === b && i % 4 === c);
        expect(maxDifference(patch.re, label)).toBeLessThan(1e-5);
      }
    }
    await golden.close();
  });
});
