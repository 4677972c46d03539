/**
 * Maximum likelihood of all patterns at once, E = Σ(√I − √J)², or that of Poisson statistics (`noise_model`), E = Σ(J − (I + p)·ln(J + p)): gradients of object and probe together, and the exact Newton step along
 * each direction. Slow from an empty object, fast near the solution, where batches only wander: a finish.
 *
 * `lbfgs`: directions by the last eight pairs of changes of place and gradient (J. Nocedal, Math. Comput. 35, 773, 1980). `cg`: conjugate
 * gradients, each direction conjugate to the last one in the second derivatives (M. Carlsson, V. Nikitin, arXiv 2502.10755). Both are
 * preconditioned by the light, 1/√(W² + (0.1·max W)²), that of the object for the probe, as it is when they begin.
 *
 * Where `flux` was fitted by batches, `lbfgs` goes on with it (Σ(√I − √J)², no background): l_k = log a_k are unknowns like the others, with
 * ½·dE/dl_k = Σ(J − √(IJ)), and what may be expected of them (`corrections/fluxPrior.ts`) is added to E. The step is then that of the
 * parabola through E, its slope and E after a trial step.
 */
import type { NumericArray } from '../../core/tensor.js';
import { FluxPrior } from '../corrections/fluxPrior.js';
import type { Planes } from '../fieldMemory.js';
import { addCurvatures, type Curvatures, type Direction, type PassSums, SumsOfPasses } from '../wavePasses.js';
import type { Algorithm, AlgorithmContext, EpochSchedule } from './algorithm.js';

/** Pairs that directions are made of. */
export const PAIRS = 8;

/** Share of the brightest light below which pixels are held back. */
const DIM = 0.1;

/** How much longer a step may be than one that surely gains. */
const LONGEST_STEP = 8;

/** How much longer than its trial a step with the flux may be. */
const LONGEST_TRIAL = 4;

/** Patterns in one pass. */
const MOST_PATTERNS = 256;

/** How often a step is shortened to a quarter until it gains. */
const SHORTENED = 6;

/** The last step: there was none; it was taken; it was taken back already, as the last one of a run. */
const STEP = { none: 0, taken: 1, undone: 2 } as const;

/** Object and probe in one: the object's real parts, its imaginary ones, the probe's; then log a of the patterns, where the flux is fitted. */
type Vector = Float32Array;

export class MaximumLikelihood implements Algorithm {
  readonly #length: number;
  readonly #directions: readonly Direction[];
  /** Square of the preconditioner's root: what gradients are multiplied with. */
  readonly #weights: Vector;
  /** Of the last epoch, before its step. */
  readonly #place: Vector;
  readonly #gradient: Vector;
  /** Pairs in turn (`lbfgs`), or the last direction (`cg`). */
  readonly #moves: readonly Vector[];
  readonly #changes: readonly Vector[];
  /** How many pairs or directions were found, what changed (object 1, probe 2), the last step ({@link STEP}), the deviance before it. */
  readonly #numbers: Float64Array = new Float64Array(4);
  /** Of the last epoch. */
  readonly #sums: Float64Array = new Float64Array(6);
  /** Of the flux, where it is fitted, too. */
  readonly #prior: FluxPrior | undefined;
  /** Where a trial began. */
  readonly #trial: Vector;
  /** Change of log a. */
  readonly #ofFlux: Float64Array;
  #step = 0;

  constructor(private readonly context: AlgorithmContext) {
    const { passes, scan, rows, options, background } = context;
    const { memory } = passes;
    const follows = options.flux && options.ml_method === 'lbfgs' && !this.#likely && !background;
    if (scan.beam && follows) {
      const of = (places: ArrayLike<number>) => Float64Array.from(rows, (k) => places[k]);
      this.#prior = new FluxPrior(of(scan.ys), of(scan.xs));
    }
    this.#ofFlux = new Float64Array(this.#prior ? rows.length : 0);
    this.#length = 2 * (memory.objectPixels + memory.probePixels) + this.#ofFlux.length;
    this.#trial = new Float32Array(this.#prior ? this.#length : 0);
    const vectors = (count: number) => Array.from({ length: count }, () => new Float32Array(this.#length));
    [this.#weights, this.#place, this.#gradient] = vectors(3);
    const quasi = context.options.ml_method === 'lbfgs';
    this.#moves = vectors(quasi ? PAIRS : 1);
    this.#changes = vectors(quasi ? PAIRS : 0);
    this.#directions = Array.from({ length: quasi ? 1 : 2 }, () => ({
      object: memory.planes(memory.objectPixels),
      probe: memory.planes(memory.probePixels),
    }));
  }

  async start(): Promise<void> {}

  async epoch(epoch: number, schedule: EpochSchedule): Promise<PassSums> {
    let { sums, deviance: likely } = await this.#measureGradient(schedule);
    const changing = (schedule.object ? 1 : 0) + (schedule.probe ? 2 : 0);
    const [, before, step, deviance] = this.#numbers;
    const own = this.#likely || this.#prior !== undefined;
    const last = own ? deviance : this.#sums[0];
    const misfitNow = () => (this.#likely ? likely : this.#withPrior(sums.square));
    const rose = step === STEP.undone || (step === STEP.taken && !(misfitNow() <= last));
    if (changing === 0) {
      // Nothing changes any more, or not in this epoch: what the last step spoiled would stay.
      if (!rose || step !== STEP.taken) return sums;
      this.#numbers[2] = STEP.undone;
      this.#goTo(this.#place);
      return (await this.#measureGradient(schedule)).sums;
    }
    if (changing !== before) {
      if (rose && step === STEP.taken) {
        this.#goTo(this.#place);
        ({ sums, deviance: likely } = await this.#measureGradient(schedule));
      }
      // Other unknowns: what was learned is of no use.
      this.#weigh();
      this.#beginFlux(sums);
      this.#numbers.fill(0);
    }
    const misfit = misfitNow();
    const gradient = this.#gradientNow(schedule);
    const astray = changing === before && rose;
    if (astray) {
      // The last step is taken back, and another one taken from where it began.
      this.#numbers[0] = 0;
      this.#numbers[2] = STEP.none;
      this.#goTo(this.#place);
      gradient.set(this.#gradient);
    }
    this.#numbers[1] = changing;
    if (!astray) {
      this.#sums.set(numbersOf(sums));
      this.#numbers[3] = own ? misfit : 0;
    }
    if (this.context.options.ml_method === 'lbfgs') await this.#quasiNewton(gradient, schedule);
    else await this.#conjugate(gradient);
    this.#gradient.set(gradient);
    this.#packPlace(this.#place);
    this.#numbers[2] = STEP.taken;
    // The same step from the same place would go astray again, in every epoch to come.
    if (astray) this.#step = await this.#shortened(this.#step, last, schedule);
    this.#move(this.#step, schedule);
    // No epoch will see whether it gained: nobody is handed one that did not.
    if (!astray && epoch === this.context.options.epochs && !((await this.#misfitHere()) <= misfit)) {
      this.#numbers[2] = STEP.undone;
      this.#goTo(this.#place);
    }
    const [square, absolute, amplitude, counts, modelled, change] = this.#sums;
    return { square, absolute, amplitude, counts, modelled, change };
  }

  saved(): Record<string, NumericArray> {
    return {
      numbers: this.#numbers,
      sums: this.#sums,
      weights: this.#weights,
      ...{ place: this.#place, gradient: this.#gradient },
      ...(this.#prior && { flux_prior: this.#prior.levels }),
      ...Object.fromEntries(this.#moves.map((v, i) => [`move_${i}`, v])),
      ...Object.fromEntries(this.#changes.map((v, i) => [`change_${i}`, v])),
    };
  }

  restore(saved: Readonly<Record<string, NumericArray>>): void {
    for (const [name, array] of Object.entries(this.saved())) array.set(saved[name]);
  }

  *#chunks(): Generator<Int32Array> {
    const { rows } = this.context;
    for (let from = 0; from < rows.length; from += MOST_PATTERNS) yield rows.slice(from, from + MOST_PATTERNS);
  }

  get #likely(): boolean {
    return this.context.options.noise_model === 'poisson';
  }

  /** The sums of a pass over all patterns, in which Σ conj(P)χ is minus the gradient, and E. */
  async #measureGradient({ object, probe }: EpochSchedule): Promise<{ sums: PassSums; deviance: number }> {
    const { passes, onBatch } = this.context;
    const likely = this.#likely;
    const total = new SumsOfPasses();
    let deviance = 0;
    let done = 0;
    for (const batch of this.#chunks()) {
      const wave = likely ? 'likelihood' : 'amplitude';
      total.add(await passes.pass(batch, { wave, object, probe, accumulate: done > 0 }));
      if (likely) for (const own of await passes.deviances(batch, true)) deviance += own;
      done += batch.length;
      onBatch(Math.round(done / 2));
    }
    return { sums: total, deviance };
  }

  #gradientNow(schedule: EpochSchedule): Vector {
    const { sums, object } = this.context.passes.memory;
    const gradient = new Float32Array(this.#length);
    pack([sums.object, sums.probe], gradient);
    const ofObject = 2 * object.re.length;
    for (let i = 0; i < gradient.length; i++) gradient[i] = -gradient[i];
    if (!schedule.object) gradient.fill(0, 0, ofObject);
    if (!schedule.probe) gradient.fill(0, ofObject);
    else if (this.followsFlux(schedule)) gradient.set(this.#fluxGradient(), this.#fields);
    return gradient;
  }

  /** Elements of object and probe. */
  get #fields(): number {
    return this.#length - this.#ofFlux.length;
  }

  /** Whether the flux is fitted, too. */
  followsFlux({ probe }: EpochSchedule): boolean {
    return probe && this.#prior?.begun === true;
  }

  /** (rows,) log a. */
  #logs(): Float64Array {
    const { beam } = this.context.scan;
    return Float64Array.from(this.#prior ? this.context.rows : [], (k) => Math.log(beam?.flux[k] ?? 1));
  }

  #withPrior(square: number): number {
    return this.#prior ? square + this.#prior.of(this.#logs()) : square;
  }

  /** Before the first step: how much flicker there is, as batches found it. */
  #beginFlux({ square, amplitude, counts }: PassSums): void {
    const { beam } = this.context.scan;
    if (!this.#prior || !beam) return;
    // The misfit, among as many pixels as would hold the light if each had as much.
    this.#prior.begin(this.#logs(), (square * counts) / amplitude ** 2);
    const modelled = this.context.rows.reduce((sum, k) => sum + beam.modelled[k], 0) / this.context.rows.length;
    this.#weights.fill(modelled > 0 ? 1 / modelled : 0, this.#fields);
  }

  /** ½·dE/dl of the patterns, less its mean: what they have in common is the probe's. */
  #fluxGradient(): Float64Array {
    const { rows, scan } = this.context;
    const { fits = [], modelled = [] } = scan.beam ?? {};
    const asked = Float64Array.from(rows, (k) => modelled[k] * (1 - fits[k]));
    const mean = asked.reduce((sum, v) => sum + v, 0) / rows.length;
    const expected = this.#prior?.halfGradient(this.#logs()) ?? new Float64Array(rows.length);
    return asked.map((v, i) => v - mean + expected[i]);
  }

  #packPlace(to: Vector): void {
    const { memory } = this.context.passes;
    pack([memory.object, memory.probe], to);
    to.set(this.#logs(), this.#fields);
  }

  #goTo(place: Vector): void {
    const { passes, scan, rows } = this.context;
    unpack(place, passes.memory);
    const { beam } = scan;
    if (beam && this.#prior) for (const [i, k] of rows.entries()) beam.flux[k] = Math.exp(place[this.#fields + i]);
  }

  /** Along the direction. */
  #move(step: number, schedule: EpochSchedule): void {
    const { passes, scan, rows } = this.context;
    const { memory } = passes;
    const [{ object, probe }] = this.#directions;
    if (schedule.object) memory.add(object, step, memory.object);
    if (schedule.probe) memory.add(probe, step, memory.probe);
    const { beam } = scan;
    if (!beam || !this.followsFlux(schedule)) return;
    for (const [i, k] of rows.entries()) beam.flux[k] *= Math.exp(step * this.#ofFlux[i]);
  }

  /** Weights from the light of the pass. */
  #weigh(): void {
    const { memory } = this.context.passes;
    const weight = ({ data }: { readonly data: ArrayLike<number> }) => {
      const light = data as Float32Array;
      const hold = DIM * light.reduce((most, v) => Math.max(most, v), 0) || 1;
      return light.map((v) => 1 / Math.hypot(v, hold));
    };
    const object = weight(memory.sums.illumination);
    const probe = weight(memory.sums.objectIntensity);
    const from = 2 * object.length;
    this.#weights.set(object);
    this.#weights.set(object, object.length);
    for (let i = from; i < this.#fields; i++) this.#weights[i] = probe[(i - from) % probe.length];
  }

  async #quasiNewton(gradient: Vector, schedule: EpochSchedule): Promise<void> {
    if (this.#numbers[2] !== STEP.none) this.#learn(gradient);
    const pairs = this.#pairs();
    const q = gradient.slice();
    const shares = pairs.map(([s, y]) => {
      const share = dot(s, q) / dot(s, y);
      addTo(q, y, -share);
      return share;
    });
    const weights = this.#weights;
    const [last] = pairs;
    let bent = 0;
    if (last) for (let i = 0; i < q.length; i++) bent += weights[i] * last[1][i] ** 2;
    const size = last ? dot(last[0], last[1]) / bent : 1;
    for (let i = 0; i < q.length; i++) q[i] *= size * weights[i];
    for (let p = pairs.length - 1; p >= 0; p--) {
      const [s, y] = pairs[p];
      addTo(q, s, shares[p] - dot(y, q) / dot(s, y));
    }
    for (let i = 0; i < q.length; i++) q[i] = -q[i];
    unpack(q, this.#directions[0]);
    if (!this.followsFlux(schedule)) {
      const { slopes, bends, widths } = await this.#curvatures(1);
      this.#step = stepOf(slopes[0], bends[0], widths[0]);
      return;
    }
    this.#ofFlux.set(q.subarray(this.#fields));
    this.#step = await this.#tryStep(2 * dot(gradient, q), last === undefined, schedule);
  }

  /**
   * The step to the bottom of the parabola through E, its slope, and E after a trial.
   * @param first there is no pair yet, by which directions have their length
   */
  async #tryStep(slope: number, first: boolean, schedule: EpochSchedule): Promise<number> {
    if (!(slope < 0)) return 0;
    let trial = 1;
    if (first) {
      const { slopes, bends, widths } = await this.#curvatures(1);
      trial = stepOf(slopes[0], bends[0], widths[0]);
    }
    if (!(trial > 0)) return 0;
    this.#packPlace(this.#trial);
    this.#move(trial, schedule);
    const { rows, onBatch } = this.context;
    // Progress does not go back where second derivatives were taken before.
    const misfit = await this.#misfitHere((done) =>
      onBatch(first ? rows.length : Math.round((rows.length + done) / 2)),
    );
    const rise = misfit - this.#numbers[3];
    this.#goTo(this.#trial);
    const bend = (rise - slope * trial) / trial ** 2;
    const longest = LONGEST_TRIAL * trial;
    return bend > 0 ? Math.min(longest, -slope / (2 * bend)) : longest;
  }

  /** So much of a step that the misfit does not rise above what it was before; 0 where every one makes it rise. */
  async #shortened(step: number, before: number, schedule: EpochSchedule): Promise<number> {
    for (let tries = 0, length = step; tries < SHORTENED; tries++, length /= 4) {
      this.#move(length, schedule);
      const misfit = await this.#misfitHere();
      this.#goTo(this.#place);
      if (misfit <= before) return length;
    }
    return 0;
  }

  /** E as things are. */
  async #misfitHere(onChunk: (done: number) => void = () => undefined): Promise<number> {
    const { passes } = this.context;
    const total = new SumsOfPasses();
    let deviance = 0;
    let done = 0;
    for (const batch of this.#chunks()) {
      if (this.#likely) for (const own of await passes.deviances(batch, true)) deviance += own;
      else total.add(await passes.pass(batch, { wave: 'measure' }));
      done += batch.length;
      onChunk(done);
    }
    return this.#likely ? deviance : this.#withPrior(total.square);
  }

  /** The pairs, the last one first. */
  #pairs(): (readonly [move: Vector, change: Vector])[] {
    const [found] = this.#numbers;
    return Array.from({ length: Math.min(PAIRS, found) }, (_, i) => {
      const at = (found - 1 - i) % PAIRS;
      return [this.#moves[at], this.#changes[at]] as const;
    });
  }

  /** How place and gradient have changed since the last epoch, whatever changed the place. */
  #learn(gradient: Vector): void {
    const at = this.#numbers[0] % PAIRS;
    const [s, y] = [this.#moves[at], this.#changes[at]];
    this.#packPlace(s);
    for (let i = 0; i < s.length; i++) {
      s[i] -= this.#place[i];
      y[i] = gradient[i] - this.#gradient[i];
    }
    // A pair that bends the other way is no help, and its place held the oldest one.
    if (dot(s, y) > 0) this.#numbers[0]++;
    else if (this.#numbers[0] >= PAIRS) this.#numbers[0] = 0;
  }

  async #conjugate(gradient: Vector): Promise<void> {
    const [first, second] = this.#directions;
    const steepest = gradient.map((v, i) => -v * this.#weights[i]);
    unpack(steepest, first);
    const [before] = this.#moves;
    const begun = this.#numbers[0] > 0;
    if (begun) unpack(before, second);
    const { slopes, bends, widths } = await this.#curvatures(begun ? 2 : 1);
    const share = begun && bends[2] > 0 ? -bends[1] / bends[2] : 0;
    const slope = slopes[0] + share * slopes[1];
    const along = (of: Curvatures['bends'], part: number) => of[0] + 2 * part * of[1] + part * part * of[2];
    const kept = slope < 0 ? share : 0;
    addTo(steepest, before, kept);
    before.set(steepest);
    this.#numbers[0] = 1;
    unpack(steepest, first);
    this.#step = stepOf(slopes[0] + kept * slopes[1], along(bends, kept), along(widths, kept));
  }

  async #curvatures(directions: 1 | 2): Promise<Curvatures> {
    const { passes, onBatch, rows } = this.context;
    const along = this.#directions.slice(0, directions);
    const parts: Curvatures[] = [];
    let done = 0;
    for (const batch of this.#chunks()) {
      parts.push(await passes.curvatures(batch, along, this.context.options.noise_model));
      done += batch.length;
      onBatch(Math.round((rows.length + done) / 2));
    }
    return addCurvatures(parts);
  }
}

/** Newton's step, not much longer than that of the parabola which is nowhere below the misfit; that one where the misfit bends the wrong way. */
const stepOf = (slope: number, bend: number, width: number): number =>
  width > 0 ? -slope / Math.max(bend > 0 ? bend : width, width / LONGEST_STEP) : 0;

const numbersOf = ({ square, absolute, amplitude, counts, modelled, change }: PassSums): number[] => [
  square,
  absolute,
  amplitude,
  counts,
  modelled,
  change,
];

/** Fields, one after the other. */
function pack(fields: readonly Planes[], to: Vector): void {
  let at = 0;
  for (const { re, im } of fields) {
    to.set(re, at);
    to.set(im, at + re.length);
    at += 2 * re.length;
  }
}

/** {@link pack}, back. */
function unpack(from: Vector, { object, probe }: Pick<Direction, 'object' | 'probe'>): void {
  let at = 0;
  for (const { re, im } of [object, probe]) {
    re.set(from.subarray(at, at + re.length));
    im.set(from.subarray(at + re.length, at + 2 * re.length));
    at += 2 * re.length;
  }
}

function dot(a: Vector, b: Vector): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function addTo(to: Vector, from: Vector, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i] += factor * from[i];
}
