/**
 * How the patterns of an epoch are shared out among batches.
 *
 * `random`: another draw each epoch. `uniform`: in the first ten epochs each batch is spread over the whole scan, so that its step speaks
 * for all of it; then `random`, because batches that are alike in every epoch end with a misfit that is 2 % higher (docs/solvers.md). `compact`: each batch is one neighbourhood, so that a device touches little of the object at
 * a time.
 */
import type { Batching } from '../../config/schemas/solver.js';
import { valuesAt } from '../../core/numbers.js';
import { LegacyRng } from '../../core/rng.js';

/** The batches of one epoch after the other. */
export interface Batches {
  /** All patterns once. @param epoch from 1 */
  of(epoch: number): Int32Array[];
}

/** What patterns are shared out by: how many there are, and where. */
interface Places {
  readonly ys: Float64Array;
  readonly xs: Float64Array;
}

/** How many patterns a batch has. */
export interface BatchLengths {
  readonly size: number;
  /** In the first epochs, where they are shorter. */
  readonly early?: { readonly size: number; readonly epochs: number };
}

/** How many, and from which seed. */
export interface BatchSizes extends BatchLengths {
  readonly seed: number;
  /** Which patterns; the others are in no batch. */
  readonly rows: Int32Array;
}

/** Epochs with uniform batches. */
const UNIFORM_EPOCHS = 10;

/** Batches of nearly equal size; those that depend on positions take them as they are now. */
export function openBatches(batching: Batching, scan: Places, { size, early, seed, rows }: BatchSizes): Batches {
  const count = rows.length;
  const sizeAt = (epoch: number) => (early && epoch <= early.epochs ? early.size : size);
  const partsOf = (length: number) => Math.max(1, Math.round(count / length));
  const places = { ys: valuesAt(scan.ys, rows), xs: valuesAt(scan.xs, rows) };
  const random = (epoch: number) => batchesOf(rows, sizeAt(epoch), seed, epoch);
  const named = (batches: readonly Int32Array[]) => batches.map((batch) => batch.map((i) => rows[i]));
  switch (batching) {
    case 'random':
      return { of: random };
    case 'uniform':
      return {
        of: (epoch) =>
          epoch > UNIFORM_EPOCHS
            ? random(epoch)
            : named(spreadBatches(places, partsOf(sizeAt(epoch)), orderOf(count, seed, epoch))),
      };
    case 'compact': {
      const composed = new Map([early?.size ?? size, size].map((n) => [n, named(compactBatches(places, partsOf(n)))]));
      return {
        of: (epoch) => {
          const parts = composed.get(sizeAt(epoch))!;
          return orderOf(parts.length, seed, epoch).map((b) => parts[b]);
        },
      };
    }
  }
}

/** Each epoch has an order of its own. */
const orderOf = (count: number, seed: number, epoch: number): number[] =>
  Array.from(new LegacyRng((seed + 7919 * epoch) % 2 ** 32).permutation(count));

/** The patterns in random order, cut into batches of nearly equal size; each epoch has an order of its own. */
export function batchesOf(rows: Int32Array, size: number, seed: number, epoch: number): Int32Array[] {
  const order = orderOf(rows.length, seed, epoch).map((i) => rows[i]);
  return cut(order, Math.max(1, Math.round(rows.length / size)));
}

function cut(order: readonly number[], parts: number): Int32Array[] {
  return Array.from({ length: parts }, (_, b) =>
    Int32Array.from(
      order.slice(...([b, b + 1].map((e) => Math.floor((e * order.length) / parts)) as [number, number])),
    ),
  );
}

/** Patterns in random order, each to the batch whose members are farthest from it (least Σ1/d²) of those that are not full. */
function spreadBatches({ ys, xs }: Places, parts: number, order: readonly number[]): Int32Array[] {
  const batches: number[][] = Array.from({ length: parts }, () => []);
  for (const k of order) {
    // Sizes differ by one at most: a batch takes no more than the others before all have as many.
    const least = Math.min(...batches.map((batch) => batch.length));
    let [best, lowest] = [0, Infinity];
    for (let b = 0; b < parts; b++) {
      if (batches[b].length > least) continue;
      let near = 0;
      for (const m of batches[b]) near += 1 / (1e-9 + (ys[k] - ys[m]) ** 2 + (xs[k] - xs[m]) ** 2);
      if (near < lowest) [best, lowest] = [b, near];
    }
    batches[best].push(k);
  }
  return batches.map((batch) => Int32Array.from(batch));
}

/** The scan halved across its longer side until the parts are as many: neighbourhoods of nearly equal size. */
function compactBatches({ ys, xs }: Places, parts: number): Int32Array[] {
  const halve = (members: number[], into: number): Int32Array[] => {
    if (into === 1) return [Int32Array.from(members)];
    const extent = (values: Float64Array) => {
      const of = members.map((k) => values[k]);
      return of.reduce((m, v) => Math.max(m, v), -Infinity) - of.reduce((m, v) => Math.min(m, v), Infinity);
    };
    const along = extent(ys) >= extent(xs) ? ys : xs;
    const sorted = [...members].sort((a, b) => along[a] - along[b] || a - b);
    const first = Math.floor(into / 2);
    const at = Math.round((sorted.length * first) / into);
    return [...halve(sorted.slice(0, at), first), ...halve(sorted.slice(at), into - first)];
  };
  return halve(Array.from(ys.keys()), parts);
}
