/** When the layout of the processor's engine is tried: not where it cannot matter, and once in a process. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram, type Program } from '../../src/graph/program.js';

const engineModule = new URL('../support/recordingEngine.mjs', import.meta.url).href;
const convolution = (channels: number, side: number): Program => {
  const y = op.conv2d(op.input('x', [8, channels, side, side]), op.state('w', [channels, channels, 3, 3]));
  return defineProgram({ name: 'convolution', outputs: { y } });
};

describe('the trial of a layout', () => {
  let folder: string;
  let record: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-layout-'));
    record = path.join(folder, 'providers');
    process.env.PTYCHOPINN_PROVIDERS = record;
  });
  afterAll(async () => {
    delete process.env.PTYCHOPINN_PROVIDERS;
    await rm(folder, { recursive: true, force: true });
  });

  /** How many sessions it takes to compile programs on a new engine. */
  async function sessionsOf(...programs: readonly Program[]): Promise<number> {
    await rm(record, { force: true });
    const backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1, engineModule });
    for (const program of programs) await backend.compile(program);
    await backend.dispose();
    return (await readFile(record, 'utf8')).trim().split('\n').length;
  }

  it('is left out where no layer would be laid out otherwise', async () => {
    expect(await sessionsOf(convolution(16, 8), convolution(6, 32))).toBe(2);
  });

  it('is made once in a process, with tiles where there are any', async () => {
    const first = await sessionsOf(convolution(16, 32));
    expect(first).toBeGreaterThan(1);
    // Engines of some processors have no such layout, which the first session of the trial finds out.
    expect([2, 4]).toContain(first);
    // One for the program itself: of blocks it is known; of tiles it is not, and then it is.
    expect(await sessionsOf(convolution(32, 32), convolution(128, 32))).toBe(first === 4 ? 1 + 6 : 1 + 2);
    expect(await sessionsOf(convolution(128, 16))).toBe(1);
  });
});
