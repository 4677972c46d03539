/** What a reconstruction leaves on disk, and the statistics of patches. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { imageBesideTruth } from '../../src/evaluation/besideTruth.js';
import { openNpz } from '../../src/formats/npz.js';
import { makeOutputFolder } from '../../src/formats/outputFiles.js';
import { chooseCropSide, scanBounds } from '../../src/reconstruction/frame.js';
import { PatchStatsLog, patchStatistics } from '../../src/reconstruction/patchRecords.js';
import { PatchStitcher } from '../../src/reconstruction/patchStitcher.js';
import { imagePanels, phasePicture, stitchedPictures, writePictures } from '../../src/reconstruction/pictures.js';
import { saveOutputs, writeReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { figure } from '../../src/report/figure.js';
import { drawSvg } from '../../src/report/renderer.js';
import { textsOf } from '../report/markup.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-files-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const inside = (...parts: string[]) => path.join(folder, ...parts);

const N = 16;
const xs = Float64Array.from({ length: 16 }, (_, k) => 20 + 6 * (k % 4));
const ys = Float64Array.from({ length: 16 }, (_, k) => 30 + 6 * (k >> 2));
/** An object of 80×80 with structure in amplitude and phase, and what a perfect network makes of it. */
const truth = { re: new Float32Array(6400), im: new Float32Array(6400), shape: [80, 80] };
for (let i = 0; i < 6400; i++) {
  const [amplitude, phase] = [1 + 0.3 * Math.sin(i / 7), 0.8 * Math.cos(i / 311)];
  truth.re[i] = amplitude * Math.cos(phase);
  truth.im[i] = amplitude * Math.sin(phase);
}
function stitched(turn = 0) {
  const [re, im] = [new Float32Array(16 * N * N), new Float32Array(16 * N * N)];
  for (let k = 0; k < 16; k++) {
    for (let i = 0; i < N * N; i++) {
      const at = (ys[k] - 8 + Math.floor(i / N)) * 80 + xs[k] - 8 + (i % N);
      re[k * N * N + i] = 2 * (truth.re[at] * Math.cos(turn) - truth.im[at] * Math.sin(turn));
      im[k * N * N + i] = 2 * (truth.re[at] * Math.sin(turn) + truth.im[at] * Math.cos(turn));
    }
  }
  const stitcher = new PatchStitcher(scanBounds(xs, ys), 12, { uncertainty: true });
  stitcher.add(re, im, 16, N, xs, ys);
  return stitcher.finish();
}

describe('writeReconstruction', () => {
  it('writes arrays and pictures, and says which', async () => {
    const image = stitched();
    const files = await writeReconstruction(inside('deep', 'er'), image, { algorithm: 'mine', sampleIndices: Int32Array.of(3, 5) }); // biome-ignore format: one call
    expect((await readdir(inside('deep', 'er'))).sort()).toEqual([...files].sort());
    const npz = await openNpz(inside('deep', 'er', 'reconstruction.npz'));
    expect(await npz.read('reconstructed_object')).toMatchObject({ kind: 'complex', re: image.image.re });
    expect([...(await npz.readReal('frame_origin_yx_px')).data]).toEqual([24, 14]);
    expect([...(await npz.readReal('sample_indices')).data]).toEqual([3, 5]);
    expect((await npz.readReal('amplitude_uncertainty')).data).toEqual(image.uncertainty!.amplitude.data);
    expect(npz.keys).not.toContain('nn_indices');
    await npz.close();
  });

  it('says where it cannot write', async () => {
    await writeReconstruction(inside('good'), stitched(), { algorithm: 'mine' });
    const target = inside('good', 'reconstruction.npz', 'below');
    await expect(writeReconstruction(target, stitched(), { algorithm: 'mine' })).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });
});

describe('saveOutputs', () => {
  const plane = { data: Float32Array.of(0, 1, 2, 3, 4, 5), shape: [2, 3] };

  it('writes two plain pictures of the size of the images', async () => {
    expect(await saveOutputs(plane, plane, {}, inside('published'))).toEqual([
      'reconstructed_amplitude.png',
      'reconstructed_phase.png',
    ]);
    const png = await readFile(inside('published', 'reconstructed_amplitude.png'));
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([3, 2]);
  });

  it('does nothing without images, and keeps the arrays of a stitched one', async () => {
    expect(await saveOutputs(null, null, {}, inside('nothing'))).toEqual([]);
    await expect(readdir(inside('nothing'))).rejects.toThrow();
    expect(await saveOutputs(plane, plane, { stitched: stitched() }, inside('all'))).toContain('reconstruction.npz');
  });
});

describe('pictures', () => {
  it('have the phase range that is asked for, each end by itself', () => {
    const image = stitched();
    const free = stitchedPictures(image).phase;
    const range = (phase_vmin: number | null, phase_vmax: number | null) => {
      const { low, high } = stitchedPictures(image, { phase_vmin, phase_vmax }).phase;
      return [low, high];
    };
    expect(range(null, null)).toEqual([free.low, free.high]);
    expect(range(-1, 2)).toEqual([-1, 2]);
    expect(range(-1, null)).toEqual([-1, free.high]);
    expect(range(null, 2)).toEqual([free.low, 2]);
    expect(range(9, null)[1]).toBeGreaterThan(9);
    const all = new Uint8Array(image.image.re.length).fill(1);
    expect(() => phasePicture(image.image, all, { phase_vmin: 2, phase_vmax: 1 })).toThrow(/phase_vmin is 2/);
  });

  it('say what they show, where it lies, in which unit', async () => {
    const panels = imagePanels(stitched(), { pixelSize_m: 1e-7 });
    expect(Object.keys(panels)).toEqual(['reconstructed_amplitude', 'reconstructed_phase', 'reconstructed_complex', 'amplitude_uncertainty', 'phase_uncertainty']); // biome-ignore format: one line
    const texts = textsOf(await drawSvg(figure([panels.reconstructed_phase!])));
    // Columns 14 … 44 of the object, of 0.1 µm each.
    expect(texts).toEqual(expect.arrayContaining(['Phase', 'plane and offset removed for display', 'x / µm', 'y / µm', 'phase / rad', '1.5', '4.0', '500 nm'])); // biome-ignore format: one line
    expect(textsOf(await drawSvg(figure([panels.reconstructed_amplitude!])))).toContain('amplitude, relative');
    expect(textsOf(await drawSvg(figure([imagePanels(stitched()).reconstructed_phase!])))).toContain('x / px');
  });

  it('come in the formats that are asked for', async () => {
    await makeOutputFolder(inside('formats'));
    const files = await writePictures(inside('formats'), stitched(), { formats: ['svg', 'pdf'] });
    expect(files).toHaveLength(10);
    expect(files.slice(0, 2)).toEqual(['reconstructed_amplitude.svg', 'reconstructed_amplitude.pdf']);
    expect((await readFile(inside('formats', files[1]))).subarray(0, 5).toString()).toBe('%PDF-');
  });

  it('show image and truth alike when they are, whatever the gauge', async () => {
    const none = { phase_vmin: null, phase_vmax: null };
    const svg = await drawSvg(
      imageBesideTruth(stitched(0.7), truth, { xcoords: xs, ycoords: ys }, none, { pixelSize_m: 1e-8 }),
    );
    const images = Array.from(svg.matchAll(/base64,([^"]*)"/g), ([, png]) => decode(Buffer.from(png, 'base64')));
    // Amplitude and its truth, phase and its truth, each followed by its colours.
    for (const [ours, theirs] of [
      [images[0], images[2]],
      [images[4], images[6]],
    ]) {
      const different = ours.data.filter((v, i) => Math.abs(v - theirs.data[i]) > 3).length;
      expect(different / ours.data.length).toBeLessThan(0.05);
    }
    expect(textsOf(svg)).toEqual(
      expect.arrayContaining(['Amplitude', 'True amplitude', 'Phase', 'True phase', 'x / µm']),
    );
    // A window leaves pixels out along the edges, but never all of them.
    const sizeOf = async (window: number) => {
      const drawn = await drawSvg(
        imageBesideTruth(stitched(0.7), truth, { xcoords: xs, ycoords: ys }, none, { window }),
      );
      const [, png] = /base64,([^"]*)"/.exec(drawn) as RegExpExecArray;
      const { width, height } = decode(Buffer.from(png, 'base64'));
      return [width, height];
    };
    const [whole, less, least] = [await sizeOf(0), await sizeOf(2), await sizeOf(500)];
    const shrunk = (side: number) => Math.max(side - 4, Math.min(side, side % 2 === 0 ? 8 : 9));
    expect(less).toEqual(whole.map(shrunk));
    expect(least.every((side) => side === 8 || side === 9)).toBe(true);
    const elsewhere = { ...truth, re: truth.re.slice(0, 16), im: truth.im.slice(0, 16), shape: [4, 4] };
    expect(() => imageBesideTruth(stitched(), elsewhere, { xcoords: xs, ycoords: ys }, none)).toThrow(/share no pixel/);
  });
});

describe('chooseCropSide', () => {
  it('takes what overlaps, and all where nothing does', () => {
    const raster = (step: number) => {
      const axis = (f: (k: number) => number) => Float64Array.from({ length: 25 }, (_, k) => step * f(k));
      return chooseCropSide(axis((k) => k % 5), axis((k) => Math.floor(k / 5)), 64); // biome-ignore format: one call
    };
    expect([6, 16, 20, 31.2, 100].map(raster)).toEqual([32, 32, 40, 64, 64]);
    expect(chooseCropSide(Float64Array.of(3), Float64Array.of(4), 64)).toBe(64);
  });
});

describe('patch statistics', () => {
  it('tell flat patches from structured ones, and patches that are all alike', () => {
    const patches = (amplitude: (p: number, i: number) => number, phase: (p: number) => number) => {
      const at = (f: (a: number) => number) =>
        Float32Array.from({ length: 3 * 64 }, (_, j) => amplitude(j >> 6, j & 63) * f(phase(j >> 6)));
      return patchStatistics({ re: at(Math.cos), im: at(Math.sin), shape: [3, 1, 8, 8] });
    };
    const flat = patches(() => 0.5, () => 0.2); // biome-ignore format: one call
    expect(flat.patches).toBe(3);
    expect([flat.amplitude_min, flat.amplitude_max].map((v) => v.toFixed(6))).toEqual(['0.500000', '0.500000']);
    expect(flat.amplitude_std_within).toBeLessThan(1e-6);
    expect(flat.amplitude_std_between).toBeLessThan(1e-6);
    expect(flat.phase_mean).toBeCloseTo(0.2, 6);
    expect(flat.border_ratio).toBeCloseTo(1, 6);
    const apart = patches((p) => p, (p) => 0.1 * p); // biome-ignore format: one call
    expect(apart.amplitude_std_between).toBeCloseTo(Math.sqrt(2 / 3), 5);
    expect(apart.amplitude_std_within).toBeLessThan(1e-3);
    expect(apart.amplitude_std).toBeCloseTo(Math.sqrt(2 / 3), 5);
    const bordered = patches((_, i) => (i < 8 ? 3 : 1), () => 0); // biome-ignore format: one call
    expect(bordered.border_ratio).toBeCloseTo((8 * 3 + 20) / 28, 6);
    expect(bordered.amplitude_std_within).toBeGreaterThan(0.5);
    expect(() => patchStatistics({ re: new Float32Array(3), im: new Float32Array(3), shape: [3, 2, 2] })).toThrow(/…, N, N/); // biome-ignore format: one line
  });

  it('go to a file, so many of each epoch, and on after a resume', async () => {
    const patches = { re: new Float32Array(64).fill(1), im: new Float32Array(64), shape: [1, 1, 8, 8] };
    const rows = async () =>
      (await readFile(inside('logs', 'patch_stats.csv'), 'utf8')).trim().split('\n').slice(1).map((line) => line.split(',').slice(0, 2).map(Number)); // biome-ignore format: one line
    const log = await PatchStatsLog.open(folder, { limit: 2 });
    for (const epoch of [1, 2, 3]) for (const batch of [0, 1, 2]) log.add({ epoch, batch }, patches);
    expect(log.wants(3)).toBe(false);
    expect(log.wants(4)).toBe(true);
    await log.flush();
    expect(await rows()).toEqual([[1, 0], [1, 1], [2, 0], [2, 1], [3, 0], [3, 1]]); // biome-ignore format: one line
    const resumed = await PatchStatsLog.open(folder, { limit: null, keepEpochs: 1 });
    resumed.add({ epoch: 2, batch: 0 }, patches);
    await resumed.flush();
    expect(await rows()).toEqual([[1, 0], [1, 1], [2, 0]]); // biome-ignore format: one line
  });
});
