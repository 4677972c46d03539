/** Scans that once opened wrongly, or were refused without need: which position belongs to which frame, axes and rasters. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { sentenceOf } from '../../../src/data/findings/finding.js';
import { openDataset } from '../../../src/data/openDataset.js';
import type { OpenDatasetOptions } from '../../../src/data/options.js';
import type { RawData } from '../../../src/data/rawData.js';
import { openNpz } from '../../../src/formats/npz.js';
import { refuses } from '../../support/formatFixtures.js';
import { describeShared, sharedFile } from '../../support/shared.js';

const file = (...parts: string[]) => sharedFile('cases', 'opening', ...parts);
/** 8 keV at 1 m with 121.0783 µm: object pixels of 20 nm. */
const GEOMETRY = { energy_eV: 8000, detector_distance_m: 1, detector_pixel_m: 121.0783e-6 };

let folder: string;
/** The right positions of all these scans, object pixels. */
let truth: { x: number[]; y: number[] };
/** Counts of each of their 49 patterns. */
let sums: number[];

async function using<T>(name: string, options: OpenDatasetOptions, look: (raw: RawData) => T | Promise<T>): Promise<T> {
  const raw = await openDataset(name, options);
  try {
    return await look(raw);
  } finally {
    await raw.close();
  }
}

async function sumsOf(raw: RawData): Promise<number[]> {
  const size = raw.N ** 2;
  const pixels = new Float32Array(raw.count * size);
  await raw.patterns.readAmplitudes(
    Int32Array.from({ length: raw.count }, (_, i) => i),
    pixels,
  );
  return Array.from({ length: raw.count }, (_, i) =>
    pixels.subarray(i * size, (i + 1) * size).reduce((sum, v) => sum + v * v, 0),
  );
}

/** Every pattern is at its own position: patterns are told by their counts. */
async function expectRight(raw: RawData, kept: readonly number[] = [...truth.x.keys()], tolerance = 0.01) {
  expect(raw.count).toBe(kept.length);
  for (const [i, k] of kept.entries()) {
    expect(Math.abs(raw.xcoords[i] - truth.x[k])).toBeLessThan(tolerance);
    expect(Math.abs(raw.ycoords[i] - truth.y[k])).toBeLessThan(tolerance);
  }
  for (const [i, sum] of (await sumsOf(raw)).entries()) expect(sum / sums[kept[i]]).toBeCloseTo(1, 5);
}
/** What the user is told. */
const said = (raw: RawData) => [...raw.notes, ...(raw.findings?.all ?? []).map(sentenceOf)].join();
const without = (...left: number[]) => [...truth.x.keys()].filter((k) => !left.includes(k));

describeShared('cases of opening', () => {
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-cases-'));
    const npz = await openNpz(file('11-4d-datacube', 'pos.npz'));
    const [x, y] = [await npz.readReal('xcoords'), await npz.readReal('ycoords')];
    truth = { x: [...x.data], y: [...y.data] };
    await npz.close();
    sums = await using(file('17-extra-frame-and-lost-position', 'extra.h5'), { drop_unpaired: true }, sumsOf);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('03: the number of a file is the index of its frame, and dark.tif is none', async () => {
    const at = (name: string) => file('03-tiff-missing-frame', name);
    await using(at('series'), { positions: at('pos.npz') }, async (raw) => {
      await expectRight(raw, without(5));
      expect(said(raw)).toMatch(/numbered 0 … 48, 5 is missing: its position was left out/);
    });
    await using(at('with_dark'), { positions: at('pos.npz') }, async (raw) => {
      await expectRight(raw, without(48));
      expect(said(raw)).toMatch(/dark\.tif of .*with_dark, whose name does not fit/);
      expect(said(raw)).toMatch(/also the last \(48\), were left out/);
    });
  });

  it('04: titles decide axes and units; an array without them is doubted', async () => {
    const at = (name: string) => file('04-positions-order', name);
    await using(at('frames.h5'), { ...GEOMETRY, positions: at('x_y.csv') }, (raw) => expectRight(raw));
    await using(at('frames.h5'), { ...GEOMETRY, positions: at('um.csv') }, (raw) => expectRight(raw));
    await using(at('frames.h5'), { positions: at('yx.npy'), positions_unit: 'px' }, (raw) => {
      expect(said(raw)).toMatch(/does not say which of its columns is x: the first .* --swap_xy/);
    });
    await using(at('frames.h5'), { positions: at('yx.npy'), positions_unit: 'px', swap_xy: true }, (raw) =>
      expectRight(raw),
    );
  });

  it('11: rasters of patterns', async () => {
    const at = (name: string) => file('11-4d-datacube', name);
    await using(at('cube.npz'), {}, (raw) => expectRight(raw));
    await using(at('raster.nxs'), { object_pixel_m: 2e-8 }, (raw) => expectRight(raw));
    const positions = { positions: at('pos.npz'), positions_unit: 'px' as const };
    await using(at('py4dstem.h5'), positions, (raw) => expectRight(raw));
    await using(at('py4dstem.h5'), { scan_step: '5px' }, (raw) => {
      expect(raw.count).toBe(49);
      expect([...raw.xcoords.slice(0, 8)]).toEqual([0, 5, 10, 15, 20, 25, 30, 0]);
      expect([...raw.ycoords.slice(5, 9)]).toEqual([0, 0, 5, 5]);
    });
    await refuses(() => openDataset(at('py4dstem.h5')), 'DATASET_KEY_MISSING', /scan_shape and scan_step/);
  });

  it('12: CXI translations (3, n)', () =>
    using(file('12-cxi-translation-3-by-n', 'pynx.cxi'), {}, (raw) => expectRight(raw)));

  it('17: one frame too many, and positions that are NaN', async () => {
    const [extra, nan] = ['extra.h5', 'nan.h5'].map((name) => file('17-extra-frame-and-lost-position', name));
    await refuses(() => openDataset(extra, {}), 'DATASET_SHAPE', /which frame is too many: .*--drop_unpaired/);
    await using(extra, { drop_unpaired: true }, async (raw) => {
      await expectRight(raw);
      expect(said(raw)).toMatch(/the last frame of/);
    });
    await refuses(() => openDataset(nan, {}), 'DATASET_VALUE', /x value NaN at index 10.*--drop_unpaired/);
    await using(nan, { drop_unpaired: true }, async (raw) => {
      await expectRight(raw, without(10, 30));
      expect(said(raw)).toMatch(/frames 10 and 30, whose positions .* are NaN/);
    });
  });
});
