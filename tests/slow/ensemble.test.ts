/** An ensemble that is interrupted, wherever, goes on to the same bytes; its first network is what a training alone gives. */
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
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

describe('snapshots of one training', () => {
  const cosine = { scheduler: 'WarmupCosine', lr_warmup_epochs: 0 } as const;
  const of = (run: string, over: object = {}) =>
    tinyRequest(at('scan-3.npz'), at(run), {
      ...{ ...small, ...cosine, nepochs: 8, ensemble: 3, ensemble_from: 'snapshots', overwrite: false },
      ...over,
    });
  const members = ['member-1', 'member-2', 'member-3'];
  const hashes = (run: string) => Promise.all(members.map((member) => bundleHash(at(run, member))));
  let whole: string[];

  beforeAll(async () => {
    await trainWorkflow(of('whole'));
    whole = await hashes('whole');
    // What a calibration is told by is the weights, so that any text stands for one here.
    await writeFile(at('whole', 'calibration.json'), 'calibrated');
  });

  /** Trains until `steps` steps of network `network` are done (0: it is about to begin), as Ctrl-C does. */
  async function interrupted(run: string, network: number, steps: number, over: object = {}): Promise<unknown> {
    const ending = new AbortController();
    let [at, done] = [0, 0];
    const look = () => {
      if (at === network && done >= steps) ending.abort();
    };
    const logger = {
      info: (text: string) => {
        const next = /^Network (\d)/.exec(text);
        if (next) [at, done] = [Number(next[1]), 0];
        look();
      },
      warn: () => {},
    };
    const onProgress = () => {
      done++;
      look();
    };
    return trainWorkflow(of(run, over), { logger, signal: ending.signal, onProgress }).catch((error) => error);
  }

  it.each([
    ['in the first epoch', 1, 1],
    ['in the first network, between epochs', 1, 5],
    ['where a snapshot is about to begin', 2, 0],
    ['in the first epoch of a snapshot', 2, 1],
    ['in a later epoch of a snapshot', 3, 3],
  ])('interrupted %s goes on to the same bytes', async (where, network, steps) => {
    const run = `stopped-${network}-${steps}`;
    const stopped = await interrupted(run, network, steps);
    expect(stopped, where).toMatchObject({ cancelled: true });
    expect(existsSync(at(run, 'ensemble.json'))).toBe(false);
    await expect(trainWorkflow(of(run))).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    // Calibrations are found by the weights, so that one that is there is still right.
    await copyFile(at('whole', 'calibration.json'), at(run, 'calibration.json'));
    const gone = await trainWorkflow(of(run, { resume: at(run) }));
    expect(gone).toMatchObject({ cancelled: false });
    expect(await hashes(run)).toEqual(whole);
    expect(await readFile(at(run, 'ensemble.json'), 'utf8')).toBe(await readFile(at('whole', 'ensemble.json'), 'utf8'));
    expect(await readFile(at(run, 'calibration.json'), 'utf8')).toBe('calibrated');
  });

  it('whole already: gone on with, nothing changes, and a request that is refused takes nothing away', async () => {
    await cp(at('whole'), at('again'), { recursive: true });
    const kept = async () => [
      await hashes('again'),
      await readFile(at('again', 'ensemble.json'), 'utf8'),
      await readFile(at('again', 'config.json'), 'utf8'),
      await readFile(at('again', 'calibration.json'), 'utf8'),
    ];
    const before = await kept();
    await expect(trainWorkflow(of('again', { resume: at('again'), learning_rate: 0.5 }))).rejects.toThrow(
      /learning_rate/,
    );
    const absent = { train_data_file: at('absent.npz'), overwrite: true };
    await expect(trainWorkflow(of('again', absent))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    expect(await kept()).toEqual(before);
    await trainWorkflow(of('again', { resume: at('again') }));
    expect((await kept())[0]).toEqual(whole);
    expect((await kept())[1]).toBe(before[1]);
    expect((await kept())[3]).toBe('calibrated');
  });

  it('goes on where an ensemble replaces another and is interrupted, and takes the calibration of that away', async () => {
    await cp(at('whole'), at('replaced'), { recursive: true });
    const other = { learning_rate: 2e-3 };
    await interrupted('replaced', 1, 5, { ...other, overwrite: true });
    expect(
      ['ensemble.json', 'calibration.json', 'member-2/wts.zip'].filter((name) => existsSync(at('replaced', name))),
    ).toEqual([]);
    await trainWorkflow(of('replaced', { ...other, resume: at('replaced') }));
    await trainWorkflow(of('anew', other));
    expect(await hashes('replaced')).toEqual(await hashes('anew'));
  });

  it('begins a snapshot anew where the network before it has gone on', async () => {
    const constant = { scheduler: 'Default', learning_rate: 2e-4, val_fraction: 0, ensemble: 2, nepochs: 4 };
    await trainWorkflow(of('longer', constant));
    const said: string[] = [];
    const logger = { info: (text: string) => void said.push(text), warn: () => {} };
    const more = { ...constant, nepochs: 12 };
    await trainWorkflow(of('longer', { ...more, resume: at('longer') }), { logger });
    await trainWorkflow(of('at-once', more));
    expect(said.join()).toContain('begins anew');
    for (const member of ['member-1', 'member-2']) {
      expect(await bundleHash(at('longer', member))).toBe(await bundleHash(at('at-once', member)));
    }
  });

  it('has snapshots of one epoch each where the first network has few', async () => {
    const { members = [] } = await trainWorkflow(of('few', { nepochs: 1, ensemble: 4 }));
    expect(members.map(({ epochs }) => epochs)).toEqual([1, 1, 1, 1]);
    const sums = await Promise.all([1, 2, 3, 4].map((member) => bundleHash(at('few', `member-${member}`))));
    expect(new Set(sums).size).toBe(4);
  });
});

describe('one network and an ensemble in one folder', () => {
  it('replace each other only with leave, and wholly', async () => {
    const one = tinyRequest(at('scan-3.npz'), at('both'), { ...small, overwrite: false });
    const two = { ...one, ensemble: 2 };
    await trainWorkflow(two);
    await expect(trainWorkflow(one)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    await expect(trainWorkflow({ ...one, resume: at('both') })).rejects.toThrow(/is an ensemble/);
    await trainWorkflow({ ...one, overwrite: true });
    // Who opens the folder opens the one network.
    expect(await openMembersOf(at('both'))).toHaveLength(1);
    await rm(at('both', 'member-1'), { recursive: true });
    await expect(trainWorkflow({ ...two, resume: at('both') })).rejects.toThrow(/begun with one network/);
    await expect(trainWorkflow({ ...two, overwrite: true, init: at('both') })).rejects.toThrow(/another one/);
    await trainWorkflow({ ...two, overwrite: true });
    expect(existsSync(at('both', 'wts.zip'))).toBe(false);
    expect(await openMembersOf(at('both'))).toHaveLength(2);
  });
});
