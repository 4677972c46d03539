import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { simulationConfigSchema, trainingRequestSchema } from '../../src/config/schema.js';
import { LOCK_NAME, OWNER_NAME } from '../../src/formats/folderLock.js';
import { removeEarlier, requireNew, withOutputFolder } from '../../src/formats/outputs.js';
import { ownIdentity, processMark } from '../../src/formats/replaceFile.js';
import { simulateWorkflow } from '../../src/workflows/simulate.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { cli } from '../cli/capture.js';

let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptychopinn-outputs-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const claim = { command: 'train', overwrite: false, results: ['wts.zip', /\.csv$/] };
const ownerFile = (over: object) => JSON.stringify({ ...ownIdentity(), hostname: 'elsewhere', command: 'train', since: '2026-01-01T00:00:00.000Z', ...over }); // biome-ignore format: one record

describe('requireNew', () => {
  it('refuses what is there, unless it may be replaced', async () => {
    writeFileSync(at('a.npz'), 'x');
    await requireNew([at('b.npz')], { overwrite: false, field: 'output_file' });
    await requireNew([at('a.npz')], { overwrite: true, field: 'output_file' });
    await expect(
      requireNew([at('b.npz'), at('a.npz')], { overwrite: false, field: 'output_file' }),
    ).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: `${at('a.npz')} exists already; choose another --output_file, or give --overwrite to replace it.`,
    });
  });

  it('is the rule of simulate and convert', async () => {
    const config = simulationConfigSchema.parse({ output_file: at('scan.npz'), N: 64, n_patterns: 4 });
    await simulateWorkflow(config);
    const before = readFileSync(at('scan.npz'));
    await expect(simulateWorkflow(config)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    await simulateWorkflow({ ...config, overwrite: true });
    expect(readFileSync(at('scan.npz')).equals(before)).toBe(true);
    writeFileSync(at('other.npz'), 'precious');
    const refused = await cli('convert', at('scan.npz'), '--output_file', at('other.npz'));
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--overwrite')]);
    expect(readFileSync(at('other.npz'), 'utf8')).toBe('precious');
    expect((await cli('convert', at('scan.npz'), '--output_file', at('other.npz'), '--overwrite')).code).toBe(0);
  });
});

describe('a folder with results', () => {
  const given = { train_data_file: 'absent.npz', test_data_file: 'absent.npz', model_path: 'absent' };

  it.each([
    ['wts.zip', ''],
    ['logs/metrics.csv', ''],
    ['checkpoints/last.ckpt.zip', ' go on with --resume'],
  ])('is refused by train for its %s, before the scan is looked at', async (name, instead) => {
    mkdirSync(join(at(name), '..'), { recursive: true });
    writeFileSync(at(name), 'x');
    const request = trainingRequestSchema.parse({ train_data_file: given.train_data_file, output_dir: folder });
    await expect(trainWorkflow(request)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS', message: expect.stringContaining(instead) }); // biome-ignore format: one line
    await expect(trainWorkflow({ ...request, overwrite: true })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await expect(trainWorkflow({ ...request, resume: folder })).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it("is refused for a configuration that is the user's, not for what a run left that did nothing", async () => {
    const request = trainingRequestSchema.parse({ train_data_file: given.train_data_file, output_dir: folder });
    writeFileSync(at('config.json'), '{"nepochs": 3}');
    await expect(trainWorkflow(request)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    writeFileSync(at('config.json'), '{"config": {}, "provenance": {}}');
    await expect(trainWorkflow(request)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it('is refused by solve, infer and compare', async () => {
    writeFileSync(at('reconstruction.npz'), 'x');
    writeFileSync(at('comparison.json'), 'x');
    for (const words of [
      ['solve', '--test_data', 'absent.npz'],
      ['infer', '--model_path', 'absent', '--test_data', 'absent.npz'],
      ['compare', '--pinn_dir', 'absent', '--baseline_dir', 'absent', '--test_data', 'absent.npz'],
    ]) {
      const { code, err } = await cli(...words, '--output_dir', folder);
      expect([code, err]).toEqual([2, expect.stringContaining('--overwrite')]);
    }
    expect(readdirSync(folder).sort()).toEqual(['comparison.json', 'reconstruction.npz']);
  });
});

describe('removeEarlier', () => {
  it('removes the files that are named, but none that the configuration reads', async () => {
    const [gone, read, keyed, other] = ['loss.png', 'probe.npy', 'positions.npz', 'mine.txt'].map((name) =>
      join(folder, name),
    );
    for (const file of [gone, read, keyed, other]) writeFileSync(file, '');
    const config = {
      output_dir: folder,
      probe: read,
      data: { positions: `${keyed}:xcoords` },
      minutes: 5,
      model_path: null,
    };
    await removeEarlier(['loss.png', 'probe.npy', 'positions.npz', 'not-there.csv'], config, {});
    expect(readdirSync(folder).sort()).toEqual(['mine.txt', 'positions.npz', 'probe.npy']);
  });
});

describe('withOutputFolder', () => {
  it('locks the folder while it works and leaves nothing behind', async () => {
    const run = at('run');
    await withOutputFolder(run, claim, {}, async (owned) => {
      expect(existsSync(run)).toBe(false);
      await owned.make();
      expect(readdirSync(run).sort()).toEqual([LOCK_NAME, OWNER_NAME].sort());
      await expect(withOutputFolder(run, claim, {}, async () => 'never')).rejects.toMatchObject({
        code: 'OUTPUT_IN_USE',
        message: expect.stringMatching(
          new RegExp(`run is in use: ptychopinn train \\(process ${process.pid} on .*, since `),
        ),
      });
    });
    expect(readdirSync(run)).toEqual([]);
    await expect(withOutputFolder(run, claim, {}, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(readdirSync(run)).toEqual([]);
  });

  it('refuses a folder that holds results, unless they may be replaced or are its own', async () => {
    writeFileSync(at('wts.zip'), '');
    writeFileSync(at('b.csv'), '');
    const never = () => Promise.reject(new Error('worked'));
    await expect(withOutputFolder(folder, claim, {}, never)).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      fields: { found: [at('wts.zip'), at('b.csv')] },
    });
    expect(await withOutputFolder(folder, { ...claim, overwrite: true }, {}, async () => 1)).toBe(1);
    expect(await withOutputFolder(folder, { ...claim, isOwn: async () => true }, {}, async () => 2)).toBe(2);
    expect(await withOutputFolder(folder, claim, { ownsOutputs: true }, async () => 3)).toBe(3);
  });

  it('takes over from a process that is dead, at once, and removes what it left', async () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    mkdirSync(at(LOCK_NAME));
    writeFileSync(at(OWNER_NAME), ownerFile({ pid, started: 1 }));
    const left = `.wts.zip.${processMark({ ...ownIdentity(), pid, started: 1 })}.0123456789ab.tmp`;
    writeFileSync(at(left), '');
    const warnings: string[] = [];
    const logger = { info: () => {}, warn: (message: string) => warnings.push(message) };
    await withOutputFolder(folder, claim, { logger }, async () => {
      expect(JSON.parse(readFileSync(at(OWNER_NAME), 'utf8')).pid).toBe(process.pid);
    });
    expect(warnings).toEqual([
      expect.stringMatching(/^Taking over .* from ptychopinn train \(process \d+ on elsewhere/),
    ]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('leaves the lock of another machine alone while its heart beats, and takes it over when it has stopped', async () => {
    mkdirSync(at(LOCK_NAME));
    writeFileSync(at(OWNER_NAME), ownerFile({ host: '00000000', pid: 17 }));
    const again = () => withOutputFolder(folder, claim, {}, async () => 'mine');
    await expect(again()).rejects.toMatchObject({ code: 'OUTPUT_IN_USE', message: expect.stringContaining('17 on elsewhere') }); // biome-ignore format: one line
    const long = Date.now() / 1000 - 3600;
    utimesSync(at(LOCK_NAME), long, long);
    expect(await again()).toBe('mine');
  });
});
