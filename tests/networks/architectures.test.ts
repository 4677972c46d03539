/** Every network of the list: its size, its scale, its gradients on both engines, and its way through a bundle. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema } from '../../src/config/schema.js';
import { sizeOf, type Tensor } from '../../src/core/tensor.js';
import { input } from '../../src/graph/ops.js';
import { ParameterScope } from '../../src/graph/parameters.js';
import { ARCHITECTURES, generatorOf } from '../../src/networks/architectures.js';
import { expectSameNumbers } from '../backends/backendParity.js';
import { backendCases } from '../support/backends.js';
import { everyNetwork, smallNetwork } from '../support/everyNetwork.js';
import { lossDrop } from '../support/lossDrop.js';
import { type SimulatedOptions, simulated } from '../support/simulatedBatch.js';
import { SAME_LAYERS, SMALL_SPECTRAL, trainAndInfer } from '../support/trainAndInfer.js';

type Options = Readonly<Record<string, unknown>>;

function specsOf(architecture: string, more: Options = {}, N = 128) {
  const config = modelConfigSchema.parse({ N, architecture, ...more });
  const scope = new ParameterScope();
  const x = input('input', [1, config.gridsize ** 2, N, N]);
  const { object } = generatorOf(architecture).layers(config, x, scope);
  return { specs: scope.specs, shape: object.re.shape };
}

/** Parameters, a complex one counted once, as is published. */
function countOf(architecture: string, more: Options = {}, N = 128): number {
  const { specs } = specsOf(architecture, more, N);
  return specs.reduce((n, { name, shape }) => n + (name.endsWith('.im') ? 0 : sizeOf(shape)), 0);
}

describe('as many parameters as are published', () => {
  it.each<[architecture: string, options: Options, count: number]>([
    ['hybrid_resnet', {}, 8_962_147],
    ['hybrid_resnet', { hybrid_encoder_conv_hidden_scale: 1 }, 7_786_211],
    ['hybrid_resnet', { hybrid_skip_connections: true }, 8_962_147 + 5_216],
    ['hybrid_resnet', { hybrid_encoder_branch_select: 'spectral_only' }, 7_444_867],
    ['hybrid_resnet', { hybrid_encoder_branch_select: 'conv_only' }, 3_506_275],
    // Both heads are in the published count, one is used.
    ['spectral_resnet_bottleneck_net', {}, 9_355_430 - 66],
    ['spectral_resnet_bottleneck_linear_decoder', {}, 9_355_364 - 164_128 + 8_256 + 2_080],
    // Published: 6.84 million; by its layers, 128 channels: 7×7 and a bias, norm, 1×1 to 512 and back.
    [
      'hybrid_resnet_convnext_bottleneck',
      { hybrid_encoder_conv_hidden_scale: 1 },
      7_786_211 - 1_774_081 + 6 * (50 * 128 + 2 * 128 + 129 * 512 + 513 * 128) + 1,
    ],
    // The stack of ffno with 24 blocks is 136,355 without its lifter (9,568) and head (66).
    ['hybrid_resnet_ffno_ptychoblock_encoder', {}, 8_962_147 - 2 * (656_000 + 2_359_296) + (136_355 - 9_568 - 66)],
    [
      'hybrid_resnet_ptychoblock_ffno_encoder',
      {},
      8_962_147 - 2 * (656_000 + 2_359_296) + 24 * (2 * 128 + 129 * 256 + 257 * 128) + 2 * 12 * 128 ** 2 + 1,
    ],
    [
      'hybrid_resnet_ffno_bottleneck',
      {},
      8_962_147 - 1_774_081 + 6 * (2 * 128 + 129 * 256 + 257 * 128) + 24 * 128 ** 2 + 1,
    ],
    // Published: 17 million.
    ['hybrid', {}, 17_202_402],
    // A norm and a factor for each of 32 + 64 + 128 + 256 + 256 channels.
    ['stable_hybrid', {}, 17_202_402 + 3 * 736],
    ['fno_vanilla', {}, 636_450],
    ['fno', {}, 656_002],
    ['ffno', { ffno_encoder_share_weights: false, fno_cnn_blocks: 0 }, 124_966],
    ['ffno', { ffno_encoder_share_weights: false }, 161_958],
    ['ffno', { ffno_encoder_share_weights: false, fno_cnn_blocks: 0, fno_blocks: 24 }, 701_626],
    ['neuralop_uno', {}, 1_257_858],
    ['ffno', { fno_cnn_blocks: 0 }, 51_235],
    ['ffno', { fno_cnn_blocks: 0, fno_blocks: 24 }, 136_355],
  ])('%s %j: %i', (architecture, options, count) => {
    expect(countOf(architecture, options)).toBe(count);
    // Which waves an image of this size has decides nothing.
    expect(countOf(architecture, options, 64)).toBe(count);
  });
});

describe('options of hybrid_resnet', () => {
  const plain = specsOf('hybrid_resnet', { fno_width: 8 }, 32).specs;
  const names = (more: Options) => {
    const { specs, shape } = specsOf('hybrid_resnet', { fno_width: 8, ...more }, 32);
    expect(shape).toEqual([1, 1, 32, 32]);
    return Object.fromEntries(specs.map((spec) => [spec.name, spec]));
  };
  it.each<[Options, added: Readonly<Record<string, readonly number[]>>]>([
    [{ hybrid_skip_connections: true, hybrid_skip_style: 'concat' }, { 'skip.0.weight': [16, 32, 1, 1] }],
    [{ hybrid_skip_connections: true, hybrid_skip_style: 'gated_add' }, { 'skip.1.gate': [] }],
    [{ hybrid_downsample_op: 'avgpool_conv' }, { 'down.0.weight': [16, 8, 1, 1] }],
    [{ hybrid_downsample_op: 'blurpool_conv' }, { 'down.1.weight': [32, 16, 1, 1] }],
    [{ hybrid_downsample_steps: 1 }, { 'up.0.weight': [16, 8, 4, 4] }],
    [{ max_hidden_channels: 12 }, { 'down.1.weight': [12, 12, 2, 2], 'up.0.weight': [12, 6, 4, 4] }],
    [{ resnet_width: 8 }, { 'bottleneck.in.weight': [8, 32, 1, 1] }],
    [{ hybrid_encoder_spectral_hidden_scale: 0.5 }, { 'encoder.0.spectral.in.weight': [4, 8, 1, 1] }],
    [{ hybrid_encoder_conv_hidden_channels: 3 }, { 'encoder.3.local.conv.weight': [3, 3, 3, 3] }],
    [{ hybrid_encoder_spectral_hidden_channels: 3 }, { 'encoder.1.spectral.re': [12, 12, 3, 3] }],
    [{ hybrid_encoder_fusion_mode: 'layerscale' }, { 'encoder.0.scale': [] }],
    [{ hybrid_encoder_fusion_mode: 'branch_gated' }, { 'encoder.0.local.gate': [], 'encoder.0.spectral.gate': [] }],
    [{ hybrid_encoder_fusion_mode: 'branch_gated_layerscale' }, { 'encoder.2.scale': [], 'encoder.2.local.gate': [] }],
    [{ hybrid_resnet_blocks: 7 }, { 'bottleneck.6.conv2.weight': [32, 32, 3, 3] }],
    [
      { gridsize: 2, object_big: false },
      { 'lifter.conv1.weight': [8, 4, 3, 3], 'head.weight': [2, 8, 1, 1] },
    ],
    [{ fno_input_transform: 'instancenorm' }, {}],
    [{ generator_output_mode: 'amp_phase_logits' }, {}],
  ])('%j', (options, added) => {
    const specs = names(options);
    for (const [name, shape] of Object.entries(added)) expect(specs[name]?.shape, name).toEqual(shape);
    const same = Object.keys(specs).join() === plain.map(({ name }) => name).join();
    if (Object.keys(added).length === 0) expect(same).toBe(true);
  });

  it('a fixed factor of the residual blocks is no parameter', () => {
    const fixed = { hybrid_resnet_bottleneck_layerscale_mode: 'fixed', hybrid_resnet_bottleneck_layerscale_value: 1 };
    expect(names(fixed)['bottleneck.scale']).toBeUndefined();
    expect(names({})['bottleneck.scale']?.init).toBe(0.1);
  });
});

const small = (architecture: SimulatedOptions['architecture'], more: Options = {}): Omit<SimulatedOptions, 'loss'> => ({
  N: 16,
  gridsize: 1,
  architecture,
  n_filters_scale: 1,
  batch: 2,
  model: { ...SMALL_SPECTRAL, ...(architecture === 'baseline' ? { model_type: 'supervised' } : {}), ...more },
});
const spectral = ARCHITECTURES.filter((name) => 'fno_modes' in generatorOf(name).fields);
const ownLayers = spectral.filter((name) => !SAME_LAYERS.includes(name));

/** Weights that paint the constant object of the measured energy whatever is seen: all 0 but for these. */
const UNIT: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>> = {
  cnn: {},
  cnn_cbam: {},
  'cnn real_imag': { 'real.centre.bias': [Math.atanh(0.3)], 'real.border.out.bias': [Math.atanh(0.3)] },
  baseline: { 'amplitude.out.bias': [1] },
  real_imag: { 'head.bias': [1, 0] },
  amp_phase: {},
  amp_phase_logits: {},
};

describe('on one engine', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await backendCases[0].create();
  });
  afterAll(() => backend.dispose());

  describe('a unit object predicts the measured energy', () => {
    type Case = [architecture: SimulatedOptions['architecture'], options: Options, unit: string];
    const modes = (architecture: string) =>
      architecture === 'hybrid_resnet' ? ['real_imag', 'amp_phase', 'amp_phase_logits'] : ['real_imag'];
    const cases: Case[] = [
      ['cnn', {}, 'cnn'],
      ['cnn', { cnn_output_mode: 'real_imag' }, 'cnn real_imag'],
      ['cnn_cbam', {}, 'cnn_cbam'],
      ['baseline', {}, 'baseline'],
      ...spectral.flatMap((architecture) =>
        modes(architecture).map((mode): Case => [architecture, { generator_output_mode: mode }, mode]),
      ),
    ];
    it('and no network is left out', () => {
      expect(new Set(cases.map(([architecture]) => architecture))).toEqual(new Set(ARCHITECTURES));
    });
    it.each(cases)('%s %j', async (architecture, options, unit) => {
      const { network, feeds } = simulated({ ...small(architecture, options), loss: 'mae' });
      const given = UNIT[unit];
      const weights = Object.fromEntries(
        network.parameters.map(({ name, shape, init }): [string, Tensor] => {
          const data = new Float32Array(sizeOf(shape));
          if (name === 'log_intensity_scale') data.fill(init as number);
          if (given[name]) data.set(given[name]);
          return [name, { data, shape }];
        }),
      );
      for (const name of Object.keys(given)) expect(Object.keys(weights)).toContain(name);
      const program = await backend.compile(network.autoencode(2), { constants: weights });
      const found = await program.run(feeds());
      const counts = found.pred_intensity.data.reduce((a, b) => a + b, 0) / 2;
      expect(counts / network.spec.scale.meanCounts).toBeCloseTo(1, 4);
      await program.dispose();
    });
  });

  it.each(spectral)('%s begins near that object', async (architecture) => {
    const { network, feeds } = simulated({ ...small(architecture), loss: 'mae' });
    const program = await backend.compile(network.autoencode(2), { constants: network.initialWeights(3) });
    const { pred_intensity, object_real } = await program.run(feeds());
    const counts = pred_intensity.data.reduce((a, b) => a + b, 0) / 2;
    expect(Math.abs(Math.log(counts / network.spec.scale.meanCounts))).toBeLessThan(0.5);
    const unit = network.spec.scale.amplitudeGauge;
    const mean = object_real.data.reduce((a, b) => a + b, 0) / object_real.data.length;
    expect(Math.abs(mean / unit - 1)).toBeLessThan(0.3);
    await program.dispose();
  });

  it.each([['hybrid_resnet', 1] as const, ...ownLayers.map((name) => [name, 2] as const)])(
    '%s, gridsize %i: a step along the gradient lowers the loss by what it says',
    async (architecture, gridsize) => {
      const drop = await lossDrop(backend, { ...small(architecture), gridsize });
      expect(drop).toBeGreaterThan(0.85);
      expect(drop).toBeLessThan(1.15);
    },
  );
});

describe('both engines', () => {
  let backends: Backend[];
  beforeAll(async () => {
    backends = await Promise.all(backendCases.map(({ create }) => create()));
  });
  afterAll(async () => {
    for (const backend of backends) await backend.dispose();
  });

  const options = [
    { hybrid_downsample_op: 'blurpool_conv', hybrid_skip_connections: true, fno_input_transform: 'sqrt' },
    { hybrid_downsample_op: 'avgpool_conv', generator_output_mode: 'amp_phase' },
  ].map((fields) => [`hybrid_resnet ${JSON.stringify(fields)}`, smallNetwork('hybrid_resnet', fields)] as const);
  // Those of all networks in tests/slow/networks.test.ts.
  it.each([...everyNetwork, ...options])('have the same prediction, loss and gradients of %s', (_, of) =>
    expectSameNumbers(backends, of),
  );
});

/** The one network whose training is watched from end to end here; the others in tests/slow/networks.test.ts. */
describe('hybrid_resnet', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-networks-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is trained, stopped, resumed to the same bytes, and reconstructs', () => trainAndInfer(folder, 'hybrid_resnet'));
});
