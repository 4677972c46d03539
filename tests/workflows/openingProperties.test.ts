/** A sample of the properties of opening that `tests/slow/openingProperties.test.ts` checks at length. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import fc from '../support/fastCheck.js';
import { drawnClean, drawnVariant, opinionOf, opinionOfClean, SilenceJudge } from '../support/openingProperties.js';
import { describeShared, sharedFile } from '../support/shared.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-opening-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('opening', () => {
  it('makes no silently wrong image of scans with defects', async () => {
    const judge = new SilenceJudge(folder);
    const wrong = [];
    for (const drawn of fc.sample(drawnVariant, { numRuns: 14, seed: 15 })) wrong.push(await judge.judge(drawn));
    expect(wrong.filter((sentence) => sentence !== undefined)).toEqual([]);
    // The property is no empty one: some are right, some are stopped.
    for (const outcome of ['right', 'stopped']) expect(judge.outcomes.join('\n')).toContain(outcome);
  });

  it('has nothing against scans without one', async () => {
    for (const drawn of fc.sample(drawnClean, { numRuns: 20, seed: 15 })) {
      const { wrong, doubts } = await opinionOfClean(folder, drawn);
      expect([JSON.stringify(drawn), wrong, doubts]).toEqual([JSON.stringify(drawn), [], []]);
    }
  });
});

describeShared(
  'opening of measured and simulated scans',
  () => {
    it.each([
      'siemens_star_128.npz',
      'siemens_star_128_subset96.npz',
      'sim_64_counts.npz',
      'solvers/affine_64.npz',
      'solvers/flyscan_64.npz',
      'solvers/flyscan9_64.npz',
      'solvers/multislice_64.npz',
      'solvers/nearfield_96.npz',
      'solvers/opr_64.npz',
      'solvers/twoscans_64.npz',
      'solvers/twoscans_64_a.npz',
      'solvers/twoscans_64_b.npz',
    ])('has nothing against %s', async (name) => {
      expect(await opinionOf(sharedFile('data', ...name.split('/')))).toEqual({ wrong: [], doubts: [] });
    });

    it('asks for the distance of a near-field scan that does not say it', async () => {
      const file = sharedFile('data', 'solvers', 'nearfield_96.npz');
      const { wrong } = await opinionOf(file, { near_field: false });
      expect(wrong.join()).toMatch(/^SCAN_WRONG: .*near-field scan.*--propagation_distance_m/s);
    });
  },
  'data',
);
