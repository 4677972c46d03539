/**
 * A trained model: open, predict, save, dispose. A model is a value of its own: opening or training another one changes nothing
 * here, and nothing that is passed in is modified.
 *
 * @example
 * const model = await PtychoModel.open('run', { backend: 'onnx' });
 * const patches = await model.predict(diffraction, offsets); // [B, C, N, N], in the object's units
 * await model.dispose();
 */
import path from 'node:path';
import type { Backend, BackendInfo } from '../backends/backend.js';
import { toLegacyParams } from '../config/legacy/params.js';
import { type ExecutionConfig, trainingConfigSchema } from '../config/schema.js';
import { PtychoError, requireObject } from '../core/errors.js';
import type { Logger } from '../core/log.js';
import { notFiniteAt } from '../core/numbers.js';
import { type ComplexTensor, formatShape, type Tensor } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import type { PtychoNetwork } from '../model/network.js';
import {
  BUNDLE_FILE,
  type Bundle,
  encodeModels,
  openBundle,
  type StoredBundle,
  saveBundle,
} from '../persistence/bundle.js';
import { checkWeights } from '../persistence/check.js';
import type { MlflowAccess } from '../persistence/mlflowArtifacts.js';
import { trainedIntensityScale } from '../persistence/params.js';
import { type EngineChoice, startEngine } from './inputs.js';
import { networkOfBundle } from './networkSpec.js';
import { Predictor } from './predictor.js';

/** How {@link PtychoModel.open} opens. */
export interface OpenModelOptions extends EngineChoice, MlflowAccess {
  readonly logger?: Logger;
}

/** Groups in one prediction by default. */
export const DEFAULT_BATCH = 32;

/** What a model cannot be made without. */
const BUNDLE_KEYS = ['config', 'scale', 'statistics', 'probe', 'weights'];

/** A trained model: of a file or fresh from training, on a running engine or on none yet. */
export class PtychoModel<B extends Bundle = Bundle> {
  /** What is known of the model: configuration, scales, statistics, history, probe, weights. Not to be modified. */
  readonly bundle: B;
  /** The network for groups within the canvas of the bundle. */
  readonly #own: PtychoNetwork;
  readonly #engine: Backend | undefined;
  readonly #owned: boolean;
  /** By side of the canvas. */
  readonly #predictors = new Map<number, Predictor>();
  #disposed = false;

  private constructor(bundle: B, own: PtychoNetwork, engine: Backend | undefined, owned: boolean) {
    this.bundle = bundle;
    this.#own = own;
    this.#engine = engine;
    this.#owned = owned;
  }

  /**
   * Opens `wts.zip`, the folder that holds it or its unpacked members, or a bundle on an MLflow server, without an engine:
   * {@link on} gives it one.
   * @throws PtychoError FILE_NOT_FOUND, BUNDLE_INVALID, FORMAT_UNSUPPORTED, WEIGHTS_MISMATCH
   */
  static async read(path: string, options: MlflowAccess = {}): Promise<PtychoModel<StoredBundle>> {
    return PtychoModel.of(await openBundle(path, options));
  }

  /**
   * {@link read}, and starts the engine that is named, whichever trained it. A running engine may be shared by models; it is then
   * left running.
   * @throws PtychoError as {@link read}; CONFIG_INVALID, BACKEND_MISSING, ACCELERATOR_MISSING
   */
  static async open(path: string, options: OpenModelOptions = {}): Promise<PtychoModel<StoredBundle>> {
    // The bundle first: an engine that was started for a broken file would have to be stopped again.
    const read = await PtychoModel.read(path, options);
    const engine = await startEngine(options, options.logger);
    return new PtychoModel(read.bundle, read.#own, engine, engine !== options.backend);
  }

  /**
   * A model from what a bundle holds, as training returns it; on an engine where there is one, which is disposed of with the model
   * if `owned`.
   * @throws PtychoError WEIGHTS_MISMATCH
   */
  static of<B extends Bundle>(bundle: B, engine?: Backend, owned = false): PtychoModel<B> {
    requireObject(
      bundle,
      'A model is made of what a bundle holds (openBundle, or the bundle of another model)',
      BUNDLE_KEYS,
    );
    const own = networkOfBundle(bundle, bundle.canvasSide_px);
    checkWeights(
      own.parameters.map((p) => [p.name, p.shape] as const),
      bundle.weights,
    );
    return new PtychoModel(bundle, own, engine, owned);
  }

  /** The same model on a running engine, which is left running. */
  on(engine: Backend): PtychoModel<B> {
    return new PtychoModel(this.bundle, this.#own, engine, false);
  }

  /** A model of this bundle on the same engine, which is left running. @throws PtychoError WEIGHTS_MISMATCH */
  as<V extends Bundle>(bundle: V): PtychoModel<V> {
    return PtychoModel.of(bundle, this.#engine);
  }

  /**
   * Who runs it. The backend that trained it is `bundle.backend`; any backend runs any bundle.
   * @throws PtychoError USAGE where it has no engine
   */
  get info(): RunBy {
    return runBy(this.#running().info);
  }

  /** Side of the patterns, pixels. */
  get N(): number {
    return this.bundle.config.model.N;
  }

  get gridsize(): number {
    return this.bundle.config.model.gridsize;
  }

  /** √counts per unit of normalised amplitude: the trained scale, where it was trained. */
  get intensityScale(): number {
    return trainedIntensityScale(this.bundle);
  }

  /** The configuration under the names of the Python tools, with `intensity_scale`; a fresh dictionary each time. */
  get params(): Record<string, unknown> {
    const execution: Partial<ExecutionConfig> = this.bundle.config.execution ?? {};
    const config = trainingConfigSchema.parse({ ...this.bundle.config, execution });
    return { ...toLegacyParams(config), intensity_scale: this.intensityScale };
  }

  /**
   * Diffraction to object, as published: `predict([diffraction × intensity_scale, local_offsets])`.
   * @see the other form for shapes
   */
  predict(inputs: readonly [diffraction: Tensor, offsets: Tensor]): Promise<ComplexTensor>;
  /**
   * Diffraction to object, any number of groups.
   * @param diffraction [B, C, N, N] amplitudes normalised to mean Σ X² = (N/2)² (also [B, N, N, C], as published)
   * @param offsets [B, C, 1, 2] group centre − member, (x, y) in pixels (also [B, 1, 2, C]); may be left out at gridsize 1
   * @returns [B, C, N, N] what each pattern sees of the object, in the object's units
   * @throws PtychoError DATASET_SHAPE, DATASET_VALUE for values that are not finite, USAGE for what is no tensor and after `dispose`,
   * ENGINE_FAILURE
   */
  predict(diffraction: Tensor, offsets?: Tensor): Promise<ComplexTensor>;
  async predict(first: Tensor | readonly [Tensor, Tensor], second?: Tensor): Promise<ComplexTensor> {
    if (Array.isArray(first)) {
      const factor = 1 / this.intensityScale;
      const [{ data, shape }, offsets] = [requireTensor(first[0], 'Diffraction'), first[1]];
      return this.predict({ data: data.map((v) => v * factor), shape }, offsets ?? undefined);
    }
    const { N, gridsize } = this;
    const C = gridsize ** 2;
    const diffraction = channelsFirst(requireTensor(first, 'Diffraction'), 'Diffraction', [C, N, N]);
    const B = diffraction.shape[0];
    if (!second && C > 1) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `A model of gridsize ${gridsize} needs the offsets of the members of each group, shape (B, ${C}, 1, 2).`,
        { expected: [B, C, 1, 2] },
      );
    }
    const given = second ? requireTensor(second, 'Offsets') : { data: new Float32Array(2 * B), shape: [B, 1, 1, 2] };
    const offsets = channelsFirst(given, 'Offsets', [C, 1, 2]);
    if (offsets.shape[0] !== B) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `There are ${B} groups of patterns but offsets of ${offsets.shape[0]}; there must be as many.`,
        { expected: B, found: offsets.shape[0] },
      );
    }
    requireFinite(diffraction, 'Diffraction');
    requireFinite(offsets, 'Offsets');
    return this.#inBatches(diffraction, offsets);
  }

  /** The network for groups within a canvas of this side; never of a smaller one than the model was trained with. */
  network(canvasSide_px = this.bundle.canvasSide_px): PtychoNetwork {
    return canvasSide_px <= this.bundle.canvasSide_px ? this.#own : networkOfBundle(this.bundle, canvasSide_px);
  }

  /** @throws PtychoError USAGE where it has none, and after `dispose` */
  get engine(): Backend {
    if (this.#disposed) {
      throw new PtychoError('USAGE', 'The model was disposed of; open it again to predict with it.', {});
    }
    return this.#running();
  }

  #running(): Backend {
    if (this.#engine) return this.#engine;
    throw new PtychoError(
      'USAGE',
      'The model was read without an engine; use model.on(engine), or PtychoModel.open.',
      {},
    );
  }

  /**
   * Writes the bundle `wts.zip`: all that is known of the model, and its networks as ONNX. Equal models give equal bytes;
   * `PtychoModel.open` of it, in any process, predicts the same bits on the same engine.
   * @param target the file (`….zip`), or a folder, made if missing, which gets a `wts.zip`
   * @returns the file
   * @throws PtychoError OUTPUT_UNWRITABLE
   */
  async save(target: string): Promise<string> {
    const file = target.endsWith('.zip') ? target : path.join(target, BUNDLE_FILE);
    await makeOutputFolder(path.dirname(path.resolve(file)));
    await saveBundle(file, this.bundle, encodeModels(this.#own));
    return file;
  }

  /** Releases what the engine holds for this model, and the engine where it was started for it. May be called twice. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const predictor of this.#predictors.values()) await predictor.dispose();
    if (this.#owned) await this.#engine?.dispose();
  }

  async #inBatches(diffraction: Tensor, offsets: Tensor): Promise<ComplexTensor> {
    const { shape } = diffraction;
    const [B, C, N] = shape;
    const predictor = this.#predictor(offsets);
    const re = new Float32Array(diffraction.data.length);
    const im = new Float32Array(diffraction.data.length);
    const size = C * N * N;
    for (let start = 0; start < B; start += DEFAULT_BATCH) {
      const end = Math.min(B, start + DEFAULT_BATCH);
      const part = ({ data, shape: [, ...rest] }: Tensor, each: number): Tensor => ({
        data: data.subarray(start * each, end * each),
        shape: [end - start, ...rest],
      });
      const patches = await predictor.patches(part(diffraction, size), part(offsets, 2 * C));
      re.set(patches.re, start * size);
      im.set(patches.im, start * size);
    }
    return { re, im, shape };
  }

  #predictor(offsets: Tensor): Predictor {
    const { engine } = this;
    const reach = this.gridsize > 1 ? offsets.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0) : 0;
    const side = Math.max(this.bundle.canvasSide_px, this.N + 2 * Math.ceil(reach));
    let predictor = this.#predictors.get(side);
    if (!predictor) {
      predictor = new Predictor(this.network(side), this.bundle.weights, engine, DEFAULT_BATCH);
      this.#predictors.set(side, predictor);
    }
    return predictor;
  }
}

/** Programs in JavaScript pass anything. @throws PtychoError USAGE */
function requireTensor(given: unknown, what: string): Tensor {
  const { data, shape } = (given ?? {}) as { readonly data?: unknown; readonly shape?: unknown };
  const lengths = Array.isArray(shape) && shape.every((n) => Number.isInteger(n) && n >= 0);
  if (lengths && data instanceof Float32Array) return given as Tensor;
  // Other arrays of numbers are what single precision makes of them.
  if (lengths && ArrayBuffer.isView(data) && !(data instanceof DataView) && !(data instanceof BigInt64Array)) {
    return { data: Float32Array.from(data as unknown as ArrayLike<number>, Number), shape: shape as number[] };
  }
  throw new PtychoError(
    'USAGE',
    `${what} must be a tensor { data, shape } of a typed array and its lengths, found ${describe(given)}.`,
    { expected: '{ data: Float32Array, shape: number[] }' },
  );
}

function describe(given: unknown): string {
  if (given === null || given === undefined) return String(given);
  if (typeof given !== 'object') return `${typeof given} ${JSON.stringify(given)?.slice(0, 40)}`;
  const keys = Object.keys(given).slice(0, 5);
  return keys.length === 0 ? 'an empty object' : `an object with ${keys.join(', ')}`;
}

/** @throws PtychoError DATASET_VALUE */
function requireFinite({ data }: Tensor, what: string): void {
  const at = notFiniteAt(data);
  if (at < 0) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `${what} holds ${data[at]} (value ${at}); a network makes nothing but NaN of it, so repair or mask such pixels.`,
    { found: data[at], index: at },
  );
}

/**
 * [B, …inner] from an array of that shape, or from one with its channels last, as published.
 * @throws PtychoError DATASET_SHAPE
 */
function channelsFirst(x: Tensor, what: string, inner: readonly number[]): Tensor {
  const { data, shape } = x;
  const [C, rows, columns] = inner;
  const [B, ...rest] = shape;
  const is = (expected: readonly number[]) =>
    rest.length === 3 && rest.every((n, i) => n === expected[i]) && data.length === B * C * rows * columns;
  if (is(inner)) return x;
  if (!is([rows, columns, C])) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${what} must have shape (B, ${inner.join(', ')}) for this model, found ${formatShape(shape)}.`,
      { expected: ['B', ...inner], found: shape },
    );
  }
  const area = rows * columns;
  const moved = new Float32Array(data.length);
  for (let b = 0; b < B; b++) {
    for (let c = 0; c < C; c++) {
      for (let p = 0; p < area; p++) moved[(b * C + c) * area + p] = data[(b * area + p) * C + c];
    }
  }
  return { data: moved, shape: [B, ...inner] };
}

/** Who ran it: the engine and device that were used, not those that were hoped for. */
export interface RunBy {
  readonly backend: BackendInfo['name'];
  readonly engine: string;
  readonly device: BackendInfo['device'];
  readonly threads: number;
  readonly versions: { readonly ptychopinn: string; readonly node: string; readonly engine: string };
}

function runBy({ name, engine, device, threads }: BackendInfo): RunBy {
  const versions = { ptychopinn: createdBy.version, node: process.versions.node, engine };
  return { backend: name, engine, device, threads, versions };
}
