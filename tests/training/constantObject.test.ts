/** The loss of the best constant object, against a search over amplitudes and against the network's own loss; and forecasts. */
import { describe, expect, it } from 'vitest';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { trainingRequestSchema } from '../../src/config/schema.js';
import { constantPattern } from '../../src/model/inputReference.js';
import { rawDataFromSimulation } from '../../src/simulation/simulateScan.js';
import { constantLoss } from '../../src/training/constantObject.js';
import { forecastText, measuredStep, trainingSeconds, worthForecast } from '../../src/training/forecast.js';
import { prepareTraining } from '../../src/training/prepare.js';
import { simulate } from '../../src/workflows/simulate.js';
import { TINY_RECIPE } from '../support/tinyRun.js';

const raw = (object: 'lines' | 'blank', over = {}) =>
  rawDataFromSimulation(simulate({ ...TINY_RECIPE, object, N: 32, object_side_px: 52, seed: 3, ...over }));
const prepared = (scan = raw('lines'), over: Record<string, unknown> = {}) =>
  prepareTraining(trainingRequestSchema.parse(over), { train: scan });

describe('constantLoss', () => {
  it('is the least over all amplitudes', async () => {
    const { training, network } = await prepared();
    const { data } = (await training.dataset.batch(training.groups)).diffraction;
    const pattern = constantPattern(network.spec.scale.probe);
    const mean = data.reduce((sum, v) => sum + v, 0) / data.length;
    const loss = (c: number) =>
      data.reduce((sum, v, i) => sum + Math.abs(v - c * pattern[i % pattern.length]), 0) / data.length / mean;
    const scale = mean / (pattern.reduce((sum, v) => sum + v, 0) / pattern.length);
    const least = Math.min(...Array.from({ length: 400 }, (_, i) => loss((scale * i) / 200)));
    const found = await constantLoss(training, { ...network.spec, meanAmplitude: mean });
    expect(found).toBeLessThan(least * 1.0001);
    expect(found).toBeGreaterThan(least * 0.999);
  });

  it('is noise alone where there is no object, with a mask and a blur as the network has them', async () => {
    for (const model of [{}, { probe_mask: true, gaussian_smoothing_sigma: 0.7 }]) {
      const { training, network } = await prepared(raw('blank', { noise: false }), { model });
      const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
      const groups = training.groups.subarray(0, 4);
      const { diffraction, positions } = await training.dataset.batch(groups);
      // The first network of all is a constant object, but for the noise of its weights.
      const program = await backend.compile(network.evaluate(4));
      const state = await backend.createState(network.initialWeights(0));
      const { mae } = await program.run({ input: diffraction, input_positions: positions }, state);
      await backend.dispose();
      const constant = await constantLoss({ dataset: training.dataset, groups }, network.spec);
      expect(constant).toBeLessThan(mae.data[0] + 1e-3);
      if (!('probe_mask' in model)) expect(constant).toBeLessThan(1e-3);
      else expect(mae.data[0] - constant).toBeLessThan(0.2 * mae.data[0]);
    }
  });

  it('gives every pattern its own norm where the loss does', async () => {
    const { training, network } = await prepared();
    const own = await constantLoss(training, { ...network.spec, matchPredictedNorm: true });
    expect(own).toBeGreaterThan(0);
    expect(own).not.toBe(await constantLoss(training, network.spec));
  });
});

describe('a forecast', () => {
  it('is measured in steps of the network, and counts validation', async () => {
    const { config, network, training } = await prepared(raw('lines', { object_side_px: 70, step_px: 3 }));
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
    const step = await measuredStep(network, backend, config, training);
    await backend.dispose();
    expect(step).toBeGreaterThan(0);
    const plan = { ...config, batch_size: 4, nepochs: 10 };
    expect(trainingSeconds(2, plan, 42, 0)).toBe(10 * 11 * 2);
    expect(trainingSeconds(2, plan, 42, 12)).toBe(10 * 12 * 2);
    expect([worthForecast(plan, 400), worthForecast(plan, 40), worthForecast(plan, 76)]).toEqual([true, false, false]);
  });

  it('is one line, with the narrower network where there is one', () => {
    expect(forecastText(40, 1860, { scale: 1, seconds: 540 })).toBe(
      '40 epochs: about 31 min; a network half as wide (--n_filters_scale 1): 9 min.',
    );
    expect(forecastText(1, 12.4)).toBe('1 epoch: about 12 s.');
    expect(forecastText(50, 9000)).toBe('50 epochs: about 2.5 h.');
  });
});
