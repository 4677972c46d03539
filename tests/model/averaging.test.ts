/** The moving average of the weights. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import {
  averagedName,
  type OptimiserOptions,
  optimiserDefaults,
  optimiserState,
  trainingStep,
} from '../../src/model/trainingSteps.js';
import { backendCases } from '../support/backends.js';
import {
  deviation,
  linearBatch,
  linearFeeds,
  linearParameters,
  linearParts,
  linearState,
  tensor,
  type Vectors,
} from '../support/linearModel.js';

const ROWS = 4;
const names = linearParameters.map((p) => p.name);

describe.each(backendCases)('averages of weights on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  /** Weights and averages after each of some steps. */
  async function run(averaging: number, steps: number) {
    const options: OptimiserOptions = { ...optimiserDefaults, averaging };
    const step = await backend.compile(trainingStep(linearParts(ROWS, options)));
    const state = await backend.createState({ ...linearState(), ...optimiserState(linearParameters, options) });
    const way = [];
    for (let k = 0; k < steps; k++) {
      await step.run({ ...linearFeeds(linearBatch(ROWS, k)), learning_rate: tensor([0.05], []) }, state);
      way.push(await state.read());
    }
    await state.dispose();
    await step.dispose();
    return way;
  }

  it.each([0.3, 0.999])('decay %f, warmed up', async (decay) => {
    const way = await run(decay, 12);
    const averages: Vectors = {};
    way.forEach((state, k) => {
      // the first step copies; then (1 + t)/(10 + t) for t = 0, 1, …, up to the decay
      const d = k === 0 ? 0 : Math.min(decay, k / (9 + k));
      for (const n of names) {
        const a = averages[averagedName(n)] ?? Array.from(state[n].data, () => 0);
        averages[averagedName(n)] = a.map((v, i) => d * v + (1 - d) * state[n].data[i]);
      }
      expect(deviation(state, averages)).toBeLessThan(2e-6);
    });
    // it lags behind the weights
    const last = way[way.length - 1];
    const weights = Object.fromEntries(names.map((n) => [averagedName(n), Array.from(last[n].data)]));
    expect(deviation(last, weights)).toBeGreaterThan(0.005);
  });

  it('begins with the weights after the first step, whatever it held before', async () => {
    const [state] = await run(0.999, 1);
    for (const n of names) expect(state[averagedName(n)].data).toEqual(state[n].data);
  });

  it('leaves the weights alone', async () => {
    const [with_, without] = [await run(0.9, 4), await run(0, 4)];
    for (const n of names) expect(with_[3][n].data).toEqual(without[3][n].data);
    expect(Object.keys(without[3]).some((n) => n.startsWith('average'))).toBe(false);
  });
});
