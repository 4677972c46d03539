/** `bundle export`: a bundle under the names of the published tools, there and back, and into a Keras model by its connections. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { importConfigSchema } from '../../src/config/schemas/tools.js';
import { openNpz } from '../../src/formats/npz.js';
import { architecturesWith } from '../../src/networks/architectures.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { publishedNames } from '../../src/persistence/publishedNames.js';
import { exportBundle, importBundle } from '../../src/workflows/bundle.js';
import { cli } from '../cli/capture.js';
import { kerasModel } from '../support/kerasModel.js';
import { writeNetworkBundle } from '../support/networkBundle.js';
import { describePython, runPython } from '../support/python.js';

let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-export-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('bundle export', () => {
  it.each([
    ['polar', {}],
    ['groups', { gridsize: 2 }],
    ['rectangular', { cnn_output_mode: 'real_imag', physics_forward_mode: 'rectangular_scaled' }],
  ])('gives PyTorch names that import as the same model (%s)', async (name, model) => {
    const bundle = await writeNetworkBundle(file(`${name}.zip`), {
      model: { architecture: 'cnn_cbam', ...model },
    } as Parameters<typeof writeNetworkBundle>[1]);
    const target = file(`${name}.npz`);
    const written = await exportBundle(bundle, { output_file: target, overwrite: false, format: 'torch-npz' });
    const before = await openBundle(bundle);
    const named = Object.keys(before.weights).filter((weight) => weight !== 'log_intensity_scale');
    expect(written.arrays).toBe(named.length);
    await importBundle(target, importConfigSchema.parse({ output_dir: file(name) }));
    const after = await openBundle(file(name));
    for (const weight of named) expect([weight, after.weights[weight]]).toEqual([weight, before.weights[weight]]);
    // Object times probe is the same field, in root counts.
    const gain = Math.exp(before.weights.log_intensity_scale?.data[0] ?? 0) / before.scale.intensityScale;
    const factor = before.scale.amplitudeGauge * (before.weights.log_intensity_scale ? gain : 1);
    expect(after.scale.amplitudeGauge).toBe(1);
    for (let p = 0; p < before.probe.re.length; p += 7) {
      expect(after.probe.re[p]).toBeCloseTo(before.probe.re[p] * factor, 3);
    }
    expect(after.scale.intensityScale).toBeCloseTo(before.scale.intensityScale, 6);
  });

  const small = { fno_width: 8, fno_modes: 3, fno_blocks: 2 };
  it.each([
    ['fno_vanilla', {}],
    ['fno', { fno_cnn_blocks: 1 }],
    ['ffno', { ffno_encoder_norm: 'none', ffno_encoder_mlp_ratio: 1.5 }],
    ['ffno', { ffno_encoder_share_weights: false, fno_input_transform: 'log1p' }],
    ['hybrid', { gridsize: 2, max_hidden_channels: 12, fno_blocks: 3 }],
    ['stable_hybrid', {}],
    ['neuralop_uno', { uno_resized_waves: 'published' }],
    [
      'hybrid_resnet',
      { hybrid_skip_connections: true, hybrid_skip_style: 'concat', hybrid_downsample_op: 'blurpool_conv' },
    ],
    [
      'hybrid_resnet',
      {
        ...{
          resnet_width: 12,
          hybrid_downsample_steps: 1,
          hybrid_skip_connections: true,
          hybrid_skip_style: 'gated_add',
        },
        ...{ hybrid_encoder_fusion_mode: 'branch_gated_layerscale', hybrid_encoder_conv_hidden_channels: 6 },
        ...{ hybrid_encoder_spectral_hidden_scale: 0.5, generator_output_mode: 'amp_phase_logits' },
        ...{ hybrid_resnet_bottleneck_layerscale_mode: 'fixed', hybrid_resnet_bottleneck_layerscale_value: 0.5 },
      },
    ],
    [
      'hybrid_resnet_convnext_bottleneck',
      { hybrid_encoder_branch_select: 'conv_only', fno_modes: 12, max_hidden_channels: 8 },
    ],
    ['hybrid_resnet_ffno_bottleneck', { spectral_bottleneck_blocks: 2, spectral_bottleneck_share_weights: false }],
    ['hybrid_resnet_ffno_ptychoblock_encoder', { ffno_encoder_blocks: 2, ffno_encoder_modes: 2, fno_blocks: 4 }],
    [
      'hybrid_resnet_ptychoblock_ffno_encoder',
      { ffno_encoder_blocks: 1, fno_blocks: 4, generator_output_mode: 'amp_phase' },
    ],
    ['spectral_resnet_bottleneck_net', { spectral_bottleneck_blocks: 2, spectral_bottleneck_gate_mode: 'per_block' }],
    [
      'spectral_resnet_bottleneck_linear_decoder',
      { spectral_bottleneck_share_weights: false, spectral_bottleneck_blocks: 2 },
    ],
  ])('gives PyTorch names of %s that import as the same model (%j)', async (architecture, fields) => {
    const shape = { hybrid_resnet_blocks: 2, ...small, ...fields };
    const own = Object.entries(shape).filter(([name]) => architecturesWith(name).includes(architecture));
    const model = {
      architecture,
      gridsize: 1,
      ...Object.fromEntries(own),
      ...('gridsize' in fields ? { gridsize: 2 } : {}),
    };
    const bundle = await writeNetworkBundle(file('spectral.zip'), { model } as Parameters<
      typeof writeNetworkBundle
    >[1]);
    await exportBundle(bundle, { output_file: file('spectral.npz'), overwrite: true });
    const into = importConfigSchema.parse({ output_dir: file('spectral'), overwrite: true });
    expect(await importBundle(file('spectral.npz'), into)).toMatchObject({ architecture, unmapped: [] });
    const [before, after] = [await openBundle(bundle), await openBundle(file('spectral'))];
    for (const [name] of own) {
      const of = ({ config }: typeof before) => config.model[name as keyof typeof config.model];
      expect([name, of(after)]).toEqual([name, of(before)]);
    }
    for (const [name, tensor] of Object.entries(before.weights)) {
      if (name !== 'log_intensity_scale') expect([name, after.weights[name]]).toEqual([name, tensor]);
    }
  });

  it('knows the published names', () => {
    const cnn = (own: string) => publishedNames('cnn_cbam')?.toPublished(own)?.name;
    expect(cnn('amplitude.border.conv1.weight')).toBe('model.autoencoder.decoder_amp.amp.conv_up_block.conv1.weight');
    expect(cnn('imaginary.centre.bias')).toBe('model.autoencoder.decoder_phase.phase.conv1.bias');
    expect(cnn('rectangular.s2')).toBe('model.forward_model.rect_scaler.s2');
    expect(cnn('something.else')).toBeUndefined();
  });

  it('refuses what the published tools cannot be', async () => {
    const cnn = await writeNetworkBundle(file('cnn.zip'), { model: { architecture: 'cnn' } });
    const wrong = await cli('bundle', 'export', cnn, '--output_file', file('x.npz'));
    expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining('use --format keras') });
    const relative = await writeNetworkBundle(file('relative.zip'), {
      model: { architecture: 'cnn' },
      input_reference: 'mean',
    } as Parameters<typeof writeNetworkBundle>[1]);
    const uno = await writeNetworkBundle(file('uno.zip'), { model: { architecture: 'neuralop_uno', fno_width: 4 } });
    expect(await cli('bundle', 'export', uno, '--output_file', file('x.npz'))).toMatchObject({
      code: 1,
      err: expect.stringContaining('train with --uno_resized_waves published'),
    });
    const words = ['--format', 'keras', '--output_file', file('x.npz')];
    expect(await cli('bundle', 'export', relative, ...words)).toMatchObject({
      code: 1,
      err: expect.stringContaining('which no published network does'),
    });
    expect(await cli('bundle', 'export', cnn, ...words)).toMatchObject({ code: 0, err: expect.anything() });
    expect(await cli('bundle', 'export', cnn, ...words)).toMatchObject({ code: 2 });
  });
});

describePython('examples/python/load_weights.py', ['numpy'], () => {
  it.each([{}, { pad_object: false }, { probe_big: false }])(
    'puts every convolution of a Keras model in its place (%j)',
    async (options) => {
      const bundle = await writeNetworkBundle(file('keras.zip'), {
        model: { architecture: 'cnn', ...options },
      } as Parameters<typeof writeNetworkBundle>[1]);
      const target = file('keras.npz');
      await exportBundle(bundle, { output_file: target, overwrite: true, format: 'keras' });
      const { weights } = await openBundle(bundle);
      const { config } = kerasModel(options, weights);
      await writeFile(file('config.json'), JSON.stringify(config));
      const printed = runPython(
        `
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from load_weights import into_keras, settings

class Layer:
    def set_weights(self, values): self.values = values

class Model:
    def __init__(self, text): self.text, self.layers = text, {}
    def to_json(self): return self.text
    def get_layer(self, name): return self.layers.setdefault(name, Layer())

model = Model(open(sys.argv[2]).read())
parts = into_keras(model, sys.argv[3])
seen = {part: [list(model.layers[name].values[0].shape), float(model.layers[name].values[0][0, 1, 0, -1]), float(model.layers[name].values[1][-1])] for name, part in parts.items()}
print(json.dumps({'seen': seen, 'N': settings(sys.argv[3])['N']}))`,
        [path.resolve('examples/python'), file('config.json'), target],
      );
      const { seen, N } = JSON.parse(printed) as { seen: Record<string, [number[], number, number]>; N: number };
      expect(N).toBe(64);
      const convolutions = Object.keys(weights).filter((name) => name.endsWith('.weight'));
      expect(Object.keys(seen).sort()).toEqual(convolutions.map((name) => name.slice(0, -'.weight'.length)).sort());
      for (const [part, [shape, value, bias]] of Object.entries(seen)) {
        const { data, shape: own } = weights[`${part}.weight`];
        const [cout, cin, height, width] = own;
        expect(shape).toEqual([height, width, cin, cout]);
        // Kernel [0, 1, 0, last].
        expect(value).toBeCloseTo(data[(cout - 1) * cin * height * width + 1], 6);
        expect(bias).toBeCloseTo(weights[`${part}.bias`].data.at(-1)!, 6);
      }
    },
  );

  it('finds the names of a state dict, whatever stands before them', async () => {
    const bundle = await writeNetworkBundle(file('torch.zip'), { model: { architecture: 'cnn_cbam' } });
    const target = file('torch.npz');
    await exportBundle(bundle, { output_file: target, overwrite: true, format: 'torch-npz' });
    const npz = await openNpz(target);
    const names = npz.keys.filter((key) => key.startsWith('w.')).map((key) => key.slice(2));
    await npz.close();
    const printed = runPython(
      `
import json, sys
sys.path.insert(0, sys.argv[1])
from load_weights import torch_state
names = json.loads(sys.argv[3])
plain = [name.removeprefix('model.') for name in names]
print(json.dumps([len(torch_state(sys.argv[2], names)), len(torch_state(sys.argv[2], plain + ['forward_model.alpha']))]))
try:
    torch_state(sys.argv[2], names[1:])
except ValueError as error:
    print(json.dumps(str(error)))`,
      [path.resolve('examples/python'), target, JSON.stringify(names)],
    );
    const [counts, error] = printed
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown);
    expect(counts).toEqual([names.length, names.length]);
    expect(error).toContain('the module has no place for');
  });
});
