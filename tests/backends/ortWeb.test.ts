/** Where onnxruntime-node has no files (musl, Macs with Intel processors) the engine in WebAssembly of onnxruntime-web takes its place. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import type { Tensor } from '../../src/core/tensor.js';
import { BATCH, everyNetwork } from '../support/everyNetwork.js';
import { simulated } from '../support/simulatedBatch.js';
import { relativeErrors } from './backendParity.js';

const musl = 'Error loading shared library ld-linux-x86-64.so.2: No such file or directory';
const warnings: string[] = [];
const logger = { info: () => {}, warn: (message: string) => warnings.push(message) };
let folder: string;
let engineModule: string;
let backends: readonly [wasm: Backend, native: Backend];

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-musl-'));
  const file = path.join(folder, 'native.mjs');
  writeFileSync(file, `throw new Error(${JSON.stringify(`${musl}\n  at dlopen`)});`);
  engineModule = pathToFileURL(file).href;
  backends = [
    await createOnnxBackend({
      threads: 2,
      engineModule,
      logger,
      machine: { platform: 'linux', arch: 'x64', gpus: [] },
    }),
    await createOnnxBackend({ accelerator: 'cpu', threads: 1 }),
  ];
});
afterAll(async () => {
  for (const backend of backends) await backend.dispose();
  rmSync(folder, { recursive: true });
});

it('is said once, and named', () => {
  expect(backends[0].info).toEqual({
    name: 'onnx',
    engine: 'onnxruntime-web 1.30.0 (wasm)',
    device: 'cpu',
    threads: 1,
    skipped: [{ engine: 'onnxruntime-node', reason: musl }],
  });
  expect(warnings).toEqual([
    `onnxruntime-node cannot be loaded here (${musl}), so the engine in WebAssembly of onnxruntime-web takes its place: one thread, and slower.`,
  ]);
});

it('trains and predicts the same', async () => {
  const { network, feeds } = simulated({
    ...{ N: 32, gridsize: 1, architecture: 'cnn', loss: 'nll', n_filters_scale: 1, batch: 2 },
  });
  const learning_rate = { data: Float32Array.of(1e-3), shape: [] };
  const results: { losses: number[]; state: Record<string, Tensor>; predicted: Record<string, Tensor> }[] = [];
  for (const backend of backends) {
    const step = await backend.compile(network.trainStep(2));
    const state = await backend.createState({ ...network.initialWeights(3), ...network.initialOptimiserState() });
    const losses: number[] = [];
    for (let i = 0; i < 3; i++) losses.push((await step.run({ ...feeds(i), learning_rate }, state)).loss.data[0]);
    const predict = await backend.compile(network.predict(2), { constants: network.initialWeights(3) });
    results.push({ losses, state: await state.read(), predicted: await predict.run(feeds(5)) });
    // State can be replaced, and its copies are the reader's own.
    await state.write({ 'adam.step': { data: Float32Array.of(7), shape: [] } });
    expect((await state.read(['adam.step']))['adam.step'].data[0]).toBe(7);
    expect(results.at(-1)?.state['adam.step'].data[0]).toBe(3);
  }
  const [wasm, native] = results;
  wasm.losses.forEach((loss, i) => {
    expect(Math.abs(loss / native.losses[i] - 1), `loss of step ${i}`).toBeLessThan(1e-4);
  });
  expect(relativeErrors(wasm.predicted, native.predicted).all).toBeLessThan(1e-5);
  expect(relativeErrors(wasm.state, native.state).all).toBeLessThan(1e-3);
});

it.each(everyNetwork)('predicts the same with %s', async (_, options) => {
  const { network, feeds } = simulated(options);
  const predicted: Record<string, Tensor>[] = [];
  for (const backend of backends) {
    const predict = await backend.compile(network.predict(BATCH), { constants: network.initialWeights(3) });
    predicted.push(await predict.run(feeds(5)));
    await predict.dispose();
  }
  expect(relativeErrors(predicted[0], predicted[1]).all).toBeLessThan(1e-5);
});

it('is only for the CPU, and what to install is said where it is missing, too', async () => {
  const wasmModule = 'onnxruntime-web-is-not-here';
  await expect(createOnnxBackend({ accelerator: 'cpu', engineModule, wasmModule })).rejects.toMatchObject({
    code: 'BACKEND_MISSING',
    message: expect.stringMatching(/ld-linux.*npm i onnxruntime-web@1\.30\.0/),
  });
  await expect(createOnnxBackend({ accelerator: 'webgpu', engineModule })).rejects.toMatchObject({
    code: 'ACCELERATOR_MISSING',
    message: expect.stringContaining('ld-linux'),
  });
});
