/** `doctor`: findings for engines that work, are missing, or compute nonsense. */
import { describe, expect, it } from 'vitest';
import type { Backend, BackendInfo, Tensors } from '../../src/backends/backend.js';
import { selectBackend } from '../../src/backends/select.js';
import { examinationText } from '../../src/cli/commands/doctor.js';
import { executionConfigSchema } from '../../src/config/schema.js';
import { PtychoError } from '../../src/core/errors.js';
import type { Program } from '../../src/graph/program.js';
import { examine } from '../../src/workflows/doctor.js';

/** A real engine under another name, whose results are off by `error`. */
async function engine(
  name: string,
  error = 0,
  on: Partial<BackendInfo> = {},
): Promise<Backend & { disposed: boolean }> {
  const real = await selectBackend({ backend: 'onnx', execution: executionConfigSchema.parse({ accelerator: 'cpu' }) });
  const backend = {
    ...{ disposed: false, info: { ...real.info, engine: name, ...on } },
    compile: async (program: Program) => {
      const compiled = await real.compile(program);
      const run = async (feeds: Tensors) => {
        const out = await compiled.run(feeds);
        for (const { data } of Object.values(out)) for (let i = 0; i < data.length; i++) data[i] += error;
        return out;
      };
      return { run, dispose: () => compiled.dispose() };
    },
    createState: (values: Tensors) => real.createState(values),
    dispose: () => {
      backend.disposed = true;
      return real.dispose();
    },
  };
  return backend;
}

const swiftshader = { device: 'webgpu', adapter: { name: 'SwiftShader', software: true } } as const;

describe('examine', () => {
  it('tells what works, what is missing and what computes nonsense, and stops every engine', async () => {
    const started: Awaited<ReturnType<typeof engine>>[] = [];
    const machine = {
      platform: 'linux',
      arch: 'x64',
      gpus: [{ name: 'NVIDIA H200', driver: 'nvidia 550', cuda: true }],
    } as const;
    const found = await examine({
      measure: false,
      machine,
      start: async ({ backend, execution }) => {
        if (backend === 'onnx' && execution.accelerator === 'cpu') started.push(await engine('sound 1.0'));
        else if (execution.accelerator === 'webgpu') started.push(await engine('software 1.0', 0, swiftshader));
        else if (execution.engine === 'wasm') started.push(await engine('broken 1.0', 0.01));
        else throw new PtychoError('BACKEND_MISSING', 'it is not installed: npm i it.');
        return started.at(-1)!;
      },
    });
    expect(found.engines.map((e) => [e.backend, e.candidate, e.works])).toEqual([
      ['onnx', 'cpu', true],
      ['onnx', 'cuda', false],
      ['onnx', 'webgpu', true],
      ['tensorflow', 'tfjs-node-gpu', false],
      ['tensorflow', 'tfjs-node', false],
      ['tensorflow', 'wasm', false],
      ['tensorflow', 'cpu', false],
    ]);
    expect(found.engines[1].reason).toBe('it is not installed: npm i it.');
    expect(found.engines[5].reason).toMatch(/^broken 1\.0 on cpu computed .* where .* is right; do not use it/);
    expect(found.defaultWorks).toBe(true);
    expect(found.packages['onnxruntime-node']).toMatch(/^\d/);
    expect(found.advice.join()).toMatch(/CUDA 12/);
    expect(started.every((b) => b.disposed)).toBe(true);
    const text = examinationText(found);
    expect(text).toMatch(/onnx +cpu +works +sound 1\.0, cpu/);
    expect(text).toMatch(/onnx +webgpu +works +software 1\.0, webgpu \(SwiftShader, software: right, but slow\)/);
    expect(text).toMatch(/^GPU: NVIDIA H200 \(nvidia 550\)$/m);
    expect(text).toMatch(/Not available:\n {2}- onnx cuda: it is not installed/);
  });

  it('says what to do when nothing works', async () => {
    const found = await examine({ start: () => Promise.reject(new PtychoError('BACKEND_MISSING', 'gone.')) });
    expect(found.defaultWorks).toBe(false);
    expect(found.advice[0]).toMatch(/ONNX Runtime does not run: install the package again/);
  });
});
