/** Which device each of several engines gets. No GPU is here: the engine of the CPU stands in, and writes down what it was asked for. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Machine } from '../../src/backends/gpus.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { startEngines, withPeers, workersOf } from '../../src/backends/peers.js';
import { describeEngine, registerBackend, selectBackend } from '../../src/backends/select.js';
import { trainingDefinition } from '../../src/config/commands.js';
import { completeConfig } from '../../src/config/resolve.js';
import { askedDevices } from '../../src/config/schema.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { Predictor } from '../../src/reconstruction/predictor.js';
import { mirrorBackend } from '../support/mirrorBackend.js';

const two: Machine = {
  platform: 'linux',
  arch: 'x64',
  gpus: [0, 1].map(() => ({ name: 'NVIDIA H200', driver: 'nvidia 550.54', cuda: true })),
};
const engineModule = new URL('../support/recordingEngine.mjs', import.meta.url).href;
let folder: string;
let log: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-peers-'));
  log = path.join(folder, 'providers.txt');
  process.env.PTYCHOPINN_PROVIDERS = log;
  registerBackend('standin', ({ accelerator, deviceNumber, threads }) =>
    createOnnxBackend({ accelerator, deviceNumber, threads: threads ?? 1, engineModule, machine: two }),
  );
});
beforeEach(() => writeFileSync(log, ''));
afterAll(() => rmSync(folder, { recursive: true }));

const twice = defineProgram({ name: 'twice', outputs: { y: op.mul(op.input('x', [2]), 2) } });

/** The execution providers of a program on each engine, and what is said of the engines. */
async function places(accelerator: string, devices: number | 'auto' = 1) {
  const engines = await startEngines({ backend: 'standin', execution: { accelerator, threads: 4, devices } });
  writeFileSync(log, '');
  for (const engine of [engines, ...(engines.peers ?? [])]) {
    const { y } = await (await engine.compile(twice)).run({ x: { data: Float32Array.of(1, 2), shape: [2] } });
    expect([...y.data]).toEqual([2, 4]);
  }
  await engines.dispose();
  const providers = readFileSync(log, 'utf8').trim().split('\n').map((line) => JSON.parse(line)); // biome-ignore format: one line
  return { providers, said: describeEngine(engines.info) };
}
const cuda = (deviceId: number) => [{ name: 'cuda', deviceId }, 'cpu'];

describe('devices', () => {
  it('one by its number', async () => {
    const { providers, said } = await places('cuda:1');
    expect(providers).toEqual([cuda(1)]);
    expect(said).toMatch(/ on cuda:1, 4 threads\.$/);
  });

  it('a worker for each that is named, with its share of the threads', async () => {
    const { providers, said } = await places('cuda:1,cuda:0');
    expect(providers).toEqual([cuda(1), cuda(0)]);
    expect(said).toMatch(/ on cuda:1, cuda:0, 2 workers of 2 threads each\.$/);
  });

  it('by their numbers where a kind is named, and in turn where workers are more than devices', async () => {
    expect((await places('cuda', 2)).providers).toEqual([cuda(0), cuda(1)]);
    expect((await places('cuda:1', 2)).providers).toEqual([cuda(1), cuda(1)]);
    expect((await places('cpu', 2)).providers).toEqual([['cpu'], ['cpu']]);
    expect((await places('cuda')).providers).toEqual([['cuda', 'cpu']]);
  });

  it.each([
    ['cuda:2', 1, 'Accelerator "cuda:2" does not work here (this machine has 2 CUDA devices, NVIDIA H200, NVIDIA H200): use one of cuda:0 to cuda:1.'],
    ['cuda', 3, 'Accelerator "cuda:2" does not work here (this machine has 2 CUDA devices, NVIDIA H200, NVIDIA H200): use one of cuda:0 to cuda:1.'],
    ['webgpu:1', 1, 'Accelerator "webgpu:1" does not work here (it has no number): ONNX Runtime takes the first adapter that the system offers and cannot be told of another: use "webgpu", and let the system put the right one first (with Mesa: MESA_VK_DEVICE_SELECT), or CUDA.'],
    ['coreml', 2, 'Accelerator "coreml:0" does not work here (Core ML is a part of macOS): use accelerator "auto".'],
  ] as const)('%s for %d is refused where there is none, and no other is taken', async (accelerator, devices, message) => {
    await expect(places(accelerator, devices)).rejects.toMatchObject({ code: 'ACCELERATOR_MISSING', message });
  }); // biome-ignore format: a table

  it('are few where CUDA_VISIBLE_DEVICES hides some', async () => {
    const options = { accelerator: 'cuda', deviceNumber: 1, engineModule, machine: { ...two, visible: 1 } } as const;
    await expect(createOnnxBackend(options)).rejects.toThrow(
      'NVIDIA H200, NVIDIA H200, of which CUDA_VISIBLE_DEVICES lets 1 be seen): use one of cuda:0 to cuda:0.',
    );
  });

  it('are read from the field, and refused where that makes no sense', async () => {
    expect(askedDevices('cuda:0,webgpu:0,cuda:12')).toEqual([
      { accelerator: 'cuda', number: 0 },
      { accelerator: 'webgpu', number: 0 },
      { accelerator: 'cuda', number: 12 },
    ]);
    const config = (execution: object) => completeConfig(trainingDefinition, { execution });
    expect(config({ accelerator: 'cuda:0,cuda:1' }).execution.accelerator).toBe('cuda:0,cuda:1');
    for (const wrong of ['cuda:', 'cpu:1', 'cuda:0,cuda:0', 'cuda:0,cpu', 'cuda:0, cuda:1', 'cuda:-1'])
      expect(() => config({ accelerator: wrong }), wrong).toThrow(
        /accelerator must be auto, .* or cpu, a numbered device such as cuda:1, or several, each once, such as cuda:0,cuda:1, got/,
      );
    const execution = { accelerator: 'cuda:0,cuda:1,cuda:2', threads: 1 };
    expect([workersOf(execution), workersOf({ ...execution, devices: 6 })]).toEqual([3, 6]);
    expect(() => workersOf({ ...execution, devices: 2 })).toThrow(
      'accelerator names 3 devices (cuda:0,cuda:1,cuda:2), but there are 2 workers (devices); give 3, or name fewer devices.',
    );
    await expect(selectBackend({ backend: 'standin', execution })).rejects.toThrow(
      'accelerator names 3 devices (cuda:0,cuda:1,cuda:2), but this computes on one; name one of them',
    );
    await expect(
      selectBackend({ backend: 'tensorflow', execution: { accelerator: 'cuda:1', threads: 1 } }),
    ).rejects.toThrow('Accelerator "cuda:1" needs backend onnx');
  });
});

it('predictions go to all engines in turn', async () => {
  const engines = [mirrorBackend(), mirrorBackend(), mirrorBackend()];
  const predictor = new Predictor({ predict: () => twice }, {}, withPeers(engines), 1);
  expect(predictor.engines).toBe(3);
  const positions = { data: new Float32Array(2), shape: [1, 1, 1, 2] };
  for (let i = 0; i < 7; i++) {
    const { re } = await predictor.patches({ data: Float32Array.of(i), shape: [1, 1, 1, 1] }, positions);
    expect(re[0]).toBe(i);
  }
  expect(engines.map(({ runs }) => runs.length)).toEqual([3, 2, 2]);
  await predictor.dispose();
  expect(engines.map((engine) => engine.open())).toEqual([0, 0, 0]);
});
