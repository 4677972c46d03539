/**
 * The ONNX backend: programs become ONNX models that onnxruntime-node runs in a worker thread.
 *
 * @example
 * const backend = await createOnnxBackend({ accelerator: 'auto', threads: 2, logger });
 * const compiled = await backend.compile(program);
 * const { loss } = await compiled.run({ x }, await backend.createState(weights));
 * await backend.dispose();
 */
import { availableParallelism } from 'node:os';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { type Logger, silentLogger } from '../../core/log.js';
import { encodeOnnx } from '../../formats/onnx/encode.js';
import { layoutOf } from '../../formats/onnx/pays.js';
import { type GraphNode, isOp } from '../../graph/node.js';
import type { Program } from '../../graph/program.js';
import type { Accelerator, Backend, BackendInfo, Compiled, CompileOptions, Precision } from '../backend.js';
import { type Machine, thisMachine } from '../gpus.js';
import { remembered } from '../programs.js';
import { type SharedCalls, WorkerHost, workerFile } from '../worker/host.js';
import { type Compile, HostedBackend } from '../worker/hostedBackend.js';
import { chooseDevice, precisionsOf, rulesOf, type Surroundings } from './accelerators.js';
import { type EngineSettings, ioOf, type OnnxCalls } from './engine.js';
import { compiledInHalf, forbidShortProducts, settledPrecision } from './precision.js';
import { tryAccelerator } from './trial.js';

export interface OnnxBackendOptions {
  /** `auto`: CUDA, then WebGPU on real hardware, where they work, else the CPU; any other: that one or an error. */
  readonly accelerator?: Accelerator;
  /** Which of several such devices, from 0; the engine's own choice where not given. */
  readonly deviceNumber?: number;
  /** Threads that compute one operation together; all that the machine offers when not given. */
  readonly threads?: number;
  /** Single where not given; another one where the device has it. */
  readonly precision?: Precision;
  readonly logger?: Logger;
  /** Another module in the engine's place (tests). @internal */
  readonly engineModule?: string;
  /** Another machine than this one (tests). @internal */
  readonly machine?: Machine;
  /** Another module in the place of onnxruntime-web (tests). @internal */
  readonly wasmModule?: string;
}

/**
 * Finds out which device there is and starts the engine on it. No accelerator but software WebGPU was ever run by us, see
 * docs/accelerators.md. With WebGPU state stays on the device between runs; with CUDA it is copied there and back at every run, because
 * onnxruntime-node can keep buffers on the device with WebGPU only.
 *
 * @throws PtychoError BACKEND_MISSING without onnxruntime-node, ACCELERATOR_MISSING when the one that was asked for does not work.
 */
export async function createOnnxBackend(options: OnnxBackendOptions = {}): Promise<Backend> {
  const threads = options.threads ?? availableParallelism();
  if (!Number.isInteger(threads) || threads < 1) {
    throw new PtychoError('CONFIG_INVALID', `threads must be a whole number of 1 or more, got ${threads}.`, {
      threads,
    });
  }
  const {
    accelerator = 'auto',
    deviceNumber: number,
    logger = silentLogger,
    engineModule: module = 'onnxruntime-node',
  } = options;
  const entry = workerFile(new URL('./onnxWorker.js', import.meta.url), 'backends/onnx/onnxWorker.js');
  const host = new WorkerHost<OnnxCalls & SharedCalls>(entry, 'The ONNX backend');
  try {
    const machine = options.machine ?? thisMachine();
    const wanted = options.precision ?? '32-true';
    if (wanted !== 'tf32' && machine.gpus.some(({ cuda }) => cuda)) forbidShortProducts();
    const shortProducts = wanted === 'tf32';
    const tryOut: Surroundings['tryOut'] = (device) =>
      tryAccelerator(device, { module, machine, number, shortProducts });
    const choice = await chooseDevice(accelerator, { machine, tryOut, logger }, number);
    const { device, adapter, skipped } = choice;
    const precision = settledPrecision(wanted, choice, precisionsOf(device), logger);
    const { provider, lacking, ...rules } = rulesOf(device, number);
    const providers = device === 'cpu' ? [provider] : [provider, 'cpu'];
    const settings: EngineSettings = { module, providers, threads, ...rules };
    const opened = await openEngine(host, settings, options.wasmModule ?? 'onnxruntime-web', logger);
    const passedOver = [...skipped, ...(opened.skipped ?? [])];
    const info = {
      name: 'onnx',
      engine: opened.engine,
      device,
      ...(number === undefined ? {} : { deviceNumber: number }),
      ...(adapter ? { adapter } : {}),
      threads: opened.threads,
      ...(precision === '32-true' ? {} : { precision }),
      ...(passedOver.length > 0 ? { skipped: passedOver } : {}),
    } as const;
    const compile: Compile = async (program, { constants, half }) => {
      const blocks = device === 'cpu' && !half ? await channelBlockFor(program, constants, host, `${module} ${opened.engine}`) : undefined; // biome-ignore format: one choice
      const model = encodeOnnx(program, { constants, lacking, half, ...(blocks === undefined ? {} : { blocks }) });
      const optimization = program.updates.size === 0 && constants ? 'all' : 'extended';
      return host.call('compile', [model, optimization, ioOf(program, constants)], [model.buffer]);
    };
    return new OnnxBackend(host, { info, compile, logger });
  } catch (error) {
    await host.close();
    throw error;
  }
}

/** What engines of this process were found to have, by engine and whether tiles were tried: it depends on the processor, and on nothing else. */
const layouts = new Map<string, Promise<number | undefined>>();

/**
 * Channels in a block for a program; undefined where the engine has no such layout, and, without a trial, where the program would be the same
 * model in any. So that bytes never depend on it, nothing else decides: not how long a run will be, nor whether it was tried before.
 */
async function channelBlockFor(
  program: Program,
  constants: CompileOptions['constants'],
  host: WorkerHost<OnnxCalls & SharedCalls>,
  engine: string,
): Promise<number | undefined> {
  const constant = (node: GraphNode) =>
    isOp(node, 'constant') ||
    (isOp(node, 'state') && constants !== undefined && Object.hasOwn(constants, node.attrs.name));
  const { blocks, tiles } = layoutOf(program, constant);
  if (!blocks) return undefined;
  const key = `${engine} ${tiles}`;
  const ask = () => host.call('channelBlock', [tiles]);
  // The engine that was asked may have ended meanwhile: then this one is, whoever else asks again.
  return remembered(layouts, key, ask).catch(ask);
}

/** The engine that was opened. */
type Opened = Pick<BackendInfo, 'engine' | 'threads' | 'skipped'>;

/** Opens onnxruntime-node; where it cannot be loaded and the CPU is meant, the engine in WebAssembly of onnxruntime-web, said once. */
async function openEngine(
  host: WorkerHost<OnnxCalls & SharedCalls>,
  settings: EngineSettings,
  wasmModule: string,
  logger: Logger,
): Promise<Opened> {
  try {
    const version = await host.call('open', [settings]);
    return { engine: `onnxruntime-node ${version}`, threads: settings.threads };
  } catch (error) {
    if (!isPtychoError(error, 'BACKEND_MISSING') || settings.providers[0] !== 'cpu') throw error;
    // One thread, as the engine's threads would be workers of this worker.
    const wasm = { module: wasmModule, providers: ['wasm'], threads: 1, resident: false, ownResults: true };
    const version = await host.call('open', [wasm]).catch(() => undefined);
    if (version === undefined) throw error;
    const reason = String(error.fields.reason).split('\n')[0];
    logger.warn(
      `onnxruntime-node cannot be loaded here (${reason}), so the engine in WebAssembly of onnxruntime-web takes its place: one thread, and slower.`,
    );
    return {
      engine: `onnxruntime-web ${version} (wasm)`,
      threads: 1,
      skipped: [{ engine: 'onnxruntime-node', reason }],
    };
  }
}

/** What an engine was started with. */
interface Started {
  readonly info: BackendInfo;
  readonly compile: Compile;
  readonly logger: Logger;
}

class OnnxBackend extends HostedBackend {
  readonly #calls: WorkerHost<OnnxCalls & SharedCalls>;

  readonly #logger: Logger;

  constructor(host: WorkerHost<OnnxCalls & SharedCalls>, { info, compile, logger }: Started) {
    super(host, info, 'onnxruntime', compile, host);
    this.#calls = host;
    this.#logger = logger;
  }

  /** Predictions in half precision where that was asked for. */
  override async compile(program: Program, options: CompileOptions = {}): Promise<Compiled> {
    const single = (...args: Parameters<Backend['compile']>) => super.compile(...args);
    const predicts = options.constants !== undefined && program.updates.size === 0;
    if (this.info.precision !== '16-mixed' || !predicts) return single(program, options);
    return compiledInHalf(single, [program, options], this.#logger);
  }

  transfers(): ReturnType<OnnxCalls['transfers']> {
    return this.#calls.call('transfers', []);
  }
}
