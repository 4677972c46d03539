import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ProgressEvent } from '../../src/core/log.js';
import { demoWorkflow } from '../../src/workflows/demo.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-demo-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('trains as it says, wherever its own options came from', async () => {
  const stop = new AbortController();
  const outputDir = path.join(folder, 'demo');
  const run = demoWorkflow(
    { outputDir, epochs: 1, threads: 1 },
    {
      signal: stop.signal,
      onProgress: ({ stage }: ProgressEvent) => stage === 'training' && stop.abort(),
      // As the command line hands it on.
      provenance: { nepochs: { value: 1, source: 'flag' }, threads: { value: 1, source: 'flag' } },
    },
  );
  await expect(run).rejects.toMatchObject({ code: 'CANCELLED' });
  const { config, provenance } = JSON.parse(await readFile(path.join(outputDir, 'config.json'), 'utf8'));
  expect(config).toMatchObject({
    ...{ batch_size: 4, nll_weight: 0, mae_weight: 1, scheduler: 'WarmupCosine', n_groups: 961 },
    ...{ train_data_file: path.join(outputDir, 'scan.npz'), model: { n_filters_scale: 1 } },
  });
  expect(provenance.batch_size).toEqual({ value: 4, source: 'caller' });
});
