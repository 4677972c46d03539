/**
 * `solve`: a scan in, an image and its probe out, by an iterative algorithm. Writes `reconstruction.npz`, pictures, `history.csv`,
 * `config.json` and `run.json` to `output_dir`, and on the way `solver_state.npz`, from which the run can go on; on request a
 * product of Ptychodus.
 *
 * @example
 * const config = solveConfigSchema.parse({ test_data_file: 'scan.npz', output_dir: 'solved', algorithm: 'lsqml' }) as SolveConfig;
 * const { rFactor } = await solveWorkflow(config);
 */

import path from 'node:path';
import { solveDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { SolveConfig } from '../config/schemas/solve.js';
import { ALGORITHM_TITLES, type SolverOptions, solverFields, solverOptionsSchema } from '../config/schemas/solver.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import { requireThreads } from '../core/memoryBudget.js';
import type { Provenance, Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { parsePart } from '../data/grouping/cutByPosition.js';
import { openTool } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { json, writeAtomically } from '../formats/outputFiles.js';
import { beginResumable, type OwnedFolder, removeEarlier, withOutputFolder } from '../formats/outputs.js';
import { productFormatOf } from '../persistence/product/writeProduct.js';
import { PAGE_FILE, shownFindings, writeImagePage } from '../reconstruction/imagePage.js';
import { settingsOf } from '../reconstruction/imageRecord.js';
import { checkPhaseRange, imagePanels, picturesFor } from '../reconstruction/pictures.js';
import { type ImageRFactor, R_FACTOR_PATTERNS, scoreR } from '../reconstruction/rFactor.js';
import {
  claimOf,
  factOf,
  fingerprintOf,
  requireShare,
  type SolvedScanSummary,
  scoreOf,
  scoresOfScans,
  withScans,
  worstOf,
} from '../solvers/files/severalScans.js';
import { startFrom } from '../solvers/files/start.js';
import {
  checkState,
  goingOnWith,
  readState,
  resultsOf,
  STATE_FILE,
  type StateHead,
  type StoredState,
  saveState,
  warnOfEngine,
} from '../solvers/files/state.js';
import { SOLVED_FILES, type SolvedFiles, solvedDrawings, writePreview, writeSolved, writeSolvedProduct } from '../solvers/files/write.js'; // biome-ignore format: one line
import {
  earlierFilesOfScans,
  joinedRaw,
  togetherFacts,
  writeProducts,
  writeSolvedScans,
} from '../solvers/files/writeTogether.js';
import { requireSolverMemory } from '../solvers/memory.js';
import { solverBackend } from '../solvers/openPasses.js';
import { copyOf, runSolver, type SolverResult } from '../solvers/run.js';
import { correctsPositions, requireCounted } from '../solvers/scan.js';
import type { TilesApart } from '../solvers/tiles/stitchTiles.js';
import { doubtOfTile, tileOf } from '../solvers/tiles/tile.js';
import { type MergedTiles, mergeTiles, requireTileOptions, type TileHead, tileArrays, wholeFingerprint } from '../solvers/tiles/tileFiles.js'; // biome-ignore format: one line
import { type JoinedScan, joinScans } from '../solvers/together/joinScans.js';
import type { SolverRecord, SolverSnapshot, SolverUpdate } from '../solvers/updates.js';

/** What a run came to. */
export interface SolveSummary {
  /** `rPIE`. */
  readonly algorithm: string;
  /** Epochs in the image, and those before this run resumed. */
  readonly epochs: number;
  readonly resumedAfter: number;
  readonly patterns: number;
  readonly seconds: number;
  readonly patternsPerSecond: number;
  /** Amplitude R-factor by the solver's own forward model at the start, and over all patterns at the end. */
  readonly rFactorStart: number;
  readonly rFactor: number;
  /**
   * R-factor as `evaluate`, `infer` and `compare` measure it, and what it is judged by: on evenly spaced patterns, with the probe that
   * was found and at the positions that were. Undefined for a scan of no counts; of several scans that of the one with the largest R.
   */
  readonly score?: ImageRFactor;
  /** Of several scans that were solved together. */
  readonly scans?: readonly SolvedScanSummary[];
  /** Σ(√I − √J)²/ΣI, likewise. */
  readonly loss: number;
  /** Root mean square distance that positions were moved. */
  readonly shift_px: number;
  readonly engine: string;
  readonly outputDir: string;
  readonly files: readonly string[];
  /** Stopped early: the files are of the last epoch that was finished, and the run can be resumed. */
  readonly cancelled: boolean;
  readonly history: readonly SolverRecord[];
}

/**
 * Solves a scan, or several together. Cancelled, it writes what the last finished epoch came to and the state to go on from; where a thread
 * or an engine fails (ENGINE_FAILURE), the state.
 * @throws PtychoError for anything wrong with configuration, scan, start, state or output folder; SOLVER_FAILED when the misfit
 * diverges; CANCELLED before the first epoch is done; ENGINE_FAILURE where a thread or an engine failed: the state after the last epoch is saved
 */
export async function solveWorkflow(given: PartOf<SolveConfig>, services: Services = {}): Promise<SolveSummary> {
  const config = wholeConfig(solveDefinition, given, services.logger);
  checkPhaseRange(config);
  // A name that no product has is refused before any work is done.
  if (config.product_file !== null) productFormatOf(config.product_file);
  requireThreads(config.execution.threads);
  if (config.from_tiles.length > 0) {
    throw new PtychoError('USAGE', 'Tiles that are solved (from_tiles) are put together by solveTilesWorkflow.', {});
  }
  const paths = [config.test_data_file, ...config.test_data_files];
  requireShare(config, paths);
  const part = config.tile === null ? undefined : parsePart(config.tile, 'tile');
  if (part) requireTileOptions(optionsOf(config), paths.length);
  const scan = { ...config, subsample_seed: config.subsample_seed ?? config.seed };
  const claim = claimOf('solve', config, STATE_FILE, paths.length);
  return withOutputFolder(config.output_dir, claim, services, async (folder) => {
    const own = { ...services, signal: folder.signal };
    return withScans(
      paths,
      (file) => openTool(file, scan, services),
      async (raws) => {
        if (part === undefined) return await new Solve(config, own, raws, folder).run();
        const [raw] = raws;
        const { raw: tile, margin_px } = tileOf(raw, part, config.tile_margin_px ?? undefined);
        const head = { ...part, margin_px, scan: await wholeFingerprint(raw) };
        const doubt = doubtOfTile(tile, part);
        if (doubt !== undefined) services.logger?.warn(doubt);
        return await new Solve(config, own, [tile], folder, head, doubt === undefined ? [] : [doubt]).run();
      },
    );
  });
}

/** What tiles came to. */
export interface SolveTilesSummary {
  readonly tiles: number;
  readonly patterns: number;
  /** How far tiles differ where they overlap, as a share of the image: as they were solved, and as they were put together. */
  readonly apart: TilesApart;
  readonly score?: ImageRFactor;
  readonly outputDir: string;
  readonly files: readonly string[];
}

/**
 * Puts the tiles of `from_tiles` together. Writes `reconstruction.npz`, pictures, a page and `run.json`.
 * @throws PtychoError for a tile that is missing or of another scan, and for anything wrong with configuration, scan or output folder
 */
export async function solveTilesWorkflow(
  given: PartOf<SolveConfig>,
  services: Services = {},
): Promise<SolveTilesSummary> {
  const config = wholeConfig(solveDefinition, given, services.logger);
  checkPhaseRange(config);
  const { output_dir, overwrite } = config;
  const other = (['tile', 'resume'] as const).find((name) => config[name] !== null);
  if (other !== undefined) {
    throw new PtychoError('CONFIG_INVALID', `${other} solves, from_tiles puts together what was solved: leave one of them out.`, { key: other }); // biome-ignore format: one sentence
  }
  requireTileOptions(optionsOf(config), 1 + config.test_data_files.length);
  const claim = { command: 'solve', overwrite, results: [...SOLVED_FILES, PAGE_FILE, 'run.json'] };
  const scan = { ...config, subsample_seed: config.subsample_seed ?? config.seed };
  return withOutputFolder(output_dir, claim, services, async (folder) =>
    closing(await openTool(config.test_data_file, scan, services), async (raw) => {
      const merged = await mergeTiles(raw, config.from_tiles, askedOptions(config, services.provenance));
      // What the tiles were solved with is what the image was.
      const solvedWith = { ...config, ...merged.options };
      const provenance = services.provenance && provenanceOfTiles(services.provenance, merged);
      const { tiles, apart, frame, probe, coverage: weight, epochs } = merged;
      for (const doubt of merged.doubts) services.logger?.warn(doubt);
      await folder.make();
      const { positions = { xs: raw.xcoords, ys: raw.ycoords } } = merged;
      const solved = { ...merged, epoch: epochs, overlapCount: weight, weight, positions };
      const asked = picturesFor(config, raw.geometry.objectPixel_m);
      const pictures = { ...asked, panels: imagePanels(solved, asked) };
      const algorithm = merged.options.algorithm as SolveConfig['algorithm'];
      const facts = { algorithm, raw, history: [], moved: merged.positions !== undefined, pictures, settings: settingsOf(solvedWith) }; // biome-ignore format: one line
      const files = await writeSolved(output_dir, solved, facts);
      if (config.product_file !== null) await writeSolvedProduct(config.product_file, { ...solved, history: [] }, raw, services.logger ?? silentLogger); // biome-ignore format: one call
      const score = await scoreR(raw, { image: merged.image, frame, weight }, { limit: R_FACTOR_PATTERNS, probe, of: 'reconstruction', positions }); // biome-ignore format: one call
      const title = `${ALGORITHM_TITLES[algorithm]} in ${counted(tiles, 'tile')}`;
      await writeAtomically(
        path.join(output_dir, 'run.json'),
        json({ config: solvedWith, provenance, algorithm: title, epochs, tiles, apart: apartRecord(apart), gauges: merged.gauges, score, warnings: merged.doubts, node: process.version, version: createdBy.version }), // biome-ignore format: one call
      );
      files.push('run.json');
      const { positions: moves, reconstructed_probe } = solvedDrawings(solved, facts);
      const page = await writeImagePage(output_dir, {
        ...{ command: 'solve', title: `${title} of ${path.basename(raw.source)}`, warnings: merged.doubts, raw, image: solved, pictures, score, files }, // biome-ignore format: one line
        summary: `${counted(raw.count, 'pattern')}; where tiles overlap they differ by ${(100 * apart.after).toFixed(1)} % (${(100 * apart.before).toFixed(1)} % as they were solved).`,
        ...{ probe: reconstructed_probe, positions: moves, provenance, facts: [] },
      });
      return { tiles, patterns: raw.count, apart, score, outputDir: output_dir, files: [page, ...files] };
    }),
  );
}

/** As `run.json` has it. */
const apartRecord = ({ withRamps, ...apart }: TilesApart) => ({ ...apart, ...(withRamps !== undefined && { with_ramps: withRamps }) }); // biome-ignore format: one line

/** Options of the solver that were given, by a program those that are no defaults. */
function askedOptions(config: SolveConfig, provenance: Provenance | undefined): Readonly<Record<string, unknown>> {
  const options: Readonly<Record<string, unknown>> = { ...optionsOf(config), tile_margin_px: config.tile_margin_px };
  const usual: Readonly<Record<string, unknown>> = { ...solverOptionsSchema.parse({}), tile_margin_px: null };
  const given = (name: string) => (provenance ? (provenance[name]?.source ?? 'default') !== 'default' : options[name] !== usual[name]); // biome-ignore format: one line
  // The margin that follows from the probe is no margin that was given.
  return Object.fromEntries(Object.entries(options).filter(([name, value]) => given(name) && !(name === 'tile_margin_px' && value === null))); // biome-ignore format: one line
}

/** Options that were not given come from the tiles. */
function provenanceOfTiles(provenance: Provenance, { options, file }: MergedTiles): Provenance {
  const fromTiles = Object.entries(options).filter(([name]) => (provenance[name]?.source ?? 'default') === 'default');
  return { ...provenance, ...Object.fromEntries(fromTiles.map(([name, value]) => [name, { value, source: 'file', origin: file } as const])) }; // biome-ignore format: one line
}

/** The part of a configuration that shapes the result. */
export function optionsOf(config: SolveConfig): SolverOptions {
  const given = config as unknown as Readonly<Record<string, unknown>>;
  return solverOptionsSchema.parse(Object.fromEntries(Object.keys(solverFields).map((name) => [name, given[name]])));
}

/** One run, the scan open. */
class Solve {
  #options: SolverOptions;
  #head: StateHead | undefined;
  #drawn = performance.now();
  #begun = false;
  /** The epoch of the last state that this run saved. */
  #saved: number | undefined;
  /** The scan, or all of them as one. */
  private readonly raw: RawData;
  /** Several scans as solvers take them. */
  readonly #joined: JoinedScan | undefined;

  constructor(
    private readonly config: SolveConfig,
    private readonly services: Services,
    private readonly raws: readonly RawData[],
    private readonly folder: OwnedFolder,
    /** Where the scan is one of several tiles. */
    private readonly tile?: Pick<TileHead, 'index' | 'of' | 'margin_px' | 'scan'>,
    private readonly doubts: readonly string[] = [],
  ) {
    this.#options = optionsOf(config);
    const { share, align_scans } = config;
    if (share !== null) {
      const still = share === 'object' && !align_scans;
      this.#joined = joinScans(raws, { share, ...(still && { offsets_yx_px: raws.map(() => [0, 0] as const) }) });
    }
    this.raw = this.#joined ? joinedRaw(raws, this.#joined) : raws[0];
  }

  /** What a state belongs to besides the options of the solver. */
  get #stored(): SolverOptions {
    const { share, align_scans } = this.config;
    if (share === null) return this.#options;
    return { ...this.#options, share, ...(share === 'object' && { align_scans }) } as SolverOptions;
  }

  async run(): Promise<SolveSummary> {
    const { config, services, raw } = this;
    const logger = services.logger ?? silentLogger;
    const opening = performance.now();
    if (config.noise_model === 'poisson') for (const one of this.raws) requireCounted(one);
    requireSolverMemory(this.#joined ?? raw, this.#options, { threads: config.execution.threads, logger });
    const scan = await fingerprintOf(this.raws);
    const resumed = await this.#resumed(scan);
    const start = config.init === null || resumed ? undefined : await startFrom(config.init, raw, config, services);
    const backend = await solverBackend(config, raw.N, logger);
    const openSeconds = (performance.now() - opening) / 1000;
    try {
      const result = await runSolver(this.#joined ?? raw, this.#options, {
        start,
        resume: resumed?.snapshot,
        threads: config.execution.threads ?? undefined,
        backend,
        logger,
        signal: services.signal,
        onProgress: services.onProgress,
        onEpoch: async (update) => {
          if (!this.#begun) await this.#begin(update, scan, resumed);
          await this.#epoch(update);
        },
        // What failed is worth more than that its state cannot be saved, too.
        onFailure: (state) => this.#save(state).catch(() => undefined),
      });
      return await this.#finish(result, resumed, openSeconds);
    } catch (error) {
      throw this.#withWayOn(error);
    } finally {
      await backend?.dispose();
    }
  }

  async #resumed(scan: Readonly<Record<string, string>>): Promise<StoredState | undefined> {
    const { config, services } = this;
    if (config.resume === null) return undefined;
    const stored = await readState(config.resume);
    if (!stored) {
      services.logger?.info(
        `The run in ${config.resume} was stopped before its first state, so it starts from the beginning.`,
      );
      return undefined;
    }
    this.#options = goingOnWith(stored, this.#options);
    const { epoch } = stored.snapshot;
    const hasResults = await resultsOf(config.resume, epoch);
    checkState(stored, { folder: config.resume, options: this.#stored, init: config.init, scan, hasResults });
    services.logger?.info(
      epoch < this.#options.epochs
        ? `Resuming after epoch ${epoch} from ${stored.file}.`
        : `All ${counted(epoch, 'epoch')} are done; writing the results from ${stored.file}.`,
    );
    return stored;
  }

  /** The folder is made when the scan has turned out to be one that can be solved. */
  async #begin(update: SolverUpdate, scan: StateHead['scan'], resumed: StoredState | undefined): Promise<void> {
    const { config, services } = this;
    const { engine } = update;
    this.#begun = true;
    this.#head = { options: { ...this.#stored }, init: config.init, scan, engine, version: createdBy.version };
    await this.folder.make();
    await beginResumable(config, { stateFile: STATE_FILE, resumed: resumed !== undefined }, services);
    services.logger?.info(`${ALGORITHM_TITLES[config.algorithm]} on ${counted(this.raw.count, 'pattern')}: ${engine}.`);
    if (resumed && config.resume !== null && services.logger) {
      warnOfEngine(resumed.head, engine, config.resume, services.logger);
    }
  }

  async #epoch(update: SolverUpdate): Promise<void> {
    const { save_every, preview_seconds, output_dir } = this.config;
    const { epoch, epochs } = update;
    // The last state follows the files of the result.
    if (save_every !== null && epoch > 0 && epoch % save_every === 0 && epoch < epochs) {
      await this.#save(update.state());
    }
    const since = (performance.now() - this.#drawn) / 1000;
    if (preview_seconds === null || since < preview_seconds || epoch === epochs) return;
    await writePreview(output_dir, copyOf(update), this.#facts(update.history));
    this.#drawn = performance.now();
  }

  async #save(state: SolverSnapshot): Promise<void> {
    await saveState(this.config.output_dir, this.#head as StateHead, state);
    this.#saved = state.epoch;
  }

  /** A thread or an engine that failed leaves the last state of this run. */
  #withWayOn(error: unknown): unknown {
    if (!isPtychoError(error, 'ENGINE_FAILURE') || this.#saved === undefined) return error;
    const { output_dir: folder } = this.config;
    const message = `${error.message.replace(/\.$/, '')}. The state after epoch ${this.#saved} remains: go on from it with --resume ${folder}.`;
    return new PtychoError(error.code, message, { ...error.fields, resume: folder }, { cause: error });
  }

  #facts(history: readonly SolverRecord[], seconds?: number): SolvedFiles {
    const { config, raw } = this;
    const moved = correctsPositions(config);
    const pictures = picturesFor(config, raw.geometry.objectPixel_m);
    return { algorithm: config.algorithm, raw, history, moved, seconds, pictures, settings: settingsOf(config) };
  }

  async #finish(result: SolverResult, resumed: StoredState | undefined, openSeconds: number): Promise<SolveSummary> {
    const { config, raw, services } = this;
    const folder = config.output_dir;
    const writing = performance.now();
    const tile = this.tile && tileArrays({ ...this.tile, options: { ...this.#options }, epochs: result.epoch });
    const asked = { ...this.#facts(result.history, resumed ? undefined : result.seconds), arrays: tile };
    // For the files and for the page.
    const facts = { ...asked, pictures: { ...asked.pictures, panels: imagePanels(result, asked.pictures) } };
    const ofScans = { ...facts, raws: this.raws, raw };
    const files = await writeSolvedScans(folder, result, ofScans);
    const products = await writeProducts(config.product_file, result, this.raws, services.logger);
    const others = [...SOLVED_FILES, ...earlierFilesOfScans(folder)].filter((name) => !files.includes(name));
    await removeEarlier(others, config, services);
    await this.#save(result.snapshot);
    const writeSeconds = (performance.now() - writing) / 1000;
    const resumedAfter = resumed?.snapshot.epoch ?? 0;
    const patternsPerSecond = result.seconds > 0 ? (raw.count * result.epochsDone) / result.seconds : 0;
    const { rFactor, loss, history, cancelled, engine, seconds } = result;
    const scans = this.#joined && (await scoresOfScans(this.raws, result));
    const score = scans ? worstOf(scans) : await scoreOf(raw, result);
    const [first, last] = [history[0], history[history.length - 1]];
    await writeAtomically(
      path.join(folder, 'run.json'),
      json({
        config,
        provenance: services.provenance,
        cancelled,
        algorithm: ALGORITHM_TITLES[config.algorithm],
        epochs: result.epoch,
        resumed_from: resumed && { path: resumed.file, epoch: resumedAfter },
        stages: [
          { name: 'open', seconds: openSeconds },
          { name: 'solve', seconds, patternsPerSecond },
          { name: 'write', seconds: writeSeconds },
        ],
        start: { loss: first.loss, r_factor: first.rFactor },
        loss,
        r_factor: rFactor,
        // As `evaluate` has it, beside the constant object on the same patterns.
        score,
        ...(scans && { scans }),
        // Stopped within an epoch there are only the sums of the one before, each batch before its step.
        r_factor_of: result.measured ? 'all patterns at the end' : 'the last epoch',
        position_shift_px: last.shift_px,
        ...(result.affine && { affine: result.affine }),
        losses: history.filter(({ epoch }) => epoch > 0).map((row) => row.loss),
        engine,
        node: process.version,
        version: createdBy.version,
      }),
    );
    const all = [...files, STATE_FILE, 'config.json', 'run.json'];
    const shown = togetherFacts(ofScans, result);
    const { loss: curve, positions: moves, reconstructed_probe } = solvedDrawings(result, shown);
    await writeImagePage(folder, {
      command: 'solve',
      title: `${ALGORITHM_TITLES[config.algorithm]} of ${this.raws.map(({ source }) => path.basename(source)).join(', ')}`,
      summary: `${counted(result.epoch, 'epoch')} on ${counted(raw.count, 'pattern')} in ${seconds.toFixed(1)} s, R ${rFactor.toFixed(3)} over ${result.measured ? 'all patterns at the end' : 'the last epoch'}.`,
      warnings: [...this.doubts, ...(cancelled ? [`Stopped early, after epoch ${result.epoch}.`] : [])],
      ...{ raw, image: result, pictures: facts.pictures, score, rFactorStart: first.rFactor },
      ...{ probe: reconstructed_probe, curves: curve ? [curve] : [], positions: moves },
      ...(scans && { findings: this.raws.flatMap(shownFindings) }),
      provenance: services.provenance,
      facts: [{ name: 'engine', value: engine }, ...(scans?.map(factOf) ?? [])],
      files: all,
    });
    return {
      algorithm: ALGORITHM_TITLES[config.algorithm],
      epochs: result.epoch,
      ...{ resumedAfter, patternsPerSecond, seconds, rFactor, score, loss, engine, cancelled, history },
      patterns: raw.count,
      rFactorStart: first.rFactor,
      shift_px: last.shift_px,
      outputDir: folder,
      ...(scans && { scans }),
      files: [PAGE_FILE, ...all, ...products],
    };
  }
}
