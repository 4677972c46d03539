/** `normalize` and `data_scaling`: what the network sees, what its paintings are multiplied by, and the factor of a scan. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { trainingDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { measureStatistics } from '../../src/data/normalise.js';
import { INPUT_FACTOR, type InputScaling, inputFactor, withFactorOf } from '../../src/model/inputScaling.js';
import { PtychoNetwork } from '../../src/model/network.js';
import { weightsOfScan } from '../../src/model/scanWeights.js';
import { relativeErrors } from '../backends/backendParity.js';
import { backendCases } from '../support/backends.js';
import { interpret } from '../support/interpreter.js';
import { simulated } from '../support/simulatedBatch.js';

const N = 16;
const AREA = N * N;
const options = { N, gridsize: 2, architecture: 'cnn', loss: 'mae', n_filters_scale: 1, batch: 1 } as const;
const network = (inputScaling?: InputScaling, inputFactor?: number) =>
  simulated({ ...options, spec: { inputScaling, inputFactor } }).network;
const group = (data_scaling: InputScaling['data_scaling']): InputScaling => ({ normalize: 'Group', data_scaling });

const { feeds } = simulated(options);
const x = Float32Array.from(feeds().input.data);
const weights = Object.fromEntries(Object.entries(network().initialWeights(2)).map(([name, { data }]) => [name, data]));

function painted(of: PtychoNetwork, input: Float32Array, more: Readonly<Record<string, Float32Array>> = {}) {
  const fed = { input, input_positions: feeds().input_positions.data };
  return interpret(of.predict(1), fed, { ...weights, ...more }).outputs.object_real.data;
}
const times = (values: Float32Array, factor: number) => values.map((v) => v * factor);
function expectTimes(found: Float64Array, expected: Float64Array, factor: number) {
  const largest = found.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
  found.forEach((v, i) => {
    expect(Math.abs(v - factor * expected[i])).toBeLessThan(1e-6 * largest);
  });
}

/** √ of the mean power of the patterns of the group, relative to (N/2)². */
const brightness = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / 4 / (N / 2) ** 2);
const largestSum = Math.max(
  ...[0, 1, 2, 3].map((c) => x.subarray(c * AREA, (c + 1) * AREA).reduce((sum, v) => sum + v, 0)),
);

describe('what a network sees of its patterns', () => {
  it('normalize Group: every group at the mean power, and its paintings as bright as it is', () => {
    const whole = painted(network(), times(x, 1 / brightness));
    expectTimes(painted(network(group('Parseval')), x), whole, brightness);
    expectTimes(painted(network(group('Parseval')), times(x, 3)), whole, 3 * brightness);
    const byLargest = painted(network(), times(x, 1 / largestSum));
    expectTimes(painted(network(group('Max')), x), byLargest, brightness);
  });

  it('a factor of the scan: kept with the weights, and that of another scan in its place', () => {
    for (const scaling of [
      { normalize: 'None', data_scaling: 'Parseval' },
      { normalize: 'Batch', data_scaling: 'Max' },
    ] as const) {
      const of = network(scaling, 0.25);
      expect(of.initialWeights(1)[INPUT_FACTOR]).toEqual({ data: Float32Array.of(0.25), shape: [] });
      const kept = { [INPUT_FACTOR]: Float32Array.of(0.25) };
      expectTimes(painted(of, x, kept), painted(network(), times(x, 0.25)), 1);
      const other = withFactorOf(of.initialWeights(1), scaling, { inputScale: 0.5, maxAmplitudeSum: 10 });
      expect(other[INPUT_FACTOR].data[0]).toBeCloseTo(scaling.normalize === 'None' ? 2 : 0.2, 6);
    }
    const alone = simulated({ ...options, gridsize: 1, spec: { inputScaling: group('Parseval') } }).network;
    expect(alone.parameters.map(({ name }) => name)).not.toContain(INPUT_FACTOR);
    const largest = simulated({ ...options, gridsize: 1, spec: { inputScaling: group('Max') } }).network;
    expect(largest.parameters.map(({ name }) => name)).toContain(INPUT_FACTOR);
  });

  it('every one of several scans has its own', () => {
    const { spec } = network({ normalize: 'None', data_scaling: 'Parseval' });
    const { scale, meanAmplitude } = spec;
    const scans = [2, 3].map((factor) => ({ scale, meanAmplitude, inputFactor: factor }));
    const of = new PtychoNetwork({ ...spec, scans });
    const initial = of.initialWeights(1);
    expect(Array.from(initial[INPUT_FACTOR].data)).toEqual([2, 3]);
    expect(weightsOfScan(of, initial, 1)[INPUT_FACTOR]).toEqual({ data: Float32Array.of(3), shape: [] });
  });

  it('is measured', async () => {
    const data = Float32Array.from({ length: 2 * AREA }, (_, i) => (i < AREA ? 1.25 : (i % 3) * 2.5));
    const raw = rawDataFromArrays({
      diffraction: { data, shape: [2, N, N] },
      xcoords: Float64Array.of(0, 1),
      ycoords: Float64Array.of(0, 1),
      measurement_domain: 'count_amplitude',
    });
    const statistics = await measureStatistics(raw.patterns);
    const sums = [0, 1].map((k) => data.subarray(k * AREA, (k + 1) * AREA).reduce((a, b) => a + b, 0));
    expect(statistics.maxAmplitudeSum).toBeCloseTo(Math.max(...sums), 3);
    // The network sees the numbers of the file, or numbers whose largest sum is 1.
    const seen = (scaling: InputScaling) => statistics.inputScale * inputFactor(scaling, statistics);
    expect(seen({ normalize: 'None', data_scaling: 'Parseval' })).toBeCloseTo(1, 6);
    expect(seen({ normalize: 'Batch', data_scaling: 'Max' }) * Math.max(...sums)).toBeCloseTo(1, 6);
  });

  it('is refused where it does nothing', () => {
    const failing = (flags: object) => () =>
      resolveConfig(trainingDefinition, { flags: { train_data_file: 'a', ...flags } });
    expect(failing({ normalize: 'None', data_scaling: 'Max' })).toThrow(/with normalize None there are none/);
    expect(failing({ normalize: 'Group', scale_contract_version: 'ci_intensity_v2' })).toThrow(
      /whose network sees counts/,
    );
    expect(failing({ normalize: 'Group', gridsize: 2, data_scaling: 'Max' })).not.toThrow();
  });

  describe('both engines', () => {
    let backends: Backend[];
    beforeAll(async () => {
      backends = await Promise.all(backendCases.map(({ create }) => create()));
    });
    afterAll(async () => {
      for (const backend of backends) await backend.dispose();
    });

    it.each([group('Max'), { normalize: 'None', data_scaling: 'Parseval' } as const])(
      'have the same gradients of %j',
      async (scaling) => {
        const of = network(scaling, 0.5);
        const found = [];
        for (const backend of backends) {
          const step = await backend.compile(of.trainStep(1));
          const state = await backend.createState({ ...of.initialWeights(3), ...of.initialOptimiserState() });
          const rate = { data: Float32Array.of(1e-3), shape: [] };
          const { loss } = await step.run({ ...feeds(), learning_rate: rate }, state);
          const trained = of.parameters.filter((p) => !p.fixed).map((p) => `adam.m/${p.name}`);
          found.push({ loss: loss.data[0], grads: await state.read(trained) });
          await state.dispose();
          await step.dispose();
        }
        expect(found[1].loss / found[0].loss).toBeCloseTo(1, 5);
        expect(relativeErrors(found[1].grads, found[0].grads).all).toBeLessThan(2e-4);
      },
    );
  });
});
