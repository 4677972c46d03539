/** What is particular to the TensorFlow.js backend: how it says what runs, what it refuses, and its threads. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { thisMachine } from '../../src/backends/gpus.js';
import { selectBackend } from '../../src/backends/select.js';
import { createTensorflowBackend } from '../../src/backends/tf/backend.js';
import type { EngineName } from '../../src/backends/tf/protocol.js';
import type { Logger } from '../../src/core/log.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';

function listener() {
  const lines: string[] = [];
  const logger: Logger = {
    info: (message) => lines.push(`info ${message}`),
    warn: (message) => lines.push(`warn ${message}`),
  };
  return { lines, logger };
}

describe('what it says', () => {
  it('auto: one line about the engines that do not work here, a warning (POLICY-001) where there is a GPU', async () => {
    const { lines, logger } = listener();
    const backend = await createTensorflowBackend({ logger });
    const { device, skipped = [] } = backend.info;
    await backend.dispose();
    // Where a GPU is present there is nothing to warn about.
    if (device === 'cuda') expect(lines).toEqual([]);
    else {
      const gpu = thisMachine().gpus.length > 0;
      const begin = gpu
        ? /^warn POLICY-001: running on the CPU with engine \S+ because/
        : /^info Running with engine \S+ because/;
      expect(lines).toEqual([expect.stringMatching(begin)]);
      for (const { engine, reason } of skipped) expect(lines[0]).toContain(`${engine}: ${reason}`);
    }
  });

  it('cpu: no warning, for a GPU was not wanted', async () => {
    const { lines, logger } = listener();
    const backend = await createTensorflowBackend({ accelerator: 'cpu', logger });
    expect(lines.filter((line) => line.startsWith('warn'))).toEqual([]);
    expect(backend.info.skipped?.map((s) => s.engine)).not.toContain('tfjs-node-gpu');
    await backend.dispose();
  });

  it('an engine asked for by name: nothing', async () => {
    const { lines, logger } = listener();
    const execution = { accelerator: 'auto', threads: null, engine: 'cpu' } as const;
    const backend = await selectBackend({ backend: 'tensorflow', execution }, logger);
    expect(backend.info).toMatchObject({ name: 'tensorflow', device: 'cpu', threads: 1, skipped: [] });
    expect(lines).toEqual([]);
    await backend.dispose();
  });
});

describe('what it refuses', () => {
  it('an engine that does not exist', async () => {
    await expect(createTensorflowBackend({ engine: 'webgl' as EngineName })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'engine: "webgl" is not known; use one of tfjs-node-gpu, tfjs-node, wasm, cpu.',
    });
  });

  it('cuda with an engine of the CPU, as an error of its own kind although a worker found it', async () => {
    await expect(createTensorflowBackend({ engine: 'wasm', accelerator: 'cuda' })).rejects.toMatchObject({
      name: 'PtychoError',
      code: 'CONFIG_INVALID',
      fields: { key: 'engine', found: 'wasm', accelerator: 'cuda' },
    });
  });

  it('a backend that does not exist', async () => {
    await expect(
      selectBackend({ backend: 'torch', execution: { accelerator: 'auto', threads: null } }),
    ).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'backend: "torch" is not known; use one of "onnx", "tensorflow".',
    });
  });
});

describe('two threads on wasm', () => {
  const x = op.input('x', [1, 8, 32, 32]);
  const w = op.input('w', [8, 8, 3, 3]);
  const program = defineProgram({
    name: 'threads',
    outputs: { y: op.conv2d(x, w), d: op.conv2dFilterGrad(x, op.relu(x), 3) },
  });
  const wave = (n: number) => Float32Array.from({ length: n }, (_, i) => Math.sin(0.37 * i));
  const feeds = { x: { data: wave(8192), shape: x.shape }, w: { data: wave(576), shape: w.shape } };

  it('give the numbers of one', async () => {
    const found = [];
    for (const threads of [1, 2]) {
      const backend = await createTensorflowBackend({ engine: 'wasm', threads });
      expect(backend.info.threads).toBe(threads);
      const compiled = await backend.compile(program);
      found.push(await compiled.run(feeds));
      await backend.dispose();
    }
    expect(found[1]).toEqual(found[0]);
  });

  it('do not keep the process from ending', async () => {
    const script = `
      const { selectBackend } = await import(new URL('backends/select.js', process.argv[1]));
      const backend = await selectBackend({ backend: 'tensorflow', execution: { accelerator: 'cpu', engine: 'wasm', threads: 2 } });
      console.log(backend.info.threads);
      if (process.argv[2]) await backend.dispose();`;
    const dist = new URL('../../dist/', import.meta.url).href;
    for (const end of [['dispose'], []]) {
      const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, dist, ...end], {
        timeout: 60_000,
      });
      expect(await run).toEqual({ stdout: '2\n', stderr: '' });
    }
  });
});
