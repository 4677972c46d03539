/** Previews show as many groups as asked for, when asked for. The network here paints its input. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { trainingConfigSchema } from '../../src/config/schema.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { Previews } from '../../src/training/previews.js';

const N = 64;
const GROUPS = 9;
let backend: Backend;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-previews-'));
  backend = await createOnnxBackend({ accelerator: 'cpu', threads: 1 });
});
afterAll(async () => {
  await backend.dispose();
  await rm(folder, { recursive: true, force: true });
});

const network = {
  predict: (batch: number) => {
    const x = op.input('input', [batch, 1, N, N]);
    const positions = op.input('input_positions', [batch, 1, 1, 2]);
    const gain = op.state('gain', []);
    return defineProgram({
      name: 'paint',
      inputs: [x, positions],
      outputs: { object_real: op.mul(x, gain), object_imag: op.mul(x, op.mul(gain, 0.5)) },
    });
  },
};

/** Positions on a diagonal, so that the size of the stitched image says which of them are in it. */
const coordsNn = Float64Array.from({ length: 2 * GROUPS }, (_, i) => 40 + 10 * (i >> 1));
const members = Int32Array.from({ length: GROUPS }, (_, i) => i);
const dataset = {
  async batch(indices: ArrayLike<number>) {
    const B = indices.length;
    return {
      diffraction: { data: Float32Array.from({ length: B * N * N }, (_, i) => 1 + Math.sin(i)), shape: [B, 1, N, N] },
      positions: { data: new Float32Array(2 * B), shape: [B, 1, 1, 2] },
      members: Int32Array.from(indices),
    };
  },
};
const disk = { re: new Float32Array(N * N).fill(1), im: new Float32Array(N * N), shape: [N, N] };

/** Tags of pictures → [width, height], from the header of the PNG. */
async function drawn(name: string, execution: Record<string, unknown>, epochs = 1) {
  const config = trainingConfigSchema.parse({ model: { N }, batch_size: 4, execution });
  const pictures: Record<string, readonly [number, number]> = {};
  const outputDir = path.join(folder, name);
  let read = 0;
  const previews = await Previews.open({
    config,
    network,
    backend,
    outputDir,
    scan: { groups: { count: GROUPS, C: 1, coordsNn, members }, dataset, raw: { probeGuess: disk } },
    measured: { dataset, groups: members },
    epochsDone: 0,
    image: async (tag: string, epoch: number, png: Uint8Array) => {
      const view = new DataView(png.buffer, png.byteOffset);
      pictures[`${tag} ${epoch}`] = [view.getUint32(16), view.getUint32(20)];
    },
  } as unknown as Parameters<typeof Previews.open>[0]);
  for (let epoch = 1; epoch <= epochs; epoch++) {
    await previews.epoch(epoch, async () => {
      read++;
      return { gain: { data: Float32Array.of(2), shape: [] } };
    });
  }
  return { pictures, read, files: await readdir(path.join(outputDir, 'previews')).catch(() => []) };
}

describe('previews', () => {
  it('come every so many epochs, to the folder and to the logger; weights are read only then', async () => {
    const { pictures, read, files } = await drawn('every', { recon_log_every_n_epochs: 2 }, 5);
    expect(Object.keys(pictures)).toEqual(['previews/patches 2', 'previews/patches 4']);
    expect(files).toEqual(['patches_epoch=002.png', 'patches_epoch=004.png']);
    expect(read).toBe(2);
    expect(await drawn('never', {}, 3)).toEqual({ pictures: {}, read: 0, files: [] });
  });

  it('show as many groups as asked for, or those that are named', async () => {
    const height = async (name: string, execution: object) => {
      const { pictures } = await drawn(name, { recon_log_every_n_epochs: 1, ...execution });
      return pictures['previews/patches 1'][1];
    };
    const [two, four] = [await height('two', { recon_log_num_patches: 2 }), await height('four', {})];
    // Two groups fill a row of four pictures.
    expect(four).toBeGreaterThan(1.8 * two);
    expect(await height('named', { recon_log_fixed_indices: [1, 5, 7] })).toBe(four);
  });

  it('show the stitched image of all groups, or of some', async () => {
    const width = async (name: string, execution: object) => {
      const { pictures } = await drawn(name, { recon_log_every_n_epochs: 1, recon_log_stitch: true, ...execution });
      return pictures['previews/stitched_phase 1'][0];
    };
    const whole = await width('all', {});
    expect(whole - (await width('some', { recon_log_max_stitch_samples: 3 }))).toBe(20); // groups 0, 3 and 6 of 0 … 8
  });
});
