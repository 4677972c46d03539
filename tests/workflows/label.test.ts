/** Labels from a reconstruction: right place, right phase, and none where nothing was reconstructed. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findLabels } from '../../src/data/labels.js';
import { openDataset } from '../../src/data/openDataset.js';
import { writeNpz } from '../../src/formats/npz.js';
import { extractPatches, UNKNOWN_LABEL } from '../../src/physics/sampling.js';
import { frameOfObject, moveToFrame } from '../../src/reconstruction/frame.js';
import { labelWorkflow } from '../../src/workflows/label.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';
import { cli } from '../cli/capture.js';

let folder: string;
const at = (name: string) => path.join(folder, name);
const scan = simulate({ object: 'dead_leaves', object_side_px: 100, step_px: 6, photons: 1e5, seed: 1 });
// What a perfect reconstruction would be: a window of the object, its phase off by a constant, nothing in its last columns.
const window = { originYxPx: [1, 2], height: 98, width: 97 } as const;
const missing = 6;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-label-'));
  await writeSimulatedScan(at('scan.npz'), scan);
  const image = moveToFrame(scan.objectGuess, frameOfObject(scan.objectGuess), window);
  const turned = { re: image.re.slice(), im: image.im.slice(), shape: image.shape };
  const overlap = new Float32Array(image.re.length).fill(3);
  for (let i = 0; i < image.re.length; i++) {
    turned.re[i] = image.re[i] * Math.cos(0.7) - image.im[i] * Math.sin(0.7);
    turned.im[i] = image.re[i] * Math.sin(0.7) + image.im[i] * Math.cos(0.7);
    if (i % window.width >= window.width - missing) overlap[i] = 0;
  }
  await writeNpz(at('reconstruction.npz'), {
    reconstructed_object: turned,
    frame_origin_yx_px: { data: Float64Array.from(window.originYxPx), shape: [2] },
    overlap_count: { data: overlap, shape: image.shape },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('writes patches of the reconstruction at the positions of all patterns, NaN where it does not reach', async () => {
  const { code, out } = await cli('label', at('scan.npz'), '--reconstruction', at('reconstruction.npz'), '--output_file', at('labelled.npz')); // biome-ignore format: one command line
  const n = scan.xcoords.data.length;
  expect(code).toBe(0);
  expect(out).toMatch(new RegExp(`${n} patterns with labels; of \\d+ the reconstruction covers a part`));
  const raw = await openDataset(at('labelled.npz'));
  try {
    expect([...raw.xcoords]).toEqual([...scan.xcoords.data]);
    const members = Int32Array.from({ length: n }, (_, i) => i);
    const truth = extractPatches(scan.objectGuess, raw.xcoords, raw.ycoords, 64);
    const stored = await raw.labels!.readRows(members);
    // The constant phase is that of the file's object again.
    let [known, unknown, worst, last] = [0, 0, 0, 0];
    stored.re.forEach((v, i) => {
      const column = raw.xcoords[Math.floor(i / 4096)] - 32 + (i % 64);
      if (Number.isNaN(v)) {
        unknown++;
        return;
      }
      known++;
      last = Math.max(last, column);
      worst = Math.max(worst, Math.abs(v - truth.re[i]), Math.abs(stored.im[i] - truth.im[i]));
    });
    expect(worst).toBeLessThan(1e-4);
    expect(last).toBeLessThan(2 + window.width - missing);
    expect(unknown).toBeGreaterThan(0);
    expect(raw.objectGuess).toEqual(scan.objectGuess);
    const labels = await findLabels(raw);
    expect(labels.origin).toMatch(/"label"/);
    expect(labels.knownShare).toBeCloseTo(known / (known + unknown), 12);
    const fed = await labels.read(members);
    expect(fed.re.every((v, i) => (v === UNKNOWN_LABEL) === Number.isNaN(stored.re[i]))).toBe(true);
    expect(fed.im.every(Number.isFinite)).toBe(true);
    const [step] = raw.metadata.data_transformations as { operation: string; parameters: Record<string, unknown> }[];
    expect(step.operation).toBe('label');
    expect(step.parameters.phase_subtracted_rad).toBeCloseTo(0.7, 4);
  } finally {
    await raw.close();
  }
});

it('refuses a reconstruction of another place, a file that is none, and to overwrite the scan', async () => {
  const config = { reconstruction: at('reconstruction.npz'), output_file: at('never.npz'), overwrite: false };
  await expect(labelWorkflow(at('scan.npz'), { ...config, reconstruction: at('scan.npz') })).rejects.toThrow(
    /holds no reconstructed_object/,
  );
  await expect(labelWorkflow(at('scan.npz'), { ...config, output_file: at('scan.npz') })).rejects.toThrow(
    /file that is read/,
  );
  await writeNpz(at('far.npz'), {
    reconstructed_object: scan.objectGuess,
    frame_origin_yx_px: { data: Float64Array.of(900, 0), shape: [2] },
  });
  await expect(labelWorkflow(at('scan.npz'), { ...config, reconstruction: at('far.npz') })).rejects.toThrow(
    /covers nothing of the patches/,
  );
});
