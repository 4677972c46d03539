/** What programs are fed, by name. */
import { PtychoError } from '../core/errors.js';
import type { Tensor } from '../core/tensor.js';
import type { DatasetBatch } from '../data/dataset.js';
import type { Program } from '../graph/program.js';

/** Everything that a program may ask for: each is made only when it is declared. */
export type Available = Readonly<Record<string, Tensor | undefined>>;

/** The arrays of a batch by the names of inputs; `positions` replaces those of the data set. */
export function batchFeeds(arrays: DatasetBatch, positions: Tensor = arrays.positions): Available {
  const { labels } = arrays;
  return {
    input: arrays.diffraction,
    input_positions: positions,
    label_real: labels && { data: labels.re, shape: labels.shape },
    label_imag: labels && { data: labels.im, shape: labels.shape },
  };
}

/** Numbers as feeds. */
export function scalarFeeds(values: Readonly<Record<string, number>>): Available {
  return Object.fromEntries(Object.entries(values).map(([name, v]) => [name, { data: Float32Array.of(v), shape: [] }]));
}

/**
 * What a program declares, out of what there is.
 * @throws PtychoError GRAPH_INVALID for an input that nobody can feed.
 */
export function feedsFor(program: Program, available: Available): Record<string, Tensor> {
  const feeds: Record<string, Tensor> = {};
  for (const name of program.inputs.keys()) {
    const value = available[name];
    if (value === undefined) {
      throw new PtychoError('GRAPH_INVALID', `${program.name} asks for "${name}", which training does not have.`, {
        program: program.name,
        input: name,
      });
    }
    feeds[name] = value;
  }
  return feeds;
}
