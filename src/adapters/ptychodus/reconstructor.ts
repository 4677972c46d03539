/**
 * One reconstructor of the library: opens or trains a model, and reconstructs with it.
 *
 * @example
 * await pinn.openModel('run/wts.zip');
 * for await (const { product, progress } of pinn.reconstruct({ patterns, product: input, signal })) show(product, progress);
 * for await (const { trainingLoss } of pinn.train('exported', 'run2')) plot(trainingLoss); // the new model is open
 */
import type { Backend } from '../../backends/backend.js';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import type { RawData } from '../../data/rawData.js';
import { writeScan } from '../../data/scanWriter.js';
import type { StoredBundle } from '../../persistence/bundle.js';
import type { ProductLosses } from '../../persistence/product/product.js';
import { projection } from '../../physics/layers.js';
import { modelOfScan } from '../../reconstruction/matching/modelOfScan.js';
import { reconstructStream } from '../../reconstruction/pipeline.js';
import { PtychoModel } from '../../reconstruction/ptychoModel.js';
import type { Preview } from '../../reconstruction/reconstruct.js';
import { doubts, scoreImage } from '../../reconstruction/scanForModel.js';
import { openInput } from './input.js';
import type { LibraryLog } from './logger.js';
import { lossesOf, placeOnObject, productWith } from './output.js';
import { acceptFromSettings, engineFromSettings, imageFromSettings, settingsFromModel } from './settings/configs.js';
import { chosenPath, type PtychoPinnSettings } from './settings/settings.js';
import { openTrainingFolder, runTraining, type TrainedInto } from './training.js';
import {
  type ModelInfo,
  RESULT_CANCELLED,
  RESULT_OK,
  type ReconstructInput,
  type ReconstructOutput,
  type TrainableReconstructor,
  type TrainOutput,
} from './types.js';

/** Progress is counted in percent, so that a host knows its goal before the patterns are known. */
const GOAL = 100;

/** Patterns that are looked at for the loss of a model without a history. */
const MISFIT_PATTERNS = 64;

/** How a {@link PtychoPinnReconstructor} is made. */
export interface ReconstructorOptions {
  readonly name: 'PINN' | 'Supervised';
  readonly settings: PtychoPinnSettings;
  readonly log: LibraryLog;
  /** Always this engine. */
  readonly backend?: 'onnx' | 'tensorflow';
  /** One that runs already; it is left running. */
  readonly engine?: Backend;
}

/** A reconstructor with a model, which it is given or trains. */
export class PtychoPinnReconstructor implements TrainableReconstructor {
  readonly name: 'PINN' | 'Supervised';
  readonly isTrainable = true;
  readonly modelFileFilter = 'Zipped Archive (*.zip)';
  readonly modelFileExtension = '.zip';
  readonly trainingDataFileFilter = 'NumPy Zipped Archive (*.npz)';
  readonly #settings: PtychoPinnSettings;
  readonly #log: LibraryLog;
  readonly #backend: 'onnx' | 'tensorflow' | undefined;
  readonly #engine: Backend | undefined;
  readonly #held = new HeldModel();

  constructor({ name, settings, log, backend, engine }: ReconstructorOptions) {
    this.name = name;
    this.#settings = settings;
    this.#log = log;
    this.#backend = backend;
    this.#engine = engine;
  }

  get #modelType(): 'pinn' | 'supervised' {
    return this.name === 'PINN' ? 'pinn' : 'supervised';
  }

  progressGoal(): number {
    return GOAL;
  }

  /** True when a model is open. */
  isModelLoaded(): boolean {
    return this.#held.current !== undefined;
  }

  /** What is known of the model that is open; undefined where none is. */
  get modelInfo(): ModelInfo | undefined {
    const held = this.#held.current;
    if (!held) return undefined;
    const { bundle, N, gridsize } = held.model;
    const { model_type: modelType, architecture } = bundle.config.model;
    return { path: held.path, N, gridsize, modelType, architecture, backend: bundle.backend };
  }

  /**
   * Opens a bundle, or the folder that holds one (`wts.zip`, `wts.h5.zip`), and starts its engine. The group `PtychoPINNModel` of
   * the settings follows the model, and `ModelPath` its file.
   * @throws PtychoError as `PtychoModel.open`; the model that was open stays open then
   */
  async openModel(path: string): Promise<ModelInfo> {
    const model = await PtychoModel.open(path, {
      ...(this.#engine ? { backend: this.#engine } : engineFromSettings(this.#settings, this.#backend)),
      logger: this.#log,
    });
    const file = (model.bundle as Partial<StoredBundle>).path ?? path;
    const { model_type: modelType } = model.bundle.config.model;
    if (modelType !== this.#modelType) {
      this.#log.warn(
        `${file} was trained as ${modelType}; it reconstructs here all the same, but training starts from scratch as ${this.#modelType}.`,
      );
    }
    await this.#take(model, file);
    return this.modelInfo as ModelInfo;
  }

  /** {@link openModel} under the newer host's name. */
  loadModelFromFile(path: string): Promise<ModelInfo> {
    return this.openModel(path);
  }

  /**
   * Writes the model that is open, a file `….zip` or a `wts.zip` in a folder.
   * @throws PtychoError USAGE where none is open, OUTPUT_UNWRITABLE
   */
  async saveModel(path: string): Promise<void> {
    const held = this.#held.current;
    if (!held) throw noModel();
    this.#held.savedTo(await held.model.save(path));
  }

  /**
   * Reconstructs with the model that is open, or with that of the setting `ModelPath`. Outputs are previews; the last one is the
   * result. Aborting the signal ends with an output of what was done, whose result is `RESULT_CANCELLED`.
   * @throws PtychoError USAGE without a model, and those of input, engine and data
   */
  async *reconstruct(input: ReconstructInput): AsyncGenerator<ReconstructOutput, void, void> {
    const lease = await this.#lease();
    try {
      const losses = lossesOf(lease.model.bundle.history);
      if (input.signal?.aborted) {
        yield this.#nothingDone(input, losses);
        return;
      }
      let raw: RawData | undefined;
      try {
        raw = await openInput(input, this.#log, { accept: acceptFromSettings(this.#settings) });
        yield* this.#outputs(input, raw, lease.model, losses);
      } catch (error) {
        if (!isPtychoError(error, 'CANCELLED')) throw error;
        yield this.#nothingDone(input, losses);
      } finally {
        await raw?.close();
      }
    } finally {
      await lease.release();
    }
  }

  /**
   * Writes a scan to train on, in the published NPZ schema: `diff3d` holds amplitudes (√counts), and `measurement_domain` says so.
   * `Supervised` adds `label`, patches of the input's object.
   * @throws PtychoError OUTPUT_UNWRITABLE, CANCELLED, and those of the input
   */
  async exportTrainingData(path: string, input: ReconstructInput): Promise<void> {
    await closing(
      await openInput(input, this.#log, {
        labels: this.name === 'Supervised',
        accept: acceptFromSettings(this.#settings),
      }),
      async (raw) => {
        await writeScan(path, raw, {
          amplitudes: true,
          transformation: { tool: 'ptychopinn', operation: 'export training data' },
          signal: input.signal,
        });
        this.#log.info(`${raw.count} patterns of ${raw.N}×${raw.N} written to ${path} as amplitudes.`);
      },
    );
  }

  /** The folder of the setting `PtychoPINNTraining/DataDir`. */
  trainingDataPath(): string {
    return this.#settings.training.dataDir.value;
  }

  /**
   * Trains on `train_data.npz` of a folder, and validates on `test_data.npz` where there is one, else on a share of the former.
   * Outputs come epoch by epoch; by the time of the last one the model (of the best epoch) is open, and saved as `wts.zip` in
   * `outputDir` (the setting `OutputDir` where not given). Aborting the signal keeps the best epoch until then.
   * @throws PtychoError FILE_NOT_FOUND, and those of configuration, scans and engine
   */
  async *train(
    inputDir: string,
    outputDir?: string,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<TrainOutput, void, void> {
    const target = this.#outputDir(outputDir);
    const scans = await openTrainingFolder(inputDir, this.#modelType, this.#log, acceptFromSettings(this.#settings));
    try {
      yield* this.#train(scans, target, options.signal);
    } finally {
      await scans.train.close();
      await scans.test?.close();
    }
  }

  /** The same on the patterns and positions of a host, without files between. */
  async *trainOn(input: ReconstructInput, outputDir?: string): AsyncGenerator<TrainOutput, void, void> {
    const target = this.#outputDir(outputDir);
    let raw: RawData | undefined;
    try {
      raw = await openInput(input, this.#log, {
        labels: this.name === 'Supervised',
        accept: acceptFromSettings(this.#settings),
      });
      yield* this.#train({ train: raw }, target, input.signal);
    } catch (error) {
      if (raw !== undefined || !isPtychoError(error, 'CANCELLED')) throw error;
      // Stopped while the scan was opened: nothing was learned.
      const progressGoal = this.#settings.training.numEpochs.value;
      yield { trainingLoss: [], validationLoss: [], progress: 0, progressGoal, result: RESULT_CANCELLED };
    } finally {
      await raw?.close();
    }
  }

  async dispose(): Promise<void> {
    await this.#held.replace(undefined);
  }

  async #lease(): Promise<ModelLease> {
    if (!this.#held.current) {
      const path = chosenPath(this.#settings.inference.modelPath);
      if (path === undefined) throw noModel();
      await this.openModel(path);
    }
    const lease = this.#held.lease();
    if (!lease) throw noModel();
    return lease;
  }

  async *#outputs(
    input: ReconstructInput,
    raw: RawData,
    read: PtychoModel,
    losses: ProductLosses,
  ): AsyncGenerator<ReconstructOutput, void, void> {
    const model = await modelOfScan(read, raw, this.#log);
    const { config, notes } = imageFromSettings(this.#settings, raw.count, model.gridsize);
    for (const note of notes) this.#log.info(note);
    for (const doubt of doubts(model.bundle, raw)) {
      this.#log.warn(doubt);
    }
    const base = projection(input.product.object.array);
    const options = { ...config, signal: input.signal, logger: this.#log };
    for await (const preview of reconstructStream(model, raw, options)) {
      const { object, reached, cut } = placeOnObject(input.product.object, base, preview.stitched);
      if (preview.final) this.#report(input, preview, reached, cut);
      const complete = preview.final && !preview.cancelled;
      const misfit = preview.final && losses.values.length === 0 ? await misfitOf(model, raw, preview) : losses;
      yield {
        product: productWith(input.product, object, misfit),
        progress: complete ? GOAL : Math.min(GOAL - 1, Math.floor((GOAL * preview.patterns) / preview.total)),
        progressGoal: GOAL,
        result: preview.cancelled ? RESULT_CANCELLED : RESULT_OK,
        preview: preview.stitched.image,
      };
    }
  }

  #report({ product }: ReconstructInput, { patterns, total, seconds }: Preview, reached: number, cut: number): void {
    const [layers, height, width] = product.object.array.shape;
    this.#log.info(
      `${patterns} of ${total} patches in ${seconds.toPrecision(3)} s; they reach ${reached} of the ${height * width} pixels of the object, the others keep their values.`,
    );
    if (cut > 0) {
      this.#log.warn(`The image is larger than the object: ${cut} of its pixels lie outside the object and are lost.`);
    }
    if (layers > 1) {
      this.#log.warn(
        `The network makes a thin image; the ${layers} layers of the object are changed alike, so that they come to it.`,
      );
    }
  }

  #nothingDone({ product }: ReconstructInput, losses: ProductLosses): ReconstructOutput {
    return {
      product: productWith(product, product.object, losses),
      progress: 0,
      progressGoal: GOAL,
      result: RESULT_CANCELLED,
    };
  }

  #outputDir(given: string | undefined): string {
    const folder = given ?? chosenPath(this.#settings.training.outputDir);
    if (folder !== undefined) return folder;
    throw new PtychoError(
      'CONFIG_INVALID',
      'There is no folder for the trained model; give one, or set PtychoPINNTraining/OutputDir.',
      { key: 'PtychoPINNTraining/OutputDir' },
    );
  }

  #train(
    scans: { readonly train: RawData; readonly test?: RawData },
    outputDir: string,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<TrainOutput, void, void> {
    return runTraining({
      scans,
      outputDir,
      signal,
      settings: this.#settings,
      modelType: this.#modelType,
      backend: this.#backend,
      engine: this.#engine,
      log: this.#log,
      take: ({ model, file }: TrainedInto) => this.#take(model, file),
    });
  }

  async #take(model: PtychoModel, file: string): Promise<void> {
    await this.#held.replace(model, file);
    for (const note of settingsFromModel(this.#settings, model.bundle.config.model)) this.#log.info(note);
    this.#settings.inference.modelPath.set(file);
  }
}

/** The amplitude R-factor of the image as the one loss of a model that brought no history; epoch 0. */
async function misfitOf(model: PtychoModel, raw: RawData, { stitched }: Preview): Promise<ProductLosses> {
  const fit = await scoreImage(MISFIT_PATTERNS, model.bundle, raw, stitched);
  return fit
    ? { epochs: Int32Array.of(0), values: Float64Array.of(fit.image) }
    : { epochs: new Int32Array(0), values: new Float64Array(0) };
}

function noModel(): PtychoError {
  return new PtychoError(
    'USAGE',
    'No model is open; open one (openModel), train one, or name one in the setting PtychoPINNInference/ModelPath.',
    { key: 'PtychoPINNInference/ModelPath' },
  );
}

/** A model in use; `release` it once. */
interface ModelLease {
  readonly model: PtychoModel;
  readonly path: string;
  release(): Promise<void>;
}

interface Entry {
  readonly model: PtychoModel;
  /** Of the file that it was opened from or saved to. */
  path: string;
  users: number;
  replaced: boolean;
}

/** Holds a model, and disposes of it when it was replaced and nobody uses it any more. */
class HeldModel {
  #entry: Entry | undefined;

  get current(): { readonly model: PtychoModel; readonly path: string } | undefined {
    return this.#entry;
  }

  async replace(model: PtychoModel | undefined, path = ''): Promise<void> {
    const before = this.#entry;
    this.#entry = model && { model, path, users: 0, replaced: false };
    if (!before) return;
    before.replaced = true;
    if (before.users === 0) await before.model.dispose();
  }

  /** Remembers where the model was saved. */
  savedTo(path: string): void {
    if (this.#entry) this.#entry.path = path;
  }

  lease(): ModelLease | undefined {
    const entry = this.#entry;
    if (!entry) return undefined;
    entry.users++;
    return {
      model: entry.model,
      path: entry.path,
      async release() {
        entry.users--;
        if (entry.replaced && entry.users === 0) await entry.model.dispose();
      },
    };
  }
}
