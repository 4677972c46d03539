/** `findOrientation`: the true orientation comes first for all eight presets, and what cannot be told is said. */
import { describe, expect, it } from 'vitest';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { openDataset } from '../../../src/data/openDataset.js';
import {
  type AxisOrientation,
  ORIENTATIONS,
  orientationFlags,
  orientPositions,
} from '../../../src/data/opening/orientation.js';
import { findOrientation } from '../../../src/data/orient/orient.js';
import type { RawData } from '../../../src/data/rawData.js';
import { makeObject } from '../../../src/simulation/objects.js';
import { makeProbe } from '../../../src/simulation/probes.js';
import { makeScan } from '../../../src/simulation/scans.js';
import { simulateScan } from '../../../src/simulation/simulateScan.js';
import { describeShared, sharedFile } from '../../support/shared.js';

const N = 32;

/** A small simulated scan; a curvature of 0 makes the probe real and symmetric. */
function simulated({ curvatureRad = 1.2, photons = 1e5 } = {}): RawData {
  const region = { rows: 90, cols: 90, side: N };
  const { xs, ys } = makeScan('jittered_raster', { ...region, stepPx: 4, seed: 2 });
  const scan = simulateScan({
    object: makeObject('lines', { rows: 90, cols: 90, seed: 1 }),
    probe: makeProbe('structured', { side: N, diameter: 12, curvatureRad }),
    xs,
    ys,
    photons,
    seed: 3,
    noise: 'poisson',
  });
  return rawDataFromArrays({
    diffraction: scan.diffraction,
    xcoords: scan.xcoords.data,
    ycoords: scan.ycoords.data,
    probeGuess: scan.probeGuess,
    measurement_domain: 'count_amplitude',
  });
}

/** The scan as a beamline with other axes would deliver it. */
function turned(raw: RawData, orientation: AxisOrientation): RawData {
  const { xs, ys } = orientPositions(orientation, raw.xcoords, raw.ycoords);
  return { ...raw, xcoords: xs, ycoords: ys };
}

/** What brings positions back that were turned: flips before an exchange become flips of the other axis after it. */
function inverse({ flip_x, flip_y, swap_xy }: AxisOrientation): AxisOrientation {
  return swap_xy ? { flip_x: flip_y, flip_y: flip_x, swap_xy } : { flip_x, flip_y, swap_xy };
}

const quick = { fields: 1, patterns: 24, passes: 2 };

describe('findOrientation', () => {
  const raw = simulated();

  it('has eight different presets, each undone by its inverse', () => {
    expect(new Set(ORIENTATIONS.map(orientationFlags)).size).toBe(8);
    for (const orientation of ORIENTATIONS) {
      const there = turned(raw, orientation);
      const back = turned(there, inverse(orientation));
      expect(back.xcoords).toEqual(raw.xcoords);
      expect(back.ycoords).toEqual(raw.ycoords);
    }
  });

  it.each(ORIENTATIONS.map((o) => [orientationFlags(o) || '(none)', o] as const))(
    'a scan turned by %s: the inverse comes first, clearly',
    async (_name, orientation) => {
      const found = await findOrientation(turned(raw, orientation), quick);
      expect(found.ranking[0].orientation).toEqual(inverse(orientation));
      expect(found.verdict).toBe('clear');
      expect(found.flags).toBe(orientationFlags(inverse(orientation)));
      expect(found.reasons).toEqual([]);
    },
  );

  it('ranks all eight, deterministically', async () => {
    const first = await findOrientation(raw, quick);
    expect(first.ranking).toHaveLength(8);
    expect(new Set(first.ranking.map((s) => s.flags)).size).toBe(8);
    const r = first.ranking.map((s) => s.rFactor);
    expect(r).toEqual([...r].sort((a, b) => a - b));
    expect(first.ranking[0]).toMatchObject({ behind: 0, standardErrors: 0 });
    expect(first.ranking[1].behind).toBeCloseTo(r[1] / r[0] - 1, 12);
    expect(first.ranking[0].rFactor).toBeLessThan(0.6 * first.constantRFactor);
    const again = await findOrientation(raw, quick);
    expect(again.ranking.map((s) => s.rFactor)).toEqual(r);
  });

  it('a probe without curvature and with symmetry: two orientations are left, and why', async () => {
    const found = await findOrientation(simulated({ curvatureRad: 0 }), quick);
    expect([found.verdict, found.flags]).toEqual(['undecided', null]);
    const [first, second] = found.ranking.map((s) => s.orientation);
    expect([first.flip_x, first.flip_y, first.swap_xy]).toEqual([!second.flip_x, !second.flip_y, second.swap_xy]);
    // The six others are ruled out.
    expect(found.ranking[2].behind).toBeGreaterThan(0.1);
    expect(found.reasons).toEqual([expect.stringMatching(/reflections of each other at a point/)]);
  });

  it('positions that have nothing to do with the patterns: undecided', async () => {
    const stride = (values: Float64Array) => Float64Array.from(values, (_, i) => values[(i * 101) % values.length]);
    const shuffled = { ...raw, xcoords: stride(raw.xcoords), ycoords: stride(raw.ycoords) };
    const found = await findOrientation(shuffled, quick);
    expect(found.verdict).toBe('undecided');
    expect(found.reasons).toContainEqual(expect.stringMatching(/explain the patterns equally well/));
    expect(found.reasons).toContainEqual(expect.stringMatching(/No orientation .*better than an empty object/));
  });

  it('patterns without overlap: says so', async () => {
    const far = { ...raw, xcoords: raw.xcoords.map((v) => 8 * v), ycoords: raw.ycoords.map((v) => 8 * v) };
    const found = await findOrientation(far, quick);
    expect(found.verdict).toBe('undecided');
    expect(found.reasons).toContainEqual(expect.stringMatching(/hardly overlap.*coord_scale/));
  });

  it('several probe modes and bad pixels take part', async () => {
    const single = raw.probeGuess!;
    const weak = single.re.map((v) => 0.1 * v);
    const probeGuess = {
      re: Float32Array.from([...weak, ...single.re]),
      im: Float32Array.from([...single.im.map((v) => 0.1 * v), ...single.im]),
      shape: [2, N, N],
    };
    const badPixels = new Uint8Array(N * N);
    badPixels.fill(1, 10 * N, 12 * N);
    const found = await findOrientation({ ...raw, probeGuess, badPixels }, quick);
    expect([found.verdict, found.flags]).toEqual(['clear', '']);
  });

  it('refuses what gives no answer, each in one sentence', async () => {
    await expect(findOrientation({ ...raw, probeGuess: undefined })).rejects.toMatchObject({
      code: 'DATASET_KEY_MISSING',
      message: expect.stringMatching(/--probe FILE/),
    });
    const metres = { ...raw, xcoords: raw.xcoords.map((v) => v * 1e-8), ycoords: raw.ycoords.map((v) => v * 1e-8) };
    await expect(findOrientation(metres)).rejects.toMatchObject({
      code: 'DATASET_UNITS',
      message: expect.stringMatching(/positions_unit m/),
    });
    await expect(findOrientation({ ...raw, count: 5 })).rejects.toMatchObject({ code: 'DATASET_SHAPE' });
    const zero = { re: new Float32Array(N * N), im: new Float32Array(N * N), shape: [N, N] };
    await expect(findOrientation({ ...raw, probeGuess: zero })).rejects.toMatchObject({ code: 'DATASET_VALUE' });
  });

  it('reports progress and stops when asked to', async () => {
    const controller = new AbortController();
    const seen: number[] = [];
    const search = findOrientation(raw, {
      ...quick,
      signal: controller.signal,
      onProgress: ({ done, total }) => {
        seen.push(done / total);
        if (done === 3) controller.abort();
      },
    });
    await expect(search).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(seen).toEqual([1 / 8, 2 / 8, 3 / 8]);
  });
});

describeShared('the measured star', () => {
  it.each(ORIENTATIONS.map((o) => [orientationFlags(o) || '(none)', o] as const))(
    'turned by %s: the inverse comes first',
    async (_name, orientation) => {
      const raw = await openDataset(sharedFile('data', 'siemens_star_128_subset96.npz'));
      try {
        const found = await findOrientation(turned(raw, orientation), { fields: 2, patterns: 16, passes: 1 });
        expect(found.ranking[0].orientation).toEqual(inverse(orientation));
        expect(found.verdict).toBe('clear');
        expect(found.sample).toMatchObject({ count: 32, fields: 2, side: 64 });
      } finally {
        await raw.close();
      }
    },
  );
});
