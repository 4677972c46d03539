/** A bundle that one engine saved, in a process of its own, predicts the same on the other in another process. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyBundle } from '../../src/workflows/bundle.js';
import { maxAbs, maxDifference } from '../support/golden.js';
import { writeNetworkBundle } from '../support/networkBundle.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../support/predictBundle.mjs', import.meta.url));

describe('save on one backend, predict on the other', () => {
  let folder: string;
  const file = (name: string) => path.join(folder, name);
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-backends-'));
    for (const gridsize of [1, 2]) await writeNetworkBundle(file(`fresh${gridsize}.zip`), { model: { gridsize } });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each([
    ['onnx', 'tensorflow'],
    ['tensorflow', 'onnx'],
  ])('%s → %s, gridsize 1 and 2', async (first, second) => {
    const names = [1, 2].map((gridsize) => `${first}${gridsize}`);
    const [from, to] = [
      await predictions(
        first,
        [1, 2].map((g) => [file(`fresh${g}.zip`), file(`${first}${g}.zip`)]),
      ),
      await predictions(
        second,
        names.map((name) => [file(`${name}.zip`), file(`${name}-again.zip`)]),
      ),
    ];
    for (const [i, name] of names.entries()) {
      expect(maxAbs(from[i]), name).toBeGreaterThan(0.1);
      expect(maxDifference(from[i], to[i]) / Math.max(1, maxAbs(from[i])), name).toBeLessThan(1e-5);
      await verifyBundle(file(`${name}.zip`));
      // Whoever opens and saves it, nothing changes.
      expect((await readFile(file(`${name}-again.zip`))).equals(await readFile(file(`${name}.zip`)))).toBe(true);
    }
  });

  /** Patches of each bundle on a backend, which saves it again. */
  async function predictions(backend: string, bundles: readonly (readonly string[])[]): Promise<Float32Array[]> {
    const out = file(`${backend}.f32`);
    await run(process.execPath, [script, backend, out, ...bundles.flat()], { timeout: 110_000 });
    const bytes = await readFile(out);
    const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    // Three groups of 64 × 64, real and imaginary; of one member, then of four.
    const one = 3 * 64 * 64 * 2;
    expect(all.length).toBe(5 * one);
    return [all.subarray(0, one), all.subarray(one)];
  }
});
