/** Where a reconstruction gets its patterns from: a scan that is complete, or one that is still being measured. */
import type { Tensor } from '../core/tensor.js';
import type { DiffractionDataset } from '../data/dataset.js';
import { type ScanBounds, scanBounds } from './frame.js';

/** B groups of C patterns, as the network takes them, and where their patches belong. */
export interface PatternBatch {
  /** [B, C, N, N] amplitudes times the input scale. */
  readonly diffraction: Tensor;
  /** [B, C, 1, 2] group centre − member, (x, y) in object pixels. */
  readonly positions: Tensor;
  /** (B·C) positions of the members in object pixels, before any placement option. */
  readonly xs: Float64Array;
  readonly ys: Float64Array;
  /** (B·C) the members, as indices into the scan. */
  readonly members: Int32Array;
}

/** A source of batches. */
export interface PatternFeed {
  readonly N: number;
  /** Patterns in a group. */
  readonly C: number;
  /** Members of all groups as far as they are known; of a scan in progress, those that have come. */
  readonly total: number;
  /** Extreme positions; undefined where they are not known, then the frame grows. */
  readonly bounds?: ScanBounds;
  /** Positions may lie outside the bounds: of a scan in progress they are an expectation. */
  readonly grows: boolean;
  /** Patterns that no group could take. */
  readonly unused: number;
  /** Batches made before they are asked for; null: as many as the caller likes. */
  readonly readAhead: number | null;
  /** Batches of at most `size` groups; ends when the scan does. */
  batches(size: number): AsyncIterableIterator<PatternBatch>;
}

/**
 * The groups of a data set, in order.
 * @param xs,ys (groups·C) where the patches of the members belong
 */
export function feedOf(dataset: DiffractionDataset, xs: Float64Array, ys: Float64Array): PatternFeed {
  const { N, C, size: groups } = dataset;
  return {
    N,
    C,
    total: groups * C,
    bounds: scanBounds(xs, ys),
    grows: false,
    unused: 0,
    readAhead: null,
    async *batches(size) {
      for (let start = 0; start < groups; start += size) {
        const n = Math.min(size, groups - start);
        const batch = await dataset.batch(Int32Array.from({ length: n }, (_, i) => start + i));
        const [from, to] = [start * C, (start + n) * C];
        yield { ...batch, xs: xs.subarray(from, to), ys: ys.subarray(from, to) };
      }
    },
  };
}
