/** Reconstructing for a host: the object in the input's geometry, previews, cancelling, models. */
import { copyFile, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PtychoPinnReconstructorLibrary } from '../../../src/adapters/ptychodus/library.js';
import type { ReconstructInput, ReconstructOutput } from '../../../src/adapters/ptychodus/types.js';
import { sizeOf } from '../../../src/core/tensor.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { openBundle } from '../../../src/persistence/bundle.js';
import { TRAINED_ELSEWHERE } from '../../../src/persistence/content.js';
import { projection } from '../../../src/physics/layers.js';
import { PtychoModel } from '../../../src/reconstruction/ptychoModel.js';
import { train } from '../../../src/training/train.js';
import {
  type HostInput,
  mirroredInput,
  N,
  OBJECT,
  offCentreScan,
  productOf,
  shuffled,
  simulatedInput,
} from '../../support/hostInput.js';
import { mirrorBackend } from '../../support/mirrorBackend.js';

let folder: string;
let bundle: string;
const open: PtychoPinnReconstructorLibrary[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-host-'));
  const { patterns, product } = simulatedInput();
  const { xs, ys } = offCentreScan();
  const { array } = product.probe;
  const model = await train(
    {
      model: { n_filters_scale: 1 },
      nepochs: 2,
      batch_size: 4,
      execution: { accelerator: 'cpu', threads: 1 },
    },
    rawDataFromArrays({
      diffraction: patterns,
      xcoords: xs,
      ycoords: ys,
      probeGuess: { ...array, shape: [N, N] },
      measurement_domain: 'count_intensity',
    }),
  );
  bundle = await model.save(path.join(folder, 'run'));
  await model.dispose();
});
afterAll(async () => {
  for (const library of open) await library.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** `PINN` with the model open, on an engine that hands back what it is given, or a real one. */
async function pinn(engine: 'mirror' | 'onnx', wait?: (run: number) => Promise<void>) {
  const library = new PtychoPinnReconstructorLibrary(engine === 'mirror' ? { engine: mirrorBackend(wait) } : {});
  open.push(library);
  // Some inputs are patches of the truth, which look like the near field that they are.
  library.settings.fromTexts({ PtychoPINNNode: { Threads: '1', Accelerator: 'cpu', Accept: 'NEAR_FIELD' } });
  const said: string[] = [];
  library.logger.onRecord(({ level, message }) => said.push(`${level} ${message}`));
  const [reconstructor] = library.networks;
  await reconstructor.openModel(bundle);
  return { library, reconstructor, said };
}

async function all(outputs: AsyncIterable<ReconstructOutput>): Promise<ReconstructOutput[]> {
  const seen: ReconstructOutput[] = [];
  for await (const output of outputs) seen.push(output);
  return seen;
}

/** Pixels that a patch of the scan covers fully (whole N × N windows). */
function covered(): Uint8Array {
  const { rows, cols } = OBJECT;
  const inside = new Uint8Array(rows * cols);
  const { xs, ys } = offCentreScan();
  for (let i = 0; i < xs.length; i++) {
    const [top, left] = [Math.ceil(ys[i]) - N / 4, Math.ceil(xs[i]) - N / 4];
    for (let r = top; r < top + N / 2 - 1; r++) inside.fill(1, r * cols + left, r * cols + left + N / 2 - 1);
  }
  return inside;
}

describe('the object of the output', () => {
  it('has the image at the right pixels of the input object, to a fiftieth of a pixel', async () => {
    const input = mirroredInput();
    const { reconstructor, said } = await pinn('mirror');
    const [{ product, result, progress, progressGoal }] = (await all(reconstructor.reconstruct(input))).slice(-1);
    expect([result, progress, progressGoal]).toEqual([0, 100, 100]);
    const { object } = product;
    const given = input.product.object;
    expect(object.array.shape).toEqual([1, OBJECT.rows, OBJECT.cols]);
    expect({ ...object, array: 0 }).toEqual({ ...given, array: 0 });
    // What goes through the mirror is the truth times one factor.
    const { truth } = input;
    const inside = covered();
    const { rows, cols } = OBJECT;
    let [oo, ot] = [0, 0];
    for (let i = 0; i < inside.length; i++) {
      if (!inside[i]) continue;
      oo += object.array.re[i] * truth.re[i];
      ot += truth.re[i] ** 2;
    }
    const factor = oo / ot;
    expect(factor).toBeGreaterThan(0);
    // Least squares for a shift: out − f·truth ≈ −f·(dx ∂x + dy ∂y) truth.
    let [xx, yy, xy, dx, dy, worst] = [0, 0, 0, 0, 0, 0];
    let pixels = 0;
    for (let r = 1; r < rows - 1; r++) {
      for (let c = 1; c < cols - 1; c++) {
        const i = r * cols + c;
        if (!inside[i]) continue;
        pixels++;
        const [gx, gy] = [(truth.re[i + 1] - truth.re[i - 1]) / 2, (truth.re[i + cols] - truth.re[i - cols]) / 2];
        const d = truth.re[i] - object.array.re[i] / factor;
        worst = Math.max(worst, Math.abs(d), Math.abs(object.array.im[i] / factor));
        xx += gx * gx;
        yy += gy * gy;
        xy += gx * gy;
        dx += gx * d;
        dy += gy * d;
      }
    }
    expect(pixels).toBeGreaterThan(1500);
    const det = xx * yy - xy * xy;
    expect(Math.abs((yy * dx - xy * dy) / det)).toBeLessThan(0.02);
    expect(Math.abs((xx * dy - xy * dx) / det)).toBeLessThan(0.02);
    // Two bilinear interpolations of a smooth truth: up to ¼·|∂²truth| = ¼·0.6/8² each way.
    expect(worst).toBeLessThan(0.015);
    expect(said.join()).toContain('the others keep their values');
  });

  it('keeps the values of the input object where no patch reaches', async () => {
    const input = mirroredInput();
    const { reconstructor } = await pinn('mirror');
    const [{ product }] = (await all(reconstructor.reconstruct(input))).slice(-1);
    const { re, im } = product.object.array;
    const given = input.product.object.array;
    const last = re.length - 1;
    expect([re[last], im[last]]).toEqual([1, 0.25]);
    expect([re[0], im[0]]).toEqual([given.re[0], given.im[0]]);
    // The scan lies above row 80.
    expect(re.subarray(90 * OBJECT.cols)).toEqual(given.re.subarray(90 * OBJECT.cols));
    // And the input is as it was.
    expect(given.re.every((v) => v === 1)).toBe(true);
  });

  it('loses what lies outside the object, and says so; nothing on it is an error', async () => {
    const input = mirroredInput();
    const { reconstructor, said } = await pinn('mirror');
    const moved = (pixels: number): ReconstructInput => {
      const { object } = input.product;
      const center_x_m = object.center_x_m + pixels * OBJECT.width_m;
      return { ...input, product: { ...input.product, object: { ...object, center_x_m } } };
    };
    const [{ product }] = (await all(reconstructor.reconstruct(moved(60)))).slice(-1);
    expect(sizeOf(product.object.array.shape)).toBe(OBJECT.rows * OBJECT.cols);
    expect(said.join()).toMatch(/WARNING The image is larger than the object: \d+ of its pixels/);
    await expect(all(reconstructor.reconstruct(moved(400)))).rejects.toThrow('none of it lies on the object');
  });

  it('has the layers of the input, which come to the image', async () => {
    const input = mirroredInput();
    const { object } = input.product;
    const area = OBJECT.rows * OBJECT.cols;
    const two = {
      ...object,
      array: {
        re: new Float32Array(2 * area).fill(2),
        im: new Float32Array(2 * area),
        shape: [2, OBJECT.rows, OBJECT.cols],
      },
      layer_spacing_m: Float64Array.of(1e-6),
    };
    const { reconstructor, said } = await pinn('mirror');
    const outputs = await all(reconstructor.reconstruct({ ...input, product: { ...input.product, object: two } }));
    const made = outputs[outputs.length - 1].product.object;
    expect(made.array.shape).toEqual([2, OBJECT.rows, OBJECT.cols]);
    expect(made.layer_spacing_m).toEqual(two.layer_spacing_m);
    expect([made.array.re[area - 1], made.array.re[2 * area - 1]]).toEqual([2, 2]);
    expect(said.join()).toContain('The network makes a thin image; the 2 layers');
    // Their product is the image that an object of one layer gets.
    const thin = await all(reconstructor.reconstruct(input));
    const { array } = thin[thin.length - 1].product.object;
    const both = projection(made.array);
    const lit = Array.from(array.re).flatMap((re, p) =>
      re === object.array.re[p] && array.im[p] === object.array.im[p] ? [] : [p],
    );
    expect(lit.length).toBeGreaterThan(1000);
    for (const p of lit) {
      expect(both.re[p]).toBeCloseTo(array.re[p], 4);
      expect(both.im[p]).toBeCloseTo(array.im[p], 4);
    }
  });

  it('is the same whatever the order of patterns and positions', async () => {
    const input = simulatedInput();
    const { reconstructor } = await pinn('onnx');
    const [a] = (await all(reconstructor.reconstruct(input))).slice(-1);
    const [b] = (await all(reconstructor.reconstruct(shuffled(input)))).slice(-1);
    expect(b.product.object.array).toEqual(a.product.object.array);
    // Pairing by place would have made another image.
    const byPlace = { ...shuffled(input), patterns: { ...shuffled(input).patterns, indexes: undefined } };
    const [c] = (await all(reconstructor.reconstruct(byPlace))).slice(-1);
    expect(c.product.object.array).not.toEqual(a.product.object.array);
  });

  it('does not change with what bad pixels hold', async () => {
    const input = simulatedInput();
    const { reconstructor } = await pinn('onnx');
    const badPixels = new Uint8Array(N * N);
    for (const p of [32 * N + 30, 31 * N + 33, 5]) badPixels[p] = 1;
    const hot = input.patterns.data.map((v, i) => (badPixels[i % (N * N)] ? 60000 : v));
    const [a] = (await all(reconstructor.reconstruct({ ...input, badPixels }))).slice(-1);
    const burnt: HostInput = { ...input, patterns: { ...input.patterns, data: hot } };
    const [b] = (await all(reconstructor.reconstruct({ ...burnt, badPixels }))).slice(-1);
    expect(b.product.object.array).toEqual(a.product.object.array);
    // Frozen ones are found without the mask, those that flicker are refused.
    const [c] = (await all(reconstructor.reconstruct(burnt))).slice(-1);
    expect(c.product.object.array).toEqual(a.product.object.array);
    const flickering = hot.map((v, i) => (badPixels[i % (N * N)] ? v - 100 * (Math.floor(i / (N * N)) % 5) : v));
    const lively = { ...input, patterns: { ...input.patterns, data: flickering } };
    await expect(all(reconstructor.reconstruct(lively))).rejects.toMatchObject({ fields: { finding: 'HOT_PIXELS' } });
  });
});

describe('engines', () => {
  it('make the same image', async () => {
    const input = simulatedInput();
    const images = [];
    for (const backend of ['onnx', 'tensorflow'] as const) {
      const library = new PtychoPinnReconstructorLibrary({ backend });
      open.push(library);
      library.settings.fromTexts({ PtychoPINNNode: { Threads: '1', Accelerator: 'cpu' } });
      const [reconstructor] = library.networks;
      await reconstructor.openModel(bundle);
      const [{ product }] = (await all(reconstructor.reconstruct(input))).slice(-1);
      images.push(product.object.array);
    }
    const [a, b] = images;
    const worst = a.re.reduce((m, v, i) => Math.max(m, Math.abs(v - b.re[i]), Math.abs(a.im[i] - b.im[i])), 0);
    expect(worst).toBeLessThan(1e-5);
  });
});

describe('outputs', () => {
  it('pass probe and positions through and have the losses of the model', async () => {
    const input = simulatedInput();
    const { reconstructor } = await pinn('onnx');
    const [{ product }] = (await all(reconstructor.reconstruct(input))).slice(-1);
    expect(product.probe).toBe(input.product.probe);
    expect(product.positions).toBe(input.product.positions);
    expect(product.metadata).toBe(input.product.metadata);
    const { history } = await openBundle(bundle);
    expect(Array.from(product.losses.epochs)).toEqual([1, 2]);
    expect(Array.from(product.losses.values)).toEqual(history.map((row) => row.loss));
  });

  it('have the misfit of the image as their loss where the model brings no history', async () => {
    const content = await openBundle(bundle);
    const imported = { format: 'npz', sha256: '0'.repeat(64) } as const;
    const elsewhere = { ...content, imported, training: TRAINED_ELSEWHERE, history: [] };
    const file = await PtychoModel.of(elsewhere, mirrorBackend()).save(path.join(folder, 'elsewhere.zip'));
    const { reconstructor } = await pinn('onnx');
    await reconstructor.openModel(file);
    const [{ product }] = (await all(reconstructor.reconstruct(simulatedInput()))).slice(-1);
    expect(Array.from(product.losses.epochs)).toEqual([0]);
    expect(product.losses.values[0]).toBeGreaterThan(0);
    expect(product.losses.values[0]).toBeLessThan(2);
  });

  it('are previews until the last one', async () => {
    const input = mirroredManyInput();
    const { library, reconstructor } = await pinn('mirror', () => new Promise((wake) => setTimeout(wake, 120)));
    library.settings.fromTexts({ PtychoPINNNode: { PreviewSeconds: '0.1' } });
    const outputs = await all(reconstructor.reconstruct(input));
    expect(outputs.length).toBeGreaterThan(1);
    expect(outputs.map((o) => o.result)).toEqual(outputs.map(() => 0));
    const progress = outputs.map((o) => o.progress);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect(progress[0]).toBeLessThan(100);
    expect(progress[progress.length - 1]).toBe(reconstructor.progressGoal());
    for (const { preview, product } of outputs) {
      expect(preview?.re.some((v) => v > 0)).toBe(true);
      expect(product.object.array.shape).toEqual([1, OBJECT.rows, OBJECT.cols]);
      expect(product.losses.values).toHaveLength(2);
    }
  });

  it('end with what was done where the signal is aborted', async () => {
    const controller = new AbortController();
    const { reconstructor } = await pinn('mirror', async (run) => {
      if (run === 2) controller.abort();
    });
    const outputs = await all(reconstructor.reconstruct({ ...mirroredManyInput(), signal: controller.signal }));
    const last = outputs[outputs.length - 1];
    expect(last.result).not.toBe(0);
    expect(last.progress).toBeGreaterThan(0);
    expect(last.progress).toBeLessThan(100);
    expect(last.product.object.array.re.some((v) => v !== 1)).toBe(true);
    expect(last.product.losses.values).toHaveLength(2);
  });

  it('end with the input where it is aborted before the first patch', async () => {
    const input = simulatedInput();
    const { reconstructor } = await pinn('onnx');
    const outputs = await all(reconstructor.reconstruct({ ...input, signal: AbortSignal.abort() }));
    expect(outputs.map((o) => [o.result !== 0, o.progress])).toEqual([[true, 0]]);
    expect(outputs[0].product.object).toBe(input.product.object);
    expect(outputs[0].product.losses.values).toHaveLength(2);
  });

  it('come of a loop that may be left, and of a model that may be replaced meanwhile', async () => {
    const { library, reconstructor } = await pinn('mirror', () => new Promise((wake) => setTimeout(wake, 120)));
    library.settings.fromTexts({ PtychoPINNNode: { PreviewSeconds: '0.1' } });
    for await (const { result } of reconstructor.reconstruct(mirroredManyInput())) {
      expect(result).toBe(0);
      break;
    }
    const results: number[] = [];
    for await (const { result } of reconstructor.reconstruct(mirroredManyInput())) {
      if (results.length === 0) await reconstructor.openModel(bundle);
      results.push(result);
    }
    expect(results.length).toBeGreaterThan(1);
    expect(results.every((r) => r === 0)).toBe(true);
  });
});

describe('models', () => {
  it('are opened as file, as folder or as wts.h5.zip, and settings follow them', async () => {
    const other = path.join(folder, 'wts.h5.zip');
    await copyFile(bundle, other);
    const { library, reconstructor, said } = await pinn('mirror');
    expect(said.join('\n')).toContain('Settings follow the model: NumFiltersScale 2 → 1.');
    expect(library.settings.parameter('PtychoPINNModel', 'NumFiltersScale')?.value).toBe(1);
    expect(library.settings.parameter('PtychoPINNInference', 'ModelPath')?.value).toBe(bundle);
    const info = await reconstructor.loadModelFromFile(other);
    expect(info).toEqual({ path: other, N, gridsize: 1, modelType: 'pinn', architecture: 'cnn', backend: 'onnx' });
    expect(reconstructor.isModelLoaded()).toBe(true);
    expect((await reconstructor.openModel(path.dirname(bundle))).path).toBe(bundle);
    await expect(reconstructor.openModel(path.join(folder, 'none.zip'))).rejects.toThrow('none.zip');
    // What could not be opened changes nothing.
    expect(reconstructor.modelInfo?.path).toBe(bundle);
  });

  it('are saved as file or into a folder', async () => {
    const { reconstructor } = await pinn('mirror');
    const target = path.join(folder, 'saved', 'mine.zip');
    await reconstructor.saveModel(target);
    expect((await readFile(target)).equals(await readFile(bundle))).toBe(true);
    await reconstructor.saveModel(path.join(folder, 'saved'));
    expect((await stat(path.join(folder, 'saved', 'wts.zip'))).isFile()).toBe(true);
    expect(reconstructor.modelInfo?.path).toBe(path.join(folder, 'saved', 'wts.zip'));
  });

  it('are needed', async () => {
    const library = new PtychoPinnReconstructorLibrary({ engine: mirrorBackend() });
    const [reconstructor] = library.networks;
    expect(reconstructor.isModelLoaded()).toBe(false);
    await expect(all(reconstructor.reconstruct(simulatedInput()))).rejects.toThrow('No model is open');
    await expect(reconstructor.saveModel(path.join(folder, 'x.zip'))).rejects.toThrow('No model is open');
    // The setting is enough.
    library.settings.parameter('PtychoPINNInference', 'ModelPath')?.set(bundle);
    const outputs = await all(reconstructor.reconstruct(simulatedInput()));
    expect(outputs[outputs.length - 1].result).toBe(0);
    await library.dispose();
    expect(reconstructor.isModelLoaded()).toBe(false);
  });

  it('of the other kind reconstruct, with a warning; other sizes do not', async () => {
    const library = new PtychoPinnReconstructorLibrary({ engine: mirrorBackend() });
    const said: string[] = [];
    library.logger.onRecord(({ level, message }) => said.push(`${level} ${message}`));
    const [, supervised] = library.networks;
    await supervised.openModel(bundle);
    expect(said.join()).toContain('WARNING');
    expect(said.join()).toContain('was trained as pinn');
    const { xs, ys } = offCentreScan();
    const small = 32;
    const data = new Uint16Array(xs.length * small * small).fill(3);
    const probe = { re: new Float32Array(small ** 2).fill(1), im: new Float32Array(small ** 2), shape: [small, small] };
    const product = productOf(xs, ys, { ...probe });
    const input = {
      patterns: { data, shape: [xs.length, small, small] },
      product: { ...product, probe: { ...product.probe, array: { ...probe, shape: [1, 1, small, small] } } },
    };
    await expect(all(supervised.reconstruct(input))).rejects.toThrow(
      'patterns of 32×32 pixels, but the model was trained on 64×64',
    );
    await library.dispose();
  });

  it('that are damaged are refused in one sentence', async () => {
    const broken = path.join(folder, 'broken.zip');
    await writeFile(broken, 'PK no');
    const { reconstructor } = await pinn('mirror');
    await expect(reconstructor.openModel(broken)).rejects.toThrow(broken);
  });
});

/** The same with so many positions that there are several batches. */
function mirroredManyInput(): HostInput {
  const input = mirroredInput();
  const { data, shape } = input.patterns;
  const times = 8;
  const repeat = (values: Float64Array) =>
    Float64Array.from({ length: times * values.length }, (_, i) => values[i % values.length]);
  const many = new Float32Array(times * data.length);
  for (let k = 0; k < times; k++) many.set(data, k * data.length);
  const { x_m, y_m } = input.product.positions;
  const positions = {
    indexes: Int32Array.from({ length: times * x_m.length }, (_, i) => i),
    x_m: repeat(x_m),
    y_m: repeat(y_m),
  };
  return { patterns: { data: many, shape: [times * shape[0], N, N] }, product: { ...input.product, positions } };
}
