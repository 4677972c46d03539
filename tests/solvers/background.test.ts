/** What detectors see beside the sample: what is found of it, written, and begun with again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { solveConfigSchema } from '../../src/config/schemas/solve.js';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { RawData } from '../../src/data/rawData.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { openNpz } from '../../src/formats/npz.js';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { rawDataFromSimulation } from '../../src/simulation/simulateScan.js';
import { startFrom } from '../../src/solvers/files/start.js';
import { writeSolved } from '../../src/solvers/files/write.js';
import { runSolver, type SolverResult } from '../../src/solvers/run.js';
import { smoothTerms } from '../../src/solvers/smoothTerms.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolverStart } from '../../src/solvers/updates.js';
import { simulate } from '../../src/workflows/simulate.js';

const N = 32;
const sim = simulate({
  ...{ object: 'dead_leaves', object_side_px: 84, N, probe_diameter_px: 10, step_px: 3.5, photons: 2e4, seed: 6 },
});
const clean = rawDataFromSimulation(sim);
const bounds = scanBounds(clean.xcoords, clean.ycoords);
/** A fifth of the counts, over the whole detector and off its middle. */
const scatter = Float64Array.from({ length: N * N }, (_, i) => {
  const [y, x] = [Math.floor(i / N) - 18, (i % N) - 13];
  return Math.exp(-(y * y + x * x) / 150) + 0.2;
});
const sum = scatter.reduce((total, v) => total + v, 0);
for (let i = 0; i < scatter.length; i++) scatter[i] *= (0.2 * 2e4) / sum;

/** The same scan with scatter, which is another one for every pattern by up to `change`. */
function scattered(change: number): RawData {
  const rng = new LegacyRng(9);
  const data = Float32Array.from({ length: clean.count * N * N }, (_, i) => {
    const k = Math.floor(i / (N * N));
    const more = 1 + change * Math.sin((2 * Math.PI * k) / 60) * (i % N < N / 2 ? 1 : -1);
    return rng.poisson(scatter[i % (N * N)] * more);
  });
  return {
    ...clean,
    patterns: {
      ...clean.patterns,
      ...{ count: clean.count, N },
      readAmplitudes: async (rows, out) => {
        await clean.patterns.readAmplitudes(rows, out);
        Array.from(rows).forEach((k, i) => {
          for (let p = 0; p < N * N; p++) out[i * N * N + p] = Math.sqrt(out[i * N * N + p] ** 2 + data[k * N * N + p]);
        });
      },
    },
  };
}

const errorOf = (solved: SolverResult) => scoreAgainstTruth(solved, sim.objectGuess, { bounds }).relative_object_error;
const run = (raw: RawData, options: Partial<SolverOptions>) =>
  runSolver(raw, { algorithm: 'lsqml', epochs: 24, ...options }, { threads: 1 });

it('smooth terms are 0 or more and add up to 1', () => {
  const terms = smoothTerms(N);
  for (let i = 0; i < N * N; i++) {
    let total = 0;
    for (let l = 0; l < 16; l++) total += terms[l * N * N + i];
    expect(total).toBeCloseTo(1, 6);
  }
  expect(terms.every((v) => v >= 0)).toBe(true);
  // The last is that of the far edges: the pixel before the middle of a plane whose corner is zero frequency.
  expect(terms[15 * N * N + (N / 2 - 1) * (N + 1)]).toBeCloseTo(1, 6);
});

describe('scatter of a fifth of the counts', () => {
  let folder: string;
  let solved: SolverResult;
  const raw = scattered(0);

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-background-'));
    solved = await run(raw, { background: 'pixel' });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is found where the sample sends little, nowhere below 0, and half of its error goes', async () => {
    const { data, shape } = solved.background!.pixels;
    expect(shape).toEqual([N, N]);
    expect(data.every((v) => v >= 0)).toBe(true);
    const rim = Array.from(data.keys()).filter((i) => Math.hypot(Math.floor(i / N) - 16, (i % N) - 16) > 13);
    const off = rim.reduce((total, i) => total + Math.abs(data[i] - scatter[i]), 0);
    expect(off / rim.reduce((total, i) => total + scatter[i], 0)).toBeLessThan(0.15);
    const without = await run(raw, {});
    expect(without.background).toBeUndefined();
    expect(errorOf(solved)).toBeLessThan(0.6 * errorOf(without));
  });

  it('is written and begun with again', async () => {
    const config = solveConfigSchema.parse({ test_data_file: 'scan.npz' });
    const facts = { algorithm: 'lsqml', raw, moved: false, history: solved.history } as const;
    const files = await writeSolved(folder, solved, { ...facts, pictures: { phaseRange: config, formats: ['png'] } });
    expect(files).toContain('background.png');
    const npz = await openNpz(path.join(folder, 'reconstruction.npz'));
    try {
      expect((await npz.readReal('background')).data).toEqual(solved.background!.pixels.data);
    } finally {
      await npz.close();
    }
    const start = await startFrom(folder, raw, config, {});
    const options = { algorithm: 'lsqml', background: 'pixel', epochs: 1 } as const;
    const [first] = (await runSolver(raw, options, { threads: 1, start })).history;
    expect(first.rFactor).toBeLessThan(1.1 * solved.rFactor);
    const { background: _, ...bare } = start;
    const [without] = (await runSolver(raw, options, { threads: 1, start: bare })).history;
    expect(without.rFactor).toBeGreaterThan(1.3 * first.rFactor);
  });
});

it('scatter that goes to and fro: smooth terms follow it', async () => {
  const raw = scattered(0.8);
  const [pixel, pattern] = [await run(raw, { background: 'pixel' }), await run(raw, { background: 'pattern' })];
  expect(pattern.background!.weights!.shape).toEqual([raw.count, 16]);
  expect(errorOf(pattern)).toBeLessThan(0.9 * errorOf(pixel));
});

describe('waves are held back', () => {
  const raw: RawData = { ...scattered(0), geometry: { energy_eV: 8000, objectPixel_m: { x: 1e-8, y: 1e-8 } } };
  const damp = async (options: Partial<SolverOptions>, start?: SolverStart) => {
    let found: readonly number[] = [];
    const given = { algorithm: 'rpie', background: 'pixel', background_start: 1, epochs: 2, ...options } as const;
    for await (const update of solve(raw, given, { threads: 1, start })) {
      found = Array.from(update.snapshot().arrays.background_damp);
    }
    return found;
  };
  const total = (values: readonly number[]) => values.reduce((all, v) => all + v, 0);

  it('as soon as they change the object', async () => {
    expect(Math.max(...(await damp({ object_start: 3 })))).toBe(0);
    expect(Math.max(...(await damp({ object_start: 3, epochs: 3 })))).toBeGreaterThan(0);
  });

  it('alike by one slice and by several', async () => {
    // Kept, so that it is the same.
    const start = { background: { pixels: { data: Float32Array.from(scatter), shape: [N, N] } } };
    const [one, two] = [
      await damp({ background_start: 9 }, start),
      await damp({ background_start: 9, slices: 2, slice_distance_m: 1e-9 }, start),
    ];
    expect(total(one)).toBeGreaterThan(0);
    expect(total(two) / total(one)).toBeGreaterThan(0.9);
    expect(total(two) / total(one)).toBeLessThan(1.1);
  });
});
