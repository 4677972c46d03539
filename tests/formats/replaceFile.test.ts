import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'; // biome-ignore format: one line
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PtychoError } from '../../src/core/errors.js';
import { Hdf5Writer } from '../../src/formats/hdf5/writer.js';
import {
  copyToPlace,
  makeFolder,
  ownIdentity,
  processMark,
  removeLeftovers,
  replaceFile,
  temporaryName,
} from '../../src/formats/replaceFile.js';
import { writeHdf5 } from '../support/writeHdf5.js';

let folder: string;
const at = (name: string) => join(folder, name);
const names = () => readdirSync(folder).sort();
const text = (content: string) => (file: { writeFile(content: string): Promise<void> }) => file.writeFile(content);
const refusal = (what: RegExp) =>
  expect.objectContaining({ code: 'OUTPUT_UNWRITABLE', message: expect.stringMatching(what) });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ptychopinn-replace-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const canMakeDevices =
  spawnSync('mknod', [join(tmpdir(), `ptychopinn-node-${process.pid}`), 'c', '1', '3']).status === 0;
if (canMakeDevices) execFileSync('rm', [join(tmpdir(), `ptychopinn-node-${process.pid}`)]);
const canMakePipes = process.platform !== 'win32';

describe('replaceFile', () => {
  it('replaces a file whole and keeps its permissions', async () => {
    writeFileSync(at('a.txt'), 'old');
    chmodSync(at('a.txt'), 0o640);
    await replaceFile(at('a.txt'), text('new'));
    expect(readFileSync(at('a.txt'), 'utf8')).toBe('new');
    expect(statSync(at('a.txt')).mode & 0o777).toBe(0o640);
    expect(names()).toEqual(['a.txt']);
  });

  it('leaves the old file and nothing else when writing fails', async () => {
    writeFileSync(at('a.txt'), 'old');
    await expect(
      replaceFile(at('a.txt'), async (file) => {
        await file.writeFile('half');
        throw new PtychoError('CANCELLED', 'Stopped.');
      }),
    ).rejects.toThrow('Stopped.');
    expect(readFileSync(at('a.txt'), 'utf8')).toBe('old');
    expect(names()).toEqual(['a.txt']);
  });

  it('writes through links, also one whose file is not there yet, and refuses one that leads nowhere', async () => {
    mkdirSync(at('below'));
    writeFileSync(at('below/a.txt'), 'old');
    symlinkSync('below/a.txt', at('link'));
    symlinkSync('link', at('twice'));
    symlinkSync('below/new.txt', at('dangling'));
    symlinkSync('absent/new.txt', at('nowhere'));
    symlinkSync('round', at('round'));
    await replaceFile(at('twice'), text('new'));
    await replaceFile(at('dangling'), text('made'));
    expect(readFileSync(at('below/a.txt'), 'utf8')).toBe('new');
    expect(readFileSync(at('below/new.txt'), 'utf8')).toBe('made');
    for (const link of ['link', 'twice', 'dangling']) expect(lstatSync(at(link)).isSymbolicLink(), link).toBe(true);
    expect(readlinkSync(at('link'))).toBe('below/a.txt');
    await expect(replaceFile(at('nowhere'), text(''))).rejects.toEqual(refusal(/absent does not exist/));
    await expect(replaceFile(at('round'), text(''))).rejects.toEqual(refusal(/links lead in a circle/));
  });

  it('refuses folders and sockets', async () => {
    mkdirSync(at('taken'));
    await expect(replaceFile(at('taken'), text(''))).rejects.toEqual(refusal(/it is a folder/));
    const server = createServer();
    await new Promise<void>((done) => server.listen(at('socket'), done));
    try {
      await expect(replaceFile(at('socket'), text(''))).rejects.toEqual(refusal(/it is a socket/));
      expect(lstatSync(at('socket')).isSocket()).toBe(true);
    } finally {
      server.close();
    }
  });

  it.skipIf(!canMakePipes)('refuses a pipe, also behind a link', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    symlinkSync('pipe', at('link'));
    for (const name of ['pipe', 'link']) {
      await expect(replaceFile(at(name), text(''))).rejects.toEqual(refusal(/it is a named pipe/));
      await expect(Hdf5Writer.create(at(name))).rejects.toEqual(refusal(/it is a named pipe/));
    }
    expect(lstatSync(at('pipe')).isFIFO()).toBe(true);
    expect(names()).toEqual(['link', 'pipe']);
  });

  it.skipIf(!canMakeDevices)('refuses a device (needs the right to make one)', async () => {
    execFileSync('mknod', [at('null'), 'c', '1', '3']);
    await expect(replaceFile(at('null'), text(''))).rejects.toEqual(refusal(/it is a device/));
    expect(lstatSync(at('null')).isCharacterDevice()).toBe(true);
  });

  it.skipIf(process.platform !== 'linux')(
    'makes no folder where a file system takes none, and does not try for ever',
    async () => {
      await expect(makeFolder('/proc/ptychopinn/a')).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    },
  );

  it('says in a sentence what is wrong with the place', async () => {
    writeFileSync(at('file'), '');
    await expect(replaceFile(at('absent/a'), text(''))).rejects.toEqual(refusal(/folder .*absent does not exist/));
    await expect(replaceFile(at('file/a'), text(''))).rejects.toEqual(refusal(/a part of this path is a file/));
    await expect(makeFolder(at('file/a/b'))).rejects.toEqual(refusal(/file is a file, not a folder/));
  });

  it('takes names as long as the file system has them', async () => {
    const long = `${'é'.repeat(120)}.npz`;
    await replaceFile(at(long), text('x'));
    expect(names()).toEqual([long]);
  });

  it('copies whole', async () => {
    writeFileSync(at('a'), 'content');
    await copyToPlace(at('a'), at('b'));
    expect(readFileSync(at('b'), 'utf8')).toBe('content');
  });
});

describe('a full disk', () => {
  const disk = join(tmpdir(), `ptychopinn-full-${process.pid}`);
  mkdirSync(disk, { recursive: true });
  const mounted = process.platform === 'linux' && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]).status === 0; // biome-ignore format: one line
  if (mounted) spawnSync('umount', [disk]);

  it.skipIf(!mounted)('is said as such, by HDF5, too (needs the right to mount)', async () => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
    try {
      const big = new Uint8Array(4 * 2 ** 20);
      await expect(replaceFile(join(disk, 'a'), (file) => file.writeFile(big))).rejects.toEqual(
        refusal(/disk is full/),
      );
      const full = writeHdf5(join(disk, 'a.h5'), { datasets: { '/x': { data: big, shape: [big.length] } } });
      await expect(full).rejects.toEqual(refusal(/^[^\n]*disk is full[^\n]*\.$/));
      expect(readdirSync(disk)).toEqual([]);
    } finally {
      execFileSync('umount', [disk]);
      await rm(disk, { recursive: true });
    }
  });
});

describe('what dead processes left', () => {
  const gone = () => {
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    return processMark({ ...ownIdentity(), pid, started: 1 });
  };

  it('is removed by the next writer of the same file, or of all by the owner of the folder', async () => {
    const mark = gone();
    const left = (name: string) => `.${name}.${mark}.0123456789ab.tmp`;
    writeFileSync(at(left('a.npz')), '');
    writeFileSync(at(left('b.npz')), '');
    await replaceFile(at('a.npz'), text('x'));
    expect(names()).toEqual([left('b.npz'), 'a.npz'].sort());
    expect(await removeLeftovers(folder)).toEqual([left('b.npz')]);
  });

  it('stays while its process lives, is of another machine, or was written today by an earlier version', async () => {
    const { started } = ownIdentity();
    const own = temporaryName('a.npz');
    const elsewhere = `.a.npz.${processMark({ host: '00000000', pid: 1, started })}.0123456789ab.tmp`;
    const [random, numbered] = ['.a.npz.0123456789ab.tmp', '.a.npz.4711.tmp'];
    const all = [own, elsewhere, random, numbered];
    for (const name of [...all, '.mine.tmp']) writeFileSync(at(name), '');
    expect(await removeLeftovers(folder)).toEqual([]);
    const yesterday = Date.now() / 1000 - 25 * 3600;
    for (const name of [...all, '.mine.tmp']) utimesSync(at(name), yesterday, yesterday);
    expect((await removeLeftovers(folder)).sort()).toEqual([elsewhere, random, numbered].sort());
    expect(existsSync(at('.mine.tmp'))).toBe(true);
    expect(existsSync(at(own))).toBe(true);
  });
});
