/** The library example of docs/solvers.md runs as printed (with a small scan and fewer epochs). */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const run = promisify(execFile);

it('the library example of docs/solvers.md works', async () => {
  const guide = await readFile('docs/solvers.md', 'utf8');
  const example = /```ts\n([\s\S]*?)```/.exec(guide)?.[1] ?? '';
  expect(example).toContain("from 'ptychopinn'");
  // Inside the package, so that its own name resolves to it.
  await mkdir('.tmp', { recursive: true });
  const folder = await mkdtemp(path.resolve('.tmp', 'guide-'));
  try {
    const file = path.join(folder, 'example.mjs');
    const code = example.replace("'scan.npz'", JSON.stringify(path.resolve('fixtures/lines64.npz')));
    await writeFile(file, code.replace('epochs: 20', 'epochs: 3'));
    const { stdout } = await run(process.execPath, [file]);
    const lines = stdout.trim().split('\n');
    expect(lines).toHaveLength(5);
    const losses = lines.slice(0, 4).map((line) => Number(line.split(' ')[1]));
    expect(losses[3]).toBeLessThan(losses[0]);
    expect(lines[4]).toContain('2 threads');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
