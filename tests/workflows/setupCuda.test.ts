/** `ptychopinn setup-cuda` with a stand-in of onnxruntime-node, whose script writes, fails, or writes nothing. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { setupCuda } from '../../src/workflows/setupCuda.js';

const METADATA = `module.exports = {
  requirements: { 'linux/x64': ['cuda12'], 'darwin/arm64': [] },
  manifests: { 'linux/x64:cuda12': { './libcuda.so': { package: 'p', path: 'x' }, './libshared.so': { package: 'p', path: 'y' } } },
  packages: { p: { name: 'Some.Gpu.Package', versions: [{ feed: 'f', version: '1.2.3' }] } },
  feeds: { f: { type: 'nuget', index: 'feed.example' } },
};`;
/** Writes what the flag and the environment say, and both libraries. */
const GOOD = `const fs = require('fs'), path = require('path');
const bin = path.join(__dirname, '../bin/napi-v6/linux/x64');
fs.mkdirSync(bin, { recursive: true });
for (const name of ['libcuda.so', 'libshared.so']) fs.writeFileSync(path.join(bin, name), '');
fs.writeFileSync(path.join(__dirname, 'ran'), JSON.stringify([process.argv.slice(2), process.env.ONNXRUNTIME_NODE_INSTALL ?? null]));`;

let folder: string;
const at = (script: string) => writeFile(path.join(folder, 'script/install.js'), script);
const setup = (options: { dry_run?: boolean; platform?: string } = {}, signal?: AbortSignal) =>
  setupCuda({ folder, platform: 'linux/x64', ...options }, { signal });

beforeAll(() => {
  process.env.ONNXRUNTIME_NODE_INSTALL = 'skip';
});
const before = process.env.ONNXRUNTIME_NODE_INSTALL;
afterAll(async () => {
  if (before === undefined) delete process.env.ONNXRUNTIME_NODE_INSTALL;
  else process.env.ONNXRUNTIME_NODE_INSTALL = before;
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-cuda-'));
  await mkdir(path.join(folder, 'script'));
  await writeFile(path.join(folder, 'package.json'), '{}');
  await writeFile(path.join(folder, 'script/install-metadata.js'), METADATA);
});

describe('setupCuda', () => {
  it('says what it would fetch, from where, and runs nothing', async () => {
    await at('process.exit(9)');
    const found = await setup({ dry_run: true });
    expect(found).toMatchObject({
      fetches: ['Some.Gpu.Package 1.2.3 from feed.example'],
      installed: false,
      before: false,
    });
    expect(found.files.map((file) => path.basename(file))).toEqual(['libcuda.so', 'libshared.so']);
  });

  it('runs the script with its flag, without what an earlier installation skipped by, and only once', async () => {
    await at(GOOD);
    expect(await setup()).toMatchObject({ installed: true, before: false });
    const ran = JSON.parse(await readFile(path.join(folder, 'script/ran'), 'utf8')) as unknown;
    expect(ran).toEqual([['--onnxruntime-node-install=cuda12'], null]);
    await at('process.exit(9)');
    expect(await setup()).toMatchObject({ installed: true, before: true });
  });

  it('tells what the script said when it fails, and does not believe one that fetched nothing', async () => {
    await at("console.error('Error: getaddrinfo EAI_AGAIN feed.example'); process.exit(1)");
    await expect(setup()).rejects.toMatchObject({
      code: 'ACCELERATOR_MISSING',
      message: expect.stringMatching(
        /not installed \(Error: getaddrinfo EAI_AGAIN feed\.example\).*GLOBAL_AGENT_HTTPS_PROXY/,
      ),
    });
    await at('');
    await expect(setup()).rejects.toThrow(/ended well, but .*libcuda\.so is not there/);
  });

  it('refuses platforms without such libraries, and stops when asked', async () => {
    await expect(setup({ platform: 'darwin/arm64' })).rejects.toThrow(
      /no CUDA libraries for darwin\/arm64, only for linux\/x64/,
    );
    await at('setTimeout(() => {}, 60_000)');
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 50);
    await expect(setup({}, stop.signal)).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
