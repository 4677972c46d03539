/** Precisions besides single: which devices have them, and predictions in half precision, as the CPU's kernels compute them. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend, Compiled, Precision } from '../../src/backends/backend.js';
import { precisionsOf } from '../../src/backends/onnx/accelerators.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { CheckedHalf, compiledInHalf, settledPrecision } from '../../src/backends/onnx/precision.js';
import type { Logger } from '../../src/core/log.js';
import type { Tensor } from '../../src/core/tensor.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { type SimulatedOptions, simulated } from '../support/simulatedBatch.js';
import { relativeErrors } from './backendParity.js';

function listener() {
  const warnings: string[] = [];
  const logger: Logger = { info: () => {}, warn: (message) => warnings.push(message) };
  return { warnings, logger };
}

describe('settledPrecision', () => {
  it.each<[Precision, 'cpu' | 'cuda' | 'webgpu', Precision]>([
    ['32-true', 'cpu', '32-true'],
    ['tf32', 'cuda', 'tf32'],
    ['tf32', 'webgpu', '32-true'],
    ['16-mixed', 'webgpu', '16-mixed'],
    ['16-mixed', 'cpu', '32-true'],
  ])('%s on %s is %s', (wanted, device, expected) => {
    const { warnings, logger } = listener();
    expect(settledPrecision(wanted, { device, skipped: [] }, precisionsOf(device), logger)).toBe(expected);
    expect(warnings).toHaveLength(wanted === expected ? 0 : 1);
  });

  it('is said once where the device has it not', async () => {
    const { warnings, logger } = listener();
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1, precision: '16-mixed', logger });
    expect(backend.info.precision).toBeUndefined();
    expect(warnings).toEqual([
      'precision 16-mixed is not available on cpu, so everything is computed in single precision.',
    ]);
    await backend.dispose();
  });
});

describe('convolutions in half precision', () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
  });
  afterAll(() => backend.dispose());

  it.each<Pick<SimulatedOptions, 'gridsize' | 'architecture'>>([
    { gridsize: 1, architecture: 'cnn' },
    { gridsize: 2, architecture: 'cnn' },
    { gridsize: 1, architecture: 'cnn_cbam' },
  ])(
    'change a prediction of $architecture, gridsize $gridsize, by less than 1 %, but do change it',
    async (options) => {
      const { network, feeds } = simulated({ N: 32, loss: 'nll', n_filters_scale: 1, batch: 2, ...options });
      const constants = network.initialWeights(3);
      const predictions: Record<string, Tensor>[] = [];
      for (const half of [true, false]) {
        const predict = await backend.compile(network.predict(2), { constants, half });
        predictions.push(await predict.run(feeds(5)));
        await predict.dispose();
      }
      const { all } = relativeErrors(predictions[0], predictions[1]);
      expect(all).toBeLessThan(1e-2);
      expect(all).toBeGreaterThan(1e-7);
    },
  );

  it('are taken after the first results agree, and left where they do not or where the engine refuses', async () => {
    const x = { data: Float32Array.of(1, 2), shape: [2] };
    const disposed: string[] = [];
    const program = (name: string, factor: number): Compiled => ({
      run: async () => ({ y: { data: Float32Array.of(factor, factor), shape: [2] } }),
      dispose: async () => void disposed.push(name),
    });
    const { warnings, logger } = listener();
    const near = new CheckedHalf(program('half', 1.005), program('single', 1), 'predict_b2', logger);
    expect((await near.run({ x })).y.data[0]).toBeCloseTo(1.005);
    expect(disposed).toEqual(['single']);
    const far = new CheckedHalf(program('half', 1.02), program('single', 1), 'predict_b2', logger);
    for (let i = 0; i < 2; i++) expect((await far.run({ x })).y.data[0]).toBe(1);
    expect(disposed).toEqual(['single', 'half']);
    const none = new CheckedHalf(program('half', Number.NaN), program('single', 1), 'predict_b2', logger);
    expect((await none.run({ x })).y.data[0]).toBe(1);
    expect(warnings).toEqual([
      'predict_b2 in half precision differs by 2.0 % from single, which is taken instead.',
      expect.stringContaining('predict_b2 in half precision differs by'),
    ]);
    const refusing: Backend['compile'] = async (_, options) => {
      if (options?.half) throw new Error('the device does not support f16');
      return program('single', 1);
    };
    const y = defineProgram({ name: 'double', outputs: { y: op.mul(op.input('x', [2]), 2) } });
    const compiled = await compiledInHalf(refusing, [y, {}], logger);
    expect((await compiled.run({ x })).y.data[0]).toBe(1);
    expect(warnings.at(-1)).toBe(
      'double cannot be computed in half precision (the device does not support f16), so it is computed in single.',
    );
  });
});
