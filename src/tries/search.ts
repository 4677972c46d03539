/**
 * From a start to the best image that the time allows: the image takes form, options are tried on patterns that are held out, the
 * solver goes on until these rest, settles with short steps, and learns from all patterns at the end.
 *
 * @example
 * const search = new Search({ open, tries: TRIES, heldOut, budget, begin: { options: {} } }, { onEpoch });
 * const found = await search.run();
 */
import type { SolverOptions } from '../config/schemas/solver.js';
import { isPtychoError } from '../core/errors.js';
import type { KeptState } from '../solvers/run.js';
import type { SolverRecord, SolverSnapshot, SolverStart } from '../solvers/updates.js';
import type { Budget } from './budget.js';
import { compareMisfits, type MisfitComparison, rOf } from './heldOut.js';
import type { Line, OpenLine } from './line.js';
import type { Try } from './tries.js';

/**
 * Steps that carry on within an epoch: of all that was measured they take object, positions and weak modes farthest in a second, and
 * leave a noise that {@link SETTLING} takes away (docs/reconstruct.md).
 */
export const SEEKING: Partial<SolverOptions> = { algorithm: 'rpie', momentum: 0.7 };
/** Short steps that carry nothing on. */
export const SETTLING: Partial<SolverOptions> = { momentum: 0, acceleration: 0, object_step: 0.35, probe_step: 0.35 };
/** Lines that branch off begin with a probe that was found. */
export const BRANCHED: Partial<SolverOptions> = { probe_start: 1, rescale_probe: false };

/** Epochs before anything is tried. */
const FORMING_EPOCHS = 6;
/** Epochs that each epoch of a try may take: its own, those of the image beside it, and more where it has more modes. */
const TRY_COST = 4;
/** Epochs of settling: at least, at most; then with all patterns. */
const [SETTLING_EPOCHS, MOST_SETTLING_EPOCHS] = [5, 15];
const LAST_EPOCHS = 5;
/** What these take, and the halves behind them, is kept back; where there is time for fewer epochs than {@link FULL}, less of it. */
export const HALVES_EPOCHS = 8;
const FULL = 40;
/** Below this fall of R on held-out patterns an option is not worth having, nor is it below two standard errors. */
const [LEAST_GAIN, LEAST_ERRORS] = [0.01, 2];
/** From this epoch on a try ends early where it is plain what becomes of it. */
const EARLY_EPOCHS = 3;
const PLAIN = { gain: 0.05, loss: 0.01 };
/** R rests when these epochs together brought less than this, times the modes of the probe: so many times longer an epoch takes. */
const REST = { epochs: 6, gain: 0.002 };
/** The same with positions or modes that were added: the object still follows them when R hardly shows it. */
const PATIENT_REST = { epochs: 15, gain: 0.002 };
const SETTLED = { epochs: 3, gain: 0.002 };

/** The parts of a search, in order. */
export type Stage = 'forming' | 'trying' | 'seeking' | 'settling' | 'finishing' | 'done';

/** What became of a try. */
export interface TryRecord {
  readonly name: string;
  readonly title: string;
  readonly kept: boolean;
  /** One clause: why. */
  readonly reason: string;
  /** R on the held-out patterns without and with it, where both were measured, after as many epochs. */
  readonly without?: number;
  readonly with?: number;
}

/** An epoch of the line that became the image. */
export interface SearchRecord extends SolverRecord {
  readonly stage: Stage;
  /** R on the patterns that are held out; undefined where none are any more. */
  readonly heldOutR?: number;
}

/** What a search has come to, besides the fields; it can go on from here. */
export interface SearchState {
  readonly stage: Stage;
  /** Epochs of this stage that are done. */
  readonly done: number;
  /** Which of the tries is next. */
  readonly nextTry: number;
  readonly options: Partial<SolverOptions>;
  readonly tried: readonly TryRecord[];
  readonly history: readonly SearchRecord[];
  /** R on the patterns that are held out, when they last were. */
  readonly heldOutR?: number;
  /** Seconds were wanting. */
  readonly hurried: boolean;
}

/** Where a search begins: with options and maybe an image, or where another one stopped. */
export type SearchBegin =
  | { readonly options: Partial<SolverOptions>; readonly start?: SolverStart }
  | { readonly state: SearchState; readonly snapshot: SolverSnapshot };

/** What a search works with. */
export interface SearchRequest {
  readonly open: OpenLine;
  readonly tries: readonly Try[];
  readonly heldOut: Int32Array;
  readonly budget: Budget;
  /** Something besides the object is followed that R hardly shows: how far scans of one object lie apart, and a probe for each. */
  readonly patient?: boolean;
  /** Seconds that are needed after it, for writing. */
  readonly afterSeconds?: number;
  readonly begin: SearchBegin;
}

/** Who watches. */
export interface SearchHooks {
  /** After every epoch of the line that is the image as things stand; the search waits. */
  readonly onEpoch?: (search: Search) => Promise<void> | void;
  /** What is decided, one sentence each. */
  readonly onDecision?: (sentence: string) => void;
}

/** What a search came to. */
export interface Found {
  readonly state: SearchState;
  readonly image: KeptState;
  /** Loss and R over all patterns as things stand. */
  readonly loss: number;
  readonly rFactor: number;
}

/** One search. */
export class Search {
  #state: SearchState;
  #line: Line | undefined;
  #image: KeptState | undefined;
  #lastSeconds = 0;
  #good: SolverStart | undefined;

  constructor(
    private readonly request: SearchRequest,
    private readonly hooks: SearchHooks = {},
  ) {
    const { begin } = request;
    this.#state =
      'state' in begin
        ? begin.state
        : {
            ...{ stage: 'forming', done: 0, nextTry: 0, tried: [], history: [], hurried: false },
            options: { ...SEEKING, ...begin.options },
          };
  }

  /** What was decided by now. */
  get state(): SearchState {
    return this.#state;
  }

  /** The image after the last epoch; undefined before the first. */
  get image(): KeptState | undefined {
    return this.#image;
  }

  /**
   * Goes through all stages that are left.
   * @throws PtychoError those of solving; CANCELLED, after which `image` and `state` are those of the last epoch
   */
  async run(): Promise<Found> {
    const { begin, heldOut } = this.request;
    this.#line = await this.#openFirst(begin);
    if ('snapshot' in begin) this.#image = this.#line.keep();
    try {
      await this.#form();
      await this.#tryAll();
      await this.#seek();
      await this.#settle();
      if (heldOut.length > 0) await this.#finish();
      this.#enter('done');
      const scores = await this.#line.measure();
      return { state: this.#state, image: this.#image as KeptState, ...scores };
    } finally {
      await this.#line.close();
    }
  }

  #openFirst(begin: SearchBegin): Promise<Line> {
    const { open, heldOut } = this.request;
    const { options, stage } = this.#state;
    const held = stage === 'finishing' || stage === 'done' ? new Int32Array(0) : heldOut;
    if ('snapshot' in begin) return open({ options, resume: begin.snapshot, heldOut: held });
    return open({ options, start: begin.start, heldOut: held });
  }

  async #form(): Promise<void> {
    while (this.#state.stage === 'forming') {
      await this.#advance();
      if (this.#state.done >= FORMING_EPOCHS || !this.#allows(1)) this.#enter('trying');
    }
  }

  async #tryAll(): Promise<void> {
    if (this.#state.stage !== 'trying') return;
    const { tries, heldOut } = this.request;
    while (this.#state.nextTry < tries.length) {
      const next = tries[this.#state.nextTry];
      const options = next.options(this.#now.options);
      // Trying comes before polishing: what is left of the time must do for it.
      if (options && heldOut.length > 0 && next.rested) await this.#seekRest(REST, TRY_COST * next.epochs);
      const record = options && (heldOut.length === 0 ? withoutPatterns(next) : await this.#try(next, options));
      if (record) this.#decide(record);
      const again = next.again && record?.kept === true;
      this.#state = { ...this.#state, nextTry: this.#state.nextTry + (again ? 0 : 1) };
    }
    this.#enter('seeking');
  }

  /** The line without the option goes on for as long as the one with it, so that both had the same time. */
  async #try(next: Try, options: Partial<SolverOptions>): Promise<TryRecord> {
    const about = { name: next.name, title: next.title };
    if (!this.#allows(TRY_COST * next.epochs)) {
      this.#state = { ...this.#state, hurried: true };
      return { ...about, kept: false, reason: 'there was no time to try it' };
    }
    const { open, heldOut } = this.request;
    const branch = await open({ options: { ...options, ...BRANCHED }, start: this.#now.branch(), heldOut });
    let kept = false;
    try {
      for (let epoch = 1; ; epoch++) {
        await this.#advance();
        await branch.advance();
        const [before, after] = [await this.#now.heldOut(), await branch.heldOut()];
        const comparison = compareMisfits(before, after);
        if (epoch < next.epochs && !(epoch >= EARLY_EPOCHS && isPlain(comparison))) continue;
        kept = comparison.gain >= LEAST_GAIN && comparison.standardErrors >= LEAST_ERRORS;
        return { ...about, kept, reason: reasonOf(comparison), without: rOf(before), with: rOf(after) };
      }
    } catch (error) {
      if (isPtychoError(error, 'SOLVER_FAILED'))
        return { ...about, kept: false, reason: 'the solver diverged with it' };
      throw error;
    } finally {
      if (kept) await this.#takeOver(branch);
      else await branch.close();
    }
  }

  async #seek(): Promise<void> {
    if (this.#state.stage !== 'seeking') return;
    const rest = this.request.patient || this.#state.tried.some(({ kept }) => kept) ? PATIENT_REST : REST;
    if (!(await this.#seekRest(rest))) this.#state = { ...this.#state, hurried: true };
    this.#enter('settling');
  }

  /**
   * Goes on until the image rests; false where the time is up before.
   * @param spare epochs for which there must be time after it
   */
  async #seekRest(rest: typeof REST, spare = 0): Promise<boolean> {
    const gain = rest.gain * (this.#now.options.probe_modes ?? 1);
    while (!rests(this.#state.history.map(rOfEpoch), { ...rest, gain })) {
      if (!this.#allows(1 + spare)) return false;
      await this.#advance();
    }
    return true;
  }

  async #settle(): Promise<void> {
    if (this.#state.stage !== 'settling') return;
    if (this.#state.done === 0) await this.#branchOff(SETTLING, this.request.heldOut);
    const least = this.#share(SETTLING_EPOCHS);
    while (this.#state.stage === 'settling') {
      await this.#advance();
      const { done, history } = this.#state;
      const r = history.slice(-done).map(rOfEpoch);
      const enough = done >= least && (done >= MOST_SETTLING_EPOCHS || rests(r, SETTLED) || !this.#allows(1));
      if (enough) this.#enter('finishing');
    }
  }

  /** Nothing is left to choose: what was held out is learned from, too. */
  async #finish(): Promise<void> {
    const none = new Int32Array(0);
    if (this.#state.done === 0) await this.#branchOff({}, none);
    while (this.#state.done < this.#share(LAST_EPOCHS)) await this.#advance();
  }

  async #advance(): Promise<void> {
    await this.#advanceOrCalm();
    const line = this.#now;
    const held = this.#state.stage === 'finishing' ? undefined : rOf(await line.heldOut());
    const heldOutR = held !== undefined && Number.isFinite(held) ? held : undefined;
    const epoch = this.#state.history.length + 1;
    const row = { ...line.record, epoch, stage: this.#state.stage, ...(heldOutR === undefined ? {} : { heldOutR }) };
    this.#state = {
      ...this.#state,
      done: this.#state.done + 1,
      history: [...this.#state.history, row],
      heldOutR: heldOutR ?? this.#state.heldOutR,
    };
    this.#image = line.keep();
    await this.hooks.onEpoch?.(this);
  }

  /** Steps that carry on may carry too far: then it goes on from the last good image without. */
  async #advanceOrCalm(): Promise<void> {
    try {
      await this.#now.advance();
    } catch (error) {
      const { options, stage } = this.#state;
      if (!isPtychoError(error, 'SOLVER_FAILED') || !(Number(options.momentum) > 0)) throw error;
      this.hooks.onDecision?.('Steps that carry on made the solver diverge; it goes on with plain ones.');
      const { begin, open, heldOut } = this.request;
      const calm = { ...options, momentum: 0 };
      const good = this.#good;
      const start = good ?? ('start' in begin ? begin.start : undefined);
      const held = stage === 'finishing' ? new Int32Array(0) : heldOut;
      await this.#takeOver(await open({ options: good ? { ...calm, ...BRANCHED } : calm, start, heldOut: held }));
      await this.#now.advance();
    }
    this.#good = this.#now.branch();
  }

  get #now(): Line {
    return this.#line as Line;
  }

  /** What an epoch takes; of a line that has just begun, what one took of the line before. */
  get #epochSeconds(): number {
    this.#lastSeconds = this.#now.epochSeconds || this.#lastSeconds;
    return this.#lastSeconds;
  }

  #enter(stage: Stage): void {
    this.#state = { ...this.#state, stage, done: 0 };
  }

  #decide(record: TryRecord): void {
    this.#state = { ...this.#state, tried: [...this.#state.tried, record] };
    this.hooks.onDecision?.(`With ${record.title}: ${record.kept ? 'kept' : 'not kept'}, ${record.reason}.`);
  }

  async #branchOff(change: Partial<SolverOptions>, heldOut: Int32Array): Promise<void> {
    const options = { ...this.#now.options, ...change, ...BRANCHED };
    await this.#takeOver(await this.request.open({ options, start: this.#now.branch(), heldOut }));
  }

  async #takeOver(line: Line): Promise<void> {
    this.#lastSeconds = this.#epochSeconds;
    await this.#now.close();
    this.#line = line;
    this.#image = line.keep();
    this.#state = { ...this.#state, options: line.options };
  }

  /** Epochs of a stage that is shortened where time is short. */
  #share(epochs: number): number {
    const { seconds } = this.request.budget;
    const all = seconds / Math.max(1e-9, this.#epochSeconds);
    return Math.max(1, Math.round(epochs * Math.min(1, all / FULL)));
  }

  /** Whether there is time for some epochs before the stages that must follow. */
  #allows(epochs: number): boolean {
    const { budget, afterSeconds = 0 } = this.request;
    const epochSeconds = this.#epochSeconds;
    const following = this.#state.stage === 'settling' ? LAST_EPOCHS : SETTLING_EPOCHS + LAST_EPOCHS;
    const reserve = epochSeconds * this.#share(following + HALVES_EPOCHS) + afterSeconds;
    return budget.allows(epochs * epochSeconds, reserve);
  }
}

const rOfEpoch = ({ heldOutR, rFactor }: SearchRecord): number => heldOutR ?? rFactor;

/** Whether the last epochs together brought less than a share of what there was before them. */
export function rests(
  values: readonly number[],
  { epochs, gain }: { readonly epochs: number; readonly gain: number },
): boolean {
  if (values.length <= epochs) return false;
  const before = Math.min(...values.slice(0, -epochs));
  return Math.min(...values.slice(-epochs)) > (1 - gain) * before;
}

const percent = (gain: number) => `${(100 * Math.abs(gain)).toFixed(1)} %`;

/** Nothing that a few epochs more could turn round. */
const isPlain = ({ gain, standardErrors }: MisfitComparison): boolean =>
  Math.abs(standardErrors) >= LEAST_ERRORS && (gain >= PLAIN.gain || gain <= -PLAIN.loss);

function reasonOf({ gain, standardErrors }: MisfitComparison): string {
  const where = 'R of the patterns held out';
  if (gain <= 0) return `${where} is ${gain < 0 ? `${percent(gain)} higher` : 'the same'}`;
  if (standardErrors < LEAST_ERRORS) return `${where} is ${percent(gain)} lower, no more than chance`;
  return `${where} is ${percent(gain)} lower${gain < LEAST_GAIN ? ', too little to matter' : ''}`;
}

const withoutPatterns = ({ name, title }: Try): TryRecord => ({
  ...{ name, title, kept: false },
  reason: 'the scan has too few patterns to hold some out',
});
