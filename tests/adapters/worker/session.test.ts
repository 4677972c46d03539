/** The conversation of specs/worker.md, with a library that computes nothing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { OutgoingArray } from '../../../src/adapters/worker/arrays.js';
import { productArrays, productHeaderOf } from '../../../src/adapters/worker/products.js';
import { encodeNpy } from '../../../src/formats/npyWrite.js';
import { readProductFile } from '../../../src/persistence/product/readProduct.js';
import { writeProductFile } from '../../../src/persistence/product/writeProduct.js';
import { greetedHost, Host, pause, StandIn, smallProduct, standInLibraries } from './standIn.js';

/** What is wrong with a request. */
interface Change {
  readonly drop?: string;
  readonly add?: string;
  readonly short?: string;
  readonly half?: boolean;
  readonly patterns?: number[];
  readonly field?: object;
}

const PINN = { reconstructor: 'PtychoPINN/PINN' };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-worker-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('initialize', () => {
  it('answers with what the worker can do, and the settings', async () => {
    const host = new Host();
    host.send('initialize', 5, { protocol: 1, log_level: 'DEBUG', settings: { PtychoPINNModel: { GridSize: 9 } } });
    expect(await host.end(5)).toMatchObject({
      status: 'ok',
      answer: {
        protocol: 1,
        package: 'ptychopinn',
        limits: { header_bytes: 2 ** 20, payload_bytes: 2 ** 31 },
        reconstructors: [
          {
            name: 'PtychoPINN/PINN',
            is_trainable: true,
            is_model_loaded: false,
            progress_goal: 3,
            model_file_extension: '.zip',
          },
        ],
        notes: ['PtychoPINNModel/GridSize = 9 is above 5, so 5 is used.'],
      },
    });
    expect(host.said[0]).toMatchObject({ tag: 'settings_sync', settings: { PtychoPINNModel: { GridSize: '5' } } });
  });

  it('refuses another version, and comes before everything else', async () => {
    const host = new Host();
    host.send('settings/describe', 1);
    host.send('initialize', 2, { protocol: 7 });
    expect(await host.end(2)).toMatchObject({ status: 'failed' });
    expect(host.tags(1)).toEqual(['error', 'end']);
    expect(host.said[0]).toMatchObject({ code: 'USAGE', message: 'Send "initialize" before "settings/describe".' });
    expect(host.said[2]).toMatchObject({ code: 'FORMAT_UNSUPPORTED', fields: { found: 7, expected: 1 } });
  });
});

describe('settings and log', () => {
  it('are described, set with clamping, and sent back', async () => {
    const host = await greetedHost();
    host.send('settings/describe', 1);
    expect((await host.end(1)).answer).toEqual({
      groups: { PtychoPINNModel: { GridSize: { kind: 'integer', value: 1, default: 1, minimum: 1, maximum: 5 } } },
    });
    host.send('settings/set', 2, { settings: { PtychoPINNModel: { GridSize: '0' } } });
    expect((await host.end(2)).answer).toEqual({ notes: ['PtychoPINNModel/GridSize = 0 is below 1, so 1 is used.'] });
    expect(host.tags(2)).toEqual(['settings_sync', 'end']);
    host.send('settings/set', 3, { settings: { PtychoPINNModel: { GridSize: 'two' } } });
    expect(await host.end(3)).toMatchObject({ status: 'failed' });
  });

  it('goes to the host at the level it asked for', async () => {
    const libraries = standInLibraries();
    const heard: string[] = [];
    const host = await greetedHost({ libraries, onRecord: ({ level, message }) => heard.push(`${level} ${message}`) });
    libraries.log.debug('not yet');
    host.send('log/level', 1, { level: 'debug' });
    await host.end(1);
    libraries.log.debug('now');
    expect(await host.until((said) => said.tag === 'log')).toMatchObject({
      level: 10,
      level_name: 'DEBUG',
      logger: 'PtychoPINN',
      message: 'now',
    });
    expect(heard).toEqual(['DEBUG now']);
  });
});

describe('models and training', () => {
  it('opens, saves and keeps a model', async () => {
    const reconstructor = new StandIn();
    const host = await greetedHost({ libraries: standInLibraries(reconstructor) });
    host.send('model/open', 1, { ...PINN, path: 'a/wts.zip' });
    host.send('model/save', 2, { ...PINN, path: 'b.zip' });
    host.send('model/open', 3, { ...PINN, path: 'notes.txt' });
    expect(await host.end(3)).toMatchObject({ status: 'failed' });
    expect(host.said.find((said) => said.id === 1 && said.tag === 'end')?.answer).toMatchObject({ model: { N: 64 } });
    expect([host.tags(1), host.tags(2), host.tags(3)]).toEqual([
      ['settings_sync', 'end'],
      ['model_saved', 'end'],
      ['error', 'end'],
    ]);
    expect(host.said.find((said) => said.tag === 'error')).toMatchObject({
      code: 'BUNDLE_INVALID',
      message: 'notes.txt is no bundle.',
      fields: { path: 'notes.txt' },
      exc_type: 'PtychoError',
    });
    expect(reconstructor.calls).toEqual([
      ['open', 'a/wts.zip'],
      ['save', 'b.zip'],
    ]);
  });

  it('tells of epochs, and of the bundle that came of them', async () => {
    const host = await greetedHost();
    host.send('train/start', 1, { ...PINN, input_dir: 'in', output_dir: 'out' });
    expect(await host.end(1)).toMatchObject({ status: 'ok', answer: { model_path: 'out/wts.zip' } });
    const outputs = host.said.filter((said) => said.tag === 'train_output');
    expect(outputs.at(-1)).toMatchObject({
      progress: 3,
      progress_goal: 3,
      result: 0,
      final: true,
      training_loss: { epochs: [1, 2, 3], values: [1, null, 1 / 3] },
      validation_loss: { epochs: [], values: [] },
    });
    expect(outputs[0]).toMatchObject({ progress: 1, final: false });
    expect(host.said.find((said) => said.tag === 'model_saved')).toMatchObject({ path: 'out/wts.zip' });
  });
});

describe('reconstruct/start', () => {
  it('takes arrays and gives arrays back', async () => {
    const reconstructor = new StandIn();
    const host = await greetedHost({ libraries: standInLibraries(reconstructor) });
    host.reconstruct(1);
    expect(await host.end(1)).toMatchObject({ status: 'ok', answer: {} });
    const [input] = reconstructor.inputs;
    const sent = smallProduct();
    expect(input.product).toEqual(sent);
    expect(input.patterns).toMatchObject({ shape: [4, 4, 4], indexes: Int32Array.of(9, 7, 4, 2) });
    expect(input.badPixels).toBeNull();
    const outputs = host.said.filter((said) => said.tag === 'output');
    expect(outputs[0]).toMatchObject({ progress: 1, progress_goal: 3, final: false });
    expect(outputs[0].arrays.has('probe')).toBe(false);
    const last = outputs.at(-1)!;
    expect(last).toMatchObject({ progress: 3, final: true, result: 0, product: productHeaderOf(sent) });
    expect(await last.arrays.complex('object', [3])).toEqual(sent.object.array);
    expect((await last.arrays.real('loss_values', [1])).data).toEqual(Float64Array.of(1 / 3));
    expect((await last.arrays.real('probe_position_indexes', [1])).data).toEqual(sent.positions.indexes);
  });

  it('takes files and writes one', async () => {
    const reconstructor = new StandIn();
    const host = await greetedHost({ libraries: standInLibraries(reconstructor) });
    const product = path.join(folder, 'product-in.npz');
    await writeProductFile(product, smallProduct());
    const bad = path.join(folder, 'bad.npy');
    await writeFile(bad, encodeNpy({ data: Uint8Array.of(0, 1, 0, 0), shape: [2, 2], dtype: 'bool' }));
    const request = {
      ...PINN,
      patterns: { path: 'diffraction.h5' },
      product: { path: product },
      output: { path: folder },
    };
    const header = { verb: 'reconstruct/start', id: 1, ...request, blobs: [{ name: 'bad_pixels', path: bad }] };
    host.sendHeader(header);
    const file = path.join(folder, 'product-out.h5');
    const end = await host.end(1);
    expect(host.said.filter((said) => said.tag === 'error').map((said) => said.message)).toEqual([]);
    expect(end).toMatchObject({ status: 'ok', answer: { product_path: file } });
    const last = host.said.filter((said) => said.tag === 'output').at(-1)!;
    expect(last).toMatchObject({ final: true, product_path: file });
    expect(last.arrays.has('object')).toBe(false);
    expect(reconstructor.inputs[0]).toMatchObject({ patterns: 'diffraction.h5', badPixels: Uint8Array.of(0, 1, 0, 0) });
    const written = await readProductFile(file);
    expect(written.losses).toEqual({ epochs: Int32Array.of(3), values: Float64Array.of(1 / 3) });
    expect(written.object.array).toEqual(smallProduct().object.array);
  });

  it('shows fewer previews than steps where they come fast', async () => {
    const reconstructor = new StandIn();
    reconstructor.steps = 50;
    const host = await greetedHost({ libraries: standInLibraries(reconstructor) });
    host.reconstruct(1, { previews: { interval_s: 60, arrays: false } });
    await host.end(1);
    const outputs = host.said.filter((said) => said.tag === 'output');
    expect(outputs.map(({ progress, final }) => [progress, final])).toEqual([
      [1, false],
      [50, true],
    ]);
    expect(outputs[0].arrays.has('object')).toBe(false);
  });

  it.each([
    ['a missing array', { drop: 'probe' }, 'DATASET_KEY_MISSING', /needs the array "probe"/],
    ['patterns in two axes', { patterns: [16, 4] }, 'DATASET_SHAPE', /"patterns" has shape \(16, 4\); 3 axes/],
    ['too few indexes', { patterns: [2, 4, 8] }, 'DATASET_SHAPE', /4 indexes for patterns of shape \(2, 4, 8\)/],
    ['an array that nobody knows', { add: 'probes' }, 'USAGE', /has an array "probes", but it takes patterns/],
    ['an unknown field', { field: { prewiev: 1 } }, 'USAGE', /reconstruct\/start: .*prewiev/],
    ['no product', { field: { product: undefined } }, 'USAGE', /reconstruct\/start: product: /],
    ['a reconstructor that is not there', { field: { reconstructor: 'tike' } }, 'CONFIG_INVALID', /"tike"/],
    [
      'positions of another length',
      { short: 'probe_position_y_m' },
      'DATASET_SHAPE',
      /must have one length, but have 4, 3, 4/,
    ],
    ['half an index', { half: true }, 'DATASET_VALUE', /holds 0.5 at place 0; whole numbers/],
  ])('refuses %s and goes on', async (_, change, code, sentence) => {
    const host = await greetedHost();
    const product = smallProduct();
    const wrong: Change = change;
    const arrays: Record<string, OutgoingArray> = {
      patterns: { data: new Uint16Array(64), shape: wrong.patterns ?? [4, 4, 4] },
      indexes: { data: Int32Array.of(9, 7, 4, 2), shape: [4] },
      ...productArrays(product),
    };
    if (wrong.drop) delete arrays[wrong.drop];
    if (wrong.add) arrays[wrong.add] = arrays.patterns;
    if (wrong.short) arrays[wrong.short] = { data: new Float64Array(3), shape: [3] };
    if (wrong.half) arrays.probe_position_indexes = { data: Float64Array.of(0.5, 1, 2, 3), shape: [4] };
    const request = { ...PINN, product: productHeaderOf(product), ...wrong.field };
    host.send('reconstruct/start', 1, request, arrays);
    expect(await host.end(1)).toMatchObject({ status: 'failed' });
    const error = host.said.find((said) => said.tag === 'error')!;
    expect([error.id, error.code]).toEqual([1, code]);
    expect(error.message).toMatch(sentence);
    host.reconstruct(2);
    expect(await host.end(2)).toMatchObject({ status: 'ok' });
  });

  it('exports training data', async () => {
    const reconstructor = new StandIn();
    const host = await greetedHost({ libraries: standInLibraries(reconstructor) });
    const product = smallProduct();
    const arrays = { patterns: { data: new Float32Array(64), shape: [4, 4, 4] }, ...productArrays(product) };
    host.send('training/export', 1, { ...PINN, path: 'out.npz', product: productHeaderOf(product) }, arrays);
    expect(await host.end(1)).toMatchObject({ status: 'ok', answer: { path: 'out.npz' } });
    expect(reconstructor.calls).toEqual([['export', 'out.npz']]);
  });
});

describe('one request at a time', () => {
  /** A worker whose first request is held at its second step until it is cancelled or `go` is called. */
  async function heldHost() {
    const reconstructor = new StandIn();
    let go!: () => void;
    const free = new Promise<void>((resolve) => {
      go = resolve;
    });
    reconstructor.gate = (step, signal) =>
      step < 2
        ? pause(5)
        : Promise.race([free, new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()))]);
    const host = await greetedHost({ libraries: standInLibraries(reconstructor) });
    host.reconstruct(1);
    await host.until((said) => said.tag === 'output');
    return { host, reconstructor, go };
  }

  it('lets others wait, in order', async () => {
    const { host, go } = await heldHost();
    host.send('settings/describe', 2);
    host.send('model/save', 3, { ...PINN, path: 'x' });
    await pause(20);
    expect(host.said.some((said) => said.id === 2 || said.id === 3)).toBe(false);
    go();
    await host.end(3);
    expect(host.said.filter((said) => said.tag === 'end').map((said) => said.id)).toEqual([1, 2, 3]);
  });

  it('cancels the one at work at once, and goes on', async () => {
    const { host, reconstructor } = await heldHost();
    host.send('cancel', 2, { request: 1 });
    expect(await host.end(1)).toMatchObject({ status: 'cancelled' });
    expect(await host.end(2)).toMatchObject({ status: 'ok', answer: { cancelled: 1 } });
    expect(host.tags(1)).toEqual(['output', 'end']);
    reconstructor.gate = () => pause(5);
    host.reconstruct(3);
    expect(await host.end(3)).toMatchObject({ status: 'ok' });
  });

  it('cancels one that waits before it begins, and all', async () => {
    const { host, reconstructor } = await heldHost();
    host.send('model/save', 2, { ...PINN, path: 'x' });
    host.send('model/save', 3, { ...PINN, path: 'y' });
    host.send('cancel', 4, { request: 2 });
    expect(await host.end(2)).toMatchObject({ status: 'cancelled' });
    expect(host.said.some((said) => said.tag === 'end' && said.id === 1)).toBe(false);
    host.send('cancel', 5);
    expect(await host.end(5)).toMatchObject({ answer: { cancelled: 2 } });
    expect(await host.end(1)).toMatchObject({ status: 'cancelled' });
    expect(reconstructor.calls).toEqual([]);
    host.send('cancel', 6, { request: 77 });
    expect(await host.end(6)).toMatchObject({ status: 'ok', answer: { cancelled: 0 } });
  });

  it('refuses more than it will keep', async () => {
    const { host } = await heldHost();
    for (let id = 2; id <= 18; id++) host.send('settings/describe', id);
    expect(await host.end(18)).toMatchObject({ status: 'failed' });
    expect(host.said.find((said) => said.tag === 'error')).toMatchObject({ id: 18, code: 'USAGE' });
  });

  it('leaves no file of a reconstruction that was cancelled', async () => {
    const reconstructor = new StandIn();
    // One that gives what it has in place of an error.
    reconstructor.reconstruct = async function* (input) {
      yield { product: input.product, progress: 1, progressGoal: 9, result: 0 };
      await new Promise<void>((resolve) => input.signal?.addEventListener('abort', () => resolve()));
      yield { product: input.product, progress: 2, progressGoal: 9, result: 1 };
    };
    const host = await greetedHost({ libraries: standInLibraries(reconstructor) });
    host.reconstruct(1, { output: { path: folder } });
    await host.until((said) => said.tag === 'output');
    host.send('cancel', 2);
    expect(await host.end(1)).toMatchObject({ status: 'cancelled', answer: {} });
    expect(host.said.filter((said) => said.tag === 'output').at(-1)).toMatchObject({ final: true, progress: 2 });
    await expect(readProductFile(path.join(folder, 'product-out.h5'))).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
  });
});

describe('the end', () => {
  /** A worker that is in the middle of something. */
  async function busyHost(options: object = {}) {
    const reconstructor = new StandIn();
    reconstructor.gate = (step, signal) =>
      step < 2 ? pause(5) : new Promise((resolve) => signal?.addEventListener('abort', () => resolve()));
    const host = await greetedHost({ libraries: standInLibraries(reconstructor), ...options });
    host.reconstruct(1);
    host.send('settings/describe', 2);
    await host.until((said) => said.tag === 'output');
    return { host, reconstructor };
  }

  it('comes with shutdown, after everything was cancelled', async () => {
    const { host, reconstructor } = await busyHost();
    host.send('shutdown', 3);
    expect(await host.served).toEqual({ reason: 'shutdown', stuck: false });
    const ends = host.said.filter((said) => said.tag === 'end').map(({ id, status }) => [id, status]);
    expect(ends).toEqual([
      [2, 'cancelled'],
      [1, 'cancelled'],
      [3, 'ok'],
    ]);
    expect(reconstructor.calls).toEqual([['dispose']]);
  });

  it('comes with the end of the input', async () => {
    const { host } = await busyHost();
    host.input.end();
    expect(await host.served).toEqual({ reason: 'end of input', stuck: false });
    expect(await host.end(1)).toMatchObject({ status: 'cancelled' });
  });

  it('comes with a signal', async () => {
    const controller = new AbortController();
    const { host, reconstructor } = await busyHost({ signal: controller.signal });
    controller.abort();
    expect(await host.served).toEqual({ reason: 'signal', stuck: false });
    expect(await host.end(1)).toMatchObject({ status: 'cancelled' });
    expect(reconstructor.calls).toEqual([['dispose']]);
  });

  it('comes when the host is gone', async () => {
    const { host, reconstructor } = await busyHost();
    host.output.destroy(new Error('write EPIPE'));
    expect(await host.served).toEqual({ reason: 'host gone', stuck: false });
    expect(reconstructor.calls).toEqual([['dispose']]);
  });

  it('comes with one error when the frames cannot be understood', async () => {
    const { host } = await busyHost();
    host.input.write('GET / HTTP/1.1\r\n\r\n');
    expect(await host.served).toEqual({ reason: 'malformed frame', stuck: false });
    await host.end(1);
    expect(host.said.filter((said) => said.tag === 'error')).toMatchObject([{ id: null, code: 'PROTOCOL' }]);
  });

  it.each([
    [{ verb: 'cancel' }, /needs an "id"/],
    [{ id: 4 }, /needs a "verb"/],
    [{ id: -1, verb: 'cancel' }, /needs an "id"/],
    [{ id: 1, verb: 'cancel' }, /has the id 1 of a request that has not ended/],
  ])('comes with a header like %j', async (header, sentence) => {
    const { host } = await busyHost();
    host.sendHeader(header);
    expect(await host.served).toMatchObject({ reason: 'malformed frame' });
    expect((await host.until((said) => said.tag === 'error')).message).toMatch(sentence);
  });

  it('is told to be stuck when work does not notice', async () => {
    const reconstructor = new StandIn();
    reconstructor.gate = () => new Promise(() => {});
    const host = await greetedHost({ libraries: standInLibraries(reconstructor), grace_ms: 20 });
    host.reconstruct(1);
    host.input.end();
    expect(await host.served).toEqual({ reason: 'end of input', stuck: true });
  });
});

describe('a host that does not read', () => {
  it('gets no previews, no more work and a log with a gap, but can cancel and stop', async () => {
    const reconstructor = new StandIn();
    reconstructor.steps = 40;
    const libraries = standInLibraries(reconstructor);
    const host = new Host({ libraries }, false);
    host.send('initialize', 0, { protocol: 1 });
    host.reconstruct(1);
    await pause(20);
    // The answer to `initialize` waits in the pipe: nothing else has begun.
    expect(reconstructor.inputs).toEqual([]);
    for (let i = 0; i < 2000; i++) libraries.log.info('x'.repeat(1000));
    expect(host.output.writableLength).toBeLessThan(2 ** 20 + 20_000);
    host.send('cancel', 2, { request: 1 });
    await pause(20);
    host.read();
    expect(await host.end(1)).toMatchObject({ status: 'cancelled' });
    await pause(20);
    libraries.log.info('again');
    expect((await host.until((said) => said.message === 'again')).dropped).toBeGreaterThan(500);
    host.reconstruct(3);
    await host.end(3);
    expect(reconstructor.inputs).toHaveLength(1);
  });
});

describe('a host that does not read', () => {
  it('is not read from while its answers wait, and gets all of them later', async () => {
    const host = new Host({}, false);
    host.send('initialize', 1, { protocol: 1 });
    const last = 2000;
    for (let id = 2; id <= last; id++) host.send('settings/describe', id);
    await pause(50);
    expect(host.input.isPaused()).toBe(true);
    expect(host.output.writableLength).toBeLessThan(2 ** 20);
    const waiting = host.input.readableLength + host.input.writableLength;
    await pause(50);
    expect(host.input.readableLength + host.input.writableLength).toBe(waiting);
    host.read();
    await host.end(last);
    host.send('shutdown', last + 1);
    expect(await host.served).toEqual({ reason: 'shutdown', stuck: false });
    expect(host.said.filter(({ tag }) => tag === 'end')).toHaveLength(last + 1);
  });
});
