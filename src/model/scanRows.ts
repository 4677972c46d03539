/**
 * A network that learns from several scans at once: probe, scale and dead pixels differ from scan to scan, and every group of a batch
 * gets those of its own. A table has a row for each scan; the batch says which row belongs to which group.
 *
 * @example
 * const rows = new ScanRows(op.input('scan', [batch, scans.length]), scans);
 * const gauge = rows.numbers(({ scale }) => scale.amplitudeGauge); // [B, 1, 1, 1]
 */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { PhysicsScale } from './scale.js';

/** What a network must know of a scan besides its patterns. */
export interface ScanTerms {
  readonly scale: PhysicsScale;
  /** Mean of the normalised amplitude X over the valid training pixels. */
  readonly meanAmplitude: number;
  /** (N, N): 1 at detector pixels that cannot be used. */
  readonly badPixels?: ArrayLike<number>;
  /** What the network sees its patterns multiplied by (`inputScaling.ts`). */
  readonly inputFactor?: number;
}

/** Picks rows of tables for the groups of a batch. */
export class ScanRows {
  /**
   * @param which [B, S]: 1 at the scan of a group, 0 elsewhere
   * @param scans as many as the table has rows
   */
  constructor(
    readonly which: GraphNode,
    readonly scans: readonly ScanTerms[],
  ) {}

  /** The same for the members of groups, `count` of each, one after the other. */
  repeated(count: number): ScanRows {
    const [batch] = this.which.shape;
    const data = new Float32Array(batch * count * batch);
    for (let i = 0; i < batch * count; i++) data[i * batch + Math.floor(i / count)] = 1;
    return new ScanRows(
      op.matmul(op.constant(data, [batch * count, batch], 'members of groups'), this.which),
      this.scans,
    );
  }

  /** The rows [B, …rest] of a table [S, …rest]. A product with zeros and a one is exact, and derives like any other. */
  of(table: GraphNode): GraphNode {
    const [batch, count] = this.which.shape;
    const rest = table.shape.slice(1);
    const size = rest.reduce((a, b) => a * b, 1);
    return op.reshape(op.matmul(this.which, op.reshape(table, [count, size])), [batch, ...rest]);
  }

  /** One number a group, [B, 1, 1, 1], of a table [S]. */
  scalars(table: GraphNode): GraphNode {
    return this.of(op.reshape(table, [table.shape[0], 1, 1, 1]));
  }

  /** {@link scalars} of what each scan gives. */
  numbers(of: (scan: ScanTerms) => number): GraphNode {
    return this.scalars(op.constant(Float32Array.from(this.scans, of), [this.scans.length]));
  }

  /** One image a group, [B, 1, N, N], of what each scan gives. */
  images(side: number, label: string, of: (scan: ScanTerms) => ArrayLike<number>): GraphNode {
    const area = side * side;
    const table = new Float32Array(this.scans.length * area);
    this.scans.forEach((scan, s) => {
      table.set(of(scan), s * area);
    });
    return this.of(op.constant(table, [this.scans.length, 1, side, side], label));
  }

  /** The mean of [B, …] over the groups of the same scan, [B, …]. */
  means(x: GraphNode): GraphNode {
    const [batch, count] = this.which.shape;
    const sums = op.matmul(
      op.transposeLast(this.which),
      op.reshape(x, [batch, x.shape.slice(1).reduce((a, b) => a * b, 1)]),
    );
    const groups = op.reshape(op.reduceSum(this.which, [0]), [count, 1]);
    // A scan without groups in the batch has no sum either.
    const means = op.div(sums, op.maximum(groups, 1));
    return op.reshape(op.matmul(this.which, means), x.shape);
  }
}
