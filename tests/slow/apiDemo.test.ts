/** `examples/node/api-demo.mjs` runs as it is: both backends train, open each other's models and make the same image. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { expect, it } from 'vitest';

it('examples/node/api-demo.mjs', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-api-demo-'));
  try {
    const script = path.resolve('examples/node/api-demo.mjs');
    const { stdout } = await promisify(execFile)(process.execPath, [script, '--output_dir', folder]);
    expect(stdout).toMatch(/^onnx: opened with tensorflow, images agree/m);
    expect(stdout).toMatch(/^tensorflow: opened with onnx, images agree/m);
    expect((await readdir(folder)).sort()).toEqual(['onnx', 'onnx.png', 'tensorflow', 'tensorflow.png']);
    expect(decode(await readFile(path.join(folder, 'onnx.png'))).width).toBeGreaterThan(400);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 300_000);
