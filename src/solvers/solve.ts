/**
 * Iterative reconstruction of a scan: object, probe and, on request, positions from the patterns, without a network.
 *
 * @example
 * for await (const update of solve(raw, { algorithm: 'rpie', epochs: 60 })) console.log(update.epoch, update.rFactor);
 */

import { solverDefinition } from '../config/commands.js';
import { completeConfig } from '../config/resolve.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError, requireObject } from '../core/errors.js';
import type { ProgressSink } from '../core/log.js';
import { integers, spreadIndices } from '../core/numbers.js';
import type { ComplexImage, ComplexTensor, NumericArray, Tensor } from '../core/tensor.js';
import { guessProbe } from '../data/opening/probe.js';
import { exposureFactor, totalIntensity } from '../physics/probe.js';
import { type Frame, fillUncovered, moveToFrame } from '../reconstruction/frame.js';
import { Acceleration } from './acceleration.js';
import { AffineCorrection, type AffineFound, type AffineFreedom } from './affine.js';
import {
  type Algorithm,
  type AlgorithmContext,
  accelerationOf,
  batchingOf,
  type EpochSchedule,
  TRAITS,
} from './algorithms/algorithm.js';
import { openBatches } from './algorithms/batches.js';
import { DifferenceMap } from './algorithms/differenceMap.js';
import { LeastSquaresML } from './algorithms/lsqml.js';
import { PieFamily } from './algorithms/pie.js';
import { BeamCorrection, type BeamFound, steadyBeam } from './beam.js';
import { blankOutside, holdPower, orthogonaliseModes, smoothTotalVariation } from './constraints.js';
import { openPasses, type PassesChoice } from './openPasses.js';
import { PositionCorrection } from './positions.js';
import { lightOnObject, probeRadius_px, startProbe } from './probe.js';
import {
  correctsPositions,
  type LoadedScan,
  loadScan,
  positionMargin_px,
  requireFewModes,
  requireOverlap,
  requireProbe,
  type ScanToSolve,
  withOwnPositions,
} from './scan.js';
import { type PassSums, SumsOfPasses, type WavePasses } from './wavePasses.js';

/** What a solver begins with, where not with an empty object and the scan's own probe. */
export interface SolverStart {
  /** An image of the object, in amplitudes relative to the probe; where it does not reach, its mean stands for it. */
  readonly object?: { readonly image: ComplexImage; readonly frame: Frame; readonly covered?: Tensor };
  /** (N, N) or (modes, N, N). */
  readonly probe?: ComplexTensor;
  /** Epochs that led here, by which the order of the patterns and what depends on the epoch go on; 0. */
  readonly epoch?: number;
  /** Where the patterns are by now, in the pixels of the scan; limits still count from where they were measured. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
  /** How the beam changed over the scan, for `opr_modes` and `flux`. */
  readonly beam?: BeamFound;
  /** What was wrong of all positions, for `affine`: from there on limits count. */
  readonly affine?: Pick<AffineFound, 'matrix_yx'>;
}

/** What to give {@link solve} besides options. */
export interface SolveServices extends PassesChoice {
  readonly start?: SolverStart;
  /** Goes on from a state that {@link SolverUpdate.snapshot} gave, of the same scan and options. */
  readonly resume?: SolverSnapshot;
  /** Patterns that object and probe do not learn from, so that they can tell how well the others explain them; their positions and beams follow. */
  readonly heldOut?: Int32Array;
  /** The scan in memory, where it was loaded before; its positions are not moved. */
  readonly loaded?: LoadedScan;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

/** Everything that the next epoch depends on. */
export interface SolverSnapshot {
  readonly epoch: number;
  readonly arrays: Readonly<Record<string, NumericArray>>;
  readonly history: readonly SolverRecord[];
}

/** One epoch in numbers. */
export interface SolverRecord {
  readonly epoch: number;
  /** Σ(√I − √J)²/ΣI over the epoch, each batch before its step (the difference map: after the epoch's step). */
  readonly loss: number;
  /** Σ|√I − √J|/Σ√I, likewise. */
  readonly rFactor: number;
  /** Root mean square distance of the positions from where they were measured. */
  readonly shift_px: number;
}

/** How well patterns are explained, one by one. */
export interface PatternMisfits {
  /** Σ|√I − √J|. */
  readonly misfit: Float64Array;
  /** Σ√I. */
  readonly measured: Float64Array;
}

/** The state after an epoch; the functions copy what is asked for. */
export interface SolverUpdate extends SolverRecord {
  readonly epochs: number;
  readonly history: readonly SolverRecord[];
  /** What computes. */
  readonly engine: string;
  /** The object as it stands, copied. */
  object(): { readonly image: ComplexImage; readonly frame: Frame };
  /** Light that fell on each pixel of the object over the scan, 1 at the brightest; 0 where below 1 %. */
  coverage(): Tensor;
  /** (N, N), or (modes, N, N). */
  probe(): ComplexTensor;
  /** How the beam changed over the scan, copied; undefined where that is not fitted. */
  beam(): BeamFound | undefined;
  /** What was wrong of all positions; undefined where that is not corrected. */
  affine(): AffineFound | undefined;
  /** In the pixels of the scan. */
  positions(): { readonly xs: Float64Array; readonly ys: Float64Array };
  /** Loss and R of all patterns as things stand; one more pass. */
  measure(): Promise<{ readonly loss: number; readonly rFactor: number }>;
  /** Σ|√I − √J| and Σ√I of each of some patterns as things stand. */
  misfits(patterns: Int32Array): Promise<PatternMisfits>;
  /** All that the run needs to continue from here, copied. */
  snapshot(): SolverSnapshot;
}

/**
 * Solves a scan, one update an epoch; the first describes the start where nothing was resumed (epoch 0). A run that is resumed with
 * all its epochs done gives its last state once more.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID for options that are wrong or contradict each other, DATASET_VALUE for a scan without counts or overlap,
 * PROBE_SHAPE, SOLVER_FAILED when the misfit diverges, CANCELLED
 */
export async function* solve(
  raw: ScanToSolve,
  given: Partial<SolverOptions> = {},
  services: SolveServices = {},
): AsyncGenerator<SolverUpdate, void, void> {
  requireObject(raw, 'solve takes an open scan first, as openScan or rawDataFromArrays gives it', ['patterns']);
  const options = completeConfig(solverDefinition, given, services.logger);
  const { N } = raw;
  requireProbe(raw.source, services.start?.probe ?? raw.probeGuess, N);
  requireFewModes(raw, options);
  const moving = correctsPositions(options);
  if (moving && options.algorithm === 'dm') {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${options.affine ? 'affine' : 'position_start'}: the difference map cannot correct positions (measured: they shrink towards each other while the misfit falls); use rpie, epie, pie or lsqml.`,
      { key: options.affine ? 'affine' : 'position_start', algorithm: options.algorithm },
    );
  }
  const varying = options.opr_modes > 0 || options.flux;
  if (varying && options.algorithm === 'dm') {
    throw new PtychoError(
      'CONFIG_INVALID',
      `${options.flux ? 'flux' : 'opr_modes'}: the difference map takes one beam for all patterns; use rpie, epie, pie or lsqml.`,
      { key: options.flux ? 'flux' : 'opr_modes', algorithm: options.algorithm },
    );
  }
  const read = services.loaded
    ? withOwnPositions(services.loaded)
    : await loadScan(raw, positionMargin_px(options, raw), (done) =>
        services.onProgress?.({ stage: 'reading', done, total: raw.count, unit: 'patterns' }),
      );
  const beam = varying ? steadyBeam(read.scan.count, options.opr_modes) : undefined;
  const loaded = { ...read, scan: { ...read.scan, beam } };
  throwIfCancelled(services.signal, 'Solving');
  const probe = startProbe(services.start?.probe ?? raw.probeGuess ?? (await guessProbe(raw.patterns)), options);
  requireOverlap(raw.source, loaded.scan, probeRadius_px(probe));
  const traits = TRAITS[options.algorithm];
  const batchSize = Math.min(loaded.scan.count, options.batch_size ?? traits.batchSize(loaded.scan.count));
  const passes = await openPasses(services, options.passes, {
    scan: loaded.scan,
    sizes: {
      modes: probe.re.length / (N * N),
      coherent: options.opr_modes,
      height: loaded.frame.height,
      width: loaded.frame.width,
    },
    // Batches of equal size are up to half as large again.
    keep:
      traits.keepsBatches || moving || options.opr_modes > 0
        ? Math.min(loaded.scan.count, Math.ceil(1.5 * batchSize) + 1)
        : 0,
    storeWaves: traits.storesWaves,
    floor: 1e-6 * loaded.amplitude,
  });
  try {
    yield* new Solving(options, services, loaded, passes, batchSize).run(probe);
  } finally {
    await passes.close();
  }
}

/** One run. */
class Solving {
  readonly #positions: PositionCorrection;
  readonly #algorithm: Algorithm;
  readonly #history: SolverRecord[] = [];
  readonly #affine: AffineCorrection | undefined;
  readonly #beam: BeamCorrection | undefined;
  readonly #acceleration: Acceleration | undefined;
  readonly #batchSize: number;
  readonly #heldOut: Int32Array;
  /** What object and probe learn from. */
  readonly #rows: Int32Array;
  #power = 0;

  constructor(
    private readonly options: SolverOptions,
    private readonly services: SolveServices,
    private readonly loaded: LoadedScan,
    private readonly passes: WavePasses,
    batchSize: number,
  ) {
    this.#batchSize = batchSize;
    this.#heldOut = services.heldOut ?? new Int32Array(0);
    const held = new Set(this.#heldOut);
    this.#rows = integers(loaded.scan.count).filter((k) => !held.has(k));
    this.#affine = options.affine ? this.#openAffine() : undefined;
    this.#positions = new PositionCorrection(loaded.scan, options, this.#affine);
    const { beam } = loaded.scan;
    this.#beam = beam && new BeamCorrection(passes, beam, options);
    this.#algorithm = createAlgorithm({
      passes,
      scan: loaded.scan,
      rows: this.#rows,
      options,
      batchSize,
      batches: openBatches(batchingOf(options), loaded.scan, {
        size: batchSize,
        seed: options.seed,
        rows: this.#rows,
      }),
      positions: this.#positions,
      beam: this.#beam,
      onBatch: (done) => this.#onBatch(done),
    });
    const most = accelerationOf(options);
    if (most > 0) this.#acceleration = new Acceleration(passes.memory, most);
  }

  /** Epochs before the first of this run. */
  get #begun(): number {
    return this.services.start?.epoch ?? 0;
  }

  get #storesWaves(): boolean {
    return TRAITS[this.options.algorithm].storesWaves;
  }

  async *run(probe: ComplexTensor): AsyncGenerator<SolverUpdate, void, void> {
    const { resume } = this.services;
    if (resume) {
      this.#restore(resume);
      // Nothing is left to do: the state is shown as it is.
      if (resume.epoch >= this.options.epochs) yield this.#update(resume.epoch);
    } else {
      await this.#begin(probe);
      yield this.#update(this.#begun);
    }
    for (let epoch = (resume?.epoch ?? this.#begun) + 1; epoch <= this.options.epochs; epoch++) {
      const schedule = scheduleOf(this.options, epoch);
      this.#acceleration?.go(epoch, () => this.#light());
      const sums = await this.#algorithm.epoch(epoch, schedule);
      if (schedule.positions || schedule.beam) await this.#followHeldOut(schedule);
      this.#constrain(epoch, schedule);
      this.#record(epoch, sums);
      this.#acceleration?.note(sums.square / sums.counts);
      yield this.#update(epoch);
      throwIfCancelled(this.services.signal, 'Solving');
    }
  }

  async #begin(probe: ComplexTensor): Promise<void> {
    const { memory } = this.passes;
    const { object, positions, beam, affine } = this.services.start ?? {};
    if (affine) this.#affine?.startAt(affine.matrix_yx);
    if (positions) this.#positions.startAt(positions, this.loaded.frame.originYxPx);
    memory.probe.re.set(probe.re);
    memory.probe.im.set(probe.im);
    if (object) {
      const { image: whole, fill } = fillUncovered(object.image, { overlapCount: object.covered });
      const image = moveToFrame(whole, object.frame, this.loaded.frame, fill);
      memory.object.re.set(image.re);
      memory.object.im.set(image.im);
    } else {
      memory.object.re.fill(1);
      memory.object.im.fill(0);
    }
    if (beam) this.#beam?.start(beam);
    if (this.options.rescale_probe) {
      const { counts, modelled } = await this.#measure();
      const factor = exposureFactor(counts, modelled);
      for (const field of [memory.probe, memory.variation]) memory.scale(field, factor);
    }
    this.#power = this.options.probe_power_counts ?? totalIntensity(memory.probe);
    if (this.options.probe_power_counts !== null) holdPower(memory, this.#power);
    await this.#algorithm.start();
    this.#acceleration?.reset();
    this.#history.push({
      ...scoresOf(await this.#measure()),
      epoch: this.#begun,
      shift_px: this.#positions.shift_px(),
    });
  }

  /** Sums over up to a few hundred patterns spread over the scan. */
  #measure(): Promise<PassSums> {
    const some = spreadIndices(this.#rows.length, 256).map((i) => this.#rows[i]);
    return this.passes.pass(some, { wave: 'measure' });
  }

  /**
   * Patterns that are held out move like the others and have beams of their own, with object and probe as they are. What all
   * positions share is found without them: they go along when it is followed.
   */
  async #followHeldOut(schedule: EpochSchedule): Promise<void> {
    const moving = schedule.positions && !schedule.affine;
    if (!moving && !schedule.beam) return;
    for (let from = 0; from < this.#heldOut.length; from += this.#batchSize) {
      const batch = this.#heldOut.slice(from, from + this.#batchSize);
      const residues = schedule.beam && this.#beam?.needsResidues === true;
      const keep = moving || residues;
      await this.passes.pass(batch, { wave: 'amplitude', keep, probe: residues, beam: residues });
      if (moving) await this.#positions.moveBatch(this.passes, batch);
      if (schedule.beam) await this.#beam?.followBatch(batch);
    }
  }

  async #misfits(patterns: Int32Array): Promise<PatternMisfits> {
    const misfit = new Float64Array(patterns.length);
    const measured = new Float64Array(patterns.length);
    for (const [i, pattern] of patterns.entries()) {
      const { absolute, amplitude } = await this.passes.pass(Int32Array.of(pattern), { wave: 'measure' });
      misfit[i] = absolute;
      measured[i] = amplitude;
    }
    return { misfit, measured };
  }

  async #measureAll(): Promise<PassSums> {
    const { count } = this.loaded.scan;
    const total = new SumsOfPasses();
    for (let from = 0; from < count; from += 256) {
      const batch = Int32Array.from({ length: Math.min(256, count - from) }, (_, i) => from + i);
      total.add(await this.passes.pass(batch, { wave: 'measure' }));
    }
    return total;
  }

  #constrain(epoch: number, schedule: EpochSchedule): void {
    const { memory } = this.passes;
    const { options } = this;
    const { N, height, width } = memory.sizes;
    if (schedule.positions && !schedule.affine) this.#positions.removeDrift();
    if (schedule.beam) this.#beam?.endEpoch();
    if (schedule.probe) {
      if (options.probe_support !== null) {
        blankOutside(memory.probe, N, options.probe_support, memory.variation);
      }
      // Stored waves belong to the modes as they are: the difference map's are turned where they are shown only.
      const turn = options.orthogonalise_stride !== null && epoch % options.orthogonalise_stride === 0;
      if (turn && !this.#storesWaves) orthogonaliseModes(memory.probe, N * N);
      if (options.hold_probe_power || options.probe_power_counts !== null) holdPower(memory, this.#power);
    }
    if (schedule.object && options.tv_weight > 0) {
      const rms = Math.sqrt(totalIntensity(memory.object) / memory.object.re.length);
      smoothTotalVariation(memory.object, { height, width }, options.tv_weight * rms);
    }
    if (schedule.affine) this.#followAffine();
  }

  #openAffine(): AffineCorrection {
    const { N, height, width } = this.passes.memory.sizes;
    const half = Math.floor(N / 2);
    // Derivatives need a pixel around the patch.
    const within = (at: number, length: number) => Math.round(at) - half >= 1 && Math.round(at) - half + N < length;
    const { affine_freedom } = this.options;
    return new AffineCorrection(
      this.loaded.scan,
      affine_freedom.split(',') as AffineFreedom[],
      (y, x) => within(y, height) && within(x, width),
    );
  }

  /** Positions together, and the object with them. */
  #followAffine(): void {
    const { object, sizes } = this.passes.memory;
    const before = this.#acceleration?.object;
    this.#affine?.step(this.loaded.scan, before ? [object, before] : [object], sizes);
  }

  #light(): ArrayLike<number> {
    const { probe, sizes } = this.passes.memory;
    return this.#algorithm.light?.() ?? lightOnObject(probe, sizes.N, this.#positions_px(), this.loaded.frame).data;
  }

  #record(epoch: number, sums: PassSums): void {
    const scores = scoresOf(sums);
    const start = this.#history[0].loss;
    // A misfit of 1 is that of no model at all.
    if (!Number.isFinite(scores.loss) || scores.loss > Math.max(1, start)) {
      throw new PtychoError(
        'SOLVER_FAILED',
        `${this.options.algorithm} diverged in epoch ${epoch}: the misfit is ${scores.loss.toPrecision(3)} (${start.toPrecision(3)} at the start, 1 for no light at all); take smaller steps (object_step, probe_step), or check positions and probe ("ptychopinn orient" tries how the positions lie).`,
        { epoch, loss: scores.loss, start },
      );
    }
    this.#history.push({ ...scores, epoch, shift_px: this.#positions.shift_px() });
  }

  #update(epoch: number): SolverUpdate {
    const record = this.#history[this.#history.length - 1];
    this.services.onProgress?.({
      stage: 'solving',
      done: epoch * this.loaded.scan.count,
      total: this.options.epochs * this.loaded.scan.count,
      unit: 'patterns',
      note: `epoch ${epoch}/${this.options.epochs}, R ${record.rFactor.toPrecision(3)}`,
    });
    return {
      ...record,
      epochs: this.options.epochs,
      history: [...this.#history],
      engine: this.passes.description,
      object: () => ({ image: this.#image(), frame: this.loaded.frame }),
      coverage: () =>
        lightOnObject(this.passes.memory.probe, this.loaded.scan.N, this.#positions_px(), this.loaded.frame),
      probe: () => this.#probe(),
      beam: () => this.#beam?.found(),
      affine: () => this.#affine?.found(),
      positions: () => this.#positions_px(),
      measure: async () => scoresOf(await this.#measureAll()),
      misfits: (patterns) => this.#misfits(patterns),
      snapshot: () => this.#snapshot(epoch),
    };
  }

  #image(): ComplexImage {
    const { object, sizes } = this.passes.memory;
    return {
      re: Float32Array.from(object.re),
      im: Float32Array.from(object.im),
      shape: [sizes.height, sizes.width],
    };
  }

  #probe(): ComplexTensor {
    const { probe, sizes } = this.passes.memory;
    const { N, modes } = sizes;
    const shape = modes === 1 ? [N, N] : [modes, N, N];
    const shown = { re: Float32Array.from(probe.re), im: Float32Array.from(probe.im), shape };
    if (this.#storesWaves && this.options.orthogonalise_stride !== null) orthogonaliseModes(shown, N * N);
    return shown;
  }

  #positions_px() {
    const [top, left] = this.loaded.frame.originYxPx;
    return {
      xs: Float64Array.from(this.loaded.scan.xs, (x) => x + left),
      ys: Float64Array.from(this.loaded.scan.ys, (y) => y + top),
    };
  }

  #snapshot(epoch: number): SolverSnapshot {
    const { object, probe } = this.passes.memory;
    const arrays: Record<string, NumericArray> = {
      object_re: Float32Array.from(object.re),
      object_im: Float32Array.from(object.im),
      probe_re: Float32Array.from(probe.re),
      probe_im: Float32Array.from(probe.im),
      ys: Float64Array.from(this.loaded.scan.ys),
      xs: Float64Array.from(this.loaded.scan.xs),
      position_velocity: this.#positions.velocity.slice(),
      power: Float64Array.of(this.#power),
    };
    for (const [name, array] of Object.entries(this.#algorithm.saved())) arrays[`algorithm_${name}`] = array.slice();
    for (const [name, array] of Object.entries(this.#affine?.saved() ?? {})) arrays[`affine_${name}`] = array.slice();
    for (const [name, array] of Object.entries(this.#beam?.saved() ?? {})) arrays[`beam_${name}`] = array.slice();
    for (const [name, array] of Object.entries(this.#acceleration?.saved() ?? {})) {
      arrays[`acceleration_${name}`] = array.slice();
    }
    return { epoch, arrays, history: [...this.#history] };
  }

  #restore({ arrays, history, epoch }: SolverSnapshot): void {
    const { object, probe } = this.passes.memory;
    const { scan } = this.loaded;
    const put = (name: string, target: NumericArray) => {
      const found = arrays[name] as NumericArray | undefined;
      if (found?.length === target.length) {
        target.set(found);
        return;
      }
      throw new PtychoError(
        'CHECKPOINT_INVALID',
        `The saved state has ${found?.length ?? 'no'} values of ${name}, but this scan with these options needs ${target.length}: it belongs to another run.`,
        { key: name, found: found?.length, expected: target.length },
      );
    };
    put('object_re', object.re);
    put('object_im', object.im);
    put('probe_re', probe.re);
    put('probe_im', probe.im);
    put('ys', scan.ys);
    put('xs', scan.xs);
    put('position_velocity', this.#positions.velocity);
    const power = new Float64Array(1);
    put('power', power);
    this.#power = power[0];
    const saved: Record<string, NumericArray> = {};
    for (const [name, array] of Object.entries(this.#algorithm.saved())) {
      saved[name] = array.slice();
      put(`algorithm_${name}`, saved[name]);
    }
    this.#algorithm.restore(saved);
    for (const [name, array] of Object.entries(this.#affine?.saved() ?? {})) put(`affine_${name}`, array);
    for (const [name, array] of Object.entries(this.#beam?.saved() ?? {})) put(`beam_${name}`, array);
    for (const [name, array] of Object.entries(this.#acceleration?.saved() ?? {})) put(`acceleration_${name}`, array);
    this.#history.push(...history.filter((record) => record.epoch <= epoch));
  }

  #onBatch(done: number): void {
    const { scan } = this.loaded;
    throwIfCancelled(this.services.signal, 'Solving');
    const before = (this.#history.at(-1)?.epoch ?? 0) * scan.count;
    this.services.onProgress?.({
      stage: 'solving',
      done: before + done,
      total: this.options.epochs * scan.count,
      unit: 'patterns',
      note: `R ${this.#history.at(-1)?.rFactor.toPrecision(3)}`,
    });
  }
}

function createAlgorithm(context: AlgorithmContext): Algorithm {
  switch (context.options.algorithm) {
    case 'lsqml':
      return new LeastSquaresML(context);
    case 'dm':
      return new DifferenceMap(context);
    case 'pie':
    case 'epie':
    case 'rpie':
      return new PieFamily(context);
  }
}

function scheduleOf(options: SolverOptions, epoch: number): EpochSchedule {
  const varying = options.opr_modes > 0 || options.flux;
  const affine = options.affine && epoch >= options.affine_start && epoch <= options.affine_stop;
  const within = (start: number | null, stop: number | null, stride: number) =>
    start !== null && epoch >= start && epoch <= (stop ?? Infinity) && (epoch - start) % stride === 0;
  const freeFrom = options.affine
    ? Math.max(options.position_start ?? 1, options.affine_stop + 1)
    : options.position_start;
  const free = within(freeFrom, options.position_stop, options.position_stride);
  const probe = within(options.probe_start, options.probe_stop, options.probe_stride);
  return {
    object: within(options.object_start, options.object_stop, options.object_stride),
    probe,
    beam: varying && probe && epoch >= options.opr_start,
    positions: affine || free,
    affine,
  };
}

function scoresOf({ square, counts, absolute, amplitude }: PassSums) {
  return { loss: square / counts, rFactor: absolute / amplitude };
}
