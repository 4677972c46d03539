/**
 * A scan in, the best image that the time allows out: the whole of what `ptychopinn reconstruct` does but for its files.
 *
 * @example
 * const found = await reconstructScan('scan.h5', { minutes: 2, signal, onPreview: (image) => show(image) });
 * console.log(found.rFactor, found.heldOut?.rFactor, found.tried, found.resolution?.resolution.phase);
 */
import { reconstructOptionsDefinition } from '../config/commands.js';
import { completeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import { isBuiltProbe, type ReconstructOptions } from '../config/schemas/reconstruct.js';
import { solverOptionsSchema } from '../config/schemas/solver.js';
import { isPtychoError, PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import type { Tensor } from '../core/tensor.js';
import { surveyScan } from '../data/findings/survey.js';
import { GUESS_PROBE } from '../data/opening/probe.js';
import { openTool } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import type { HalfSetCorrelation } from '../evaluation/halves.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { type ImageRFactor, R_FACTOR_PATTERNS, scoreR } from '../reconstruction/rFactor.js';
import { type SolvedScanSummary, scoresOfScans, withScans, worstOf } from '../solvers/files/severalScans.js';
import { bundleStart } from '../solvers/files/start.js';
import { joinedRaw } from '../solvers/files/writeTogether.js';
import { requireSolverMemory } from '../solvers/memory.js';
import { solverBackend } from '../solvers/openPasses.js';
import { probeRadius_px } from '../solvers/probe.js';
import { imageOf, type SolvedImage } from '../solvers/run.js';
import { loadScan, type ScanToSolve } from '../solvers/scan.js';
import { placesOfScans } from '../solvers/solve.js';
import { type JoinedScan, joinScans } from '../solvers/together/joinScans.js';
import { placed } from '../solvers/together/place.js';
import type { SolverStart, SolveServices } from '../solvers/updates.js';
import { sayWays } from '../solvers/ways.js';
import { Budget } from './budget.js';
import { chooseHeldOut } from './heldOut.js';
import { type LineStart, type OpenLine, SolverLine } from './line.js';
import { orientScan, turnBy } from './orientation.js';
import { type ProbeOrigin, type StartingProbe, startingProbe } from './probe.js';
import { halfSetResolution } from './resolution.js';
import {
  type Found,
  HALVES_EPOCHS,
  SEEKING,
  Search,
  type SearchBegin,
  type SearchRecord,
  type TryRecord,
} from './search.js';
import { movesPositions, triesOf } from './tries.js';
import { AUTO_MODEL, autoModel } from './zoo.js';

/** A flag that may bring more, and why. */
export interface Suggestion {
  readonly flag: string;
  readonly reason: string;
}

/** An image and everything that is known about how it came about. */
export interface ReconstructedImage extends SolvedImage {
  /** The scan with its positions as they were used before they were corrected; of several scans all of them as one. */
  readonly raw: RawData;
  /** Each of several scans, likewise; otherwise the one. */
  readonly raws: readonly RawData[];
  /** What each of several scans came to that were reconstructed together (`share`). */
  readonly scans?: readonly SolvedScanSummary[];
  /** What made the image: `rPIE`, or the architecture of the network. */
  readonly algorithm: string;
  /** The bundle of the network, where the image is its own. */
  readonly model?: string;
  readonly engine: string;
  /** R and loss over all patterns, those included that were held out while options were chosen. */
  readonly rFactor: number;
  readonly loss: number;
  /** Both are over all patterns as the image stands; otherwise of the last epoch, each batch before its step. */
  readonly measured: boolean;
  /** R of the patterns that were held out, before the last epochs learned from them too. */
  readonly heldOut?: { readonly rFactor: number; readonly patterns: number };
  /**
   * R as `evaluate` measures it, beside that of the best constant object and of counting noise, of several scans that of the one with the
   * largest; undefined where it cannot be.
   */
  readonly score?: ImageRFactor;
  readonly tried: readonly TryRecord[];
  readonly history: readonly SearchRecord[];
  /** What was found and decided on the way, a sentence each, in order. */
  readonly notes: readonly string[];
  /** Where the probe came from that it began with. */
  readonly probeFrom: ProbeOrigin;
  /** What turned the positions, as flags. */
  readonly orientation?: string;
  /** Positions were corrected. */
  readonly moved: boolean;
  /** How two halves of the scan agree. */
  readonly resolution?: HalfSetCorrelation;
  readonly seconds: number;
  /** The time was up before the image rested. */
  readonly hurried: boolean;
  readonly cancelled: boolean;
  /** One or two flags that may bring more. */
  readonly next: readonly Suggestion[];
}

/** What can be seen of a reconstruction that goes on. */
export interface Progressing {
  readonly search: Search;
  /** The image as it stands, copied. */
  image(): SolvedImage;
  /** The bundle of the network, where the image is its own. */
  readonly model?: string;
  /** What turned the positions. */
  readonly orientation?: string;
  readonly raw: RawData;
  readonly raws: readonly RawData[];
  readonly seconds: number;
}

/** What a reconstruction takes besides the scan and its options. */
export interface ReconstructServices extends Services {
  /** Sees the image every `preview_seconds`; the work waits for it. */
  readonly onPreview?: (progressing: Progressing) => Promise<void> | void;
  /** Sees how the search ended, or where it was stopped. */
  readonly onStopped?: (progressing: Progressing) => void;
  /** Seconds that the caller needs after it within `minutes`. */
  readonly afterSeconds?: number;
  /** Where an earlier run stopped. */
  readonly resume?: ResumedSearch;
  /** The folder of `ptychopinn-models` for `model_path: auto`; where it is installed, if not given. */
  readonly models?: string;
  /** Runs since the command began. */
  readonly budget?: Budget;
}

/** What a run that goes on is told by the one before. */
export interface ResumedSearch {
  readonly begin: Extract<SearchBegin, { readonly state: unknown }>;
  readonly orientation?: string;
  readonly notes: readonly string[];
}

/** Options of {@link reconstructScan}: fields of the configuration of `reconstruct`, and who watches. */
export type ReconstructScanOptions = PartOf<ReconstructOptions> &
  Pick<ReconstructServices, 'signal' | 'onProgress' | 'logger'> & {
    /** Sees the image every `preview_seconds`; the work waits for it. */
    readonly onPreview?: (image: SolvedImage, progressing: Progressing) => Promise<void> | void;
  };

/**
 * Reconstructs a scan as well as `minutes` (5) allow, without any other choice: orientation, probe, positions and modes are found out.
 * Stopped by the signal it gives the image of the last epoch.
 *
 * @param scan a file of any format that can be read, or a scan that is open (and stays so); with `share` several of them, which have one
 * object or one probe in common
 * @throws PtychoError for anything wrong with options or scan; SCAN_WRONG for findings that stop; SOLVER_FAILED; CANCELLED before
 * the first epoch is done
 */
export async function reconstructScan(
  scan: string | RawData | readonly (string | RawData)[],
  options: ReconstructScanOptions = {},
): Promise<ReconstructedImage> {
  const { signal, onProgress, logger, onPreview, ...fields } = options;
  const config = completeConfig(reconstructOptionsDefinition, fields, logger);
  const budget = new Budget(60 * config.minutes);
  const services: ReconstructServices = {
    ...{ signal, onProgress, logger, budget },
    onPreview: onPreview && ((progressing) => onPreview(progressing.image(), progressing)),
  };
  const given = Array.isArray(scan) ? (scan as readonly (string | RawData)[]) : [scan as string | RawData];
  const files = given.filter((one): one is string => typeof one === 'string');
  return withScans(
    files,
    (file) => openForReconstruction(file, config, services),
    async (opened) => {
      const raws: RawData[] = [];
      for (const one of given) {
        raws.push(typeof one === 'string' ? opened[files.indexOf(one)] : await surveyScan(one, { accept: config.data.accept, logger })); // biome-ignore format: one call
      }
      return reconstructOpened(raws, config, services);
    },
  );
}

/** Opens the scan of a reconstruction; every pattern is looked at. @throws PtychoError as `openScan` */
export function openForReconstruction(path: string, config: ReconstructOptions, services: Services): Promise<RawData> {
  const { probe, subsample_seed, seed } = config;
  // A guess is made here, where it is told what became of it.
  const named = isBuiltProbe(probe) || probe === GUESS_PROBE ? null : probe;
  const request = { ...config, probe: named, subsample_seed: subsample_seed ?? seed };
  return openTool(path, request, services);
}

/** The same for scans that are open. @throws PtychoError as {@link reconstructScan} */
export async function reconstructOpened(
  raws: readonly RawData[],
  config: ReconstructOptions,
  services: ReconstructServices = {},
): Promise<ReconstructedImage> {
  if (raws.length > 1 || config.share !== null) joinedOf(raws, config);
  return new Reconstructing(raws, config, services).run();
}

/** One reconstruction. */
class Reconstructing {
  readonly #budget: Budget;
  readonly #notes: string[] = [];
  #raws: readonly RawData[];
  #probeFrom: ProbeOrigin = 'scan';
  #orientation: string | undefined;
  #model: Awaited<ReturnType<typeof PtychoModel.read>> | undefined;
  #shown = performance.now();

  constructor(
    raws: readonly RawData[],
    private readonly config: ReconstructOptions,
    private readonly services: ReconstructServices,
  ) {
    this.#raws = raws;
    this.#notes.push(...(services.resume?.notes ?? []));
    this.#budget = services.budget ?? new Budget(60 * config.minutes);
  }

  /** The one scan, or the first of several. */
  get #first(): RawData {
    return this.#raws[0];
  }

  /** What is solved. */
  get #scan(): ScanToSolve {
    return this.#raws.length > 1 ? joinedOf(this.#raws, this.config) : this.#first;
  }

  /** The same for what tells of a scan: positions, patterns, notes. */
  get #raw(): RawData {
    return this.#raws.length > 1 ? joinedRaw(this.#raws, joinedOf(this.#raws, this.config)) : this.#first;
  }

  async run(): Promise<ReconstructedImage> {
    const { config, services } = this;
    requireSolverMemory(this.#scan, solverOptionsSchema.parse({ ...SEEKING, position_start: 1, stream: false }), {
      threads: config.execution.threads,
      logger: services.logger,
    });
    await this.#takeProbes();
    await this.#orient();
    const start = services.resume ? undefined : await this.#headStart();
    if (config.single_pass) return this.#ofNetwork(start?.object);
    const scan = this.#scan;
    const backend = await solverBackend({ ...config, passes: 'auto' }, scan.N, services.logger ?? silentLogger);
    try {
      const threads = config.execution.threads ?? undefined;
      const { loaded, placed } = await this.#load(scan, { threads, backend });
      const open: OpenLine = (from: LineStart) =>
        SolverLine.open(scan, from, { loaded, threads, backend, signal: services.signal });
      return await this.#solve(open, services.resume?.begin ?? { options: { probe_modes: this.#modes }, start }, placed); // biome-ignore format: one call
    } finally {
      await backend?.dispose();
    }
  }

  async #takeProbes(): Promise<void> {
    const { config, services } = this;
    const { model_path, share } = config;
    const looks = model_path === AUTO_MODEL;
    if (model_path !== null && !looks) this.#model = await PtychoModel.read(model_path);
    // One probe for all is that of a scan that has one; else each has its own.
    const holder = this.#raws.find(({ probeGuess }) => probeGuess) ?? this.#first;
    const found: StartingProbe[] = [];
    for (const raw of share === 'probe' ? [holder] : this.#raws) found.push(await startingProbe(raw, config, this.#model)); // biome-ignore format: one call
    this.#raws = this.#raws.map((raw, s) => ({ ...raw, probeGuess: (found[s] ?? found[0]).probe }));
    // Of several the least that is known.
    const { probe, from } = found.find((one) => one.from === 'guess') ?? found[0];
    this.#probeFrom = from;
    for (const { note } of found) if (note !== undefined) this.#say(note);
    if (!looks) return;
    const { model, reason } = await autoModel(this.#first, { probe, from }, config, services.models);
    this.#model = model;
    this.#say(reason);
  }

  /** Several scans are taken to be recorded alike: how the first one lies is how all do. */
  async #orient(): Promise<void> {
    const { config, services } = this;
    const { flip_x, flip_y, swap_xy } = config.data;
    // The search compares far fields.
    if (this.#first.geometry.nearField) return;
    if (services.resume === undefined && (!config.auto_orient || flip_x || flip_y || swap_xy)) return;
    const { raw, flags, notes } = services.resume
      ? turnBy(this.#first, services.resume.orientation)
      : await orientScan(this.#first, services);
    this.#raws = [raw, ...this.#raws.slice(1).map((other) => turnBy(other, flags).raw)];
    this.#orientation = flags;
    for (const note of notes) this.#say(note, 'warn');
  }

  /** What the network makes of the scan, where that is better than nothing; as it is where it is all that is asked for. */
  async #headStart(): Promise<SolverStart | undefined> {
    const model = this.#model;
    if (!model) return undefined;
    const { config, services } = this;
    const raw = this.#first;
    const { object } = await bundleStart(model, raw, config, services);
    if (!object || config.single_pass) return { object };
    const score = await scored(raw, {
      ...object,
      weight: weightOf(object),
      probe: raw.probeGuess!,
      positions: placesOf(raw),
    });
    if (!score) return undefined;
    const figures = `R ${score.image.toPrecision(3)}, a constant object ${score.constant.toPrecision(3)}`;
    if (score.image < score.constant) {
      this.#say(`The image of the network is the start (${figures}).`);
      return { object };
    }
    this.#say(
      `The image of the network is no better than nothing (${figures}), so the solver begins with an empty object.`,
      'warn',
    );
    return undefined;
  }

  /** Incoherent modes of the probe that it begins with. */
  get #modes(): number {
    return Math.max(...this.#raws.map(({ probeGuess }) => (probeGuess!.shape.length === 3 ? probeGuess!.shape[0] : 1)));
  }

  /** All patterns, where they lie: of several scans of one object after each was solved alone. */
  async #load(scan: ScanToSolve, engine: Pick<ReconstructServices & SolveServices, 'threads' | 'backend'>) {
    const { resume, logger, signal, onProgress } = this.services;
    // Room for whatever is tried.
    const fly_positions = sayWays(scan) ? 2 : 1;
    const { together } = scan;
    const options = solverOptionsSchema.parse({ ...SEEKING, position_start: 1, affine: together === undefined, fly_positions }); // biome-ignore format: one call
    const reading = (done: number) => onProgress?.({ stage: 'reading', done, total: scan.count, unit: 'patterns' });
    if (!together) return { loaded: await loadScan(scan, options, reading), placed: scan };
    const shifts = await placesOfScans(together, solverOptionsSchema.parse(SEEKING), {
      ...{ ...engine, logger, signal, onProgress, resume: resume?.begin.snapshot },
    });
    const where = placed(scan, together, shifts);
    const loaded = await loadScan(where, options, reading);
    return { loaded: { ...loaded, together: { ...loaded.together!, shifts_yx_px: shifts } }, placed: where };
  }

  async #solve(open: OpenLine, begin: SearchBegin, placed: ScanToSolve): Promise<ReconstructedImage> {
    const { config, services } = this;
    const radius_px = Math.max(...this.#raws.map(({ probeGuess }) => probeRadius_px(probeGuess!)));
    const heldOut = chooseHeldOut(placed, radius_px, config.seed);
    const tries = triesOf(config.share).filter(
      ({ name }) => !config.leave_out.includes(name) && (name !== 'fly_positions' || sayWays(placed)),
    );
    const patient = config.share !== null;
    const request = { open, tries, heldOut, patient, budget: this.#budget, afterSeconds: services.afterSeconds, begin };
    const search = new Search(request, {
      onEpoch: (now) => this.#show(now),
      onDecision: (sentence) => this.#say(sentence),
    });
    let found: Found | undefined;
    let resolution: HalfSetCorrelation | undefined;
    try {
      found = await search.run();
      resolution = await this.#halves(open, found);
    } catch (error) {
      if (!isPtychoError(error, 'CANCELLED') || !search.image) throw error;
    }
    services.onStopped?.(this.#progressing(search));
    return this.#result(search, heldOut, found, resolution);
  }

  async #halves(open: OpenLine, { image, state }: Found): Promise<HalfSetCorrelation | undefined> {
    const epochs = state.history.length;
    const last = epochs > 0 ? this.#epochSeconds : 0;
    if (!this.#budget.allows(HALVES_EPOCHS * last, this.services.afterSeconds)) {
      this.#say('There was no time to solve two halves of the scan for the resolution.');
      return undefined;
    }
    const { objectPixel_m } = this.#first.geometry;
    const square = objectPixel_m && Math.abs(objectPixel_m.x - objectPixel_m.y) < 1e-3 * objectPixel_m.x;
    return halfSetResolution(open, this.#scan, image, square ? objectPixel_m.x : undefined);
  }

  /** Mean over what was seen. */
  get #epochSeconds(): number {
    return this.#epochTime.seconds / Math.max(1, this.#epochTime.epochs);
  }
  readonly #epochTime = { seconds: 0, epochs: 0, since: Number.NaN };

  async #show(search: Search): Promise<void> {
    const { history, stage } = search.state;
    const now = performance.now();
    if (!Number.isNaN(this.#epochTime.since)) {
      this.#epochTime.seconds += (now - this.#epochTime.since) / 1000;
      this.#epochTime.epochs++;
    }
    const { heldOutR, rFactor } = history[history.length - 1];
    const r =
      heldOutR === undefined ? `R ${rFactor.toPrecision(3)}` : `R of patterns held out ${heldOutR.toPrecision(3)}`;
    // No more than the time allows, so that what the terminal says is left does not exceed --minutes.
    const expected = Math.min(EXPECTED_EPOCHS, history.length + this.#budget.pieces(this.#epochSeconds));
    const total = Math.max(expected, history.length + 1);
    this.services.onProgress?.({
      stage: 'solving',
      done: history.length,
      total,
      unit: 'epochs',
      note: `${stage}, ${r}`,
    });
    const { preview_seconds } = this.config;
    if (preview_seconds !== null && (now - this.#shown) / 1000 >= preview_seconds) {
      await this.services.onPreview?.(this.#progressing(search));
      this.#shown = performance.now();
    }
    this.#epochTime.since = performance.now();
  }

  #progressing(search: Search): Progressing {
    const image = () => imageOf(search.image!);
    return { search, image, orientation: this.#orientation, raw: this.#raw, raws: this.#raws, seconds: this.#budget.used }; // biome-ignore format: one value
  }

  #say(sentence: string, how: 'info' | 'warn' = 'info'): void {
    if (!this.#notes.includes(sentence)) this.#notes.push(sentence);
    this.services.logger?.[how](sentence);
  }

  async #result(
    search: Search,
    heldOut: Int32Array,
    found: Found | undefined,
    resolution: HalfSetCorrelation | undefined,
  ): Promise<ReconstructedImage> {
    const { state } = search;
    const image = search.image!;
    const last = state.history[state.history.length - 1];
    const cancelled = this.services.signal?.aborted === true;
    const { rFactor, loss } = found ?? last;
    const solved = imageOf(image);
    const scans = solved.together && (await scoresOfScans(this.#raws, solved));
    const score = scans ? worstOf(scans) : await scored(this.#first, solved);
    return {
      ...solved,
      epoch: state.history.length,
      ...{ raw: this.#raw, raws: this.#raws, scans },
      algorithm: 'rPIE',
      engine: image.engine,
      ...{ rFactor, loss, score, resolution, cancelled },
      measured: found !== undefined,
      heldOut: state.heldOutR === undefined ? undefined : { rFactor: state.heldOutR, patterns: heldOut.length },
      tried: state.tried,
      history: state.history,
      notes: this.#notes,
      probeFrom: this.#probeFrom,
      orientation: this.#orientation,
      moved: movesPositions(state.options),
      seconds: this.#budget.used,
      hurried: state.hurried,
      next: suggestions(this.config, {
        ...{ hurried: state.hurried, probeFrom: this.#probeFrom, score },
        seconds: this.#budget.used,
      }),
    };
  }

  /** The image of the network alone. */
  async #ofNetwork(object: SolverStart['object']): Promise<ReconstructedImage> {
    const raw = this.#first;
    const probe = raw.probeGuess!;
    if (!object) throw new Error('a network gives an image');
    const weight = weightOf(object);
    const positions = placesOf(raw);
    const score = await scored(raw, { ...object, weight, probe, positions });
    return {
      ...{
        epoch: 0,
        image: object.image,
        frame: object.frame,
        coverage: weight,
        overlapCount: weight,
        weight,
        probe,
        positions,
        raw,
        raws: [raw],
        score,
      },
      algorithm: this.#model!.bundle.config.model.architecture,
      model: this.#model!.bundle.path,
      engine: 'network',
      ...{
        rFactor: score?.image ?? Number.NaN,
        loss: Number.NaN,
        measured: true,
        tried: [],
        history: [],
        notes: this.#notes,
      },
      ...{ probeFrom: this.#probeFrom, orientation: this.#orientation, moved: false },
      ...{ seconds: this.#budget.used, hurried: false, cancelled: false },
      next: [{ flag: '--no-single_pass', reason: 'a solver goes on from the image of the network' }],
    };
  }
}

/** Several scans as solvers take them. @throws PtychoError those of `joinScans` */
function joinedOf(raws: readonly RawData[], { share, align_scans }: ReconstructOptions): JoinedScan {
  if (share === null) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `There are ${raws.length} scans, but nothing says what they have in common: give share object or probe, or reconstruct them one by one.`,
      { key: 'share', found: raws.length },
    );
  }
  const still = share === 'object' && !align_scans;
  return joinScans(raws, { share, ...(still && { offsets_yx_px: raws.map(() => [0, 0] as const) }) });
}

type StartingImage = NonNullable<SolverStart['object']>;

/** 1 where a start means something. */
function weightOf({ image, covered }: StartingImage): Tensor {
  const data = covered ? Float32Array.from(covered.data) : new Float32Array(image.re.length).fill(1);
  return { data, shape: image.shape };
}

const placesOf = ({ xcoords, ycoords }: RawData) => ({ xs: xcoords, ys: ycoords });

/** What R of an image is measured by: it, its probe, and where the patterns are with it. */
type Scored = Pick<SolvedImage, 'image' | 'frame' | 'weight' | 'probe' | 'positions'>;

/** R on some patterns, as `evaluate` has it. */
const scored = (raw: RawData, { probe, positions, ...object }: Scored): Promise<ImageRFactor | undefined> =>
  scoreR(raw, object, { limit: R_FACTOR_PATTERNS, probe, of: 'reconstruction', positions });

/** As long as nobody knows better. */
const EXPECTED_EPOCHS = 35;
/** Flags that are suggested at most. */
const MOST_SUGGESTIONS = 2;
/** An image that is hardly better than a constant object has something wrong behind it. */
const HARDLY_BETTER = 0.8;

function suggestions(
  config: ReconstructOptions,
  { hurried, probeFrom, score, seconds }: Pick<ReconstructedImage, 'hurried' | 'probeFrom' | 'score' | 'seconds'>,
): Suggestion[] {
  const all: Suggestion[] = [];
  if (hurried) {
    all.push({
      // A budget of no time at all is no measure of what is wanting.
      flag: `--minutes ${Number((2 * Math.max(config.minutes, seconds / 60)).toPrecision(2))}`,
      reason: 'the time was up before the image came to rest',
    });
  }
  if (probeFrom === 'guess') {
    all.push({
      flag: '--probe FILE, or --probe zone_plate --probe_outer_zone_m W --probe_defocus_m Z',
      reason: 'the probe was guessed from the patterns, and a better start saves time or a wrong image',
    });
  }
  if (score && score.image > HARDLY_BETTER * score.constant) {
    all.push({
      flag: '--coord_scale S',
      reason: 'R is hardly below that of a constant object: the unit or the scale of the positions may be wrong',
    });
  }
  if (all.length === 0 && config.model_path === null && config.share === null) {
    all.push({
      flag: '--model_path run/wts.zip',
      reason: 'a network that was trained on such samples is a head start',
    });
  }
  return all.slice(0, MOST_SUGGESTIONS);
}
