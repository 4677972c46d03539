/** The options of `cnn_cbam` against a transcription in float64 on both engines; statistics of batches while it learns and after. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema } from '../../src/config/schema.js';
import { LegacyRng } from '../../src/core/rng.js';
import { sizeOf } from '../../src/core/tensor.js';
import * as op from '../../src/graph/ops.js';
import { initialWeights, ParameterScope } from '../../src/graph/parameters.js';
import { defineProgram } from '../../src/graph/program.js';
import { generatorOf, networkComplaints } from '../../src/networks/architectures.js';
import { relativeErrors } from '../backends/backendParity.js';
import { backendCases } from '../support/backends.js';
import { maxAbs } from '../support/golden.js';
import { lossDrop } from '../support/lossDrop.js';
import {
  add,
  batchStatistics,
  cbam,
  channelsOf,
  conv,
  eca,
  enlarged,
  type Image,
  image,
  map,
  pooled,
  relu,
  sigmoid,
  spatialGate,
  surrounded,
  type Weights,
} from '../support/plainLayers.js';
import { type SimulatedOptions, simulated } from '../support/simulatedBatch.js';

const N = 16;
type Options = Readonly<Record<string, unknown>>;
type Batch = readonly Image[];

const each = (batch: Batch, f: (x: Image) => Image): Batch => batch.map(f);

/** Amplitudes and phases of a batch. `seen` collects the statistics of batches where it learns. */
function transcription(
  options: Options,
  input: Batch,
  w: Weights,
  seen?: Map<string, { mean: number[]; variance: number[] }>,
) {
  const { cbam_encoder = true, batch_norm, use_shared_decoder: shared, cbam_decoder } = options;
  const norm = (batch: Batch, name: string, normal: boolean): Batch => {
    if (!batch_norm || !normal) return batch;
    const { mean, variance } = seen
      ? batchStatistics(batch)
      : { mean: w[`${name}.norm.mean`].data, variance: w[`${name}.norm.variance`].data };
    seen?.set(`${name}.norm`, batchStatistics(batch));
    return each(batch, (x) =>
      map(
        x,
        (v, c) =>
          ((v - mean[c]) / Math.sqrt(variance[c] + 1e-5)) * w[`${name}.norm.scale`].data[c] +
          w[`${name}.norm.shift`].data[c],
      ),
    );
  };
  const layer = (batch: Batch, name: string, normal: boolean) =>
    norm(
      each(batch, (x) => conv(x, w, name)),
      name,
      normal,
    );
  const block = (batch: Batch, name: string, normal: boolean) =>
    each(layer(each(layer(batch, `${name}.conv1`, normal), relu), `${name}.conv2`, normal), relu);
  let h: Batch = input;
  for (const i of [0, 1, 2]) {
    const name = `encoder.${i}`;
    h = block(h, name, true);
    if (cbam_encoder) h = each(h, (x) => cbam(x, w, `${name}.attention`));
    else if (options.eca_encoder) h = each(h, (x) => eca(x, w, `${name}.attention`));
    h = each(h, pooled);
  }
  if (options.cbam_bottleneck) h = each(h, (x) => cbam(x, w, 'bottleneck.attention'));
  const decoder = (name: string, outputs: number, normal: boolean) => {
    let v = h;
    for (const i of [0, 1]) {
      v = each(block(v, `${name}.${i}`, normal), enlarged);
      const attention = `${name}.${i}.attention`;
      if (options.eca_decoder) v = each(v, (x) => eca(x, w, attention));
      else if (options.spatial_decoder) v = each(v, (x) => spatialGate(x, w, `${attention}.spatial`));
      else if (cbam_decoder) v = each(v, (x) => cbam(x, w, attention));
      if (shared) {
        v = each(v, (x) => {
          const r = `${name}.${i}.refine`;
          const change = conv(relu(conv(relu(conv(x, w, `${r}.conv1`)), w, `${r}.conv2`)), w, `${r}.conv3`);
          return relu(add(x, change));
        });
      }
    }
    if (shared) v = each(v, (x) => eca(x, w, `${name}.eca`));
    const outer = options.use_legacy_decoder_channel_override
      ? Math.max(1, Math.floor(v[0].channels * (options.decoder_last_c_outer_fraction as number)))
      : outputs;
    const inner = v[0].channels - outer;
    const centre = layer(
      each(v, (x) => channelsOf(x, 0, inner)),
      `${name}.centre`,
      normal,
    );
    const wide = each(
      block(
        each(v, (x) => channelsOf(x, inner, outer)),
        `${name}.border`,
        normal,
      ),
      enlarged,
    );
    return { centre, border: layer(wide, `${name}.border.out`, normal) };
  };
  const finished = (
    { centre, border }: { centre: Batch; border: Batch },
    f: (v: number) => number,
    channel = 0,
  ): Batch =>
    centre.map((c, k) => {
      const [middle, rim] = [map(channelsOf(c, channel, 1), f), map(channelsOf(border[k], channel, 1), f)];
      const mask = surrounded(
        image(1, N / 2, () => 1),
        N,
      );
      return add(surrounded(middle, N), { ...rim, data: rim.data.map((v, i) => v * (1 - mask.data[i])) });
    });
  const phase = (v: number) => Math.PI * Math.tanh(v);
  if (shared) {
    const raw = decoder('shared', 2, true);
    return { amplitude: finished(raw, sigmoid), phase: finished(raw, phase, 1) };
  }
  return {
    amplitude: finished(decoder('amplitude', 1, false), sigmoid),
    phase: finished(decoder('phase', 1, true), phase),
  };
}

function build(options: Options, training = false) {
  const config = modelConfigSchema.parse({ N, architecture: 'cnn_cbam', n_filters_scale: 1, ...options });
  const scope = new ParameterScope(undefined, training);
  const { taps } = generatorOf('cnn_cbam').layers(config, op.input('input', [2, 1, N, N]), scope);
  const rng = new LegacyRng(3);
  const weights = Object.fromEntries(
    Object.entries(initialWeights(scope.specs, 7)).map(([name, { data, shape }]) => {
      const kernel = /\.conv\d\.weight$/.test(name);
      return [name, { data: data.map((v) => (kernel ? v : v + 0.1 * Math.abs(rng.normal(0, 1)))), shape }];
    }),
  );
  const input = { data: Float32Array.from({ length: 2 * N * N }, () => rng.uniform(0, 2)), shape: [2, 1, N, N] };
  const { amplitude, phase } = taps;
  return { scope, weights, input, outputs: { amplitude, phase } };
}

const images = ({ data }: { data: Float32Array }): Batch =>
  [0, 1].map((k) => ({ data: Float64Array.from(data.subarray(k * N * N, (k + 1) * N * N)), channels: 1, side: N }));

function compare(
  found: Readonly<Record<string, { data: ArrayLike<number> }>>,
  expected: Readonly<Record<string, Batch>>,
) {
  for (const [part, batch] of Object.entries(expected)) {
    const data = Float64Array.from(batch.flatMap((x) => Array.from(x.data)));
    const largest = maxAbs(Float32Array.from(data));
    expect(largest, part).toBeGreaterThan(0.05);
    data.forEach((v, i) => {
      expect(Math.abs(v - found[part].data[i])).toBeLessThan(2e-5 * largest);
    });
  }
}

const CASES: readonly Options[] = [
  { cbam_bottleneck: true, cbam_decoder: true },
  { cbam_encoder: false, eca_encoder: true, eca_decoder: true, spatial_decoder: true, batch_norm: true },
  {
    cbam_encoder: false,
    cbam_decoder: true,
    spatial_decoder: true,
    decoder_spatial_kernel: 5,
    use_shared_decoder: true,
    use_legacy_decoder_channel_override: true,
    decoder_last_c_outer_fraction: 0.2,
  },
];

describe('options of cnn_cbam', () => {
  let backends: Backend[];
  beforeAll(async () => {
    backends = await Promise.all(backendCases.map(({ create }) => create()));
  });
  afterAll(async () => {
    for (const backend of backends) await backend.dispose();
  });

  it.each(CASES)('%j', async (options) => {
    const { weights, input, outputs } = build(options);
    const expected = transcription(options, images(input), weights);
    for (const backend of backends) {
      const program = await backend.compile(defineProgram({ name: 'cnn_cbam', outputs }), { constants: weights });
      compare(await program.run({ input }), expected);
      await program.dispose();
    }
  });

  it('normalises over the batch while it learns, and keeps means of what it saw', async () => {
    const options = { cbam_encoder: false, batch_norm: true };
    const { scope, weights, input, outputs } = build(options, true);
    const seen = new Map<string, { mean: number[]; variance: number[] }>();
    const expected = transcription(options, images(input), weights, seen);
    // Both convolutions of three blocks and two, and four in the head; nothing of amplitudes.
    expect(seen.size).toBe(6 + 4 + 4);
    expect(scope.updates.size).toBe(2 * seen.size);
    for (const backend of backends) {
      const program = await backend.compile(
        defineProgram({ name: 'step', outputs, updates: Object.fromEntries(scope.updates) }),
      );
      const state = await backend.createState(weights);
      compare(await program.run({ input }, state), expected);
      const after = await state.read([...scope.updates.keys()]);
      for (const [name, { mean, variance }] of seen) {
        const side = name.startsWith('encoder') ? N >> Number(name[8]) : name.includes('border.out') ? N : undefined;
        const count = side === undefined ? undefined : 2 * side ** 2;
        mean.forEach((m, c) => {
          expect(after[`${name}.mean`].data[c]).toBeCloseTo(0.9 * weights[`${name}.mean`].data[c] + 0.1 * m, 4);
          if (count === undefined) return;
          const before = weights[`${name}.variance`].data[c];
          const unbiased = (variance[c] * count) / (count - 1);
          expect(after[`${name}.variance`].data[c]).toBeCloseTo(0.9 * before + 0.1 * unbiased, 4);
        });
      }
      await state.dispose();
      await program.dispose();
    }
  });

  const small = (model: Options): Omit<SimulatedOptions, 'loss'> => ({
    ...{ N, gridsize: 1, architecture: 'cnn_cbam', n_filters_scale: 1, batch: 2, model },
  });

  it.each([
    { batch_norm: true, cbam_encoder: false },
    { use_shared_decoder: true, cbam_encoder: false },
  ])('%j: a step along the gradient lowers the loss by what it says, the same on both engines', async (model) => {
    const drop = await lossDrop(backends[0], small(model));
    expect(drop).toBeGreaterThan(0.85);
    expect(drop).toBeLessThan(1.15);
    const { network, feeds } = simulated({ ...small(model), loss: 'nll' });
    const found = [];
    for (const backend of backends) {
      const step = await backend.compile(network.trainStep(2));
      const state = await backend.createState({ ...network.initialWeights(3), ...network.initialOptimiserState() });
      const rate = { data: Float32Array.of(1e-3), shape: [] };
      const { loss } = await step.run({ ...feeds(), learning_rate: rate }, state);
      const trained = network.parameters.filter((p) => !p.fixed).map((p) => `adam.m/${p.name}`);
      const kept = network.parameters.filter((p) => p.statistic).map((p) => p.name);
      found.push({ loss: loss.data[0], grads: await state.read(trained), kept: await state.read(kept) });
      await state.dispose();
      await step.dispose();
    }
    expect(found[1].loss / found[0].loss).toBeCloseTo(1, 5);
    expect(relativeErrors(found[1].grads, found[0].grads).all).toBeLessThan(2e-4);
    expect(Object.keys(found[0].kept).length > 0).toBe(model.batch_norm === true);
    expect(network.keepsStatistics).toBe(model.batch_norm === true);
    if (model.batch_norm) expect(relativeErrors(found[1].kept, found[0].kept).all).toBeLessThan(1e-4);
  });

  it('have the shapes that are published', () => {
    const shapes = (options: Options) => Object.fromEntries(build(options).scope.specs.map((s) => [s.name, s.shape]));
    const shared = shapes({ use_shared_decoder: true });
    expect(shared['shared.0.refine.conv1.weight']).toEqual([64, 64, 3, 3]);
    expect(shared['shared.1.refine.conv1.weight']).toEqual([64, 32, 3, 3]);
    expect(shared['shared.centre.weight']).toEqual([2, 30, 3, 3]);
    expect(shared['shared.border.conv1.weight']).toEqual([32, 2, 3, 3]);
    const share = { use_legacy_decoder_channel_override: true };
    expect(shapes(share)['phase.centre.weight']).toEqual([1, 28, 3, 3]);
    expect(shapes({ ...share, decoder_last_c_outer_fraction: 0 })['phase.centre.weight']).toEqual([1, 31, 3, 3]);
    expect(shapes({ ...share, decoder_last_c_outer_fraction: 0.9 })['phase.centre.weight']).toEqual([1, 16, 3, 3]);
    const parameters = (options: Options) => build(options).scope.specs.reduce((n, { shape }) => n + sizeOf(shape), 0);
    const attention = (c: number) => 2 * c * (c / 16) + c / 16 + c + 98;
    expect(parameters({ cbam_bottleneck: true }) - parameters({})).toBe(attention(128));
    expect(parameters({ cbam_decoder: true }) - parameters({})).toBe(2 * (attention(64) + attention(32)));
  });

  it('that do nothing are refused', () => {
    const complaint = (options: Options) =>
      networkComplaints(modelConfigSchema.parse({ N, architecture: 'cnn_cbam', ...options })).map(([name]) => name);
    expect(complaint({ eca_encoder: true })).toEqual(['eca_encoder']);
    expect(complaint({ decoder_last_c_outer_fraction: 0.3 })).toEqual(['decoder_last_c_outer_fraction']);
    expect(complaint({ decoder_spatial_kernel: 5 })).toEqual(['decoder_spatial_kernel']);
    expect(complaint({ decoder_spatial_kernel: 4, spatial_decoder: true })).toEqual(['decoder_spatial_kernel']);
    expect(complaint({ eca_encoder: true, cbam_encoder: false, batch_norm: true })).toEqual([]);
    expect(
      networkComplaints(modelConfigSchema.parse({ N, architecture: 'cnn', batch_norm: true })).map(([name]) => name),
    ).toEqual(['batch_norm']);
  });
});
