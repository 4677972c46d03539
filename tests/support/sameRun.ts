/** Runs that must come to the same but for rounding: what they left, and how it is compared. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect } from 'vitest';
import type { Tensor } from '../../src/core/tensor.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { decodeHistory } from '../../src/persistence/history.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { tinyRequest } from './tinyRun.js';

/** What two runs are compared by. */
export interface RunResult {
  readonly history: readonly object[];
  readonly weights: Readonly<Record<string, Tensor>>;
}

/** Trains on a small scan; also how many positions had no group. */
export async function tinyRun(scan: string, folder: string, over: Record<string, unknown>) {
  await trainWorkflow(tinyRequest(scan, folder, over));
  const text = (name: string) => readFile(path.join(folder, name), 'utf8');
  const { weights } = await openBundle(folder);
  const { skipped_positions: skipped } = JSON.parse(await text('run.json'));
  return { history: decodeHistory(await text('history.csv')), weights, skipped: skipped as number };
}

/**
 * Every number of the histories, and every weight, within 1e-5; what is null or missing is so in both. The norm of gradients within 1e-3: it
 * jumps where a single value passes a kink of the network.
 */
export function expectSameRun(found: RunResult, expected: RunResult): void {
  expect(found.history.length).toBe(expected.history.length);
  expected.history.forEach((record, i) => {
    expect(Object.keys(found.history[i])).toEqual(Object.keys(record));
    for (const [name, value] of Object.entries(record)) {
      const other = (found.history[i] as Record<string, unknown>)[name];
      const what = `${name} of epoch ${i + 1}`;
      if (typeof value !== 'number') expect(other, what).toBe(value);
      else {
        const limit = name === 'gradient_norm' ? 1e-3 : 1e-5;
        expect(Math.abs((other as number) - value), what).toBeLessThan(limit * Math.max(1, value));
      }
    }
  });
  for (const [name, { data }] of Object.entries(expected.weights)) {
    expect(largestDifference(found.weights[name].data, data), name).toBeLessThan(1e-5);
  }
}

/** Of two arrays that are equally long. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let largest = 0;
  for (let i = 0; i < b.length; i++) largest = Math.max(largest, Math.abs(a[i] - b[i]));
  return largest;
}
