/** Every class of hostile file: a typed error, one sentence, no crash, and memory that does not follow what the file claims. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeNpz } from '../../src/formats/npz.js';
import { fileOf, HOSTILE, soundScan } from './corpus.js';

interface Outcome {
  readonly opened: boolean;
  readonly name?: string;
  readonly code?: string;
  readonly message?: string;
  readonly peakBytes: number;
}

const script = fileURLToPath(new URL('./open.mjs', import.meta.url));
/** Opens in a process of its own, which must end by itself. */
async function open(file: string): Promise<Outcome> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, file], { timeout: 60_000 });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Outcome;
}

const BYTES = 8 << 20;
/** Garbage that was not collected yet, and what differs from run to run. */
const NOISE = 16 << 20;

let folder: string;
let baseline: number;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-hostile-'));
  const small = path.join(folder, 'small.npz');
  await writeNpz(small, soundScan(1));
  const outcome = await open(small);
  expect(outcome).toMatchObject({ opened: true });
  baseline = outcome.peakBytes;
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('hostile files', () => {
  it('a sound one of their size opens', async () => {
    const file = path.join(folder, 'large.npz');
    await writeNpz(file, soundScan(BYTES));
    const outcome = await open(file);
    expect(outcome.opened).toBe(true);
    expect(outcome.peakBytes - baseline).toBeLessThan(2 * BYTES + NOISE);
  });

  it.each(HOSTILE.map((h) => [h.name, h] as const))('%s', async (_, hostile) => {
    const file = fileOf(folder, hostile);
    await hostile.write(file, BYTES);
    const { size } = await stat(file);
    const outcome = await open(file);
    expect(outcome).toMatchObject({ opened: false, name: 'PtychoError' });
    expect(outcome.message).toMatch(hostile.says);
    expect(outcome.message?.split('\n')).toHaveLength(1);
    expect(outcome.peakBytes - baseline, `${size} bytes`).toBeLessThan(2 * size + NOISE);
    await rm(file);
  });
});
