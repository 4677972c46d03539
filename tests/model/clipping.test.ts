/** Limits of gradients: what a step really moves by. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import {
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
  linearGradients,
  linearParameters,
  linearParts,
  linearStart,
  linearState,
  normOf,
  tensor,
  type Vectors,
} from '../support/linearModel.js';

const ROWS = 4;
const batch = linearBatch(ROWS, 3);
const gradient = linearGradients(linearStart, batch);
const norm = normOf(gradient);
type Clip = OptimiserOptions['clip'];

const scaled = (v: Vectors, factor: (name: string) => number): Vectors =>
  Object.fromEntries(Object.entries(v).map(([n, values]) => [n, values.map((x) => x * factor(n))]));

/** Limited gradients, in double precision. */
function limited(clip: NonNullable<Clip>, start: Vectors, g: Vectors): Vectors {
  if (clip.algorithm === 'value')
    return Object.fromEntries(
      Object.entries(g).map(([n, v]) => [n, v.map((x) => Math.min(clip.limit, Math.max(-clip.limit, x)))]),
    );
  if (clip.algorithm === 'norm') return scaled(g, () => Math.min(1, clip.limit / (normOf(g) + 1e-6)));
  return scaled(g, (n) => Math.min(1, (clip.limit * Math.max(Math.hypot(...start[n]), 1e-3)) / Math.hypot(...g[n])));
}

describe.each(backendCases)('gradient clipping on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  /** What one step of plain descent with rate 1 takes away from the weights: the gradient that was used. */
  async function used(clip: Clip, start: Vectors = linearStart) {
    const options: OptimiserOptions = { ...optimiserDefaults, kind: 'sgd', momentum: 0, clip };
    const step = await backend.compile(trainingStep(linearParts(ROWS, options)));
    const state = await backend.createState({ ...linearState(start), ...optimiserState(linearParameters, options) });
    const out = await step.run({ ...linearFeeds(batch), learning_rate: tensor([1], []) }, state);
    const after = await state.read();
    await state.dispose();
    await step.dispose();
    const taken: Vectors = Object.fromEntries(
      linearParameters.map(({ name }) => [name, start[name].map((v, i) => Math.fround(v) - after[name].data[i])]),
    );
    return { taken, tensors: linearState(taken), reported: out.gradient_norm.data[0] };
  }

  const cases: NonNullable<Clip>[] = [
    { algorithm: 'norm', limit: 0.5 },
    { algorithm: 'norm', limit: 1e3 },
    { algorithm: 'value', limit: 0.3 },
    { algorithm: 'value', limit: 1e3 },
    { algorithm: 'agc', limit: 0.1 },
    { algorithm: 'agc', limit: 1e3 },
  ];
  it.each(cases)('$algorithm, limit $limit', async (clip) => {
    const { tensors, taken, reported } = await used(clip);
    expect(deviation(tensors, limited(clip, linearStart, gradient))).toBeLessThan(2e-6);
    // the norm that is told is that of the gradient as it came
    expect(reported / norm).toBeCloseTo(1, 5);
    if (clip.limit > 100) expect(deviation(tensors, gradient)).toBeLessThan(2e-6);
    else expect(normOf(taken)).toBeLessThan(0.9 * norm);
  });

  it('norm leaves a step of exactly that norm, in the same direction', async () => {
    const { taken } = await used({ algorithm: 'norm', limit: 0.5 });
    expect(normOf(taken)).toBeCloseTo(0.5, 5);
    const dot = Object.keys(taken).reduce((sum, n) => sum + taken[n].reduce((s, v, i) => s + v * gradient[n][i], 0), 0);
    expect(dot / (normOf(taken) * norm)).toBeCloseTo(1, 5);
  });

  it('agc lets weights leave zero, at most by its least norm', async () => {
    const start = { ...linearStart, b: [0, 0] };
    const { taken } = await used({ algorithm: 'agc', limit: 0.5 }, start);
    expect(Math.hypot(...taken.b) / (0.5 * 1e-3)).toBeCloseTo(1, 4);
  });

  it.each(['norm', 'value', 'agc'] as const)('%s of vanishing gradients is nothing, not NaN', async (algorithm) => {
    // s = 0 stops what flows to w and b; w = b = 0 what flows to s
    const start = { w: [0, 0, 0, 0, 0, 0], b: [0, 0], s: [0] };
    const { taken, reported } = await used({ algorithm, limit: 0.5 }, start);
    expect(normOf(taken)).toBe(0);
    expect(reported).toBe(0);
  });
});
