/** Batches read ahead while the engine works. */
import { readAhead } from '../core/inOrder.js';
import type { DatasetBatch, DiffractionDataset } from '../data/dataset.js';

/** Groups of one data set. */
export interface TrainPart {
  readonly dataset: Pick<DiffractionDataset, 'batch'>;
  readonly groups: Int32Array;
}

/** A batch, and where its groups begin in the order of the epoch. */
export interface LoadedBatch {
  readonly indices: Int32Array;
  readonly arrays: DatasetBatch;
  readonly start: number;
}

/** How many batches are read ahead where nothing is said. */
export const DEFAULT_PREFETCH = 2;

/**
 * Yields batches of `size` groups (the last one may be smaller) in the given order, reading up to `ahead` further ones
 * meanwhile. A failed read is thrown when its turn comes.
 */
export function batchesOf(
  { dataset, groups }: TrainPart,
  size: number,
  ahead: number = DEFAULT_PREFETCH,
): AsyncGenerator<LoadedBatch> {
  const starts = Array.from({ length: Math.ceil(groups.length / size) }, (_, i) => i * size);
  const load = async (start: number) => {
    const indices = groups.subarray(start, Math.min(groups.length, start + size));
    return { indices, arrays: await dataset.batch(indices), start };
  };
  return readAhead(starts.values(), load, ahead);
}
