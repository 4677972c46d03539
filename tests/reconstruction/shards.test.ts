/** One scan in parts: the image of the shards is that of a single process. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import type { RawData } from '../../src/data/rawData.js';
import { writeNpz } from '../../src/formats/npz.js';
import { textArray } from '../../src/formats/outputFiles.js';
import { startEngine } from '../../src/reconstruction/inputs.js';
import type { StitchedImage } from '../../src/reconstruction/patchStitcher.js';
import { type ImageOptions, reconstructWith } from '../../src/reconstruction/pipeline.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { mergeShards } from '../../src/reconstruction/shards/merge.js';
import { reconstructShard } from '../../src/reconstruction/shards/shard.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { networkContent } from '../support/networkBundle.js';

let folder: string;
let backend: Backend;
const models: PtychoModel[] = [];
const at = (...names: string[]) => path.join(folder, ...names);

/** Positions of no order, on no grid, some of them negative. */
function scanOf(count: number, seed = 1): RawData {
  const probe = makeProbe('structured', { side: 64, diameter: 24 });
  const object = makeObject('lines', { rows: 150, cols: 190, seed: 4 });
  const across = Math.ceil(Math.sqrt(count));
  const wiggle = (k: number) => 3 * Math.sin(12.9898 * (k + seed));
  const xs = Array.from({ length: count }, (_, k) => 70 + 9 * ((5 * k) % across) + wiggle(k));
  const ys = Array.from({ length: count }, (_, k) => 60 + 5.5 * Math.floor(k / across) + wiggle(k + 0.5));
  const s = simulateScan({ object, probe, xs, ys, photons: 1e5, seed });
  return rawDataFromArrays({ diffraction: s.diffraction, xcoords: xs.map((x) => x - 80), ycoords: ys, probeGuess: s.probeGuess, measurement_domain: 'count_amplitude' }); // biome-ignore format: one call
}

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-shards-'));
  backend = await startEngine({ backend: 'onnx', accelerator: 'cpu', threads: 1 });
  for (const gridsize of [1, 2] as const) models.push(PtychoModel.of(networkContent({ model: { gridsize } }), backend));
});
afterAll(async () => {
  await backend?.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const options: ImageOptions = { neighbor_count: 5, batch_size: 4, seed: 7, align_phases: true, uncertainty: true };

async function shards(model: PtychoModel, scan: RawData, of: number, name: string, more: ImageOptions = {}) {
  const folders = Array.from({ length: of }, (_, i) => at(name, String(i + 1)));
  const patterns: number[] = [];
  for (const [i, where] of folders.entries()) {
    patterns.push((await reconstructShard(model, scan, { index: i + 1, of }, where, { ...options, ...more })).patterns);
  }
  return { folders, patterns };
}

/** The largest difference, in units of the largest value. */
function difference(a: StitchedImage, b: StitchedImage): number {
  expect(a.frame).toEqual(b.frame);
  const largest = Math.max(...a.image.re.map((v, i) => Math.hypot(v, a.image.im[i])));
  const apart = (x: Float32Array, y: Float32Array) => x.reduce((m, v, i) => Math.max(m, Math.abs(v - y[i])), 0);
  return Math.max(apart(a.image.re, b.image.re), apart(a.image.im, b.image.im)) / largest;
}

describe('shards of an inference', () => {
  it.each([
    [1, 2, 23, {}],
    [1, 3, 23, { align_phases: false }],
    [1, 5, 3, {}],
    [1, 3, 19, { patch_fit: 2, stitching_rounds: 2 }],
    [2, 3, 17, {}],
    [2, 5, 13, { align_phases: false, stitching: 'barycentric' }],
    [1, 2, 12, { patch_weighting: 'uniform', placement: { transpose: true, flip_x: true, coord_scale: 0.9 } }],
  ] as const)(
    'gridsize %i, %i shards of %i patterns, %j: the image of one process',
    async (gridsize, of, count, more) => {
      const model = models[gridsize - 1];
      const scan = scanOf(count);
      const given = { ...options, ...more };
      const whole = await reconstructWith(model, scan, given);
      const name = `${gridsize}-${of}-${count}`;
      const { folders, patterns } = await shards(model, scan, of, name, more);
      expect(patterns.reduce((a, b) => a + b)).toBe(whole.patterns);
      expect(patterns.includes(0)).toBe(of > count);
      const merged = await mergeShards(model, scan, [...folders].reverse(), given);
      const d = difference(whole.stitched, merged.stitched);
      // With phases aligned patches are laid down in the order of one process; sums of parts are rounded otherwise.
      expect(d).toBeLessThanOrEqual(given.align_phases ? 0 : 1e-6);
      expect(merged).toMatchObject({ patterns: whole.patterns, crop_px: whole.crop_px, cancelled: false });
      expect(merged.stitched.patches).toBe(whole.stitched.patches);
      expect(merged.stitched.coverage).toBe(whole.stitched.coverage);
      // Phases were really turned.
      if (given.align_phases) expect(merged.phaseSpreadRad).toBeGreaterThan(0);
      expect(merged.phaseSpreadRad).toBe(whole.phaseSpreadRad);
      for (const part of ['amplitude', 'phase'] as const) {
        const [a, b] = [whole, merged].map(({ stitched }) => stitched.uncertainty?.[part].data ?? new Float32Array());
        expect(a.length).toBeGreaterThan(0);
        a.forEach((v, i) => {
          if (Number.isNaN(v)) expect(b[i]).toBeNaN();
          else expect(Math.abs(v - b[i])).toBeLessThan(1e-4 * (1 + v));
        });
      }
    },
  );

  it('are refused where one is missing, twice, or of another scan, model or option', async () => {
    const [model] = models;
    const scan = scanOf(9);
    const { folders } = await shards(model, scan, 3, 'own');
    const merge = (names: readonly string[], over: ImageOptions = {}, of = scan) =>
      mergeShards(model, of, names, { ...options, ...over });
    await expect(merge([])).rejects.toThrow(/There are no shards/);
    await expect(merge(folders.slice(1))).rejects.toThrow(/1 shard of 3 is missing \(1\); an image needs all of them/);
    await expect(merge([...folders, at('none')])).rejects.toThrow(
      /There is no shard .*none.*make it first, with --shard/,
    );
    await expect(merge([folders[0], ...folders])).rejects.toThrow(/is shard 1 of 3, as is .*; name every shard once/);
    await expect(merge(folders, {}, scanOf(9, 2))).rejects.toThrow(/is shard 1 of 3 of another scan than memory/);
    await expect(merge(folders, { patch_weighting: 'uniform' })).rejects.toThrow(/made with patch_weighting probe .*, not uniform .*; make it again with the flags of this image/); // biome-ignore format: one call
    await expect(merge(folders, { align_phases: false })).rejects.toThrow(/made with align_phases true, not false/);
    await expect(merge(folders, { n_subsample: 5, n_groups: 5 })).rejects.toThrow(/with other groups/);
    const other = PtychoModel.of(networkContent({ model: { architecture: 'cnn', n_filters_scale: 2 } }), backend);
    await expect(mergeShards(other, scan, folders, options)).rejects.toThrow(/is shard 1 of 3 made with another model/);
    const { folders: two } = await shards(model, scan, 2, 'two');
    await expect(merge([folders[0], two[1]])).rejects.toThrow(/is one of 2 shards, but others are of 3/);
    // What is no shard, and one that was cut off.
    writeFileSync(
      path.join(folders[1], 'shard.npz'),
      readFileSync(path.join(folders[1], 'shard.npz')).subarray(0, 4000),
    );
    await expect(merge(folders)).rejects.toThrow(/shard\.npz/);
    await writeNpz(path.join(folders[1], 'shard.npz'), { shard: textArray('{"format":"other"}') });
    await expect(merge(folders)).rejects.toThrow(/is no shard of "infer --shard" \(format: .*make it again/);
  });

  it('stop when they are asked to, and leave no shard', async () => {
    const scan = scanOf(12);
    const stop = new AbortController();
    const given = { ...options, signal: stop.signal, onPatches: () => stop.abort() };
    const stopped = reconstructShard(models[0], scan, { index: 1, of: 1 }, at('stopped'), { ...given, batch_size: 2 });
    await expect(stopped).rejects.toThrow(/cancelled/);
    expect(readdirSync(at('stopped'))).toEqual([]);
  });
});
