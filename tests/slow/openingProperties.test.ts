/** Hundreds of generated scans: none with a defect gives a silently wrong image, and next to none without one is doubted. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from '../support/fastCheck.js';
import { drawnClean, drawnVariant, opinionOfClean, SilenceJudge } from '../support/openingProperties.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-opening-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('opening, at length', () => {
  it('makes no silently wrong image', { timeout: 3_600_000 }, async () => {
    const judge = new SilenceJudge(folder);
    const wrong = [];
    for (const drawn of fc.sample(drawnVariant, { numRuns: sample ? 40 : 600, seed: 151 })) {
      wrong.push(await judge.judge(drawn));
    }
    const counts = ['right', 'stopped', 'said'].map((outcome) => {
      return `${judge.outcomes.filter((line) => line.startsWith(outcome)).length} ${outcome}`;
    });
    console.log(counts.join(', '));
    expect(wrong.filter((sentence) => sentence !== undefined)).toEqual([]);
  });

  it('has nothing wrong, and at most 2 % doubts, of scans without a defect', { timeout: 1_800_000 }, async () => {
    const numRuns = sample ? 50 : 300;
    const refused: string[] = [];
    const doubted: string[] = [];
    for (const drawn of fc.sample(drawnClean, { numRuns, seed: 152 })) {
      const { wrong, doubts } = await opinionOfClean(folder, drawn);
      if (wrong.length > 0) refused.push(`${JSON.stringify(drawn)}: ${wrong.join()}`);
      else if (doubts.length > 0) doubted.push(`${JSON.stringify(drawn)}: ${doubts.join()}`);
    }
    expect(refused).toEqual([]);
    expect(doubted.length, doubted.join('\n')).toBeLessThanOrEqual(0.02 * numRuns);
  });
});
