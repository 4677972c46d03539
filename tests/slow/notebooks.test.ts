/**
 * The example notebooks run from top to bottom: with plain Node, and in Jupyter where `jupyter` and the kernel `tslab` are installed
 * (`PTYCHOPINN_REQUIRE_JUPYTER=1` makes their absence a failure). One epoch with PTYCHOPINN_SLOW_SAMPLE=1.
 */
import { execFile, execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sharedFile } from '../support/shared.js';

const run = promisify(execFile);
const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
const short = sample ? ['--set', 'epochs=1'] : [];
const measured = existsSync(sharedFile('data')) || process.env.PTYCHOPINN_REQUIRE_SHARED === '1';
const jupyter = process.env.PTYCHOPINN_REQUIRE_JUPYTER === '1' || hasKernel();

function hasKernel(): boolean {
  try {
    const found = execFileSync('jupyter', ['kernelspec', 'list', '--json'], { stdio: ['ignore', 'pipe', 'ignore'] });
    execFileSync('tslab', ['--version'], { stdio: 'ignore' });
    return 'tslab' in (JSON.parse(String(found)) as { kernelspecs: object }).kernelspecs;
  } catch {
    return false;
  }
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-notebooks-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a notebook; its page, and the sizes of its pictures in order. */
async function rendered(name: string, ...flags: string[]) {
  const to = await mkdtemp(path.join(folder, `${name}-`));
  await run(process.execPath, ['scripts/run-notebooks.mjs', name, '--to', to, ...flags], { maxBuffer: 1 << 26 });
  const page = await readFile(path.join(to, `${name}.md`), 'utf8');
  const names = (await readdir(to)).filter((file) => file.endsWith('.png')).sort();
  const sizes: number[][] = [];
  for (const file of names) {
    expect(page).toContain(`](${file})`);
    const { width, height } = decode(await readFile(path.join(to, file)));
    sizes.push([width, height]);
  }
  return { page, sizes };
}

const number = (page: string, what: RegExp) => Number(what.exec(page)?.[1]);

function checkDemo({ page, sizes }: Awaited<ReturnType<typeof rendered>>): void {
  expect(sizes.length).toBe(7);
  // Two pictures wide; the losses are a chart.
  expect(sizes[0][0]).toBeGreaterThan(500);
  expect(sizes[4][0]).toBeGreaterThan(1.5 * sizes[4][1]);
  expect(page).toContain('256 patterns of 64 × 64 pixels');
  expect(page).toContain('onnx and tensorflow agree: true');
  if (sample) return;
  expect(number(page, /phase Pearson ([\d.-]+)/)).toBeGreaterThan(0.4);
  expect(number(page, /relative distance to the truth ([\d.]+)/)).toBeLessThan(
    number(page, /constant object: ([\d.]+)/),
  );
}

describe('notebooks', () => {
  it('simulate-and-reconstruct', async () => {
    checkDemo(await rendered('simulate-and-reconstruct', ...short));
  });

  it.skipIf(!measured)(
    `real-scan${measured ? '' : ' (skipped: no measured data; set PTYCHOPINN_SHARED)'}`,
    async () => {
      const { page, sizes } = await rendered('real-scan', ...short);
      expect(page).toContain('516 patterns of 128 × 128, 0 problems');
      expect(sizes.length).toBeGreaterThanOrEqual(6);
      const limit = sample ? 0.4 : number(page, /constant object ([\d.]+)/);
      expect(number(page, /^R ([\d.]+)/m)).toBeLessThan(limit);
    },
  );

  it('real-scan simulates a star where there is no measured one', async () => {
    const nowhere = path.join(folder, 'nothing');
    const { page, sizes } = await rendered('real-scan', '--set', 'epochs=1', '--set', `shared=${nowhere}`);
    expect(page).toMatch(/There is no .*siemens_star_128\.npz: a simulated star takes its place/);
    expect(page).toMatch(/\d+ patterns of \d+ × \d+, 0 problems/);
    expect(sizes.length).toBeGreaterThanOrEqual(6);
    expect(number(page, /^R ([\d.]+)/m)).toBeLessThan(1);
  });

  it('real-scan says what to do where the scan that was named is not there', async () => {
    const failing = rendered('real-scan', '--set', 'scanFile=no-such-scan.npz');
    await expect(failing).rejects.toThrow(/There is no scan .*set scanFile and trainingFile[\s\S]*Cell 3 of real-scan/);
  });

  it.skipIf(!jupyter)(
    `simulate-and-reconstruct, in Jupyter${jupyter ? '' : ' (skipped: no Jupyter with tslab)'}`,
    async () => {
      checkDemo(await rendered('simulate-and-reconstruct', ...short, '--kernel'));
    },
  );
});
