/** Every knob of a network's specification acts: what it adds to loss, outputs and steps, on the engines. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import type { Tensor } from '../../src/core/tensor.js';
import type { Program } from '../../src/graph/program.js';
import { LOG_INTENSITY_SCALE, PtychoNetwork } from '../../src/model/network.js';
import { averagedName, optimiserDefaults } from '../../src/model/trainingSteps.js';
import { probeMask } from '../../src/physics/probe.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference } from '../support/golden.js';
import { countParameters, type SimulatedOptions, simulated } from '../support/simulatedBatch.js';

const B = 2;
/** Nothing that a knob does needs larger patterns. */
const N = 32;
const made = (over: Partial<SimulatedOptions> = {}) =>
  simulated({ N, gridsize: 1, architecture: 'cnn', loss: 'nll', n_filters_scale: 1, batch: B, ...over });
const scalar = (value: number): Tensor => ({ data: Float32Array.of(value), shape: [] });
type Feeds = Readonly<Record<string, Tensor>>;

describe.each(backendCases)('knobs of the network, on $name', ({ name, create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());
  /** What an engine cannot change is tried on one. */
  const once = (title: string, body: () => Promise<void>) => {
    if (name === backendCases[0].name) it(title, body);
  };

  async function run(program: Program, feeds: Feeds, weights: Feeds): Promise<Record<string, Tensor>> {
    const wanted = Object.fromEntries([...program.inputs.keys()].map((k) => [k, feeds[k]]));
    const compiled = await backend.compile(program, { constants: weights });
    const out = await compiled.run(wanted);
    await compiled.dispose();
    return out;
  }
  const evaluated = async (network: PtychoNetwork, feeds: Feeds, weights = network.initialWeights(1)) => {
    const out = await run(network.evaluate(B), feeds, weights);
    return Object.fromEntries(Object.entries(out).map(([k, t]) => [k, t.data[0]]));
  };
  /** One step: outputs, and the state afterwards. */
  async function stepped(network: PtychoNetwork, feeds: Feeds, program = network.trainStep(B)) {
    const state = await backend.createState({ ...network.initialWeights(1), ...network.initialOptimiserState() });
    const step = await backend.compile(program);
    const wanted = Object.fromEntries([...program.inputs.keys()].map((k) => [k, feeds[k]]));
    const out = await step.run(wanted, state);
    const after = await state.read();
    await step.dispose();
    await state.dispose();
    return { out, after };
  }

  it('watches: finite, sensible figures from the first step', async () => {
    const { network, feeds } = made();
    const { out } = await stepped(network, { ...feeds(), learning_rate: scalar(1e-3) });
    const figures = Object.fromEntries(Object.entries(out).map(([k, t]) => [k, t.data[0]]));
    expect(Object.keys(figures).sort()).toEqual(
      [
        'amplitude_contrast',
        'border_ratio',
        'gradient_norm',
        'intensity_ratio',
        'loss',
        'mae',
        'nll',
        'saturation',
      ].sort(),
    );
    // A fresh network starts near the rms amplitude, away from its limits, with a border like its centre.
    expect(figures.intensity_ratio).toBeGreaterThan(0.4);
    expect(figures.intensity_ratio).toBeLessThan(2.5);
    expect(figures.saturation).toBe(0);
    expect(figures.border_ratio).toBeGreaterThan(0.8);
    expect(figures.border_ratio).toBeLessThan(1.2);
    expect(figures.gradient_norm).toBeGreaterThan(0);
  });

  it('total variation and the error against known patches enter with the product of their weights', async () => {
    const plain = made();
    const feeds = { ...plain.feeds(), ...plain.labels() };
    const base = await evaluated(plain.network, feeds);
    const spec = { realspace_weight: 0.5, tv_weight: 3, realspace_mae_weight: 0.25 };
    const both = await evaluated(made({ spec }).network, feeds);
    expect(base.tv).toBeUndefined();
    expect(both.tv).toBeGreaterThan(0);
    expect(both.object_mae).toBeGreaterThan(0.05);
    expect(both.loss - base.loss).toBeCloseTo(0.5 * (3 * both.tv + 0.25 * both.object_mae), 5);
    const alone = made({ spec: { ...spec, realspace_mae_weight: 0 } });
    expect(alone.network.needsLabels).toBe(false);
    expect((await evaluated(alone.network, feeds)).loss - base.loss).toBeCloseTo(1.5 * both.tv, 5);
  });

  once('known patches are compared in the units of the object, over the part that is painted', async () => {
    const spec = { realspace_weight: 1, realspace_mae_weight: 1 };
    for (const over of [{}, { model: { probe_big: false } }, { gridsize: 2 as const }]) {
      const { network, feeds } = made({ spec, ...over });
      const weights = network.initialWeights(1);
      const given = feeds();
      const { object_real: re, object_imag: im } = await run(network.predict(B), given, weights);
      const labels = { label_real: re, label_imag: im };
      expect((await evaluated(network, { ...given, ...labels }, weights)).object_mae).toBeLessThan(1e-5);
      // Labels that differ outside the central half only.
      const odd = re.data.map((v, i) => {
        const [r, c] = [Math.floor(i / N) % N, i % N];
        return r >= N / 4 && r < (3 * N) / 4 && c >= N / 4 && c < (3 * N) / 4 ? v : v + 1;
      });
      const away = await evaluated(network, { ...given, ...labels, label_real: { ...re, data: odd } }, weights);
      const wholePatch = Object.keys(over).length === 0;
      if (wholePatch) expect(away.object_mae).toBeCloseTo(0.75, 3);
      else expect(away.object_mae).toBeLessThan(1e-5);
    }
  });

  once('the norm of each predicted pattern can be that of the measured one', async () => {
    const spec = (matchPredictedNorm: boolean) => ({ loss: 'mae' as const, spec: { matchPredictedNorm } });
    const [plain, matched] = [made(spec(false)), made(spec(true))];
    const feeds = plain.feeds();
    const weights = plain.network.initialWeights(1);
    const brighter = {
      ...weights,
      [LOG_INTENSITY_SCALE]: scalar(weights[LOG_INTENSITY_SCALE].data[0] + 1),
    };
    const mae = async ({ network }: typeof plain, w: Feeds) => (await evaluated(network, feeds, w)).mae;
    expect(await mae(matched, brighter)).toBeCloseTo(await mae(matched, weights), 4);
    expect(await mae(plain, brighter)).toBeGreaterThan(2 * (await mae(plain, weights)));
  });

  it('stages: the amplitude error fades into the configured losses', async () => {
    const { network, feeds } = made({ spec: { staged: true } });
    const loss = async (w: number) => evaluated(network, { ...feeds(), physics_weight: scalar(w) });
    const [start, between, end] = [await loss(0), await loss(0.25), await loss(1)];
    expect(start.loss).toBeCloseTo(start.mae, 6);
    expect(end.loss).toBeCloseTo(end.nll, 6);
    expect(Math.abs(end.nll - end.mae)).toBeGreaterThan(0.01);
    expect(between.loss).toBeCloseTo(0.75 * start.mae + 0.25 * end.nll, 5);
  });

  it('gradients with respect to positions agree with central differences', async () => {
    const { network, feeds } = made({ gridsize: 2, loss: 'mae', spec: { position_trainable: true } });
    const given = feeds();
    const { out } = await stepped(network, { ...given, learning_rate: scalar(0) });
    const found = out.position_gradients;
    expect(found.shape).toEqual([B, 4, 1, 2]);
    const compiled = await backend.compile(network.evaluate(B), { constants: network.initialWeights(1) });
    const at = async (positions: Float32Array) => {
      const { loss } = await compiled.run({ ...given, input_positions: { ...given.input_positions, data: positions } });
      return loss.data[0];
    };
    const h = 0.02;
    for (const i of [0, 3, 6, 9]) {
      const shifted = (by: number) => given.input_positions.data.map((v, k) => (k === i ? v + by : v));
      const difference = ((await at(shifted(h))) - (await at(shifted(-h)))) / (2 * h);
      expect(Math.abs(found.data[i] - difference)).toBeLessThan(0.05 * maxAbs(found.data));
    }
    expect(maxAbs(found.data)).toBeGreaterThan(1e-6);
    await compiled.dispose();
  });

  it('supervised: 2·amplitude + 4·phase error against labels, without physics in the gradient', async () => {
    const { network, feeds, labels } = made({
      model: { model_type: 'supervised' },
      spec: { intensity_scale_trainable: false },
    });
    const all = { ...feeds(), ...labels() };
    const figures = await evaluated(network, all);
    expect(figures.loss).toBeCloseTo(2 * figures.label_amplitude_mae + 4 * figures.label_phase_mae, 5);
    const weights = network.initialWeights(1);
    const { object_real: re, object_imag: im } = await run(network.predict(B), all, weights);
    const own = await evaluated(network, { ...all, label_real: re, label_imag: im }, weights);
    expect(own.loss).toBeLessThan(1e-4);
    const { after } = await stepped(network, { ...all, learning_rate: scalar(1e-3) });
    expect(maxDifference(after['amplitude.centre.bias'].data, weights['amplitude.centre.bias'].data)).toBeCloseTo(
      1e-3,
      5,
    );
  });

  it('baseline: one channel a member, both errors weigh the same', async () => {
    const parts = {
      architecture: 'baseline' as const,
      model: { model_type: 'supervised' },
      spec: { intensity_scale_trainable: false },
    };
    const { network, feeds, labels } = made({ ...parts, gridsize: 2 });
    const all = { ...feeds(), ...labels() };
    const figures = await evaluated(network, all);
    expect(figures.loss).toBeCloseTo(figures.label_amplitude_mae + figures.label_phase_mae, 5);
    // Members do not see each other.
    const weights = network.initialWeights(1);
    const before = await run(network.predict(B), all, weights);
    const data = all.input.data.slice();
    data.fill(0, N * N, 2 * N * N);
    const after = await run(network.predict(B), { ...all, input: { ...all.input, data } }, weights);
    const member = (t: Tensor, m: number) => t.data.subarray(m * N * N, (m + 1) * N * N);
    expect(maxDifference(member(after.object_real, 0), member(before.object_real, 0))).toBe(0);
    expect(maxDifference(member(after.object_real, 1), member(before.object_real, 1))).toBeGreaterThan(0);
    for (const gridsize of [1, 2] as const) {
      expect(countParameters(made({ ...parts, N: 64, gridsize, n_filters_scale: 2 }).network.parameters)).toBe(
        4_612_418,
      );
    }
  });

  it('a trained probe moves at its own rate, within its mask, and is handed back in √counts', async () => {
    const mask = probeMask(N).data;
    const optimiser = { ...optimiserDefaults, rateFactors: { 'probe.re': 5, 'probe.im': 5 } };
    const { network, feeds } = made({ spec: { probe_trainable: true, probeMask: mask, optimiser } });
    const given = { ...feeds(), learning_rate: scalar(1e-3) };
    const { after } = await stepped(network, given);
    const weights = network.initialWeights(1);
    const initial = network.spec.scale.probe;
    expect(maxDifference(network.probeOf(weights).re, initial.re)).toBeLessThan(1e-3 * maxAbs(initial.re));
    const moved = after['probe.re'].data.map((v, i) => Math.abs(v - weights['probe.re'].data[i]));
    // The first step of Adam is one rate long where there is a gradient.
    expect(maxAbs(moved)).toBeCloseTo(5e-3, 5);
    expect(moved.every((m, i) => mask[i] === 1 || m === 0)).toBe(true);
    // Relative to the rms of the probe.
    const power = initial.re.reduce((s, v, i) => s + v * v + initial.im[i] ** 2, 0);
    const unit = Math.sqrt(power) / N;
    const shift = network.probeOf(after).re.map((v, i) => v - initial.re[i]);
    expect(maxAbs(shift) / unit).toBeCloseTo(5e-3, 4);

    // Opened from a bundle, the scale holds the trained probe: the same weights must mean the same.
    const scale = { ...network.spec.scale, probe: network.probeOf(after) };
    const again = new PtychoNetwork({ ...network.spec, scale });
    const wanted = await evaluated(network, given, after);
    expect((await evaluated(again, given, after)).loss).toBeCloseTo(wanted.loss, 6);
    expect(Math.abs(wanted.loss - (await evaluated(network, given, weights)).loss)).toBeGreaterThan(1e-5);
  });

  once('a trained probe of several modes', async () => {
    const single = made();
    const { probe } = single.network.spec.scale;
    const two = {
      re: Float32Array.from([...probe.re, ...probe.im]),
      im: Float32Array.from([...probe.im, ...probe.re]),
      shape: [2, N, N],
    };
    const scale = { ...single.network.spec.scale, probe: two };
    const fixed = new PtychoNetwork({ ...single.network.spec, scale });
    const trained = new PtychoNetwork({ ...single.network.spec, scale, probe_trainable: true });
    const [a, b] = [await evaluated(fixed, single.feeds()), await evaluated(trained, single.feeds())];
    expect(b.loss).toBeCloseTo(a.loss, 4);
    expect(trained.probeOf(trained.initialWeights(0)).shape).toEqual([2, N, N]);
  });

  it('real and imaginary heads with scales that are trained, or kept', async () => {
    const model = { cnn_output_mode: 'real_imag', physics_forward_mode: 'rectangular_scaled' };
    const feeds = made().feeds();
    for (const rect_s1s2_trainable of [true, false]) {
      const { network } = made({ model: { ...model, rect_s1s2_trainable } });
      const { after } = await stepped(network, { ...feeds, learning_rate: scalar(1e-3) });
      expect(after['rectangular.s1'].data[0] !== 1).toBe(rect_s1s2_trainable);
    }
    const { network } = made({ model });
    const weights = network.initialWeights(1);
    const scaled = { ...weights, 'rectangular.s1': scalar(2), 'rectangular.s2': scalar(3) };
    const [a, b] = [await run(network.predict(B), feeds, weights), await run(network.predict(B), feeds, scaled)];
    const times = (data: ArrayLike<number>, factor: number) => Float32Array.from(data, (v) => factor * v);
    expect(maxDifference(b.object_real.data, times(a.object_real.data, 2))).toBeLessThan(1e-5);
    expect(maxDifference(b.object_imag.data, times(a.object_imag.data, 3))).toBeLessThan(1e-5);
    const calibration = await run(network.calibrate(B), feeds, weights);
    expect(calibration.measured.data[0]).toBeCloseTo(0.25, 4);
    expect(calibration.normal.shape).toEqual([3, 3]);
  });

  it('the contract of counts feeds intensities', async () => {
    const plain = made();
    const { scale } = plain.network.spec;
    const counting = { ...scale, countIntensity: { rmsInputScale: 1e-4, meanMeasuredIntensity: 20 } };
    const network = new PtychoNetwork({ ...plain.network.spec, scale: counting });
    const weights = network.initialWeights(1);
    const feeds = plain.feeds();
    const counts = feeds.input.data.map((x) => (x * scale.intensityScale) ** 2 * 1e-4);
    const fed = { ...feeds, input: { ...feeds.input, data: counts } };
    const [a, b] = [await run(network.predict(B), feeds, weights), await run(plain.network.predict(B), fed, weights)];
    expect(maxDifference(a.object_real.data, b.object_real.data)).toBeLessThan(1e-4);
    const amplitudes = await run(plain.network.predict(B), feeds, weights);
    expect(maxDifference(a.object_real.data, amplitudes.object_real.data)).toBeGreaterThan(1e-3);
  });

  once('evaluates the averages of the weights when asked', async () => {
    const { network, feeds } = made({ spec: { optimiser: { ...optimiserDefaults, averaging: 0.9 } } });
    const [one, other] = [network.initialWeights(1), network.initialWeights(2)];
    const averages = Object.fromEntries(Object.entries(other).map(([n, t]) => [averagedName(n), t]));
    const program = network.evaluate(B, { averaged: true });
    const averaged = (await run(program, feeds(), { ...one, ...averages })).loss.data[0];
    expect(averaged).toBeCloseTo((await evaluated(network, feeds(), other)).loss, 5);
    expect(Math.abs(averaged - (await evaluated(network, feeds(), one)).loss)).toBeGreaterThan(1e-5);
  });

  once('accumulates over batches to the same step as one batch', async () => {
    const optimiser = { ...optimiserDefaults, accumulates: true };
    const { network, feeds } = made({ loss: 'mae', spec: { optimiser } });
    const given = feeds();
    const half = (t: Tensor, k: number): Tensor => {
      const n = t.data.length / 2;
      return { data: t.data.slice(k * n, (k + 1) * n), shape: [1, ...t.shape.slice(1)] };
    };
    const state = await backend.createState({ ...network.initialWeights(1), ...network.initialOptimiserState() });
    const [add, apply] = [await backend.compile(network.accumulateStep(1)), await backend.compile(network.applyStep())];
    for (const k of [0, 1]) {
      const parts = Object.fromEntries(Object.entries(given).map(([n, t]) => [n, half(t, k)]));
      await add.run({ ...parts, batch_weight: scalar(1) }, state);
    }
    await apply.run({ learning_rate: scalar(1e-3), total_weight: scalar(2) }, state);
    const summed = await state.read();
    for (const c of [state, add, apply]) await c.dispose();
    const { after } = await stepped(network, { ...given, learning_rate: scalar(1e-3) });
    for (const { name: parameter } of network.parameters) {
      expect(maxDifference(summed[parameter].data, after[parameter].data), parameter).toBeLessThan(2e-4);
    }
  });
});
