/**
 * Finds the TensorFlow.js engine to run on: tfjs-node-gpu, tfjs-node, wasm, cpu, in this order. An engine must load, be
 * accepted by TensorFlow.js and get a small gradient right; why better ones were left out is kept.
 */
import { availableParallelism } from 'node:os';
import util from 'node:util';
import { messageOf, PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { gradients } from '../../graph/gradients.js';
import * as op from '../../graph/ops.js';
import { defineProgram, type Program } from '../../graph/program.js';
import type { Accelerator, SkippedEngine } from '../backend.js';
import type { Arrays } from '../worker/host.js';
import { Executor } from './executor.js';
import { cpuKernels, wasmKernels } from './kernels/host.js';
import type { Kernels, Tf } from './kernels/kernels.js';
import { StandardKernels } from './kernels/standard.js';
import {
  ENGINE_NAMES,
  type EngineName,
  type EngineReport,
  type EngineWish,
  flattenProgram,
  NO_DEVICE,
} from './protocol.js';

import { startWasm } from './wasmEngine.js';

/** `import`, or something in its place (tests). */
export type Importer = (specifier: string) => Promise<unknown>;

export interface LoadedEngine {
  readonly kernels: Kernels;
  readonly report: EngineReport;
}

/** What a loader knows about its engine. */
type Loaded = Omit<LoadedEngine, 'report'> & { readonly report: Omit<EngineReport, 'skipped'> };

const loaders: Readonly<Record<EngineName, (importer: Importer, threads: number | null) => Promise<Loaded>>> = {
  'tfjs-node-gpu': (importer, threads) => loadNative('tfjs-node-gpu', importer, threads),
  'tfjs-node': (importer, threads) => loadNative('tfjs-node', importer, threads),
  wasm: loadWasm,
  cpu: loadCpu,
};

const installHints: Readonly<Record<EngineName, string>> = {
  'tfjs-node-gpu':
    'install it with "npm i @tensorflow/tfjs-node-gpu@4.22.0" (Linux x64 with CUDA 11.2 and cuDNN 8.1; its installation downloads TensorFlow)',
  'tfjs-node': 'install it with "npm i @tensorflow/tfjs-node@4.22.0" (its installation downloads TensorFlow)',
  wasm: 'install it with "npm i @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0"',
  cpu: 'install it with "npm i @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-backend-cpu@4.22.0"',
};

/**
 * Loads the wished engine, or the best that works.
 * @throws PtychoError CONFIG_INVALID when engine and accelerator contradict each other, BACKEND_MISSING when the wished
 * engine (or any) does not work, ACCELERATOR_MISSING when `cuda` does not.
 */
export async function loadEngine(wish: EngineWish, importer: Importer = importModule): Promise<LoadedEngine> {
  const { engine, accelerator, threads } = wish;
  checkWish(engine, accelerator);
  const skipped: SkippedEngine[] = [];
  for (const name of engine ? [engine] : candidates(accelerator)) {
    try {
      const loaded = await loaders[name](importer, threads);
      if (accelerator === 'cuda' && loaded.report.device !== 'cuda') throw new Error(NO_DEVICE);
      await smokeTest(loaded.kernels);
      return { kernels: loaded.kernels, report: { ...loaded.report, skipped } };
    } catch (error) {
      skipped.push({ engine: name, reason: reasonOf(error) });
    }
  }
  throw nothingWorks(wish, skipped);
}

function checkWish(engine: EngineName | null, accelerator: Accelerator): void {
  if (!['auto', 'cuda', 'cpu'].includes(accelerator)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `accelerator: "${accelerator}" needs backend "onnx"; TensorFlow.js runs on CUDA or the CPU.`,
      { key: 'accelerator', found: accelerator },
    );
  }
  const onlyCpu = engine !== null && engine !== 'tfjs-node-gpu';
  if ((accelerator === 'cuda' && onlyCpu) || (accelerator === 'cpu' && engine === 'tfjs-node-gpu')) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `engine: "${engine}" does not go with accelerator "${accelerator}": ${onlyCpu ? 'it computes on the CPU; use engine "tfjs-node-gpu" or accelerator "auto"' : 'use engine "tfjs-node" or accelerator "auto"'}.`,
      { key: 'engine', found: engine, accelerator },
    );
  }
}

function candidates(accelerator: Accelerator): readonly EngineName[] {
  if (accelerator === 'cuda') return ['tfjs-node-gpu'];
  return accelerator === 'cpu' ? ENGINE_NAMES.filter((name) => name !== 'tfjs-node-gpu') : ENGINE_NAMES;
}

/** The first line, without the advice that follows it and the file that asked. */
function reasonOf(error: unknown): string {
  const { code } = error as { code?: unknown };
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    const missing = /Cannot find (?:package|module) '([^']+)'/.exec(messageOf(error))?.[1];
    return missing ? `${missing} is not installed` : 'it is not installed';
  }
  return messageOf(error).split('\n')[0].trim().replace(/\.$/, '');
}

function nothingWorks(wish: EngineWish, skipped: readonly SkippedEngine[]): PtychoError {
  const { engine, accelerator } = wish;
  const fields = { engine, accelerator, skipped };
  const why = skipped.map((s) => (engine ? s.reason : `${s.engine}: ${s.reason}`)).join('; ');
  if (accelerator === 'cuda') {
    return new PtychoError(
      'ACCELERATOR_MISSING',
      `Accelerator "cuda" does not work here with TensorFlow.js (tfjs-node-gpu: ${skipped[0].reason}): ${installHints['tfjs-node-gpu']}, or use accelerator "cpu".`,
      fields,
    );
  }
  if (engine) {
    return new PtychoError(
      'BACKEND_MISSING',
      `Engine "${engine}" does not work here (${why}): ${installHints[engine]}, or leave "engine" empty to use the best that works.`,
      fields,
    );
  }
  return new PtychoError(
    'BACKEND_MISSING',
    `No TensorFlow.js engine works here (${why}): ${installHints.wasm}.`,
    fields,
  );
}

async function smokeTest(kernels: Kernels): Promise<void> {
  const { program, feeds } = smokeProgram();
  await closing(new Executor(kernels, flattenProgram(program)), async (executor) => {
    const fault = smokeFault(await executor.run(feeds, new Map()));
    if (fault) throw new Error(fault);
  });
}

/** The namespace of a CommonJS package, however it was imported. */
async function load<T>(importer: Importer, specifier: string): Promise<T> {
  const module = (await importer(specifier)) as { default?: T };
  return module.default ?? (module as T);
}

async function select(tf: Tf, backend: string): Promise<void> {
  // Refusing is not throwing: setBackend answers false.
  if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js refused its backend "${backend}"`);
}

/** What tfjs-node and tfjs-node-gpu offer: the union package, of which we use the core. */
type NativePackage = Tf & { readonly version: Readonly<Record<string, string | undefined>> };

interface NativeBackend {
  /** The gpu package runs on the CPU where it finds no device. */
  readonly isUsingGpuDevice?: boolean;
}

async function loadNative(
  name: 'tfjs-node-gpu' | 'tfjs-node',
  importer: Importer,
  threads: number | null,
): Promise<Loaded> {
  bridgeNode23();
  const restore = wishThreads(threads);
  try {
    // These packages bring the whole of TensorFlow.js along, in a copy of their own: nothing else may be mixed with it.
    const tf = await load<NativePackage>(importer, `@tensorflow/${name}`);
    tf.enableProdMode();
    await select(tf, 'tensorflow');
    const device = (tf.backend() as NativeBackend).isUsingGpuDevice === true ? 'cuda' : 'cpu';
    const version = `${name} ${tf.version['tfjs-node'] ?? tf.version.tfjs}`;
    const report = { engine: name, version, device, threads: threads ?? availableParallelism() } as const;
    return { kernels: new StandardKernels(tf), report };
  } finally {
    restore();
  }
}

/** TensorFlow reads its number of threads from the environment when its device is made; it goes back afterwards. */
function wishThreads(threads: number | null): () => void {
  const name = 'TF_NUM_INTRAOP_THREADS';
  const before = process.env[name];
  if (threads === null || before !== undefined) return () => {};
  process.env[name] = String(threads);
  return () => {
    delete process.env[name];
  };
}

/** tfjs-node 4.22 calls two functions that Node 23 removed. */
function bridgeNode23(): void {
  const old = util as unknown as Record<string, unknown>;
  old.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  old.isArray ??= Array.isArray;
}

async function loadTf(importer: Importer): Promise<Tf> {
  const tf = await load<Tf>(importer, '@tensorflow/tfjs-core');
  tf.enableProdMode();
  return tf;
}

async function loadWasm(importer: Importer, threads: number | null): Promise<Loaded> {
  const tf = await loadTf(importer);
  const wasm = await load<typeof import('@tensorflow/tfjs-backend-wasm')>(importer, '@tensorflow/tfjs-backend-wasm');
  const actual = await startWasm(tf, wasm, threads ?? 1, () => select(tf, 'wasm'));
  const version = `tfjs-backend-wasm ${wasm.version_wasm}`;
  return { kernels: wasmKernels(tf), report: { engine: 'wasm', version, device: 'cpu', threads: actual } };
}

async function loadCpu(importer: Importer): Promise<Loaded> {
  const tf = await loadTf(importer);
  const cpu = await load<typeof import('@tensorflow/tfjs-backend-cpu')>(importer, '@tensorflow/tfjs-backend-cpu');
  await select(tf, 'cpu');
  const version = `tfjs-backend-cpu ${cpu.version_cpu}`;
  return { kernels: cpuKernels(tf), report: { engine: 'cpu', version, device: 'cpu', threads: 1 } };
}

const importModule: Importer = (specifier) => import(specifier);

/** A wave of `n` values between −1 and 1. */
function wave(n: number, frequency: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: n }, (_, i) => Math.sin(frequency * (i + 1)));
}

/**
 * A small gradient that an engine must get right before it is trusted, since packages load and compute nonsense: convolution, pooling,
 * doubling, a matrix product, and the gradient of all that with respect to two kernels.
 */
export function smokeProgram(): { readonly program: Program; readonly feeds: Arrays } {
  const x = op.input('x', [2, 2, 4, 4]);
  const w1 = op.input('w1', [3, 2, 3, 3]);
  const w2 = op.input('w2', [2, 3, 3, 3]);
  const hidden = op.maxPool2(op.tanh(op.conv2d(x, w1)));
  const y = op.upConv2d(hidden, w2);
  const loss = op.reduceMean(op.square(op.sub(op.matmul(y, op.transposeLast(y)), x)));
  const [d1, d2] = gradients(loss, [w1, w2]);
  const program = defineProgram({ name: 'smoke test', outputs: { loss, d1, d2 } });
  return { program, feeds: { x: wave(64, 0.7), w1: wave(54, 1.3), w2: wave(54, 2.1) } };
}

/** Loss and sums of squared gradients, computed in double precision. */
export const smokeExpected = { loss: 1309.1438086, d1: 6922.2742209, d2: 5561386.5906 } as const;

/** What is wrong with an engine's results, or undefined. */
export function smokeFault(results: Arrays): string | undefined {
  const found = {
    loss: results.loss?.[0] ?? Number.NaN,
    d1: squares(results.d1 ?? []),
    d2: squares(results.d2 ?? []),
  };
  for (const name of ['loss', 'd1', 'd2'] as const) {
    const expected = smokeExpected[name];
    // Not `> tolerance`: NaN must fail too. Wide enough for GPUs that multiply with fewer digits.
    if (!(Math.abs(found[name] - expected) <= 1e-2 * Math.abs(expected))) {
      return `its smoke test gave ${name} = ${found[name].toPrecision(6)} instead of ${expected.toPrecision(6)}`;
    }
  }
  return undefined;
}

/** Σ v². */
export function squares(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i] ** 2;
  return sum;
}
