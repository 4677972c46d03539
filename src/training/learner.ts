/**
 * A network while it learns: what the engine holds, the steps that change it, losses over groups, and scan positions that move.
 *
 * @example
 * const learner = await Learner.begin(input, { ...weights, ...network.initialOptimiserState() });
 * await learner.step(batch, rates, averages);
 * const held = await learner.evaluate(part);
 */
import type { Backend, DeviceState } from '../backends/backend.js';
import type { TrainingConfig } from '../config/schema.js';
import type { Tensor } from '../core/tensor.js';
import { PositionRefiner } from '../model/positionRefiner.js';
import { averagedName } from '../model/trainingSteps.js';
import { aloneOn, type BatchPrograms, Crew } from './crew.js';
import type { LoopState, Tensors, TrainLoopInput } from './loopState.js';
import {
  Averages,
  batchesOf,
  batchFeeds,
  DEFAULT_PREFETCH,
  FedPrograms,
  type LoadedBatch,
  scalarFeeds,
  type TrainableNetwork,
  type TrainPart,
} from './programs.js';
import { Stepper, type StepRates } from './stepper.js';

/** Where scan positions end up. */
export type Positions = { readonly xs: Float64Array; readonly ys: Float64Array };

export class Learner {
  readonly #config: TrainingConfig;
  readonly #network: TrainableNetwork;
  readonly #backend: Backend;
  readonly #dataset: TrainLoopInput['training']['dataset'];
  readonly #stepper: Stepper;
  readonly #evaluations: BatchPrograms;
  readonly #crew: Crew | undefined;
  readonly #refiner: PositionRefiner | undefined;
  /** Where the positions were at the start. */
  readonly #unmoved: Readonly<Tensors> | undefined;

  /** With the other engines of the backend, where it has any. @param values what the state begins with */
  static async begin(input: TrainLoopInput, values: Readonly<Tensors>): Promise<Learner> {
    const { network, backend, config } = input;
    const { state, crew } = await Crew.begin(network, backend, values, config.weight_averaging > 0);
    return new Learner(input, state, crew);
  }

  /** @param state is disposed of with the learner, as is the crew */
  private constructor(
    { config, network, backend, training }: TrainLoopInput,
    private readonly state: DeviceState,
    crew: Crew | undefined,
  ) {
    this.#crew = crew;
    this.#config = config;
    this.#network = network;
    this.#backend = backend;
    this.#dataset = training.dataset;
    this.#refiner = config.position_trainable ? refinerOf(config, training.dataset) : undefined;
    this.#unmoved = this.#refiner?.state();
    this.#evaluations = this.#evaluation(this.#averaged);
    const { accum_steps: accumulate } = config.execution;
    this.#stepper = new Stepper({ network, backend, state, accumulate, refiner: this.#refiner, crew });
  }

  get #averaged(): boolean {
    return this.#config.weight_averaging > 0;
  }

  #evaluation(averaged: boolean): BatchPrograms {
    const crew = this.#crew;
    if (crew) return crew.programs((b) => this.#network.evaluate(b, { averaged, share: true }));
    return aloneOn(new FedPrograms(this.#backend, (b) => this.#network.evaluate(b, { averaged })), this.state);
  }

  /** Batches of groups, read ahead. */
  batches(part: TrainPart): ReturnType<typeof batchesOf> {
    const { batch_size, execution } = this.#config;
    return batchesOf(part, batch_size, execution.prefetch_factor ?? DEFAULT_PREFETCH);
  }

  /** Takes a batch, and the step that is due with it; `positionRate` moves positions where they are trained. */
  step(batch: LoadedBatch, rates: StepRates, averages: Averages): Promise<Record<string, Tensor>> {
    const { positionRate, ...others } = rates;
    return this.#stepper.add(batch, this.#refiner ? rates : others, averages);
  }

  /** Takes the step that waits for more batches, if there is one. */
  flush(averages: Averages): Promise<void> {
    return this.#stepper.flush(averages);
  }

  /** Ends an epoch in which positions moved. */
  endMoves(): void {
    this.#refiner?.endEpoch();
  }

  /** How far positions are from where they were measured, where they are trained. */
  get shift_px(): number | undefined {
    return this.#refiner?.rmsShift_px;
  }

  /** The losses of the configuration in full, whatever the stage; of the averaged weights where they are kept. */
  async evaluate(part: TrainPart, programs: BatchPrograms = this.#evaluations): Promise<Averages> {
    const averages = new Averages();
    if (this.#averaged && programs === this.#evaluations) await this.#crew?.spreadAverages();
    for await (const { indices, arrays } of this.batches(part)) {
      const [B, C] = arrays.diffraction.shape;
      const refiner = part.dataset === this.#dataset ? this.#refiner : undefined;
      const available = {
        ...batchFeeds(arrays, refiner?.relativePositions(arrays.members, B, C)),
        ...scalarFeeds({ physics_weight: 1 }),
      };
      averages.add(await programs.run(indices.length, available), indices.length);
    }
    return averages;
  }

  /** {@link evaluate} of weights that took no step yet: averages begin with the first. */
  async evaluateFresh(part: TrainPart): Promise<Averages> {
    if (!this.#averaged) return this.evaluate(part);
    const programs = this.#evaluation(false);
    const seen = await this.evaluate(part, programs);
    await programs.dispose();
    return seen;
  }

  /** Begins again from these weights: optimiser and positions are fresh, too. */
  async beginAgain(weights: Readonly<Tensors>): Promise<void> {
    await this.state.write({ ...weights, ...this.#network.initialOptimiserState() });
    await this.#crew?.spreadAll();
    if (this.#unmoved) this.#refiner?.restore(this.#unmoved);
  }

  /** The weights that would be saved now: averages where they are kept. */
  async weights(): Promise<Tensors> {
    const places = this.#network.parameters.map((p): [string, string] => [
      p.name,
      this.#averaged && !p.fixed ? averagedName(p.name) : p.name,
    ]);
    const values = await this.state.read(places.map(([, place]) => place));
    return Object.fromEntries(places.map(([name, place]) => [name, values[place]]));
  }

  /** Everything that the engine holds, and a run that goes on needs, with however many engines. */
  async read(): Promise<Tensors> {
    const values = await this.state.read();
    if (!this.#crew) return values;
    // Between steps the sums are zero; only `accum_steps` has them in the state of a single engine, too.
    const own = new Set([...this.#network.parameters.map(({ name }) => name), ...this.#optimiserNames]);
    return Object.fromEntries(Object.entries(values).filter(([name]) => own.has(name)));
  }

  get #optimiserNames(): string[] {
    return Object.keys(this.#network.initialOptimiserState());
  }

  /** The state of the refinement of positions; undefined where they are not trained. */
  positions(): Readonly<Tensors> | undefined {
    return this.#refiner?.state();
  }

  restorePositions(state: LoopState['positions']): void {
    if (state) this.#refiner?.restore(state);
  }

  /** Positions from a state of their refinement, pixels. */
  positionsOf(state: LoopState['positions']): Positions | undefined {
    if (!state) return undefined;
    const refiner = refinerOf(this.#config, this.#dataset);
    refiner.restore(state);
    return { xs: refiner.xs, ys: refiner.ys };
  }

  async dispose(): Promise<void> {
    await this.#crew?.dispose();
    await this.state.dispose();
  }
}

function refinerOf(config: TrainingConfig, { raw, parts }: TrainLoopInput['training']['dataset']): PositionRefiner {
  return new PositionRefiner({
    xs: raw.xcoords,
    ys: raw.ycoords,
    learningRate_px: config.position_learning_rate ?? 20 * config.learning_rate,
    stepLimit_px: config.position_step_limit_px,
    starts: parts?.map(({ firstPattern }) => firstPattern),
  });
}
