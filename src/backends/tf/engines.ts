/**
 * Finds the TensorFlow.js engine to run on: tfjs-node-gpu, tfjs-node, wasm, cpu, in this order. An engine must load, be
 * accepted by TensorFlow.js and get a small gradient right; why better ones were left out is kept.
 */
import { availableParallelism } from 'node:os';
import util from 'node:util';
import { messageOf, PtychoError } from '../../core/errors.js';
import type { Accelerator, SkippedEngine } from '../backend.js';
import { Executor } from './executor.js';
import { flattenProgram } from './flatProgram.js';
import { cpuKernels } from './kernels/cpu.js';
import type { Kernels } from './kernels/kernels.js';
import { StandardKernels } from './kernels/standard.js';
import { wasmKernels } from './kernels/wasm.js';
import { ENGINE_NAMES, type EngineName, type EngineReport, type EngineWish, NO_DEVICE } from './protocol.js';
import { smokeFault, smokeProgram } from './smoke.js';
import type { Tf } from './tfjs.js';
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
  wasm: 'install it with "npm i @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0"',
  cpu: 'install it with "npm i @tensorflow/tfjs@4.22.0"',
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
  const executor = new Executor(kernels, flattenProgram(program));
  try {
    const fault = smokeFault(await executor.run(feeds, new Map()));
    if (fault) throw new Error(fault);
  } finally {
    executor.dispose();
  }
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
    const tf = await load<Tf>(importer, `@tensorflow/${name}`);
    tf.enableProdMode();
    await select(tf, 'tensorflow');
    const device = (tf.backend() as NativeBackend).isUsingGpuDevice === true ? 'cuda' : 'cpu';
    const version = `${name} ${(tf.version as Record<string, string>)['tfjs-node'] ?? tf.version.tfjs}`;
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
  const tf = await load<Tf>(importer, '@tensorflow/tfjs');
  // Also keeps its advertisement for tfjs-node off our users' screens.
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
  await select(tf, 'cpu');
  const version = `tfjs-backend-cpu ${tf.version.tfjs}`;
  return { kernels: cpuKernels(tf), report: { engine: 'cpu', version, device: 'cpu', threads: 1 } };
}

const importModule: Importer = (specifier) => import(specifier);
