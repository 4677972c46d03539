/** Products from scans and images, scans from products. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inferenceConfigSchema, trainingConfigSchema } from '../../src/config/schema.js';
import {
  type ProductExportConfig,
  type ProductImportConfig,
  productExportConfigSchema,
  productImportConfigSchema,
} from '../../src/config/schemas/tools.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { openDataset } from '../../src/data/openDataset.js';
import type { RawData } from '../../src/data/rawData.js';
import { writeScan } from '../../src/data/scanWriter.js';
import { openNpz } from '../../src/formats/npz.js';
import { encodeModels, saveBundle } from '../../src/persistence/bundle.js';
import { patternsOf } from '../../src/persistence/product/arrays.js';
import { positionsOnObject } from '../../src/persistence/product/geometry.js';
import { readProductFile } from '../../src/persistence/product/readProduct.js';
import { writeProductFile } from '../../src/persistence/product/writeProduct.js';
import { projection } from '../../src/physics/layers.js';
import { networkOfBundle } from '../../src/reconstruction/networkSpec.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { exportProduct, importProduct, productInfo } from '../../src/workflows/product.js';
import { sampleProduct } from '../persistence/product/sampleProduct.js';
import { content } from '../persistence/sampleBundle.js';
import { describeFixtures, refuses } from '../support/formatFixtures.js';
import { writeHdf5 } from '../support/writeHdf5.js';

const N = 64;
let folder: string;
const file = (...parts: string[]) => path.join(folder, ...parts);

/** Collects what is logged. */
function listening() {
  const heard: string[] = [];
  const hear = (text: string) => heard.push(text);
  return { heard, services: { logger: { debug: hear, info: hear, warn: hear, error: hear } } };
}
const exporting = (source: string, over: object, services = {}) =>
  exportProduct(source, productExportConfigSchema.parse({ overwrite: true, ...over }) as ProductExportConfig, services);
const importing = (source: string, over: object, services = {}) =>
  importProduct(source, productImportConfigSchema.parse({ overwrite: true, ...over }) as ProductImportConfig, services);

async function using<T>(raw: Promise<RawData>, work: (raw: RawData) => T | Promise<T>): Promise<T> {
  const opened = await raw;
  try {
    return await work(opened);
  } finally {
    await opened.close();
  }
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-products-'));
  const object = makeObject('lines', { rows: 160, cols: 170, seed: 4 });
  const probe = makeProbe('structured', { side: N, diameter: 20 });
  const xs = Array.from({ length: 16 }, (_, k) => 50 + 6 * (k % 4) + 0.3 * (k % 3));
  const ys = Array.from({ length: 16 }, (_, k) => 60 + 6 * (k >> 2));
  const s = simulateScan({ object, probe, xs, ys, photons: 1e5, seed: 6 });
  const arrays = {
    diffraction: s.diffraction,
    xcoords: xs,
    ycoords: ys,
    probeGuess: s.probeGuess,
    measurement_domain: 'count_amplitude',
  } as const;
  const geometry = { objectPixel_m: { x: 2e-8, y: 2e-8 }, energy_eV: 9000, detectorDistance_m: 2 };
  await writeScan(file('scan.npz'), rawDataFromArrays({ ...arrays, geometry, objectGuess: object }));
  await writeScan(file('blind.npz'), rawDataFromArrays(arrays));
  const config = trainingConfigSchema.parse({ model: { N, gridsize: 1, n_filters_scale: 1 }, nepochs: 2 });
  const bundle = { ...content, config, canvasSide_px: N, probe };
  const network = networkOfBundle(bundle, N);
  await saveBundle(file('wts.zip'), { ...bundle, weights: network.initialWeights(5) }, encodeModels(network));
  await inferWorkflow(
    inferenceConfigSchema.parse({
      model_path: file('wts.zip'),
      test_data_file: file('scan.npz'),
      output_dir: file('image'),
      n_subsample: 12,
      seed: 3,
      batch_size: 4,
      r_factor_patterns: 0,
      execution: { accelerator: 'cpu', threads: 1 },
    }),
  );
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('export of an image', () => {
  it('lays it where it was stitched, with positions as measured, losses and patterns', async () => {
    const { heard, services } = listening();
    const written = await exporting(
      file('image'),
      { output_file: file('out.h5'), raw_data: true, patterns: true, name: 'star' },
      services,
    );
    const npz = await openNpz(file('image', 'reconstruction.npz'));
    const image = await npz.readComplex64('reconstructed_object');
    const [top, left] = (await npz.readReal('frame_origin_yx_px')).data;
    const samples = (await npz.readReal('sample_indices')).data;
    await npz.close();
    expect(samples).toHaveLength(12);
    const product = await readProductFile(file('out.h5'));
    expect(written).toMatchObject({
      positions: 12,
      object: product.object.array.shape.slice(1),
      losses: content.history.length,
      rawData: true,
      patterns: file('diffraction.h5'),
    });
    expect(Array.from(product.positions.indexes)).toEqual(Array.from(samples));
    await using(openDataset(file('scan.npz')), async (raw) => {
      const on = positionsOnObject(product);
      const [, height, width] = product.object.array.shape;
      const [dx, dy] = [on.x[0] - raw.xcoords[samples[0]] + left, on.y[0] - raw.ycoords[samples[0]] + top];
      for (let i = 0; i < 12; i++) {
        expect(product.positions.x_m[i]).toBeCloseTo(raw.xcoords[samples[i]] * 2e-8, 18);
        expect(product.positions.y_m[i]).toBeCloseTo(raw.ycoords[samples[i]] * 2e-8, 18);
        expect(on.x[i]).toBeCloseTo(raw.xcoords[samples[i]] - left + dx, 9);
        expect(on.y[i]).toBeCloseTo(raw.ycoords[samples[i]] - top + dy, 9);
        // Every patch lies on the object whole, with a pixel to spare.
        expect(Math.min(on.x[i], on.y[i]) - N / 2).toBeGreaterThan(0.99);
        expect(Math.max(on.x[i] + N / 2 - width, on.y[i] + N / 2 - height)).toBeLessThan(-0.99);
      }
      // The image is where it was, and its mean amplitude around it.
      const amplitudes2d = image.re.map((re, p) => Math.hypot(re, image.im[p]));
      const mean = amplitudes2d.reduce((sum, a) => sum + a, 0) / amplitudes2d.length;
      const [row, column] = [Math.round(dy), Math.round(dx)];
      expect([dy, dx].every((d) => Math.abs(d - Math.round(d)) < 1e-6 && d > 0)).toBe(true);
      expect(product.object.array.re[0]).toBeCloseTo(mean, 5);
      for (let p = 0; p < image.re.length; p++) {
        const at = (row + Math.floor(p / image.shape[1])) * width + column + (p % image.shape[1]);
        if (product.object.array.re[at] !== image.re[p]) expect(product.object.array.re[at]).toBe(image.re[p]);
      }
      expect(heard.join()).toContain('does not hold the patches of all positions');
      expect(product.probe.array.re).toEqual(raw.probeGuess!.re);
      const amplitudes = new Float32Array(12 * N * N);
      await raw.patterns.readAmplitudes(samples, amplitudes);
      const kept: number[] = [];
      for await (const piece of patternsOf(product.raw_data!).pieces()) kept.push(...piece);
      expect(kept).toEqual(Array.from(amplitudes));
    });
    expect(product.raw_data?.measurement_domain).toBe('count_amplitude');
    expect(product.metadata).toMatchObject({ name: 'star', probe_energy_eV: 9000, detector_object_distance_m: 2 });
    expect(Array.from(product.losses.values)).toEqual(content.history.map((row) => row.loss));
    expect(heard.join()).not.toMatch(/assumed/);
    // The patterns beside it pair with it.
    await importing(file('out.h5'), { output_file: file('paired.npz'), diffraction: file('diffraction.h5') });
    await using(openDataset(file('paired.npz')), async (raw) => {
      expect(Array.from(raw.patternIndexes!)).toEqual(Array.from(samples));
      expect(raw.domain).toBe('count_amplitude');
      const amplitudes = new Float32Array(N * N);
      await raw.patterns.readAmplitudes([0], amplitudes);
      const before = new Float32Array(N * N);
      await using(openDataset(file('scan.npz')), (first) => first.patterns.readAmplitudes([samples[0]], before));
      amplitudes.forEach((a, p) => {
        if (Math.abs(a - before[p]) > 1e-3) expect(a).toBe(before[p]);
      });
    });
    // The product is a scan of its own.
    await using(openDataset(file('out.h5')), (raw) => {
      expect(raw).toMatchObject({ count: 12, N, domain: 'count_amplitude' });
      expect(Array.from(raw.patternIndexes!)).toEqual(Array.from(samples));
    });
  });

  it('needs the scan of the run', async () => {
    const other = file('moved');
    await rm(other, { recursive: true, force: true });
    await mkdir(other);
    await copyFile(file('image', 'reconstruction.npz'), path.join(other, 'reconstruction.npz'));
    const to = { output_file: file('moved.h5') };
    await refuses(() => exporting(other, to), 'FILE_NOT_FOUND', /no run\.json/);
    const run = await readFile(file('image', 'run.json'), 'utf8');
    await writeFile(
      path.join(other, 'run.json'),
      run.replaceAll('scan.npz', 'gone.npz').replaceAll('wts.zip', 'gone.zip'),
    );
    await refuses(() => exporting(other, to), 'FILE_NOT_FOUND', /gone\.npz, which is not there.*test_data_file/);
    const { heard, services } = listening();
    await exporting(other, { ...to, test_data_file: file('scan.npz') }, services);
    expect(heard.join('\n')).toMatch(/no losses, because the model cannot be opened/);
    expect((await readProductFile(file('moved.h5'))).losses.values).toHaveLength(0);
    const half = file('half.npz');
    await using(openDataset(file('scan.npz')), (raw) => writeScan(half, raw, { rows: [1, 2, 3] }));
    await refuses(
      () => exporting(other, { ...to, test_data_file: half }),
      'DATASET_SHAPE',
      /made of 12 patterns that are not the 3 of/,
    );
    await writeFile(path.join(other, 'run.json'), '{"config": {"model_path": 5}}');
    await refuses(() => exporting(other, to), 'CONFIG_INVALID', /does not hold the configuration of a run/);
  });
});

describe('export of a scan', () => {
  it('keeps its object, and gives the scan back', async () => {
    await exporting(file('scan.npz'), { output_file: file('scan.h5'), raw_data: true, exposure_time_s: 0.5 });
    await importing(file('scan.h5'), { output_file: file('again.npz') });
    await using(openDataset(file('scan.npz')), (before) =>
      using(openDataset(file('again.npz')), async (after) => {
        const { count, domain, objectGuess, probeGuess } = before;
        expect(after).toMatchObject({ count, N, domain });
        expect(after.objectGuess).toEqual(objectGuess);
        expect(after.probeGuess).toEqual(probeGuess);
        for (let i = 0; i < count; i++) {
          expect(after.xcoords[i]).toBeCloseTo(before.xcoords[i], 9);
          expect(after.ycoords[i]).toBeCloseTo(before.ycoords[i], 9);
        }
        const [a, b] = [new Float32Array(count * N * N), new Float32Array(count * N * N)];
        await before.patterns.readAmplitudes(before.sampleIndices, a);
        await after.patterns.readAmplitudes(before.sampleIndices, b);
        expect(b).toEqual(a);
        expect(after.geometry).toMatchObject({ energy_eV: 9000, detectorDistance_m: 2 });
      }),
    );
    // And the product comes of the imported scan again, in the same metres.
    await exporting(file('again.npz'), { output_file: file('second.h5') });
    const [first, second] = [await readProductFile(file('scan.h5')), await readProductFile(file('second.h5'))];
    expect(second.metadata).toEqual({ ...first.metadata });
    expect(second.positions.indexes).toEqual(first.positions.indexes);
    for (let i = 0; i < 16; i++) expect(second.positions.x_m[i]).toBeCloseTo(first.positions.x_m[i], 16);
    expect(second.object.center_x_m).toBeCloseTo(first.object.center_x_m, 16);
  });

  it('assumes pixels and an object where there are none, and says so', async () => {
    const { heard, services } = listening();
    await exporting(file('blind.npz'), { output_file: file('blind.npz.npz') }, services);
    const product = await readProductFile(file('blind.npz.npz'));
    expect(product.object.pixel.width_m).toBe(5e-8);
    expect(product.probe.pixel.width_m).toBe(5e-8);
    expect(product.object.array.re.every((value) => value === 1)).toBe(true);
    expect(heard.join('\n')).toMatch(/5e-8 m is assumed/);
    expect(heard.join('\n')).toMatch(/has no object; the product gets ones/);
    const on = positionsOnObject(product);
    const [, height, width] = product.object.array.shape;
    // Every pattern lies inside.
    expect(Math.min(...on.x)).toBeGreaterThanOrEqual(N / 2);
    expect(Math.max(...on.x)).toBeLessThanOrEqual(width - N / 2);
    expect(Math.max(...on.y)).toBeLessThanOrEqual(height - N / 2);
  });

  it('is refused where it cannot be', async () => {
    await refuses(
      () => exporting(file('scan.npz'), { output_file: file('x.npz'), raw_data: true }),
      'CONFIG_INVALID',
      /raw_data goes into HDF5 products only/,
    );
    await refuses(
      () => exporting(file('scan.npz'), { output_file: file('scan.npz') }),
      'CONFIG_INVALID',
      /is the file that is read/,
    );
    await refuses(
      () => exporting(file('scan.npz'), { output_file: file('x.h5'), test_data_file: file('scan.npz') }),
      'CONFIG_INVALID',
      /goes with an output folder of infer/,
    );
  });
});

describe('import', () => {
  it('without patterns writes positions on the object, probe and object', async () => {
    const product = sampleProduct();
    await writeProductFile(file('bare.h5'), product);
    const { heard, services } = listening();
    const written = await importing(file('bare.h5'), { output_file: file('bare.npz') }, services);
    expect(written).toEqual({ path: file('bare.npz'), positions: 7, patterns: null });
    expect(heard.join()).toMatch(/holds no patterns and none were given \(diffraction\)/);
    const npz = await openNpz(file('bare.npz'));
    const on = positionsOnObject(product);
    expect((await npz.readReal('xcoords')).data).toEqual(on.x);
    expect((await npz.readReal('ycoords')).data).toEqual(on.y);
    expect((await npz.readReal('probe_position_indexes')).data).toEqual(product.positions.indexes);
    expect((await npz.header('probeGuess')).shape).toEqual([3, 5, 4]);
    expect((await npz.header('objectGuess')).shape).toEqual([6, 8]);
    await npz.close();
  });

  it('keeps layers, there and back, and pairs patterns of a file without indexes', async () => {
    const sample = sampleProduct();
    const filled = (shape: number[], one: number) => {
      const n = shape.reduce((a, b) => a * b);
      const values = (step: number) => Float32Array.from({ length: n }, (_, i) => 1 + ((i * step) % 11) / one);
      return { re: values(3), im: values(5), shape };
    };
    const product = {
      ...sample,
      probe: { array: filled([1, 1, 64, 64], 5), pixel: sample.object.pixel },
      object: { ...sample.object, array: filled([3, 80, 90], 20), layer_spacing_m: Float64Array.of(1e-6, 3e-6) },
    };
    await writeProductFile(file('layers.h5'), product);
    const data = Uint16Array.from({ length: 7 * 64 * 64 }, (_, i) => (i * 7 + Math.floor(i / 4096)) % 97);
    await writeHdf5(file('dp.h5'), { datasets: { '/dp': { data, shape: [7, 64, 64] } } });
    const { heard, services } = listening();
    await importing(file('layers.h5'), { output_file: file('layers.npz'), diffraction: file('dp.h5') }, services);
    expect(heard.join()).toContain('as many patterns as there are positions');
    const npz = await openNpz(file('layers.npz'));
    expect(await npz.readComplex64('object_layers')).toEqual(product.object.array);
    expect((await npz.readReal('object_layer_spacing_m')).data).toEqual(product.object.layer_spacing_m);
    expect(await npz.readComplex64('objectGuess')).toEqual(projection(product.object.array));
    // The first pattern has the lowest index.
    const sorted = Int32Array.from(product.positions.indexes).sort();
    expect((await npz.readReal('probe_position_indexes')).data).toEqual(sorted);
    expect((await npz.readReal('diffraction')).data).toEqual(data);
    await npz.close();
    await exporting(file('layers.npz'), { output_file: file('again.h5') });
    const again = await readProductFile(file('again.h5'));
    expect(again.object.array).toEqual(product.object.array);
    expect(again.object.layer_spacing_m).toEqual(product.object.layer_spacing_m);
    expect(again.object.center_x_m).toBeCloseTo(product.object.center_x_m, 15);
    for (const [i, index] of again.positions.indexes.entries()) {
      expect(again.positions.x_m[i]).toBeCloseTo(product.positions.x_m[product.positions.indexes.indexOf(index)], 15);
    }
    // Other counts: numbered as Ptychodus numbers them, with a warning.
    await writeHdf5(file('dp.h5'), { datasets: { '/dp': { data: data.slice(0, 6 * 4096), shape: [6, 64, 64] } } });
    const other = listening();
    await importing(
      file('layers.h5'),
      { output_file: file('fewer.npz'), diffraction: file('dp.h5'), object_convention: 'pty-chi' },
      other.services,
    );
    expect(other.heard.join()).toContain('its patterns are taken to be 0 … 5, as Ptychodus takes them');
    await using(openDataset(file('fewer.npz')), (raw) => {
      const on = positionsOnObject(product);
      for (let i = 0; i < raw.count; i++) {
        const row = product.positions.indexes.indexOf(raw.patternIndexes![i]);
        expect(raw.xcoords[i] - on.x[row]).toBeCloseTo(0.5, 9);
        expect(raw.ycoords[i] - on.y[row]).toBeCloseTo(0.5, 9);
      }
    });
  });

  it('puts an object of Pty-Chi half a pixel further', async () => {
    const product = sampleProduct();
    await writeProductFile(file('chi.h5'), product);
    await importing(file('chi.h5'), { output_file: file('chi.npz'), object_convention: 'pty-chi' });
    const npz = await openNpz(file('chi.npz'));
    const on = positionsOnObject(product);
    const [x, y] = [(await npz.readReal('xcoords')).data, (await npz.readReal('ycoords')).data];
    for (let i = 0; i < 7; i++)
      expect([x[i] - on.x[i], y[i] - on.y[i]]).toEqual([expect.closeTo(0.5, 9), expect.closeTo(0.5, 9)]);
    await npz.close();
  });

  it('refuses a product of ours that changed, unless told otherwise', async () => {
    await writeProductFile(file('sealed.h5'), sampleProduct());
    const bytes = await readFile(file('sealed.h5'));
    // The first position in metres, where it lies in the file.
    const place = Buffer.alloc(8);
    place.writeDoubleLE(sampleProduct().positions.x_m[0]);
    const at = bytes.indexOf(place);
    expect(at).toBeGreaterThan(0);
    bytes.writeDoubleLE(1e-6, at);
    await writeFile(file('sealed.h5'), bytes);
    const over = { output_file: file('sealed.npz') };
    await refuses(() => importing(file('sealed.h5'), over), 'FILE_FORMAT', /not as ptychopinn wrote it/);
    expect((await productInfo(file('sealed.h5'))).seal).toBe('broken');
    await importing(file('sealed.h5'), { ...over, accept_changes: true });
    const npz = await openNpz(file('sealed.npz'));
    const changed = positionsOnObject(sampleProduct()).x;
    expect((await npz.readReal('xcoords')).data[0]).not.toBe(changed[0]);
    await npz.close();
  });

  it('takes pixels that are assumed', async () => {
    const product = sampleProduct();
    const { datasets, attributes } = bareProduct(product);
    await writeHdf5(file('nopixels.h5'), { datasets, attributes });
    await writeHdf5(file('diffraction.h5'), {
      datasets: {
        '/patterns': { data: Uint16Array.from({ length: 7 * 64 * 64 }, (_, i) => i % 97), shape: [7, 64, 64] },
        '/indexes': { data: product.positions.indexes, shape: [7] },
      },
    });
    const { heard, services } = listening();
    const written = await importing(
      file('nopixels.h5'),
      { output_file: file('nopixels.npz'), diffraction: file('diffraction.h5') },
      services,
    );
    expect(written.patterns).toMatchObject({ count: 7, N: 64, domain: 'count_intensity' });
    expect(heard.join('\n')).toMatch(/gives no size of pixels; 5e-8 m is assumed/);
    await using(openDataset(file('nopixels.npz')), (raw) => {
      expect(raw.geometry.objectPixel_m).toEqual({ x: 5e-8, y: 5e-8 });
      expect(raw.xcoords[2] - raw.xcoords[0]).toBeCloseTo(
        (product.positions.x_m[2] - product.positions.x_m[0]) / 5e-8,
        9,
      );
    });
  });
});

/** A product by other hands that says nothing of pixels; its probe has the side of the patterns. */
function bareProduct({ positions, metadata }: ReturnType<typeof sampleProduct>) {
  const list = (data: Float64Array | Int32Array) => ({ data, shape: [data.length] });
  const ones = (shape: readonly number[]) => {
    const count = shape.reduce((product, length) => product * length, 1);
    return { re: new Float32Array(count).fill(1), im: new Float32Array(count), shape };
  };
  return {
    datasets: {
      '/probe_position_indexes': list(positions.indexes),
      '/probe_position_x_m': list(positions.x_m),
      '/probe_position_y_m': list(positions.y_m),
      '/probe': ones([64, 64]),
      '/object': ones([80, 90]),
      '/object_layer_spacing_m': list(new Float64Array(0)),
      '/costs': list(Float64Array.of(1, 0.5)),
    },
    attributes: { '/': { ...metadata } as Record<string, string | number> },
  };
}

describeFixtures('files of Ptychodus', (fixture) => {
  it('become a scan and a product again, with the indexes and metres of their own', async () => {
    const product = fixture('product.h5');
    await importing(product, { output_file: file('theirs.npz'), diffraction: fixture('diffraction.h5') });
    await exporting(file('theirs.npz'), { output_file: file('theirs.h5') });
    const [before, after] = [await readProductFile(product), await readProductFile(file('theirs.h5'))];
    expect(after.positions.indexes).toHaveLength(11);
    after.positions.indexes.forEach((index, i) => {
      const row = before.positions.indexes.indexOf(index);
      expect(after.positions.x_m[i]).toBeCloseTo(before.positions.x_m[row], 16);
      expect(after.positions.y_m[i]).toBeCloseTo(before.positions.y_m[row], 16);
    });
    expect(after.metadata).toEqual(before.metadata);
    expect(after.object.center_x_m).toBeCloseTo(before.object.center_x_m, 16);
    expect(after.object.pixel.width_m).toBeCloseTo(before.object.pixel.width_m, 18);
  });
});
