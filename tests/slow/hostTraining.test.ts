/** Exporting, training and reconstructing for a host, on tiny data and real networks. */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PtychoPinnReconstructorLibrary } from '../../src/adapters/ptychodus/library.js';
import { Channel, openTrainingFolder } from '../../src/adapters/ptychodus/training.js';
import type { TrainOutput } from '../../src/adapters/ptychodus/types.js';
import { openNpz } from '../../src/formats/npz.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { reconstruct } from '../../src/workflows/reconstruct.js';
import { N, OBJECT, offCentreScan, shuffled, simulatedInput } from '../support/hostInput.js';
import { describePython, runPython } from '../support/python.js';

let folder: string;
const open: PtychoPinnReconstructorLibrary[] = [];
const input = simulatedInput();

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-host-'));
});
afterAll(async () => {
  for (const library of open) await library.dispose();
  await rm(folder, { recursive: true, force: true });
});

/** Reconstructors with settings for tiny trainings. */
function host(over: Record<string, Record<string, string>> = {}) {
  const library = new PtychoPinnReconstructorLibrary();
  open.push(library);
  library.settings.fromTexts({
    ...over,
    PtychoPINNModel: { NumFiltersScale: '1', ...over.PtychoPINNModel },
    PtychoPINNTraining: { NumEpochs: '2', BatchSize: '4', ...over.PtychoPINNTraining },
    PtychoPINNNode: { Threads: '1', Accelerator: 'cpu' },
  });
  const said: string[] = [];
  library.logger.onRecord(({ level, message }) => said.push(`${level} ${message}`));
  const [pinn, supervised] = library.networks;
  return { library, pinn, supervised, said };
}

async function all<T>(outputs: AsyncIterable<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const output of outputs) seen.push(output);
  return seen;
}

const last = (outputs: readonly TrainOutput[]) => outputs[outputs.length - 1];

describe('exported training data', () => {
  it('has the published keys, amplitudes, and says so', async () => {
    const { pinn } = host();
    const file = path.join(folder, 'exported.npz');
    const { metadata } = input.product;
    await pinn.exportTrainingData(file, {
      ...input,
      product: { ...input.product, metadata: { ...metadata, probe_photon_count: 2e5 } },
    });
    const npz = await openNpz(file);
    const { xs, ys } = offCentreScan();
    const n = xs.length;
    for (const [key, shape] of Object.entries({
      xcoords: [n],
      ycoords: [n],
      xcoords_start: [n],
      ycoords_start: [n],
      diff3d: [n, N, N],
      probeGuess: [N, N],
      objectGuess: [OBJECT.rows, OBJECT.cols],
      scan_index: [n],
    })) {
      expect([key, (await npz.header(key)).shape]).toEqual([key, shape]);
    }
    const { data } = await npz.readReal('diff3d');
    const counts = input.patterns.data;
    expect(
      Array.from(data as Float32Array).every((v, i) => Math.abs(v - Math.fround(Math.sqrt(counts[i]))) < 1e-6),
    ).toBe(true);
    const real = async (key: string) => Array.from((await npz.readReal(key)).data as Float64Array);
    expect(await real('xcoords_start')).toEqual(await real('xcoords'));
    (await real('ycoords')).forEach((y, i) => {
      expect(y).toBeCloseTo(ys[i], 8);
    });
    const domain = await npz.read('measurement_domain');
    expect(domain.kind === 'text' && domain.strings).toEqual(['count_amplitude']);
    expect(npz.has('diffraction')).toBe(false);
    expect(npz.has('label')).toBe(false);
    const record = await npz.read('_metadata');
    expect(JSON.parse(record.kind === 'text' ? record.strings[0] : '')).toMatchObject({
      physics_parameters: { nphotons: 2e5 },
    });
    await npz.close();
  });

  describePython('in Python', ['numpy'], () => {
    it('are plain arrays', async () => {
      const { pinn } = host();
      const file = path.join(folder, 'python.npz');
      await pinn.exportTrainingData(file, input);
      const printed = runPython(
        `
import sys, json, numpy
a = numpy.load(sys.argv[1])
print(json.dumps({k: [str(a[k].dtype), list(a[k].shape)] for k in a.files if k != '_metadata'}))`,
        [file],
      );
      const n = offCentreScan().xs.length;
      expect(JSON.parse(printed)).toMatchObject({
        diff3d: ['float32', [n, N, N]],
        xcoords: ['float64', [n]],
        probeGuess: ['complex64', [N, N]],
        scan_index: ['int32', [n]],
        measurement_domain: ['<U15', []],
      });
    });
  });
});

describe('training from a folder', () => {
  it('goes round: export, train, reconstruct', async () => {
    const { pinn, library, said } = host();
    const data = path.join(folder, 'data');
    await mkdir(data);
    await pinn.exportTrainingData(path.join(data, 'train_data.npz'), input);
    await pinn.exportTrainingData(path.join(data, 'test_data.npz'), simulatedInput(1e5, 6));
    expect(pinn.isModelLoaded()).toBe(false);
    const outputs = await all(pinn.train(data, path.join(folder, 'model')));
    expect(outputs.map((o) => [o.progress, o.progressGoal, o.result])).toEqual([
      [1, 2, 0],
      [2, 2, 0],
    ]);
    const bundle = await openBundle(path.join(folder, 'model'));
    expect(last(outputs).trainingLoss).toEqual(bundle.history.map(({ epoch, loss }) => ({ epoch, value: loss })));
    expect(last(outputs).validationLoss).toEqual(
      bundle.history.map(({ epoch, val_loss }) => ({ epoch, value: val_loss })),
    );
    expect(outputs[0].trainingLoss).toHaveLength(1);
    expect(outputs[0].validationLoss).toHaveLength(1);
    // The model is open, and known by its file.
    expect(pinn.modelInfo?.path).toBe(path.join(folder, 'model', 'wts.zip'));
    expect(library.settings.parameter('PtychoPINNInference', 'ModelPath')?.value).toBe(pinn.modelInfo?.path);
    expect(said.join()).toContain('Trained after 2 epochs');
    const images = await all(pinn.reconstruct(input));
    const { product, result } = images[images.length - 1];
    expect(result).toBe(0);
    expect(Array.from(product.losses.values)).toEqual(last(outputs).trainingLoss.map((l) => l.value));
    expect(product.object.array.re.every(Number.isFinite)).toBe(true);
    // The exported scan and the model of the file, without any host, make the same image at the same place.
    const model = await PtychoModel.open(path.join(folder, 'model'), { execution: { accelerator: 'cpu', threads: 1 } });
    const { stitched } = await reconstruct(model, path.join(data, 'train_data.npz'));
    await model.dispose();
    const { frame, image, weight } = stitched;
    const least = 1e-3 * weight.data.reduce((m, v) => Math.max(m, v), 0);
    let compared = 0;
    for (let i = 0; i < weight.data.length; i++) {
      const row = frame.originYxPx[0] + Math.floor(i / frame.width);
      const column = frame.originYxPx[1] + (i % frame.width);
      if (weight.data[i] < least || row < 0 || row >= OBJECT.rows || column < 0 || column >= OBJECT.cols) continue;
      const at = row * OBJECT.cols + column;
      compared++;
      expect(Math.abs(product.object.array.re[at] - image.re[i])).toBeLessThan(1e-5);
      expect(Math.abs(product.object.array.im[at] - image.im[i])).toBeLessThan(1e-5);
    }
    expect(compared).toBeGreaterThan((N / 2) ** 2);
    // In another process it would be opened from the file.
    const again = host();
    await again.pinn.openModel(path.join(folder, 'model'));
    const [other] = (await all(again.pinn.reconstruct(input))).slice(-1);
    expect(other.product.object.array).toEqual(product.object.array);
  });

  it('makes groups with a GridSize above 1, takes the photons of the data, and tells what has no effect', async () => {
    const { pinn, library, said } = host({
      PtychoPINNModel: { GridSize: '2' },
      PtychoPINNTraining: { NumEpochs: '1', PositionsProvided: 'False' },
    });
    const { metadata } = input.product;
    const product = { ...input.product, metadata: { ...metadata, probe_photon_count: 2e5 } };
    await all(pinn.trainOn({ ...input, product }, path.join(folder, 'grid')));
    expect((await openBundle(path.join(folder, 'grid'))).config.nphotons).toBe(2e5);
    expect(said.join('\n')).toContain('PositionsProvided = false has no effect here');
    expect(said.join('\n')).toContain('200000 photons per pattern, which replaces NumPhotons = 1000000');
    expect(pinn.modelInfo?.gridsize).toBe(2);
    library.settings.fromTexts({ PtychoPINNInference: { NumSamples: '2' } });
    const [image] = (await all(pinn.reconstruct(input))).slice(-1);
    expect(image.result).toBe(0);
    const [again] = (await all(pinn.reconstruct(shuffled(input)))).slice(-1);
    expect(again.product.object.array).toEqual(image.product.object.array);
  });

  it('takes known patches from the object for Supervised', async () => {
    const { truth, product, patterns } = input;
    const known = { ...product.object, array: { ...truth, shape: [1, ...truth.shape] } };
    const { supervised, pinn, library, said } = host({ PtychoPINNTraining: { NumEpochs: '1' } });
    const data = path.join(folder, 'supervised');
    await mkdir(data);
    const file = path.join(data, 'train_data.npz');
    await supervised.exportTrainingData(file, { patterns, product: { ...product, object: known } });
    const npz = await openNpz(file);
    expect((await npz.header('label')).shape).toEqual([patterns.shape[0], N, N]);
    await npz.close();
    const outputs = await all(supervised.train(data, path.join(folder, 'supervised-model')));
    expect(last(outputs).trainingLoss).toHaveLength(1);
    expect(supervised.modelInfo?.modelType).toBe('supervised');
    expect(said.join()).toContain('so a share of train_data.npz validates');
    // What PINN exports has no labels; they are cut when it is opened.
    await pinn.exportTrainingData(file, { patterns, product: { ...product, object: known } });
    const { train } = await openTrainingFolder(data, 'supervised', library.logger);
    expect((await train.labels?.readRows([0]))?.shape).toEqual([1, N, N]);
    await train.close();
    expect(said.join()).toContain('cut from the object of');
  });

  it('keeps the best epoch when stopped, and says so by its result', async () => {
    const { pinn } = host({ PtychoPINNTraining: { NumEpochs: '50' } });
    const controller = new AbortController();
    const outputs: TrainOutput[] = [];
    for await (const output of pinn.trainOn({ ...input, signal: controller.signal }, path.join(folder, 'stopped'))) {
      outputs.push(output);
      if (output.progress === 2) controller.abort();
    }
    expect(last(outputs).result).not.toBe(0);
    expect(last(outputs).progress).toBeLessThan(50);
    expect(last(outputs).trainingLoss.length).toBeGreaterThanOrEqual(2);
    expect(outputs[0].result).toBe(0);
    const { training } = await openBundle(path.join(folder, 'stopped'));
    expect(training.epochs).toBe(last(outputs).trainingLoss.length);
    expect(pinn.isModelLoaded()).toBe(true);
  });

  it('leaves no model when stopped before it began', async () => {
    const { pinn } = host();
    const target = path.join(folder, 'never');
    const outputs = await all(pinn.trainOn({ ...input, signal: AbortSignal.abort() }, target));
    expect(outputs.map((o) => [o.result !== 0, o.trainingLoss.length])).toEqual([[true, 0]]);
    expect(pinn.isModelLoaded()).toBe(false);
    await expect(openBundle(target)).rejects.toThrow(target);
  });

  it('stops when the loop is left', async () => {
    const { pinn } = host({ PtychoPINNTraining: { NumEpochs: '1000' } });
    for await (const { progress } of pinn.trainOn(input, path.join(folder, 'left'))) if (progress === 1) break;
    // Leaving waits for the work to end; the best epoch is kept.
    expect((await openBundle(path.join(folder, 'left'))).training.epochs).toBeLessThan(1000);
  });

  it('says what is missing', async () => {
    const { pinn } = host();
    await expect(all(pinn.train(path.join(folder, 'nowhere'), folder))).rejects.toThrow('holds no train_data.npz');
    await expect(all(pinn.train(folder))).rejects.toThrow('set PtychoPINNTraining/OutputDir');
  });
});

describe('a channel', () => {
  it('makes who puts wait until it is taken', async () => {
    const channel = new Channel<number>();
    const told: string[] = [];
    const work = (async () => {
      for (let i = 0; i < 3; i++) {
        await channel.put(i);
        told.push(`taken ${i}`);
      }
      channel.close();
    })();
    await new Promise((wake) => setTimeout(wake, 5));
    expect(told).toEqual([]);
    const seen: number[] = [];
    for await (const n of channel) seen.push(n);
    await work;
    expect(seen).toEqual([0, 1, 2]);
    expect(told).toHaveLength(3);
  });

  it('throws behind what waits, and lets go when nobody listens', async () => {
    const failing = new Channel<number>();
    void failing.put(1);
    failing.fail(new Error('broken'));
    const seen: number[] = [];
    await expect(
      (async () => {
        for await (const n of failing) seen.push(n);
      })(),
    ).rejects.toThrow('broken');
    expect(seen).toEqual([1]);
    const left = new Channel<number>();
    const put = left.put(1);
    left.abandon();
    await put;
    await left.put(2);
  });
});
