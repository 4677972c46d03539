/**
 * The ONNX backend of browsers: programs become ONNX models that onnxruntime-web runs, by WebGPU where there is an adapter that computes
 * right, else in WebAssembly. It computes in the thread that calls it: pages call it from a thread of their own (`ptychopinn/web/worker`).
 *
 * The build for browsers takes this file in place of `backends/onnx/backend.ts`.
 *
 * @example
 * engineFiles('/ort/'); // where the page has the .wasm files of onnxruntime-web
 * const backend = await createOnnxBackend({ accelerator: 'auto' });
 */
import { availableParallelism } from 'node:os';
import { messageOf, PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { encodeOnnx } from '../../formats/onnx/encode.js';
import * as op from '../../graph/ops.js';
import { defineProgram } from '../../graph/program.js';
import type { Accelerator, Adapter, Backend, BackendInfo, Device, Precision, SkippedEngine } from '../backend.js';
import { type DeviceRules, rulesOf } from '../onnx/accelerators.js';
import { Engine, type EngineSettings, ioOf, type OnnxCalls, type OrtModule } from '../onnx/engine.js';
import { twoSteps } from '../onnx/trialProcess.js';
import { largestDifference } from '../onnx/trialProgram.js';
import { type CallAnswer, type CallArguments, type EngineHost, EngineRefusal } from '../worker/host.js';
import { HostedBackend } from '../worker/hostedBackend.js';

/** How the engine is started. */
export interface WebBackendOptions {
  /** `auto`: WebGPU where it works, else WebAssembly (`cpu`); either: that one or an error. */
  readonly accelerator?: Accelerator;
  /** There is no choice in browsers: anything but 0 is refused. */
  readonly deviceNumber?: number;
  /** Threads in WebAssembly; all that the page may use where not given, one in pages that are not isolated. */
  readonly threads?: number;
  /** Single precision is the only one here. */
  readonly precision?: Precision;
  readonly logger?: Logger;
}

/** Single precision; the sines of GPUs have four digits. */
const TOLERANCE = 2e-3;

let place: string | undefined;

/**
 * Says where the page has the files of onnxruntime-web 1.30.0, an address that ends in a slash: of `node_modules/onnxruntime-web/dist` those
 * that are called `ort-wasm-simd-threaded.mjs` and `.wasm` (processor), `ort-wasm-simd-threaded.asyncify.mjs` and `.wasm` (WebGPU). Each
 * comes when it is needed. Where nothing is said they are looked for beside the script.
 */
export function engineFiles(address: string | undefined): void {
  place = address;
}

/**
 * Starts the engine.
 * @throws PtychoError BACKEND_MISSING where onnxruntime-web cannot be loaded, ACCELERATOR_MISSING for another accelerator than these two, and
 * for WebGPU where it does not work
 */
export async function createOnnxBackend(options: WebBackendOptions = {}): Promise<Backend> {
  const { accelerator = 'auto', logger = silentLogger, precision = '32-true' } = options;
  const threads = Math.min(options.threads ?? availableParallelism(), availableParallelism());
  if (precision !== '32-true')
    logger.warn(`precision ${precision} is not available in browsers, so everything is computed in single precision.`);
  if (options.deviceNumber) {
    throw new PtychoError('ACCELERATOR_MISSING', `Accelerator "${accelerator}:${options.deviceNumber}" cannot be chosen: the browser decides which adapter a page gets; use "${accelerator}".`, { accelerator }); // biome-ignore format: one sentence
  }
  const choice = await chooseDevice(accelerator, logger);
  const host = new DirectHost();
  const { provider, lacking, ...rules } = rulesFor(choice.device);
  const version = await host.call('open', [settingsOf(choice.device, { provider, ...rules }, threads)]);
  await requireFiles(host);
  const info: BackendInfo = {
    name: 'onnx',
    engine: `onnxruntime-web ${version} (${choice.device === 'cpu' ? 'wasm' : 'WebGPU'})`,
    device: choice.device,
    ...(choice.adapter ? { adapter: choice.adapter } : {}),
    threads: choice.device === 'cpu' ? threads : 1,
    ...(choice.skipped.length > 0 ? { skipped: choice.skipped } : {}),
  };
  return new HostedBackend(host, info, 'onnxruntime', async (program, { constants }) => {
    const model = encodeOnnx(program, { constants, lacking });
    const optimization = program.updates.size === 0 && constants ? 'all' : 'extended';
    return host.call('compile', [model, optimization, ioOf(program, constants)]);
  });
}

/** The engine's own files come with its first session, which is made here, so that it is said at once where they are missing. */
async function requireFiles(host: DirectHost): Promise<void> {
  const program = defineProgram({ name: 'first', outputs: { y: op.mul(op.input('x', [1]), 2) } });
  try {
    const id = await host.call('compile', [encodeOnnx(program), 'extended', ioOf(program)]);
    await host.call('dropProgram', [id]);
  } catch (cause) {
    const reason = messageOf(cause).split('\n')[0];
    throw new PtychoError(
      'BACKEND_MISSING',
      `onnxruntime-web cannot be started (${reason}): put its files (ort-wasm-simd-threaded*.mjs and .wasm of onnxruntime-web 1.30.0) where the page can load them, and say where with engineFiles(address).`,
      { package: 'onnxruntime-web', address: place, reason },
      { cause },
    );
  }
}

const rulesFor = (device: Device): DeviceRules =>
  device === 'cpu' ? { ...rulesOf('cpu'), provider: 'wasm' } : rulesOf(device);

const settingsOf = (device: Device, rules: Omit<DeviceRules, 'lacking'>, threads: number): EngineSettings => ({
  module: device === 'cpu' ? 'onnxruntime-web/wasm' : 'onnxruntime-web/webgpu',
  providers: [rules.provider],
  threads: device === 'cpu' ? threads : 1,
  resident: rules.resident,
  ownResults: true,
});

/** By literal names, which bundlers follow. */
async function load(module: string): Promise<unknown> {
  const loaded = (await (module === 'onnxruntime-web/wasm'
    ? import('onnxruntime-web/wasm')
    : import('onnxruntime-web/webgpu'))) as unknown as OrtModule;
  if (place !== undefined && loaded.env.wasm) loaded.env.wasm.wasmPaths = place;
  return loaded;
}

/** An engine in this thread, which answers one call after the other. */
class DirectHost implements EngineHost<OnnxCalls> {
  readonly #engine = new Engine(load);
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  call<K extends keyof OnnxCalls & string>(call: K, args: CallArguments<OnnxCalls, K>): CallAnswer<OnnxCalls, K> {
    const answer = this.#last.then(() => this.#ask(call, args as readonly unknown[]));
    this.#last = answer.catch(() => {});
    return answer as CallAnswer<OnnxCalls, K>;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const released = this.call('close', []);
    this.#closed = true;
    await released.catch(() => {});
  }

  async #ask(call: keyof OnnxCalls & string, args: readonly unknown[]): Promise<unknown> {
    if (this.#closed && call !== 'close') {
      throw new PtychoError('ENGINE_FAILURE', 'The ONNX backend cannot run: it was disposed.', {});
    }
    try {
      return await (this.#engine[call] as (...all: readonly unknown[]) => Promise<unknown>)(...args);
    } catch (error) {
      if (error instanceof PtychoError) throw error;
      throw new EngineRefusal(messageOf(error));
    }
  }
}

interface Choice {
  readonly device: Device;
  readonly adapter?: Adapter;
  readonly skipped: readonly SkippedEngine[];
}

async function chooseDevice(wanted: Accelerator, logger: Logger): Promise<Choice> {
  if (wanted === 'cpu') return { device: 'cpu', skipped: [] };
  if (wanted !== 'auto' && wanted !== 'webgpu') {
    throw new PtychoError('ACCELERATOR_MISSING', `Accelerator "${wanted}" is not there in browsers; use "webgpu", "cpu" or "auto".`, { accelerator: wanted }); // biome-ignore format: one call
  }
  const adapter = await webGpu();
  const reason = adapter === undefined ? 'the browser offers no adapter' : adapter.software && wanted === 'auto' ? `it has only ${adapter.name}, a program that stands in for a GPU` : await whyNot(); // biome-ignore format: one choice
  if (reason === undefined) return { device: 'webgpu', adapter, skipped: [] };
  if (wanted === 'webgpu') {
    throw new PtychoError('ACCELERATOR_MISSING', `Accelerator "webgpu" does not work here (${reason}): use "cpu", or a browser with WebGPU.`, { accelerator: wanted, reason }); // biome-ignore format: one call
  }
  if (adapter && !adapter.software) logger.warn(`POLICY-001: running on the CPU although there is a GPU (${adapter.name}), because WebGPU does not work here (${reason}).`); // biome-ignore format: one call
  return { device: 'cpu', skipped: [{ engine: 'webgpu', reason }] };
}

interface WebGpu {
  requestAdapter(): Promise<{
    readonly info?: {
      readonly vendor?: string;
      readonly architecture?: string;
      readonly description?: string;
      readonly isFallbackAdapter?: boolean;
    };
    readonly isFallbackAdapter?: boolean;
  } | null>;
}

/** The adapter that the browser would give. */
async function webGpu(): Promise<Adapter | undefined> {
  const { navigator } = globalThis as { navigator?: { gpu?: WebGpu } };
  const found = await navigator?.gpu?.requestAdapter().catch(() => null);
  if (!found) return undefined;
  const { vendor = '', architecture = '', description = '' } = found.info ?? {};
  const name = description || [vendor, architecture].filter((word) => word !== '').join(' ') || 'GPU';
  const software =
    found.isFallbackAdapter === true || found.info?.isFallbackAdapter === true || /swiftshader|llvmpipe/i.test(name);
  return { name, software };
}

let known: Promise<string | undefined> | undefined;

/** What keeps WebGPU from being taken: its results are compared with those of WebAssembly once. */
function whyNot(): Promise<string | undefined> {
  known ??= (async () => {
    const rules = rulesOf('webgpu');
    const open = async (device: Device) => {
      const engine = new Engine(load);
      await engine.open(settingsOf(device, rulesFor(device), 1));
      return engine;
    };
    const expected = await twoSteps(await open('cpu'), rules.lacking);
    const { name, relative } = largestDifference(await twoSteps(await open('webgpu'), rules.lacking), expected);
    return relative <= TOLERANCE
      ? undefined
      : `its ${name} differs from the CPU's by ${(100 * relative).toPrecision(2)} %`;
  })().catch((error: unknown) => messageOf(error).split('\n')[0]);
  return known;
}
