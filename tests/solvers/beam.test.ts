/** Beams that drift and flicker: what is found, written and read again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { solveConfigSchema } from '../../src/config/schemas/solve.js';
import { parseRefinement, type SolverOptions } from '../../src/config/schemas/solver.js';
import type { ProgressEvent } from '../../src/core/log.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexTensor } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { openNpz } from '../../src/formats/npz.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { startFrom } from '../../src/solvers/files/start.js';
import { writeSolved, writeSolvedProduct } from '../../src/solvers/files/write.js';
import { runSolver, type SolverResult } from '../../src/solvers/run.js';
import { dft, shifted } from '../support/plainSolver.js';

const N = 32;
const COUNT = 144;
const rng = new LegacyRng(8);
const object = makeObject('lines', { rows: 96, cols: 96, seed: 1 });
const P = makeProbe('structured', { side: N, diameter: 12, comaRad: 1 });
const xs = Float64Array.from({ length: COUNT }, (_, k) => 24 + 4 * (k % 12) + rng.uniform(-1, 1));
const ys = Float64Array.from({ length: COUNT }, (_, k) => 24 + 4 * Math.floor(k / 12) + rng.uniform(-1, 1));
/** Weights of an astigmatism, as a drift, and the flux, as flicker. */
const weights = Float64Array.from(xs, (_, k) => 0.4 * Math.sin((2 * Math.PI * k) / 50));
const flux = Float64Array.from(xs, () => 1 + 0.15 * rng.uniform(-1, 1));

/** A flux that changes slowly, a period and a half over the scan. */
const slow = Float64Array.from(xs, (_, k) => 1 + 0.15 * Math.sin((3 * Math.PI * k) / COUNT + 0.7));

/** P as pattern k saw it. */
function beamOf(k: number): ComplexTensor {
  const factor = Math.sqrt(flux[k]);
  const re = new Float32Array(N * N);
  const im = new Float32Array(N * N);
  for (let i = 0; i < N * N; i++) {
    const [y, x] = [Math.floor(i / N) - N / 2, (i % N) - N / 2];
    const turn = (weights[k] * (x * x - y * y)) / 18;
    re[i] = factor * (P.re[i] - turn * P.im[i]);
    im[i] = factor * (P.im[i] + turn * P.re[i]);
  }
  return { re, im, shape: [N, N] };
}

/** Without noise, by plain sums. */
function scan(varying: boolean, factors?: Float64Array) {
  const data = new Float32Array(COUNT * N * N);
  const half = N / 2;
  for (let k = 0; k < COUNT; k++) {
    const { re, im } = varying ? beamOf(k) : P;
    const [row, column] = [Math.round(ys[k]), Math.round(xs[k])];
    const probe = { re: Float64Array.from(re), im: Float64Array.from(im) };
    const wave = shifted(probe, N, ys[k] - row, xs[k] - column);
    for (let i = 0; i < N * N; i++) {
      const o = (row - half + Math.floor(i / N)) * 96 + column - half + (i % N);
      const [a, b] = [wave.re[i], wave.im[i]];
      wave.re[i] = a * object.re[o] - b * object.im[o];
      wave.im[i] = a * object.im[o] + b * object.re[o];
    }
    const factor = Math.sqrt(factors?.[k] ?? 1);
    for (const part of [wave.re, wave.im]) part.forEach((v, i) => { part[i] = factor * v; }); // biome-ignore format: one loop
    const field = dft(wave, N, -1);
    for (let i = 0; i < N * N; i++) {
      const to = ((Math.floor(i / N) + half) % N) * N + (((i % N) + half) % N);
      data[k * N * N + to] = 100 * Math.hypot(field.re[i], field.im[i]);
    }
  }
  return rawDataFromArrays({
    diffraction: { data, shape: [COUNT, N, N] },
    xcoords: xs,
    ycoords: ys,
    probeGuess: P,
    measurement_domain: 'count_amplitude',
  });
}

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const mean = (v: ArrayLike<number>) => Array.from(v).reduce((sum, x) => sum + x, 0) / v.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (let k = 0; k < a.length; k++) {
    ab += (a[k] - ma) * (b[k] - mb);
    aa += (a[k] - ma) ** 2;
    bb += (b[k] - mb) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

/** values less their part along a function of length 1. */
function takeOut(values: Float64Array, one: Float64Array): void {
  const along = values.reduce((sum, v, k) => sum + v * one[k], 0);
  for (let k = 0; k < one.length; k++) values[k] -= along * one[k];
}

let folder: string;
let solved: SolverResult;
const raw = scan(true);
const OPTIONS: Partial<SolverOptions> = { algorithm: 'rpie', opr_modes: 1, flux: true, epochs: 40 };

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-beam-'));
  solved = await runSolver(raw, OPTIONS, { threads: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('beams of a scan', () => {
  it('are found: weights of the mode, and flux', async () => {
    const { beam } = solved;
    expect(beam!.modes.shape).toEqual([1, N, N]);
    expect(Math.abs(correlation(beam!.weights.data, weights))).toBeGreaterThan(0.97);
    // Patterns at the rim share little light with others: theirs is found last.
    expect(correlation(beam!.flux.data, flux)).toBeGreaterThan(0.85);
    const plain = await runSolver(raw, { ...OPTIONS, opr_modes: 0, flux: false }, { threads: 1 });
    expect(plain.beam).toBeUndefined();
    expect(solved.rFactor).toBeLessThan(0.6 * plain.rFactor);
  });

  it('stay alike where they are', async () => {
    const { beam } = await runSolver(scan(false), OPTIONS, { threads: 1 });
    const rms = (values: Float64Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / COUNT);
    expect(rms(beam!.flux.data.map((v) => v - 1))).toBeLessThan(0.04);
    expect(rms(beam!.weights.data)).toBeLessThan(0.1);
  });

  it('change slowly: all patterns at once find it, where batches are slow', async () => {
    const drifting = scan(false, slow);
    const options = { algorithm: 'rpie', flux: true, epochs: 60 } as const;
    const done: number[] = [];
    const onProgress = (event: ProgressEvent) => {
      if (event.stage === 'solving') done.push(event.done);
    };
    const [batches, all] = [
      await runSolver(drifting, options, { threads: 1 }),
      await runSolver(drifting, { ...options, ml_start: 21 }, { threads: 1, onProgress }),
    ];
    // Nor does it go back, and the last pass of an epoch is heard of, too.
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.filter((patterns) => patterns === 60 * COUNT).length).toBe(2);
    // Beside a trend, which object and probe may have as well.
    const off = ({ beam }: SolverResult) => {
      const left = Float64Array.from(beam!.flux.data, (v, k) => Math.log(v / slow[k]));
      const basis: Float64Array[] = [];
      for (const one of [xs.map(() => 1), ys.slice(), xs.slice()]) {
        for (const other of [...basis]) takeOut(one, other);
        const length = Math.sqrt(one.reduce((sum, v) => sum + v * v, 0));
        basis.push(one.map((v) => v / length));
      }
      for (const one of basis) takeOut(left, one);
      return Math.sqrt(left.reduce((sum, v) => sum + v * v, 0) / COUNT);
    };
    expect(off(all)).toBeLessThan(0.7 * off(batches));
  });

  it('are written and begun with again', async () => {
    const config = solveConfigSchema.parse({ test_data_file: 'scan.npz' });
    const facts = { algorithm: 'rpie', raw, moved: false, history: solved.history } as const;
    const files = await writeSolved(folder, solved, { ...facts, pictures: { phaseRange: config, formats: ['png'] } });
    expect(files).toEqual(expect.arrayContaining(['beam.png', 'opr_modes.png']));
    const npz = await openNpz(path.join(folder, 'reconstruction.npz'));
    try {
      expect((await npz.readReal('flux')).data).toEqual(solved.beam!.flux.data);
      expect((await npz.readReal('opr_weights')).shape).toEqual([COUNT, 1]);
    } finally {
      await npz.close();
    }
    const product = path.join(folder, 'product.h5');
    await writeSolvedProduct(product, solved, raw, { info: () => {}, warn: () => {} });
    const { probe } = await readProductFile(product, { note: () => {} });
    expect(probe.array.shape).toEqual([2, 1, N, N]);
    expect(probe.opr_weights!.shape).toEqual([COUNT, 2]);
    for (const init of [folder, product]) {
      const start = await startFrom(init, raw, config, {});
      expect(correlation(start.beam!.weights.data, solved.beam!.weights.data), init).toBeCloseTo(1, 6);
      expect(correlation(start.beam!.flux.data, solved.beam!.flux.data), init).toBeCloseTo(1, 6);
      const [first] = (await runSolver(raw, { ...OPTIONS, epochs: 1 }, { threads: 1, start })).history;
      expect(first.rFactor, init).toBeLessThan(1.3 * solved.rFactor);
      const [without] = (await runSolver(raw, { epochs: 1 }, { threads: 1, start })).history;
      expect(without.rFactor, init).toBeGreaterThan(1.5 * solved.rFactor);
    }
  });
});

describe('a refinement', () => {
  it('may name options', () => {
    expect(parseRefinement('lsqml:20,opr_modes=2,flux,opr_smooth=0,probe_modes=null')).toEqual({
      ...{ algorithm: 'lsqml', epochs: 20 },
      ...{ opr_modes: 2, flux: true, opr_smooth: 0, probe_modes: null },
    });
  });
});
