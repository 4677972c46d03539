/** One run of a solver: epoch after epoch over opened passes, with what is done between epochs. */
import type { Backend } from '../backends/backend.js';
import type { SolverOptions } from '../config/schemas/solver.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { integers, spreadIndices } from '../core/numbers.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../core/tensor.js';
import { type ObjectLayers, projection } from '../physics/layers.js';
import { exposureFactor, totalIntensity } from '../physics/probe.js';
import { type Algorithm, accelerationOf, batchingOf, type EpochSchedule, TRAITS } from './algorithms/algorithm.js';
import { type BatchLengths, openBatches } from './algorithms/batches.js';
import { createAlgorithm } from './algorithms/createAlgorithm.js';
import { MaximumLikelihood } from './algorithms/ml.js';
import { NetworkPrior } from './algorithms/networkPrior.js';
import { Acceleration } from './corrections/acceleration.js';
import { AffineCorrection, type AffineFreedom, type Matrix2 } from './corrections/affine.js';
import { holdWithin } from './corrections/afterEpoch.js';
import { BackgroundCorrection } from './corrections/background.js';
import { BeamCorrection } from './corrections/beam.js';
import { holdPower, type ModePlanes, orthogonaliseModes } from './corrections/constraints.js';
import { PositionCorrection } from './corrections/positions.js';
import { movePlanes, offCentre } from './corrections/probeLimits.js';
import { arraysInUse, arraysOf, restoreArrays, type SavedParts } from './corrections/savedParts.js';
import { type NamedFields, requireFiniteFields, requireFiniteStart } from './finite.js';
import { deviancesOf, measureAll, misfitsOf, scoresOf } from './measure.js';
import { lightOnObject } from './probe.js';
import type { LoadedScan } from './scan.js';
import { isOfAll, isPainted, scheduleOf, searchesAt } from './schedule.js';
import { asSlices, beginWith, slicesOf } from './slices.js';
import { OFFSETS_SAVED, OffsetCorrection } from './together/offsets.js';
import { columnsOf } from './together/place.js';
import { probesIn } from './together/probes.js';
import type { FoundTogether, SolverRecord, SolverSnapshot, SolverUpdate, SolveServices } from './updates.js';
import { MEASURED_AT_ONCE, type PassSums, type WavePasses } from './wavePasses.js';
import { litPlaces } from './ways.js';

type Floats = Float32Array<ArrayBufferLike>;

/** One run. */
export class Solving {
  readonly #positions: PositionCorrection;
  readonly #algorithm: Algorithm;
  /** Takes over for the finish. */
  readonly #finish: Algorithm | undefined;
  readonly #history: SolverRecord[] = [];
  readonly #affine: AffineCorrection | undefined;
  readonly #beam: BeamCorrection | undefined;
  readonly #background: BackgroundCorrection | undefined;
  readonly #acceleration: Acceleration | undefined;
  readonly #offsets: OffsetCorrection | undefined;
  readonly #batchSize: number;
  readonly #heldOut: Int32Array;
  /** What object and probe learn from. */
  readonly #rows: Int32Array;
  /** Σ|P|² that is held, one value. */
  readonly #power = new Float64Array(1);

  constructor(
    private readonly options: SolverOptions,
    private readonly services: SolveServices,
    private readonly loaded: LoadedScan,
    private readonly passes: WavePasses,
    lengths: BatchLengths,
    private readonly others: {
      /** What a network runs on that paints the object. */
      readonly engine?: Backend;
      /** Finds what is wrong of all positions by trial, from where they are. */
      readonly search?: (places: LoadedScan, rows: Int32Array) => Promise<Matrix2>;
    } = {},
  ) {
    this.#batchSize = lengths.size;
    this.#heldOut = services.heldOut ?? new Int32Array(0);
    const held = new Set(this.#heldOut);
    this.#rows = integers(loaded.scan.count).filter((k) => !held.has(k));
    this.#affine = options.affine ? this.#openAffine() : undefined;
    const { together } = loaded;
    this.#positions = new PositionCorrection(loaded.scan, options, this.#affine, together?.firsts);
    if (together?.follows) {
      this.#offsets = new OffsetCorrection(together.shifts_yx_px ?? [], loaded.scan.N, this.#positions);
    }
    const { beam, background } = loaded.scan;
    this.#beam = beam && new BeamCorrection(passes, beam, options);
    this.#background = background && new BackgroundCorrection(passes, loaded.scan, background);
    const batches = openBatches(batchingOf(options), loaded.scan, {
      ...lengths,
      seed: options.seed,
      rows: this.#rows,
    });
    const { stream } = loaded.scan;
    const context = {
      passes,
      scan: loaded.scan,
      rows: this.#rows,
      options,
      batchSize: lengths.size,
      batches: stream ? { of: (epoch: number) => stream.plan(batches.of(epoch)) } : batches,
      positions: this.#positions,
      beam: this.#beam,
      background: this.#background,
      onBatch: (done: number) => this.#onBatch(done),
    };
    this.#algorithm = createAlgorithm(context);
    const { algorithm, ml_start, epochs } = options;
    if (algorithm !== 'ml' && ml_start !== null && ml_start <= epochs) this.#finish = new MaximumLikelihood(context);
    if (others.engine) this.#finish = new NetworkPrior(context, others.engine);
    const most = accelerationOf(options);
    if (most > 0) this.#acceleration = new Acceleration(passes.memory, most);
  }

  /** Lets go of what an engine holds. */
  async close(): Promise<void> {
    await this.#finish?.close?.();
  }

  /** What works in an epoch in place of the algorithm. */
  #finishOf(epoch: number): Algorithm | undefined {
    return isOfAll(this.options, epoch) || isPainted(this.options, epoch) ? this.#finish : undefined;
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
      const finish = this.#finishOf(epoch);
      if (!finish) this.#acceleration?.go(epoch, () => this.#light());
      if (schedule.background) this.#background?.begin();
      const sums = await (finish ?? this.#algorithm).epoch(epoch, schedule);
      const beam = schedule.beam || (finish instanceof MaximumLikelihood && finish.followsFlux(schedule));
      await this.#followHeldOut({ ...schedule, beam });
      this.#constrain(epoch, schedule);
      if (searchesAt(this.options, epoch)) await this.#searchAffine();
      this.#record(epoch, sums);
      requireFiniteFields(this.#fields, `${this.options.algorithm} diverged in epoch ${epoch}`);
      this.#acceleration?.note(sums.square / sums.counts);
      yield this.#update(epoch);
      throwIfCancelled(this.services.signal, 'Solving');
    }
  }

  async #begin(probe: ComplexTensor): Promise<void> {
    const { memory } = this.passes;
    const { object, positions, beam, affine, background, together } = this.services.start ?? {};
    const offsets = together?.offsets;
    // First of all: from there on limits count.
    if (offsets) this.#offsets?.restore({ ...offsets });
    if (affine) this.#affine?.startAt(affine.matrix_yx);
    if (positions) this.#positions.startAt(positions, this.loaded.frame.originYxPx);
    memory.probe.re.set(probe.re);
    memory.probe.im.set(probe.im);
    if (object) {
      beginWith(object, memory.object, this.loaded.frame);
    } else {
      memory.object.re.fill(1);
      memory.object.im.fill(0);
    }
    requireFiniteStart(this.#fields);
    if (beam) this.#beam?.start(beam);
    if (background) this.#background?.start(background);
    if (this.options.rescale_probe) await this.#rescale();
    if (!offsets) this.#offsets?.begin(probesIn(memory).map((one) => one.probe));
    this.#power[0] = this.options.probe_power_counts ?? totalIntensity(memory.probe);
    if (this.options.probe_power_counts !== null) holdPower(memory, this.#power[0]);
    await this.#algorithm.start();
    this.#acceleration?.reset();
    this.#history.push({
      ...scoresOf(await this.#measure()),
      epoch: this.#begun,
      shift_px: this.#positions.shift_px(),
    });
  }

  /** What a run is to find, by what it is called. */
  get #fields(): NamedFields {
    const { object, probe } = this.passes.memory;
    const { ys, xs } = this.loaded.scan;
    return { 'the object': [object.re, object.im], 'the probe': [probe.re, probe.im], 'the positions': [ys, xs] };
  }

  /** Sums over up to a few hundred patterns spread over the scan. */
  #measure(rows = this.#rows): Promise<PassSums> {
    const some = spreadIndices(rows.length, MEASURED_AT_ONCE).map((i) => rows[i]);
    return this.passes.pass(some, { wave: 'measure' });
  }

  /** Brings the light to the counts: of each probe, or of one probe and then of each object. */
  async #rescale(): Promise<void> {
    const { memory } = this.passes;
    const { together, frame, scan } = this.loaded;
    const factorOf = async (rows?: Int32Array) => {
      const { counts, modelled } = await this.#measure(rows);
      return exposureFactor(counts, modelled);
    };
    const own = (s: number, { firsts }: NonNullable<typeof together>) =>
      this.#rows.filter((k) => k >= firsts[s] && k < firsts[s + 1]);
    if (together?.share === 'object') {
      for (const [s, { probe }] of probesIn(memory).entries()) {
        memory.scale(probe, await factorOf(own(s, together)));
      }
      return;
    }
    const factor = await factorOf();
    for (const field of [memory.probe, memory.variation]) memory.scale(field, factor);
    if (!together || this.services.start?.object) return;
    for (let s = 0; s + 1 < together.firsts.length; s++) {
      const shown = await factorOf(own(s, together));
      const columns = columnsOf(scan, together.firsts, s);
      for (let i = 0; i < memory.firstSlice.re.length; i++) {
        const c = i % frame.width;
        if (c >= columns.from && c < columns.to) memory.firstSlice.re[i] = shown;
      }
    }
  }

  /**
   * Patterns that are held out move like the others and have beams of their own, with object and probe as they are. What all
   * positions share is found without them: they go along when it is followed.
   */
  async #followHeldOut(schedule: EpochSchedule): Promise<void> {
    const moving = schedule.positions && !schedule.affine;
    if (!moving && !schedule.beam && !schedule.background) return;
    for (let from = 0; from < this.#heldOut.length; from += this.#batchSize) {
      const batch = this.#heldOut.slice(from, from + this.#batchSize);
      const residues = schedule.beam && this.#beam?.needsResidues === true;
      const keep = moving || residues;
      const { background } = schedule;
      await this.passes.pass(batch, { wave: 'amplitude', keep, probe: residues, beam: residues, background });
      if (background) this.#background?.followBatch(batch);
      if (moving) await this.#positions.moveBatch(this.passes, batch);
      if (schedule.beam) await this.#beam?.followBatch(batch);
    }
  }

  #constrain(epoch: number, schedule: EpochSchedule): void {
    const { memory } = this.passes;
    const { options } = this;
    if (schedule.relaxed) this.#positions.relax();
    if (schedule.positions && !schedule.affine) this.#positions.removeDrift();
    if (schedule.beam) this.#beam?.endEpoch();
    if (schedule.background) this.#background?.endEpoch();
    // The difference map changes stored waves, which are not held back.
    if (!this.#storesWaves) this.#background?.holdBack(this.#light());
    holdWithin(memory, options, { epoch, schedule, power: this.#power[0] });
    if (schedule.affine) this.#followAffine(schedule.affine);
    if (schedule.probe && options.centre_probe && !isOfAll(options, epoch)) this.#centre();
    // Stored waves would not follow, nor would pairs of steps.
    if (schedule.probe && !this.#storesWaves && !isOfAll(options, epoch)) this.#followOffsets();
  }

  /** How far scans lie apart: out of the probes, into the positions. */
  #followOffsets(): void {
    if (!this.#offsets) return;
    const { memory } = this.passes;
    const pairs = (planes: readonly Floats[]) =>
      Array.from({ length: planes.length / 2 }, (_, i) => [planes[2 * i], planes[2 * i + 1]] as const);
    const before = this.#acceleration?.probe;
    const along = [
      ...(before ? [[before.re, before.im] as const] : []),
      ...pairs(this.#algorithm.carried?.().probe ?? []),
    ];
    let from = 0;
    this.#offsets.follow(
      probesIn(memory).map(({ probe }) => {
        const [begin, end] = [from, from + probe.re.length];
        from = end;
        return { probe, carried: along.map(([re, im]) => [re.subarray(begin, end), im.subarray(begin, end)] as const) };
      }),
    );
  }

  /** Probe and object together: no exit wave changes, but for where it lies. */
  #centre(): void {
    const { probe, object, variation, sizes } = this.passes.memory;
    const { N, height, width } = sizes;
    const shift = offCentre(probe, N);
    if (shift[0] === 0 && shift[1] === 0) return;
    const carried = this.#algorithm.carried?.();
    const parts = (field?: { re: Float32Array<ArrayBufferLike>; im: Float32Array<ArrayBufferLike> }) =>
      field ? [field.re, field.im] : [];
    const acceleration = this.#acceleration;
    const ofObject = [...parts(object), ...parts(acceleration?.object), ...(carried?.object ?? [])];
    movePlanes(ofObject, { height, width }, shift, false);
    const ofProbe = [...parts(probe), ...parts(variation), ...parts(acceleration?.probe), ...(carried?.probe ?? [])];
    movePlanes(ofProbe, { height: N, width: N }, shift, true);
  }

  #openAffine(): AffineCorrection {
    const { N, height, width } = this.passes.memory.sizes;
    const half = Math.floor(N / 2);
    const { ways } = this.loaded.scan;
    const reach = (way?: Float64Array) => 0.5 * (way?.reduce((most, v) => Math.max(most, Math.abs(v)), 0) ?? 0);
    const [reachY, reachX] = [reach(ways?.ys), reach(ways?.xs)];
    // Derivatives need a pixel around the patch.
    const within = (at: number, length: number, by: number) =>
      Math.round(at - by) - half >= 1 && Math.round(at + by) - half + N < length;
    const { affine_freedom } = this.options;
    return new AffineCorrection(
      this.loaded.scan,
      affine_freedom.split(',') as AffineFreedom[],
      (y, x) => within(y, height, reachY) && within(x, width, reachX),
    );
  }

  /** By what was found by trial, positions and object go along. */
  async #searchAffine(): Promise<void> {
    const { search } = this.others;
    if (!search || !this.#affine) return;
    const M = await search(this.loaded, this.#rows);
    this.#affine.move(M, this.loaded.scan, this.#warped(), this.passes.memory.sizes);
    const { scale, asymmetry, shear_deg } = this.#affine.found();
    this.services.logger?.info(
      `Positions by trial: scale ${scale.toFixed(4)}, asymmetry ${asymmetry.toFixed(4)}, shear ${shear_deg.toFixed(2)}°.`,
    );
  }

  /** What goes along with positions that move together: the slices of the object, and of what it was. */
  #warped(): ModePlanes[] {
    const before = this.#acceleration?.object;
    return [...this.#slices(), ...(before ? this.#slices(before) : [])];
  }

  /** Positions together, and the object with them. */
  #followAffine(rule: 'moves' | 'turn'): void {
    const { sizes } = this.passes.memory;
    if (rule === 'turn') this.#affine?.turn(this.loaded.scan, this.#warped(), sizes);
    else this.#affine?.step(this.loaded.scan, this.#warped(), sizes);
  }

  #light(): ArrayLike<number> {
    return this.#algorithm.light?.() ?? this.#coverage().data;
  }

  #coverage(): Tensor {
    const { scan, frame } = this.loaded;
    const lit = litPlaces(this.#positions_px(), scan.ways);
    return lightOnObject(this.passes.memory.probe, scan.N, lit, frame, scan.probeOf);
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
      layers: () => this.#layers(),
      coverage: () => this.#coverage(),
      probe: () => this.#probes()[0],
      beam: () => this.#beam?.found(),
      affine: () => this.#affine?.found(),
      together: () => this.#together(),
      background: () => this.#background?.found(),
      positions: () => this.#positions_px(),
      lit: () => litPlaces(this.#positions_px(), this.loaded.scan.ways),
      measure: async () => scoresOf(await measureAll(this.passes, this.loaded.scan.count)),
      misfits: (patterns) => misfitsOf(this.passes, patterns),
      deviances: (patterns) => deviancesOf(this.passes, patterns),
      snapshot: () => this.#snapshot(epoch, arraysOf(this.#parts(epoch))),
      state: () => this.#snapshot(epoch, arraysInUse(this.#parts(epoch))),
      frame: this.loaded.frame,
    };
  }

  /** Of the object, or of what has its shape. */
  #slices(field: ModePlanes = this.passes.memory.object): ModePlanes[] {
    const { height, width } = this.passes.memory.sizes;
    return slicesOf(field, height * width);
  }

  #image(): ComplexImage {
    return projection(asSlices(this.passes.memory.object, this.passes.memory.sizes));
  }

  #layers(): ObjectLayers | undefined {
    const { memory } = this.passes;
    if (memory.slices === 1) return undefined;
    const distance_m = this.loaded.scan.propagation?.sliceDistance_m ?? Number.NaN;
    return {
      array: asSlices(memory.object, memory.sizes),
      spacing_m: new Float64Array(memory.slices - 1).fill(distance_m),
    };
  }

  #probes(): ComplexTensor[] {
    const { memory } = this.passes;
    const { N, modes } = memory.sizes;
    const shape = modes === 1 ? [N, N] : [modes, N, N];
    return probesIn(memory).map(({ probe }) => {
      const shown = { re: Float32Array.from(probe.re), im: Float32Array.from(probe.im), shape };
      if (this.#storesWaves && this.options.orthogonalise_stride !== null) orthogonaliseModes(shown, N * N);
      return shown;
    });
  }

  #together(): FoundTogether | undefined {
    const { together } = this.loaded;
    if (!together) return undefined;
    const { share, firsts, sources, shifts_yx_px = [] } = together;
    return {
      ...{ share, firsts, sources },
      shifts_yx_px: this.#offsets?.found() ?? shifts_yx_px,
      probes: this.#probes(),
      ...(this.#offsets && { offsets: this.#offsets.state() }),
    };
  }

  #positions_px() {
    const [top, left] = this.loaded.frame.originYxPx;
    return {
      xs: Float64Array.from(this.loaded.scan.xs, (x) => x + left),
      ys: Float64Array.from(this.loaded.scan.ys, (y) => y + top),
    };
  }

  /** Everything that the next epoch depends on. */
  #parts(epoch: number): SavedParts {
    const { object, probe } = this.passes.memory;
    const { ys, xs } = this.loaded.scan;
    const fields = { object_re: object.re, object_im: object.im, probe_re: probe.re, probe_im: probe.im, ys, xs };
    return {
      '': { saved: () => ({ ...fields, position_velocity: this.#positions.velocity, power: this.#power }) },
      algorithm_: this.#algorithm,
      finish_: this.#finishOf(epoch),
      affine_: this.#affine,
      beam_: this.#beam,
      background_: this.#background,
      acceleration_: this.#acceleration,
      [OFFSETS_SAVED]: this.#offsets,
    };
  }

  #snapshot(epoch: number, arrays: SolverSnapshot['arrays']): SolverSnapshot {
    return { epoch, arrays, history: [...this.#history] };
  }

  #restore({ arrays, history, epoch }: SolverSnapshot): void {
    restoreArrays(this.#parts(epoch), arrays);
    requireFiniteStart(this.#fields);
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
