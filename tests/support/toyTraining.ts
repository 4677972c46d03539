/** A network of four weights and a data set in memory: the training loop without the cost of a real network. */

import { type TrainingConfig, trainingConfigSchema } from '../../src/config/schema.js';
import { PUBLISHED_TRAINING } from '../../src/config/trainingPresets.js';
import type { Tensor } from '../../src/core/tensor.js';
import type { DatasetBatch } from '../../src/data/dataset.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { optimiserOptions } from '../../src/model/optimisers/kinds.js';
import {
  accumulationStep,
  applyAccumulated,
  averagedName,
  optimiserState,
  type StepParts,
  trainingStep,
} from '../../src/model/trainingSteps.js';
import type { TrainableNetwork } from '../../src/training/programs.js';

const SIDE = 2;

/** A configuration with the blocks opened: `{ execution: { accum_steps: 4 }, nepochs: 3 }`. */
export function toyConfig(over: Record<string, unknown> = {}): TrainingConfig {
  return trainingConfigSchema.parse({
    ...PUBLISHED_TRAINING,
    model: { N: 64, gridsize: 2 },
    nepochs: 3,
    batch_size: 4,
    learning_rate: 0.05,
    ...over,
  });
}

export interface ToyOptions {
  /** Members of a group. */
  readonly C?: number;
  /** Learn from `label_real` instead of 2·x + 0.5. */
  readonly labelled?: boolean;
  /** Further outputs, all constants. */
  readonly outputs?: Readonly<Record<string, number>>;
}

/**
 * loss = mean (w·x − y)², y = 2·x + 0.5, with stages faded in from the mean |w·x − y|; where positions move, also the mean square
 * distance of `input_positions` from the first row of x.
 */
export function toyNetwork(config: TrainingConfig, { C = 1, labelled = false, outputs = {} }: ToyOptions = {}) {
  const parameters = [{ name: 'w', shape: [1, 1, SIDE, SIDE] }];
  const optimiser = optimiserOptions(config);
  const staged = config.stage_1_epochs + config.stage_2_epochs > 0;
  const parts = (name: string, batch: number, averaged = false): StepParts => {
    const shape = [batch, C, SIDE, SIDE];
    const x = op.input('input', shape);
    const positions = op.input('input_positions', [batch, C, 1, 2]);
    const label = op.input('label_real', shape);
    const weight = op.input('physics_weight', []);
    const w = op.state(averaged ? averagedName('w') : 'w', parameters[0].shape);
    const error = op.sub(op.mul(x, w), labelled ? label : op.add(op.mul(x, 2), 0.5));
    const mse = op.reduceMean(op.square(error));
    const mae = op.reduceMean(op.abs(error));
    let loss: GraphNode = mse;
    if (staged) loss = op.add(op.mul(mse, weight), op.mul(mae, op.sub(1, weight)));
    if (config.position_trainable) {
      const places = op.slice(x, [0, 0, 0, 0], [batch, C, 1, 2]);
      loss = op.add(loss, op.reduceMean(op.square(op.sub(positions, places))));
    }
    const constants = Object.entries({ amplitude_contrast: 0.25, ...outputs });
    return {
      name,
      inputs: [x, positions, ...(labelled ? [label] : []), ...(staged ? [weight] : [])],
      loss,
      outputs: {
        loss,
        nll: mse,
        mae,
        ...Object.fromEntries(constants.map(([key, v]) => [key, op.add(op.mul(mse, 0), v)])),
      },
      gradientOutputs: config.position_trainable ? { position_gradients: positions } : {},
      weights: new Map([['w', w]]),
      optimiser,
    };
  };
  const network: TrainableNetwork = {
    parameters,
    initialWeights: (seed) => ({
      w: { data: Float32Array.from({ length: 4 }, (_, i) => Math.sin(seed + i)), shape: parameters[0].shape },
    }),
    initialOptimiserState: () => optimiserState(parameters, optimiser),
    trainStep: (b) => trainingStep(parts(`toy_step_b${b}`, b)),
    accumulateStep: (b) => accumulationStep(parts(`toy_sum_b${b}`, b)),
    applyStep: () => applyAccumulated(parameters, optimiser),
    evaluate: (b, { averaged = false } = {}) => {
      const { name, inputs, outputs: results } = parts(`toy_value_b${b}`, b, averaged);
      return defineProgram({ name, inputs, outputs: results });
    },
  };
  return network;
}

/** Values of order one, the same every time. */
const value = (i: number) => Math.fround(Math.sin(1.3 * i) + Math.cos(0.17 * i * i));

/** Groups of C patterns each, pattern g·C + c in group g; `reads` counts how many batches are being read or wait. */
export function toyDataset(count: number, C = 1, offset = 0) {
  const reads = { begun: 0, taken: 0 };
  const n = count * C;
  const coordinates = (axis: number) => Float64Array.from({ length: n }, (_, i) => 3 * value(2 * i + axis + 900));
  const xs = coordinates(0);
  const ys = coordinates(1);
  const area = SIDE * SIDE;
  const images = (members: Int32Array, of: (i: number) => number): Float32Array =>
    Float32Array.from({ length: members.length * area }, (_, i) =>
      of(offset + members[Math.floor(i / area)] * area + (i % area)),
    );
  const dataset = {
    raw: { xcoords: xs, ycoords: ys } as never,
    async batch(indices: ArrayLike<number>): Promise<DatasetBatch> {
      reads.begun++;
      const B = indices.length;
      const members = Int32Array.from({ length: B * C }, (_, i) => indices[Math.floor(i / C)] * C + (i % C));
      const positions = new Float32Array(2 * members.length);
      for (let b = 0; b < B; b++) {
        for (const [axis, coordinate] of [xs, ys].entries()) {
          const own = Array.from(members.subarray(b * C, (b + 1) * C), (m) => coordinate[m]);
          const centre = own.reduce((a, v) => a + v, 0) / C;
          own.forEach((v, c) => {
            positions[2 * (b * C + c) + axis] = centre - v;
          });
        }
      }
      const shape = [B, C, SIDE, SIDE];
      return {
        diffraction: { data: images(members, value), shape },
        positions: { data: positions, shape: [B, C, 1, 2] },
        members,
        labels: { re: images(members, (i) => 3 * value(i)), im: new Float32Array(members.length * area), shape },
      };
    },
  };
  return { dataset, reads, groups: Int32Array.from({ length: count }, (_, i) => i) };
}

/** Every value of named tensors, for comparing bit by bit. */
export function flatten(tensors: Readonly<Record<string, Tensor>>): Record<string, number[]> {
  return Object.fromEntries(Object.entries(tensors).map(([name, t]) => [name, Array.from(t.data)]));
}
