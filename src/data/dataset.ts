/**
 * Groups of patterns as batches for a network. Batches are made on demand from the patterns' source; nothing is laid out
 * beforehand, so that memory does not grow with the number of groups.
 *
 * @example
 * const { inputScale } = await groupedStatistics(raw.patterns, groups);
 * const dataset = new DiffractionDataset(raw, groups, inputScale);
 * const { diffraction, positions } = await dataset.batch([0, 1, 2]); // shapes [3, C, N, N] and [3, C, 1, 2]
 */
import { PtychoError } from '../core/errors.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { Groups } from './grouping/grouping.js';
import type { LabelSource } from './labels.js';
import { keepPatterns, readInFileOrder } from './patternCache.js';
import type { PatternSource } from './patternSource.js';
import type { RawData } from './rawData.js';

/** A batch of B groups. */
export interface DatasetBatch {
  /** [B, C, N, N] amplitudes times the input scale. */
  readonly diffraction: Tensor;
  /** [B, C, 1, 2] group centre − member, (x, y) in object pixels. */
  readonly positions: Tensor;
  /** (B·C) the members, as indices into the scan; of several scans, into their patterns one scan after the other. */
  readonly members: Int32Array;
  /** [B, S] with 1 at the scan of a group, where there are several scans. */
  readonly scan?: Tensor;
  /** [B, C, N, N] known patches of the members, where the data set has labels. */
  readonly labels?: ComplexTensor;
}

/** Options of {@link DiffractionDataset}. */
export interface DatasetOptions {
  /**
   * The most bytes of patterns to keep in memory, because training reads the same ones every epoch; default 1 GiB. They are
   * kept only when all patterns of the groups fit, and never when the source has them in memory itself.
   */
  readonly cacheBytes?: number;
  /** Read from here instead of `raw.patterns`: the same patterns, kept in memory by an earlier pass (`keepPatterns`). */
  readonly patterns?: PatternSource;
  /** Known patches of the object (`findLabels`), for training that learns from them. */
  readonly labels?: LabelSource;
}

/** Groups of a scan, ready to be fed. */
export class DiffractionDataset {
  /** Number of groups. */
  readonly size: number;
  /** Patterns per group. */
  readonly C: number;
  /** Side of the patterns, pixels. */
  readonly N: number;
  /** Side of a square canvas that holds all patches of any group: N + 2·⌈max|coordsRelative|⌉; N for gridsize 1. */
  readonly canvasSide_px: number;
  /** Where the patterns are read from: kept in memory where they fit. */
  readonly patterns: PatternSource;
  readonly labels: LabelSource | undefined;

  /**
   * @param inputScale the factor that normalises amplitudes (`groupedStatistics(…).inputScale`, or a trained model's).
   * @throws PtychoError DATASET_VALUE unless the scale is finite and positive.
   */
  constructor(
    readonly raw: RawData,
    readonly groups: Groups,
    readonly inputScale: number,
    options: DatasetOptions = {},
  ) {
    if (!(inputScale > 0 && Number.isFinite(inputScale))) {
      throw new PtychoError('DATASET_VALUE', `The input scale must be a positive number, got ${inputScale}.`, {
        found: inputScale,
      });
    }
    this.size = groups.count;
    this.C = groups.C;
    this.N = raw.N;
    this.canvasSide_px = raw.N + 2 * Math.ceil(groups.maxRelative_px);
    this.patterns = keepPatterns(options.patterns ?? raw.patterns, groups.members, options.cacheBytes);
    this.labels = options.labels;
  }

  /** The same groups with known patches. */
  withLabels(labels: LabelSource): DiffractionDataset {
    return new DiffractionDataset(this.raw, this.groups, this.inputScale, { patterns: this.patterns, labels });
  }

  /**
   * The groups `indices`, in that order. Batches are independent: any number may be under way or kept.
   * @throws PtychoError DATASET_SHAPE for a group that does not exist, and those of reading patterns.
   */
  async batch(indices: ArrayLike<number>): Promise<DatasetBatch> {
    const { C, N } = this;
    const B = indices.length;
    const members = new Int32Array(B * C);
    const positions = new Float32Array(B * C * 2);
    for (let b = 0; b < B; b++) {
      const g = indices[b];
      if (!(Number.isInteger(g) && g >= 0 && g < this.size)) {
        throw new PtychoError('DATASET_SHAPE', `There is no group ${g} among ${this.size}.`, {
          found: g,
          expected: this.size,
        });
      }
      members.set(this.groups.members.subarray(g * C, (g + 1) * C), b * C);
      positions.set(this.groups.coordsRelative.subarray(g * C * 2, (g + 1) * C * 2), b * C * 2);
    }
    const diffraction = new Float32Array(B * C * N * N);
    await readInFileOrder(this.patterns, members, diffraction, this.inputScale);
    return {
      diffraction: { data: diffraction, shape: [B, C, N, N] },
      positions: { data: positions, shape: [B, C, 1, 2] },
      members,
      ...(this.labels ? { labels: { ...(await this.labels.read(members)), shape: [B, C, N, N] } } : {}),
    };
  }
}
