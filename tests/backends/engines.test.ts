/**
 * Which TensorFlow.js engine is chosen, with packages that fail exactly as tfjs-node and tfjs-node-gpu 4.22 do (wording and
 * behaviour from their files and from failed installations). Neither package is run here.
 */
import util from 'node:util';
import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  type Importer,
  loadEngine,
  smokeExpected,
  smokeFault,
  smokeProgram,
  squares,
} from '../../src/backends/tf/engines.js';
import type { EngineWish } from '../../src/backends/tf/protocol.js';

import { interpret } from '../support/interpreter.js';
import { importerOf, nativePackage, tf } from '../support/tfjs.js';

const GPU = '@tensorflow/tfjs-node-gpu';
const NODE = '@tensorflow/tfjs-node';

const wish = (of: Partial<EngineWish> = {}): EngineWish => ({
  engine: null,
  accelerator: 'auto',
  threads: null,
  ...of,
});
const addonMissing = () => {
  throw new Error(
    `The Node.js native addon module (tfjs_binding.node) can not be found at path: /project/node_modules/${NODE}/lib/napi-v8/tfjs_binding.node. \nPlease run command 'npm rebuild @tensorflow/tfjs-node --build-addon-from-source' to rebuild the native addon module. \nIf you have problem with building the addon module, please check …`,
  );
};
const refusing = () => nativePackage(true, { setBackend: () => Promise.resolve(false) });
const wrong = () =>
  nativePackage(true, {
    conv2d: ((...args: Parameters<typeof tf.conv2d>) => tf.mul(tf.conv2d(...args), 1.1)) as unknown,
  });

const load = async (importer: Importer, of?: Partial<EngineWish>) => (await loadEngine(wish(of), importer)).report;

describe('the best engine that works', () => {
  it('is wasm where no native package is installed', async () => {
    const asked: string[] = [];
    expect(await load(importerOf({}, asked))).toEqual({
      engine: 'wasm',
      version: 'tfjs-backend-wasm 4.22.0',
      device: 'cpu',
      threads: 1,
      skipped: [
        { engine: 'tfjs-node-gpu', reason: `${GPU} is not installed` },
        { engine: 'tfjs-node', reason: `${NODE} is not installed` },
      ],
    });
    expect(asked).toEqual([GPU, NODE, '@tensorflow/tfjs-core', '@tensorflow/tfjs-backend-wasm']);
  });

  it('is tfjs-node-gpu, on the device that it says it has', async () => {
    const gpu = await load(importerOf({ [GPU]: () => nativePackage(true) }));
    expect(gpu).toMatchObject({
      engine: 'tfjs-node-gpu',
      version: 'tfjs-node-gpu 4.22.0',
      device: 'cuda',
      skipped: [],
    });
    const none = await load(importerOf({ [GPU]: () => nativePackage(false) }));
    expect(none).toMatchObject({ engine: 'tfjs-node-gpu', device: 'cpu' });
  });

  it.each([
    [
      'its addon is missing',
      addonMissing,
      /^The Node\.js native addon module \(tfjs_binding\.node\) can not be found at path: .*tfjs_binding\.node$/,
    ],
    ['TensorFlow.js refuses it', refusing, /^TensorFlow\.js refused its backend "tensorflow"$/],
    ['it gets a gradient wrong', wrong, /^its smoke test gave loss = .* instead of 1309\.14$/],
  ])('is the next one where %s', async (_, broken, reason) => {
    const report = await load(importerOf({ [GPU]: broken, [NODE]: () => nativePackage(false) }));
    expect(report).toMatchObject({ engine: 'tfjs-node', device: 'cpu', version: 'tfjs-node 4.22.0' });
    expect(report.skipped).toEqual([{ engine: 'tfjs-node-gpu', reason: expect.stringMatching(reason) }]);
  });

  it('leaves the GPU package alone when the CPU is asked for', async () => {
    const asked: string[] = [];
    const report = await load(importerOf({ [NODE]: () => nativePackage(false) }, asked), { accelerator: 'cpu' });
    expect(report.engine).toBe('tfjs-node');
    expect(asked).toEqual([NODE]);
  });

  it('is cpu where wasm cannot start either', async () => {
    const noWasm = { '@tensorflow/tfjs-backend-wasm': addonMissing };
    const report = await load(importerOf(noWasm));
    expect(report).toMatchObject({ engine: 'cpu', threads: 1 });
    expect(report.skipped.map((s) => s.engine)).toEqual(['tfjs-node-gpu', 'tfjs-node', 'wasm']);
  });

  it('is missing where nothing can be imported', async () => {
    const nothing: Importer = async (name) => {
      throw Object.assign(new Error(`Cannot find package '${name}' imported from x`), { code: 'ERR_MODULE_NOT_FOUND' });
    };
    await expect(load(nothing)).rejects.toMatchObject({
      code: 'BACKEND_MISSING',
      message: expect.stringMatching(
        /^No TensorFlow\.js engine works here \(tfjs-node-gpu: .*cpu: .*not installed\): install/,
      ),
    });
  });
});

describe('an engine asked for by name', () => {
  it.each(['wasm', 'cpu'] as const)('%s runs, and nothing else is imported', async (engine) => {
    const asked: string[] = [];
    expect(await load(importerOf({}, asked), { engine })).toMatchObject({ engine, skipped: [] });
    expect(asked.filter((name) => name.includes('tfjs-node'))).toEqual([]);
  });

  it('is an error where it does not work, with the reason and what to install', async () => {
    await expect(load(importerOf({ [NODE]: addonMissing }), { engine: 'tfjs-node' })).rejects.toMatchObject({
      code: 'BACKEND_MISSING',
      message: expect.stringMatching(
        /^Engine "tfjs-node" does not work here \(The Node\.js native addon .*\): install it with "npm i @tensorflow\/tfjs-node@4\.22\.0"/,
      ),
      fields: { engine: 'tfjs-node' },
    });
  });

  it.each([
    ['wasm', 'cuda'],
    ['tfjs-node', 'cuda'],
    ['tfjs-node-gpu', 'cpu'],
  ] as const)('%s does not go with accelerator %s', async (engine, accelerator) => {
    await expect(load(importerOf({}), { engine, accelerator })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(`engine: "${engine}" does not go with accelerator "${accelerator}"`),
    });
  });
});

describe('accelerator cuda', () => {
  it.each([
    ['is not installed', {}, `${GPU} is not installed`],
    ['finds no device', { [GPU]: () => nativePackage(false) }, 'found no CUDA device'],
    ['cannot load', { [GPU]: addonMissing }, 'native addon module'],
  ])('is an error where the GPU package %s', async (_, packages: Record<string, () => unknown>, reason) => {
    const asked: string[] = [];
    await expect(load(importerOf(packages, asked), { accelerator: 'cuda' })).rejects.toMatchObject({
      code: 'ACCELERATOR_MISSING',
      message: expect.stringMatching(new RegExp(`${reason}.*npm i @tensorflow/tfjs-node-gpu@4\\.22\\.0.*CUDA 11\\.2`)),
    });
    expect(asked).toEqual([GPU]);
  });

  it('uses the GPU where there is one', async () => {
    const report = await load(importerOf({ [GPU]: () => nativePackage(true) }), { accelerator: 'cuda' });
    expect(report).toMatchObject({ engine: 'tfjs-node-gpu', device: 'cuda' });
  });
});

describe('what native packages need from the process', () => {
  const names = ['isNullOrUndefined', 'isArray'] as const;
  const old = util as unknown as Record<string, unknown>;
  const before = names.map((name) => old[name]);
  afterEach(() => {
    names.forEach((name, i) => {
      old[name] = before[i];
    });
  });

  it('has the functions that Node 23 removed and tfjs-node 4.22 calls', async () => {
    for (const name of names) delete old[name];
    const found: unknown[] = [];
    const importer = importerOf({
      [NODE]: () => {
        const call = (name: string, value: unknown) => (old[name] as (v: unknown) => boolean)(value);
        found.push(
          call('isNullOrUndefined', null),
          call('isNullOrUndefined', 0),
          call('isArray', []),
          call('isArray', {}),
        );
        return nativePackage(false);
      },
    });
    await load(importer, { engine: 'tfjs-node' });
    expect(found).toEqual([true, false, true, false]);
  });

  it('says how many threads were asked for while the package loads, and only then', async () => {
    const seen: unknown[] = [];
    const importer = importerOf({
      [NODE]: () => {
        seen.push(process.env.TF_NUM_INTRAOP_THREADS);
        return nativePackage(false);
      },
    });
    expect((await load(importer, { engine: 'tfjs-node', threads: 3 })).threads).toBe(3);
    expect(seen).toEqual(['3']);
    expect(process.env.TF_NUM_INTRAOP_THREADS).toBeUndefined();
  });
});

describe('starting wasm', () => {
  it('leaves no listeners for errors of the whole process, and advertises nothing', async () => {
    const written = vi.spyOn(console, 'warn');
    const count = () => process.listenerCount('uncaughtException') + process.listenerCount('unhandledRejection');
    const listeners = count();
    await load(importerOf({}), { engine: 'wasm' });
    await load(importerOf({}), { engine: 'cpu' });
    expect(count()).toBe(listeners);
    expect(written).not.toHaveBeenCalled();
    written.mockRestore();
  });
});

describe('the smoke test', () => {
  it('expects what the reference interpreter computes', () => {
    const { program, feeds } = smokeProgram();
    const { outputs } = interpret(program, feeds);
    const found = { loss: outputs.loss.data[0], d1: squares(outputs.d1.data), d2: squares(outputs.d2.data) };
    for (const name of ['loss', 'd1', 'd2'] as const) expect(found[name] / smokeExpected[name]).toBeCloseTo(1, 6);
  });

  it('fails on numbers that are none', () => {
    const nothing = { loss: Float32Array.of(Number.NaN), d1: new Float32Array(1), d2: new Float32Array(1) };
    expect(smokeFault(nothing)).toContain('loss = NaN');
    expect(smokeFault({ ...nothing, loss: Float32Array.of(smokeExpected.loss) })).toContain('d1 = 0');
  });
});
