/**
 * How long a training will take, from ten measured steps on weights that are thrown away, so that nothing of the run depends on it.
 *
 * @example
 * const seconds = await measuredStep(network, backend, config, training); // of one step
 * logger.info(forecastText(40, 40 * stepsPerEpoch * seconds));
 */
import type { Backend } from '../backends/backend.js';
import type { TrainingConfig } from '../config/schema.js';
import type { PtychoNetwork } from '../model/network.js';
import { Crew } from './crew.js';
import { Averages, batchesOf, type TrainPart } from './programs.js';
import { Stepper } from './stepper.js';

/** Steps that are measured; the first of them is not, because engines prepare themselves in it. */
const MEASURED_STEPS = 10;

/** Trainings that are over sooner need no forecast, in steps. */
const WORTH_STEPS = 200;

/** What a validation costs, in parts of a step: it has no gradients. */
const VALIDATION = 1 / 3;

type Forecasted = Pick<TrainingConfig, 'batch_size' | 'learning_rate' | 'nepochs' | 'seed'>;

/** Seconds of a training step. */
export async function measuredStep(
  network: PtychoNetwork,
  backend: Backend,
  { batch_size, learning_rate, seed }: Forecasted,
  { dataset, groups }: TrainPart,
): Promise<number> {
  const values = { ...network.initialWeights(seed), ...network.initialOptimiserState() };
  const { state, crew } = await Crew.begin(network, backend, values, false);
  const stepper = new Stepper({ network, backend, state, accumulate: 1, crew });
  const rates = { learningRate: learning_rate, physicsWeight: 1 };
  try {
    let started = 0;
    let steps = 0;
    const part = { dataset, groups: groups.subarray(0, batch_size * (MEASURED_STEPS + 1)) };
    for await (const batch of batchesOf(part, batch_size)) {
      await stepper.add(batch, rates, new Averages());
      if (steps++ === 0) started = performance.now();
    }
    return (performance.now() - started) / 1000 / (steps - 1);
  } finally {
    await stepper.dispose();
    await crew?.dispose();
    await state.dispose();
  }
}

/** Seconds that a training takes at so many a step. */
export function trainingSeconds(
  step: number,
  { batch_size, nepochs }: Forecasted,
  training: number,
  validating: number,
): number {
  const steps = Math.ceil(training / batch_size) + VALIDATION * Math.ceil(validating / batch_size);
  return nepochs * steps * step;
}

/** Whether a training is long enough for a forecast to be worth its steps. */
export function worthForecast({ batch_size, nepochs }: Forecasted, training: number): boolean {
  return training > batch_size * MEASURED_STEPS && nepochs * Math.ceil(training / batch_size) >= WORTH_STEPS;
}

/** "40 epochs: about 31 min; a network half as wide (n_filters_scale 1): 9 min". */
export function forecastText(
  epochs: number,
  seconds: number,
  half?: { readonly scale: number; readonly seconds: number },
): string {
  const other =
    half === undefined ? '' : `; a network half as wide (--n_filters_scale ${half.scale}): ${inWords(half.seconds)}`;
  return `${epochs} ${epochs === 1 ? 'epoch' : 'epochs'}: about ${inWords(seconds)}${other}.`;
}

function inWords(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = seconds / 60;
  if (minutes < 90) return `${Math.round(minutes)} min`;
  return `${(minutes / 60).toFixed(1)} h`;
}
