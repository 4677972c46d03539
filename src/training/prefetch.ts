/** Batches read ahead while the engine works. */
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
export async function* batchesOf(
  { dataset, groups }: TrainPart,
  size: number,
  ahead: number = DEFAULT_PREFETCH,
): AsyncGenerator<LoadedBatch> {
  const waiting: Promise<LoadedBatch>[] = [];
  let next = 0;
  const fill = (count: number) => {
    while (waiting.length < count && next < groups.length) {
      const start = next;
      const indices = groups.subarray(start, Math.min(groups.length, start + size));
      const loading = dataset.batch(indices).then((arrays) => ({ indices, arrays, start }));
      // Not an unhandled rejection before its turn, nor when nobody asks for it any more.
      loading.catch(() => {});
      waiting.push(loading);
      next = start + size;
    }
  };
  fill(1);
  for (let current = waiting.shift(); current; current = waiting.shift()) {
    const loaded = await current;
    fill(ahead);
    yield loaded;
    fill(1);
  }
}
