/** Forward parity: two bundles on the same patterns, patch by patch. */
import { readdir, readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { compareForward } from '../../src/evaluation/comparison/compareForward.js';
import { ForwardComparison } from '../../src/evaluation/comparison/forwardStatistics.js';
import { forwardWorkflow } from '../../src/workflows/compare.js';
import { ComparisonFixture, N } from './comparisonFixture.js';

let fixture: ComparisonFixture;
beforeAll(async () => {
  fixture = await ComparisonFixture.make();
}, 60_000);
afterAll(() => fixture.remove());

const execution = { accelerator: 'cpu', threads: 1 } as const;

describe('compareForward', () => {
  it('finds no difference between a bundle and itself', async () => {
    const config = fixture.config('self', {
      forward: true,
      models: [`A=${fixture.inside('gs2.zip')}`, `B=${fixture.inside('gs2.zip')}`],
      n_test_groups: 6,
      batch_size: 4,
    });
    const { statistics, patterns, shown, files } = await forwardWorkflow(config);
    expect(patterns).toBe(24);
    expect(statistics.identical).toBe(true);
    expect(statistics.relative_difference).toBe(0);
    expect(statistics.relative_difference_scaled).toBe(0);
    for (const of of Object.values(statistics.difference))
      expect(of).toMatchObject({ mean_abs: 0, rms: 0, max_abs: 0 });
    expect(statistics.difference_grid.amplitude.flat()).toEqual(new Array(64).fill(0));
    expect(statistics.a).toEqual(statistics.b);
    expect(statistics.a.amplitude.max).toBeGreaterThan(0);
    expect(shown.map(({ a }) => a.shape)).toEqual(new Array(4).fill([N, N]));
    expect(files).toEqual(['forward_parity.json', 'forward_parity.png']);
    expect((await readdir(fixture.inside('self'))).sort()).toEqual(files);
    const record = JSON.parse(await readFile(fixture.inside('self', 'forward_parity.json'), 'utf8'));
    expect(record).toMatchObject({ patterns: 24, identical: true, models: [{ name: 'A' }, { name: 'B' }] });
    expect(record.difference_grid.phase).toHaveLength(8);
  }, 60_000);

  it('measures the difference of two bundles, on a file or an open scan', async () => {
    await fixture.bundle('near.zip', { gridsize: 1 }, (values) => values.map((v) => 1.01 * v));
    const [a, b] = [fixture.inside('gs1.zip'), fixture.inside('near.zip')];
    const { statistics, patterns } = await compareForward(a, b, fixture.inside('scan.npz'), {
      n_test_groups: 8,
      execution,
    });
    expect(patterns).toBe(8);
    expect(statistics.identical).toBe(false);
    expect(statistics.difference.phase.max_abs).toBeGreaterThan(0);
    expect(statistics.relative_difference).toBeLessThan(0.2);
    expect(statistics.relative_difference_scaled).toBeLessThanOrEqual(statistics.relative_difference);
    const raw = await openDataset(fixture.inside('scan.npz'));
    try {
      const open = await compareForward(a, b, raw, { n_test_groups: 8, execution });
      expect(open.statistics).toEqual(statistics);
    } finally {
      await raw.close();
    }
  }, 60_000);

  it('gives the members of groups one by one to a network of single patterns', async () => {
    const [grouped, single] = [fixture.inside('gs2.zip'), fixture.inside('gs1.zip')];
    const of = (a: string, b: string) =>
      compareForward(a, b, fixture.inside('scan.npz'), { n_test_groups: 5, execution, batch_size: 2 });
    const there = await of(grouped, single);
    const back = await of(single, grouped);
    expect(there.patterns).toBe(20);
    expect(back.statistics.a).toEqual(there.statistics.b);
    expect(back.statistics.difference).toEqual(there.statistics.difference);
  }, 60_000);

  it('takes two bundles, no more and no less', () => {
    const forward = (over: object) => () => fixture.config('x', { forward: true, ...over });
    expect(forward({ pinn_dir: 'a' })).toThrow(/forward compares two bundles, but there are 1\./);
    expect(forward({ pinn_dir: 'a', baseline_dir: 'b', arms: ['c'] })).toThrow(/2 and 1 finished reconstructions/);
  });
});

describe('ForwardComparison', () => {
  it('knows means, spreads, phases about the circle, and the worst patch', () => {
    const comparison = new ForwardComparison(8);
    const patch = (phases: (i: number) => number, scale = 1) => ({
      re: Float32Array.from({ length: 64 }, (_, i) => scale * Math.cos(phases(i))),
      im: Float32Array.from({ length: 64 }, (_, i) => scale * Math.sin(phases(i))),
      shape: [1, 8, 8],
    });
    comparison.add(
      patch(() => 3.1),
      patch(() => -3.1),
    );
    comparison.add(
      patch((i) => i / 64, 2),
      patch((i) => i / 64, 1),
    );
    const { difference, patch_rms, worst_patch, a, relative_difference } = comparison.finish();
    // 3.1 and −3.1 are 0.083 apart, not 6.2.
    expect(difference.phase.max_abs).toBeCloseTo(2 * Math.PI - 6.2, 5);
    expect(difference.amplitude).toMatchObject({ max_abs: expect.closeTo(1, 5), mean_abs: expect.closeTo(0.5, 5) });
    expect(a.amplitude).toMatchObject({ mean: expect.closeTo(1.5, 5), std: expect.closeTo(0.5, 5) });
    expect(worst_patch).toBe(1);
    expect(patch_rms.max).toBeCloseTo(1, 5);
    expect(relative_difference).toBeCloseTo(Math.sqrt((1 + 2 * (1 - Math.cos(6.2))) / 5), 4);
  });

  it('finds what a common factor explains', () => {
    const comparison = new ForwardComparison(8);
    const re = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
    comparison.add({ re, im: new Float32Array(64), shape: [8, 8] }, { re: new Float32Array(64), im: re.map((v) => 3 * v), shape: [8, 8] }); // biome-ignore format: one call
    const { relative_difference, relative_difference_scaled } = comparison.finish();
    expect(relative_difference).toBeCloseTo(Math.sqrt(10), 5);
    expect(relative_difference_scaled).toBeCloseTo(0, 6);
  });
});
