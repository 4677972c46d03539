/**
 * The accelerator policy, with engines that fail exactly as onnxruntime-node does (wording and behaviour measured on
 * 1.30.0). CUDA itself is not run here.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Accelerator } from '../../src/backends/backend.js';
import { chooseDevice, createOnnxBackend } from '../../src/backends/onnx/backend.js';

import type { Logger } from '../../src/core/log.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';

const noLibrary = 'OrtSessionOptionsAppendExecutionProvider_Cuda: Failed to load shared library';

function listener() {
  const warnings: string[] = [];
  const logger: Logger = { info: () => {}, warn: (message) => warnings.push(message) };
  return { warnings, logger };
}

describe('chooseDevice', () => {
  const fails = () => Promise.reject(new Error(`${noLibrary}\nmore lines`));
  const works = () => Promise.resolve();

  it.each<[Accelerator, () => Promise<void>, 'cpu' | 'cuda', number]>([
    ['auto', works, 'cuda', 0],
    ['auto', fails, 'cpu', 1],
    ['cuda', works, 'cuda', 0],
    ['cpu', works, 'cpu', 0],
    ['cpu', fails, 'cpu', 0],
  ])('%s with %o runs on %s', async (wanted, tryCuda, device, count) => {
    const { warnings, logger } = listener();
    expect(await chooseDevice(wanted, tryCuda, logger)).toBe(device);
    expect(warnings).toHaveLength(count);
    if (count)
      expect(warnings[0]).toBe(`POLICY-001: running on the CPU because CUDA does not work here (${noLibrary}).`);
  });

  it('never tries CUDA for cpu', async () => {
    let tried = false;
    const tryCuda = async () => {
      tried = true;
    };
    await chooseDevice('cpu', tryCuda, listener().logger);
    expect(tried).toBe(false);
  });

  it('makes an explicit cuda that fails an error with reason and install hint', async () => {
    const { warnings, logger } = listener();
    await expect(chooseDevice('cuda', fails, logger)).rejects.toMatchObject({
      code: 'ACCELERATOR_MISSING',
      message: expect.stringMatching(/Failed to load shared library.*setup-cuda/),
      fields: { accelerator: 'cuda', reason: noLibrary },
    });
    expect(warnings).toEqual([]);
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
  const cudaFails = `if (options.executionProviders.includes('cuda')) throw new Error(${JSON.stringify(noLibrary)});`;
  const x = op.input('x', [1]);
  const double = defineProgram({ name: 'double', outputs: { y: op.mul(x, 2) } });
  const three = { data: Float32Array.of(3), shape: [1] };

  it('auto: falls back once for a backend, however many programs follow', async () => {
    const { warnings, logger } = listener();
    const backend = await createOnnxBackend({ logger, threads: 1, engineModule: engine('missing', cudaFails + real) });
    expect(backend.info.device).toBe('cpu');
    for (let i = 0; i < 3; i++) {
      const compiled = await backend.compile(double);
      expect((await compiled.run({ x: three })).y.data[0]).toBe(6);
    }
    expect(warnings).toEqual([expect.stringContaining('POLICY-001')]);
    await backend.dispose();
  });

  it('auto: falls back when the session is created but cannot run', async () => {
    const { warnings, logger } = listener();
    const broken = `if (options.executionProviders[0] === 'cuda') return {
      run: async () => { throw new Error('CUDA failure 35: CUDA driver version is insufficient'); }, release: async () => {} };`;
    const backend = await createOnnxBackend({ logger, threads: 1, engineModule: engine('driver', broken + real) });
    expect(backend.info.device).toBe('cpu');
    expect(warnings).toEqual([expect.stringContaining('CUDA failure 35')]);
    await backend.dispose();
  });

  it('uses cuda where it works: alone for the trial, before the CPU for programs', async () => {
    const { warnings, logger } = listener();
    const expected = `const wanted = sessions === 1 ? 'cuda' : 'cuda,cpu';
      if (options.executionProviders.join() !== wanted) throw new Error('asked for ' + options.executionProviders);`;
    const backend = await createOnnxBackend({ logger, threads: 1, engineModule: engine('works', expected + real) });
    expect(backend.info.device).toBe('cuda');
    const compiled = await backend.compile(double);
    expect((await compiled.run({ x: three })).y.data[0]).toBe(6);
    expect(warnings).toEqual([]);
    await backend.dispose();
  });

  it('the real engine agrees about a machine without CUDA libraries', async () => {
    const { warnings, logger } = listener();
    const backend = await createOnnxBackend({ logger, threads: 1 });
    // Where a GPU is present there is nothing to warn about.
    if (backend.info.device === 'cpu') expect(warnings).toEqual([expect.stringContaining('POLICY-001')]);
    else expect(warnings).toEqual([]);
    await backend.dispose();
  });

  it('says how to install a missing package', async () => {
    await expect(createOnnxBackend({ engineModule: 'onnxruntime-node-is-not-here' })).rejects.toMatchObject({
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
