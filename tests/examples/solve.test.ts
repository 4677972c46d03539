/** `examples/node/solve.mjs` runs as it is: two solvers, one from the image of the other. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { expect, it } from 'vitest';

it('examples/node/solve.mjs', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-solve-example-'));
  try {
    const words = [path.resolve('examples/node/solve.mjs'), '--output_dir', folder, '--epochs', '5'];
    const { stdout } = await promisify(execFile)(process.execPath, words);
    const [cold, solved] = [/^epoch 0: R (\S+)$/m, /^after 10 epochs of LSQ-ML: R (\S+) /m].map((of) => Number(of.exec(stdout)?.[1])); // biome-ignore format: one line
    expect(solved).toBeLessThan(0.6 * cold);
    expect(decode(await readFile(path.join(folder, 'phase.png'))).width).toBeGreaterThan(80);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
