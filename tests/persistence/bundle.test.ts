import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPtychoError, type PtychoErrorCode } from '../../src/core/errors.js';
import type { Tensor } from '../../src/core/tensor.js';
import { encodeNpy } from '../../src/formats/npyWrite.js';
import { encodeOnnx } from '../../src/formats/onnx/encode.js';
import { encodeSafetensors } from '../../src/formats/safetensors.js';
import { readZip, writeZip } from '../../src/formats/zip.js';
import { openBundle, type StoredBundle, saveBundle } from '../../src/persistence/bundle.js';
import { LOCAL_DATA_FIELDS, LOCAL_FIELDS } from '../../src/persistence/bundleConfig.js';
import { checkWeights } from '../../src/persistence/check.js';
import type { Bundle } from '../../src/persistence/content.js';
import { canonicalJson } from '../../src/persistence/json.js';
import fc from '../support/fastCheck.js';
import { interpret } from '../support/interpreter.js';
import {
  autoencode,
  bounds,
  type Change,
  content,
  encodeModel,
  encodeOne,
  forge,
  json,
  N,
  predict,
  sample,
  weights,
} from './sampleBundle.js';

let folder: string;
let good: string;
const file = (name: string) => path.join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-bundle-'));
  good = file('wts.zip');
  await saveBundle(good, content, encodeModel);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const bitsOf = (data: Float32Array) => [...new Uint32Array(data.slice().buffer)];
const MEMBERS = [
  'config.json',
  'params.json',
  'weights.safetensors',
  'autoencoder.onnx',
  'diffraction_to_obj.onnx',
  'probe.npy',
  'history.csv',
];

describe('saveBundle and openBundle', () => {
  it('give back the content, floats bit by bit', async () => {
    const opened = await openBundle(good);
    for (const name of Object.keys(weights)) {
      expect(opened.weights[name].shape).toEqual(weights[name].shape);
      expect(bitsOf(opened.weights[name].data)).toEqual(bitsOf(weights[name].data));
    }
    expect(Object.keys(opened.weights).sort()).toEqual(Object.keys(weights).sort());
    expect(bitsOf(opened.probe.re)).toEqual(bitsOf(content.probe.re));
    expect(bitsOf(opened.probe.im)).toEqual(bitsOf(content.probe.im));
    expect(opened.probe.shape).toEqual([N, N]);
    for (const key of [
      'createdBy',
      'backend',
      'engine',
      'canvasSide_px',
      'scale',
      'statistics',
      'training',
      'history',
    ] as const) {
      expect(opened[key], key).toEqual(content[key]);
    }
    const dropped: readonly string[] = [...LOCAL_FIELDS, 'execution', 'data'];
    const kept = Object.entries(content.config).filter(([key]) => !dropped.includes(key));
    const data = Object.fromEntries(
      Object.entries(content.config.data).filter(([name]) => !LOCAL_DATA_FIELDS.some((local) => local === name)),
    );
    const execution = {
      accum_steps: 1,
      checkpoint_mode: 'min',
      checkpoint_monitor_metric: 'val_loss',
      early_stop_patience: 100,
    };
    expect(opened.config).toEqual({ ...Object.fromEntries(kept), data, execution });
    expect(opened.path).toBe(good);
    checkWeights(
      Object.entries(weights).map(([name, t]) => [name, t.shape] as const),
      opened.weights,
    );
  });

  it('is a zip of exactly the documented members, stored, in the documented order', async () => {
    const members = await readZip(good, bounds);
    expect([...members.keys()]).toEqual(['manifest.json', ...MEMBERS]);
    const stored = [...members.values()].reduce((n, b) => n + b.length, 0);
    expect((await stat(good)).size).toBeGreaterThan(stored);
  });

  it('writes the manifest of specs/bundle.md', async () => {
    const members = await readZip(good, bounds);
    const text = members.get('manifest.json')!.toString();
    const manifest = JSON.parse(text);
    expect(text).toBe(canonicalJson(manifest));
    const image = { dtype: 'float32', shape: ['batch', 1, N, N] };
    const inputs = [
      { name: 'input', ...image },
      { name: 'input_positions', dtype: 'float32', shape: ['batch', 1, 1, 2] },
    ];
    expect(manifest).toEqual({
      format: 'ptychopinn-bundle',
      format_version: 1,
      schema_versions: { config: 1, weights: 1, params: '1.0' },
      created_by: { package: 'ptychopinn', version: '0.1.0' },
      backend: 'onnx',
      engine: 'onnxruntime-node 1.30.0',
      architecture: 'cnn',
      N,
      gridsize: 1,
      canvas_side_px: N,
      intensity_scale: 0.1 + 0.2,
      scale_contract: {
        version: 'counts_v1',
        measurement_domain: 'count_amplitude',
        input: 'amplitude * (N/2) / sqrt(mean(sum(amplitude^2)))',
        amplitude_gauge: 2.5,
        probe_factor: 1,
      },
      dataset: { mean_power: 1e6 / 3, mean_counts: 1e6 / 3, mean_amplitude: 0.21, n_patterns: 289 },
      seeds: { seed: 11, subsample_seed: null },
      training: { epochs: 2, best_epoch: 2, monitor: 'val_loss', value: 1 / 3 },
      models: {
        autoencoder: {
          inputs,
          outputs: ['object_real', 'object_imag', 'pred_amplitude', 'pred_intensity'].map((name) => ({
            name,
            ...image,
          })),
        },
        diffraction_to_obj: {
          inputs,
          outputs: ['object_real', 'object_imag'].map((name) => ({ name, ...image })),
        },
      },
      members: Object.fromEntries(
        MEMBERS.map((name) => [name, { sha256: sha256(members.get(name)!), bytes: members.get(name)!.length }]),
      ),
    });
  });

  it.each([
    ['intensityScale', 1e300],
    ['intensityScale', 1e-200],
    ['amplitudeGauge', 1e30],
    ['probeFactor', 1e40],
  ] as const)('is refused with the absurd scale %s %d', async (name, value) => {
    const absurd = { ...content, scale: { ...content.scale, [name]: value } };
    await expect(saveBundle(file('absurd.zip'), absurd, encodeModel)).rejects.toMatchObject({
      code: 'BUNDLE_INVALID',
      message: expect.stringMatching(/is no scale of a measurement/),
    });
  });

  it('keeps the statistics of the contract of counts', async () => {
    const countIntensity = { rmsInputScale: 1e-3 / 3, meanMeasuredIntensity: 24.5 };
    const counting = {
      ...content,
      config: { ...content.config, scale_contract_version: 'ci_intensity_v2' as const },
      scale: { ...content.scale, version: 'ci_intensity_v2' as const, countIntensity },
    };
    await saveBundle(file('counts.zip'), counting, encodeModel);
    const { scale, manifest } = await openBundle(file('counts.zip'));
    expect(scale).toEqual(counting.scale);
    expect(manifest.scale_contract).toMatchObject({
      input: 'sqrt(counts) / intensity_scale',
      rms_input_scale: 1e-3 / 3,
      mean_measured_intensity: 24.5,
    });
  });

  it('gives equal bytes for equal content, whatever the order of keys, the folder or the machine', async () => {
    const shuffled: Bundle = {
      ...Object.fromEntries(Object.entries(content).reverse()),
      weights: Object.fromEntries(Object.entries(weights).reverse()),
      history: content.history.map((row) => Object.fromEntries(Object.entries(row).reverse())),
      config: {
        ...Object.fromEntries(Object.entries(content.config).reverse()),
        output_dir: 'elsewhere',
        train_data_file: 'other.npz',
        execution: { ...content.config.execution, accelerator: 'cpu', threads: 1 },
      },
    } as unknown as Bundle;
    await mkdir(file('elsewhere'));
    const other = path.join(file('elsewhere'), 'another-name.zip');
    await saveBundle(other, shuffled, encodeModel);
    expect(sha256(await readFile(other))).toBe(sha256(await readFile(good)));
  });

  it('gives other bytes for other content', async () => {
    await saveBundle(file('seed.zip'), { ...content, config: { ...content.config, seed: 12 } }, encodeModel);
    expect(sha256(await readFile(file('seed.zip')))).not.toBe(sha256(await readFile(good)));
  });

  it('writes again, after opening, the same bytes', async () => {
    await saveBundle(file('again.zip'), await openBundle(good), encodeModel);
    expect(sha256(await readFile(file('again.zip')))).toBe(sha256(await readFile(good)));
  });

  it('holds no path and no name of the machine', async () => {
    const bytes = await readFile(good);
    for (const secret of ['/home', 'somebody', 'secret', folder, 'threads', 'output_dir']) {
      expect(bytes.includes(secret), secret).toBe(false);
    }
  });

  it('opens from the folder, too, and under the older name', async () => {
    expect((await openBundle(folder)).path).toBe(good);
    await mkdir(file('old'));
    await writeFile(path.join(file('old'), 'wts.h5.zip'), await readFile(good));
    expect((await openBundle(file('old'))).manifest.N).toBe(N);
  });

  it('opens after somebody packed it again, deflated', async () => {
    await forge(good, file('deflated.zip'), {}, { rehash: false, compress: true });
    const opened = await openBundle(file('deflated.zip'));
    expect(bitsOf(opened.weights['decoder.weight'].data)).toEqual(bitsOf(weights['decoder.weight'].data));
  });

  it('fills fields that a later version added with their defaults', async () => {
    await forge(good, file('older.zip'), { 'config.json': json((c) => delete c.val_fraction) });
    expect((await openBundle(file('older.zip'))).config.val_fraction).toBe(0.05);
  });
});

describe('the model in a bundle', () => {
  const run = async (session: InferenceSession, batch: number, x: Tensor, positions: Tensor) => {
    const result = await session.run({
      input: new OrtTensor('float32', x.data, [batch, 1, N, N]),
      input_positions: new OrtTensor('float32', positions.data, [batch, 1, 1, 2]),
    });
    expect(result.object_real.dims).toEqual([batch, 1, N, N]);
    return { re: result.object_real.data as Float32Array, im: result.object_imag.data as Float32Array };
  };

  it('runs in plain onnxruntime from memory, at any batch size, and computes what the program says', async () => {
    const { model } = await openBundle(good);
    const session = await InferenceSession.create(model.bytes, { externalData: model.externalData });
    const embedded = await InferenceSession.create(encodeOnnx(predict(2), { constants: weights, twin: predict(3) }));
    try {
      for (const batch of [1, 3]) {
        const x = sample([batch, 1, N, N], 20);
        const positions = sample([batch, 1, 1, 2], 21);
        const got = await run(session, batch, x, positions);
        const values = Object.fromEntries(Object.entries(weights).map(([name, t]) => [name, t.data]));
        const { outputs } = interpret(predict(batch), { input: x.data, input_positions: positions.data }, values);
        for (const [part, name] of [
          ['re', 'object_real'],
          ['im', 'object_imag'],
        ] as const) {
          const worst = got[part].reduce((m, v, i) => Math.max(m, Math.abs(v - outputs[name].data[i])), 0);
          const largest = outputs[name].data.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
          expect(largest).toBeGreaterThan(0.1);
          expect(worst).toBeLessThan(1e-5 * largest);
        }
        // The same numbers from outside the model as from inside: bit by bit.
        const inside = await run(embedded, batch, x, positions);
        expect(bitsOf(got.re)).toEqual(bitsOf(inside.re));
        expect(bitsOf(got.im)).toEqual(bitsOf(inside.im));
      }
    } finally {
      await session.release();
      await embedded.release();
    }
  });

  it('runs from the unpacked members on disk', async () => {
    await mkdir(file('unpacked'));
    for (const [name, bytes] of await readZip(good, bounds)) await writeFile(path.join(file('unpacked'), name), bytes);
    const session = await InferenceSession.create(path.join(file('unpacked'), 'diffraction_to_obj.onnx'));
    const x = sample([1, 1, N, N], 20);
    const got = await run(session, 1, x, sample([1, 1, 1, 2], 21));
    await session.release();
    const { model } = await openBundle(good);
    const memory = await InferenceSession.create(model.bytes, { externalData: model.externalData });
    expect(bitsOf(got.re)).toEqual(bitsOf((await run(memory, 1, x, sample([1, 1, 1, 2], 21))).re));
    await memory.release();
  });
});

async function refusal(target: string) {
  const error = await openBundle(target).then(
    () => undefined,
    (e: unknown) => e,
  );
  if (!isPtychoError(error)) throw error ?? new Error('the bundle was accepted');
  return error;
}

async function expectRefusal(target: string, code: PtychoErrorCode, message: string): Promise<void> {
  const error = await refusal(target);
  expect(error.message).toContain(message);
  expect(error.message).toContain(target);
  expect(error.message).toMatch(/\.$/);
  expect(error.message).not.toContain('\n');
  expect(error.code).toBe(code);
}

describe('openBundle refuses', () => {
  it('what is not there', async () => {
    await expectRefusal(file('nothing.zip'), 'FILE_NOT_FOUND', 'There is no bundle');
    await mkdir(file('empty-folder'));
    await expectRefusal(file('empty-folder'), 'FILE_NOT_FOUND', 'holds no wts.zip');
  });

  it.each(['manifest.json', ...MEMBERS])('a flipped bit in %s', async (name) => {
    const bytes = await readFile(good);
    const member = (await readZip(good, bounds)).get(name)!;
    const at = bytes.indexOf(member) + (member.length >> 1);
    bytes[at] ^= 1;
    const target = file(`bit-${name}.zip`);
    await writeFile(target, bytes);
    await expectRefusal(target, 'BUNDLE_INVALID', `member "${name}", is damaged`);
  });

  it.each(MEMBERS)('%s that is not the one of the manifest, in a sound archive', async (name) => {
    const target = file(`swap-${name}.zip`);
    const flip: Change = (b) => {
      b[b.length >> 1] ^= 1;
      return b;
    };
    await forge(good, target, { [name]: flip }, { rehash: false });
    await expectRefusal(target, 'BUNDLE_INVALID', `${name}: it is not the file that the manifest describes`);
    await forge(good, target, { [name]: (b) => Buffer.concat([b, Buffer.from('x')]) }, { rehash: false });
    await expectRefusal(target, 'BUNDLE_INVALID', `${name}: it is not the file that the manifest describes`);
  });

  it.each(MEMBERS)('a bundle without %s', async (name) => {
    const target = file(`without-${name}.zip`);
    await forge(good, target, { [name]: () => undefined }, { rehash: false });
    await expectRefusal(target, 'BUNDLE_INVALID', `${name}: the bundle lacks this member`);
    await forge(good, target, {
      [name]: () => undefined,
      'manifest.json': json((m) => delete (m.members as Record<string, unknown>)[name]),
    });
    await expectRefusal(target, 'BUNDLE_INVALID', 'manifest.json: members lists');
  });

  it('members that do not belong', async () => {
    const target = file('extra.zip');
    await forge(good, target, { 'extra/run.sh': () => 'rm -rf' }, { rehash: false });
    await expectRefusal(target, 'BUNDLE_INVALID', 'holds "extra/run.sh", which is no member of a bundle');
    // No zip writer makes such names, so the bytes are changed afterwards.
    const bytes = (await readFile(target)).toString('latin1').replaceAll('extra/run.sh', '../../run.sh');
    await writeFile(target, bytes, 'latin1');
    await expectRefusal(target, 'BUNDLE_INVALID', 'invalid relative path: ../../run.sh');
  });

  it('a newer format, in a sentence of its own', async () => {
    const target = file('newer.zip');
    await forge(good, target, { 'manifest.json': json((m) => Object.assign(m, { format_version: 2, new_field: {} })) });
    await expectRefusal(
      target,
      'FORMAT_UNSUPPORTED',
      'has format version 2, this ptychopinn reads up to 1; install a newer ptychopinn',
    );
  });

  it.each<[string, string[], string]>([
    [
      'a TensorFlow bundle of the Python PtychoPINN',
      ['manifest.dill', 'autoencoder/model.keras', 'diffraction_to_obj/params.dill'],
      'is a wts.h5.zip of the Python PtychoPINN (TensorFlow): its manifest.dill is a pickle, which could run code and is never opened; "ptychopinn bundle import',
    ],
    [
      'a PyTorch bundle of the Python PtychoPINN',
      ['manifest.dill', 'diffraction_to_obj/model.pth', 'diffraction_to_obj/params.dill'],
      'is a wts.h5.zip of the Python PtychoPINN (PyTorch)',
    ],
    [
      'another bundle of the Python PtychoPINN',
      ['manifest.dill', 'diffraction_to_obj/params.dill'],
      'is a wts.h5.zip of the Python PtychoPINN: its manifest.dill is a pickle',
    ],
    ['a checkpoint of ours', ['checkpoint.json', 'config.json'], 'is a checkpoint of ptychopinn, not a bundle'],
    [
      'a Lightning checkpoint',
      ['last/data.pkl', 'last/data/0', 'last/version'],
      'is a PyTorch or Lightning checkpoint: it is a pickle, which could run code and is never opened; turn it into an NPZ with examples/python/export_torch_weights.py',
    ],
    ['a Keras model', ['metadata.json', 'config.json', 'model.weights.h5'], 'is a Keras model'],
    ['an NPZ', ['diffraction.npy', 'probeGuess.npy'], 'is an NPZ archive of arrays'],
    ['any other archive', ['readme.txt'], 'holds no manifest.json'],
    ['an empty archive', [], 'holds no manifest.json'],
  ])('%s', async (_, names, sentence) => {
    const target = file('foreign.zip');
    await writeZip(
      target,
      names.map((name) => ({ name, data: Buffer.from('pickle') })),
    );
    await expectRefusal(target, 'BUNDLE_INVALID', sentence);
  });

  it.each<[string, Buffer, string]>([
    ['HDF5', Buffer.from('\x89HDF\r\n\x1a\nrest', 'latin1'), 'is an HDF5 file'],
    ['a bare pickle', Buffer.from('\x80\x02}q\x00.', 'latin1'), 'is a Python pickle'],
    ['text', Buffer.from('hello'), 'is not a zip archive'],
    ['nothing', Buffer.alloc(0), 'is empty'],
    ['an NPY file', Buffer.from('\x93NUMPY\x01\x00', 'latin1'), 'is a single NPY array'],
    ['gzip', Buffer.from('\x1f\x8b\x08\x00', 'latin1'), 'is compressed by gzip'],
  ])('a file that is %s', async (_, bytes, sentence) => {
    await writeFile(file('other'), bytes);
    await expectRefusal(file('other'), 'BUNDLE_INVALID', sentence);
  });

  it('a bundle of another format with a manifest.json', async () => {
    await writeZip(file('other.zip'), [{ name: 'manifest.json', data: Buffer.from('{"format":"docker"}') }]);
    await expectRefusal(
      file('other.zip'),
      'BUNDLE_INVALID',
      'manifest.json: format is "docker", expected "ptychopinn-bundle"',
    );
    for (const text of ['', 'null', '[]', '{"format":']) {
      await writeZip(file('other.zip'), [{ name: 'manifest.json', data: Buffer.from(text) }]);
      await expectRefusal(file('other.zip'), 'BUNDLE_INVALID', 'manifest.json: ');
    }
  });

  it('a file cut off anywhere', async () => {
    const bytes = await readFile(good);
    const cuts = [
      1,
      3,
      4,
      30,
      100,
      bytes.length >> 1,
      bytes.length - 400,
      bytes.length - 23,
      bytes.length - 22,
      bytes.length - 1,
    ];
    for (const cut of cuts) {
      await writeFile(file('cut.zip'), bytes.subarray(0, cut));
      const error = await refusal(file('cut.zip'));
      expect(error.code, `cut at ${cut}`).toBe('BUNDLE_INVALID');
      expect(error.message).toContain(file('cut.zip'));
    }
  });

  it('content that is out of proportion to the archive, before it unpacks it', async () => {
    const target = file('bomb.zip');
    await forge(good, target, { 'history.csv': () => Buffer.alloc(64 << 20) }, { rehash: false, compress: true });
    expect((await stat(target)).size).toBeLessThan(1 << 20);
    await expectRefusal(target, 'BUNDLE_INVALID', 'bytes of content in an archive of');
  });

  it('a size that the directory claims and the member does not have', async () => {
    const bytes = await readFile(good);
    for (const claim of [1, 1 << 20, 0x7fffffff]) {
      const copy = Buffer.from(bytes);
      // Central directory entry: uncompressed size at 24, name at 46.
      const name = copy.lastIndexOf('weights.safetensors');
      copy.writeUInt32LE(claim, name - 46 + 24);
      await writeFile(file('claim.zip'), copy);
      expect((await refusal(file('claim.zip'))).code).toBe('BUNDLE_INVALID');
    }
  });

  it('any flipped byte that changes what is said, and never with anything but a sentence', async () => {
    const bytes = await readFile(good);
    const original = canonicalJson((await openBundle(good)).manifest);
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
        const copy = Buffer.from(bytes);
        copy[at] ^= flip;
        await writeFile(file('flipped.zip'), copy);
        const outcome = await openBundle(file('flipped.zip')).catch((error: unknown) => error);
        // A flip in a time stamp of the archive, say, changes no member.
        if (isPtychoError(outcome)) expect(outcome.message).toContain(file('flipped.zip'));
        else expect(canonicalJson((outcome as StoredBundle).manifest)).toBe(original);
      }),
      { numRuns: 300 },
    );
  });

  const replaced =
    (tensors: Record<string, Tensor>): Change =>
    () =>
      encodeSafetensors(tensors).bytes;
  const { 'encoder.0.weight': _, ...fewer } = weights;
  const withoutBias = { ...weights, 'encoder.0.bias': { ...weights['encoder.0.bias'], shape: [1, 2] } };
  const onnxWith =
    (location: string, shift = 0): Change =>
    () => {
      const { entries } = encodeSafetensors(weights);
      const moved = new Map([...entries].map(([name, r]) => [name, { offset: r.offset + shift, length: r.length }]));
      return encodeOnnx(predict(2), { externalData: { location, entries: moved }, twin: predict(3) });
    };

  it.each<[string, Record<string, Change>, string]>([
    [
      'weights of another shape',
      { 'weights.safetensors': replaced(withoutBias) },
      'initialiser "encoder.0.bias" has shape [2], weights.safetensors has [1, 2]',
    ],
    [
      'weights that are missing',
      { 'weights.safetensors': replaced(fewer) },
      'initialiser "encoder.0.weight" points to weights.safetensors, which has no tensor of that name',
    ],
    [
      'weights that are not finite',
      {
        'weights.safetensors': replaced({
          ...weights,
          log_intensity_scale: { data: Float32Array.of(Number.NaN), shape: [] },
        }),
      },
      'weights.safetensors: log_intensity_scale holds a value that is not finite',
    ],
    ['weights that are no safetensors', { 'weights.safetensors': () => 'x'.repeat(100) }, 'weights.safetensors: '],
    [
      'a model that points to a parent folder',
      { 'diffraction_to_obj.onnx': onnxWith('../weights.safetensors') },
      'points to "../weights.safetensors"; only "weights.safetensors" is allowed',
    ],
    [
      'a model that points to an absolute path',
      { 'diffraction_to_obj.onnx': onnxWith('/etc/passwd') },
      'points to "/etc/passwd"',
    ],
    [
      'a model that points beside its weights',
      { 'diffraction_to_obj.onnx': onnxWith('weights.safetensors', 4) },
      'its tensor is at bytes',
    ],
    [
      'a model that points past the end',
      { 'diffraction_to_obj.onnx': onnxWith('weights.safetensors', 1 << 20) },
      'its tensor is at bytes',
    ],
    [
      'a model with a fixed batch',
      {
        'diffraction_to_obj.onnx': () =>
          encodeOnnx(predict(2), {
            externalData: { location: 'weights.safetensors', entries: encodeSafetensors(weights).entries },
          }),
      },
      'the inputs are input float32[2, 1, 64, 64]',
    ],
    [
      'a model that wants its weights as inputs',
      { 'diffraction_to_obj.onnx': () => encodeOnnx(predict(2), { twin: predict(3) }) },
      'the inputs are input float32[batch, 1, 64, 64]',
    ],
    ['a model that is none', { 'diffraction_to_obj.onnx': () => 'not a model' }, 'diffraction_to_obj.onnx: '],
    ['a config of an unknown field', { 'config.json': json((c) => Object.assign(c, { evil: 1 })) }, 'config.json: '],
    [
      'a config of a wrong value',
      { 'config.json': json((c) => Object.assign(c, { nepochs: -1 })) },
      'config.json: nepochs: ',
    ],
    ['a config that is no JSON', { 'config.json': () => '{' }, 'config.json: it is not JSON'],
    [
      'a config that is no UTF-8',
      { 'config.json': () => Uint8Array.of(0xff, 0xfe) },
      'config.json: it is not UTF-8 text',
    ],
    [
      'a config and a manifest that disagree',
      { 'config.json': json((c) => Object.assign(c, { seed: 1 })) },
      'manifest.json: seeds is {"seed":11,"subsample_seed":null}, but config.json says {"seed":1,"subsample_seed":null}',
    ],
    [
      'another gridsize than the model has',
      { 'config.json': json((c) => Object.assign(c.model, { gridsize: 2 })) },
      'expected input float32[batch, 4, 64, 64]',
    ],
    [
      'a history with a row less',
      { 'history.csv': () => 'epoch,loss\n1,2\n' },
      'history.csv: it has 1 rows, but training.epochs is 2',
    ],
    [
      'a history of other figures',
      { 'history.csv': () => 'epoch,val_loss\n1,2\n2,0.5\n' },
      'history.csv: val_loss of epoch 2 is 0.5, but training.value is 0.3333333333333333',
    ],
    [
      'a history without the monitored column',
      { 'history.csv': () => 'epoch,loss\n1,2\n2,0.5\n' },
      'history.csv: val_loss of epoch 2 is missing',
    ],
    ['a history that is no table', { 'history.csv': () => 'epoch\n1\nx\n' }, 'history.csv: line 3 holds "x"'],
    ['a probe that is no array', { 'probe.npy': () => 'x'.repeat(200) }, 'probe.npy is not a NumPy .npy array'],
    [
      'a probe of another type',
      { 'probe.npy': () => encodeNpy({ data: new Float32Array(N * N), shape: [N, N] }) },
      'probe.npy: the probe is float32, expected complex64',
    ],
    [
      'a probe that is not finite',
      { 'probe.npy': () => encodeNpy({ ...content.probe, re: new Float32Array(N * N).fill(Number.NaN) }) },
      'probe.npy: the probe holds a value that is not finite',
    ],
    [
      'a manifest with a field more',
      { 'manifest.json': json((m) => Object.assign(m, { host: 'laptop' })) },
      'manifest.json: ',
    ],
    ['a manifest with a field less', { 'manifest.json': json((m) => delete m.engine) }, 'manifest.json: engine: '],
    [
      'a canvas smaller than N',
      { 'manifest.json': json((m) => Object.assign(m, { canvas_side_px: 62 })) },
      'canvas_side_px is 62, expected an even number, at least 64',
    ],
    [
      'a scale that is no number',
      { 'manifest.json': json((m) => Object.assign(m, { intensity_scale: 'big' })) },
      'manifest.json: intensity_scale: ',
    ],
    [
      'another input definition',
      { 'manifest.json': json((m) => Object.assign(m.scale_contract, { input: 'raw' })) },
      'manifest.json: scale_contract.input: ',
    ],
    [
      'an unknown scale contract',
      { 'manifest.json': json((m) => Object.assign(m.scale_contract, { version: 'counts_v9' })) },
      'manifest.json: scale_contract.version: ',
    ],
    [
      'a scale contract other than the configuration says',
      {
        'manifest.json': json((m) =>
          Object.assign(m.scale_contract, {
            version: 'ci_intensity_v2',
            rms_input_scale: 1,
            mean_measured_intensity: 1,
          }),
        ),
      },
      'scale_contract.version is ci_intensity_v2, but config.json says counts_v1',
    ],
    [
      'the contract of counts without its statistics',
      {
        'config.json': json((c) => Object.assign(c, { scale_contract_version: 'ci_intensity_v2' })),
        'manifest.json': json((m) =>
          Object.assign(m.scale_contract, { version: 'ci_intensity_v2', rms_input_scale: 1 }),
        ),
      },
      'scale_contract lacks mean_measured_intensity, without which a model of ci_intensity_v2 cannot be used',
    ],
    [
      'statistics that its contract does not know',
      { 'manifest.json': json((m) => Object.assign(m.scale_contract, { rms_input_scale: 1 })) },
      'scale_contract holds statistics of ci_intensity_v2, but its version is counts_v1',
    ],
    [
      'the contract of counts for what is none',
      {
        'config.json': json((c) => Object.assign(c, { scale_contract_version: 'ci_intensity_v2' })),
        'manifest.json': json((m) =>
          Object.assign(m.scale_contract, {
            version: 'ci_intensity_v2',
            measurement_domain: 'normalized_amplitude',
            rms_input_scale: 1,
            mean_measured_intensity: 1,
          }),
        ),
      },
      'scale_contract says ci_intensity_v2 of normalized_amplitude, but that contract is for counts',
    ],
    [
      'a hash that is none',
      { 'manifest.json': json((m) => Object.assign(m.members, { 'probe.npy': { sha256: 'abc', bytes: 1 } })) },
      'manifest.json: members.probe.npy.sha256: ',
    ],
  ])('%s, although every hash is right', async (_, changes, message) => {
    await forge(good, file('forged.zip'), changes);
    await expectRefusal(file('forged.zip'), 'BUNDLE_INVALID', message);
  });

  it('a field of execution that belongs to the machine', async () => {
    await forge(good, file('local.zip'), {
      'config.json': json((c) => Object.assign(c.execution as object, { threads: 2 })),
    });
    await expectRefusal(
      file('local.zip'),
      'BUNDLE_INVALID',
      'config.json: execution.threads does not belong into a bundle',
    );
  });

  it.each(LOCAL_FIELDS.map((f) => [f]))('the machine’s own field %s in config.json', async (field) => {
    await forge(good, file('local.zip'), { 'config.json': json((c) => Object.assign(c, { [field]: null })) });
    await expectRefusal(file('local.zip'), 'BUNDLE_INVALID', `config.json: ${field} does not belong into a bundle`);
  });
});

describe('saveBundle refuses', () => {
  const refuses = async (changes: Partial<Bundle>, message: string, encode = encodeModel) => {
    const target = file('refused.zip');
    await writeFile(target, 'what was there before');
    await expect(saveBundle(target, { ...content, ...changes }, encode)).rejects.toThrow(message);
    expect(await readFile(target, 'utf8')).toBe('what was there before');
    expect((await readdir(folder)).filter((n) => n.endsWith('.tmp'))).toEqual([]);
  };

  it('content that contradicts itself, and leaves an older file as it was', async () => {
    await refuses({ training: { ...content.training, bestEpoch: 3 } }, 'val_loss of epoch 3 is missing');
    await refuses({ training: { ...content.training, value: 0.5 } }, 'but training.value is 0.5');
    await refuses({ history: content.history.slice(1) }, 'history.csv: row 1 is epoch 2');
    await refuses({ scale: { ...content.scale, intensityScale: Number.NaN } }, 'intensity_scale is NaN');
    await refuses({ scale: { ...content.scale, amplitudeGauge: 0 } }, 'scale_contract.amplitude_gauge');
    await refuses({ canvasSide_px: 65 }, 'canvas_side_px is 65');
    await refuses(
      { probe: { re: new Float32Array(4), im: new Float32Array(4), shape: [2, 2] } },
      'the probe has shape (2, 2), expected (64, 64)',
    );
    const broken = { data: Float32Array.of(Number.POSITIVE_INFINITY), shape: [] };
    await refuses(
      { weights: { ...weights, log_intensity_scale: broken } },
      'log_intensity_scale holds a value that is not finite',
    );
  });

  it('a model that would need anything but its weights', async () => {
    await refuses({}, 'points to "w"', (entries) => encodeOne(predict, autoencode, entries, 'w'));
    await refuses({}, 'autoencoder.onnx: the outputs are', (entries) => encodeOne(predict, predict, entries));
    await refuses({}, 'diffraction_to_obj.onnx: the outputs are', (entries) =>
      encodeOne(autoencode, autoencode, entries),
    );
  });

  it('to write where it cannot', async () => {
    await expect(saveBundle(file('no/such/folder/wts.zip'), content, encodeModel)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });
});
