/** A larger scan from a file: streamed it gives the same bytes with less memory. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import { writeNpz } from '../../src/formats/npz.js';

const N = 256;
const COUNT = 900;
const PATTERN_BYTES = 4 * COUNT * N * N;

describe('900 patterns of 256²', () => {
  let folder: string;
  let file: string;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-stream-'));
    file = path.join(folder, 'scan.npz');
    const rng = new LegacyRng(2);
    const bright = Float32Array.from({ length: N * N }, (_, i) => {
      const [r, c] = [Math.floor(i / N) - N / 2, (i % N) - N / 2];
      return 200 * Math.exp(-(r * r + c * c) / 400);
    });
    const diffraction = new Float32Array(COUNT * N * N);
    for (let i = 0; i < diffraction.length; i++)
      diffraction[i] = Math.floor(bright[i % (N * N)] * (0.5 + rng.random()));
    const places = (of: (k: number) => number) => ({
      data: Float64Array.from({ length: COUNT }, (_, k) => N / 2 + 12 * of(k)),
      shape: [COUNT],
    });
    await writeNpz(file, {
      diffraction: { data: diffraction, shape: [COUNT, N, N] },
      xcoords: places((k) => k % 30),
      ycoords: places((k) => Math.floor(k / 30)),
    });
  });

  afterAll(() => rm(folder, { recursive: true, force: true }));

  /** Hash of the state, and the most memory that a process of its own took. */
  function run(stream: boolean): { hash: string; peakBytes: number } {
    const script = `
      import { createHash } from 'node:crypto';
      import { openDataset } from '${new URL('../../dist/data/openDataset.js', import.meta.url)}';
      import { solve } from '${new URL('../../dist/solvers/solve.js', import.meta.url)}';
      const raw = await openDataset(${JSON.stringify(file)}, { measurement_domain: 'count_intensity' });
      const hash = createHash('sha256');
      for await (const update of solve(raw, { algorithm: 'rpie', epochs: 1, stream: ${stream} }, { threads: 1 })) {
        if (update.epoch === 1) for (const a of Object.values(update.snapshot().arrays)) hash.update(new Uint8Array(a.buffer));
      }
      await raw.close();
      console.log(JSON.stringify({ hash: hash.digest('hex'), peakBytes: 1024 * process.resourceUsage().maxRSS }));
    `;
    return JSON.parse(execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }));
  }

  it('take less memory by those that are not at work, and end alike', () => {
    const [held, streamed] = [run(false), run(true)];
    expect(streamed.hash).toBe(held.hash);
    // Two batches of 256 are in memory.
    const spared = PATTERN_BYTES - 2 * 256 * 4 * N * N;
    expect(held.peakBytes - streamed.peakBytes).toBeGreaterThan(0.7 * spared);
  }, 300_000);
});
