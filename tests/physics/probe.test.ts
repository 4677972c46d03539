import { describe, expect, it } from 'vitest';
import { gaussianBlur } from '../../src/physics/gaussian.js';
import {
  asComplex,
  defaultDiskProbe,
  normaliseProbe,
  probeMask,
  softProbeMask,
  totalIntensity,
} from '../../src/physics/probe.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

const sum = (a: Float64Array) => a.reduce((s, v) => s + v, 0);

describe('probe preparation', () => {
  it('default disk: 376 pixels at N = 64, 1500 at N = 128', () => {
    expect(sum(defaultDiskProbe(64).data)).toBeCloseTo(376.000004, 5);
    expect(sum(defaultDiskProbe(128).data)).toBeCloseTo(1500 + 128 * 128 * 1e-9, 5);
  });

  it('masks: 812 pixels at N = 64, 3228 at N = 128; the soft one keeps its sum and its range', () => {
    expect(sum(probeMask(64).data)).toBe(812);
    expect(sum(probeMask(128).data)).toBe(3228);
    const soft = softProbeMask(64, 1).data;
    expect(soft.every((v) => v >= 0 && v <= 1)).toBe(true);
    expect(sum(soft)).toBeCloseTo(812, 6);
  });

  it('published norm of the default probe: 0.3671875 at N = 64, 0.3662109 at N = 128', () => {
    const norm = (n: number) => normaliseProbe(asComplex(defaultDiskProbe(n)), { mask: probeMask(n) }).norm;
    expect(norm(64)).toBeCloseTo(0.3671875, 6);
    expect(norm(128)).toBeCloseTo(0.3662109, 6);
  });

  it('leaves the probe itself unmasked, and gives all modes one norm', () => {
    const probe = {
      re: Float64Array.of(3, 0, 0, 4, 6, 0, 0, 8),
      im: Float64Array.of(4, 0, 0, 3, 8, 0, 0, 6),
      shape: [2, 2, 2],
    };
    const mask = { data: Float64Array.of(1, 0, 0, 0), shape: [2, 2] };
    const { probe: out, norm } = normaliseProbe(probe, { probeScale: 2, mask });
    expect(norm).toBeCloseTo((2 * (5 + 10)) / 8, 12);
    expect(out.re[3]).toBeCloseTo(4 / norm, 12);
    expect(totalIntensity(probe)).toBe(250);
  });

  it('blurs without changing the sum when mirrored, and loses the edge when zero outside', () => {
    const image = { data: Float64Array.from({ length: 35 }, (_, i) => (i * 7) % 11), shape: [5, 7] };
    expect(sum(gaussianBlur(image, 1.5).data)).toBeCloseTo(sum(image.data), 10);
    expect(sum(gaussianBlur(image, 1.5, { edge: 'zero' }).data)).toBeLessThan(0.9 * sum(image.data));
    expect([...gaussianBlur(image, 0).data]).toEqual([...image.data]);
  });
});

describeShared('golden: probes and masks', () => {
  it('default probes and masks', async () => {
    const golden = await readGolden('g_simulation.npz');
    for (const n of [64, 128]) {
      expect(maxDifference(defaultDiskProbe(n).data, (await golden.real(`default_probe_${n}`)).data)).toBeLessThan(
        1e-9,
      );
      expect(maxDifference(probeMask(n).data, (await golden.real(`probe_mask_${n}`)).data)).toBe(0);
    }
    await golden.close();
  });

  it('normalised probes with and without mask, and the TensorFlow form', async () => {
    const golden = await readGolden('c_forward.npz');
    const probe = await golden.complex('probe');
    expect(maxDifference(softProbeMask(64, 1).data, (await golden.real('soft_probe_mask_64')).data)).toBeLessThan(1e-5);
    expect(maxDifference(probeMask(64).data, (await golden.real('tf_probe_mask_64')).data)).toBe(0);
    for (const [key, mask] of [
      ['normprobe_scale10_mask0', undefined],
      ['normprobe_scale10_mask1', softProbeMask(64, 1)],
      ['tf_set_probe_scale10', probeMask(64)],
    ] as const) {
      const theirs = await golden.complex(key);
      const { probe: ours, norm } = normaliseProbe(probe, { probeScale: 10, mask });
      expect(maxDifference(ours.re, theirs.re)).toBeLessThan(1e-5);
      expect(maxDifference(ours.im, theirs.im)).toBeLessThan(1e-5);
      if (key !== 'tf_set_probe_scale10') expect(norm * (await golden.number(`${key}_factor`))).toBeCloseTo(1, 5);
    }
    await golden.close();
  });
});
