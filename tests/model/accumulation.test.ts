/** Gradients of several batches, added up for one step. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Compiled } from '../../src/backends/backend.js';
import type { Tensor } from '../../src/core/tensor.js';
import { type NetworkSpec, PtychoNetwork } from '../../src/model/network.js';
import {
  accumulationStep,
  applyAccumulated,
  type OptimiserOptions,
  optimiserDefaults,
  optimiserState,
  trainingStep,
} from '../../src/model/trainingSteps.js';
import { backendCases } from '../support/backends.js';
import { relativeL2 } from '../support/golden.js';
import {
  deviation,
  type LinearBatch,
  linearBatch,
  linearFeeds,
  linearParameters,
  linearParts,
  linearState,
  tensor,
} from '../support/linearModel.js';
import { simulated } from '../support/simulatedBatch.js';

const names = linearParameters.map((p) => p.name);
const scalar = (value: number) => tensor([value], []);

/** Rows [from, to) of a batch. */
const rowsOf = ({ x, y }: LinearBatch, from: number, to: number): LinearBatch => ({
  x: x.slice(3 * from, 3 * to),
  y: y.slice(2 * from, 2 * to),
});

const optimisers: [string, Partial<OptimiserOptions>][] = [
  ['sgd', { kind: 'sgd' }],
  ['adam with averages', { averaging: 0.9 }],
  ['adamw, clipped', { kind: 'adamw', weightDecay: 0.1, clip: { algorithm: 'norm', limit: 0.3 } }],
];

describe.each(backendCases)('accumulated gradients on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  describe.each(optimisers)('%s', (_, over) => {
    const options: OptimiserOptions = { ...optimiserDefaults, ...over, accumulates: true };

    it.each([
      ['equal', [4, 4, 4, 4]],
      ['partial', [5, 5, 1]],
    ])('%s batches make the step of one large batch', async (_, sizes) => {
      const total = sizes.reduce((a, b) => a + b);
      const whole = await backend.compile(trainingStep(linearParts(total, options)));
      const apply = await backend.compile(applyAccumulated(linearParameters, options));
      const parts = new Map<number, Compiled>();
      for (const n of new Set(sizes)) parts.set(n, await backend.compile(accumulationStep(linearParts(n, options))));
      const start = { ...linearState(), ...optimiserState(linearParameters, options) };
      const [a, b] = [await backend.createState(start), await backend.createState(start)];
      for (let k = 0; k < 3; k++) {
        const batch = linearBatch(total, k);
        const large = await whole.run({ ...linearFeeds(batch), learning_rate: scalar(0.05) }, a);
        const before = await b.read(names);
        let [at, loss] = [0, 0];
        for (const n of sizes) {
          const feeds = { ...linearFeeds(rowsOf(batch, at, at + n)), batch_weight: scalar(n) };
          const out = await (parts.get(n) as Compiled).run(feeds, b);
          loss += (out.loss.data[0] * n) / total;
          at += n;
        }
        // the weights wait for the step
        expect(await b.read(names)).toEqual(before);
        const small = await apply.run({ learning_rate: scalar(0.05), total_weight: scalar(total) }, b);
        expect(loss / large.loss.data[0]).toBeCloseTo(1, 5);
        expect(small.gradient_norm.data[0] / large.gradient_norm.data[0]).toBeCloseTo(1, 5);
      }
      const [expected, found] = [await a.read(), await b.read()];
      for (const name of Object.keys(expected)) {
        if (name.startsWith('accumulated/'))
          expect(
            found[name].data.every((v) => v === 0),
            name,
          ).toBe(true);
        else expect(deviation(found, { [name]: Array.from(expected[name].data) }), name).toBeLessThan(1e-5);
      }
      for (const program of [whole, apply, ...parts.values()]) await program.dispose();
      await a.dispose();
      await b.dispose();
    });
  });

  it('4 batches of 2 groups move a network as 8 groups do', async () => {
    const [GROUPS, PART] = [8, 2];
    const { network: plain, feeds } = simulated({
      N: 32,
      gridsize: 1,
      architecture: 'cnn',
      loss: 'nll',
      n_filters_scale: 1,
      batch: GROUPS,
    });
    const all = feeds(2);
    const slice = ({ data, shape }: Tensor, from: number): Tensor => {
      const each = data.length / GROUPS;
      return { data: data.slice(from * each, (from + PART) * each), shape: [PART, ...shape.slice(1)] };
    };
    // plain descent with a large rate: what the weights move by is the gradient, clear of their rounding
    const optimiser: OptimiserOptions = { ...optimiserDefaults, kind: 'sgd', momentum: 0, accumulates: true };
    // the gradient of the intensity scale is a small difference of large sums: nothing to measure 1e-5 by
    const spec: NetworkSpec = { ...plain.spec, intensity_scale_trainable: false, optimiser };
    const network = new PtychoNetwork(spec);
    const start = { ...network.initialWeights(1), ...network.initialOptimiserState() };
    const [a, b] = [await backend.createState(start), await backend.createState(start)];
    const rate = scalar(100);
    const whole = await backend.compile(network.trainStep(GROUPS));
    const large = await whole.run({ ...all, learning_rate: rate }, a);
    const part = await backend.compile(network.accumulateStep(PART));
    for (let from = 0; from < GROUPS; from += PART) {
      const batch = Object.fromEntries(Object.entries(all).map(([name, t]) => [name, slice(t, from)]));
      await part.run({ ...batch, batch_weight: scalar(PART) }, b);
    }
    const apply = await backend.compile(network.applyStep());
    const small = await apply.run({ learning_rate: rate, total_weight: scalar(GROUPS) }, b);
    expect(Math.abs(small.gradient_norm.data[0] / large.gradient_norm.data[0] - 1)).toBeLessThan(1e-5);
    const [one, four] = [await a.read(), await b.read()];
    const moved = (state: Record<string, Tensor>) =>
      network.parameters.flatMap(({ name }) => Array.from(state[name].data, (v, i) => v - start[name].data[i]));
    expect(relativeL2(moved(four), moved(one))).toBeLessThan(1e-5);
    for (const program of [whole, part, apply]) await program.dispose();
    await a.dispose();
    await b.dispose();
  });
});
