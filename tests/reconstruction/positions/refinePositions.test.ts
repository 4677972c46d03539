/** Positions fitted to an image: the programs against the host's physics, and a scan whose true positions are known. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../../src/backends/backend.js';
import { LegacyRng } from '../../../src/core/rng.js';
import type { ComplexTensor } from '../../../src/core/tensor.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { scoreAgainstTruth } from '../../../src/evaluation/score.js';
import { FIT_PRODUCTS, objectStepProgram, positionFitProgram } from '../../../src/model/positionFit.js';
import { DiffractionModel } from '../../../src/physics/detector.js';
import { extractPatches } from '../../../src/physics/sampling.js';
import { scanBounds } from '../../../src/reconstruction/frame.js';
import { PatchStitcher } from '../../../src/reconstruction/patchStitcher.js';
import { PositionSearch } from '../../../src/reconstruction/positions/positionFit.js';
import { type RefinePositionsOptions, refinePositions } from '../../../src/reconstruction/positions/refinePositions.js';
import { makeObject } from '../../../src/simulation/objects.js';
import { makeProbe } from '../../../src/simulation/probes.js';
import { makeScan } from '../../../src/simulation/scans.js';
import { simulateScan } from '../../../src/simulation/simulateScan.js';
import { backendCases } from '../../support/backends.js';

const N = 16;
const AREA = N * N;
const wave = (seed: number, shape: number[]): ComplexTensor => {
  const rng = new LegacyRng(seed);
  const values = () => Float32Array.from({ length: shape.reduce((a, b) => a * b) }, () => 0.3 + 0.5 * rng.random());
  return { re: values(), im: values(), shape };
};

/** Two incoherent modes that are dark at the border, so that shifting them wraps nothing around. */
function modes(): ComplexTensor {
  const one = makeProbe('structured', { side: N, diameter: 5, flatness: 1 });
  const both = (part: Float32Array, factor: number) =>
    Float32Array.from({ length: 2 * AREA }, (_, i) =>
      i < AREA ? 0.2 * part[i] : 0.2 * factor * part[i - AREA] * ((i % N) - N / 2),
    );
  return { re: both(one.re, 0.2), im: both(one.im, 0.3), shape: [2, N, N] };
}

/** Amplitude of an object window under the probe moved by (x, y), by the host's physics: a sum of cosines, as it is periodic. */
function amplitude(probe: ComplexTensor, object: ComplexTensor, x: number, y: number): Float64Array {
  const moved = { re: new Float64Array(2 * AREA), im: new Float64Array(2 * AREA), shape: probe.shape };
  const kernel = (z: number) => {
    let sum = 1 + Math.cos(Math.PI * z);
    for (let k = 1; k < N / 2; k++) sum += 2 * Math.cos((2 * Math.PI * k * z) / N);
    return sum / N;
  };
  for (let p = 0; p < 2; p++) {
    for (let i = 0; i < AREA; i++) {
      for (let j = 0; j < AREA; j++) {
        const ky = Math.floor(i / N) - Math.floor(j / N);
        const kx = (i % N) - (j % N);
        // The Nyquist frequency of a shifted line keeps its real part, as in cos(πd)·cos(πt).
        const w = shifted(kernel, ky, y) * shifted(kernel, kx, x);
        moved.re[p * AREA + i] += w * probe.re[p * AREA + j];
        moved.im[p * AREA + i] += w * probe.im[p * AREA + j];
      }
    }
  }
  const out = new Float64Array(AREA);
  new DiffractionModel(moved).intensity(object.re, object.im, 0, out);
  return out.map(Math.sqrt);
}
const shifted = (kernel: (z: number) => number, d: number, t: number) =>
  kernel(d - t) - (Math.cos(Math.PI * (d - t)) - Math.cos(Math.PI * d) * Math.cos(Math.PI * t)) / N;

describe.each(backendCases)('programs on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create(1);
  });
  afterAll(() => backend.dispose());

  const probe = modes();
  const object = wave(1, [1, 1, N, N]);
  const measured = wave(2, [1, 1, N, N]).re.map((v) => 0.2 * v);
  const badPixels = Uint8Array.from({ length: AREA }, (_, i) => Number(i % 7 === 0));
  const at = [0.3, -0.45] as const;
  const spec = { batch: 1, probe, badPixels, gaussian_smoothing_sigma: 0 };
  const feeds = (re = object.re) => ({
    object_real: { data: re, shape: object.shape },
    object_imag: { data: object.im, shape: object.shape },
    shift: { data: Float32Array.from(at), shape: [1, 2] },
    measured: { data: measured, shape: object.shape },
  });

  it('amplitude, its derivatives by the position and the residual', async () => {
    const compiled = await backend.compile(positionFitProgram(spec));
    const { products } = await compiled.run(feeds());
    const h = 1e-3;
    const near = (dx: number, dy: number) => amplitude(probe, object, at[0] + dx, at[1] + dy);
    const slope = (a: Float64Array, b: Float64Array) => a.map((v, i) => (v - b[i]) / (2 * h));
    const own = near(0, 0);
    const vectors = [
      own,
      slope(near(h, 0), near(-h, 0)),
      slope(near(0, h), near(0, -h)),
      own.map((v, i) => v - measured[i]),
    ].map((v) => v.map((x, i) => (badPixels[i] ? 0 : x)));
    expect(products.shape).toEqual([1, FIT_PRODUCTS, FIT_PRODUCTS]);
    vectors.forEach((a, i) => {
      vectors.forEach((b, j) => {
        const expected = a.reduce((s, v, k) => s + v * b[k], 0);
        const size = Math.hypot(...a) * Math.hypot(...b);
        expect(Math.abs(products.data[FIT_PRODUCTS * i + j] - expected)).toBeLessThan(2e-4 * size);
      });
    });
  });

  it('the step of the object is −½ of the gradient of the misfit', async () => {
    const compiled = await backend.compile(objectStepProgram(spec));
    const { step_real } = await compiled.run(feeds());
    const loss = (re: Float32Array) =>
      amplitude(probe, { ...object, re }, ...at).reduce(
        (s, v, i) => s + (badPixels[i] ? 0 : (v - measured[i]) ** 2),
        0,
      );
    for (const pixel of [AREA / 2 + N / 2, AREA / 2 + N / 2 + 3, 5 * N + 8]) {
      const moved = (by: number) => object.re.map((v, i) => (i === pixel ? v + by : v));
      const expected = -0.5 * ((loss(moved(0.01)) - loss(moved(-0.01))) / 0.02);
      expect(step_real.data[pixel]).toBeCloseTo(expected, 4);
      expect(Math.abs(expected)).toBeGreaterThan(1e-3);
    }
  });
});

describe('PositionSearch', () => {
  it('finds the minimum of a misfit, whatever the scale of the pattern', () => {
    // A(x, y) = u + x·v + y·w against 3·A(0.7, −1.6).
    const [u, v, w] = [
      [1, 2, 0.5, 1],
      [0.3, -0.2, 0.1, 0],
      [0, 0.1, 0.4, -0.2],
    ];
    const model = (x: number, y: number) => u.map((a, i) => a + x * v[i] + y * w[i]);
    const target = model(0.7, -1.6).map((a) => 3 * a);
    const search = new PositionSearch([0], [0]);
    for (let i = 0; i < 8; i++) {
      const own = model(search.xs[0], search.ys[0]);
      const vectors = [own, v, w, own.map((a, k) => a - target[k])];
      search.report(
        0,
        vectors.flatMap((a) => vectors.map((b) => a.reduce((s, x, k) => s + x * b[k], 0))),
      );
    }
    const { xs, ys, misfit, misfitBefore } = search.result();
    expect(xs[0]).toBeCloseTo(0.7, 3);
    expect(ys[0]).toBeCloseTo(-1.6, 3);
    expect(misfit).toBeLessThan(1e-6 * misfitBefore);
  });

  it('leaves a pattern that says nothing where it is', () => {
    const search = new PositionSearch([3], [4]);
    for (let i = 0; i < 3; i++) search.report(0, new Float32Array(16));
    expect([search.xs[0], search.ys[0]]).toEqual([3, 4]);
    expect(search.result()).toMatchObject({ misfit: 0, misfitBefore: 0 });
  });
});

describe('refinePositions', () => {
  const side = 32;
  const object = makeObject('lines', { rows: 72, cols: 72, seed: 3 });
  const { xs, ys } = makeScan('jittered_raster', { rows: 72, cols: 72, side, stepPx: 5, seed: 4 });
  const scan = simulateScan({
    object,
    probe: makeProbe('structured', { side, diameter: 11 }),
    xs,
    ys,
    photons: 1e6,
    seed: 5,
  });
  const raw = rawDataFromArrays({
    diffraction: scan.diffraction,
    xcoords: scan.xcoords.data,
    ycoords: scan.ycoords.data,
    probeGuess: scan.probeGuess,
    measurement_domain: 'count_amplitude',
    source: 'simulated',
  });
  const n = raw.count;
  const rng = new LegacyRng(6);
  const off = () => Float64Array.from({ length: n }, () => 3 * rng.random() - 1.5);
  const [dx, dy] = [off(), off()];
  const wrong = { xs: raw.xcoords.map((v, k) => v + dx[k]), ys: raw.ycoords.map((v, k) => v + dy[k]) };
  // What a perfect network would predict: right patches, at wrong places.
  const patches = extractPatches(object, raw.xcoords, raw.ycoords, side);
  const stitch: RefinePositionsOptions['stitch'] = async (x, y) => {
    const stitcher = new PatchStitcher(scanBounds(x, y), 16);
    stitcher.add(patches.re, patches.im, n, side, x, y);
    return stitcher.finish();
  };
  const mean = (v: ArrayLike<number>) => Array.from(v).reduce((a, b) => a + b) / v.length;
  const errorOf = (x: Float64Array, y: Float64Array) => {
    const [ex, ey] = [x.map((v, k) => v - raw.xcoords[k]), y.map((v, k) => v - raw.ycoords[k])];
    return mean(ex.map((v, k) => Math.hypot(v - mean(ex), ey[k] - mean(ey))));
  };
  const objectError = async (x: Float64Array, y: Float64Array) =>
    scoreAgainstTruth(await stitch(x, y), object, { bounds: scanBounds(raw.xcoords, raw.ycoords) })
      .relative_object_error;

  let backend: Backend;
  beforeAll(async () => {
    backend = await backendCases[0].create(1);
  });
  afterAll(() => backend.dispose());
  const options = (more: Partial<RefinePositionsOptions> = {}): RefinePositionsOptions => ({
    backend,
    patterns: raw.patterns,
    ...wrong,
    probe: scan.probeGuess,
    rounds: 4,
    batch_size: 16,
    stitch,
    ...more,
  });

  it('finds the positions back, and with them the object', async () => {
    const before = structuredClone([wrong, scan.probeGuess]);
    const { xs: x, ys: y, rounds, stitched, working } = await refinePositions(options());
    expect(errorOf(x, y)).toBeLessThan(0.4 * errorOf(wrong.xs, wrong.ys));
    expect(await objectError(x, y)).toBeLessThan(0.7 * (await objectError(wrong.xs, wrong.ys)));
    expect(stitched).toEqual(await stitch(x, y));
    expect(working?.image.shape).toEqual([working?.frame.height, working?.frame.width]);
    expect(rounds).toHaveLength(4);
    expect(rounds[3].misfit).toBeLessThan(0.5 * rounds[0].misfitBefore);
    expect(rounds[0].moved_px).toBeGreaterThan(rounds[3].moved_px);
    // No drift, and nothing that was given has changed.
    expect(mean(x) - mean(wrong.xs)).toBeCloseTo(0, 5);
    expect(mean(y) - mean(wrong.ys)).toBeCloseTo(0, 5);
    expect([wrong, scan.probeGuess]).toEqual(before);
  });

  it('keeps the limit, and moves only the members', async () => {
    const members = Array.from({ length: n - 3 }, (_, k) => k + 3);
    const { xs: x, ys: y } = await refinePositions(options({ rounds: 1, stepLimit_px: 0.5, members }));
    const moves = x.map((v, k) => Math.hypot(v - wrong.xs[k], y[k] - wrong.ys[k]));
    expect(Math.max(...moves)).toBeCloseTo(0.5, 5);
    expect(Array.from(moves.subarray(0, 3))).toEqual([0, 0, 0]);
  });

  it.each([
    [
      'an image to begin with',
      { stitched: 0 },
      'DATASET_VALUE',
      /an image with values that are not finite \(pixel 700 /,
    ],
    ['the image at the end', { stitched: 1 }, 'ENGINE_FAILURE', /after round 1 the image at the refined positions had/],
    ['a probe', { probe: true }, 'DATASET_VALUE', /was given a probe with values that are not finite/],
    ['positions', { xs: wrong.xs.map((x, k) => (k === 4 ? Number.NaN : x)) }, 'DATASET_VALUE', /was given positions/],
    ['patterns', { patterns: Number.NaN }, 'ENGINE_FAILURE', /not finite/],
  ] as const)('never hands on what is not finite: %s', async (_, broken, code, message) => {
    let calls = 0;
    const over: Partial<RefinePositionsOptions> =
      'stitched' in broken
        ? {
            stitch: async (x, y) => {
              const made = await stitch(x, y);
              if (calls++ === broken.stitched) made.image.re[700] = Number.NaN;
              return made;
            },
          }
        : 'probe' in broken
          ? { probe: { ...scan.probeGuess, re: scan.probeGuess.re.map((v, i) => (i === 9 ? Number.NaN : v)) } }
          : 'patterns' in broken
            ? {
                patterns: {
                  ...{ count: n, N: side, kind: 'amplitude' },
                  readAmplitudes: async (rows: Int32Array, into: Float32Array, scale?: number) => {
                    await raw.patterns.readAmplitudes(rows, into, scale);
                    if (rows.includes(5)) into[100] = broken.patterns;
                  },
                } as unknown as RefinePositionsOptions['patterns'],
              }
            : broken;
    const run = refinePositions(options({ rounds: 1, ...over }));
    await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('does nothing in no rounds, and refuses what does not fit', async () => {
    const { xs: x, rounds } = await refinePositions(options({ rounds: 0 }));
    expect([x, rounds]).toEqual([wrong.xs, []]);
    await expect(refinePositions(options({ xs: wrong.xs.slice(1) }))).rejects.toThrow(
      `a position for each of ${n} patterns`,
    );
    const signal = AbortSignal.abort();
    await expect(refinePositions(options({ signal }))).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
