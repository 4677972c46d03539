/** Both backends compute the same: predictions, gradients, losses of a training, and each other's weights. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import type { Tensor } from '../../src/core/tensor.js';
import { gradients } from '../../src/graph/gradients.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import type { PtychoNetwork } from '../../src/model/network.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference } from '../support/golden.js';
import { type SimulatedOptions, simulated } from '../support/simulatedBatch.js';

let backends: Backend[];
beforeAll(async () => {
  backends = await Promise.all(backendCases.map(({ create }) => create()));
});
afterAll(async () => {
  for (const backend of backends) await backend.dispose();
});

const rate = (value: number): Tensor => ({ data: Float32Array.of(value), shape: [] });

/** ‖a − b‖ / ‖b‖ over all tensors, and of the worst one. */
function relativeErrors(a: Record<string, Tensor>, b: Record<string, Tensor>) {
  const squares = (v: ArrayLike<number>, w?: ArrayLike<number>) =>
    Array.from(v).reduce((sum, x, i) => sum + (x - (w ? w[i] : 0)) ** 2, 0);
  let [difference, norm, worst, worstName] = [0, 0, 0, ''];
  for (const name of Object.keys(b)) {
    const [d, n] = [squares(a[name].data, b[name].data), squares(b[name].data)];
    difference += d;
    norm += n;
    const error = Math.sqrt(d / n);
    if (error > worst) [worst, worstName] = [error, name];
  }
  return { all: Math.sqrt(difference / norm), worst, worstName };
}

type Feeds = Record<string, Tensor>;

/** Gradients from Adam's first moments after one step from zero: m = (1 − β₁) g. The factor does not matter here. */
async function gradientsOn(backend: Backend, network: PtychoNetwork, feeds: Feeds) {
  const step = await backend.compile(network.trainStep(1));
  const state = await backend.createState({ ...network.initialWeights(3), ...network.initialOptimiserState() });
  const out = await step.run({ ...feeds, learning_rate: rate(1e-3) }, state);
  const grads = await state.read(network.parameters.map((p) => `adam.m/${p.name}`));
  await state.dispose();
  await step.dispose();
  return { out, grads };
}

async function predictionOn(backend: Backend, network: PtychoNetwork, feeds: Feeds, weights: Record<string, Tensor>) {
  const predict = await backend.compile(network.predict(1), { constants: weights });
  const out = await predict.run(feeds);
  await predict.dispose();
  return out;
}

function expectSamePrediction(found: Record<string, Tensor>, expected: Record<string, Tensor>): void {
  const scale = Math.max(maxAbs(expected.object_real.data), maxAbs(expected.object_imag.data));
  for (const part of ['object_real', 'object_imag']) {
    expect(maxDifference(found[part].data, expected[part].data) / scale, part).toBeLessThan(1e-5);
  }
}

type Case = Omit<SimulatedOptions, 'batch'>;

const cases = ([1, 2] as const).flatMap((gridsize) =>
  (['cnn', 'cnn_cbam'] as const).flatMap((architecture) =>
    (['nll', 'mae'] as const).map((loss): Case => ({ gridsize, architecture, loss, n_filters_scale: 1 })),
  ),
);
const defaultNetwork: Case = { gridsize: 1, architecture: 'cnn', loss: 'nll', n_filters_scale: 2 };

describe('forward and gradients', () => {
  it.each<Case>([...cases, defaultNetwork])(
    'gridsize $gridsize, $architecture, $loss, n_filters_scale $n_filters_scale',
    async (options) => {
      const { network, feeds } = simulated({ ...options, batch: 1 });
      const [predictions, results] = [[] as Record<string, Tensor>[], [] as Awaited<ReturnType<typeof gradientsOn>>[]];
      for (const backend of backends) {
        predictions.push(await predictionOn(backend, network, feeds(5), network.initialWeights(3)));
        results.push(await gradientsOn(backend, network, feeds()));
      }
      expectSamePrediction(predictions[1], predictions[0]);
      for (const name of ['loss', 'nll', 'mae']) {
        const [a, b] = results.map(({ out }) => out[name].data[0]);
        expect(Math.abs(b - a) / Math.abs(a), name).toBeLessThan(1e-5);
      }
      const { all, worst, worstName } = relativeErrors(results[1].grads, results[0].grads);
      expect(all).toBeLessThan(2e-4);
      // Single numbers that are small sums of large terms, like a bias, say little in narrower networks.
      if (options === defaultNetwork) expect(worst, worstName).toBeLessThan(1e-3);
    },
  );

  it('a small smooth network', async () => {
    const x = op.input('x', [3, 2, 16, 16]);
    const shapes = { w1: [6, 2, 3, 3], b1: [6], w2: [4, 6, 3, 3], w3: [2, 4, 3, 3], m: [32, 16] };
    const weights: Record<string, Tensor> = {};
    const leaves = Object.entries(shapes).map(([name, shape], k) => {
      const size = shape.reduce((a, b) => a * b, 1);
      weights[name] = { data: Float32Array.from({ length: size }, (_, i) => 0.3 * Math.sin(k + 1.3 * i)), shape };
      return op.state(name, shape);
    });
    const [w1, b1, w2, w3, m] = leaves;
    const h = op.silu(op.conv2d(op.tanh(op.conv2d(x, w1, b1)), w2));
    const y = op.matmul(op.upConv2d(op.sigmoid(h), w3), m);
    const loss = op.reduceMean(op.square(op.sub(y, 0.1)));
    const names = Object.keys(shapes);
    const grads = gradients(loss, leaves);
    const program = defineProgram({
      name: 'smooth',
      outputs: { loss, ...Object.fromEntries(names.map((name, i) => [`d ${name}`, grads[i]])) },
    });
    const feeds = { x: { data: Float32Array.from({ length: 1536 }, (_, i) => Math.sin(0.37 * i)), shape: x.shape } };
    const found = [];
    for (const backend of backends) {
      const compiled = await backend.compile(program, { constants: weights });
      found.push(await compiled.run(feeds));
      await compiled.dispose();
    }
    const { all, worst, worstName } = relativeErrors(found[1], found[0]);
    expect(all).toBeLessThan(1e-5);
    expect(worst, worstName).toBeLessThan(1e-5);
  });
});

describe('training', () => {
  it.each<{ gridsize: 1 | 2; loss: 'nll' | 'mae' }>([
    { gridsize: 1, loss: 'nll' },
    { gridsize: 2, loss: 'mae' },
  ])('20 steps, gridsize $gridsize, $loss; either predicts with the weights of the other', async (options) => {
    const { network, feeds } = simulated({ ...options, architecture: 'cnn', n_filters_scale: 1, batch: 1 });
    const names = network.parameters.map((p) => p.name);
    const batches = [0, 1, 2].map((seed) => ({ ...feeds(seed), learning_rate: rate(3e-4) }));
    const trained = [];
    for (const backend of backends) {
      const step = await backend.compile(network.trainStep(1));
      const state = await backend.createState({ ...network.initialWeights(1), ...network.initialOptimiserState() });
      const losses: number[] = [];
      for (let i = 0; i < 20; i++) losses.push((await step.run(batches[i % 3], state)).loss.data[0]);
      trained.push({ losses, weights: await state.read(names) });
      await state.dispose();
      await step.dispose();
    }
    const [a, b] = trained.map(({ losses }) => losses);
    expect(a[18]).toBeLessThan(0.95 * a[0]);
    a.forEach((value, i) => {
      expect(Math.abs(b[i] - value) / Math.abs(value), `loss of step ${i}`).toBeLessThan(1e-3);
    });
    for (const { weights } of trained) {
      const of = (backend: Backend) => predictionOn(backend, network, feeds(5), weights);
      expectSamePrediction(await of(backends[1]), await of(backends[0]));
    }
  });
});
