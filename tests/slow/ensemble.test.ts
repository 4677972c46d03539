/** An ensemble that is interrupted goes on to the same bytes; its first network is what a training alone gives. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openMembersOf } from '../../src/persistence/ensemble.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { bundleHash, tinyRequest, writeTinyScan } from '../support/tinyRun.js';

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
const small = { model: { N: 32 }, nepochs: 1 };

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-ensemble-'));
  await writeTinyScan(at('scan-3.npz'));
  await trainWorkflow(tinyRequest(at('scan-3.npz'), at('run'), { ...small, ensemble: 2 }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('an ensemble', () => {
  it('has as its first network what a training alone gives', async () => {
    await trainWorkflow(tinyRequest(at('scan-3.npz'), at('alone'), small));
    expect(await bundleHash(at('run', 'member-1'))).toBe(await bundleHash(at('alone')));
  });

  it('goes on where it was interrupted, to the same bytes', async () => {
    const request = tinyRequest(at('scan-3.npz'), at('stopped'), { ...small, ensemble: 2, overwrite: false });
    const ending = new AbortController();
    let networks = 0;
    const logger = { info: (text: string) => void (/^Network 2/.test(text) && networks++), warn: () => {} };
    await expect(
      trainWorkflow(request, {
        logger,
        signal: ending.signal,
        onProgress: () => {
          if (networks > 0) ending.abort();
        },
      }),
    ).resolves.toMatchObject({ cancelled: true });
    await expect(openMembersOf(at('stopped'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    // Without leave to go on the folder is another run's.
    await expect(trainWorkflow(request)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    const whole = await trainWorkflow({ ...request, resume: at('stopped') });
    expect(whole.members).toHaveLength(2);
    for (const member of ['member-1', 'member-2']) {
      expect(await bundleHash(at('stopped', member))).toBe(await bundleHash(at('run', member)));
    }
  });
});
