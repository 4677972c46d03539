/** Axes of arrays of patterns, rasters and channels: the shapes, and the frames that are read of them. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/data/openDataset.js';
import { parseScanStep, patternLayout } from '../../../src/data/opening/patternLayout.js';
import type { OpenDatasetOptions } from '../../../src/data/options.js';
import { encodeNpy } from '../../../src/formats/npyWrite.js';
import { writeNpz } from '../../../src/formats/npz.js';
import { refuses } from '../../support/formatFixtures.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-layout-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (name: string) => path.join(folder, name);
const origin = { path: 'scan' };

describe('the rule', () => {
  it('three axes: the first counts where it is as long as the positions', () => {
    const layout = (shape: number[], positions: number) => {
      const { count, height, width, last } = patternLayout(shape, { positions, lastAllowed: true }, origin);
      return [count, height, width, last];
    };
    expect(layout([64, 64, 64], 64)).toEqual([64, 64, 64, false]);
    expect(layout([64, 64, 100], 64)).toEqual([64, 64, 100, false]);
    expect(layout([64, 64, 100], 100)).toEqual([100, 64, 64, true]);
    expect(layout([65, 64, 64], 64)).toEqual([65, 64, 64, false]);
    expect(layout([100, 64, 32], 32)).toEqual([32, 100, 64, true]);
  });

  it('four axes: positions, scan_shape or channel decide, else it asks', async () => {
    const layout = (shape: number[], hints: Parameters<typeof patternLayout>[1]) => patternLayout(shape, hints, origin);
    expect(layout([7, 9, 8, 8], { positions: 63 })).toMatchObject({ count: 63, raster: [7, 9], stride: 1 });
    expect(layout([7, 9, 8, 8], { axes: { x: 9, y: 7 } })).toMatchObject({ count: 63, raster: [7, 9] });
    expect(layout([7, 9, 8, 8], { scan_shape: [7, 8] })).toMatchObject({ count: 63 });
    expect(layout([7, 3, 8, 8], { channel: 2 })).toMatchObject({ count: 7, stride: 3, offset: 2, rowAxes: 2 });
    expect(layout([7, 9, 2, 8, 8], { channel: 1 })).toMatchObject({ count: 63, raster: [7, 9], stride: 2, offset: 1 });
    expect(layout([7, 1, 8, 8], { positions: 7 })).toMatchObject({ count: 7, stride: 1 });
    expect(layout([7, 8, 8, 1], { positions: 7 })).toMatchObject({ count: 7, height: 8, width: 8 });
    const refused = (shape: number[], hints: Parameters<typeof patternLayout>[1], message: RegExp) =>
      refuses(() => layout(shape, hints), 'DATASET_SHAPE', message);
    await refused([7, 3, 8, 8], { positions: 7 }, /7 patterns with 3 thresholds or energies each; .*--channel 0 … 2/);
    await refused([7, 3, 8, 8], { positions: 20 }, /--scan_shape 7,3 .* or --channel 0 … 2/);
    await refused([7, 7, 8, 8], { axes: { x: 7, y: 7 }, positions: 7 }, /--scan_shape 7,7 .* or --channel/);
    await refused([7, 9, 2, 8, 8], { positions: 63 }, /--channel 0 … 1/);
    await refuses(() => layout([7, 3, 8, 8], { channel: 3 }), 'CONFIG_INVALID', /channels 0 to 2/);
    await refuses(() => layout([7, 8, 8], { channel: 1 }), 'CONFIG_INVALID', /one channel, 0/);
    await refuses(() => layout([7, 8, 8], { scan_shape: [0, 7] }), 'CONFIG_INVALID', /scan_shape must be two positive/);
  });
});

describe('steps', () => {
  it('have a unit, one or two', async () => {
    expect(parseScanStep('5px')).toEqual({ y: 5, x: 5, unit: 'px' });
    expect(parseScanStep('0.5A')).toEqual({ y: 0.5e-10, x: 0.5e-10, unit: 'm' });
    expect(parseScanStep('1e-9m, 2e-9 m')).toEqual({ y: 1e-9, x: 2e-9, unit: 'm' });
    expect(parseScanStep('20,25nm')).toEqual({ y: expect.closeTo(20e-9, 15), x: expect.closeTo(25e-9, 15), unit: 'm' });
    for (const [text, message] of [
      ['5', /no unit/],
      ['fast', /no length/],
      ['0nm', /no step/],
      ['5deg', /"deg" is no unit of length/],
      ['5px,2nm', /one is in pixels/],
      ['1m,2m,3m', /no length/],
    ] as const) {
      await refuses(() => parseScanStep(text), 'CONFIG_INVALID', message);
    }
  });
});

const [ROWS, COLUMNS, N] = [3, 4, 8];
/** Plane p of an array holds p + 1 everywhere. */
const planes = (...shape: number[]) => ({
  data: Uint16Array.from({ length: shape.reduce((a, b) => a * b, N * N) }, (_, i) => Math.floor(i / (N * N)) + 1),
  shape: [...shape, N, N],
});

/** Writes the same array in every container. */
async function everyContainer(array: { data: Uint16Array; shape: number[] }): Promise<string[]> {
  const names = ['scan.npy', 'scan.npz', 'scan.h5', 'chunks.h5'].map(scratch);
  await writeFile(names[0], encodeNpy(array));
  await writeNpz(names[1], { diffraction: array }, { compress: true });
  await writeHdf5(names[2], { datasets: { '/entry/data/data': array } });
  const chunks = array.shape.map((length, axis) => (axis < array.shape.length - 2 ? Math.min(2, length) : N));
  await writeHdf5(names[3], { datasets: { '/entry/data/data': { input: array, storage: { chunks } } } });
  return names;
}

async function opened(name: string, options: OpenDatasetOptions) {
  const raw = await openDataset(name, { fftshift: 'no', accept: ['FLAT'], ...options });
  try {
    const rows = Int32Array.from({ length: raw.count }, (_, i) => raw.count - 1 - i);
    const pixels = new Float32Array(raw.count * N * N);
    await raw.patterns.readStored(rows, pixels);
    const values = Array.from(rows, (_, i) => pixels[i * N * N]).reverse();
    return { values, x: [...raw.xcoords], y: [...raw.ycoords] };
  } finally {
    await raw.close();
  }
}

describe('every container', () => {
  it('gives a raster with its positions', async () => {
    const count = ROWS * COLUMNS;
    const values = Array.from({ length: count }, (_, i) => i + 1);
    const x = values.map((_, i) => 5 * (i % COLUMNS));
    const y = values.map((_, i) => 6 * Math.floor(i / COLUMNS));
    for (const name of await everyContainer(planes(ROWS, COLUMNS))) {
      expect(await opened(name, { scan_step: '6,5px' }), name).toEqual({ values, x, y });
      await refuses(() => openDataset(name), 'DATASET_KEY_MISSING', /scan_shape and scan_step/);
      await refuses(
        () => openDataset(name, { scan_step: '5px', energy_eV: 8000, electron_keV: 300 }),
        'CONFIG_INVALID',
        /both given/,
      );
    }
    for (const name of await everyContainer(planes(count))) {
      const options = { scan_shape: [ROWS, COLUMNS] as [number, number], scan_step: '6px,5px' };
      expect(await opened(name, options), name).toEqual({ values, x, y });
      await refuses(() => openDataset(name, { scan_step: '5px' }), 'CONFIG_INVALID', /scan_shape, such as 40,60/);
      await refuses(
        () => openDataset(name, { scan_shape: [ROWS, 3], scan_step: '5px' }),
        'DATASET_SHAPE',
        /has 12 patterns, but there are 9 scan positions in the raster of 3 × 3 .*--frames/,
      );
    }
  });

  it('gives one of several channels', async () => {
    const options = { scan_shape: [2, 2] as [number, number], scan_step: '5px' };
    for (const name of await everyContainer(planes(4, 3))) {
      expect((await opened(name, { ...options, channel: 1 })).values, name).toEqual([2, 5, 8, 11]);
      await refuses(() => openDataset(name, options), 'DATASET_SHAPE', /--channel 0 … 2/);
    }
    for (const name of await everyContainer(planes(2, 2, 3))) {
      expect((await opened(name, { scan_step: '5px', scan_shape: [2, 2], channel: 2 })).values, name).toEqual([
        3, 6, 9, 12,
      ]);
    }
  });

  it('HDF5: one vector for each axis of the raster, either way round', async () => {
    const vector = (length: number, step: number) => ({
      data: Float64Array.from({ length }, (_, i) => i * step),
      shape: [length],
    });
    const write = (name: string, x: number, y: number) =>
      writeHdf5(scratch(name), {
        datasets: {
          '/entry/data/data': planes(ROWS, COLUMNS),
          '/entry/data/xcoords': vector(x, 5),
          '/entry/data/ycoords': vector(y, 6),
        },
      });
    await write('axes.h5', COLUMNS, ROWS);
    expect((await opened(scratch('axes.h5'), {})).x.slice(0, 5)).toEqual([0, 5, 10, 15, 0]);
    await write('xfirst.h5', ROWS, COLUMNS);
    expect((await opened(scratch('xfirst.h5'), {})).y.slice(0, 5)).toEqual([0, 6, 12, 18, 0]);
  });

  it('py4DSTEM: step and pixel are those of the calibration', async () => {
    const dim = (step: number) => ({ data: Float64Array.of(0, step), shape: [2] });
    const group = '/datacube_root/datacube';
    const units = (name: string) => ({ units: name });
    await writeHdf5(scratch('cube.h5'), {
      datasets: {
        [`${group}/data`]: planes(ROWS, COLUMNS),
        ...Object.fromEntries([2, 2, 0.05, 0.05].map((step, axis) => [`${group}/dim${axis}`, dim(step)])),
      },
      attributes: Object.fromEntries(
        ['A', 'A', 'A^-1', 'A^-1'].map((name, axis) => [`${group}/dim${axis}`, units(name)]),
      ),
    });
    // Object pixels of 1 Å / (8 · 0.05) = 2.5 Å.
    const { x, y } = await opened(scratch('cube.h5'), {});
    expect(x[1]).toBeCloseTo(0.8, 9);
    expect(y[COLUMNS]).toBeCloseTo(0.8, 9);
  });
});
