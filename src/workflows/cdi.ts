/**
 * The published entry points on scans in memory: train, reconstruct, stitch. Each is given an engine; the variants
 * `…WithBackend` start the one that the configuration names, and stop it again.
 *
 * @example
 * const train = await openDataset('train.npz');
 * const test = await openDataset('test.npz');
 * const config = trainingRequestSchema.parse({ nepochs: 20, backend: 'tensorflow' });
 * const { amplitude, phase, results } = await runCdiExampleWithBackend(train, test, config, { do_stitching: true });
 * results.backend; // 'tensorflow', and results.engine, results.device: who really ran
 */
import type { Backend, BackendInfo } from '../backends/backend.js';
import { describeEngine, selectBackend } from '../backends/select.js';
import { type ExecutionConfig, executionConfigSchema, type TrainingRequest } from '../config/schema.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import type { BundleContent } from '../persistence/bundle.js';
import type { StitchedImage } from '../reconstruction/stitch.js';
import { modelOf, type OpenedModel, openModel, type TrainedNetwork } from './model.js';
import { type PatchPlacement, reconstruct } from './reconstruct.js';
import type { PreparedScan } from './scan.js';
import type { WorkflowServices } from './services.js';
import type { EpochRecord } from './trainLoop.js';
import { trainModel } from './trainModel.js';
import { createdBy } from './version.js';

/** Who ran it: the engine and device that were used, not those that were hoped for. */
export interface RunBy {
  readonly backend: BackendInfo['name'];
  readonly engine: string;
  readonly device: BackendInfo['device'];
  readonly threads: number;
  readonly versions: { readonly ptychopinn: string; readonly node: string; readonly engine: string };
}

/** Results of {@link trainCdiModel}. */
export interface CdiTrainingResults extends RunBy {
  /** Column → value of each epoch: `train_loss`, `val_loss` and every column of `history.csv`. */
  readonly history: Readonly<Record<string, readonly (number | null)[]>>;
  readonly history_epochs: number;
  /** The trained network, ready for {@link reassembleCdiImage} or `saveBundle(path, results.model.bundle, …)`. */
  readonly model: TrainedNetwork;
  readonly train: PreparedScan;
  /** The test scan grouped as the training scan was, when there was one. */
  readonly test?: PreparedScan;
  readonly cancelled: boolean;
}

/** Results of {@link runCdiExample}. */
export interface CdiResults extends CdiTrainingResults {
  readonly stitched?: StitchedImage;
}

/** How {@link runCdiExample} and {@link reassembleCdiImage} lay patches side by side. */
export interface StitchOptions extends PatchPlacement {
  /** Side of the central square of each patch that is used; 20 as published. */
  readonly M?: number;
  readonly patch_weighting?: 'probe' | 'uniform';
  /** Groups in one prediction; 32. */
  readonly batch_size?: number;
}

/** What {@link runCdiExample} returns: the images are null unless stitching was asked for and there was a test scan. */
export interface CdiExample {
  /** |object| (rows, columns). */
  readonly amplitude: Tensor | null;
  /** arg object (rows, columns), radians. */
  readonly phase: Tensor | null;
  readonly results: CdiResults;
}

/**
 * Trains on a scan and, with `do_stitching` and a test scan, reconstructs and stitches that one.
 * @throws PtychoError as `trainModel`
 */
export async function runCdiExample(
  train: RawData,
  test: RawData | null,
  config: TrainingRequest,
  options: StitchOptions & { readonly do_stitching?: boolean },
  backend: Backend,
  services: WorkflowServices = {},
): Promise<CdiExample> {
  const results = await trainCdiModel(train, test, config, backend, services);
  if (options.do_stitching !== true || results.test === undefined) return { amplitude: null, phase: null, results };
  const { amplitude, phase, stitched } = await reassembleCdiImage(
    results.test,
    results.model,
    options,
    backend,
    services,
  );
  return { amplitude, phase, results: { ...results, stitched } };
}

/**
 * Trains on a scan; a test scan validates, otherwise a share of the training groups (`val_fraction`) does.
 * @throws PtychoError as `trainModel`
 */
export async function trainCdiModel(
  train: RawData,
  test: RawData | null,
  config: TrainingRequest,
  backend: Backend,
  services: WorkflowServices = {},
): Promise<CdiTrainingResults> {
  const trained = await trainModel(config, { train, test: test ?? undefined }, backend, services);
  return {
    ...runBy(backend.info),
    history: columnsOf(trained.result.history),
    history_epochs: trained.result.history.length,
    model: modelOf<BundleContent>(trained.content),
    train: trained.scan,
    test: trained.test,
    cancelled: trained.result.cancelled,
  };
}

/** Predicts every group of a prepared scan and stitches the patches into one image. */
export async function reassembleCdiImage(
  scan: PreparedScan,
  model: TrainedNetwork,
  options: StitchOptions,
  backend: Backend,
  services: WorkflowServices = {},
): Promise<{ readonly amplitude: Tensor; readonly phase: Tensor; readonly stitched: StitchedImage }> {
  const network = model.network(Math.max(scan.dataset.canvasSide_px, model.bundle.canvasSide_px));
  const { stitched } = await reconstruct({
    network,
    weights: model.bundle.weights,
    backend,
    dataset: scan.dataset,
    batch_size: options.batch_size ?? 32,
    crop_px: options.M ?? 20,
    patch_weighting: options.patch_weighting ?? 'probe',
    probe: scan.raw.probeGuess,
    placement: options,
    signal: services.signal,
    onProgress: services.onProgress,
  });
  return { ...amplitudeAndPhase(stitched.image), stitched };
}

/** {@link runCdiExample} on the backend that `config.backend` and `config.execution` name. */
export async function runCdiExampleWithBackend(
  train: RawData,
  test: RawData | null,
  config: TrainingRequest,
  options: StitchOptions & { readonly do_stitching?: boolean } = {},
  services: WorkflowServices = {},
): Promise<CdiExample> {
  return withBackend(config, services, (backend) => runCdiExample(train, test, config, options, backend, services));
}

/** {@link trainCdiModel} on the backend that `config.backend` and `config.execution` name. */
export async function trainCdiModelWithBackend(
  train: RawData,
  test: RawData | null,
  config: TrainingRequest,
  services: WorkflowServices = {},
): Promise<CdiTrainingResults> {
  return withBackend(config, services, (backend) => trainCdiModel(train, test, config, backend, services));
}

/** A bundle on a running engine; `dispose` it. */
export interface LoadedModel extends RunBy {
  readonly model: OpenedModel;
  /** The backend that trained the bundle; any backend runs it. */
  readonly trainedBy: BundleContent['backend'];
  /**
   * Diffraction to object.
   * @param X [B, C, N, N] amplitudes normalised to mean Σ X² = (N/2)².
   * @param localOffsets [B, C, 1, 2] group centre − member, (x, y) in pixels.
   * @returns [B, C, N, N] in the object's units.
   */
  predict(X: Tensor, localOffsets: Tensor): Promise<ComplexTensor>;
  dispose(): Promise<void>;
}

/**
 * Opens a bundle and starts the engine that is named, whichever trained it.
 * @throws PtychoError FILE_NOT_FOUND, BUNDLE_INVALID, WEIGHTS_MISMATCH, BACKEND_MISSING, ACCELERATOR_MISSING
 */
export async function loadInferenceBundleWithBackend(
  path: string,
  choice: { readonly backend: BackendInfo['name']; readonly execution?: ExecutionConfig },
  services: WorkflowServices = {},
): Promise<LoadedModel> {
  // The bundle first: an engine that was started for a broken file would have to be stopped again.
  const model = await openModel(path);
  const execution = choice.execution ?? executionConfigSchema.parse({});
  const backend = await selectBackend({ backend: choice.backend, execution }, services.logger);
  const network = model.network(model.bundle.canvasSide_px);
  const programs = new Map<number, ReturnType<Backend['compile']>>();
  return {
    ...runBy(backend.info),
    model,
    trainedBy: model.bundle.backend,
    async predict(X, localOffsets) {
      const batch = X.shape[0];
      let program = programs.get(batch);
      if (program === undefined) {
        program = backend.compile(network.predict(batch), { constants: model.bundle.weights });
        programs.set(batch, program);
      }
      const out = await (await program).run({ input: X, input_positions: localOffsets });
      return { re: out.object_real.data, im: out.object_imag.data, shape: out.object_real.shape } as ComplexTensor;
    },
    dispose: () => backend.dispose(),
  };
}

async function withBackend<T>(
  config: TrainingRequest,
  services: WorkflowServices,
  work: (backend: Backend) => Promise<T>,
): Promise<T> {
  const backend = await selectBackend(config, services.logger);
  try {
    services.logger?.info(describeEngine(backend.info));
    return await work(backend);
  } finally {
    await backend.dispose();
  }
}

function runBy({ name, engine, device, threads }: BackendInfo): RunBy {
  const versions = { ptychopinn: createdBy.version, node: process.versions.node, engine };
  return { backend: name, engine, device, threads, versions };
}

/** The history by columns, with the published names for the two losses. */
function columnsOf(history: readonly EpochRecord[]): Record<string, (number | null)[]> {
  const columns: Record<string, (number | null)[]> = { train_loss: history.map((r) => r.loss) };
  for (const key of Object.keys(history[0] ?? {}) as (keyof EpochRecord)[]) columns[key] = history.map((r) => r[key]);
  return columns;
}

function amplitudeAndPhase({ re, im, shape }: ComplexTensor): { amplitude: Tensor; phase: Tensor } {
  return {
    amplitude: { data: re.map((v, i) => Math.hypot(v, im[i])), shape },
    phase: { data: re.map((v, i) => Math.atan2(im[i], v)), shape },
  };
}
