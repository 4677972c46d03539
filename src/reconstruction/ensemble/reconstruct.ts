/**
 * One scan through all networks of an ensemble: the mean of their images, how far they differ, and what a solver makes of the mean.
 *
 * @example
 * const models = await openModels('run', { backend: 'onnx' }); // a folder that `train --ensemble 5` wrote
 * const { stitched, spread } = await reconstructEnsemble(models, 'scan.npz');
 */
import type { Backend } from '../../backends/backend.js';
import { imageDefinition } from '../../config/commands.js';
import { completeConfig } from '../../config/resolve.js';
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { openRequestedScan, type PreparedScan } from '../../data/preparedScan.js';
import type { RawData } from '../../data/rawData.js';
import type { Bundle, StoredBundle } from '../../persistence/bundle.js';
import { openMembersOf } from '../../persistence/ensemble.js';
import { type ScanInput, startEngine } from '../inputs.js';
import { modelsOfScan } from '../matching/modelOfScan.js';
import type { StitchedImage } from '../patchStitcher.js';
import {
  type ImageHooks,
  type ImageOptions,
  type ImageRefiner,
  type ImageSettings,
  type ReconstructedScan,
  type Refinement,
  reconstructPrepared,
} from '../pipeline.js';
import { type OpenModelOptions, PtychoModel } from '../ptychoModel.js';
import { groupForModel, probeInCounts, requireSide, scanForModel } from '../scanForModel.js';
import type { Uncertainty } from '../spread.js';
import { meanOfImages } from './members.js';

/** What an ensemble, or one network, made of a scan. */
export interface EnsembleImage<R extends Refinement = Refinement> extends ReconstructedScan<R> {
  /** Standard deviations among the networks; not there for one alone, and for the image of a solver. */
  readonly spread?: Uncertainty;
  /** The images of the networks that came to their end. */
  readonly members: readonly StitchedImage[];
}

/**
 * Opens the networks of an ensemble, or the one of a bundle, on one engine, which the first of them owns.
 * @throws PtychoError as `openMembersOf` and `PtychoModel.open`
 */
export async function openModels(
  path: string,
  options: OpenModelOptions = {},
): Promise<readonly PtychoModel<StoredBundle>[]> {
  const bundles = await openMembersOf(path, options);
  const engine = await startEngine(options, options.logger);
  return bundles.map((bundle, k) => PtychoModel.of(bundle, engine, k === 0 && engine !== options.backend));
}

/**
 * Reconstructs a scan with several networks.
 * @param models of one side and gridsize, on engines
 * @param data a scan as a file, or open
 * @param options those of the image, as `reconstruct` takes them
 * @throws PtychoError as `reconstruct`; DATASET_SHAPE for models of another side
 */
export async function reconstructEnsemble(
  models: readonly PtychoModel[],
  data: ScanInput,
  options: ImageOptions = {},
): Promise<EnsembleImage> {
  const { signal, onProgress, logger, placement, onPatches, ...fields } = options;
  const config = completeConfig(imageDefinition, fields, logger);
  const { N } = firstOf(models);
  const work = async (raw: RawData) => {
    requireSide(raw, N, 'the model');
    const own = await modelsOfScan(models, raw, logger, config.experiment_number);
    const scan = await groupForModel(raw, own[0].bundle, config, logger);
    return reconstructMembers(own, scan, { ...config, placement }, { signal, onProgress, logger, onPatches });
  };
  return typeof data === 'string' ? closing(await openRequestedScan(data, config, logger), work) : work(data);
}

/**
 * {@link reconstructEnsemble} of a scan that is grouped; one model alone goes the way of `reconstructPrepared`. Stopped early, the
 * image is that of the networks that came to their end, or of the first, as far as it came.
 * @throws PtychoError as `reconstructPrepared`; CONFIG_INVALID for `refine_positions` with several models
 */
export async function reconstructMembers<R extends Refinement>(
  models: readonly PtychoModel[],
  scan: PreparedScan,
  settings: ImageSettings,
  hooks: ImageHooks = {},
  refineImage?: ImageRefiner<R>,
): Promise<EnsembleImage<R>> {
  const first = firstOf(models);
  if (models.length === 1) {
    const result = await reconstructPrepared(first, scan, settings, hooks, refineImage);
    return { ...result, members: [result.stitched] };
  }
  const { refine_positions = 0, refine = null, seed = 0 } = settings;
  if (refine_positions > 0) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `refine_positions fits positions to the image of one network, but there are ${models.length}: name one of them (member-1 of the ensemble), or correct the positions with solve first.`,
      { key: 'refine_positions' },
    );
  }
  const done: ReconstructedScan<R>[] = [];
  let cancelled = false;
  for (const [k, model] of models.entries()) {
    if (cancelled) break;
    // Who looks at patches and previews looks at those of the first network.
    const { onPatches: _, previews: __, ...quiet } = hooks;
    const own = scanForModel(scan, model.bundle);
    const result = await reconstructPrepared<R>(
      model,
      own,
      { ...settings, refine: null },
      k === 0 ? hooks : quiet,
      undefined,
      k,
    ).catch((error: unknown) => {
      // Stopped before its first patch: those before it stand.
      if (error instanceof PtychoError && error.code === 'CANCELLED' && done.length > 0) return undefined;
      throw error;
    });
    cancelled = result === undefined || result.cancelled;
    if (result && (k === 0 || !cancelled)) done.push(result);
  }
  const whole = summed(done, cancelled);
  if (refine === null || cancelled) return whole;
  if (!refineImage) throw new Error('no solver was given to refine the image');
  const { raw } = scan;
  const backend: Backend = first.engine;
  const { threads = backend.info.threads } = settings;
  const probe = probeInCounts(first.bundle, raw);
  const solver = await refineImage({ refine, seed, backend, raw, stitched: whole.stitched, probe, threads }, hooks);
  if (!solver) return { ...whole, cancelled: true };
  const { spread: _, ...rest } = whole;
  return { ...rest, stitched: solver.stitched, solver, cancelled: solver.solved.cancelled };
}

/** The results of several networks as one. */
function summed<R extends Refinement>(done: readonly ReconstructedScan<R>[], cancelled: boolean): EnsembleImage<R> {
  const members = done.map(({ stitched }) => stitched);
  const sum = (of: (result: ReconstructedScan<R>) => number) => done.reduce((total, result) => total + of(result), 0);
  const whole = {
    ...done[0],
    members,
    cancelled,
    seconds: sum(({ seconds }) => seconds),
    times: {
      read: sum(({ times }) => times.read),
      predict: sum(({ times }) => times.predict),
      stitch: sum(({ times }) => times.stitch),
    },
  };
  if (members.length < 2) return whole;
  const { mean, spread } = meanOfImages(members);
  return { ...whole, stitched: mean, spread };
}

/** @throws PtychoError USAGE, DATASET_SHAPE */
function firstOf<B extends Bundle>(models: readonly PtychoModel<B>[]): PtychoModel<B> {
  const [first] = models;
  if (!first) throw new PtychoError('USAGE', 'There is no model to reconstruct with; open some with openModels.', {});
  const other = models.find(({ N, gridsize }) => N !== first.N || gridsize !== first.gridsize);
  if (!other) return first;
  throw new PtychoError(
    'DATASET_SHAPE',
    `The models of an ensemble take the same patterns, but one has N ${other.N} and gridsize ${other.gridsize}, the first N ${first.N} and gridsize ${first.gridsize}.`,
    { expected: first.N, found: other.N },
  );
}
