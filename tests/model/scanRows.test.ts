/** A network of several scans does to every group what the network of its own scan would do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { sizeOf, type Tensor } from '../../src/core/tensor.js';
import { PtychoNetwork } from '../../src/model/network.js';
import { isOfScan, stackedWeights, weightsOfScan } from '../../src/model/scanWeights.js';
import { optimiserDefaults } from '../../src/model/trainingSteps.js';
import { scaleComplex } from '../../src/physics/probe.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference } from '../support/golden.js';
import { type SimulatedOptions, simulated } from '../support/simulatedBatch.js';

const N = 32;
const RATE = 0.1;
type Tensors = Readonly<Record<string, Tensor>>;

/** Two scans: the second with two modes of another probe, another exposure, dead pixels and another mean amplitude. */
function twoScans(over: Partial<SimulatedOptions> = {}) {
  const { network: one, feeds } = simulated({
    N,
    gridsize: 1,
    architecture: 'cnn',
    loss: 'mae',
    n_filters_scale: 1,
    batch: 2,
    ...over,
  });
  const { spec } = one;
  const { re, im } = spec.scale.probe;
  const turned = {
    re: Float32Array.from([...im, ...re.map((v) => 0.3 * v)]),
    im: Float32Array.from([...re, ...im.map((v) => 0.1 * v)]),
    shape: [2, N, N],
  };
  const badPixels = Uint8Array.from({ length: N * N }, (_, i) => (i % 7 === 0 ? 1 : 0));
  const scans = [
    { scale: spec.scale, meanAmplitude: spec.meanAmplitude },
    {
      scale: {
        ...spec.scale,
        probe: scaleComplex(turned, 0.7),
        intensityScale: 0.7 * spec.scale.intensityScale,
        amplitudeGauge: 1.1 * spec.scale.amplitudeGauge,
      },
      meanAmplitude: 0.8 * spec.meanAmplitude,
      badPixels,
    },
  ];
  const optimiser = { ...optimiserDefaults, kind: 'sgd' as const, momentum: 0 };
  const network = new PtychoNetwork({ ...spec, optimiser, scans });
  const weights = Object.fromEntries(
    Object.entries(network.initialWeights(1)).map(([name, { data, shape }]) => [
      name,
      // Rows that differ, as after training.
      {
        data: name.startsWith('conditioning.')
          ? data.map((v, i) => v + 0.1 * Math.sin(i))
          : isOfScan(name)
            ? data.map((v, i) => v * (1 + 0.01 * Math.sin(i)))
            : data,
        shape,
      },
    ]),
  );
  return { network, weights, feeds: feeds() };
}

/** One group of a batch. */
const groupOf = (feeds: Tensors, group: number): Tensors =>
  Object.fromEntries(
    Object.entries(feeds).map(([name, { data, shape }]) => {
      const size = sizeOf(shape.slice(1));
      return [name, { data: data.slice(group * size, (group + 1) * size), shape: [1, ...shape.slice(1)] }];
    }),
  );

const CASES: readonly [string, Partial<SimulatedOptions>][] = [
  ['a trained probe and both losses', { spec: { probe_trainable: true, nll_weight: 0.5, inputReference: 'constant' } }],
  [
    'a fixed probe with its mask',
    { loss: 'nll', spec: { probeMask: Float32Array.from({ length: N * N }, (_, i) => i % 3) } },
  ],
  ['groups that are merged by the probe', { gridsize: 2, model: { training_patch_weighting: 'probe' } }],
  [
    'scaled real and imaginary parts',
    { model: { physics_forward_mode: 'rectangular_scaled', cnn_output_mode: 'real_imag' } },
  ],
  [
    'members that are read one by one, and know the probe',
    { gridsize: 2, model: { member_networks: 'shared' }, spec: { probeConditioning: true } },
  ],
  ['features that know the probe', { spec: { probeConditioning: true } }],
  ['equal norms', { spec: { matchPredictedNorm: true } }],
];

describe.each(backendCases)('a network of several scans, on $name', ({ name, create }) => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await create();
  });
  afterAll(() => backend.dispose());

  /** A step: what it answered, and the weights after it. */
  async function step(network: PtychoNetwork, weights: Tensors, feeds: Tensors) {
    const program = network.trainStep(feeds.input.shape[0]);
    const state = await backend.createState({ ...weights, ...network.initialOptimiserState() });
    const compiled = await backend.compile(program);
    const given: Tensors = { ...feeds, learning_rate: { data: Float32Array.of(RATE), shape: [] } };
    const outputs = await compiled.run(Object.fromEntries([...program.inputs.keys()].map((k) => [k, given[k]])), state);
    const after = await state.read();
    await compiled.dispose();
    await state.dispose();
    return { outputs, after };
  }

  it.each(name === backendCases[0].name ? CASES : CASES.slice(0, 1))('with %s', async (_, over) => {
    const { network, weights, feeds } = twoScans(over);
    const mixed = await step(network, weights, {
      ...feeds,
      scan: { data: Float32Array.of(0, 1, 1, 0), shape: [2, 2] },
    });
    // The first group is of the second scan.
    const own = [1, 0].map((scan, group) =>
      step(network.ofScan(scan), weightsOfScan(network, weights, scan), groupOf(feeds, group)),
    );
    const [second, first] = await Promise.all(own);
    for (const figure of ['loss', 'mae', 'nll']) {
      const mean = (second.outputs[figure].data[0] + first.outputs[figure].data[0]) / 2;
      expect(mixed.outputs[figure].data[0] / mean).toBeCloseTo(1, 5);
    }
    // Shared weights move by the mean of the two gradients, those of a scan by half of its own.
    const shared = Object.keys(weights).filter((key) => !isOfScan(key));
    for (const key of shared) {
      const mean = first.after[key].data.map((v, i) => (v + second.after[key].data[i]) / 2);
      expect(maxDifference(mixed.after[key].data, mean)).toBeLessThan(1e-6 * (1 + maxAbs(mean)));
    }
    for (const [scan, { after }] of [first, second].entries()) {
      const before = weightsOfScan(network, weights, scan);
      const now = weightsOfScan(network, mixed.after, scan);
      for (const key of Object.keys(before).filter(isOfScan)) {
        const half = after[key].data.map((v, i) => (v + before[key].data[i]) / 2);
        expect(maxDifference(now[key].data, half)).toBeLessThan(2e-6 * (1 + maxAbs(half)));
      }
    }
    const again = stackedWeights(
      network,
      [0, 1].map((scan) => weightsOfScan(network, weights, scan)),
    );
    for (const key of Object.keys(weights)) {
      // What fills up the table of probes is dark.
      if (!key.startsWith('probe.')) expect(again[key]).toEqual(weights[key]);
    }
  });

  it('compares the patterns of one scan with each other only', async () => {
    if (name !== backendCases[0].name) return;
    const { network, weights, feeds } = twoScans({ spec: { patternSpread: true } });
    const spreadOf = async (scans: readonly number[]) => {
      const rows = scans.flatMap((scan) => [scan === 0 ? 1 : 0, scan]);
      const { outputs } = await step(network, weights, {
        ...feeds,
        scan: { data: Float32Array.from(rows), shape: [2, 2] },
      });
      return outputs.pattern_spread.data[0];
    };
    expect(await spreadOf([0, 0])).toBeGreaterThan(0);
    expect(await spreadOf([0, 1])).toBeLessThan(1e-5);
  });
});
