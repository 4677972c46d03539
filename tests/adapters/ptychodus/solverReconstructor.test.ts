/** Iterative algorithms for a host: object, probe and positions in the input's geometry, previews, cancelling. */
import { describe, expect, it, vi } from 'vitest';
import { reconstructorLibraries, type SolverName } from '../../../src/adapters/ptychodus/library.js';
import type { ReconstructInput, ReconstructOutput } from '../../../src/adapters/ptychodus/types.js';
import { SOLVER_ALGORITHMS } from '../../../src/config/schemas/solver.js';
import { LegacyRng } from '../../../src/core/rng.js';
import type { ComplexTensor } from '../../../src/core/tensor.js';
import type { Product } from '../../../src/persistence/product/product.js';
import { totalIntensity } from '../../../src/physics/probe.js';
import { deviation, type HostInput, litPixels, N, OBJECT, shuffled, simulatedInput } from '../../support/hostInput.js';

const AREA = OBJECT.rows * OBJECT.cols;

/** 30 patterns, 6 px apart. */
const scan = () => simulatedInput(1e6, 5, 6);

/** The library with a solver whose settings are given, and what its log says. */
function solver(name: SolverName = 'PtychoPINN/rPIE', settings: Record<string, string | number | boolean> = {}) {
  const host = reconstructorLibraries();
  const texts = Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, String(value)]));
  host.settings.fromTexts({
    PtychoPINNSolver: texts,
    PtychoPINNNode: { Threads: '1', Accelerator: 'cpu', PreviewSeconds: '0.1' },
  });
  const said: string[] = [];
  for (const { logger } of host.libraries) logger.onRecord(({ level, message }) => said.push(`${level} ${message}`));
  return { host, reconstructor: host.find(name), said };
}

async function all(outputs: AsyncIterable<ReconstructOutput>): Promise<ReconstructOutput[]> {
  const seen: ReconstructOutput[] = [];
  for await (const output of outputs) seen.push(output);
  return seen;
}

async function last(outputs: AsyncIterable<ReconstructOutput>): Promise<ReconstructOutput> {
  const seen = await all(outputs);
  return seen[seen.length - 1];
}

function withProduct(input: HostInput, change: Partial<Product>): HostInput {
  return { ...input, product: { ...input.product, ...change } };
}

function withProbe(input: HostInput, array: ComplexTensor, more: object = {}): HostInput {
  return withProduct(input, { probe: { ...input.product.probe, array, ...more } });
}

/** Offsets of positions from others, root mean square, pixels; a common one is one of the object. */
function distance_px(a: Product['positions'], b: Product['positions']): number {
  const offsets = [a.x_m.map((x, k) => (x - b.x_m[k]) / OBJECT.width_m), a.y_m.map((y, k) => (y - b.y_m[k]) / OBJECT.height_m)]; // biome-ignore format: one call
  const variances = offsets.map((d) => {
    const mean = d.reduce((s, v) => s + v, 0) / d.length;
    return d.reduce((s, v) => s + (v - mean) ** 2, 0) / d.length;
  });
  return Math.sqrt(variances[0] + variances[1]);
}

describe('the product of a solver', () => {
  // The empty object has 0.234.
  it.each([
    ['PtychoPINN/rPIE', {}],
    ['PtychoPINN/ePIE', {}],
    ['PtychoPINN/PIE', {}],
    ['PtychoPINN/LSQML', {}],
    ['PtychoPINN/DM', { ObjectRegularisation: 0.005, ProbeRegularisation: 0.005 }],
  ] as const)('%s: has the truth where the input has its object', async (name, settings) => {
    const input = scan();
    const given = input.product;
    const { reconstructor, said } = solver(name, { ...settings, NumEpochs: 30 });
    const { product, result, progress, progressGoal } = await last(reconstructor.reconstruct(input));
    expect([result, progress, progressGoal]).toEqual([0, 100, 100]);
    expect({ ...product.object, array: 0 }).toEqual({ ...given.object, array: 0 });
    const { array } = product.object;
    expect(array.shape).toEqual([1, OBJECT.rows, OBJECT.cols]);
    const lit = litPixels(input);
    const found = deviation(array, input.truth, lit);
    expect(found.error).toBeLessThan(0.11);
    expect(Math.hypot(...found.shift_px)).toBeLessThan(0.15);
    // Far from the light the input's values stay.
    expect([array.re[AREA - 1], array.im[AREA - 1]]).toEqual([1, 0.25]);
    expect(array.re.subarray(95 * OBJECT.cols)).toEqual(given.object.array.re.subarray(95 * OBJECT.cols));
    // The probe has the power of the counts, the input's shape and pixels; positions and the rest are the input's.
    expect(product.probe.array.shape).toEqual([1, 1, N, N]);
    expect(product.probe.pixel).toEqual(given.probe.pixel);
    expect(product.probe.array.re).not.toEqual(given.probe.array.re);
    expect([product.positions, product.metadata]).toEqual([given.positions, given.metadata]);
    const { epochs, values } = product.losses;
    expect([...epochs]).toEqual(Array.from({ length: 30 }, (_, i) => i + 1));
    expect(values[29]).toBeLessThan(0.3 * values[0]);
    expect(said.join()).toContain(`${reconstructor.name}: 30 of 30 epochs`);
    // The input is as it was.
    expect(given.object.array.re.every((v) => v === 1)).toBe(true);
  });

  it('is the same whatever the order of patterns and positions, and other where they are paired wrongly', async () => {
    const input = scan();
    const { reconstructor } = solver('PtychoPINN/LSQML', { NumEpochs: 3 });
    const a = await last(reconstructor.reconstruct(input));
    const b = await last(reconstructor.reconstruct(shuffled(input, (i) => 3 * i + 2)));
    expect(b.product.object.array).toEqual(a.product.object.array);
    expect(b.product.probe.array).toEqual(a.product.probe.array);
    const mixed = shuffled(input);
    const c = await last(reconstructor.reconstruct({ ...mixed, patterns: { ...mixed.patterns, indexes: undefined } }));
    expect(c.product.object.array).not.toEqual(a.product.object.array);
  });

  it('does not change with what bad pixels hold', async () => {
    const input = scan();
    const { reconstructor } = solver('PtychoPINN/rPIE', { NumEpochs: 2 });
    const badPixels = new Uint8Array(N * N);
    badPixels.fill(1, 30 * N + 20, 30 * N + 24);
    const data = Int32Array.from(input.patterns.data, (v, i) => (badPixels[i % (N * N)] ? 1e6 : v));
    const hot: HostInput = { ...input, patterns: { ...input.patterns, data } };
    const clean = await last(reconstructor.reconstruct({ ...input, badPixels }));
    expect((await last(reconstructor.reconstruct({ ...hot, badPixels }))).product.object).toEqual(clean.product.object);
    // Frozen pixels are found without the mask.
    expect((await last(reconstructor.reconstruct(hot))).product.object).toEqual(clean.product.object);
  });

  it('begins with the object and the probe of the input', async () => {
    const input = scan();
    const { reconstructor } = solver('PtychoPINN/rPIE', { NumEpochs: 1 });
    const cold = await last(reconstructor.reconstruct(input));
    const { re, im } = input.truth;
    const object = { ...input.product.object, array: { re, im, shape: [1, OBJECT.rows, OBJECT.cols] } };
    const warm = await last(reconstructor.reconstruct(withProduct(input, { object })));
    expect(warm.product.losses.values[0]).toBeLessThan(0.3 * cold.product.losses.values[0]);
    const lit = litPixels(input);
    expect(deviation(warm.product.object.array, input.truth, lit).error).toBeLessThan(0.05);
    expect(deviation(cold.product.object.array, input.truth, lit).error).toBeGreaterThan(0.15);
    // Another probe, another start.
    const flat = { re: new Float32Array(N * N).fill(1), im: new Float32Array(N * N), shape: [1, 1, N, N] };
    const wrong = await last(reconstructor.reconstruct(withProbe(input, flat)));
    expect(wrong.product.losses.values[0]).toBeGreaterThan(2 * cold.product.losses.values[0]);
  });

  it('does without an object or a probe that holds nothing, and says so', async () => {
    const input = scan();
    const { reconstructor, said } = solver('PtychoPINN/rPIE', { NumEpochs: 20 });
    const { object, probe } = input.product;
    const zero = (shape: readonly number[]) => {
      const n = shape.reduce((a, b) => a * b);
      return { re: new Float32Array(n), im: new Float32Array(n), shape };
    };
    const nothing = withProbe(
      withProduct(input, { object: { ...object, array: zero(object.array.shape) } }),
      zero(probe.array.shape),
    );
    const { product } = await last(reconstructor.reconstruct(nothing));
    expect(said.join()).toContain('The object of the product "test" is 0 or not finite');
    expect(said.join()).toContain('The probe of the product "test" is no light that could be begun with');
    expect(totalIntensity(product.probe.array)).toBeGreaterThan(1e4);
    expect(product.losses.values[19]).toBeLessThan(0.5 * product.losses.values[0]);
    expect(product.object.array.re.every(Number.isFinite)).toBe(true);
  });

  it('has as many modes as the input, or as the settings ask for', async () => {
    const input = scan();
    const { array } = input.product.probe;
    const two = {
      re: Float32Array.from([...array.re, ...array.re.map((v, i) => 0.2 * v * ((i % N) - N / 2))]),
      im: Float32Array.from([...array.im, ...array.im.map((v, i) => 0.2 * v * ((i % N) - N / 2))]),
      shape: [1, 2, N, N],
    };
    const { reconstructor } = solver('PtychoPINN/LSQML', { NumEpochs: 2 });
    const kept = await last(reconstructor.reconstruct(withProbe(input, two)));
    expect(kept.product.probe.array.shape).toEqual([1, 2, N, N]);
    expect(kept.product.probe.array.re.subarray(N * N).some((v) => v !== 0)).toBe(true);
    const three = solver('PtychoPINN/LSQML', { NumEpochs: 2, ProbeModes: 3 }).reconstructor;
    expect((await last(three.reconstruct(input))).product.probe.array.shape).toEqual([1, 3, N, N]);
  });

  it('has one probe for all positions, and says so where the input has several', async () => {
    const input = scan();
    const { array } = input.product.probe;
    const [n] = input.patterns.shape;
    const coherent = {
      re: Float32Array.from([...array.re, ...array.re]),
      im: Float32Array.from([...array.im, ...array.im]),
      shape: [2, 1, N, N],
    };
    const { reconstructor, said } = solver('PtychoPINN/rPIE', { NumEpochs: 1 });
    const opr_weights = { data: new Float64Array(2 * n).fill(0.5), shape: [n, 2] };
    const { product } = await last(reconstructor.reconstruct(withProbe(input, coherent, { opr_weights })));
    expect(product.probe.array.shape).toEqual([1, 1, N, N]);
    expect(product.probe.opr_weights).toBeUndefined();
    expect(said.join()).toContain('The probe had 2 coherent (OPR) modes; rPIE makes one probe for all positions.');
    expect(said.join()).not.toContain('passed on');
  });

  it('keeps the layers, and loses what lies outside the object', async () => {
    const input = scan();
    const { object } = input.product;
    const layers = {
      ...object,
      array: {
        re: new Float32Array(2 * AREA).fill(2),
        im: new Float32Array(2 * AREA),
        shape: [2, OBJECT.rows, OBJECT.cols],
      },
      center_x_m: object.center_x_m + 65 * OBJECT.width_m,
      layer_spacing_m: Float64Array.of(1e-6),
    };
    const { reconstructor, said } = solver('PtychoPINN/rPIE', { NumEpochs: 1 });
    const made = (await last(reconstructor.reconstruct(withProduct(input, { object: layers })))).product.object;
    expect([made.array.shape, made.layer_spacing_m]).toEqual([[2, OBJECT.rows, OBJECT.cols], Float64Array.of(1e-6)]);
    // Where nothing was lit they are as they were.
    expect([made.array.re[AREA - 1], made.array.re[2 * AREA - 1]]).toEqual([2, 2]);
    expect(said.join()).toContain('the 2 layers of the object are changed alike');
    expect(said.join()).toMatch(/WARNING The image is larger than the object: \d+ of its pixels/);
    const elsewhere = { ...object, center_x_m: object.center_x_m + 400 * OBJECT.width_m };
    await expect(all(reconstructor.reconstruct(withProduct(input, { object: elsewhere })))).rejects.toThrow(
      'none of it lies on the object',
    );
  });
});

describe('positions', () => {
  it('are corrected where the settings ask for it, each at its place', async () => {
    const input = scan();
    const rng = new LegacyRng(3);
    const { x_m, y_m, indexes } = input.product.positions;
    const wrong = (values: Float64Array, pixel_m: number) =>
      values.map((v) => v + 1.2 * pixel_m * (2 * rng.random() - 1));
    const positions = { indexes, x_m: wrong(x_m, OBJECT.width_m), y_m: wrong(y_m, OBJECT.height_m) };
    const moved = withProduct(input, { positions });
    const before = distance_px(positions, input.product.positions);
    const settings = { NumEpochs: 30 };
    const still = await last(solver('PtychoPINN/LSQML', settings).reconstructor.reconstruct(moved));
    expect(still.product.positions).toEqual(positions);
    const { reconstructor } = solver('PtychoPINN/LSQML', { ...settings, PositionStart: 4 });
    const { product } = await last(reconstructor.reconstruct(moved));
    expect(distance_px(product.positions, input.product.positions)).toBeLessThan(0.3 * before);
    expect(product.positions.indexes).toEqual(indexes);
    // In any order, and with a position that no pattern belongs to, which stays.
    const mixed = shuffled(moved);
    const ofMixed = mixed.product.positions;
    const more = (values: Float64Array, value: number) => Float64Array.of(...values, value);
    const lonely = {
      indexes: Int32Array.of(...ofMixed.indexes, 99),
      x_m: more(ofMixed.x_m, 3e-6),
      y_m: more(ofMixed.y_m, -2e-6),
    };
    const again = (await last(reconstructor.reconstruct(withProduct(mixed, { positions: lonely })))).product.positions;
    expect([again.x_m[x_m.length], again.y_m[x_m.length]]).toEqual([3e-6, -2e-6]);
    ofMixed.indexes.forEach((index, row) => {
      expect(again.x_m[row]).toBe(product.positions.x_m[index]);
      expect(again.y_m[row]).toBe(product.positions.y_m[index]);
    });
  });
});

describe('previews and stopping', () => {
  it('shows whole epochs on the way, and ends with all of them', async () => {
    const { reconstructor } = solver('PtychoPINN/rPIE', { NumEpochs: 40 });
    // By a clock that looks move on; how often a run looks is counted first, while time stands still.
    const seenWith = async (step_ms: number) => {
      let looks = 0;
      const now = vi.spyOn(performance, 'now').mockImplementation(() => step_ms * looks++);
      const seen = await all(reconstructor.reconstruct(scan())).finally(() => now.mockRestore());
      return { seen, looks };
    };
    const still = await seenWith(0);
    expect(still.seen.length).toBeLessThan(4);
    // An epoch takes about 60 ms, so that a preview is due (0.1 s) after every other one.
    const { seen } = await seenWith((60 * 40) / still.looks);
    expect(seen.length).toBeGreaterThan(15);
    expect(seen.length).toBeLessThan(25);
    const progress = seen.map((output) => output.progress);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress.filter((p) => p === 100)).toHaveLength(1);
    for (const { product, progress: at, result } of seen) {
      expect(result).toBe(0);
      // As many losses as epochs.
      const epochs = product.losses.epochs.length;
      expect(Math.abs(at - (100 * epochs) / 40)).toBeLessThanOrEqual(1);
      expect(product.probe.array.shape).toEqual([1, 1, N, N]);
    }
  });

  it('ends with what was done when it is stopped', async () => {
    const input = scan();
    const stop = new AbortController();
    const { reconstructor } = solver('PtychoPINN/LSQML', { NumEpochs: 5000 });
    const seen: ReconstructOutput[] = [];
    for await (const output of reconstructor.reconstruct({ ...input, signal: stop.signal })) {
      seen.push(output);
      stop.abort();
    }
    expect(seen).toHaveLength(2);
    const [, { product, result, progress }] = seen;
    expect(result).toBe(130);
    expect(progress).toBeLessThan(100);
    expect(product.losses.values.length).toBeGreaterThan(0);
    expect(deviation(product.object.array, input.truth, litPixels(input)).error).toBeLessThan(0.3);
  });

  it('begins nothing when it was stopped before, and can be left', async () => {
    const input: ReconstructInput = scan();
    const { reconstructor } = solver('PtychoPINN/LSQML', { NumEpochs: 5000 });
    const [output, ...more] = await all(reconstructor.reconstruct({ ...input, signal: AbortSignal.abort() }));
    expect(more).toEqual([]);
    expect(output).toMatchObject({ result: 130, progress: 0 });
    expect(output.product).toBe(input.product);
    for await (const { progress } of reconstructor.reconstruct(input)) {
      expect(progress).toBeLessThan(100);
      break;
    }
  });

  it('computes as a tensor program where the settings say so', async () => {
    const input = scan();
    const host = await last(solver('PtychoPINN/rPIE', { NumEpochs: 2 }).reconstructor.reconstruct(input));
    const { reconstructor, said } = solver('PtychoPINN/rPIE', { NumEpochs: 2, Engine: 'program' });
    const { product } = await last(reconstructor.reconstruct(input));
    expect(said.join()).toMatch(/2 of 2 epochs in .* s \(.*onnx/i);
    const between = deviation(product.object.array, host.product.object.array, litPixels(input));
    expect(between.error).toBeLessThan(1e-3);
  });

  it('fails with the sentence of the solver', async () => {
    const input = scan();
    const data = new Int32Array(input.patterns.data.length);
    const { reconstructor } = solver();
    await expect(all(reconstructor.reconstruct({ ...input, patterns: { ...input.patterns, data } }))).rejects.toThrow(
      'has a single count',
    );
    const wide = solver('PtychoPINN/rPIE', { NoiseModel: 'salt' }).reconstructor;
    await expect(all(wide.reconstruct(input))).rejects.toThrow(
      'The setting PtychoPINNSolver/NoiseModel must be one of gaussian, poisson, got "salt"',
    );
    const { host, reconstructor: cold } = solver('PtychoPINN/rPIE');
    host.settings.fromTexts({ PtychoPINNNode: { Accelerator: 'steam' } });
    await expect(all(cold.reconstruct(input))).rejects.toThrow('accelerator must be');
    // A GPU for networks is none of the host engine's business.
    host.settings.fromTexts({
      PtychoPINNNode: { Accelerator: 'cuda' },
      PtychoPINNSolver: { Engine: 'host', NumEpochs: '1' },
    });
    expect((await last(cold.reconstruct(input))).result).toBe(0);
  });
});

it('has a reconstructor for every algorithm', () => {
  const { solvers } = reconstructorLibraries().libraries[0];
  expect(solvers.map(({ algorithm }) => algorithm)).toEqual([...SOLVER_ALGORITHMS]);
});
