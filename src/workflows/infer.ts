/**
 * `infer`: a bundle and a scan in, an image out. Writes `reconstruction.npz`, `reconstructed_amplitude.png`,
 * `reconstructed_phase.png`, both uncertainties as pictures and `run.json` to `output_dir`; on request also
 * `comparison_plot.png`, `positions.npz`, `logs/patch_stats.csv` and a folder of what happened on the way. With `refine` the image is
 * that of a solver which began with the network's. Of an ensemble it is the mean of its networks, with how far they differ. A part of the
 * scan for one of several processes (`shard`) is `shard.npz` and `run.json`.
 */

import path from 'node:path';
import { startEngines } from '../backends/peers.js';
import { describeEngine } from '../backends/select.js';
import { inferenceDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { InferenceConfig, PartOf } from '../config/schema.js';
import { checkModelClaim } from '../config/schemas/model.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import type { Provenance, Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { type PartOfMany, parsePart } from '../data/grouping/cutByPosition.js';
import { openRequestedScan, type PreparedScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { imageBesideTruth, knownObject } from '../evaluation/besideTruth.js';
import { drawingFiles, json, writeAtomically, writeDrawing } from '../formats/outputFiles.js';
import { type FolderClaim, type OwnedFolder, withOutputFolder } from '../formats/outputs.js';
import { openBundle, type StoredBundle } from '../persistence/bundle.js';
import {
  ENSEMBLE_FILE,
  type EnsembleMember,
  memberFolder,
  openMembersOf,
  weightsSha256,
  writeEnsemble,
} from '../persistence/ensemble.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import type { PartScales } from '../physics/varpro.js';
import {
  type Calibration,
  calibratedImages,
  findCalibration,
  intervalsOf,
} from '../reconstruction/ensemble/calibration.js';
import { reconstructMembers } from '../reconstruction/ensemble/reconstruct.js';
import { PAGE_FILE, writeImagePage } from '../reconstruction/imagePage.js';
import { settingsOf } from '../reconstruction/imageRecord.js';
import { modelsOfScan } from '../reconstruction/matching/modelOfScan.js';
import { DebugDump, DUMP_FILES, PATCH_STATS_FILE, PatchStatsLog } from '../reconstruction/patchRecords.js';
import type { StitchedImage } from '../reconstruction/patchStitcher.js';
import { checkPhaseRange, picturesFor, writePreviewPictures } from '../reconstruction/pictures.js';
import type { ImageHooks, ReconstructedScan } from '../reconstruction/pipeline.js';
import {
  meanMove,
  type RefinementSummary,
  writeRefinedPositions,
} from '../reconstruction/positions/refinePositions.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { RECONSTRUCTION_FILES, writeReconstruction } from '../reconstruction/reconstructionFile.js';
import { type ImageRFactor, scoreR } from '../reconstruction/rFactor.js';
import { doubts, groupForModel, requireSide, scanForModel, scoreImage } from '../reconstruction/scanForModel.js';
import { imageOfShards } from '../reconstruction/shards/merge.js';
import { type ShardSummary, writeShardOf } from '../reconstruction/shards/shard.js';
import { SHARD_FILE, shardFolders } from '../reconstruction/shards/shardFile.js';
import { probeFigure } from '../report/probe.js';
import { positionShiftMap } from '../report/scanMap.js';
import {
  type RefinedImage,
  refineImage,
  refinementRecord,
  refinementSummary,
  type SolverSummary,
} from '../solvers/refineImage.js';
import { type AdaptationRecord, adaptModel } from '../training/adapt.js';

export interface InferStage {
  readonly name: string;
  readonly seconds: number;
  readonly patternsPerSecond: number;
}

/** What an inference came to. */
export interface InferSummary {
  readonly stages: readonly InferStage[];
  readonly patterns: number;
  readonly outputDir: string;
  readonly files: readonly string[];
  /** Share of the frame that some patch covers. */
  readonly coverage: number;
  /** Amplitude R-factor of the image on (a sample of) the scan, and that of the best constant object. */
  readonly rFactor?: ImageRFactor;
  readonly refinement?: RefinementSummary;
  /** What real and imaginary parts were multiplied by, where `varpro_scaling` was asked for; of an ensemble, those of its first network. */
  readonly varpro?: PartScales;
  /** What going on on the scan came to, of each network, where that was asked for. */
  readonly adaptations?: readonly AdaptationRecord[];
  /** What a solver made of the image, where that was asked for. */
  readonly solver?: SolverSummary;
  readonly stitched: StitchedImage;
  /** Ended early: image and files are of the patterns until then. */
  readonly cancelled: boolean;
}

/**
 * Reconstructs a scan with a trained bundle. Cancelled, it writes the image of what was done by then.
 * @throws PtychoError for anything wrong with configuration, bundle, scan, engine or output folder; CANCELLED before the
 * first patch
 */
export async function inferWorkflow(given: PartOf<InferenceConfig>, services: Services = {}): Promise<InferSummary> {
  const config = wholeConfig(inferenceDefinition, given, services.logger);
  checkPhaseRange(config);
  if (config.save_adapted && config.adapt === 0) {
    throw new PtychoError(
      'CONFIG_INVALID',
      'save_adapted writes a network that went on on the scan; say for how many epochs with adapt.',
      { key: 'save_adapted' },
    );
  }
  if (config.shard !== null) {
    throw new PtychoError('USAGE', 'A part of a scan (shard) is no image: call inferShardWorkflow for it.', {});
  }
  if (config.from_shards.length > 0) requireWholeScan(config, [...NEEDS_WHOLE, 'log_patch_stats', 'debug_dump']);
  return withOutputFolder(config.output_dir, claimOf(config), services, (folder) =>
    inferInto(folder, config, { ...services, signal: folder.signal }),
  );
}

async function inferInto(folder: OwnedFolder, config: InferenceConfig, services: Services): Promise<InferSummary> {
  const { logger = silentLogger } = services;
  return withModelsAndScan(config, services, async ({ bundles, raw, models, opening }) => {
    const calibration = await findCalibration(config.model_path, bundles.map(weightsSha256), {
      ...{ named: config.calibration, logger },
      // Of no use to a solver's image, which has no intervals.
      images: config.refine === null ? calibratedImages(config) : undefined,
    });
    if (config.comparison_plot) knownObject(raw);
    const [{ bundle }] = models;
    // Fitting positions reads every pattern in every round.
    const once = config.refine_positions === 0 && models.length === 1 && config.adapt === 0;
    const scan = await groupForModel(raw, bundle, config, logger, { once });
    const opened = (performance.now() - opening) / 1000;
    await folder.make();
    return await closing(await startEngines(config, logger), async (backend) => {
      logger.info(describeEngine(backend.info));
      const given = models.map((member) => member.on(backend));
      const adapted = config.adapt > 0 ? await adaptModels(given, raw, config, services) : undefined;
      const running = adapted?.map((member) => member.model) ?? given;
      const adaptations = adapted?.map(({ record }) => record);
      const known = adaptations?.some(({ kept }) => kept === 'adapted') ? undefined : calibration;
      if (calibration && !known)
        logger.info('The calibration is that of the bundle: the adapted network has no intervals.');
      return await inferPrepared(config, services, { models: running, scan, opened, calibration: known, adaptations });
    });
  });
}

/** What a part of a scan cannot do, because it needs the whole scan. */
const NEEDS_WHOLE = ['adapt', 'refine_positions', 'save_adapted', 'varpro_scaling'] as const;

/** @throws PtychoError CONFIG_INVALID for a field of these that is set */
function requireWholeScan(config: InferenceConfig, names: readonly (keyof InferenceConfig)[]): void {
  const set = names.find((name) => config[name] !== null && config[name] !== false && config[name] !== 0);
  if (set === undefined) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `${set} needs the whole scan in one process, so it does not go with shard and from_shards: leave it out, or infer without them${set === 'adapt' ? ' (adapt with --save_adapted first; its wts.zip can be shared out)' : ''}.`,
    { key: set },
  );
}

/** Bundles and a scan that fit each other. */
interface ModelsAndScan {
  /** One, or those of an ensemble. */
  readonly bundles: readonly StoredBundle[];
  readonly models: readonly PtychoModel[];
  readonly raw: RawData;
  /** When opening began, as `performance.now` has it. */
  readonly opening: number;
}

/**
 * Opens what `infer` names, and closes the scan afterwards. What cannot be reconstructed as asked is refused before anything is started.
 * @throws PtychoError those of bundle and scan
 */
async function withModelsAndScan<T>(
  config: InferenceConfig,
  services: Services,
  work: (opened: ModelsAndScan) => Promise<T>,
): Promise<T> {
  const { logger = silentLogger } = services;
  const bundles = await openMembersOf(config.model_path, mlflowAccess(config.execution));
  const read = bundles.map((member) => PtychoModel.of(member));
  const [first] = bundles;
  checkModelClaim(config.model, first.config.model, first.path);
  const opening = performance.now();
  return closing(
    await openRequestedScan(config.test_data_file, config, logger, { once: true, signal: services.signal }),
    async (raw) => {
      requireSide(raw, first.config.model.N, first.path);
      const models = await modelsOfScan(read, raw, logger, config.experiment_number);
      for (const doubt of doubts(models[0].bundle, raw)) logger.warn(doubt);
      return await work({ bundles, models, raw, opening });
    },
  );
}

/** The options of an image that a configuration of `infer` says. */
function imageSettingsOf(config: InferenceConfig) {
  const { execution } = config;
  return {
    ...config,
    batch_size: execution.inference_batch_size ?? config.batch_size,
    // A solver's image has no patches that could disagree.
    uncertainty: config.uncertainty && config.refine === null,
    prefetch: execution.prefetch_factor ?? undefined,
    threads: execution.threads,
  };
}

function claimOf(config: InferenceConfig): FolderClaim {
  const dump = config.debug_dump;
  return {
    command: 'infer',
    overwrite: config.overwrite,
    results: [
      ...RECONSTRUCTION_FILES,
      PAGE_FILE,
      'run.json',
      ...(config.save_adapted ? ['wts.zip', ENSEMBLE_FILE] : []),
      ...(config.refine_positions > 0 ? ['positions.npz'] : []),
      ...(config.comparison_plot ? drawingFiles('comparison_plot') : []),
      ...(config.log_patch_stats ? [PATCH_STATS_FILE] : []),
    ],
    files: dump === null ? [] : DUMP_FILES.map((name) => ['debug_dump', path.join(dump, name)] as const),
  };
}

/** What an image is made of. */
interface Opened {
  /** One, or the networks of an ensemble. */
  readonly models: readonly PtychoModel[];
  readonly scan: PreparedScan;
  /** Seconds that opening and grouping took. */
  readonly opened: number;
  readonly calibration: Calibration | undefined;
  /** What going on on the scan came to, of each model. */
  readonly adaptations?: readonly AdaptationRecord[];
}

/** Lets each network go on on the scan. */
async function adaptModels(models: readonly PtychoModel[], raw: RawData, config: InferenceConfig, services: Services) {
  const adapted: Awaited<ReturnType<typeof adaptModel>>[] = [];
  for (const model of models) {
    const one = await adaptModel(model, raw, config, services);
    const { kept, before, after, heldOut } = one.record;
    if (kept === 'bundle') {
      services.logger?.warn(
        `The network that went on on the scan is not used: R of ${heldOut} held-out patterns is ${after.toPrecision(3)} with it and ${before.toPrecision(3)} without; fewer epochs or a smaller adapt_learning_rate may help.`,
      );
    }
    adapted.push(one);
  }
  return adapted;
}

/** Writes the networks that an image was made with. @returns the names of the files */
async function saveModels(folder: string, models: readonly PtychoModel[]): Promise<string[]> {
  if (models.length === 1) {
    await models[0].save(folder);
    return ['wts.zip'];
  }
  const members: EnsembleMember[] = [];
  for (const [k, model] of models.entries()) {
    const below = memberFolder(k + 1);
    const sha256 = weightsSha256(await openBundle(await model.save(path.join(folder, below))));
    members.push({ folder: below, seed: model.bundle.config.seed, sha256 });
  }
  return [await writeEnsemble(folder, members), ...members.map((member) => `${member.folder}/wts.zip`)];
}

/** Everything is open: makes the image, scores it and writes the files. */
async function inferPrepared(
  config: InferenceConfig,
  services: Services,
  { models, scan, opened, calibration, adaptations }: Opened,
): Promise<InferSummary> {
  const [model] = models;
  const { output_dir: folder } = config;
  const { bundle } = model;
  const { raw, groups } = scan;
  const dump = config.debug_dump === null ? undefined : new DebugDump(config.debug_dump);
  const stats = config.log_patch_stats
    ? await PatchStatsLog.open(folder, { limit: config.patch_stats_limit })
    : undefined;
  const settings = imageSettingsOf(config);
  const shards = await shardFolders(config.from_shards);
  const hooks: ImageHooks = {
    ...services,
    ...(shards.length > 0 && { imageOf: (own, options, network) => imageOfShards(own, options, shards, network) }),
    onPatches: (patches, batch, index) => {
      stats?.add({ batch: index }, patches);
      dump?.see(patches, batch);
    },
    previews:
      config.preview_seconds === null
        ? undefined
        : {
            every: { seconds: config.preview_seconds },
            show: ({ stitched }) => writePreviewPictures(folder, stitched, config),
          },
  };
  const result = await reconstructMembers(models, scan, settings, hooks, refineImage);
  if (result.unaligned) {
    services.logger?.warn(
      'The phases of the patches were not aligned: the folder for temporary files has no room for them; free some, or set TMPDIR to another disk.',
    );
  }
  const { refined, refining, solver, spread } = result;
  const intervals =
    calibration && !solver
      ? intervalsOf({ ensemble: spread, overlap: result.stitched.uncertainty }, calibration)
      : undefined;
  const stitched = { ...result.stitched, ...(spread && { spread }), ...(intervals && { intervals }) };
  const writing = performance.now();
  const pictures = picturesFor(config, raw.geometry.objectPixel_m);
  const networks = models.length > 1 ? ` (${models.length} networks)` : '';
  const algorithm = `PtychoPINN ${bundle.config.model.architecture}${networks}${solver ? ` refined by ${solver.algorithm}` : ''}`;
  const files = await writeReconstruction(folder, stitched, {
    algorithm,
    sampleIndices: raw.sampleIndices,
    groups,
    geometry: raw.geometry,
    provenance: { scan: raw.source, model: config.model_path, settings: settingsOf(config) },
    pictures,
    arrays: solver && { reconstructed_probe: solver.solved.probe },
  });
  if (config.save_adapted) files.push(...(await saveModels(folder, models)));
  if (refined) files.push(await writeRefinedPositions(folder, raw, refined));
  if (config.comparison_plot) {
    const plot = imageBesideTruth(stitched, knownObject(raw), raw, config, { pixelSize_m: raw.geometry.objectPixel_m?.x, window: config.window }); // biome-ignore format: one call
    files.push(...(await writeDrawing(folder, 'comparison_plot', plot, pictures.formats)));
  }
  if (stats) {
    await stats.flush();
    files.push('logs/patch_stats.csv');
  }
  await dump?.write(groups, stitched);
  const written = (performance.now() - writing) / 1000;
  const limit = config.r_factor_patterns;
  const rFactor = await (solver
    ? scoreR(
        raw,
        { ...stitched, layers: solver.solved.layers },
        { limit, probe: solver.solved.probe, of: 'reconstruction', positions: refined },
      )
    : scoreImage(limit, bundle, raw, stitched, refined));
  const refinement = refined && {
    rounds: refined.rounds.length,
    meanMove_px: meanMove(raw, refined),
    rFactorBefore: refining && (await scoreImage(limit, bundle, raw, refining.before))?.image,
  };
  const stages = stagesOf(result, opened, written);
  await writeAtomically(
    path.join(folder, 'run.json'),
    json({
      config,
      provenance: services.provenance as Provenance | undefined,
      cancelled: result.cancelled,
      stages,
      stitch_crop_px: result.crop_px,
      coverage: stitched.coverage,
      patches_given: result.total,
      patches_used: stitched.patches,
      phase_spread_rad: result.phaseSpreadRad,
      varpro: result.partScales,
      networks: models.length,
      adaptation: adaptations,
      networks_used: result.members.length,
      intervals: intervals && { level: intervals.level, from: intervals.from, calibrated_on: calibration?.scans },
      skipped_positions: groups.skipped,
      r_factor: rFactor,
      refinement: refinement && { ...refinement, history: refined.rounds },
      solver: solver && refinementRecord(solver),
      backend: model.engine.info,
      node: process.version,
      version: createdBy.version,
    }),
  );
  files.push('run.json');
  const shift = refined && { measured: { xs: raw.xcoords, ys: raw.ycoords }, corrected: refined, ...pictures };
  const page = await writeImagePage(folder, {
    command: 'infer',
    title: `${algorithm} of ${path.basename(raw.source)}`,
    summary: `${counted(result.patterns, 'pattern')} with ${config.model_path}, ${(100 * stitched.coverage).toFixed(0)} % of the frame covered.`,
    warnings: result.cancelled ? ['Stopped early: the image is of the patterns until then.'] : [],
    ...{ raw, image: stitched, pictures, score: rFactor, provenance: services.provenance as Provenance | undefined },
    probe: solver && probeFigure(solver.solved.probe, pictures),
    positions: shift && positionShiftMap(shift),
    facts: [
      { name: 'engine', value: describeEngine(model.engine.info) },
      ...stages.map(({ name, seconds }) => ({ name: `time: ${name}`, value: `${seconds.toFixed(2)} s` })),
    ],
    files,
  });
  return {
    stages,
    patterns: result.patterns,
    outputDir: folder,
    files: [...files, page],
    coverage: stitched.coverage,
    rFactor,
    refinement,
    adaptations,
    varpro: result.partScales,
    solver: solver && refinementSummary(solver),
    stitched,
    cancelled: result.cancelled,
  };
}

/** The seconds of each stage, and their sum; `read`, `predict` and `stitch` overlap. */
function stagesOf(result: ReconstructedScan<RefinedImage>, opened: number, written: number): InferStage[] {
  const { patterns, times, refining, solver } = result;
  const stages: [string, number][] = [
    ['open and group', opened],
    ['read', times.read],
    ['predict', times.predict],
    ['stitch', times.stitch],
  ];
  if (refining) stages.push(['refine positions', refining.seconds]);
  if (solver) stages.push(['solve', solver.solved.seconds]);
  const total = opened + result.seconds + (refining?.seconds ?? 0) + (solver?.solved.seconds ?? 0) + written;
  stages.push(['write', written], ['total', total]);
  return stages.map(([name, seconds]) => ({ name, seconds, patternsPerSecond: patterns / seconds }));
}

/** What a part of a scan came to. */
export interface InferShardSummary {
  readonly part: PartOfMany;
  /** Patches of the part, and of the whole scan. */
  readonly patterns: number;
  readonly total: number;
  readonly seconds: number;
  readonly outputDir: string;
  readonly files: readonly string[];
}

/**
 * Predicts the part of a scan that `shard` names. Fields of the image (`refine`, `comparison_plot`, …) are left to `from_shards`.
 * @throws PtychoError for anything wrong with configuration, bundle, scan, engine or output folder; CANCELLED: a part is there whole or not
 */
export async function inferShardWorkflow(
  given: PartOf<InferenceConfig>,
  services: Services = {},
): Promise<InferShardSummary> {
  const config = wholeConfig(inferenceDefinition, given, services.logger);
  const part = parsePart(config.shard ?? '', 'shard');
  if (config.from_shards.length > 0) {
    throw new PtychoError('CONFIG_INVALID', 'shard predicts a part, from_shards makes the image of all parts: leave one of them out.', { key: 'shard' }); // biome-ignore format: one sentence
  }
  requireWholeScan(config, NEEDS_WHOLE);
  const { output_dir: folder, overwrite } = config;
  const claim = { command: 'infer', overwrite, results: [SHARD_FILE, /^shard-\d+\.npz$/, 'run.json'] };
  return withOutputFolder(folder, claim, services, async (owned) => {
    const own = { ...services, signal: owned.signal };
    const { logger = silentLogger } = services;
    return withModelsAndScan(config, own, async ({ raw, models, opening }) => {
      const scan = await groupForModel(raw, models[0].bundle, config, logger, { once: models.length === 1 });
      await owned.make();
      return await closing(await startEngines(config, logger), async (backend) => {
        logger.info(describeEngine(backend.info));
        const shards: ShardSummary[] = [];
        for (const [network, model] of models.entries()) {
          const on = model.on(backend);
          const target = { folder, network };
          shards.push(await writeShardOf(on, scanForModel(scan, model.bundle), part, target, imageSettingsOf(config), own)); // biome-ignore format: one call
        }
        const [{ patterns, total }] = shards;
        const seconds = (performance.now() - opening) / 1000;
        const stages = shards.map(({ times }) => times);
        await writeAtomically(
          path.join(folder, 'run.json'),
          json({
            ...{ config, provenance: services.provenance as Provenance | undefined, shard: part },
            ...{ patches: patterns, patches_of_all: total, networks: models.length, stages, seconds },
            ...{ backend: backend.info, node: process.version, version: createdBy.version },
          }),
        );
        const files = [...shards.map(({ file }) => path.basename(file)), 'run.json'];
        return { part, patterns, total, seconds, outputDir: folder, files };
      });
    });
  });
}
