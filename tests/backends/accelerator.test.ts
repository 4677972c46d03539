/**
 * The accelerator policy, with engines that fail exactly as onnxruntime-node does (wording and behaviour measured on
 * 1.30.0). CUDA itself is not run here.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Accelerator, Device } from '../../src/backends/backend.js';
import type { Machine, PresentGpu } from '../../src/backends/gpus.js';
import { chooseDevice, type Tried } from '../../src/backends/onnx/accelerators.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { adapterOf } from '../../src/backends/onnx/trial.js';
import type { Logger } from '../../src/core/log.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';

const noLibrary = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';

function listener() {
  const warnings: string[] = [];
  const logger: Logger = { info: () => {}, warn: (message) => warnings.push(message) };
  return { warnings, logger };
}

const nvidia = { name: 'NVIDIA H200', driver: 'nvidia 550.54', cuda: true };
const radeon = { name: 'AMD GPU 0x744c', driver: 'amdgpu', cuda: false };
const linux = (...gpus: PresentGpu[]): Machine => ({ platform: 'linux', arch: 'x64', gpus });

/** What was tried, with the outcomes given; what is not given fails. */
function trials(outcomes: Readonly<Record<string, Tried>>) {
  const tried: string[] = [];
  const tryOut = async (device: string): Promise<Tried> => {
    tried.push(device);
    return outcomes[device] ?? { reason: `${device} is broken` };
  };
  return { tried, tryOut };
}
const real: Tried = { adapter: { name: 'NVIDIA H200', software: false } };
const software: Tried = { adapter: { name: 'SwiftShader', software: true } };

describe('chooseDevice', () => {
  it.each<[string, Machine, Readonly<Record<string, Tried>>, Device, readonly string[], boolean]>([
    ['nothing is tried without a GPU', linux(), {}, 'cpu', [], false],
    ['CUDA first', linux(nvidia), { cuda: real, webgpu: real }, 'cuda', ['cuda'], false],
    ['then WebGPU', linux(nvidia), { webgpu: real }, 'webgpu', ['cuda', 'webgpu'], false],
    ['CUDA is for NVIDIA alone', linux(radeon), { webgpu: real }, 'webgpu', ['webgpu'], false],
    ['software is never taken', linux(radeon), { webgpu: software }, 'cpu', ['webgpu'], true],
    ['the CPU where nothing works, with one line', linux(nvidia), {}, 'cpu', ['cuda', 'webgpu'], true],
    [
      'Metal through WebGPU',
      { ...linux(radeon), platform: 'darwin', arch: 'arm64' },
      { webgpu: {} },
      'webgpu',
      ['webgpu'],
      false,
    ],
    ['never Core ML', { ...linux(radeon), platform: 'darwin', arch: 'arm64' }, { coreml: {} }, 'cpu', ['webgpu'], true],
    [
      'Windows does not tell, so WebGPU is tried, quietly',
      { ...linux(), platform: 'win32' },
      {},
      'cpu',
      ['webgpu'],
      false,
    ],
  ])('auto: %s', async (_, machine, outcomes, device, expected, warned) => {
    const { warnings, logger } = listener();
    const { tried, tryOut } = trials(outcomes);
    const choice = await chooseDevice('auto', { machine, tryOut, logger });
    expect(choice.device).toBe(device);
    expect(tried).toEqual(expected);
    expect(choice.skipped.map(({ engine }) => engine)).toEqual(expected.filter((name) => name !== device));
    expect(warnings).toHaveLength(warned ? 1 : 0);
  });

  it('says why a GPU that is there is not used', async () => {
    const { warnings, logger } = listener();
    const { tryOut } = trials({ webgpu: software });
    await chooseDevice('auto', { machine: linux(nvidia), tryOut, logger });
    expect(warnings).toEqual([
      'POLICY-001: running on the CPU although there is a GPU (NVIDIA H200), because nothing that uses it works here (CUDA: cuda is broken; WebGPU: it has only SwiftShader, a program that stands in for a GPU); see docs/accelerators.md.',
    ]);
  });

  it('takes what is asked for by name, software too, and says that it is', async () => {
    const { tried, tryOut } = trials({ webgpu: software });
    const said: string[] = [];
    const logger: Logger = { info: (message) => said.push(message), warn: () => {} };
    const choice = await chooseDevice('webgpu', { machine: linux(), tryOut, logger });
    expect(choice).toMatchObject({ device: 'webgpu', adapter: { name: 'SwiftShader', software: true } });
    expect(tried).toEqual(['webgpu']);
    expect(said).toEqual([expect.stringContaining('stands in for a GPU')]);
  });

  it('never tries anything for cpu', async () => {
    const { tried, tryOut } = trials({ cuda: real });
    expect(await chooseDevice('cpu', { machine: linux(nvidia), tryOut, logger: listener().logger })).toEqual({
      device: 'cpu',
      skipped: [],
    });
    expect(tried).toEqual([]);
  });

  it.each<[Accelerator, RegExp]>([
    [
      'cuda',
      /Accelerator "cuda" does not work here \(cuda is broken\).*setup-cuda.*or use accelerator "webgpu" or "cpu"\.$/,
    ],
    ['webgpu', /Accelerator "webgpu" does not work here \(webgpu is broken\).*libvulkan1.*or use accelerator "cpu"\.$/],
    ['coreml', /Accelerator "coreml" does not work here \(Core ML is a part of macOS\): use accelerator "auto"\.$/],
    ['directml', /Accelerator "directml" does not work here \(DirectML is a part of Windows\)/],
  ])('makes an explicit %s that fails an error with reason and hint', async (accelerator, message) => {
    const { warnings, logger } = listener();
    const { tryOut } = trials({});
    await expect(chooseDevice(accelerator, { machine: linux(nvidia), tryOut, logger })).rejects.toMatchObject({
      code: 'ACCELERATOR_MISSING',
      message: expect.stringMatching(message),
      fields: { accelerator },
    });
    expect(warnings).toEqual([]);
  });
});

describe('adapterOf', () => {
  const said =
    '[I:onnxruntime:, device_discovery_common.cc:34] Discovered OrtHardwareDevice {vendor_id:0x10de, device_id:0x2684, vendor:NVIDIA, type:1, metadata: [Description=NVIDIA GeForce RTX 4090, Discrete=1]}\n';

  it.each<[string, Parameters<typeof adapterOf>[1], object | undefined]>([
    [
      'only a software driver is loaded',
      { machine: linux(), drivers: ['libvk_swiftshader.so'], said: '' },
      { name: 'SwiftShader', software: true },
    ],
    [
      'drivers of hardware that is not there',
      { machine: linux(), drivers: ['libvulkan_radeon.so', 'libvulkan_lvp.so'], said: '' },
      { name: 'llvmpipe', software: true },
    ],
    [
      'hardware beside a software driver',
      { machine: linux(radeon), drivers: ['libvulkan_radeon.so', 'libvulkan_lvp.so'], said: '' },
      { name: radeon.name, software: false },
    ],
    [
      'a GPU without a driver of its own',
      { machine: linux(radeon), drivers: ['libvulkan_lvp.so'], said: '' },
      { name: 'llvmpipe', software: true },
    ],
    [
      'Windows, as the engine finds it',
      { machine: { ...linux(), platform: 'win32' }, drivers: [], said },
      { name: 'NVIDIA GeForce RTX 4090', software: false },
    ],
    [
      'Windows without a GPU',
      { machine: { ...linux(), platform: 'win32' }, drivers: [], said: '' },
      { software: true },
    ],
  ])('%s', (_, evidence, expected) => {
    expect(adapterOf('webgpu', evidence)).toMatchObject(expected as object);
  });
});

describe('createOnnxBackend', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-engine-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** An engine of ours: the real one behind a `create` that may do something else first. */
  function engine(name: string, create: string, extra = ''): string {
    const real = JSON.stringify(import.meta.resolve('onnxruntime-node'));
    const file = path.join(folder, `${name}.mjs`);
    const source = `
      import ort from ${real};
      let sessions = 0;
      const InferenceSession = { create: async (model, options) => { sessions++; ${create} } };
      ${extra}
      export default { ...ort, InferenceSession };`;
    writeFileSync(file, source);
    return pathToFileURL(file).href;
  }
  const real = 'return ort.InferenceSession.create(model, { ...options, executionProviders: ["cpu"] });';
  const webgpuFails = `if (options.executionProviders.some((p) => p.name === 'webgpu')) throw new Error('/onnxruntime_src/webgpu_context.cc:136 Initialize status == Success was false. Failed to get a WebGPU adapter: No supported adapters\\n');`;
  const cudaFails = `if (options.executionProviders.includes('cuda')) throw new Error(${JSON.stringify(noLibrary)});`;
  const x = op.input('x', [1]);
  const double = defineProgram({ name: 'double', outputs: { y: op.mul(x, 2) } });
  const three = { data: Float32Array.of(3), shape: [1] };

  const alone = `if (options.executionProviders.length === 1 && options.executionProviders[0] !== 'cpu')`;

  it('auto: falls back once for a backend, however many programs follow', async () => {
    const { warnings, logger } = listener();
    const engineModule = engine('missing', cudaFails + webgpuFails + real);
    const backend = await createOnnxBackend({ logger, threads: 1, machine: linux(nvidia), engineModule });
    expect(backend.info).toMatchObject({
      device: 'cpu',
      skipped: [
        { engine: 'cuda', reason: noLibrary },
        { engine: 'webgpu', reason: 'Failed to get a WebGPU adapter: No supported adapters' },
      ],
    });
    for (let i = 0; i < 3; i++) {
      const compiled = await backend.compile(double);
      expect((await compiled.run({ x: three })).y.data[0]).toBe(6);
    }
    expect(warnings).toEqual([expect.stringMatching(/^POLICY-001: .*NVIDIA H200.*Failed to load shared library/)]);
    await backend.dispose();
  });

  it('finds an engine that computes something else, whose session cannot run, or whose process dies', async () => {
    const { logger } = listener();
    const bodies: readonly (readonly [name: string, body: string, reason: RegExp])[] = [
      [
        'wrong',
        `${alone} { const s = await ort.InferenceSession.create(model, { ...options, executionProviders: ['cpu'] });
        return { release: () => s.release(), run: async (feeds, fetches) => { const r = await s.run(feeds, fetches); fetches.loss.data[0] *= 1.01; return r; } }; }`,
        /loss of step 1 differs from the CPU's by 1\.0 %/,
      ],
      [
        'driver',
        `${alone} return { run: async () => { throw new Error('CUDA failure 35: CUDA driver version is insufficient'); }, release: async () => {} };`,
        /CUDA failure 35/,
      ],
      ['dying', `${alone} process.abort();`, /the engine ended its process \(SIGABRT\)/],
    ];
    for (const [name, body, reason] of bodies) {
      const engineModule = engine(name, body + real);
      const asked = createOnnxBackend({
        accelerator: 'cuda',
        logger,
        threads: 1,
        machine: linux(nvidia),
        engineModule,
      });
      await expect(asked).rejects.toMatchObject({
        code: 'ACCELERATOR_MISSING',
        message: expect.stringMatching(reason),
      });
    }
  });

  it('uses cuda where it works: alone for the trial, before the CPU for programs', async () => {
    const { warnings, logger } = listener();
    const expected = `const asked = options.executionProviders.join();
      if (!['cpu', 'cuda', 'cuda,cpu'].includes(asked)) throw new Error('asked for ' + asked);`;
    const engineModule = engine('works', expected + real);
    const backend = await createOnnxBackend({ logger, threads: 1, machine: linux(nvidia), engineModule });
    expect(backend.info).toMatchObject({ device: 'cuda', adapter: { name: 'NVIDIA H200', software: false } });
    const compiled = await backend.compile(double);
    expect((await compiled.run({ x: three })).y.data[0]).toBe(6);
    expect(warnings).toEqual([]);
    await backend.dispose();
  });

  it('tries and says nothing on a machine without a GPU', async () => {
    const { warnings, logger } = listener();
    const backend = await createOnnxBackend({ logger, threads: 1, machine: linux() });
    expect(backend.info).toEqual({ name: 'onnx', engine: 'onnxruntime-node 1.30.0', device: 'cpu', threads: 1 });
    expect(warnings).toEqual([]);
    await backend.dispose();
  });

  it('counts what goes to the engine and what comes back', async () => {
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
    const compiled = await backend.compile(double);
    await compiled.run({ x: three });
    expect(await backend.transfers?.()).toEqual({ toEngine: 4, fromEngine: 4 });
    await backend.dispose();
  });

  it('says how to install a missing package', async () => {
    await expect(
      createOnnxBackend({ engineModule: 'onnxruntime-node-is-not-here', wasmModule: 'nor-this' }),
    ).rejects.toMatchObject({
      code: 'BACKEND_MISSING',
      message: expect.stringContaining('npm i --ignore-scripts onnxruntime-node@1.30.0'),
    });
  });

  it('names the program that the engine refuses', async () => {
    const refuses = 'throw new Error("no kernel for this");';
    const backend = await createOnnxBackend({ accelerator: 'cpu', engineModule: engine('refuses', refuses) });
    await expect(backend.compile(double)).rejects.toMatchObject({
      code: 'ENGINE_FAILURE',
      message: 'onnxruntime refused "double": no kernel for this',
    });
    await backend.dispose();
  });

  it.each([
    'WebGPU device lost (2): the GPU was reset',
    'VK_ERROR_DEVICE_LOST',
    'CUDA failure 719: unspecified launch failure',
  ])('says what a lost device means: %s', async (words) => {
    const lost = `return { run: async () => { throw new Error(${JSON.stringify(words)}); }, release: async () => {} };`;
    const engineModule = engine(`lost ${words.slice(0, 6)}`, lost);
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1, engineModule });
    const compiled = await backend.compile(double);
    await expect(compiled.run({ x: three })).rejects.toMatchObject({
      code: 'ENGINE_FAILURE',
      message: `The device was lost while onnxruntime ran "double" (${words}): what it held is gone; start again, from what was saved or on another accelerator.`,
      fields: { lost: true },
    });
    await backend.dispose();
  });

  it('leaves state as it was when a run fails', async () => {
    const fails = `const session = await ort.InferenceSession.create(model, options);
      let runs = 0;
      return { release: () => session.release(), run: async (feeds, fetches) => {
        const result = await session.run(feeds, fetches);
        if (++runs === 2) throw new Error('out of memory');
        return result;
      } };`;
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1, engineModule: engine('fails', fails) });
    const w = op.state('w', [1]);
    const step = await backend.compile(defineProgram({ name: 'step', outputs: {}, updates: { w: op.add(w, 1) } }));
    const state = await backend.createState({ w: three });
    await step.run({}, state);
    await expect(step.run({}, state)).rejects.toMatchObject({
      code: 'ENGINE_FAILURE',
      message: expect.stringContaining('out of memory'),
    });
    expect((await state.read()).w.data[0]).toBe(4);
    await step.run({}, state);
    expect((await state.read()).w.data[0]).toBe(5);
    await backend.dispose();
  });

  it('rejects what is pending and what follows when the worker dies', async () => {
    // In a worker, exit ends the thread.
    const dies = 'return { run: async () => process.exit(3), release: async () => {} };';
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1, engineModule: engine('dies', dies) });
    const compiled = await backend.compile(double);
    const runs = [compiled.run({ x: three }), compiled.run({ x: three })];
    for (const run of runs) {
      await expect(run).rejects.toMatchObject({
        code: 'ENGINE_FAILURE',
        message: expect.stringContaining('exit code 3'),
      });
    }
    await expect(backend.compile(double)).rejects.toMatchObject({ code: 'ENGINE_FAILURE' });
    await backend.dispose();
  });
});
