/**
 * The published entry points on scans in memory, with the published names of results. They are thin: `train`, `PtychoModel` and
 * `reconstruct` do the work, and are the better start for new programs.
 *
 * @example
 * const [train, test] = [await openDataset('train.npz'), await openDataset('test.npz')];
 * const config = trainingRequestSchema.parse({ nepochs: 20, backend: 'tensorflow' });
 * const { amplitude, phase, results } = await runCdiExample(train, test, config, { do_stitching: true });
 * results.backend; // 'tensorflow', and results.engine, results.device: who really ran
 * await saveOutputs(amplitude, phase, results, 'out');
 * await results.model_instance.dispose();
 */
import type { Backend, BackendInfo } from '../../backends/backend.js';
import type { ExecutionConfig, TrainingRequest } from '../../config/schema.js';
import type { Services } from '../../core/services.js';
import type { ComplexTensor, Tensor } from '../../core/tensor.js';
import type { PreparedScan } from '../../data/preparedScan.js';
import type { RawData } from '../../data/rawData.js';
import type { Bundle } from '../../persistence/bundle.js';
import type { StitchedImage } from '../../reconstruction/patchStitcher.js';
import { DEFAULT_BATCH, type OpenModelOptions, PtychoModel, type RunBy } from '../../reconstruction/ptychoModel.js';
import type { PatchPlacement } from '../../reconstruction/reconstruct.js';
import { scanForModel } from '../../reconstruction/scanForModel.js';
import { placeFactors, transposePatches } from '../../reconstruction/stitching.js';
import type { EpochRecord } from '../../training/judge.js';
import { type TrainServices, trainScans } from '../../training/train.js';
import { reconstruct } from '../../workflows/reconstruct.js';

export type { RunBy } from '../../reconstruction/ptychoModel.js';

/** Column → value of each epoch: every column of `history.csv`, and the published names of the two losses. */
export type CdiHistory = Readonly<Record<string, readonly (number | null)[]>> & {
  readonly train_loss: readonly (number | null)[];
  readonly val_loss?: readonly (number | null)[];
};

/** Patches of a scan and where they lie. */
export interface CdiPatches {
  /** [groups, C, N, N] what each pattern sees of the object. */
  readonly obj: ComplexTensor;
  /** [groups, C, 1, 2] position of each patch's pixel (N/2, N/2), (x, y) in object pixels. */
  readonly global_offsets: Tensor<Float64Array>;
}

/** Results of {@link trainCdiModel}. */
export interface CdiTrainingResults extends RunBy {
  readonly history: CdiHistory;
  readonly history_epochs: number;
  /** The trained model on the engine that trained it: predict, save, and dispose of it. */
  readonly model_instance: PtychoModel;
  readonly models: { readonly diffraction_to_obj: PtychoModel };
  readonly train_container: PreparedScan;
  /** The test scan grouped as the training scan was, when there was one. */
  readonly test_container?: PreparedScan;
  /** The test scan's patches [groups, C, N, N], when there was one. */
  readonly reconstructed_obj?: ComplexTensor;
  readonly cancelled: boolean;
}

/** What {@link reassembleCdiImage} adds. */
export interface CdiImageResults {
  /** [groups, C, N, N] the patches as they were laid down. */
  readonly obj_tensor_full: ComplexTensor;
  /** [groups, C, 1, 2] where they were laid. */
  readonly global_offsets: Tensor<Float64Array>;
  /** |object| and arg object (radians), (rows, columns). */
  readonly recon_amp: Tensor;
  readonly recon_phase: Tensor;
  /** The image with its frame, weights and coverage. */
  readonly stitched: StitchedImage;
}

/** Results of {@link runCdiExample}. */
export interface CdiResults extends CdiTrainingResults, Partial<CdiImageResults> {}

/** How {@link runCdiExample} and {@link reassembleCdiImage} lay patches side by side. */
export interface StitchOptions extends PatchPlacement {
  /** Side of the central square of each patch that is used; 20 as published. */
  readonly M?: number;
  readonly patch_weighting?: 'probe' | 'uniform';
  /** Bring the phases of the patches together before stitching; false, as published (`reconstruct` does it). */
  readonly align_phases?: boolean;
  /** Groups in one prediction; 32. */
  readonly batch_size?: number;
}

/** An image, and all that belongs to it. */
export interface CdiImage {
  readonly amplitude: Tensor;
  readonly phase: Tensor;
  readonly results: CdiImageResults;
}

/** What {@link runCdiExample} returns: the images are null unless stitching was asked for and there was a test scan. */
export interface CdiExample {
  readonly amplitude: Tensor | null;
  readonly phase: Tensor | null;
  readonly results: CdiResults;
}

/**
 * Trains on a scan and, with `do_stitching` and a test scan, reconstructs and stitches that one; on the engine that
 * `config.backend` and `config.execution` name, or on `services.backend`.
 * @throws PtychoError as `train`
 */
export async function runCdiExample(
  train: RawData,
  test: RawData | null,
  config: TrainingRequest,
  options: StitchOptions & { readonly do_stitching?: boolean } = {},
  services: TrainServices = {},
): Promise<CdiExample> {
  const results = await trainCdiModel(train, test, config, services);
  const { test_container, model_instance } = results;
  if (options.do_stitching !== true || !test_container) return { amplitude: null, phase: null, results };
  const image = await reassembleCdiImage(test_container, model_instance, options, services);
  return { amplitude: image.amplitude, phase: image.phase, results: { ...results, ...image.results } };
}

/**
 * Trains on a scan; a test scan validates and is predicted afterwards, otherwise a share of the training groups (`val_fraction`)
 * validates.
 * @throws PtychoError as `train`
 */
export async function trainCdiModel(
  train: RawData,
  test: RawData | null,
  config: TrainingRequest,
  services: TrainServices = {},
): Promise<CdiTrainingResults> {
  const { model, run } = await trainScans(config, { train, test: test ?? undefined }, services);
  return {
    ...model.info,
    history: columnsOf(run.result.history),
    history_epochs: run.result.history.length,
    model_instance: model,
    models: { diffraction_to_obj: model },
    train_container: run.scan,
    test_container: run.test,
    reconstructed_obj: run.test && (await reconstructImage(run.test, model)).obj,
    cancelled: run.result.cancelled,
  };
}

/**
 * Every patch of a grouped scan, by the published call `predict([X × intensity_scale, local_offsets])`. All patches are in memory
 * at once; `reconstruct` is for scans of any length.
 * @throws PtychoError as `PtychoModel.predict`
 */
export async function reconstructImage(container: PreparedScan, model: PtychoModel): Promise<CdiPatches> {
  const { dataset, groups } = scanForModel(container, model.bundle);
  const { count, C } = groups;
  const area = dataset.N ** 2;
  const shape = [count, C, dataset.N, dataset.N];
  const obj = { re: new Float32Array(count * C * area), im: new Float32Array(count * C * area), shape };
  const scale = model.intensityScale;
  for (let start = 0; start < count; start += DEFAULT_BATCH) {
    const indices = Int32Array.from({ length: Math.min(DEFAULT_BATCH, count - start) }, (_, i) => start + i);
    const { diffraction, positions } = await dataset.batch(indices);
    const counts = { data: diffraction.data.map((v) => v * scale), shape: diffraction.shape };
    const patches = await model.predict([counts, positions]);
    obj.re.set(patches.re, start * C * area);
    obj.im.set(patches.im, start * C * area);
  }
  return { obj, global_offsets: { data: Float64Array.from(groups.coordsNn), shape: [count, C, 1, 2] } };
}

/**
 * Predicts every group of a grouped scan and lays the patches side by side: patches are transposed, then their places flipped and
 * scaled, then they are summed by shifts. The container stays as it is.
 * @throws PtychoError as `reconstruct`
 */
export async function reassembleCdiImage(
  container: PreparedScan,
  model: PtychoModel,
  options: StitchOptions = {},
  services: Pick<Services, 'signal' | 'onProgress' | 'logger'> = {},
): Promise<CdiImage> {
  const { M = 20, patch_weighting = 'probe', align_phases = false, batch_size = DEFAULT_BATCH } = options;
  const { transpose, flip_x, flip_y, coord_scale } = options;
  const { signal, onProgress, logger } = services;
  const { count, C, coordsNn } = container.groups;
  const { N } = model;
  const size = count * C * N * N;
  const patches = { re: new Float32Array(size), im: new Float32Array(size), shape: [count, C, N, N] };
  let at = 0;
  const { stitched } = await reconstruct(model, container, {
    ...{ patch_weighting, align_phases, batch_size, signal, onProgress, logger, stitch_crop_px: M },
    placement: { transpose, flip_x, flip_y, coord_scale },
    onPatches: ({ re, im }) => {
      patches.re.set(re, at);
      patches.im.set(im, at);
      at += re.length;
    },
  });
  if (transpose) for (const part of [patches.re, patches.im]) transposePatches(part, N);
  const { x, y } = placeFactors({ flip_x, flip_y, coord_scale });
  const places = Float64Array.from(coordsNn, (v, i) => v * (i % 2 === 0 ? x : y));
  const { re, im, shape } = stitched.image;
  const amplitude = { data: re.map((v, i) => Math.hypot(v, im[i])), shape };
  const phase = { data: re.map((v, i) => Math.atan2(im[i], v)), shape };
  return {
    amplitude,
    phase,
    results: {
      obj_tensor_full: patches,
      global_offsets: { data: places, shape: [count, C, 1, 2] },
      recon_amp: amplitude,
      recon_phase: phase,
      stitched,
    },
  };
}

/** {@link runCdiExample} by its other published name: both run on the backend that the configuration names. */
export const runCdiExampleWithBackend = runCdiExample;

/** {@link trainCdiModel} by its other published name. */
export const trainCdiModelWithBackend = trainCdiModel;

/** A bundle on a running engine. */
export interface CdiBundle extends RunBy {
  /** Predict with it, and dispose of it. */
  readonly model: PtychoModel;
  /** The configuration under the names of the Python tools, with `intensity_scale`; the caller's own. */
  readonly params: Record<string, unknown>;
  /** The backend that trained the bundle; any backend runs it. */
  readonly trainedBy: Bundle['backend'];
}

/**
 * Opens the bundle in a folder (or the bundle itself) for prediction. The parameters are returned, and nothing else changes.
 * @throws PtychoError FILE_NOT_FOUND where there is no such folder or no bundle in it; BUNDLE_INVALID for a file that is no bundle of
 * ours (those of the Python tools cannot be opened), is damaged, or holds no model; WEIGHTS_MISMATCH; BACKEND_MISSING;
 * ACCELERATOR_MISSING
 */
export async function loadInferenceBundle(dir: string, options: OpenModelOptions = {}): Promise<CdiBundle> {
  const model = await PtychoModel.open(dir, options);
  return { ...model.info, model, params: model.params, trainedBy: model.bundle.backend };
}

/**
 * {@link loadInferenceBundle} on the backend that is named.
 * @throws PtychoError as {@link loadInferenceBundle}
 */
export function loadInferenceBundleWithBackend(
  dir: string,
  choice: { readonly backend: BackendInfo['name'] | Backend; readonly execution?: Partial<ExecutionConfig> },
  services: Pick<Services, 'logger'> = {},
): Promise<CdiBundle> {
  return loadInferenceBundle(dir, { ...choice, logger: services.logger });
}

function columnsOf(history: readonly EpochRecord[]): CdiHistory {
  const names = new Set(history.flatMap((r) => Object.keys(r) as (keyof EpochRecord)[]));
  const columns = Object.fromEntries([...names].map((name) => [name, history.map((r) => r[name] ?? null)]));
  return { ...columns, train_loss: history.map((r) => r.loss) };
}
