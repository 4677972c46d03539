/** Overlap metrics: published vectors and golden numbers, the keys that are written, what is refused. */
import { describe, expect, it } from 'vitest';
import { computeOverlapMetrics, discOverlap, overlapSubset } from '../../src/evaluation/overlap.js';
import { openNpz } from '../../src/formats/npz.js';
import { probeFwhm } from '../../src/physics/probe.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { describeShared, sharedFile } from '../support/shared.js';

/** A lattice of n × n positions. */
function lattice(n: number, step: number) {
  const at = Array.from({ length: n * n }, (_, k) => [step * (k % n), step * Math.floor(k / n)]);
  return { xcoords: Float64Array.from(at, ([x]) => x), ycoords: Float64Array.from(at, ([, y]) => y) };
}
const code = (code: string, message: RegExp) =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

describe('discOverlap', () => {
  it.each([
    [5, 10, 0.391002],
    [3, 10, 0.623838],
    [7, 10, 0.18812],
    [20, 38.4, 0.368193],
    [0, 10, 1],
    [10, 10, 0],
    [11, 10, 0],
  ])('f(%f, %f) = %f', (d, D, f) => expect(discOverlap(d, D)).toBeCloseTo(f, 6));

  it('refuses what is no distance or diameter', () => {
    expect(() => discOverlap(1, 0)).toThrow(/positive/);
    expect(() => discOverlap(-1, 3)).toThrow(/from 0/);
  });
});

describeShared('golden overlap', () => {
  it('equals f(d) and the three metrics', async () => {
    const npz = await openNpz(sharedFile('golden', 'g_simulation.npz'));
    const numbers = async (key: string) =>
      Float64Array.from((await npz.readReal(key)).data as ArrayLike<number>, Number);
    const f = await numbers('ov_f_D10');
    const found = (await numbers('ov_d')).map((d) => discOverlap(d, 10));
    for (const [i, value] of f.entries()) expect(found[i]).toBeCloseTo(value, 12);
    const points = await numbers('ov_points');
    const column = (c: number) => points.filter((_, i) => i % 2 === c);
    const members = Int32Array.from(await numbers('ov_groups'));
    const metrics = computeOverlapMetrics(
      { xcoords: column(0), ycoords: column(1) },
      {
        gridsize: 2,
        s_img: 1,
        n_groups: members.length / 4,
        neighbor_count: (await numbers('ov_K'))[0],
        probe_diameter_px: (await numbers('ov_D'))[0],
        groups: { members, C: 4 },
      },
    );
    expect(metrics.metric_1_group_based_avg).toBeCloseTo((await numbers('ov_metric1_central_to_members'))[0], 12);
    expect(metrics.metric_2_image_based_avg).toBeCloseTo((await numbers('ov_metric2'))[0], 12);
    expect(metrics.metric_3_group_to_group_avg).toBeCloseTo((await numbers('ov_metric3'))[0], 12);
    expect(metrics).toMatchObject({ n_images_total: 69, n_unique_images: 64, n_groups_actual: 18 });
    await npz.close();
  });
});

describe('computeOverlapMetrics', () => {
  it('writes the published keys, without metric 1 for gridsize 1', () => {
    const one = computeOverlapMetrics(lattice(10, 4), {
      gridsize: 1,
      s_img: 0.5,
      n_groups: 20,
      N: 64,
      rng_seed_subsample: 3,
    });
    expect(Object.keys(one)).not.toContain('metric_1_group_based_avg');
    expect(one).toMatchObject({
      metrics_version: '1.0',
      neighbor_count: 6,
      probe_diameter_px: 38.4,
      probe_diameter_source: 'pattern_side',
      rng_seed_subsample: 3,
      n_images_total: 100,
      n_images_subsampled: 50,
      n_unique_images: 50,
      n_groups_actual: 20,
    });
    const two = computeOverlapMetrics(lattice(10, 4), { gridsize: 2, s_img: 0.5, n_groups: 20, probe_diameter_px: 12 });
    expect(Object.keys(two)).toContain('metric_1_group_based_avg');
    // 36² px for 50 discs of 113 px².
    expect(two.geometry_acceptance_bound).toBe(0.1);
    expect(two.effective_min_acceptance).toBe(0.1);
  });

  it('is what can be counted by hand', () => {
    // Two images 3 apart, and the same two again.
    const coords = { xcoords: Float64Array.of(0, 3, 0, 3), ycoords: new Float64Array(4) };
    const two = computeOverlapMetrics(coords, {
      gridsize: 2,
      s_img: 1,
      n_groups: 4,
      neighbor_count: 4,
      probe_diameter_px: 10,
    });
    const f = discOverlap(3, 10);
    // Each image has one other at its own place and two at distance 3.
    expect(two.metric_1_group_based_avg).toBeCloseTo((1 + 2 * f) / 3, 12);
    expect(two.metric_2_image_based_avg).toBeCloseTo(f, 12);
    expect(two.n_unique_images).toBe(2);
    expect(two.geometry_acceptance_bound).toBe(0);
    expect(two.effective_min_acceptance).toBeGreaterThan(0);
    const alone = computeOverlapMetrics({ xcoords: Float64Array.of(5), ycoords: Float64Array.of(5) }, { gridsize: 1, s_img: 1, n_groups: 9, probe_diameter_px: 10 }); // biome-ignore format: one call
    expect(alone).toMatchObject({ metric_2_image_based_avg: 0, metric_3_group_to_group_avg: 0, n_groups_actual: 1 });
  });

  it('grows with overlap and never gates', () => {
    const of = (step: number) =>
      computeOverlapMetrics(lattice(12, step), { gridsize: 2, s_img: 1, n_groups: 100, probe_diameter_px: 20 });
    expect(of(4).metric_2_image_based_avg).toBeGreaterThan(of(8).metric_2_image_based_avg);
    expect(of(4).metric_1_group_based_avg).toBeGreaterThan(of(8).metric_1_group_based_avg as number);
    expect(of(1000)).toMatchObject({
      metric_1_group_based_avg: 0,
      metric_2_image_based_avg: 0,
      metric_3_group_to_group_avg: 0,
    });
  });

  it('draws the same images as n_subsample, whatever rounding does', () => {
    expect(overlapSubset(100, 0.29, 0)).toHaveLength(29);
    expect(overlapSubset(10, 0.55, 0)).toHaveLength(5);
    // np.random.seed(42); np.sort(np.random.permutation(10)[:4])
    expect([...overlapSubset(10, 0.4, 42)]).toEqual([1, 5, 0, 8].sort((a, b) => a - b));
  });

  it('knows the width of a probe', () => {
    expect(probeFwhm(makeProbe('structured', { side: 64, diameter: 20 }))).toBeCloseTo(20, 0);
    const metrics = computeOverlapMetrics(lattice(4, 3), { gridsize: 1, s_img: 1, n_groups: 4, probe: makeProbe('gaussian', { side: 64, diameter: 15 }), N: 64 }); // biome-ignore format: one call
    expect(metrics.probe_diameter_source).toBe('probe');
    expect(metrics.probe_diameter_px).toBeCloseTo(15, 0);
  });

  it.each([
    [{ gridsize: 3 }, 'CONFIG_INVALID', /gridsize must be 1 or 2/],
    [{ s_img: 0 }, 'CONFIG_INVALID', /s_img must be/],
    [{ s_img: 1.1 }, 'CONFIG_INVALID', /s_img must be/],
    [{ n_groups: 0 }, 'CONFIG_INVALID', /n_groups must be a positive integer/],
    [{ neighbor_count: 3 }, 'CONFIG_INVALID', /neighbor_count is 3, but a group of gridsize 2 has 4/],
    [{ probe_diameter_px: -1 }, 'CONFIG_INVALID', /probe_diameter_px must be/],
    [{ probe_diameter_px: null }, 'CONFIG_INVALID', /diameter is not known/],
    [{ s_img: 0.001 }, 'DATASET_VALUE', /keeps none of the 25 images/],
  ])('refuses %o', (over, error, message) => {
    const options = { gridsize: 2, s_img: 1, n_groups: 5, probe_diameter_px: 10, ...over };
    let thrown: unknown;
    try {
      computeOverlapMetrics(lattice(5, 4), options);
    } catch (e) {
      thrown = e;
    }
    expect(thrown).toEqual(code(error, message));
  });

  it('refuses coordinates that do not fit', () => {
    const run = (x: number[], y: number[]) => () =>
      computeOverlapMetrics({ xcoords: Float64Array.from(x), ycoords: Float64Array.from(y) }, { gridsize: 1, s_img: 1, n_groups: 1, N: 64 }); // biome-ignore format: one call
    expect(run([1, 2], [1])).toThrow(/2 xcoords but 1 ycoords/);
    expect(run([1, Number.NaN], [1, 1])).toThrow(/NaN/);
  });
});
