/** The format of checkpoints: what goes in comes out bit for bit, and nothing damaged comes out at all. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainingConfigSchema } from '../../src/config/schema.js';
import { isPtychoError } from '../../src/core/errors.js';
import { LegacyRng } from '../../src/core/rng.js';
import { readZip, writeZip } from '../../src/formats/zip.js';
import { bundleConfig } from '../../src/persistence/bundleConfig.js';
import { type CheckpointContent, openCheckpoint, saveCheckpoint } from '../../src/persistence/checkpoint.js';
import fc from '../support/fastCheck.js';
import { bounds, sample } from './sampleBundle.js';

let folder: string;
let good: string;
const file = (name: string) => path.join(folder, name);

const config = trainingConfigSchema.parse({
  model: { N: 64 },
  train_data_file: '/home/somebody/secret/scan.npz',
  output_dir: '/home/somebody/out',
  resume: '/home/somebody/out',
  data: { positions: '/home/somebody/positions.csv' },
  execution: { threads: 7, accum_steps: 2 },
});
const rng = new LegacyRng(3);
rng.permutation(100);
const content: CheckpointContent = {
  engine: { version: '0.1.0', backend: 'onnx', engine: 'onnxruntime-node 1.30.0', device: 'cpu', threads: 2 },
  config,
  scan: { patterns: 'a'.repeat(64), probe: 'b'.repeat(64) },
  init: null,
  epoch: 2,
  bestEpoch: 1,
  history: [
    { epoch: 1, loss: 0.1 + 0.2, val_loss: 0.25 },
    { epoch: 2, loss: 1 / 3, val_loss: null },
  ],
  shuffle: rng.save(),
  state: { 'encoder.0.weight': sample([2, 1, 3, 3], 2), 'adam.m/encoder.0.weight': sample([2, 1, 3, 3], 5) },
  bestWeights: { 'encoder.0.weight': sample([2, 1, 3, 3], 7) },
  positions: { position_shifts: sample([4, 2], 8) },
  bestPositions: { position_shifts: sample([4, 2], 9) },
};

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-checkpoint-'));
  good = file('last.ckpt.zip');
  await saveCheckpoint(good, content);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('saveCheckpoint and openCheckpoint', () => {
  it('give back every bit, and of the configuration what shapes the model', async () => {
    const opened = await openCheckpoint(good);
    expect(opened).toEqual({ ...content, config: bundleConfig(config) });
    expect(opened.config).not.toHaveProperty('resume');
    expect(opened.config.execution).toEqual({
      accum_steps: 2,
      checkpoint_mode: 'min',
      checkpoint_monitor_metric: 'val_loss',
      early_stop_patience: 100,
    });
    const text = (await readFile(good)).toString('latin1');
    expect(text).not.toContain('/home/somebody');
    const without = { ...content, positions: undefined, bestPositions: undefined };
    await saveCheckpoint(file('plain.zip'), without);
    expect(await openCheckpoint(file('plain.zip'))).toEqual({ ...without, config: bundleConfig(config) });
  });

  it('give equal bytes for equal content, and one hash for configurations that train the same', async () => {
    await saveCheckpoint(file('again.zip'), { ...content, config: { ...config, output_dir: 'x' } as never });
    expect((await readFile(file('again.zip'))).equals(await readFile(good))).toBe(true);
    const hashOf = async (other: object) => {
      await saveCheckpoint(file('other.zip'), { ...content, config: { ...config, ...other } as never });
      const members = await readZip(file('other.zip'), { maxMemberBytes: 2 ** 20, maxTotalBytes: 2 ** 30 });
      return JSON.parse(members.get('checkpoint.json')?.toString('utf8') ?? '{}').config_sha256 as string;
    };
    const hash = await hashOf({});
    expect(hash).toMatch(/^[0-9a-f]{64}$/);
    expect(await hashOf({ output_dir: 'x' })).toBe(hash);
    expect(await hashOf({ seed: 1 })).not.toBe(hash);
    expect(await hashOf({ execution: { ...config.execution, accum_steps: 3 } })).not.toBe(hash);
  });

  it('leave nothing but the file, and take no notice of what a killed writer left', async () => {
    await writeFile(file('.last.ckpt.zip.0123456789ab.tmp'), 'half of a checkp');
    await saveCheckpoint(good, content);
    await openCheckpoint(good);
    expect((await readdir(folder)).filter((n) => n.includes('last'))).toEqual([
      '.last.ckpt.zip.0123456789ab.tmp',
      'last.ckpt.zip',
    ]);
  });

  it('say when the folder is not there', async () => {
    await expect(saveCheckpoint(file('no/such/folder.zip'), content)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
    await expect(openCheckpoint(file('none.zip'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});

describe('openCheckpoint refuses', () => {
  /** Writes the good checkpoint again with members changed, and opens it. */
  async function forged(change: (members: Map<string, Buffer>) => void) {
    const members = await readZip(good, bounds);
    change(members);
    await writeZip(
      file('forged.zip'),
      [...members].map(([name, data]) => ({ name, data })),
    );
    return openCheckpoint(file('forged.zip'));
  }
  const head = (edit: (json: Record<string, unknown>) => void) => (members: Map<string, Buffer>) => {
    const json = JSON.parse(String(members.get('checkpoint.json')));
    edit(json);
    members.set('checkpoint.json', Buffer.from(JSON.stringify(json)));
  };

  it.each<[string, (members: Map<string, Buffer>) => void, string]>([
    ['a missing member', (m) => m.delete('best.safetensors'), 'its members are'],
    ['a member too many', (m) => m.set('evil.pkl', Buffer.from('x')), 'its members are'],
    [
      'changed weights',
      (m) => m.set('state.safetensors', Buffer.from(m.get('state.safetensors') as Buffer).fill(1, 300)),
      'state.safetensors is not what',
    ],
    ['a changed history', (m) => m.set('history.csv', Buffer.from('epoch\n1\n2\n')), 'history.csv is not what'],
    ['no head', (m) => m.delete('checkpoint.json'), 'it lacks checkpoint.json'],
    ['a head that is no JSON', (m) => m.set('checkpoint.json', Buffer.from('{')), 'JSON'],
    ['another epoch', head((j) => Object.assign(j, { epoch: 3 })), '2 rows of history for 3 epochs'],
    ['a best epoch to come', head((j) => Object.assign(j, { best_epoch: 9 })), 'its best epoch is 9 of 2'],
    ['another configuration', head((j) => Object.assign(j, { config_sha256: 'c' })), 'its configuration is not'],
    ['a field that it does not know', head((j) => Object.assign(j, { run: 'me' })), 'checkpoint.json'],
  ])('%s', async (_, change, why) => {
    const error = await forged(change).catch((e: unknown) => e);
    expect(isPtychoError(error, 'CHECKPOINT_INVALID')).toBe(true);
    expect((error as Error).message).toContain(`${file('forged.zip')} is damaged or no checkpoint: `);
    expect((error as Error).message).toContain(why);
  });

  it('a newer version by name', async () => {
    await expect(forged(head((j) => Object.assign(j, { format_version: 2 })))).rejects.toThrow(
      'This checkpoint has format version 2, this ptychopinn reads up to 1; install a newer ptychopinn.',
    );
  });

  it('every truncation, and every flipped byte that it can notice', async () => {
    const bytes = await readFile(good);
    const damaged = file('damaged.zip');
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.boolean(), async (at, cut) => {
        const copy = Buffer.from(cut ? bytes.subarray(0, at) : bytes);
        if (!cut) copy[at] ^= 0x55;
        await writeFile(damaged, copy);
        const found = await openCheckpoint(damaged).catch((e: unknown) => e);
        // A flip may hit what carries nothing (a time stamp): then the content is whole.
        if (isPtychoError(found)) expect(found.code).toBe('CHECKPOINT_INVALID');
        else expect(found).toEqual({ ...content, config: bundleConfig(config) });
        if (cut) expect(isPtychoError(found)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});
