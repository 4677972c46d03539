import { describe, expect, it } from 'vitest';
import type { ComplexTensor } from '../../../src/core/tensor.js';
import { maxAbs, maxDifference, readGolden } from '../golden.js';
import { describeShared } from '../shared.js';
import { extractFromCanvas, mergeGroup, mergeGroups } from './group.js';

/** Reproducible numbers without structure. */
const numbers = (n: number, salt: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(12.9898 * i + salt) * 3 + Math.cos(0.7 * i * salt));

const batch = (b: number, c: number, side: number): ComplexTensor => ({
  re: numbers(b * c * side * side, 1.1),
  im: numbers(b * c * side * side, 2.3),
  shape: [b, c, side, side],
});

describe('group merge on the host', () => {
  it('gives value/1.001 in the central square for a single patch at zero offset', () => {
    const patches = batch(1, 1, 16);
    const { canvas, count } = mergeGroup({ ...patches, shape: [1, 16, 16] }, [0, 0], 16);
    for (let r = 0; r < 16; r++) {
      for (let c = 0; c < 16; c++) {
        const central = r >= 4 && r < 12 && c >= 4 && c < 12;
        expect(count[r * 16 + c]).toBe(central ? 1 : 0);
        expect(canvas.re[r * 16 + c]).toBeCloseTo(central ? patches.re[r * 16 + c] / 1.001 : 0, 5);
      }
    }
  });

  it.each([
    ['63', 21, 3],
    ['64', 16, 4],
    ['65', 13, 5],
  ])('merges %s patches in one batch as group by group', (_, b, c) => {
    const patches = batch(b, c, 8);
    const offsets = numbers(b * c * 2, 0.4).map((v) => v / 2);
    const together = mergeGroups(patches, offsets, 14);
    expect(together.shape).toEqual([b, 14, 14]);
    const size = c * 64;
    for (let g = 0; g < b; g++) {
      const part = (z: Float32Array) => z.slice(g * size, (g + 1) * size);
      const alone = mergeGroup(
        { re: part(patches.re), im: part(patches.im), shape: [c, 8, 8] },
        offsets.slice(2 * c * g, 2 * c * (g + 1)),
        14,
      );
      expect(maxDifference(together.re.slice(g * 196, (g + 1) * 196), alone.canvas.re)).toBe(0);
      expect(maxDifference(together.im.slice(g * 196, (g + 1) * 196), alone.canvas.im)).toBe(0);
    }
  });

  it('does not care for the order of members', () => {
    const patches = batch(1, 2, 8);
    const flipped = (z: Float32Array) => Float32Array.of(...z.subarray(64), ...z.subarray(0, 64));
    const one = mergeGroup({ ...patches, shape: [2, 8, 8] }, [0.3, -1.2, -0.3, 1.2], 12);
    const two = mergeGroup(
      { re: flipped(patches.re), im: flipped(patches.im), shape: [2, 8, 8] },
      [-0.3, 1.2, 0.3, -1.2],
      12,
    );
    expect(maxDifference(one.canvas.re, two.canvas.re)).toBeLessThan(1e-6);
  });

  it('names the shapes that do not fit', () => {
    expect(() => mergeGroup({ ...batch(1, 2, 8), shape: [2, 8, 8] }, [0, 0], 12)).toThrow(
      /patches \(2, 8, 8\), 2 offsets, canvas 12/,
    );
    expect(() => mergeGroups({ ...batch(1, 2, 8), shape: [2, 8, 8] }, [0, 0, 0, 0], 12)).toThrow(/\(B, C, N, N\)/);
  });
});

describeShared('golden: group merge', () => {
  it('central mask above and below, canvas 68, and extraction', async () => {
    const golden = await readGolden('b_translate_patches.npz');
    const patches = await golden.complex('grp_patches');
    const relative = await golden.real('grp_rel_xy');
    const merged = await golden.complex('grp_central_merged');
    const extracted = await golden.complex('grp_central_extracted');
    const mask = await golden.real('grp_central_mask');
    const ours = mergeGroups(patches, relative.data, 68);
    expect(maxDifference(ours.re, merged.re)).toBeLessThan(5e-5); // near edges 1e-4
    expect(maxDifference(ours.im, merged.im)).toBeLessThan(5e-5);
    const area = 68 * 68;
    const size = 4 * 64 * 64;
    for (let b = 0; b < 3; b++) {
      const part = (z: Float32Array) => z.slice(b * area, (b + 1) * area);
      const back = extractFromCanvas(
        { re: part(merged.re), im: part(merged.im), shape: [68, 68] },
        relative.data.slice(8 * b, 8 * b + 8),
        64,
      );
      expect(maxDifference(back.re, extracted.re.slice(b * size, (b + 1) * size))).toBeLessThan(1e-5);
      expect(maxDifference(back.im, extracted.im.slice(b * size, (b + 1) * size))).toBeLessThan(1e-5);
      const { count } = mergeGroup(
        {
          re: patches.re.slice(b * size, (b + 1) * size),
          im: patches.im.slice(b * size, (b + 1) * size),
          shape: [4, 64, 64],
        },
        relative.data.slice(8 * b, 8 * b + 8),
        68,
      );
      const covered = count.map((v) => (v > 1e-6 ? 1 : 0));
      expect(maxDifference(covered, mask.data.slice(b * area, (b + 1) * area))).toBe(0);
    }
    await golden.close();
  });

  it('the older merge with the mask in the denominator only, canvas 78', async () => {
    const golden = await readGolden('b_translate_patches.npz');
    const patches = await golden.complex('grp_patches');
    const relative = await golden.real('grp_rel_xy');
    const merged = await golden.complex('tf_grp_merged');
    const extracted = await golden.complex('tf_grp_extracted');
    const ours = mergeGroups(patches, relative.data, 78, { legacyDenominatorMask: true });
    // Outside the central coverage values are multiplied by 1000, so the tolerance is relative to the largest.
    expect(maxDifference(ours.re, merged.re) / maxAbs(merged.re)).toBeLessThan(1e-5);
    expect(maxDifference(ours.im, merged.im) / maxAbs(merged.im)).toBeLessThan(1e-5);
    const area = 78 * 78;
    const size = 4 * 64 * 64;
    for (let b = 0; b < 3; b++) {
      const back = extractFromCanvas(
        { re: ours.re.slice(b * area, (b + 1) * area), im: ours.im.slice(b * area, (b + 1) * area), shape: [78, 78] },
        relative.data.slice(8 * b, 8 * b + 8),
        64,
      );
      const theirs = extracted.re.slice(b * size, (b + 1) * size);
      expect(maxDifference(back.re, theirs) / maxAbs(theirs)).toBeLessThan(1e-5);
    }
    await golden.close();
  });
});
