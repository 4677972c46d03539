/**
 * The one way from a scan to the image of a network: open, group and scale for the model, reconstruct, fit positions, refine.
 * Every command and the library go this way; in memory that depends on the image only, and without files.
 */

import type { Backend } from '../backends/backend.js';
import { imageDefinition } from '../config/commands.js';
import { completeConfig } from '../config/resolve.js';
import type { DataConfig } from '../config/schemas/data.js';
import type { ImageConfig, InferenceConfig } from '../config/schemas/inference.js';
import { PtychoError, requireObject } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import type { ComplexTensor } from '../core/tensor.js';
import { surveyScan } from '../data/findings/survey.js';
import { openRequestedScan, type PreparedScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { chooseCropSide } from './frame.js';
import { requireScan, type ScanInput } from './inputs.js';
import { modelOfScan } from './matching/modelOfScan.js';
import { varproScales } from './matching/varpro.js';
import type { StitchedImage } from './patchStitcher.js';
import type { WrittenImage } from './pictures.js';
import { KeptPatches, type RefinedPositions, refineReconstruction } from './positions/refinePositions.js';
import type { PtychoModel } from './ptychoModel.js';
import {
  LiveScan,
  type PatchPlacement,
  type Preview,
  type PreviewInterval,
  type Reconstruction,
  type ReconstructOptions,
  streamDataset,
} from './reconstruct.js';
import {
  exposureDoubts,
  groupForModel,
  probeFor,
  probeInCounts,
  requireSide,
  scanForModel,
  weightsFor,
} from './scanForModel.js';

/** A scan as a file, open, or grouped already. */
export type ReconstructInput = ScanInput | PreparedScan;

/** Fields of the configuration of `infer` that concern the image, see docs/configuration.md, and what callers may add. */
export interface ImageOptions
  extends Partial<
      Pick<
        InferenceConfig,
        | 'n_groups'
        | 'n_subsample'
        | 'subsample_seed'
        | 'sequential_sampling'
        | 'neighbor_count'
        | 'enable_oversampling'
        | 'neighbor_pool_size'
        | 'probe'
        | 'measurement_domain'
        | 'seed'
        | 'batch_size'
        | 'stitch_crop_px'
        | 'patch_weighting'
        | 'stitching'
        | 'align_phases'
        | 'patch_fit'
        | 'stitching_rounds'
        | 'uncertainty'
        | 'varpro_scaling'
        | 'experiment_number'
      >
    >,
    Partial<DataConfig>,
    Pick<Services, 'signal' | 'onProgress' | 'logger'> {
  /** Fields of the block `data`, which may also stand beside the others. */
  readonly data?: Partial<DataConfig>;
  readonly placement?: PatchPlacement;
  /** Sees the patches [B, C, N, N] of every batch before they are stitched; valid only during the call. */
  readonly onPatches?: ReconstructOptions['onPatches'];
}

/** What of {@link ImageOptions} is no field of a configuration. */
const NO_FIELDS = ['signal', 'onProgress', 'logger', 'placement', 'onPatches', 'every'] as const;

/** What a solver is asked to go on from; solvers live on a floor above and are handed in. */
export interface RefineImageRequest {
  /** `lsqml:20`. */
  readonly refine: string;
  readonly seed: number;
  readonly raw: RawData;
  /** Where the patterns are, if not where they were measured. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
  readonly stitched: WrittenImage;
  readonly probe: ComplexTensor | undefined;
  readonly backend?: Backend;
  readonly threads: number | null;
}

/** What every refinement of an image comes to. */
export interface Refinement {
  readonly stitched: StitchedImage;
  readonly solved: { readonly cancelled: boolean };
}

/** Goes on from an image; undefined where it was stopped before its first epoch. */
export type ImageRefiner<R extends Refinement> = (
  request: RefineImageRequest,
  services: Services,
) => Promise<R | undefined>;

/** A finished reconstruction, and where the patterns turned out to be where that was asked for. */
export interface ReconstructedScan<R extends Refinement = Refinement> extends Reconstruction {
  /** Members of all groups, which would each have given a patch. */
  readonly total: number;
  /** Side of the central square of each patch that was stitched. */
  readonly crop_px: number;
  readonly refined?: RefinedPositions;
  /** How long fitting the positions took, and the image at the measured ones. */
  readonly refining?: { readonly seconds: number; readonly before: StitchedImage };
  /** The solver that went on from the image, its probe and its history, where that was asked for. */
  readonly solver?: R;
}

/** What {@link reconstructWith} can be asked for besides {@link ImageOptions}. */
export type RefineOptions = Partial<Pick<InferenceConfig, 'refine_positions' | 'position_step_limit_px' | 'refine'>>;

/** How {@link reconstructPrepared} makes an image: fields of the configuration of `infer`, and what those do not say. */
export interface ImageSettings
  extends Pick<InferenceConfig, 'batch_size' | 'patch_weighting' | 'align_phases' | 'stitch_crop_px'>,
    Partial<
      Pick<InferenceConfig, 'stitching' | 'patch_fit' | 'stitching_rounds' | 'uncertainty' | 'seed' | 'varpro_scaling'>
    >,
    RefineOptions,
    Pick<ReconstructOptions, 'placement' | 'prefetch'> {
  /** Patches count by the intensity of this probe; by that of `probeFor` where not given. */
  readonly weightProbe?: ComplexTensor;
  /** Of the solver that refines; those of the engine where not given, and its own choice for null. */
  readonly threads?: number | null;
}

/** Who watches {@link reconstructPrepared} at work. */
export interface ImageHooks extends Services, Pick<ReconstructOptions, 'onPatches'> {
  /** Makes the image in place of the network: of what others have predicted. */
  readonly imageOf?: (scan: PreparedScan, options: ReconstructOptions, network: number) => Promise<Preview>;
  /** Shows the image on the way; the next preview waits for it. */
  readonly previews?: { readonly every: PreviewInterval; show(preview: Preview): Promise<unknown> };
}

/**
 * Reconstructs a scan with a model.
 * @param refineImage the solver that `refine` names
 * @param options `refine_positions`: rounds of fitting the positions to the image, with `position_step_limit_px`; `refine`: a solver
 * that goes on from there, `algorithm:epochs`
 * @throws PtychoError for anything wrong with options, scan or engine; CANCELLED before the first patch
 */
export async function reconstructWith<R extends Refinement>(
  model: PtychoModel,
  data: ReconstructInput,
  options: ImageOptions & RefineOptions,
  refineImage?: ImageRefiner<R>,
): Promise<ReconstructedScan<R>> {
  requireModel(model);
  const config = configOf(options);
  return closing(await openFor(data, config, options), async (opened) => {
    const { own, scan } = await prepare(model, opened.scan, config, options);
    return await reconstructPrepared(own, scan, { ...config, placement: options.placement }, options, refineImage);
  });
}

/**
 * Reconstructs a scan that is grouped and normalised for the model (`groupForModel`), on the model's engine: patches to an image,
 * positions fitted to it, a solver that goes on from it.
 * @param refineImage the solver that `settings.refine` names
 * @param network which of an ensemble the model is, counted from 0
 * @throws PtychoError those of engine and data; CANCELLED before the first patch
 */
export async function reconstructPrepared<R extends Refinement>(
  model: PtychoModel,
  scan: PreparedScan,
  settings: ImageSettings,
  hooks: ImageHooks = {},
  refineImage?: ImageRefiner<R>,
  network = 0,
): Promise<ReconstructedScan<R>> {
  const { refine_positions: rounds = 0, position_step_limit_px: stepLimit_px = null } = settings;
  const image = await imageOptions(model, scan, settings, hooks);
  const { backend, crop_px } = image;
  const kept = rounds > 0 ? KeptPatches.for(scan, crop_px) : undefined;
  const options: ReconstructOptions = {
    ...image,
    onPatches: (patches, batch, index) => {
      kept?.see(patches, batch);
      image.onPatches?.(patches, batch, index);
    },
  };
  let last = await hooks.imageOf?.(scan, options, network);
  if (!last) {
    for await (const preview of streamDataset({ ...options, every: hooks.previews?.every })) {
      if (preview.final) last = preview;
      else await hooks.previews?.show(preview);
    }
  }
  // The stream throws where it has nothing to show.
  const result = { ...(last as Preview), crop_px };
  if (result.cancelled) return result;
  let placed: ReconstructedScan<R> = result;
  if (rounds > 0) {
    const started = performance.now();
    const { stitched: before } = result;
    const networkOf = (side: number) => model.network(side);
    const refined = await refineReconstruction({ scan, backend, network: networkOf, rounds, stepLimit_px, stitched: before, kept, options }); // biome-ignore format: one call
    const refining = { before, seconds: (performance.now() - started) / 1000 };
    placed = { ...result, stitched: refined.stitched, refined, refining };
  }
  const { refine = null, seed = 0, threads = backend.info.threads } = settings;
  if (refine === null) return placed;
  if (!refineImage) throw new Error('no solver was given to refine the image');
  const { raw } = scan;
  const { stitched, refined: positions } = placed;
  const probe = probeInCounts(model.bundle, raw);
  const solver = await refineImage({ refine, seed, backend, raw, stitched, positions, probe, threads }, hooks);
  return solver
    ? { ...placed, stitched: solver.stitched, solver, cancelled: solver.solved.cancelled }
    : { ...placed, cancelled: true };
}

/**
 * The image as it grows; the last preview is the result. A {@link LiveScan} (`liveScanFor(model, …)`) takes patterns while it
 * runs. Leaving the loop ends the work.
 * @throws PtychoError as `reconstruct`
 */
export async function* reconstructStream(
  model: PtychoModel,
  data: ReconstructInput | LiveScan,
  options: ImageOptions & { readonly every?: PreviewInterval } = {},
): AsyncGenerator<Preview, void, void> {
  requireModel(model);
  const config = configOf(options);
  const { every } = options;
  const whole = config.refine_positions > 0 ? 'refine_positions' : config.refine === null ? undefined : 'refine';
  if (whole) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${whole} needs the whole scan, so there is nothing to stream: use reconstruct.`,
      { key: whole },
    );
  }
  if (data instanceof LiveScan) {
    if (config.varpro_scaling) {
      throw new PtychoError(
        'CONFIG_INVALID',
        'varpro_scaling fits two scales to the whole scan, which is still being measured: leave it out, or reconstruct the scan when it is complete.',
        { key: 'varpro_scaling' },
      );
    }
    const crop_px = config.stitch_crop_px ?? model.N / 2;
    const network = model.network();
    yield* streamDataset({
      ...commonOptions(model, { ...config, placement: options.placement }, options),
      crop_px,
      dataset: data,
      badPixels: data.badPixels,
      network,
      every,
    });
    return;
  }
  const opened = await openFor(data, config, options);
  try {
    const { own, scan } = await prepare(model, opened.scan, config, options);
    const image = await imageOptions(own, scan, { ...config, placement: options.placement }, options);
    yield* streamDataset({ ...image, every });
  } finally {
    await opened.close();
  }
}

/** @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID */
export function configOf(
  options: ImageOptions & Partial<Pick<InferenceConfig, 'refine_positions' | 'refine'>>,
): ImageConfig {
  const fields = Object.entries(options).filter(([key]) => !(NO_FIELDS as readonly string[]).includes(key));
  const config = completeConfig(imageDefinition, Object.fromEntries(fields), options.logger);
  const fits = config.refine_positions > 0 ? 'refine_positions' : config.refine === null ? undefined : 'refine';
  if (fits && options.placement) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${fits} fits patterns to the image where they were measured, so it cannot be used with placement; bring the axes of the scan into order when it is opened (swap_xy, flip_x, flip_y of the block data).`,
      { key: 'placement' },
    );
  }
  return config;
}

/** The scan, opened where it is named; `close` closes it again then. */
export async function openFor(
  data: ReconstructInput,
  config: ImageConfig,
  { logger }: ImageOptions,
): Promise<{ readonly scan: RawData | PreparedScan; close(): Promise<void> }> {
  if (typeof data !== 'string') {
    if (typeof data !== 'object' || data === null || !('groups' in data)) requireScan(data);
    return { scan: data, close: async () => {} };
  }
  const scan = await openRequestedScan(data, config, logger, { once: true });
  return { scan, close: () => scan.close() };
}

/** @throws PtychoError USAGE */
const requireModel = (model: unknown): void =>
  requireObject(model, 'reconstruct takes a model first, of train or PtychoModel.open, and then a scan', ['bundle']);

/** Groups a scan for a model where that is not done; and the model for it, where that was trained on several. */
export async function prepare(
  model: PtychoModel,
  data: RawData | PreparedScan,
  config: ImageConfig,
  { logger }: ImageOptions,
): Promise<{ readonly own: PtychoModel; readonly scan: PreparedScan }> {
  if ('groups' in data) {
    requireSide(data.raw, model.N, 'the model');
    const own = await modelOfScan(model, data.raw, logger, config.experiment_number);
    for (const doubt of exposureDoubts(own.bundle, data.raw, data.statistics.meanPower)) logger?.warn(doubt);
    return { own, scan: scanForModel(data, own.bundle) };
  }
  requireSide(data, model.N, 'the model');
  const raw = await surveyScan(data, { accept: config.data.accept, logger });
  const own = await modelOfScan(model, raw, logger, config.experiment_number);
  // Fitting positions reads every pattern in every round.
  return { own, scan: await groupForModel(raw, own.bundle, config, logger, { once: config.refine_positions === 0 }) };
}

/** How the image of a scan is made; with `varpro_scaling` the scan is gone through once for it. */
export async function imageOptions(model: PtychoModel, scan: PreparedScan, settings: ImageSettings, hooks: ImageHooks) {
  const { raw, dataset } = scan;
  return {
    partScales: settings.varpro_scaling ? await varproScales(model, scan, settings, hooks) : undefined,
    ...commonOptions(model, settings, hooks),
    weights: weightsFor(model.bundle, raw, scan.statistics),
    dataset,
    network: model.network(dataset.canvasSide_px),
    crop_px: settings.stitch_crop_px ?? chooseCropSide(raw.xcoords, raw.ycoords, raw.N),
    probe: settings.weightProbe ?? probeFor(model.bundle, raw).probe,
    badPixels: raw.badPixels,
  };
}

/** What does not depend on the scan. */
function commonOptions(
  model: PtychoModel,
  settings: ImageSettings,
  { onPatches, signal, onProgress }: ImageHooks,
): Omit<ReconstructOptions, 'network' | 'dataset' | 'crop_px'> {
  const { batch_size, patch_weighting, stitching, align_phases, patch_fit, stitching_rounds } = settings;
  const { uncertainty, placement, prefetch } = settings;
  return {
    weights: model.bundle.weights,
    backend: model.engine,
    ...{ batch_size, patch_weighting, stitching, align_phases, patch_fit, stitching_rounds, uncertainty },
    ...{ placement, prefetch, onPatches, signal, onProgress },
  };
}
