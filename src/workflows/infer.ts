/**
 * `infer`: a bundle and a scan in, an image out. Writes `reconstruction.npz`, `reconstructed_amplitude.png`,
 * `reconstructed_phase.png`, both uncertainties as pictures and `run.json` to `output_dir`; on request also
 * `comparison_plot.png`, `positions.npz`, `logs/patch_stats.csv` and a folder of what happened on the way. With `refine` the image is
 * that of a solver which began with the network's.
 */

import path from 'node:path';
import type { Backend } from '../backends/backend.js';
import { describeEngine, selectBackend } from '../backends/select.js';
import type { InferenceConfig } from '../config/schema.js';
import { checkModelClaim } from '../config/schemas/model.js';
import { silentLogger } from '../core/log.js';
import type { Provenance, Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { openScan, type PreparedScan, prepareScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { comparisonPlot, knownObject } from '../evaluation/comparisonPlot.js';
import { writeNpz } from '../formats/npz.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { type FolderClaim, type OwnedFolder, withOutputFolder } from '../formats/outputs.js';
import type { OpenedBundle } from '../persistence/bundle.js';
import { mlflowAccess } from '../persistence/mlflowArtifacts.js';
import { chooseCropSide } from '../reconstruction/frame.js';
import { DebugDump, DUMP_FILES, PATCH_STATS_FILE, PatchStatsLog } from '../reconstruction/patchRecords.js';
import {
  KeptPatches,
  type RefinedPositions,
  refineReconstruction,
} from '../reconstruction/positions/refinePositions.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { type Preview, type ReconstructOptions, streamDataset } from '../reconstruction/reconstruct.js';
import {
  checkPhaseRange,
  RECONSTRUCTION_FILES,
  writePictures,
  writeReconstruction,
} from '../reconstruction/reconstructionFile.js';
import { type ImageRFactor, scoreR } from '../reconstruction/rFactor.js';
import {
  doubts,
  exposureDoubts,
  probeFor,
  probeInCounts,
  requireSide,
  scanForModel,
} from '../reconstruction/scanForModel.js';
import type { StitchedImage } from '../reconstruction/stitch.js';
import { encodePng } from '../report/png.js';
import { type RefinedImage, refineImage, refinementRecord } from '../solvers/refineImage.js';

export { stitchedPictures, wellCovered } from '../reconstruction/reconstructionFile.js';

export interface InferStage {
  readonly name: string;
  readonly seconds: number;
  readonly patternsPerSecond: number;
}

/** What refining the positions came to. */
export interface RefinementSummary {
  readonly rounds: number;
  /** Mean distance of the refined from the measured positions. */
  readonly meanMove_px: number;
  /** R of the image at the measured positions, on the same patterns as `InferSummary.rFactor`. */
  readonly rFactorBefore?: number;
}

/** What refining the image came to; R by the solver's own forward model. */
export interface SolverSummary {
  /** `LSQML`. */
  readonly algorithm: string;
  readonly epochs: number;
  readonly seconds: number;
  readonly rFactorBefore: number;
  readonly rFactor: number;
}

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
export async function inferWorkflow(config: InferenceConfig, services: Services = {}): Promise<InferSummary> {
  checkPhaseRange(config);
  return withOutputFolder(config.output_dir, claimOf(config), services, (folder) =>
    inferInto(folder, config, { ...services, signal: folder.signal }),
  );
}

async function inferInto(folder: OwnedFolder, config: InferenceConfig, services: Services): Promise<InferSummary> {
  const logger = services.logger ?? silentLogger;
  const model = await PtychoModel.read(config.model_path, mlflowAccess(config.execution));
  checkModelClaim(config.model, model.bundle.config.model, model.bundle.path);
  const opening = performance.now();
  const raw = await openScan(config.test_data_file, config, logger, { once: true, signal: services.signal });
  try {
    checkScan(raw, model, config);
    for (const doubt of doubts(model.bundle, raw)) logger.warn(doubt);
    // Fitting positions reads every pattern in every round.
    const once = config.refine_positions === 0;
    const prepared = await prepareScan(raw, config, model.bundle.config.model.gridsize, logger, { once });
    for (const doubt of exposureDoubts(model.bundle, raw, prepared.statistics.meanPower)) logger.warn(doubt);
    const scan = scanForModel(prepared, model.bundle);
    const openSeconds = (performance.now() - opening) / 1000;
    await folder.make();
    const backend = await selectBackend(config, logger);
    try {
      logger.info(describeEngine(backend.info));
      return await new Inference(config, services, model, scan, backend).run(openSeconds);
    } finally {
      await backend.dispose();
    }
  } finally {
    await raw.close();
  }
}

function claimOf(config: InferenceConfig): FolderClaim {
  const dump = config.debug_dump;
  return {
    command: 'infer',
    overwrite: config.overwrite,
    results: [
      ...RECONSTRUCTION_FILES,
      'run.json',
      ...(config.refine_positions > 0 ? ['positions.npz'] : []),
      ...(config.comparison_plot ? ['comparison_plot.png'] : []),
      ...(config.log_patch_stats ? [PATCH_STATS_FILE] : []),
    ],
    files: dump === null ? [] : DUMP_FILES.map((name) => ['debug_dump', path.join(dump, name)] as const),
  };
}

/** @throws PtychoError for a scan that cannot be reconstructed as asked, before anything is started */
function checkScan(raw: RawData, model: PtychoModel<OpenedBundle>, config: InferenceConfig): void {
  requireSide(raw, model.bundle.config.model.N, model.bundle.path);
  if (config.comparison_plot) knownObject(raw);
}

/** One run, everything opened. */
class Inference {
  readonly #options: ReconstructOptions;
  readonly #kept: KeptPatches | undefined;
  readonly #dump: DebugDump | undefined;
  #stats: PatchStatsLog | undefined;

  constructor(
    private readonly config: InferenceConfig,
    private readonly services: Services,
    private readonly model: PtychoModel<OpenedBundle>,
    private readonly scan: PreparedScan,
    private readonly backend: Backend,
  ) {
    const { raw, dataset } = scan;
    const crop_px = config.stitch_crop_px ?? chooseCropSide(raw.xcoords, raw.ycoords, raw.N);
    this.#kept = config.refine_positions > 0 ? KeptPatches.for(scan, crop_px) : undefined;
    this.#dump = config.debug_dump === null ? undefined : new DebugDump(config.debug_dump);
    this.#options = {
      network: model.network(Math.max(dataset.canvasSide_px, model.bundle.canvasSide_px)),
      weights: model.bundle.weights,
      backend,
      dataset,
      batch_size: config.execution.inference_batch_size ?? config.batch_size,
      crop_px,
      patch_weighting: config.patch_weighting,
      stitching: config.stitching,
      align_phases: config.align_phases,
      uncertainty: config.uncertainty && config.refine === null,
      probe: probeFor(model.bundle, raw).probe,
      prefetch: config.execution.prefetch_factor ?? undefined,
      signal: services.signal,
      onProgress: services.onProgress,
      onPatches: (patches, batch, index) => {
        this.#stats?.add({ batch: index }, patches);
        this.#dump?.see(patches, batch);
        this.#kept?.see(patches, batch);
      },
    };
  }

  async run(openSeconds: number): Promise<InferSummary> {
    const { config, scan, model } = this;
    const { raw, groups } = scan;
    const folder = config.output_dir;
    if (config.log_patch_stats) this.#stats = await PatchStatsLog.open(folder, { limit: config.patch_stats_limit });
    const result = await this.#reconstruct();
    if (result.unaligned) {
      this.services.logger?.warn(
        'The phases of the patches were not aligned: the folder for temporary files has no room for them; free some, or set TMPDIR to another disk.',
      );
    }
    const { probe: probeGuess, factor } = probeFor(model.bundle, raw);
    const score = (stitched: StitchedImage, at?: RefinedPositions) =>
      scoreR(config.r_factor_patterns, { ...raw, probeGuess }, stitched, factor, at);
    const refining = performance.now();
    const refined = result.cancelled || config.refine_positions === 0 ? undefined : await this.#refine(result.stitched);
    const refineSeconds = (performance.now() - refining) / 1000;
    const { refine } = config;
    const solver =
      result.cancelled || refine === null
        ? undefined
        : await this.#solve(refine, refined?.stitched ?? result.stitched, refined);
    const cancelled = result.cancelled || (refine !== null && solver?.solved.cancelled !== false);
    const stitched = solver?.stitched ?? refined?.stitched ?? result.stitched;

    const writing = performance.now();
    const files = await writeReconstruction(folder, stitched, {
      algorithm: `PtychoPINN ${model.bundle.config.model.architecture}${solver ? ` refined by ${solver.algorithm}` : ''}`,
      sampleIndices: raw.sampleIndices,
      groups,
      phaseRange: config,
      arrays: solver && { reconstructed_probe: solver.solved.probe },
    });
    files.push(...(await this.#writeExtras(stitched, refined)));
    const writeSeconds = (performance.now() - writing) / 1000;
    const rFactor = await (solver
      ? scoreR(config.r_factor_patterns, { ...raw, probeGuess: solver.solved.probe }, stitched, 1, refined)
      : score(stitched, refined));
    const refinement = refined && {
      rounds: refined.rounds.length,
      meanMove_px: meanMove(raw, refined),
      rFactorBefore: (await score(result.stitched))?.image,
    };
    const { patterns, times } = result;
    const stages = (
      [
        ['open and group', openSeconds],
        ['read', times.read],
        ['predict', times.predict],
        ['stitch', times.stitch],
        ...(refined ? ([['refine positions', refineSeconds]] as const) : []),
        ...(solver ? ([['solve', solver.solved.seconds]] as const) : []),
        ['write', writeSeconds],
        [
          'total',
          openSeconds + result.seconds + (refined ? refineSeconds : 0) + (solver?.solved.seconds ?? 0) + writeSeconds,
        ],
      ] as const
    ).map(([name, seconds]) => ({ name, seconds, patternsPerSecond: patterns / seconds }));
    await writeAtomically(
      path.join(folder, 'run.json'),
      json({
        config,
        provenance: this.services.provenance as Provenance | undefined,
        cancelled,
        stages,
        stitch_crop_px: this.#options.crop_px,
        coverage: stitched.coverage,
        patches_given: result.total,
        patches_used: stitched.patches,
        phase_spread_rad: result.phaseSpreadRad,
        skipped_positions: groups.skipped,
        r_factor: rFactor,
        refinement: refined && { ...refinement, history: refined.rounds },
        solver: solver && refinementRecord(solver),
        backend: this.backend.info,
        node: process.version,
        version: createdBy.version,
      }),
    );
    return {
      stages,
      patterns,
      outputDir: folder,
      files: [...files, 'run.json'],
      coverage: stitched.coverage,
      rFactor,
      refinement,
      solver: solver && {
        algorithm: solver.algorithm,
        epochs: solver.solved.epoch,
        seconds: solver.solved.seconds,
        rFactorBefore: solver.rFactorBefore,
        rFactor: solver.solved.rFactor,
      },
      stitched,
      cancelled,
    };
  }

  /** The last preview; those before it are drawn where that is asked for. */
  async #reconstruct(): Promise<Preview> {
    const { preview_seconds, output_dir } = this.config;
    const every = preview_seconds === null ? undefined : { seconds: preview_seconds };
    for await (const preview of streamDataset({ ...this.#options, every })) {
      if (preview.final) return preview;
      await writePictures(output_dir, preview.stitched, this.config);
    }
    throw new Error('a reconstruction ends with its final preview');
  }

  #refine(stitched: StitchedImage): Promise<RefinedPositions> {
    const { config, scan, backend, model } = this;
    return refineReconstruction({
      scan,
      backend,
      options: this.#options,
      network: (side) => model.network(side),
      rounds: config.refine_positions,
      stepLimit_px: config.position_step_limit_px,
      stitched,
      kept: this.#kept,
    });
  }

  /** The solver goes on from the image, at refined positions where there are such. */
  #solve(refine: string, stitched: StitchedImage, positions?: RefinedPositions): Promise<RefinedImage | undefined> {
    const { config, scan, backend, model } = this;
    return refineImage(
      {
        ...{ refine, stitched, positions, backend, seed: config.seed, raw: scan.raw },
        probe: probeInCounts(model.bundle, scan.raw),
        threads: config.execution.threads,
      },
      this.services,
    );
  }

  async #writeExtras(stitched: StitchedImage, refined: RefinedPositions | undefined): Promise<string[]> {
    const { config, scan } = this;
    const { raw } = scan;
    const files: string[] = [];
    if (refined) {
      const column = (data: Float64Array) => ({ data, shape: [data.length] });
      await writeNpz(path.join(config.output_dir, 'positions.npz'), {
        xcoords: column(refined.xs),
        ycoords: column(refined.ys),
        xcoords_measured: column(raw.xcoords),
        ycoords_measured: column(raw.ycoords),
        sample_indices: { data: raw.sampleIndices, shape: [raw.sampleIndices.length] },
      });
      files.push('positions.npz');
    }
    if (config.comparison_plot) {
      const plot = comparisonPlot(stitched, knownObject(raw), raw, config);
      await writeAtomically(path.join(config.output_dir, 'comparison_plot.png'), encodePng(plot));
      files.push('comparison_plot.png');
    }
    if (this.#stats) {
      await this.#stats.flush();
      files.push('logs/patch_stats.csv');
    }
    await this.#dump?.write(scan.groups, stitched);
    return files;
  }
}

function meanMove(raw: RawData, { xs, ys }: RefinedPositions): number {
  const distance = (_: number, k: number) => Math.hypot(xs[k] - raw.xcoords[k], ys[k] - raw.ycoords[k]);
  return raw.xcoords.map(distance).reduce((sum, v) => sum + v, 0) / raw.count;
}
