/** A library that computes nothing, and a host that speaks frames: for tests of the conversation itself. */
import { PassThrough } from 'node:stream';
import { LibraryLog } from '../../../src/adapters/ptychodus/logger.js';
import { SettingsRegistry } from '../../../src/adapters/ptychodus/settings/parameters.js';
import type {
  ModelInfo,
  ReconstructInput,
  ReconstructOutput,
  TrainableReconstructor,
  TrainOutput,
} from '../../../src/adapters/ptychodus/types.js';
import { FrameArrays, type OutgoingArray } from '../../../src/adapters/worker/arrays.js';
import type { WorkerLibraries } from '../../../src/adapters/worker/handlers.js';
import { encodeFrame, FrameParser } from '../../../src/adapters/worker/messageFrame.js';
import { productArrays, productHeaderOf } from '../../../src/adapters/worker/products.js';
import { type Served, type ServeOptions, serveWorker } from '../../../src/adapters/worker/serve.js';
import { PtychoError } from '../../../src/core/errors.js';
import type { ComplexTensor } from '../../../src/core/tensor.js';
import type { Product } from '../../../src/persistence/product/product.js';

export const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms));

/** A product of four positions. */
export function smallProduct(): Product {
  const complex = (shape: number[]): ComplexTensor => {
    const n = shape.reduce((a, b) => a * b);
    return {
      re: Float32Array.from({ length: n }, (_, i) => i),
      im: Float32Array.from({ length: n }, (_, i) => -i / 2),
      shape,
    };
  };
  return {
    metadata: {
      name: 'star',
      comments: 'µm',
      detector_object_distance_m: 2,
      probe_energy_eV: 8800,
      exposure_time_s: 0.1,
      probe_photon_count: 1e5,
      mass_attenuation_m2_kg: 0,
      tomography_angle_deg: 30,
    },
    positions: {
      indexes: Int32Array.of(4, 2, 7, 9),
      x_m: Float64Array.of(1e-6, 2e-6, 3e-6, 4e-6),
      y_m: Float64Array.of(-1e-6, 0, 1e-6, 2e-6),
    },
    probe: {
      array: complex([2, 1, 4, 4]),
      pixel: { width_m: 1e-8, height_m: 2e-8 },
      opr_weights: { data: Float64Array.of(1, 0, 0.9, 0.1, 0.8, 0.2, 0.7, 0.3), shape: [4, 2] },
    },
    object: {
      array: complex([1, 9, 11]),
      pixel: { width_m: 1e-8, height_m: 2e-8 },
      center_x_m: 1e-7,
      center_y_m: -1e-7,
      layer_spacing_m: new Float64Array(0),
    },
    losses: { epochs: Int32Array.of(0, 1), values: Float64Array.of(2, Number.NaN) },
  };
}

/** Takes steps when it is told to. */
export class StandIn implements TrainableReconstructor {
  readonly name = 'PINN';
  readonly isTrainable = true;
  readonly modelFileFilter = 'Zipped Archive (*.zip)';
  readonly modelFileExtension = '.zip';
  readonly trainingDataFileFilter = 'NumPy Zipped Archive (*.npz)';
  readonly calls: unknown[] = [];
  readonly inputs: ReconstructInput[] = [];
  steps = 3;
  /** Before each step. */
  gate: (step: number, signal?: AbortSignal) => Promise<void> = () => pause(5);
  modelInfo: ModelInfo | undefined;

  progressGoal(): number {
    return this.steps;
  }

  isModelLoaded(): boolean {
    return this.modelInfo !== undefined;
  }

  async openModel(path: string): Promise<ModelInfo> {
    if (path.endsWith('.txt')) throw new PtychoError('BUNDLE_INVALID', `${path} is no bundle.`, { path });
    this.calls.push(['open', path]);
    this.modelInfo = { path, N: 64, gridsize: 1, modelType: 'pinn', architecture: 'cnn', backend: 'onnx' };
    return this.modelInfo;
  }

  loadModelFromFile(path: string): Promise<ModelInfo> {
    return this.openModel(path);
  }

  async saveModel(path: string): Promise<void> {
    this.calls.push(['save', path]);
  }

  async exportTrainingData(path: string, input: ReconstructInput): Promise<void> {
    this.calls.push(['export', path]);
    this.inputs.push(input);
  }

  trainingDataPath(): string {
    return 'train';
  }

  async *reconstruct(input: ReconstructInput): AsyncIterable<ReconstructOutput> {
    this.inputs.push(input);
    for (let step = 1; step <= this.steps; step++) {
      await this.#step(step, input.signal);
      const losses = { epochs: Int32Array.of(step), values: Float64Array.of(1 / step) };
      yield { product: { ...input.product, losses }, progress: step, progressGoal: this.steps, result: 0 };
    }
  }

  async *train(input: string, output?: string, options: { signal?: AbortSignal } = {}): AsyncIterable<TrainOutput> {
    this.calls.push(['train', input, output]);
    const trainingLoss = [];
    for (let epoch = 1; epoch <= this.steps; epoch++) {
      await this.#step(epoch, options.signal);
      trainingLoss.push({ epoch, value: epoch === 2 ? Number.NaN : 1 / epoch });
      if (epoch === this.steps) await this.openModel(`${output}/wts.zip`);
      yield {
        trainingLoss: [...trainingLoss],
        validationLoss: [],
        progress: epoch,
        progressGoal: this.steps,
        result: 0,
      };
    }
  }

  async dispose(): Promise<void> {
    this.calls.push(['dispose']);
  }

  async #step(step: number, signal?: AbortSignal): Promise<void> {
    await this.gate(step, signal);
    if (signal?.aborted) throw new PtychoError('CANCELLED', 'The work was cancelled.', {});
  }
}

/** One library of one stand-in. */
export function standInLibraries(reconstructor = new StandIn()): WorkerLibraries & { log: LibraryLog } {
  const settings = new SettingsRegistry();
  settings.createGroup('PtychoPINNModel').createInteger('GridSize', 1, { minimum: 1, maximum: 5 });
  const log = new LibraryLog();
  return {
    log,
    settings,
    libraries: [{ name: 'PtychoPINN', logger: log }],
    entries: [{ displayName: 'PtychoPINN/PINN', simpleName: 'PtychoPINN_PINN', reconstructor }],
    find(name) {
      if (name === 'PtychoPINN/PINN') return reconstructor;
      throw new PtychoError('CONFIG_INVALID', `There is no reconstructor "${name}" here.`, {});
    },
    dispose: () => reconstructor.dispose(),
  };
}

/** A frame from the worker. */
export interface Said {
  readonly tag: string;
  readonly id: number | null;
  readonly [field: string]: unknown;
  readonly arrays: FrameArrays;
}

/** The other end of the pipe. */
export class Host {
  readonly input = new PassThrough();
  readonly output: PassThrough;
  readonly said: Said[] = [];
  readonly served: Promise<Served>;
  #wake: (() => void)[] = [];

  constructor(options: Partial<ServeOptions> = {}, read = true) {
    this.output = new PassThrough({ highWaterMark: 16 });
    if (read) this.read();
    this.served = serveWorker({
      input: this.input,
      output: this.output,
      libraries: standInLibraries(),
      createdBy: { package: 'ptychopinn', version: '0.0.0' },
      ...options,
    });
  }

  read(): void {
    const parser = new FrameParser();
    this.output.on('data', (chunk: Uint8Array) => {
      for (const frame of parser.push(chunk)) {
        this.said.push({ ...frame.header, arrays: new FrameArrays(frame) } as Said);
      }
      for (const wake of this.#wake.splice(0)) wake();
    });
  }

  send(verb: string, id: number, fields: object = {}, arrays: Record<string, OutgoingArray> = {}): void {
    for (const chunk of encodeFrame({ verb, id, ...fields }, arrays)) this.input.write(chunk);
  }

  /** Sends a header as it is; it may list files. */
  sendHeader(header: object): void {
    for (const chunk of encodeFrame(header as Record<string, unknown>)) this.input.write(chunk);
  }

  /** Sends the small product's reconstruction. */
  reconstruct(id: number, fields: object = {}): void {
    const product = smallProduct();
    const patterns = { data: new Uint16Array(4 * 16).fill(3), shape: [4, 4, 4] };
    const arrays = { patterns, indexes: { data: Int32Array.of(9, 7, 4, 2), shape: [4] }, ...productArrays(product) };
    const request = { reconstructor: 'PtychoPINN/PINN', product: productHeaderOf(product), ...fields };
    this.send('reconstruct/start', id, request, arrays);
  }

  /** The first frame that fits, now or later. */
  async until(fits: (said: Said) => boolean): Promise<Said> {
    for (;;) {
      const found = this.said.find(fits);
      if (found) return found;
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve);
      });
    }
  }

  end(id: number): Promise<Said> {
    return this.until((said) => said.tag === 'end' && said.id === id);
  }

  /** Tags of a request's frames, in order. */
  tags(id: number | null): string[] {
    return this.said.filter((said) => said.id === id).map((said) => said.tag);
  }
}

/** A host whose worker is ready; its frames so far are forgotten. */
export async function greetedHost(options: Partial<ServeOptions> = {}): Promise<Host> {
  const host = new Host(options);
  host.send('initialize', 0, { protocol: 1 });
  await host.end(0);
  host.said.length = 0;
  return host;
}
