/** Models of other programs: the golden weights of the published PyTorch network, and what is refused. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { modelConfigSchema } from '../../src/config/schema.js';
import { importConfigSchema } from '../../src/config/schemas/tools.js';
import { isPtychoError } from '../../src/core/errors.js';
import type { Tensor } from '../../src/core/tensor.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';
import { openNpz, writeNpz } from '../../src/formats/npz.js';
import * as op from '../../src/graph/ops.js';
import { ParameterScope } from '../../src/graph/parameters.js';
import { generatorOf } from '../../src/networks/architectures.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { publishedNames } from '../../src/persistence/publishedNames.js';
import { startEngine } from '../../src/reconstruction/inputs.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { importBundle, verifyBundle } from '../../src/workflows/bundle.js';
import { cli } from '../cli/capture.js';
import { content, N } from '../persistence/sampleBundle.js';
import { maxAbs, maxDifference, readGolden } from '../support/golden.js';
import { goldenName } from '../support/hybridGolden.js';
import { networkContent } from '../support/networkBundle.js';
import { describeShared, sharedFile } from '../support/shared.js';

let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-import-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const text = (value: unknown): NpyInput => ({ strings: [JSON.stringify(value)], shape: [] });
const options = (over: object = {}) => importConfigSchema.parse({ output_dir: file('out'), overwrite: true, ...over });

/** The arrays of a golden file that are weights, and the probe in the form in which the network multiplies with it. */
async function goldenArrays(name: string): Promise<Record<string, NpyInput>> {
  const npz = await openNpz(sharedFile('golden', name));
  const arrays: Record<string, NpyInput> = {};
  for (const key of npz.keys.filter((k) => k.startsWith('w.'))) {
    const { data, shape } = await npz.readReal(key);
    arrays[key] = { data: Float32Array.from(data), shape };
  }
  const probe = await npz.readComplex64('in_probe');
  arrays.probe = { re: probe.re.map((v) => v / 4), im: probe.im.map((v) => v / 4), shape: probe.shape };
  await npz.close();
  return arrays;
}

describeShared('golden weights of the published PyTorch network', () => {
  it.each([
    ['d_net_gs1_nf1.npz', 1],
    ['d_net_gs2_nf1.npz', 2],
  ])('%s: the imported model reproduces the published forward', async (name, gridsize) => {
    await writeNpz(file(name), {
      ...(await goldenArrays(name)),
      params: text({ gridsize, N: 64, nphotons: 1e5, K: 7 }),
    });
    const target = file(`imported${gridsize}`);
    const { code, out, err } = await cli('bundle', 'import', file(name), '--output_dir', target, '--quiet');
    expect([code, out, err]).toEqual([0, '', '']);
    await verifyBundle(target);

    const golden = await readGolden(name);
    const [input, positions] = [await golden.float32('net_input'), await golden.float32('in_coords_relative')];
    const rms = (await golden.real('in_rms_scaling_constant')).data[0];
    const bundle = await openBundle(target);
    expect(bundle.config.model).toMatchObject({
      ...{ architecture: 'cnn_cbam', N: 64, gridsize, n_filters_scale: 1, amp_activation: 'swish' },
      ...{ border_activation: 'swish', cbam_encoder: true, probe_big: true, pad_object: true, object_big: true },
    });
    expect(bundle.manifest).toMatchObject({ training: null, imported: { format: 'npz' }, backend: 'onnx' });
    const s = Math.sqrt(1e5) / 32;
    expect(bundle.manifest.intensity_scale).toBeCloseTo(s, 10);

    const [B, C] = input.shape;
    const session = await InferenceSession.create(bundle.autoencoder!.bytes, {
      externalData: bundle.autoencoder!.externalData,
    });
    const result = await session.run({
      input: new OrtTensor('float32', input.data, [...input.shape]),
      input_positions: new OrtTensor('float32', positions.data, [B, C, 1, 2]),
    });
    await session.release();
    const expected = (await golden.real('pred_diffraction')).data.map((v) => v * rms);
    const amplitude = (result.pred_amplitude.data as Float32Array).map((v) => v / s);
    expect(maxAbs(expected)).toBeGreaterThan(1e-3);
    expect(maxDifference(amplitude, expected) / maxAbs(expected)).toBeLessThan(1e-4);

    if (gridsize === 1) {
      const object = await golden.complex('complex_object');
      const model = await PtychoModel.open(target, { execution: { accelerator: 'cpu', threads: 1 } });
      const patches = await model.predict(input);
      await model.dispose();
      expect(maxDifference(patches.re, object.re)).toBeLessThan(1e-4);
      expect(maxDifference(patches.im, object.im)).toBeLessThan(1e-4);
    }
    await golden.close();
  });

  it('lists by name what has no place, what is missing and what has another shape', async () => {
    const arrays = await goldenArrays('d_net_gs1_nf1.npz');
    const one = (data: number[], shape = [data.length]): NpyInput => ({ data: Float32Array.from(data), shape });
    const refused = async (changes: Record<string, NpyInput | undefined>, over: object = {}): Promise<string> => {
      const changed = Object.entries({ ...arrays, ...changes }).filter(
        (e): e is [string, NpyInput] => e[1] !== undefined,
      );
      await writeNpz(file('changed.npz'), Object.fromEntries(changed));
      const error = await importBundle(file('changed.npz'), options(over)).catch((e: unknown) => e);
      if (!isPtychoError(error)) throw new Error('it was imported');
      expect(error.message).toContain(file('changed.npz'));
      return error.message;
    };
    expect(await refused({ 'w.model.autoencoder.encoder.norm.weight': one([1, 2]) })).toMatch(
      /these have no place in the network: w\.model\.autoencoder\.encoder\.norm\.weight; leave them out with --ignore_unmapped/,
    );
    expect(await refused({ 'w.model.forward_model.alpha': one([1.5]) })).toContain('w.model.forward_model.alpha');
    expect(await refused({ 'w.model.autoencoder.decoder_amp.blocks.0.conv1.bias': undefined })).toContain(
      'it has no weights for amplitude.0.conv1.bias',
    );
    expect(await refused({ 'w.model.autoencoder.decoder_amp.blocks.0.conv1.bias': one([1, 2]) })).toContain(
      'w.model.autoencoder.decoder_amp.blocks.0.conv1.bias has shape [2], amplitude.0.conv1.bias needs [64]',
    );
    expect(await refused({ params: text({ N: 128 }) })).toContain(
      'its settings say N 128, but its weights are those of N 64',
    );
    expect(await refused({ params: text({ scale_contract_version: 'ci_intensity_v2' }) })).toContain('ci_intensity_v2');
    expect(await refused({ params: text({ amplitude_physics_gain: 2 }) })).toContain('amplitude_physics_gain is 2');
    expect(await refused({ params: text([1]) })).toContain('params must be a JSON text of a dictionary');
    expect(await refused({ probe: undefined })).toContain(
      'holds no probe: give that of the training scan with --probe',
    );

    await writeNpz(file('more.npz'), { ...arrays, 'w.model.forward_model.alpha': one([1.5]) });
    const report = await importBundle(file('more.npz'), options({ ignore_unmapped: true, output_dir: file('more') }));
    expect(report).toMatchObject({ unmapped: ['w.model.forward_model.alpha'], mapped: 59 });
  });

  it('carries over what intensity_scale_trainable does to amplitudes', async () => {
    const arrays = await goldenArrays('d_net_gs1_nf1.npz');
    const one = (value: number): NpyInput => ({ data: Float32Array.of(value), shape: [1] });
    const scalars = { 'w.model.forward_model.alpha': one(1.5), 'w.model.forward_model.beta': one(0.25) };
    const import_ = async (name: string, params: object) => {
      await writeNpz(file(`${name}.npz`), { ...arrays, ...scalars, params: text({ N: 64, nphotons: 1e5, ...params }) });
      await importBundle(file(`${name}.npz`), options({ output_dir: file(name) }));
      await verifyBundle(file(name));
      return openBundle(file(name));
    };
    const idle = await import_('idle', { intensity_scale_trainable: false });
    const scaled = await import_('scaled', { intensity_scale_trainable: true });
    expect(idle.manifest.scale_contract.amplitude_offset).toBeUndefined();
    expect(scaled.manifest.scale_contract.amplitude_offset).toBeCloseTo(0.25, 6);
    expect(scaled.probe.re[2080]).toBeCloseTo(1.5 * idle.probe.re[2080], 4);
    const golden = await readGolden('d_net_gs1_nf1.npz');
    const [input, positions] = [await golden.float32('net_input'), await golden.float32('in_coords_relative')];
    await golden.close();
    const amplitudes: Float32Array[] = [];
    for (const bundle of [idle, scaled]) {
      const session = await InferenceSession.create(bundle.autoencoder!.bytes, {
        externalData: bundle.autoencoder!.externalData,
      });
      const result = await session.run({
        input: new OrtTensor('float32', input.data, [...input.shape]),
        input_positions: new OrtTensor('float32', positions.data, [input.shape[0], input.shape[1], 1, 2]),
      });
      await session.release();
      amplitudes.push(result.pred_amplitude.data as Float32Array);
    }
    const s = idle.manifest.intensity_scale;
    const expected = amplitudes[0].map((value) => 1.5 * value + 0.25 * s);
    expect(maxDifference(amplitudes[1], expected) / maxAbs(expected)).toBeLessThan(1e-3);
  });

  it('knows every name of the published network', async () => {
    const golden = await readGolden('d_net_gs2_nf1.npz');
    const names = golden.keys.filter((key) => key.startsWith('w.'));
    await golden.close();
    const ownNameOf = (name: string) => publishedNames('cnn_cbam')?.toOwn(name)?.name;
    const unknown = names.filter((name) => ownNameOf(name) === undefined);
    expect(unknown).toEqual(['w.model.forward_model.alpha', 'w.model.forward_model.beta']);
    expect(new Set(names.map(ownNameOf)).size).toBe(names.length - 1);
  });
});

describeShared('the golden weights of hybrid_resnet under the names of the published modules', () => {
  const names = publishedNames('hybrid_resnet')!;

  /** An NPZ as the published network would be exported, of the network with these fields. */
  async function written(name: string, model: object, skip = '') {
    const golden = await readGolden('h_hybrid_resnet.npz');
    const scope = new ParameterScope();
    const config = { N, architecture: 'hybrid_resnet', fno_width: 8, fno_modes: 4, fno_blocks: 2, ...model };
    const parsed = modelConfigSchema.parse({ ...config, hybrid_resnet_blocks: 1 });
    generatorOf('hybrid_resnet').layers(parsed, op.input('input', [2, 1, N, N]), scope);
    const arrays: Record<string, NpyInput> = {};
    for (const { name: own } of scope.specs.filter((spec) => !spec.name.endsWith('.im'))) {
      const published = names.toPublished(own)!;
      const at = async (of: string) => golden.float32(`W.${goldenName(of)}`);
      const value = await at(own);
      // The file has spectral weights as published, [Ci, Co, waves, waves].
      arrays[`w.${published.name}`] =
        published.form === 'complex'
          ? { re: value.data, im: (await at(own.replace(/re$/, 'im'))).data, shape: value.shape }
          : value;
    }
    // State dicts list some weights twice.
    const alias = 'w.model.autoencoder.downsample.0.conv.weight';
    arrays[alias] = arrays[alias.replace('downsample', 'downsample_layers')];
    const [input, output] = [
      await golden.float32('input'),
      await Promise.all(skip.split(' ').map((key) => golden.float32(key))),
    ];
    await golden.close();
    const falloff = Float32Array.from({ length: N * N }, (_, i) =>
      Math.exp(-(((i >> 6) - 32) ** 2 + ((i & 63) - 32) ** 2) / 99),
    );
    const probe = { re: falloff, im: new Float32Array(N * N), shape: [N, N] };
    await writeNpz(file(`${name}.npz`), { ...arrays, probe, params: text({ nphotons: 1e5, fno_blocks: 2 }) });
    return { input, output };
  }

  it('are refused, in a sentence, where they do not go together', async () => {
    await written('whole', {}, 'output');
    const npz = await openNpz(file('whole.npz'));
    const arrays: Record<string, NpyInput> = {};
    for (const key of npz.keys) arrays[key] = (await npz.read(key)) as NpyInput;
    await npz.close();
    const refused = async (changes: Record<string, NpyInput>, over: object = {}, without?: string): Promise<string> => {
      const { [without ?? '']: _, ...rest } = arrays;
      await writeNpz(file('part.npz'), { ...rest, ...changes });
      const error = await importBundle(file('part.npz'), options(over)).catch((e: unknown) => e);
      return isPtychoError(error) ? error.message : 'it was imported';
    };
    const name = (inside: string) => `w.model.autoencoder.${inside}`;
    expect(await refused({}, {}, 'probe')).toContain('add N to params');
    expect(await refused({ params: text({ architecture: 'ffno' }) })).toContain(
      'its settings say architecture ffno, but its weights are those of hybrid_resnet',
    );
    expect(await refused({}, { cnn_output_mode: 'amp_phase' })).toContain(
      'cnn_output_mode is a field of cnn and cnn_cbam',
    );
    expect(await refused({ [name('more.weight')]: arrays.probe })).toContain(
      `have no place in the network: ${name('more.weight')}`,
    );
    expect(await refused({}, {}, name('resnet.blocks.0.block.6.bias'))).toContain(
      'no weights for bottleneck.0.norm2.shift',
    );
    expect(await refused({}, {}, name('encoder_blocks.1.spectral.weights'))).toContain(
      'it has no encoder_blocks.1.spectral.weights',
    );
    const flat = { re: new Float32Array(8), im: new Float32Array(8), shape: [8] };
    expect(await refused({ [name('encoder_blocks.0.spectral.weights')]: flat })).toContain(
      'spectral.weights has shape [8]',
    );
  });

  it('are named as those are', () => {
    const published = (own: string) => names.toPublished(own)?.name.replace('model.autoencoder.', '');
    expect(published('encoder.1.spectral.im')).toBe('encoder_blocks.1.spectral.weights');
    expect(published('encoder.1.local.conv.bias')).toBe('encoder_blocks.1.local_conv.bias');
    expect(published('down.0.weight')).toBe('downsample_layers.0.conv.weight');
    expect(published('bottleneck.5.conv2.weight')).toBe('resnet.blocks.5.block.5.weight');
    expect(published('bottleneck.5.norm2.shift')).toBe('resnet.blocks.5.block.6.bias');
    expect(published('up.1.norm.scale')).toBe('upsample_layers.1.block.1.weight');
    // The first of the decoder is the last of the encoder.
    expect(published('skip.0.weight')).toBe('skip_fusion_projections.d2.weight');
    expect(published('something.else')).toBeUndefined();
    expect(names.toOwn('model.autoencoder.resnet.layerscale')).toEqual({ name: 'bottleneck.scale', form: 'scalar' });
  });

  it.each([
    ['plain', {}, 'output'],
    ['skips', { hybrid_skip_connections: true }, 'output_skip_add'],
    ['polar', { generator_output_mode: 'amp_phase' }, 'output_amp output_phase'],
  ])('%s: the imported model paints what it paints', async (name, model, key) => {
    const { input, output } = await written(name, model, key);
    const report = await importBundle(file(`${name}.npz`), options({ output_dir: file(name) }));
    expect(report).toMatchObject({ architecture: 'hybrid_resnet', N, gridsize: 1, unmapped: [], unusedParams: [] });
    await verifyBundle(file(name));
    const { config } = await openBundle(file(name));
    expect(config.model).toMatchObject({
      ...{ fno_width: 8, fno_modes: 4, fno_blocks: 2, hybrid_resnet_blocks: 1, ...model },
      ...{ hybrid_encoder_conv_hidden_scale: 2, hybrid_downsample_op: 'stride_conv', resnet_width: null },
    });
    const opened = await PtychoModel.open(file(name), { execution: { accelerator: 'cpu', threads: 1 } });
    const { re, im } = await opened.predict(input);
    await opened.dispose();
    const area = N * N;
    for (let p = 0; p < 2 * area; p++) {
      const [image, i] = [Math.floor(p / area), p % area];
      const [a, b] =
        output.length === 1
          ? [output[0].data[2 * image * area + i], output[0].data[(2 * image + 1) * area + i]]
          : [output[0].data[p] * Math.cos(output[1].data[p]), output[0].data[p] * Math.sin(output[1].data[p])];
      if (Math.hypot(re[p] - a, im[p] - b) > 1e-5) expect([p, re[p], im[p]]).toEqual([p, a, b]);
    }
    expect(maxAbs(re)).toBeGreaterThan(0.1);
  });
});

describe('an NPZ of our own names', () => {
  const arrays = (weights: Readonly<Record<string, Tensor>>): Record<string, NpyInput> => ({
    ...Object.fromEntries(Object.entries(weights).filter(([name]) => name !== 'log_intensity_scale')),
    probe: content.probe,
    intensity_scale: { data: Float64Array.of(3.5), shape: [] },
  });

  it.each([
    ['cnn', {}],
    ['without a border branch', { probe_big: false }],
    ['with a full head', { pad_object: false }],
    ['with attention and parts', { architecture: 'cnn_cbam', cnn_output_mode: 'real_imag' }],
    ['of groups', { gridsize: 2 }],
    ['of groups with one patch', { gridsize: 2, object_big: false }],
  ] as const)('%s', async (name, model) => {
    const { weights } = networkContent({ model });
    const source = file(`${name}.npz`);
    await writeNpz(source, arrays(weights));
    const cnn_output_mode = 'cnn_output_mode' in model ? model.cnn_output_mode : 'amp_phase';
    await importBundle(source, options({ output_dir: file(name), cnn_output_mode, border_activation: 'same' }));
    const bundle = await openBundle(file(name));
    expect(bundle.config.model).toMatchObject({ architecture: 'cnn', ...model });
    for (const [key, { data }] of Object.entries(weights)) {
      if (key === 'log_intensity_scale') continue;
      expect(
        Buffer.compare(Buffer.from(bundle.weights[key].data.slice().buffer), Buffer.from(data.slice().buffer)),
        key,
      ).toBe(0);
    }
    expect(bundle.scale.intensityScale).toBe(3.5);
    expect(bundle.probe.re[40]).toBeCloseTo(3.5 * content.probe.re[40], 5);
  });

  it('takes the probe of a scan in the published norm', async () => {
    const { probe: _, ...rest } = arrays(networkContent().weights);
    await writeNpz(file('bare.npz'), rest);
    await writeNpz(file('scan.npz'), { probeGuess: content.probe });
    await importBundle(file('bare.npz'), options({ probe: file('scan.npz'), output_dir: file('scanned') }));
    const { probe } = await openBundle(file('scanned'));
    const norm = (p: { re: ArrayLike<number>; im: ArrayLike<number> }) =>
      Array.from(p.re).reduce((sum, re, i) => sum + Math.hypot(re, p.im[i]), 0) / (N * N);
    expect(norm(probe)).toBeCloseTo(3.5 / 4, 5);
  });
});

describe('what is no model', () => {
  it.each<[string, string | Buffer, string]>([
    [
      'a pickle',
      Buffer.from('\x80\x02}q\x00.', 'latin1'),
      'is a Python pickle, an old PyTorch checkpoint perhaps: it is a pickle',
    ],
    ['text', 'hello', 'is not a zip archive'],
    ['HDF5', Buffer.from('\x89HDF\r\n\x1a\nrest', 'latin1'), 'is an HDF5 file of weights alone'],
  ])('%s', async (_, bytes, sentence) => {
    await writeFile(file('other'), bytes);
    await expect(importBundle(file('other'), options())).rejects.toThrow(sentence);
  });

  it('an NPZ of something else, and a bundle', async () => {
    await writeNpz(file('scan2.npz'), { diffraction: { data: new Float32Array(8), shape: [2, 2, 2] } });
    await expect(importBundle(file('scan2.npz'), options())).rejects.toThrow(
      'holds no weights under names that are known',
    );
    await expect(importBundle(path.join(file('cnn'), 'wts.zip'), options())).rejects.toThrow(
      'is a bundle of ptychopinn already',
    );
    await expect(importBundle(file('nothing'), options())).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe('weights of the class UNO that the published neuralop_uno holds', () => {
  const [width, modes, side] = [8, 6, 32];

  /** Names and shapes of its state dict, `uno.` before them, as neuraloperator 2.0.0 has them. */
  function stateDict(): Map<string, readonly number[]> {
    type Shape = readonly [name: string, shape: readonly number[]];
    const linear = (name: string, cin: number, cout: number): Shape[] => [
      [`${name}.bias`, [cout]],
      [`${name}.weight`, [cout, cin, 1]],
    ];
    const layers = [
      [width, width],
      [width, 2 * width],
      [4 * width, 2 * width],
      [3 * width, width],
    ];
    const all: Shape[] = [
      ...linear('lifting.fcs.0', 3, 4 * width),
      ...linear('lifting.fcs.1', 4 * width, width),
      ...layers.flatMap(([cin, cout], i): Shape[] => [
        ...linear(`fno_blocks.${i}.channel_mlp.0.fcs.0`, cout, cout / 2),
        ...linear(`fno_blocks.${i}.channel_mlp.0.fcs.1`, cout / 2, cout),
        [`fno_blocks.${i}.channel_mlp_skips.0.conv.weight`, [cout, cin, 1]],
        [`fno_blocks.${i}.fno_skips.0.conv.weight`, [cout, cin, 1]],
        [`fno_blocks.${i}.convs.0.bias`, [cout, 1, 1]],
        [`fno_blocks.${i}.convs.0.weight.tensor`, [cin, cout, modes, modes / 2 + 1]],
      ]),
      ['horizontal_skips.0.conv.weight', [width, width, 1]],
      ['horizontal_skips.1.conv.weight', [2 * width, 2 * width, 1]],
      ...linear('projection.fcs.0', width, 4 * width),
      ...linear('projection.fcs.1', 4 * width, 2),
    ];
    return new Map([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Arrays as `export_torch_weights.py` would write them, of values that follow from the place of each in the state dict. */
  function arrays(): Record<string, NpyInput> {
    const out: Record<string, NpyInput> = {};
    [...stateDict()].forEach(([name, shape], t) => {
      const size = shape.reduce((a, b) => a * b, 1);
      const wave = (scale: number, a: number, b: number) =>
        Float32Array.from({ length: size }, (_, i) => scale * Math.sin(a * i * i + b * t + 0.7 * i));
      const key = `w.model.autoencoder.uno.${name}`;
      if (name.endsWith('.tensor')) {
        const scale = 2 / Math.sqrt(shape[0]);
        out[key] = { re: wave(scale, 0.37, 0.3), im: wave(scale, 0.61, 0.5), shape };
      } else out[key] = { data: wave(name.endsWith('bias') ? 0.2 : 1.3 / Math.sqrt(shape[1]), 0.37, 0.3), shape };
    });
    return out;
  }

  const beside = {
    probe: { re: new Float32Array(side * side).fill(1), im: new Float32Array(side * side), shape: [side, side] },
    params: text({ nphotons: 1e5 }),
  };

  it('paint what that class paints', async () => {
    await writeNpz(file('uno.npz'), { ...arrays(), ...beside });
    const report = await importBundle(file('uno.npz'), options({ output_dir: file('uno') }));
    expect(report).toMatchObject({
      architecture: 'neuralop_uno',
      N: side,
      gridsize: 1,
      unmapped: [],
      unusedParams: [],
    });
    await verifyBundle(file('uno'));
    expect((await openBundle(file('uno'))).config.model).toMatchObject({
      ...{ fno_width: width, fno_modes: modes, generator_output_mode: 'real_imag', uno_resized_waves: 'published' },
    });
    const data = Float32Array.from({ length: side * side }, (_, i) => {
      const [r, c] = [Math.floor(i / side), i % side];
      return 1 + Math.sin(0.9 * r) * Math.cos(0.4 * c) + 0.3 * Math.sin(0.05 * r * c);
    });
    const opened = await PtychoModel.open(file('uno'), { execution: { accelerator: 'cpu', threads: 1 } });
    const { re, im } = await opened.predict({ data, shape: [1, 1, side, side] });
    await opened.dispose();
    // The class itself with these weights, in float64.
    const painted = [
      [0, 0, 0.00105693, -0.57375213],
      [3, 7, 0.15844614, 0.01546181],
      [16, 16, 0.30764269, 0.3828624],
      [31, 30, -0.33491265, -0.50170715],
      [20, 5, 0.16150177, 0.17147751],
    ];
    for (const [r, c, real, imaginary] of painted) {
      expect(Math.hypot(re[r * side + c] - real, im[r * side + c] - imaginary)).toBeLessThan(2e-5);
    }
    // What keeps the waves that it loses paints something else.
    const kept = await importBundle(file('uno.npz'), options({ output_dir: file('kept') })).then(() =>
      openBundle(file('kept')),
    );
    const other = PtychoModel.of(
      { ...kept, config: { ...kept.config, model: { ...kept.config.model, uno_resized_waves: 'kept' } } },
      await startEngine({ execution: { accelerator: 'cpu', threads: 1 } }),
      true,
    );
    const differs = await other.predict({ data, shape: [1, 1, side, side] });
    await other.dispose();
    expect(maxDifference(differs.re, re)).toBeGreaterThan(0.01);
  });

  it('are those of the side that the published module is locked to, where nothing says another', async () => {
    await writeNpz(file('uno.npz'), arrays());
    const N = 128;
    const wide = { re: new Float32Array(N * N).fill(1), im: new Float32Array(N * N), shape: [N, N] };
    await writeNpz(file('probe.npz'), { probeGuess: wide });
    const over = { probe: file('probe.npz'), output_dir: file('wide') };
    expect(await importBundle(file('uno.npz'), options(over))).toMatchObject({ N, gridsize: 1 });
    const { 'w.model.autoencoder.uno.fno_blocks.3.convs.0.weight.tensor': _, ...three } = arrays();
    await writeNpz(file('three.npz'), { ...three, ...beside });
    await expect(importBundle(file('three.npz'), options())).rejects.toThrow(/its 3 layers keep 6 × 4 waves/);
  });
});
