/**
 * Optimiser steps over batches: one a batch, or one for several whose gradients are added up first (`accum_steps`).
 *
 * @example
 * const stepper = new Stepper({ network, backend, state, accumulate: 4 });
 * for (const batch of batches) await stepper.add(batch, rates, averages);
 * await stepper.flush(averages); // the last, incomplete group of batches, with its true weight
 */
import type { Backend, DeviceState } from '../backends/backend.js';
import type { Tensor } from '../core/tensor.js';
import type { StepKind } from '../model/network.js';
import type { PositionRefiner } from '../model/positionRefiner.js';
import { aloneOn, type BatchPrograms, type Crew } from './crew.js';
import {
  type Available,
  type Averages,
  batchFeeds,
  FedPrograms,
  type LoadedBatch,
  scalarFeeds,
  type TrainableNetwork,
} from './programs.js';

/** What holds for a step. */
export interface StepRates {
  readonly learningRate: number;
  readonly physicsWeight: number;
  /** The encoder stays as it is. */
  readonly frozen?: boolean;
  /** Present where scan positions move: factor on their learning rate. */
  readonly positionRate?: number;
}

export interface StepperOptions {
  readonly network: TrainableNetwork;
  readonly backend: Backend;
  readonly state: DeviceState;
  /** Batches of one step. */
  readonly accumulate: number;
  readonly refiner?: PositionRefiner;
  /** The engines that share every batch, where there are several; `state` then has sums of gradients. */
  readonly crew?: Crew;
}

interface Pending {
  readonly members: Int32Array;
  readonly gradients?: Tensor;
  readonly groups: number;
}

/** The programs of steps of a kind. */
interface StepPrograms {
  readonly steps: BatchPrograms;
  readonly apply: FedPrograms;
}

/** Runs training steps on a state of the engine. */
export class Stepper {
  readonly #options: StepperOptions;
  readonly #programs: Readonly<Record<'free' | 'frozen', StepPrograms>>;
  #pending: Pending[] = [];
  #rates: StepRates | undefined;

  constructor(options: StepperOptions) {
    const { network, backend, state, accumulate, crew } = options;
    this.#options = options;
    const programs = (kind: StepKind): StepPrograms => ({
      steps: crew
        ? crew.programs((b) => network.accumulateStep(b, { ...kind, share: true }))
        : aloneOn(
            new FedPrograms(backend, (b) =>
              accumulate > 1 ? network.accumulateStep(b, kind) : network.trainStep(b, kind),
            ),
            state,
          ),
      apply: new FedPrograms(backend, () => network.applyStep(kind)),
    });
    this.#programs = { free: programs({}), frozen: programs({ frozen: true }) };
  }

  /** Takes a batch and returns its outputs; they, and those of the step when one was due, go to `averages`. The rates are those of a step's first batch. */
  async add({ indices, arrays }: LoadedBatch, rates: StepRates, averages: Averages): Promise<Record<string, Tensor>> {
    const { accumulate, refiner } = this.#options;
    this.#rates ??= rates;
    const [B, C] = arrays.diffraction.shape;
    const groups = indices.length;
    const available: Available = {
      ...batchFeeds(arrays, refiner?.relativePositions(arrays.members, B, C)),
      ...scalarFeeds({
        learning_rate: this.#rates.learningRate,
        physics_weight: this.#rates.physicsWeight,
        batch_weight: groups,
      }),
    };
    const { steps } = this.#programs[this.#rates.frozen ? 'frozen' : 'free'];
    const outputs = await steps.run(groups, available);
    averages.add(outputs, groups);
    this.#pending.push({ members: arrays.members, gradients: outputs.position_gradients, groups });
    if (this.#pending.length >= accumulate) await this.flush(averages);
    return outputs;
  }

  /** Takes the step that waits for more batches, if there is one. */
  async flush(averages: Averages): Promise<void> {
    const [pending, rates] = [this.#pending, this.#rates];
    if (pending.length === 0 || rates === undefined) return;
    this.#pending = [];
    this.#rates = undefined;
    const total = pending.reduce((n, p) => n + p.groups, 0);
    const { accumulate, crew, state } = this.#options;
    if (accumulate > 1 || crew) {
      await crew?.gather();
      const available = scalarFeeds({ learning_rate: rates.learningRate, total_weight: total });
      const { apply } = this.#programs[rates.frozen ? 'frozen' : 'free'];
      averages.add(await apply.run(0, available, state), total);
      await crew?.spread();
    }
    if (rates.positionRate !== undefined) this.#movePositions(pending, total, rates.positionRate);
  }

  /** Releases the programs. */
  async dispose(): Promise<void> {
    for (const { steps, apply } of Object.values(this.#programs)) {
      await steps.dispose();
      await apply.dispose();
    }
  }

  /** One step of the positions for all batches together: the loss of each is a mean over its own groups. */
  #movePositions(pending: readonly Pending[], total: number, rate: number): void {
    const { refiner } = this.#options;
    const withGradients = pending.filter((p): p is Required<Pending> => p.gradients !== undefined);
    if (!refiner || withGradients.length === 0) return;
    const members = Int32Array.from(withGradients.flatMap((p) => Array.from(p.members)));
    const values = withGradients.flatMap(({ gradients, groups }) =>
      Array.from(gradients.data, (v) => v * (groups / total)),
    );
    const shape = [total, ...withGradients[0].gradients.shape.slice(1)];
    refiner.update(members, { data: Float32Array.from(values), shape }, rate);
  }
}
