/** The library: train, predict, save, open, reconstruct; nothing is global, nothing that is passed in changes. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadInferenceBundle, reassembleCdiImage, reconstructImage } from '../../src/adapters/compat/cdi.js';
import type { Backend } from '../../src/backends/backend.js';
import { inferenceConfigSchema } from '../../src/config/schema.js';
import type { Tensor } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { prepareScan } from '../../src/data/preparedScan.js';
import type { RawData } from '../../src/data/rawData.js';
import { writeZip } from '../../src/formats/zip.js';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { PatchStitcher } from '../../src/reconstruction/patchStitcher.js';
import { reconstructStream } from '../../src/reconstruction/pipeline.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { liveScanFor } from '../../src/reconstruction/reconstruct.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { makeScan } from '../../src/simulation/scans.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { type TrainingOptions, train } from '../../src/training/train.js';
import { reconstruct } from '../../src/workflows/reconstruct.js';
import { backendCases } from '../support/backends.js';

const N = 64;

function scan(seed: number): RawData {
  const object = makeObject('lines', { rows: 96, cols: 96, seed });
  const { xs, ys } = makeScan('jittered_raster', { rows: 96, cols: 96, side: N, stepPx: 11, seed });
  const simulated = simulateScan({
    ...{ object, xs, ys, photons: 1e5, seed },
    probe: makeProbe('structured', { side: N, diameter: 20 }),
  });
  return rawDataFromArrays({
    diffraction: simulated.diffraction,
    xcoords: simulated.xcoords.data,
    ycoords: simulated.ycoords.data,
    probeGuess: simulated.probeGuess,
    measurement_domain: 'count_amplitude',
    source: `scan ${seed}`,
  });
}

const freeze = <T extends object>(value: T): T => {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) freeze(part as object);
  return Object.freeze(value);
};
/** As a caller writes it: a part of a configuration, deeply frozen. */
const config = (gridsize = 1): TrainingOptions =>
  freeze({
    model: { n_filters_scale: 1, gridsize } as const,
    nepochs: 1,
    batch_size: 4,
    execution: { accelerator: 'cpu', threads: 1 } as const,
  });

const hash = (...arrays: readonly ArrayBufferView[]) => {
  const sum = createHash('sha256');
  for (const { buffer, byteOffset, byteLength } of arrays) sum.update(new Uint8Array(buffer, byteOffset, byteLength));
  return sum.digest('hex');
};

async function everything(raw: RawData): Promise<string> {
  const all = Int32Array.from({ length: raw.count }, (_, k) => k);
  const patterns = new Float32Array(raw.count * N * N);
  await raw.patterns.readAmplitudes(all, patterns);
  const { xcoords, ycoords, probeGuess } = raw;
  return hash(patterns, xcoords, ycoords, ...(probeGuess ? [probeGuess.re, probeGuess.im] : []));
}

const input = (B: number, C = 1): Tensor => ({
  data: Float32Array.from({ length: B * C * N * N }, (_, i) => Math.abs(Math.sin(i * 12.9898)) * 0.9),
  shape: [B, C, N, N],
});

let folder: string;
let backend: Backend;
let model: PtychoModel;
let raw: RawData;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-api-'));
  backend = await backendCases[0].create(1);
  raw = scan(1);
  model = await train(config(), raw, { backend });
}, 60_000);

afterAll(async () => {
  await model.dispose();
  await backend.dispose();
  await rm(folder, { recursive: true, force: true });
});

describe('train', () => {
  it('says what it did, and reports on the way', async () => {
    const stages = new Set<string>();
    const epochs: number[] = [];
    const other = await train(config(2), raw, {
      backend,
      onProgress: ({ stage }) => stages.add(stage),
      onEpoch: ({ epoch }) => void epochs.push(epoch),
    });
    expect(stages).toContain('training');
    expect(epochs).toEqual([1]);
    expect([other.gridsize, other.N]).toEqual([2, N]);
    expect(other.bundle.training.epochs).toBe(1);
    expect(other.info).toMatchObject({ backend: 'onnx', device: 'cpu', threads: 1 });
    // Offsets beyond those of the training scan get a larger canvas.
    const far = Float32Array.from([30, -30, -30, 30, 30, 30, -30, -30]);
    const patches = await other.predict(input(1, 4), { data: far, shape: [1, 4, 1, 2] });
    expect(patches.shape).toEqual([1, 4, N, N]);
    // The published layout has its channels last.
    const last = (x: Tensor): Tensor => {
      const [B, C, h, w] = x.shape;
      const data = x.data.map((_, i) => x.data[(i % C) * h * w + Math.floor(i / C)]);
      return { data, shape: [B, h, w, C] };
    };
    const published = await other.predict(last(input(1, 4)), last({ data: far, shape: [1, 4, 1, 2] }));
    expect(hash(published.re, published.im)).toBe(hash(patches.re, patches.im));
    await expect(other.predict(input(1, 4))).rejects.toThrow('needs the offsets');
    const nothing = other as unknown as { predict(x?: unknown, y?: unknown): Promise<unknown> };
    for (const given of [null, undefined, 7, 'patterns', {}, [], { data: [1, 2], shape: [1, 2] }]) {
      await expect(nothing.predict(given)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringMatching(/^Diffraction must be a tensor \{ data, shape \}/),
      });
    }
    await expect(nothing.predict(input(1, 4), 'here')).rejects.toMatchObject({ code: 'USAGE' });
    const broken = input(1, 4);
    broken.data[5] = Number.NaN;
    await expect(other.predict(broken, { data: far, shape: [1, 4, 1, 2] })).rejects.toMatchObject({
      code: 'DATASET_VALUE',
      message: expect.stringMatching(/Diffraction holds NaN \(value 5\)/),
    });
    await other.dispose();
    await expect(other.predict(input(1, 4), { data: far, shape: [1, 4, 1, 2] })).rejects.toMatchObject({
      code: 'USAGE',
    });
  });

  it('refuses configurations as the command line does', async () => {
    await expect(train({ nepochs: 0 }, raw)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    await expect(train({ epochs: 3 } as TrainingOptions, raw)).rejects.toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
    await expect(train(config(), path.join(folder, 'no.npz'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(train(config(), raw, { backend, signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });
});

describe('PtychoModel', () => {
  it('predicts the same bits from its file in another process', async () => {
    const file = await model.save(folder);
    expect(file).toBe(path.join(folder, 'wts.zip'));
    const { re, im } = await model.predict(input(3));
    const script = path.join(folder, 'again.mjs');
    await writeFile(
      script,
      `import { createHash } from 'node:crypto';
      const { PtychoModel } = await import(${JSON.stringify(pathToFileURL(path.resolve('dist/index.js')).href)});
      const model = await PtychoModel.open(${JSON.stringify(folder)}, { execution: { accelerator: 'cpu', threads: 1 } });
      const data = Float32Array.from({ length: 3 * ${N * N} }, (_, i) => Math.abs(Math.sin(i * 12.9898)) * 0.9);
      const { re, im } = await model.predict({ data, shape: [3, 1, ${N}, ${N}] });
      await model.dispose();
      console.log(createHash('sha256').update(new Uint8Array(re.buffer)).update(new Uint8Array(im.buffer)).digest('hex'));`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [script]);
    expect(stdout.trim()).toBe(hash(re, im));
  });

  it('takes the published call, and any number of groups', async () => {
    const X = input(33);
    const offsets = { data: new Float32Array(66), shape: [33, 1, 1, 2] };
    const before = hash(X.data, offsets.data);
    const modern = await model.predict(X, offsets);
    const scaled = { data: X.data.map((v) => v * model.intensityScale), shape: X.shape };
    const published = await model.predict([scaled, offsets]);
    expect(modern.shape).toEqual([33, 1, N, N]);
    const largest = modern.re.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    const off = published.re.reduce((m, v, i) => Math.max(m, Math.abs(v - modern.re[i])), 0);
    expect(off).toBeLessThan(1e-4 * largest);
    expect(largest).toBeGreaterThan(0);
    expect(hash(X.data, offsets.data)).toBe(before);
    await expect(model.predict({ data: X.data, shape: [33, N, N] })).rejects.toThrow('(B, 1, 64, 64)');
    await expect(model.predict(X, { data: new Float32Array(4), shape: [2, 1, 1, 2] })).rejects.toThrow('33 groups');
  });

  it('is not influenced by other models, nor do inputs change', async () => {
    const before = await everything(raw);
    const first = await model.predict(input(2));
    const second = await train({ ...config(), seed: 5 }, raw, { backend });
    // A folder that is not there yet, and a file.
    expect(await model.save(path.join(folder, 'new', 'run'))).toBe(path.join(folder, 'new', 'run', 'wts.zip'));
    const opened = await PtychoModel.open(await model.save(path.join(folder, 'first.zip')), { backend });
    const other = await second.predict(input(2));
    expect(hash(other.re)).not.toBe(hash(first.re));
    await second.dispose();
    const again = await model.predict(input(2));
    const twin = await opened.predict(input(2));
    await opened.dispose();
    // The engine is the caller's, and still runs.
    expect(hash((await model.predict(input(2))).re)).toBe(hash(first.re));
    expect(hash(again.re, again.im)).toBe(hash(first.re, first.im));
    expect(hash(twin.re, twin.im)).toBe(hash(first.re, first.im));
    expect(await everything(raw)).toBe(before);
  });
});

describe('loadInferenceBundle', () => {
  it('returns model and parameters, which are the caller’s', async () => {
    await model.save(folder);
    const { model: opened, params, backend: name, trainedBy } = await loadInferenceBundle(folder, { backend });
    expect(params).toMatchObject({ N, gridsize: 1, nepochs: 1, intensity_scale: opened.intensityScale });
    expect([name, trainedBy]).toEqual(['onnx', 'onnx']);
    params.N = 7;
    expect(opened.params.N).toBe(N);
    await opened.dispose();
  });

  it('says what is wrong with a path', async () => {
    const empty = await mkdtemp(path.join(folder, 'empty-'));
    await expect(loadInferenceBundle(path.join(folder, 'none'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(loadInferenceBundle(empty)).rejects.toThrow(/holds no wts\.zip/);
    await writeZip(path.join(empty, 'wts.h5.zip'), [{ name: 'manifest.dill', data: Uint8Array.of(1, 2, 3) }]);
    await expect(loadInferenceBundle(empty)).rejects.toMatchObject({ code: 'BUNDLE_INVALID' });
  });
});

describe('reconstruct', () => {
  const request = inferenceConfigSchema.parse({ model_path: '.', test_data_file: '.' });

  it('gives the image whole, as it grows, and from patterns that come one by one', async () => {
    const options = freeze({ stitch_crop_px: 20, batch_size: 4 });
    const before = await everything(raw);
    const { stitched, patterns, refined } = await reconstruct(model, raw, options);
    expect([patterns, refined]).toEqual([raw.count, undefined]);
    const previews = [];
    for await (const preview of reconstructStream(model, raw, { ...options, every: { patterns: 4 } })) {
      previews.push(preview);
    }
    expect(previews.length).toBeGreaterThan(1);
    expect(previews.at(-1)?.stitched.image).toEqual(stitched.image);
    const live = liveScanFor(model);
    const frames = new Float32Array(raw.count * N * N);
    await raw.patterns.readAmplitudes(
      Int32Array.from({ length: raw.count }, (_, k) => k),
      frames,
    );
    void live.push({ diffraction: { data: frames, shape: [raw.count, N, N] }, xs: raw.xcoords, ys: raw.ycoords });
    live.close();
    let last = 0;
    for await (const preview of reconstructStream(model, live, options)) last = preview.patterns;
    expect(last).toBe(raw.count);
    const refining = reconstructStream(model, raw, { refine_positions: 1 } as never);
    await expect(refining.next()).rejects.toThrow('use reconstruct');
    expect(await everything(raw)).toBe(before);
  });

  it('refines positions on request', async () => {
    const { refined, stitched } = await reconstruct(model, raw, { refine_positions: 1, position_step_limit_px: 0.5 });
    expect(refined?.rounds).toHaveLength(1);
    expect(refined?.stitched).toBe(stitched);
    const moves = refined?.xs.map((x, k) => Math.hypot(x - raw.xcoords[k], refined.ys[k] - raw.ycoords[k])) ?? [];
    expect(Math.max(...moves)).toBeGreaterThan(0);
    expect(Math.max(...moves)).toBeLessThanOrEqual(0.5 + 1e-6);
    await expect(reconstruct(model, raw, { refine_positions: 1, placement: { flip_x: true } })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
    });
  });

  it('reconstructImage and reassembleCdiImage see the same patches', async () => {
    const container = await prepareScan(raw, request, 1);
    const before = hash(container.groups.coordsNn, container.groups.coordsRelative);
    const { obj, global_offsets } = await reconstructImage(container, model);
    const options = { M: 20, patch_weighting: 'uniform', flip_x: true } as const;
    const { amplitude, results } = await reassembleCdiImage(container, model, options);
    expect(obj.shape).toEqual([raw.count, 1, N, N]);
    const difference = obj.re.map((v, i) => Math.abs(v - results.obj_tensor_full.re[i]));
    expect(difference.reduce((m, v) => Math.max(m, v))).toBeLessThan(1e-4);
    // A caller's own stitching of the published pair gives the published image.
    const [xs, ys] = [0, 1].map((axis) =>
      Float64Array.from({ length: raw.count }, (_, k) => (axis === 0 ? -1 : 1) * global_offsets.data[2 * k + axis]),
    );
    expect(Array.from(xs)).toEqual(Array.from({ length: raw.count }, (_, k) => results.global_offsets.data[2 * k]));
    const stitcher = new PatchStitcher(scanBounds(xs, ys), 20);
    stitcher.add(obj.re, obj.im, raw.count, N, xs, ys);
    const { image } = stitcher.finish();
    expect(image.shape).toEqual(amplitude.shape);
    const error = amplitude.data.map((v, i) => Math.abs(v - Math.hypot(image.re[i], image.im[i])));
    expect(error.reduce((m, v) => Math.max(m, v))).toBeLessThan(1e-4);
    expect(hash(container.groups.coordsNn, container.groups.coordsRelative)).toBe(before);
  });

  it('refuses a scan of another size', async () => {
    await expect(reconstruct(model, { ...raw, N: 128 })).rejects.toThrow('patterns of 128×128');
  });
});
