/**
 * Groups of several scans as one data set: a batch may hold groups of any of them, a group never crosses scans.
 *
 * @example
 * const mixed = new MixedDataset([first.dataset, second.dataset]);
 * const { diffraction, scan } = await mixed.batch([0, first.dataset.count]); // a group of each
 */
import { PtychoError } from '../core/errors.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { DatasetBatch, DiffractionDataset } from './dataset.js';

/** Where the patterns of one scan lie among those of all. */
export interface MixedPart {
  readonly dataset: DiffractionDataset;
  /** Its first group among all groups. */
  readonly firstGroup: number;
  /** Its first pattern among all patterns. */
  readonly firstPattern: number;
}

/** Groups of scans with patterns of one size, one scan after the other. */
export class MixedDataset {
  readonly size: number;
  /** Patterns per group. */
  readonly C: number;
  /** Side of the patterns, pixels. */
  readonly N: number;
  readonly parts: readonly MixedPart[];
  /** Positions of all scans one after the other, as members of batches are counted. */
  readonly raw: { readonly xcoords: Float64Array; readonly ycoords: Float64Array };

  /** @throws PtychoError DATASET_SHAPE for scans whose patterns or groups differ in size */
  constructor(datasets: readonly DiffractionDataset[]) {
    const [first] = datasets;
    let [groups, patterns] = [0, 0];
    this.parts = datasets.map((dataset) => {
      if (dataset.N !== first.N || dataset.C !== first.C) {
        throw new PtychoError(
          'DATASET_SHAPE',
          `${dataset.raw.source} has groups of ${dataset.C} patterns of ${dataset.N}×${dataset.N} pixels, ${first.raw.source} of ${first.C} of ${first.N}×${first.N}; one network takes scans of one size.`,
          { found: [dataset.C, dataset.N], expected: [first.C, first.N] },
        );
      }
      const part = { dataset, firstGroup: groups, firstPattern: patterns };
      groups += dataset.size;
      patterns += dataset.raw.count;
      return part;
    });
    this.size = groups;
    this.C = first.C;
    this.N = first.N;
    const joined = (of: (raw: DiffractionDataset['raw']) => Float64Array) => {
      const all = new Float64Array(patterns);
      for (const { dataset, firstPattern } of this.parts) all.set(of(dataset.raw), firstPattern);
      return all;
    };
    this.raw = { xcoords: joined((raw) => raw.xcoords), ycoords: joined((raw) => raw.ycoords) };
  }

  /** The scan that a group is of. */
  scanOf(group: number): number {
    let scan = this.parts.length - 1;
    while (scan > 0 && this.parts[scan].firstGroup > group) scan--;
    return scan;
  }

  /**
   * The groups `indices`, in that order, with the scan of each.
   * @throws PtychoError DATASET_SHAPE for a group that does not exist, and those of reading patterns
   */
  async batch(indices: ArrayLike<number>): Promise<DatasetBatch> {
    const { C, N } = this;
    const B = indices.length;
    const size = C * N * N;
    const which = new Float32Array(B * this.parts.length);
    const places = this.parts.map((): { rows: number[]; groups: number[] } => ({ rows: [], groups: [] }));
    for (let b = 0; b < B; b++) {
      const scan = this.scanOf(indices[b]);
      which[b * this.parts.length + scan] = 1;
      places[scan].rows.push(b);
      places[scan].groups.push(indices[b] - this.parts[scan].firstGroup);
    }
    const diffraction = new Float32Array(B * size);
    const positions = new Float32Array(B * C * 2);
    const members = new Int32Array(B * C);
    const labelled = this.parts.every(({ dataset }) => dataset.labels !== undefined);
    const labels: ComplexTensor | undefined = labelled
      ? { re: new Float32Array(B * size), im: new Float32Array(B * size), shape: [B, C, N, N] }
      : undefined;
    await Promise.all(
      this.parts.map(async ({ dataset, firstPattern }, scan) => {
        const { rows, groups } = places[scan];
        if (rows.length === 0) return;
        const own = await dataset.batch(groups);
        rows.forEach((b, i) => {
          copyRow(own.diffraction.data, i, diffraction, b, size);
          copyRow(own.positions.data, i, positions, b, 2 * C);
          for (let c = 0; c < C; c++) members[b * C + c] = own.members[i * C + c] + firstPattern;
          if (labels && own.labels) {
            copyRow(own.labels.re, i, labels.re, b, size);
            copyRow(own.labels.im, i, labels.im, b, size);
          }
        });
      }),
    );
    const scan: Tensor = { data: which, shape: [B, this.parts.length] };
    return {
      diffraction: { data: diffraction, shape: [B, C, N, N] },
      positions: { data: positions, shape: [B, C, 1, 2] },
      members,
      scan,
      ...(labels ? { labels } : {}),
    };
  }
}

function copyRow(from: Tensor['data'], row: number, to: Float32Array, place: number, size: number): void {
  to.set(from.subarray(row * size, (row + 1) * size), place * size);
}

/** Whether two groups of a batch are of one scan; with one scan, whether there are two at all. */
export function hasPairs({ scan, diffraction }: Pick<DatasetBatch, 'scan' | 'diffraction'>): boolean {
  if (!scan) return diffraction.shape[0] > 1;
  const [B, S] = scan.shape;
  return Array.from({ length: S }, (_, s) => {
    let groups = 0;
    for (let b = 0; b < B; b++) groups += scan.data[b * S + s];
    return groups;
  }).some((groups) => groups > 1);
}
