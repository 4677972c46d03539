/** Every optimiser against its textbook form, written out in double precision. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Tensors } from '../../src/backends/backend.js';
import { trainingConfigSchema } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import { isOp } from '../../src/graph/node.js';
import { optimiserOptions } from '../../src/model/optimisers/kinds.js';
import {
  accumulationStep,
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
const rates = [0.05, 0.05, 0.02, 0.02, 0.01, 0.01];
const batches = rates.map((_, i) => linearBatch(ROWS, 10 * i));

/** One optimiser as the textbooks have it: moves `p` in place. */
type Reference = (p: Vectors, g: Vectors, rate: (name: string) => number, t: number) => void;

function adamReference({ beta1, beta2, epsilon, weightDecay, kind, undecayed }: OptimiserOptions): Reference {
  const zero = (): Vectors => Object.fromEntries(Object.entries(linearStart).map(([n, v]) => [n, v.map(() => 0)]));
  const [m, v] = [zero(), zero()];
  return (p, g, rate, t) => {
    for (const name of Object.keys(p)) {
      const decay = undecayed?.includes(name) ? 0 : weightDecay;
      for (let i = 0; i < p[name].length; i++) {
        const gi = g[name][i] + (kind === 'adam' ? decay * p[name][i] : 0);
        if (kind === 'adamw') p[name][i] -= rate(name) * decay * p[name][i];
        m[name][i] = beta1 * m[name][i] + (1 - beta1) * gi;
        v[name][i] = beta2 * v[name][i] + (1 - beta2) * gi * gi;
        const mHat = m[name][i] / (1 - beta1 ** t);
        const vHat = v[name][i] / (1 - beta2 ** t);
        p[name][i] -= (rate(name) * mHat) / (Math.sqrt(vHat) + epsilon);
      }
    }
  };
}

function sgdReference({ momentum, weightDecay }: OptimiserOptions): Reference {
  let buffer: Vectors | undefined;
  return (p, g, rate) => {
    const d: Vectors = Object.fromEntries(
      Object.keys(p).map((n) => [n, g[n].map((x, i) => x + weightDecay * p[n][i])]),
    );
    const before = buffer;
    const b: Vectors = before
      ? Object.fromEntries(Object.keys(p).map((n) => [n, d[n].map((x, i) => momentum * before[n][i] + x)]))
      : d;
    buffer = b;
    for (const n of Object.keys(p)) p[n] = p[n].map((x, i) => x - rate(n) * (d[n][i] + momentum * b[n][i]));
  };
}

const options = (over: Partial<OptimiserOptions>): OptimiserOptions => ({ ...optimiserDefaults, ...over });
const cases: [string, OptimiserOptions][] = [
  ['adam', options({})],
  ['adam, other decays of its moments', options({ beta1: 0.8, beta2: 0.95 })],
  ['adam without moments', options({ beta1: 0, beta2: 0 })],
  ['adam with weight decay', options({ weightDecay: 0.1 })],
  ['adamw', options({ kind: 'adamw', weightDecay: 0.3 })],
  [
    'adamw, one parameter apart',
    options({ kind: 'adamw', weightDecay: 0.3, undecayed: ['s'], rateFactors: { b: 0.5 } }),
  ],
  ['sgd', options({ kind: 'sgd', momentum: 0 })],
  ['sgd with Nesterov momentum', options({ kind: 'sgd' })],
  ['sgd with momentum and weight decay', options({ kind: 'sgd', momentum: 0.5, weightDecay: 0.2 })],
  ['adam with factors on rates', options({ rateFactors: { w: 0.1, s: 3 } })],
  ['sgd with factors on rates', options({ kind: 'sgd', rateFactors: { w: 0.1, s: 3 } })],
];

/** The way of the weights over all steps, in double precision. */
function expectedWay(o: OptimiserOptions): { weights: Vectors; norms: number[] } {
  const reference = o.kind === 'sgd' ? sgdReference(o) : adamReference(o);
  const weights: Vectors = structuredClone(linearStart);
  const norms = batches.map((batch, k) => {
    const g = linearGradients(weights, batch);
    reference(weights, g, (name) => rates[k] * (o.rateFactors?.[name] ?? 1), k + 1);
    return normOf(g);
  });
  return { weights, norms };
}

describe.each(backendCases)('optimisers on $name', ({ create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  it.each(cases)('%s', async (_, o) => {
    const step = await backend.compile(trainingStep(linearParts(ROWS, o)));
    const state = await backend.createState({ ...linearState(), ...optimiserState(linearParameters, o) });
    const norms: number[] = [];
    for (const [k, batch] of batches.entries()) {
      const out = await step.run({ ...linearFeeds(batch), learning_rate: tensor([rates[k]], []) }, state);
      norms.push(out.gradient_norm.data[0]);
    }
    const expected = expectedWay(o);
    expect(deviation(await state.read(), expected.weights)).toBeLessThan(2e-6);
    expect(deviation({ norms: tensor(norms, [norms.length]) }, { norms: expected.norms })).toBeLessThan(2e-6);
    await state.dispose();
    await step.dispose();
  });
});

describe('gradients as outputs', () => {
  it('come with a step and with a sum, from before the step', async () => {
    const backend = await backendCases[0].create();
    const batch = linearBatch(ROWS, 1);
    const o = options({ accumulates: true });
    const state = await backend.createState({ ...linearState(), ...optimiserState(linearParameters, o) });
    for (const build of [accumulationStep, trainingStep]) {
      const parts = linearParts(ROWS, o);
      const program = build({ ...parts, gradientOutputs: { by_y: parts.inputs[1] } });
      const extras: Tensors =
        build === trainingStep ? { learning_rate: tensor([0.1], []) } : { batch_weight: tensor([7], []) };
      const step = await backend.compile(program);
      const out = await step.run({ ...linearFeeds(batch), ...extras }, state);
      const { w, b, s } = linearStart;
      const expected = batch.y.map((y, k) => {
        const [row, o] = [Math.floor(k / 2), k % 2];
        const z = b[o] + [0, 1, 2].reduce((sum, i) => sum + batch.x[3 * row + i] * w[2 * i + o], 0);
        return (-2 * (s[0] * z - y)) / ROWS;
      });
      expect(out.by_y.shape).toEqual([ROWS, 2]);
      expect(deviation(out, { by_y: expected })).toBeLessThan(2e-6);
      await step.dispose();
    }
    await backend.dispose();
  });
});

describe('options of an optimiser', () => {
  it('all lead elsewhere', () => {
    const ends = cases.map(([, o]) => expectedWay(o).weights);
    for (const [i, a] of ends.entries()) {
      for (const b of ends.slice(i + 1)) expect(deviation(linearState(a), b)).toBeGreaterThan(1e-3);
    }
  });

  it('keep no state that nobody needs', () => {
    const names = (over: Partial<OptimiserOptions>) => Object.keys(optimiserState(linearParameters, options(over)));
    expect(names({})).toEqual(['adam.step', 'adam.m/w', 'adam.v/w', 'adam.m/b', 'adam.v/b', 'adam.m/s', 'adam.v/s']);
    expect(names({ kind: 'adamw', weightDecay: 1 })).toEqual(names({}));
    expect(names({ kind: 'sgd' })).toEqual(['sgd.momentum/w', 'sgd.momentum/b', 'sgd.momentum/s']);
    expect(names({ kind: 'sgd', momentum: 0 })).toEqual([]);
    expect(names({ kind: 'sgd', momentum: 0, accumulates: true, averaging: 0.9 })).toEqual([
      'average.step',
      ...['w', 'b', 's'].map((n) => `average/${n}`),
      ...['w', 'b', 's'].map((n) => `accumulated/${n}`),
    ]);
  });

  it('read exactly the state that they are given', () => {
    for (const [, o] of cases) {
      const known = [...linearParameters.map((p) => p.name), ...Object.keys(optimiserState(linearParameters, o))];
      expect([...trainingStep(linearParts(ROWS, o)).state.keys()].sort()).toEqual(known.sort());
    }
  });

  it('that nobody asked for cost no node', () => {
    const count = (over: Partial<OptimiserOptions>) => {
      const nodes = trainingStep(linearParts(ROWS, options(over))).nodes.filter((n) => !isOp(n, 'constant'));
      return nodes.length;
    };
    const plain = count({});
    expect(count({ rateFactors: { w: 1 } })).toBe(plain);
    expect(count({ kind: 'adamw' })).toBe(plain);
    // each weight: one factor on it, or one product and one sum in its gradient and a square of its own
    expect(count({ kind: 'adamw', weightDecay: 0.1 })).toBe(plain + 3 + 2);
    expect(count({ weightDecay: 0.1 })).toBe(plain + 3 * 3);
    // one more for all rates of 0.5 together
    expect(count({ rateFactors: { w: 0.5, b: 0.5 } })).toBe(plain + 1);
  });

  it('refuse the rate of a parameter that is not trained', () => {
    const build = () => trainingStep(linearParts(ROWS, options({ rateFactors: { probe: 2 } })));
    expect(build).toThrow(/"probe"/);
    try {
      build();
    } catch (e) {
      expect(isPtychoError(e, 'GRAPH_INVALID')).toBe(true);
    }
  });

  it('come from the configuration', () => {
    const of = (values: Record<string, unknown>) =>
      optimiserOptions(trainingConfigSchema.parse({ model: { N: 64 }, ...values }));
    expect(of({})).toEqual({ ...optimiserDefaults, accumulates: false });
    expect(
      of({ optimizer: 'sgd', momentum: 0.3, weight_decay: 0.01, gradient_clip_val: 2, gradient_clip_algorithm: 'agc' }),
    ).toMatchObject({ kind: 'sgd', momentum: 0.3, weightDecay: 0.01, clip: { algorithm: 'agc', limit: 2 } });
    expect(of({ adam_beta1: 0.5, adam_beta2: 0.6, weight_averaging: 0.99 })).toMatchObject({
      beta1: 0.5,
      beta2: 0.6,
      averaging: 0.99,
    });
    expect(of({ execution: { accum_steps: 4 } }).accumulates).toBe(true);
  });
});
