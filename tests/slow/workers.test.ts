/** Networks that several engines train come to what one engine trains: more steps than `tests/training/workers.test.ts` takes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectSameRun, largestDifference, tinyRun } from '../support/sameRun.js';
import { writeTinyScan } from '../support/tinyRun.js';

/** CI takes fewer epochs. */
const SAMPLE = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
let folder: string;
const at = (name: string) => path.join(folder, name);
const run = (name: string, over: Record<string, unknown>) => tinyRun(at('scan.npz'), at(name), over);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-workers-'));
  await writeTinyScan(at('scan.npz'));
  await writeTinyScan(at('other.npz'), 5);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('two scans with trained probes, every column of the history, too', async () => {
  const over = {
    ...{
      optimizer: 'sgd',
      momentum: 0.9,
      learning_rate: 0.01,
      nepochs: SAMPLE ? 2 : 6,
      auto_restart: true,
      gradient_clip_val: 0.5,
    },
    ...{ train_data_files: [at('other.npz')], probe_trainable: true, input_reference: 'constant' },
    ...{ batch_size: 4, n_groups: 16 },
  };
  const one = await run('one', over);
  for (const devices of SAMPLE ? [2] : [2, 3])
    expectSameRun(await run('several', { ...over, execution: { devices } }), one);
});

it.each(SAMPLE ? [2] : [1, 2])(
  'gridsize %d and Adam: the bytes of smaller batches whose gradients are added up',
  async (gridsize) => {
    const over = {
      optimizer: 'adam',
      learning_rate: 1e-3,
      nepochs: SAMPLE ? 2 : 10,
      n_groups: 10,
      model: { gridsize },
    };
    const sums = await run('sums', { ...over, batch_size: 2, execution: { accum_steps: 2 } });
    const two = await run('two', { ...over, batch_size: 4, execution: { devices: 2 } });
    for (const [name, { data }] of Object.entries(sums.weights)) {
      expect(largestDifference(two.weights[name].data, data), name).toBe(0);
    }
  },
);
