/**
 * The one way from a scan to the image of a network: open, group and scale for the model, reconstruct, fit positions, refine.
 * In memory that depends on the image only; no files.
 */

import type { Backend } from '../backends/backend.js';
import { imageDefinition } from '../config/commands.js';
import type { ImageConfig, InferenceConfig } from '../config/schemas/inference.js';
import { PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import type { ComplexTensor } from '../core/tensor.js';
import type { DiffractionDataset } from '../data/dataset.js';
import { surveyScan } from '../data/findings/survey.js';
import { openScan, type PreparedScan, prepareScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { chooseCropSide } from './frame.js';
import { completeConfig, type ScanInput } from './inputs.js';
import { KeptPatches, type RefinedPositions, refineReconstruction } from './positions/refinePositions.js';
import type { PtychoModel } from './ptychoModel.js';
import {
  LiveScan,
  type PatchPlacement,
  type Preview,
  type PreviewInterval,
  type Reconstruction,
  type ReconstructOptions,
  reconstructDataset,
  streamDataset,
} from './reconstruct.js';
import type { WrittenImage } from './reconstructionFile.js';
import { exposureDoubts, probeFor, probeInCounts, requireSide, scanForModel } from './scanForModel.js';
import type { StitchedImage } from './stitch.js';

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
        | 'uncertainty'
      >
    >,
    Pick<Services, 'signal' | 'onProgress' | 'logger'> {
  readonly data?: Partial<InferenceConfig['data']>;
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
  readonly refined?: RefinedPositions;
  /** The solver that went on from the image, its probe and its history, where that was asked for. */
  readonly solver?: R;
}

/** What {@link reconstructWith} can be asked for besides {@link ImageOptions}. */
export type RefineOptions = Partial<Pick<InferenceConfig, 'refine_positions' | 'position_step_limit_px' | 'refine'>>;

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
  const config = configOf(options);
  const { refine_positions: rounds, position_step_limit_px: stepLimit_px } = config;
  const opened = await openFor(data, config, options);
  try {
    const { scan, image } = await prepare(model, opened.scan, config, options);
    const kept = rounds > 0 ? KeptPatches.for(scan, image.crop_px) : undefined;
    const result = await reconstructDataset({
      ...image,
      onPatches: (patches, batch, index) => {
        kept?.see(patches, batch);
        image.onPatches?.(patches, batch, index);
      },
    });
    if (result.cancelled) return result;
    const { stitched } = result;
    const network = (side: number) => model.network(side);
    const { backend } = image;
    const refined =
      rounds === 0
        ? undefined
        : await refineReconstruction({
            ...{ scan, backend, network, rounds, stepLimit_px, stitched, kept },
            options: image,
          });
    const placed = { ...result, stitched: refined?.stitched ?? stitched, ...(refined ? { refined } : {}) };
    const { refine, seed } = config;
    if (refine === null) return placed;
    if (!refineImage) throw new Error('nobody is there to refine the image');
    const solver = await refineImage(
      {
        ...{ refine, seed, backend, raw: scan.raw, stitched: placed.stitched, positions: refined },
        probe: probeInCounts(model.bundle, scan.raw),
        threads: backend.info.threads,
      },
      options,
    );
    return solver ? { ...placed, stitched: solver.stitched, solver, cancelled: solver.solved.cancelled } : { ...placed, cancelled: true }; // biome-ignore format: one line
  } finally {
    await opened.close();
  }
}

/**
 * The image as it grows; the last preview is the result. A {@link LiveScan} (`liveScanFor(model, …)`) takes patterns while it
 * runs. Leaving the loop ends the work.
 * @throws PtychoError as {@link reconstructWith}
 */
export async function* reconstructStream(
  model: PtychoModel,
  data: ReconstructInput | LiveScan,
  options: ImageOptions & { readonly every?: PreviewInterval } = {},
): AsyncGenerator<Preview, void, void> {
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
    const crop_px = config.stitch_crop_px ?? model.N / 2;
    yield* streamDataset({
      ...imageOptions(model, config, options),
      crop_px,
      dataset: data,
      network: model.network(),
      every,
    });
    return;
  }
  const opened = await openFor(data, config, options);
  try {
    const { image } = await prepare(model, opened.scan, config, options);
    yield* streamDataset({ ...image, every });
  } finally {
    await opened.close();
  }
}

/** @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID */
function configOf(options: ImageOptions & Partial<Pick<InferenceConfig, 'refine_positions' | 'refine'>>): ImageConfig {
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
async function openFor(
  data: ReconstructInput,
  config: ImageConfig,
  { logger }: ImageOptions,
): Promise<{ readonly scan: RawData | PreparedScan; close(): Promise<void> }> {
  if (typeof data !== 'string') return { scan: data, close: async () => {} };
  const scan = await openScan(data, config, logger, { once: true });
  return { scan, close: () => scan.close() };
}

/** Groups a scan for a model where that is not done, and settles how its image is made. */
async function prepare(
  model: PtychoModel,
  data: RawData | PreparedScan,
  config: ImageConfig,
  options: ImageOptions,
): Promise<{
  readonly scan: PreparedScan;
  readonly image: ReconstructOptions & { readonly dataset: DiffractionDataset };
}> {
  const opened = 'groups' in data ? data.raw : data;
  requireSide(opened, model.N, 'the model');
  const raw =
    'groups' in data ? opened : await surveyScan(opened, { accept: config.data.accept, logger: options.logger });
  // Fitting positions reads every pattern in every round.
  const once = config.refine_positions === 0;
  const prepared = 'groups' in data ? data : await prepareScan(raw, config, model.gridsize, options.logger, { once });
  for (const doubt of exposureDoubts(model.bundle, raw, prepared.statistics.meanPower)) options.logger?.warn(doubt);
  const scan = scanForModel(prepared, model.bundle);
  return {
    scan,
    image: {
      ...imageOptions(model, config, options),
      network: model.network(scan.dataset.canvasSide_px),
      dataset: scan.dataset,
      crop_px: config.stitch_crop_px ?? chooseCropSide(raw.xcoords, raw.ycoords, raw.N),
      probe: probeFor(model.bundle, raw).probe,
    },
  };
}

function imageOptions(
  model: PtychoModel,
  config: ImageConfig,
  { placement, onPatches, signal, onProgress }: ImageOptions,
): Omit<ReconstructOptions, 'network' | 'dataset' | 'crop_px'> {
  const { batch_size, patch_weighting, stitching, align_phases, uncertainty } = config;
  return {
    weights: model.bundle.weights,
    backend: model.engine,
    ...{ batch_size, patch_weighting, stitching, align_phases, uncertainty },
    ...{ placement, onPatches, signal, onProgress },
  };
}
