/** Objects of several slices, and scans of near fields, step by step against plain float64 sums; what is found, written and begun with again. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { solveConfigSchema } from '../../src/config/schemas/solve.js';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { LegacyRng } from '../../src/core/rng.js';
import type { ComplexImage } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import type { ScanGeometry } from '../../src/data/scanFile.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { projection } from '../../src/physics/layers.js';
import { totalIntensity } from '../../src/physics/probe.js';
import { transferFunction } from '../../src/physics/propagation.js';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { scoreR } from '../../src/reconstruction/rFactor.js';
import { readStoredImage } from '../../src/reconstruction/storedImage.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { drawTogether } from '../../src/solvers/corrections/sliceRegularisation.js';
import { startFrom } from '../../src/solvers/files/start.js';
import { writeSolved, writeSolvedProduct } from '../../src/solvers/files/write.js';
import { runSolver, type SolverResult } from '../../src/solvers/run.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolverSnapshot } from '../../src/solvers/updates.js';
import { dft, type Plain, shifted, through } from '../support/plainSolver.js';

const N = 32;
const COUNT = 100;
const SIDE = 96;
const rng = new LegacyRng(4);
const layers = [3, 4].map((seed) =>
  makeObject('random_field', {
    rows: SIDE,
    cols: SIDE,
    seed,
    amplitudeRange: [0.85, 1],
    phaseSpanRad: 1.6,
  }),
);
const P = makeProbe('structured', { side: N, diameter: 12, comaRad: 1 });
const xs = Float64Array.from({ length: COUNT }, (_, k) => 27 + 4 * (k % 10) + rng.uniform(-1, 1));
const ys = Float64Array.from({ length: COUNT }, (_, k) => 27 + 4 * Math.floor(k / 10) + rng.uniform(-1, 1));
const GEOMETRY: ScanGeometry = { energy_eV: 8000, objectPixel_m: { x: 1e-8, y: 1e-8 }, sliceDistance_m: 30e-6 };
const between = transferFunction(N, { wavelength_m: 1.549802e-10, distance_m: 30e-6, pixel_m: { x: 1e-8, y: 1e-8 } });

function patchOf({ re, im }: ComplexImage, row: number, column: number): Plain {
  const out = { re: new Float64Array(N * N), im: new Float64Array(N * N) };
  for (let i = 0; i < N * N; i++) {
    const at = (row - N / 2 + Math.floor(i / N)) * SIDE + column - N / 2 + (i % N);
    [out.re[i], out.im[i]] = [re[at], im[at]];
  }
  return out;
}

const product = (a: Plain, b: Plain): Plain => ({
  re: a.re.map((v, i) => v * b.re[i] - a.im[i] * b.im[i]),
  im: a.re.map((v, i) => v * b.im[i] + a.im[i] * b.re[i]),
});

/** Without noise, by plain sums. */
function scan() {
  const data = new Float32Array(COUNT * N * N);
  for (let k = 0; k < COUNT; k++) {
    const [row, column] = [Math.round(ys[k]), Math.round(xs[k])];
    const probe = { re: Float64Array.from(P.re), im: Float64Array.from(P.im) };
    const first = product(patchOf(layers[0], row, column), shifted(probe, N, ys[k] - row, xs[k] - column));
    const wave = product(patchOf(layers[1], row, column), through(first, N, between));
    const field = dft(wave, N, -1);
    for (let i = 0; i < N * N; i++) {
      const to = ((Math.floor(i / N) + N / 2) % N) * N + (((i % N) + N / 2) % N);
      data[k * N * N + to] = 100 * Math.hypot(field.re[i], field.im[i]);
    }
  }
  return rawDataFromArrays({
    ...{ diffraction: { data, shape: [COUNT, N, N] }, xcoords: xs, ycoords: ys, probeGuess: P, geometry: GEOMETRY },
    measurement_domain: 'count_amplitude',
  });
}

const raw = scan();
const OPTIONS: Partial<SolverOptions> = { algorithm: 'lsqml', slices: 2, epochs: 15 };
let folder: string;
let solved: SolverResult;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-slices-'));
  solved = await runSolver(raw, OPTIONS, { threads: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const errorOf = (image: ComplexImage, { frame }: SolverResult, truth: ComplexImage) =>
  scoreAgainstTruth({ image, frame }, truth, { bounds: scanBounds(xs, ys) }).relative_object_error;

function sliceOf({ layers: found, frame }: SolverResult, s: number): ComplexImage {
  const pixels = frame.height * frame.width;
  const cut = (part: Float32Array) => part.slice(s * pixels, (s + 1) * pixels);
  return { re: cut(found!.array.re), im: cut(found!.array.im), shape: [frame.height, frame.width] };
}

describe('slices of a thick object', () => {
  it('are found, each by itself and their product', async () => {
    const both = { re: [...layers[0].re, ...layers[1].re], im: [...layers[0].im, ...layers[1].im] };
    const array = { re: Float32Array.from(both.re), im: Float32Array.from(both.im), shape: [2, SIDE, SIDE] };
    const truth = projection(array);
    const thin = await runSolver(raw, { ...OPTIONS, slices: 1 }, { threads: 1 });
    expect(thin.layers).toBeUndefined();
    expect(errorOf(solved.image, solved, truth)).toBeLessThan(0.6 * errorOf(thin.image, thin, truth));
    expect(solved.rFactor).toBeLessThan(0.5 * thin.rFactor);
    for (const s of [0, 1]) {
      const [own, other] = [layers[s], layers[1 - s]].map((layer) => errorOf(sliceOf(solved, s), solved, layer));
      expect(own, `slice ${s}`).toBeLessThan(0.06);
      expect(other, `slice ${s}`).toBeGreaterThan(2 * own);
    }
  });

  it('by steps of the PIE family, too', async () => {
    const found = await runSolver(raw, { ...OPTIONS, algorithm: 'rpie' }, { threads: 1 });
    for (const s of [0, 1]) expect(errorOf(sliceOf(found, s), found, layers[s])).toBeLessThan(0.08);
  });

  it('explain patterns as evaluate measures it; their product does not', async () => {
    const { image, frame, coverage: weight, probe, positions, layers: found } = solved;
    const scoring = { limit: 100, probe, of: 'reconstruction', positions } as const;
    const thick = await scoreR(raw, { image, frame, weight, layers: found }, scoring);
    const thin = await scoreR(raw, { image, frame, weight }, scoring);
    // Patches between pixels are interpolated there, which costs such a grainy object more.
    expect(thick!.image).toBeLessThan(0.7 * thin!.image);
  });

  it('are written with pictures and as layers of a product, and begun with again', async () => {
    const config = solveConfigSchema.parse({ test_data_file: 'scan.npz' });
    const facts = { algorithm: 'lsqml', raw, moved: false, history: solved.history } as const;
    const files = await writeSolved(folder, solved, { ...facts, pictures: { phaseRange: config, formats: ['png'] } });
    expect(files).toContain('slices.png');
    const file = path.join(folder, 'product.h5');
    await writeSolvedProduct(file, solved, raw, { info: () => {}, warn: () => {} });
    const { object } = await readProductFile(file, { note: () => {} });
    expect(object.array.shape).toEqual([2, solved.frame.height, solved.frame.width]);
    expect([...object.layer_spacing_m]).toEqual([30e-6]);
    const { image } = await readStoredImage(file, 'the image');
    expect(image.re[1000]).toBeCloseTo(solved.image.re[1000], 5);
    for (const init of [folder, file]) {
      const start = await startFrom(init, raw, config, {});
      const first = async (slices: number) => {
        for await (const { rFactor } of solve(raw, { ...OPTIONS, slices, epochs: 1 }, { threads: 1, start })) {
          return rFactor;
        }
        return Number.NaN;
      };
      // Where little light fell it begins anew.
      const thick = await first(2);
      if (init === file) {
        expect(thick).toBeLessThan(6 * solved.rFactor);
        continue;
      }
      const thin = await first(1);
      expect(thick).toBeLessThan(0.6 * thin);
      // Another number of slices begins with an even share of the product.
      expect(await first(3)).toBeLessThan(1.3 * thin);
    }
  });

  it('go on to the byte, and are the same on two threads', async () => {
    const options = { ...OPTIONS, epochs: 4, slice_regularisation: 0.02, acceleration: 0.5, probe_modes: 2 };
    const states: SolverSnapshot[] = [];
    for await (const update of solve(raw, options, { threads: 1 })) states.push(update.snapshot());
    const again = await runSolver(raw, options, { threads: 1, resume: states[2] });
    expect(again.snapshot.arrays).toEqual(states[4].arrays);
    const two = await runSolver(raw, options, { threads: 2 });
    const power = totalIntensity(solved.image);
    const apart = totalIntensity({
      re: two.image.re.map((v, i) => v - again.image.re[i]),
      im: two.image.im.map((v, i) => v - again.image.im[i]),
    });
    expect(Math.sqrt(apart / power)).toBeLessThan(1e-4);
  });

  it('are refused where they cannot be, in a sentence', async () => {
    const refused = (options: Partial<SolverOptions>, scanned: typeof raw = raw) =>
      runSolver(scanned, { ...OPTIONS, ...options }, { threads: 1 }).catch((error: unknown) => String(error));
    expect(await refused({ algorithm: 'dm' })).toMatch(/slices: dm knows thin objects only; several slices need rpie/);
    expect(await refused({ algorithm: 'ml' })).toMatch(/slices: ml knows thin objects only; several slices need rpie/);
    expect(await refused({ ml_start: 5 })).toMatch(/ml_start: it is for thin objects only, and slices is 2/);
    for (const affine_rule of ['search', 'gain', 'published'] as const) {
      expect(await refused({ affine: true, affine_rule })).toMatch(
        /affine: it is for thin objects only, and slices is 2; leave one of them out/,
      );
    }
    const { sliceDistance_m: _, ...others } = GEOMETRY;
    expect(await refused({}, { ...raw, geometry: others })).toMatch(
      /memory: light that goes through 2 slices needs the distance of its slices \(slice_distance_m\); give it/,
    );
    expect(await refused({}, { ...raw, geometry: {} })).toMatch(
      /distance of its slices.*energy.*object pixel.*give them/,
    );
    expect(await refused({ epochs: 1, slice_distance_m: 30e-6 }, { ...raw, geometry: others })).toMatchObject({
      epoch: 1,
    });
  });
});

describe('drawing slices together', () => {
  const size = { height: 32, width: 48 };
  const slices = (period: number) =>
    [1, -1].map((sign) => {
      const angle = Float64Array.from(
        { length: 32 * 48 },
        (_, i) => 0.3 * sign * Math.cos((2 * Math.PI * (i % 48)) / period),
      );
      return {
        re: Float32Array.from(angle, (v) => 0.9 * Math.cos(v)),
        im: Float32Array.from(angle, (v) => 0.9 * Math.sin(v)),
      };
    });
  const spread = ([{ re, im }]: ReturnType<typeof slices>) => Math.max(...re.map((v, i) => Math.atan2(im[i], v)));

  it('makes coarse differences smaller and leaves fine ones, and the product', () => {
    const [coarse, fine] = [slices(48), slices(4)];
    drawTogether(coarse, size, 0.1);
    drawTogether(fine, size, 0.1);
    // k = 1/48: w·k_z/√(k² + 10⁻³) = 0.05/0.0379.
    const factor = 1 - (2 / Math.PI) * Math.atan((0.05 / Math.sqrt(1 / 48 ** 2 + 1e-3)) ** 2);
    expect(spread(coarse)).toBeCloseTo(0.3 * factor, 5);
    expect(spread(fine)).toBeGreaterThan(0.29);
    for (const [a, b] of [coarse, fine]) {
      a.re.forEach((v, i) => {
        expect(v * b.re[i] - a.im[i] * b.im[i]).toBeCloseTo(0.81, 5);
      });
    }
  });

  it('does nothing with weight 0', () => {
    const before = slices(48);
    const after = slices(48);
    drawTogether(after, size, 0);
    expect(Math.abs(spread(after) - spread(before))).toBeLessThan(1e-6);
  });
});
