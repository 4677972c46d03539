/**
 * The loop over epochs and batches, apart from files: network, engine and data in; best weights and history out. Where it
 * stands after an epoch is plain data ({@link LoopState}), from which it goes on bit for bit.
 */
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import { LegacyRng } from '../core/rng.js';
import { hasPairs } from '../data/mixedDataset.js';
import { Attempt, MOST_RESTARTS } from './attempt.js';
import {
  EpochJudge,
  type EpochRecord,
  EXTRA_COLUMNS,
  EXTRA_TERMS,
  type ExtraColumn,
  type Monitor,
  monitorOf,
  type RestartColumn,
  type ScanColumn,
  scanColumn,
} from './judge.js';
import { Learner } from './learner.js';
import type { EpochView, LoopState, Tensors, TrainLoopInput, TrainLoopResult } from './loopState.js';
import { Averages, type LoadedBatch, permutedMembers, type TrainPart } from './programs.js';
import { TrainingWatch } from './warnings.js';

/**
 * Trains and keeps the weights of the best epoch by the monitored column (`val_loss` unless configured otherwise, `loss`
 * where nothing validates). Cancelling ends after the running step and keeps the best epoch so far (within the first epoch:
 * its steps so far).
 *
 * @throws PtychoError TRAINING_FAILED when the loss stops being a number within the first epoch (later, `failure` says so),
 * CANCELLED when cancelled before the first step.
 */
export async function trainLoop(input: TrainLoopInput): Promise<TrainLoopResult> {
  const run = new TrainingRun(input, await Learner.begin(input, initialState(input)));
  const started = performance.now();
  let cancelled = false;
  let failure: PtychoError | undefined;
  try {
    if (!input.from) await run.lookBeforeTraining();
    while (!run.done && !cancelled) cancelled = (await run.epoch()) === 'cancelled';
  } catch (error) {
    if (!(error instanceof PtychoError && error.code === 'TRAINING_FAILED') || run.history.length === 0) throw error;
    failure = error;
  } finally {
    await run.dispose();
  }
  if (run.history.length === 0) throwIfCancelled(input.signal, 'Training');
  const seconds = (performance.now() - started) / 1000;
  return { ...run.result(), cancelled, failure, seconds };
}

function initialState({ network, config, from, initialWeights }: TrainLoopInput): Readonly<Tensors> {
  if (from) return from.state;
  const weights = initialWeights ?? network.initialWeights(config.seed);
  return { ...weights, ...network.initialOptimiserState() };
}

/** One run under way. */
class TrainingRun {
  readonly history: EpochRecord[];
  readonly #input: TrainLoopInput;
  readonly #learner: Learner;
  readonly #shuffle: LegacyRng;
  readonly #monitor: Monitor;
  readonly #judge: EpochJudge;
  readonly #watch: TrainingWatch;
  #best: LoopState['best'] | undefined;
  #attempt: Attempt;
  #patternsSeen = 0;

  constructor(input: TrainLoopInput, learner: Learner) {
    const { config, from, logger = silentLogger } = input;
    this.#input = input;
    this.#learner = learner;
    this.#monitor = monitorOf(config.execution, this.#validation !== undefined);
    this.#judge = new EpochJudge(this.#monitor, config);
    // What was told before a run was interrupted is not told again.
    let replaying = from !== undefined;
    const warn = (sentence: string) => {
      if (!replaying) logger.warn(sentence);
    };
    this.#watch = new TrainingWatch(warn, config.model.architecture);
    // A stream of its own: weights and shuffling stay independent of each other.
    this.#shuffle = new LegacyRng((config.seed + 1) >>> 0);
    this.#attempt = new Attempt(config, input.training.groups.length, input.startLimits);
    this.history = [...(from?.history ?? [])];
    if (from) {
      // What judge, schedule and watch know follows from the history.
      for (const record of from.history) this.#learn(record);
      replaying = false;
      this.#shuffle.restore(from.shuffle);
      this.#learner.restorePositions(from.positions);
      this.#best = from.best;
    }
  }

  get #validation(): TrainPart | undefined {
    const { validation } = this.#input;
    return validation && validation.groups.length > 0 ? validation : undefined;
  }

  get done(): boolean {
    return this.history.length >= this.#attempt.lastEpoch || this.#judge.exhausted;
  }

  /** Fresh weights on the first batch: do predicted and measured patterns have the same scale at all? */
  async lookBeforeTraining(): Promise<void> {
    const { config, training, network } = this.#input;
    // A network that learns from labels never meets probe and counts in its loss.
    if (config.model.model_type === 'supervised') return;
    const groups = training.groups.subarray(0, config.batch_size);
    if (!network.evaluate(groups.length).outputs.has('intensity_ratio')) return;
    const seen = await this.#learner.evaluateFresh({ dataset: training.dataset, groups });
    this.#watch.beforeTraining({ intensity_ratio: seen.mean('intensity_ratio') });
  }

  /** Trains and judges one epoch. */
  async epoch(): Promise<'complete' | 'cancelled' | 'restarted'> {
    const { training, signal } = this.#input;
    const epoch = this.history.length;
    const order = Int32Array.from(this.#shuffle.permutation(training.groups.length), (i) => training.groups[i]);
    const averages = new Averages();
    let cancelled = false;
    const part = { dataset: training.dataset, groups: order };
    for await (const batch of this.#learner.batches(part)) {
      if (signal?.aborted) {
        cancelled = true;
        break;
      }
      if (await this.#restartIfFlat(epoch, batch.start)) return 'restarted';
      await this.#step(batch, epoch, order.length, averages);
    }
    // Stopped within the first epoch there is no epoch to keep: the steps done so far become one.
    if (cancelled && (this.history.length > 0 || !averages.has('loss'))) return 'cancelled';
    await this.#learner.flush(averages);
    checkFinite(averages, epoch, this.#attempt.rate(epoch));
    const stage = this.#attempt.stage(epoch);
    if (this.#attempt.moves(epoch)) this.#learner.endMoves();
    const record = await this.#recordOf(epoch, stage.physicsWeight, averages);
    this.history.push(record);
    if (this.#learn(record)) this.#best = await this.#bestNow(record.epoch);
    // An epoch that was not finished is none to go on from.
    if (!cancelled) await this.#input.onEpoch?.(record, this.#view());
    return cancelled ? 'cancelled' : 'complete';
  }

  result(): Omit<TrainLoopResult, 'cancelled' | 'failure' | 'seconds'> {
    const best = this.#best as LoopState['best'];
    return {
      history: this.history,
      bestEpoch: best.epoch,
      bestLoss: this.#judge.best?.value ?? Number.NaN,
      monitored: this.#monitor.column,
      weights: best.weights,
      positions: this.#learner.positionsOf(best.positions),
      restarts: this.#attempt.restarts,
      stoppedEarly: this.history.length < this.#attempt.lastEpoch && this.#judge.exhausted,
      patternsSeen: this.#patternsSeen,
    };
  }

  async dispose(): Promise<void> {
    await this.#learner.dispose();
  }

  /** Begins again where the start was flat; the epochs that are done stay in the history, the running one does not. */
  async #restartIfFlat(epoch: number, from: number): Promise<boolean> {
    const { restartWeights } = this.#input;
    const { restarts, start } = this.#attempt;
    const spread = this.#attempt.flatSpread(epoch, from);
    if (spread === undefined || !start) return false;
    const said = { steps: start.limits.to, most: MOST_RESTARTS };
    if (!restartWeights || restarts >= MOST_RESTARTS) {
      this.#watch.stuck(spread, said);
      return false;
    }
    this.#watch.stuck(spread, { ...said, restart: restarts + 1 });
    await this.#learner.beginAgain(await restartWeights(restarts + 1));
    this.#beginAgain(restarts + 1, epoch);
    return true;
  }

  #beginAgain(restarts: number, firstEpoch: number): void {
    const { config, training, startLimits } = this.#input;
    this.#attempt = new Attempt(config, training.groups.length, startLimits, restarts, firstEpoch);
  }

  async #step(batch: LoadedBatch, epoch: number, groups: number, averages: Averages): Promise<void> {
    const { config } = this.#input;
    const attempt = this.#attempt;
    const at = epoch + batch.start / groups;
    const stage = attempt.stage(at);
    const learningRate = attempt.rate(at) * stage.rateFactor;
    const positionRate = attempt.moves(epoch) ? learningRate / config.learning_rate : undefined;
    const rates = {
      ...{ learningRate, positionRate },
      physicsWeight: stage.physicsWeight,
      frozen: attempt.fineTunes(epoch),
    };
    const fed = config.member_permutations
      ? { ...batch, arrays: permutedMembers(batch.arrays, this.#orders(at)) }
      : batch;
    const outputs = await this.#learner.step(fed, rates, averages);
    // Groups of different scans differ without the network doing anything.
    const spread = hasPairs(batch.arrays) ? outputs.pattern_spread?.data[0] : undefined;
    attempt.start?.add(attempt.step(epoch, batch.start), spread);
    this.#patternsSeen += batch.arrays.members.length;
    checkFinite(averages, epoch, learningRate);
    this.#input.onProgress?.({
      stage: 'training',
      done: epoch * groups + batch.start + batch.indices.length,
      total: attempt.lastEpoch * groups,
      unit: 'groups',
      note: `epoch ${epoch + 1}/${attempt.lastEpoch}, loss ${averages.mean('loss').toPrecision(4)}${this.#heldOut()}`,
    });
  }

  /** Draws the orders of members of a batch: they follow from the seed and where the batch is, so that a resumed run draws alike. */
  #orders(at: number): LegacyRng {
    const { config, training } = this.#input;
    return new LegacyRng((config.seed + 2 + Math.round(at * training.groups.length)) >>> 0);
  }

  /** What held-out patterns came to in the last epoch, beside the best constant object. */
  #heldOut(): string {
    const { constantLoss } = this.#input;
    const { val_mae, mae } = this.history.at(-1) ?? {};
    const [r, what] = typeof val_mae === 'number' ? [val_mae, 'held-out R'] : [mae, 'R'];
    const constant = constantLoss === undefined ? '' : `constant object ${constantLoss.toPrecision(3)}`;
    if (r === undefined) return constant && `, ${constant}`;
    return `, ${what} ${r.toPrecision(3)}${constant && ` (${constant})`}`;
  }

  async #recordOf(epoch: number, physicsWeight: number, averages: Averages): Promise<EpochRecord> {
    const { config } = this.#input;
    const { start, restarts } = this.#attempt;
    const rate = this.#attempt.rate(epoch) * this.#attempt.stage(epoch).rateFactor;
    const held = this.#validation && (await this.#evaluate(this.#validation));
    if (held && !Number.isFinite(held.averages.mean('loss'))) throw diverged(epoch, rate);
    const extras: { -readonly [column in ExtraColumn | RestartColumn]?: number } = {};
    for (const name of [...EXTRA_TERMS, ...EXTRA_COLUMNS]) if (averages.has(name)) extras[name] = averages.mean(name);
    for (const name of EXTRA_TERMS) if (held?.averages.has(name)) extras[`val_${name}`] = held.averages.mean(name);
    if (config.stage_1_epochs + config.stage_2_epochs > 0) extras.physics_weight = physicsWeight;
    const { shift_px } = this.#learner;
    if (shift_px !== undefined) extras.position_shift_px = shift_px;
    if (start) {
      extras.restarts = restarts;
      const { spread, before } = start.ofEpoch;
      if (typeof spread === 'number') extras.pattern_spread = spread;
      if (typeof before === 'number') extras.pattern_spread_before = before;
    }
    return {
      epoch: epoch + 1,
      learning_rate: rate,
      loss: averages.mean('loss'),
      nll: averages.mean('nll'),
      mae: averages.mean('mae'),
      val_loss: held?.averages.mean('loss') ?? null,
      val_nll: held?.averages.mean('nll') ?? null,
      val_mae: held?.averages.mean('mae') ?? null,
      amplitude_contrast: averages.mean('amplitude_contrast'),
      ...extras,
      ...held?.ofScans,
    };
  }

  /** Losses over the groups that validate, and R of each scan where there are several. */
  async #evaluate(part: TrainPart): Promise<{ averages: Averages; ofScans: Record<ScanColumn, number> }> {
    const { scans } = this.#input;
    if (!scans) return { averages: await this.#learner.evaluate(part), ofScans: {} };
    const averages = new Averages();
    const ofScans: Record<ScanColumn, number> = {};
    for (const [i, { validation: groups }] of scans.entries()) {
      if (groups.length === 0) continue;
      const own = await this.#learner.evaluate({ dataset: part.dataset, groups });
      averages.addAll(own);
      ofScans[scanColumn(i)] = own.mean('mae');
    }
    return { averages, ofScans };
  }

  /** Everything that follows from an epoch's figures; true when it is the best so far. */
  #learn(record: EpochRecord): boolean {
    const { restarts = 0 } = record;
    if (restarts > this.#attempt.restarts) this.#beginAgain(restarts, record.epoch - 1);
    const attempt = this.#attempt;
    const better = this.#judge.add(record);
    attempt.endEpoch(record.epoch - 1, { spread: record.pattern_spread, before: record.pattern_spread_before });
    // Losses of the early stages measure something else.
    if (attempt.stage(record.epoch - 1).stage === 3) {
      attempt.schedule.epochEnded(record.val_loss ?? record.loss);
    }
    this.#watch.epoch(record, attempt.start?.judged);
    return better;
  }

  #view(): EpochView {
    return {
      judge: this.#judge,
      weights: () => this.#learner.weights(),
      snapshot: async () => ({
        epoch: this.history.length,
        history: [...this.history],
        shuffle: this.#shuffle.save(),
        state: await this.#learner.read(),
        best: this.#best as LoopState['best'],
        positions: this.#learner.positions(),
      }),
    };
  }

  async #bestNow(epoch: number): Promise<LoopState['best']> {
    return { epoch, weights: await this.#learner.weights(), positions: this.#learner.positions() };
  }
}

/** Before the step and after it: a gradient that is no number spoils weights whose loss was one. */
function checkFinite(averages: Averages, epoch: number, rate: number): void {
  const fine = (name: string) => !averages.has(name) || Number.isFinite(averages.mean(name));
  if (!fine('loss') || !fine('gradient_norm')) throw diverged(epoch, rate);
}

function diverged(epoch: number, rate: number): PtychoError {
  return new PtychoError(
    'TRAINING_FAILED',
    `The loss is no longer a number in epoch ${epoch + 1} (learning rate ${rate}): lower --learning_rate, or check that probe and patterns have the same units with "ptychopinn inspect".`,
    { epoch: epoch + 1, learning_rate: rate },
  );
}
