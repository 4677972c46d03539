/** The library example of the README runs as printed (with a small scan and one epoch). */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);

it('the library example of README.md works', async () => {
  const readme = await readFile('README.md', 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(readme)?.[1] ?? '';
  expect(example).toContain("from 'ptychopinn'");
  // Inside the package, so that its own name resolves to it.
  await mkdir('.tmp', { recursive: true });
  const folder = await mkdtemp(path.resolve('.tmp', 'readme-'));
  try {
    const code = example
      .replaceAll("'scan.npz'", JSON.stringify(path.resolve('fixtures/lines64.npz')))
      .replaceAll("'run'", JSON.stringify(path.join(folder, 'run')))
      .replaceAll("'image'", JSON.stringify(path.join(folder, 'image')))
      .replace('train({}', 'train({ nepochs: 1, threads: 1 }');
    await writeFile(path.join(folder, 'example.mjs'), code);
    const { stdout } = await run(process.execPath, [path.join(folder, 'example.mjs')]);
    expect(code).toContain('nepochs: 1');
    expect(stdout).toMatch(/training \d+ \d+/);
    expect(stdout).toContain('reconstruction.npz');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
