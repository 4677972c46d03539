import { describe, expect, it } from 'vitest';
import { maxDifference, readGolden } from '../golden.js';
import { describeShared } from '../shared.js';
import { accumulateBarycentric, reassemblePosition } from './reassemble.js';

describe('reassemblePosition', () => {
  it('gives back a constant wherever a patch lies', () => {
    const patches = { re: new Float32Array(2 * 64).fill(2), im: new Float32Array(2 * 64).fill(-1), shape: [2, 8, 8] };
    const { image, norm } = reassemblePosition(patches, [10, 5, 13.5, 6], 4);
    // Offsets from the mean are ±1.75 and ±0.5, so two pixels are padded on every side.
    expect(image.shape).toEqual([8, 8]);
    for (let i = 0; i < 64; i++) {
      if (norm.data[i] > 1e-3) expect(image.re[i]).toBeCloseTo(2, 5);
      else expect(image.re[i]).toBe(0);
    }
  });

  it('refuses crops and offsets that do not fit', () => {
    const patches = { re: new Float32Array(64), im: new Float32Array(64), shape: [1, 8, 8] };
    for (const crop of [0, 10, 3]) expect(() => reassemblePosition(patches, [0, 0], crop)).toThrow(/0 < M ≤ N/);
    expect(() => reassemblePosition(patches, [0, 0, 1], 4)).toThrow(/2 offsets.*found 3/);
  });
});

describe('accumulateBarycentric', () => {
  const patches = { re: new Float32Array(2 * 16).fill(2), im: new Float32Array(2 * 16).fill(5), shape: [2, 4, 4] };

  it('averages by weight', () => {
    patches.re.fill(8, 16);
    const weights = { data: new Float32Array(16).fill(1), shape: [4, 4] };
    weights.data[0] = 3;
    // The second patch lies one pixel right and below: its heavy corner pixel meets the first patch's pixel (1, 1).
    const { image } = accumulateBarycentric(patches, [3, 3, 4, 4], { height: 8, width: 8 }, weights);
    expect(image.re[1 * 8 + 1]).toBeCloseTo(2, 6);
    expect(image.re[2 * 8 + 2]).toBeCloseTo((2 * 1 + 8 * 3) / 4, 6);
    expect(image.re[3 * 8 + 3]).toBeCloseTo(5, 6);
    expect(image.re[0]).toBe(0);
  });

  it('drops nothing silently', () => {
    for (const at of [1.9, 6.1, Number.NaN]) {
      const positions = [3, 3, at, 3];
      expect(() => accumulateBarycentric(patches, positions, { height: 8, width: 8 })).toThrow(/Patch 1.*does not fit/);
    }
    expect(accumulateBarycentric(patches, [2, 2, 6, 6], { height: 8, width: 8 }).norm.data[63]).toBeCloseTo(1, 6);
  });
});

describeShared('golden: reassembly', () => {
  it.each([20, 32])('shift-and-sum with M = %i', async (crop) => {
    const golden = await readGolden('b_translate_patches.npz');
    const patches = await golden.complex('rp_patches');
    const offsets = await golden.real('rp_offsets_xy');
    const ours = reassemblePosition(patches, offsets.data, crop);
    for (const [name, key] of [
      ['image', 'out'],
      ['sum', 'sum'],
    ] as const) {
      const theirs = await golden.complex(`rp_M${crop}_${key}`);
      expect(ours[name].shape).toEqual(theirs.shape);
      expect(maxDifference(ours[name].re, theirs.re)).toBeLessThan(1e-4);
      expect(maxDifference(ours[name].im, theirs.im)).toBeLessThan(1e-4);
    }
    expect(maxDifference(ours.norm.data, (await golden.complex(`rp_M${crop}_norm`)).re)).toBeLessThan(1e-4);
    await golden.close();
  });

  it('barycentric accumulation, plain and weighted by |P|²', async () => {
    const golden = await readGolden('b_translate_patches.npz');
    const patches = await golden.complex('bary_patches');
    const positions = await golden.real('bary_positions_xy');
    const weights = await golden.float32('baryw_probe_mag_sq');
    for (const [image, norm, weight] of [
      ['bary_canvas', 'bary_counts', undefined],
      ['baryw_canvas', 'baryw_weights', weights],
    ] as const) {
      const ours = accumulateBarycentric(patches, positions.data, { height: 140, width: 150 }, weight);
      const theirs = await golden.complex(image);
      expect(ours.sum.shape).toEqual(theirs.shape);
      expect(maxDifference(ours.sum.re, theirs.re)).toBeLessThan(1e-4);
      expect(maxDifference(ours.sum.im, theirs.im)).toBeLessThan(1e-4);
      expect(maxDifference(ours.norm.data, (await golden.real(norm)).data)).toBeLessThan(1e-4);
    }
    await golden.close();
  });
});
