import { execFileSync } from 'node:child_process';
import { symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfigFile } from '../../src/config/load.js';
import { openInput, readInput, readTextInput } from '../../src/core/inputFile.js';
import { openDataset } from '../../src/data/openDataset.js';
import { readTextTable } from '../../src/formats/textTable.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';

let folder: string;
const at = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptychopinn-input-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('openInput', () => {
  it('opens a file, also through a link', async () => {
    writeFileSync(at('a.txt'), 'hello');
    symlinkSync('a.txt', at('link.txt'));
    expect(await readTextInput(at('link.txt'), { maxBytes: 5 })).toBe('hello');
  });

  it('says what is missing and what is a folder', async () => {
    await expect(openInput(at('absent'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND', message: `Cannot read ${at('absent')}: there is no such file.` }); // biome-ignore format: one line
    await expect(openInput(folder)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND', message: expect.stringContaining('it is a folder') }); // biome-ignore format: one line
  });

  it('refuses a socket', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(at('socket'), done));
    try {
      await expect(openInput(at('socket'))).rejects.toMatchObject({ code: 'FILE_FORMAT' });
    } finally {
      server.close();
    }
  });

  it.skipIf(process.platform === 'win32')('refuses pipes at once, whoever opens them', async () => {
    for (const name of ['scan.npz', 'scan.h5', 'run.yaml', 'table.csv', 'wts.zip']) execFileSync('mkfifo', [at(name)]);
    const refused = { code: 'FILE_FORMAT', message: expect.stringContaining('a named pipe') };
    await expect(openDataset(at('scan.npz'), {})).rejects.toMatchObject(refused);
    await expect(openDataset(at('scan.h5'), {})).rejects.toMatchObject(refused);
    await expect(loadConfigFile(at('run.yaml'))).rejects.toMatchObject(refused);
    await expect(readTextTable(at('table.csv'), 2)).rejects.toMatchObject(refused);
    await expect(PtychoModel.read(at('wts.zip'))).rejects.toThrow('a named pipe');
  });

  it.skipIf(process.platform !== 'linux')('refuses what never ends', async () => {
    symlinkSync('/dev/zero', at('zero.yaml'));
    await expect(loadConfigFile(at('zero.yaml'))).rejects.toMatchObject({
      message: expect.stringContaining('a device'),
    });
    // Says that it has no bytes, and has some.
    await expect(readInput('/proc/self/status', { maxBytes: 10 })).rejects.toMatchObject({
      code: 'FORMAT_UNSUPPORTED',
    });
  });
});

describe('readTextInput', () => {
  it('reads up to a bound, and passes over a byte order mark', async () => {
    writeFileSync(at('bom.json'), '\uFEFF{"seed": 3}');
    expect((await loadConfigFile(at('bom.json'))).values).toEqual({ seed: 3 });
    writeFileSync(at('large.yaml'), `# ${'x'.repeat(2 ** 22)}`);
    await expect(loadConfigFile(at('large.yaml'))).rejects.toMatchObject({ code: 'FORMAT_UNSUPPORTED' });
  });
});
