/** HDF5 scans of beamlines and programs: whose geometry, which units, which frame, which folder. */
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/data/openDataset.js';
import type { ReaderOptions } from '../../../src/data/options.js';
import { cxiReader } from '../../../src/data/readers/cxi.js';
import { hdf5Reader } from '../../../src/data/readers/hdf5.js';
import { recognise } from '../../../src/data/readers/registry.js';
import type { ScanFile, ScanReader } from '../../../src/data/scanFile.js';
import { Hdf5Library, type Hdf5Module } from '../../../src/formats/hdf5/library.js';
import { refuses } from '../../support/formatFixtures.js';
import { describeShared, sharedFile } from '../../support/shared.js';
import { type Hdf5Content, writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-layouts-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (...name: string[]) => path.join(folder, ...name);

async function using<T>(
  name: string,
  options: ReaderOptions,
  work: (file: ScanFile) => T | Promise<T>,
  reader: ScanReader = hdf5Reader,
): Promise<T> {
  const file = await reader.open(name, options);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** Changes a file by the library itself: links that our writer does not make. */
async function edit(file: string, work: (m: Hdf5Module, id: bigint) => void): Promise<void> {
  const library = await Hdf5Library.current();
  const { causes } = library.run(file, { folders: [path.dirname(file)], write: true }, (m) => {
    const id = m.open(file, m.H5F_ACC_RDWR, false, -1, -1);
    work(m, id);
    return m.close_file(id);
  });
  expect(causes).toEqual([]);
}

/** Frames whose pixels are all the number of the frame, from `first` on. */
const frames = (count: number, first = 0, height = 4, width = 4) => ({
  data: Float32Array.from({ length: count * height * width }, (_, i) => first + Math.floor(i / (height * width))),
  shape: [count, height, width],
});
const numbers = (...values: number[]) => ({ data: Float64Array.from(values), shape: [values.length] });
const scalar = (value: number) => ({ data: Float64Array.of(value), shape: [] });
const positions = (count: number, group = '') => ({
  [`${group}/x_m`]: numbers(...Array.from({ length: count }, (_, i) => i)),
  [`${group}/y_m`]: numbers(...Array.from({ length: count }, (_, i) => -i)),
});
async function firstPixels({ patterns }: ScanFile): Promise<number[]> {
  const size = patterns.height * patterns.width;
  const rows = Array.from({ length: patterns.count }, (_, i) => i);
  const out = new Float32Array(rows.length * size);
  await patterns.readRowsInto(rows, out);
  return rows.map((i) => out[i * size]);
}
const DETECTOR = { NX_class: 'NXdetector' };
const metres = { units: ['m'] };

describe('the detector of the patterns', () => {
  const two = (): Hdf5Content => ({
    datasets: {
      '/entry/instrument/first/distance': scalar(1),
      '/entry/instrument/first/x_pixel_size': scalar(55e-6),
      '/entry/instrument/first/y_pixel_size': scalar(55e-6),
      '/entry/instrument/first/data': frames(2, 9),
      '/entry/instrument/second/distance': scalar(3000),
      '/entry/instrument/second/x_pixel_size': scalar(75),
      '/entry/instrument/second/y_pixel_size': scalar(75),
      '/entry/instrument/second/pixel_mask': {
        data: Uint32Array.from({ length: 16 }, (_, p) => (p === 5 ? 4 : 0)),
        shape: [4, 4],
      },
      '/entry/instrument/second/data': frames(2),
      '/entry/data/title': scalar(0),
      ...positions(2),
    },
    attributes: {
      '/entry/instrument/first': DETECTOR,
      '/entry/instrument/second': { NX_class: ['NXdetector'] },
      '/entry/instrument/first/distance': metres,
      '/entry/instrument/first/x_pixel_size': metres,
      '/entry/instrument/first/y_pixel_size': metres,
      '/entry/instrument/second/distance': { units: 'mm' },
      '/entry/instrument/second/x_pixel_size': { units: 'um' },
      '/entry/instrument/second/y_pixel_size': { units: 'um' },
    },
  });
  const second = {
    energy_eV: undefined,
    detectorDistance_m: 3,
    detectorPixel_m: { x: expect.closeTo(75e-6, 12), y: expect.closeTo(75e-6, 12) },
  };

  it.each(['soft', 'hard', 'virtual-like copy of the path'])('is the one that a %s link leads to', async (kind) => {
    const name = scratch(`two-${kind.slice(0, 4)}.h5`);
    const content = two();
    await writeHdf5(name, {
      ...content,
      links: kind === 'hard' ? { '/entry/data/data': '/entry/instrument/second/data' } : {},
      datasets: kind.startsWith('virtual') ? { ...content.datasets, '/entry/data/data': frames(2) } : content.datasets,
      attributes: {
        ...content.attributes,
        ...(kind.startsWith('virtual') && { '/entry/data/data': { target: '/entry/instrument/second/data' } }),
      },
    });
    if (kind === 'soft') {
      await edit(name, (m, id) => m.create_soft_link(id, '/entry/instrument/second/data', '/entry/data/data'));
    }
    await using(name, {}, async (scan) => {
      expect(await firstPixels(scan)).toEqual([0, 1]);
      expect(scan.geometry).toEqual(second);
      expect(Array.from(scan.badPixels!.data).indexOf(1)).toBe(5);
    });
  });

  it('is the one whose own file the patterns are in', async () => {
    await writeHdf5(scratch('panel.h5'), { datasets: { '/det/data': frames(2) } });
    const content = two();
    const { '/entry/instrument/second/data': _, ...datasets } = content.datasets;
    await writeHdf5(scratch('main.h5'), { ...content, datasets });
    await edit(scratch('main.h5'), (m, id) => {
      m.create_external_link(id, 'panel.h5', '/det/data', '/entry/instrument/second/data');
      m.create_external_link(id, 'panel.h5', '/det/data', '/entry/data/data');
    });
    await using(scratch('main.h5'), {}, (scan) => expect(scan.geometry).toEqual(second));
  });

  it('is none where nothing leads to it: what they agree in is used, the rest is said', async () => {
    const content = two();
    await writeHdf5(scratch('none.h5'), {
      ...content,
      datasets: { ...content.datasets, '/entry/data/data': frames(2) },
    });
    await using(scratch('none.h5'), {}, (scan) => {
      expect(scan.geometry).toMatchObject({ detectorDistance_m: undefined, detectorPixel_m: undefined });
      expect(scan.notes.join()).toMatch(
        /the distance of .* is one of .*first\/distance \(1 m\).*second\/distance \(3 m\)/,
      );
    });
  });
});

describe('energies', () => {
  const open = async (values: number | number[], units?: unknown, name = 'energy.h5', key = 'incident_energy') => {
    await writeHdf5(scratch(name), {
      datasets: {
        '/dp': frames(3),
        [`/entry/instrument/beam/${key}`]: Array.isArray(values) ? numbers(...values) : scalar(values),
        ...positions(3),
      },
      attributes: units === undefined ? {} : { [`/entry/instrument/beam/${key}`]: { units: units as string } },
    });
    return using(scratch(name), {}, ({ geometry, notes }) => ({ energy: geometry.energy_eV, notes: notes.join(' ') }));
  };

  it.each([
    [8.8, 'keV', 8800],
    [8800, 'eV', 8800],
    [8800 * 1.602176634e-19, 'J', 8800],
    [8800, ['eV'], 8800],
    [[8800, 8800, 8800], 'eV', 8800],
    [[0, 8800, Number.NaN], 'eV', 8800],
  ])('%s %s is %s eV, without a word', async (value, units, expected) => {
    const { energy, notes } = await open(value as number, units);
    expect(energy).toBeCloseTo(expected, 6);
    expect(notes).not.toMatch(/incident_energy/);
  });

  it.each([
    ['incident_wavelength', 0.14089, 'nm'],
    ['incident_wavelength', 1.4089, 'angstrom'],
    ['incident_wavelength', 1.4089e-10, 'm'],
  ])('%s %s %s is 8800 eV', async (key, value, units) => {
    expect((await open(value, units, 'lambda.h5', key)).energy).toBeCloseTo(8800, 0);
  });

  it('one for each frame: a mean where they are close, a word on the spread where they are not', async () => {
    const close = await open([8790, 8800, 8810], 'eV');
    expect(close.energy).toBeCloseTo(8800, 6);
    expect(close.notes).toMatch(/goes from 8790 to 8810 over 3 values, 0\.227273 %; its mean, 8800, is used/);
    const far = await open([8000, 8800, 9600], 'eV');
    expect(far.energy).toBeCloseTo(8800, 6);
    expect(far.notes).toMatch(/from 8000 to 9600 .* one value cannot describe such a scan/);
  });

  it('what no experiment has is said with its likely unit', async () => {
    expect(await open(8800, 'keV')).toMatchObject({
      energy: 8800,
      notes: expect.stringMatching(/8800 keV, that is 8\.8e\+6 eV|8800 keV, that is 8800000 eV/) as string,
    });
    expect(await open(8800)).toMatchObject({ energy: 8800, notes: expect.stringMatching(/taken as eV/) as string });
    expect(await open(8.8)).toMatchObject({
      energy: undefined,
      notes: expect.stringMatching(
        /Left out: .*8\.8, but does not say in which units; likely keV \(then give energy_eV 8800\)/,
      ),
    });
    expect(await open(1e12, 'eV')).toMatchObject({
      energy: undefined,
      notes: expect.stringMatching(/no experiment has/),
    });
  });

  it('an energy and a wavelength that contradict each other', async () => {
    await writeHdf5(scratch('contradiction.h5'), {
      datasets: {
        '/dp': frames(3),
        '/entry/instrument/beam/incident_energy': scalar(8800),
        '/entry/instrument/beam/incident_wavelength': scalar(1.6),
        ...positions(3),
      },
      attributes: {
        '/entry/instrument/beam/incident_energy': { units: 'eV' },
        '/entry/instrument/beam/incident_wavelength': { units: 'A' },
      },
    });
    await using(scratch('contradiction.h5'), {}, ({ geometry, notes }) => {
      expect(geometry.energy_eV).toBe(8800);
      expect(notes.join()).toMatch(/contradicts itself/);
    });
  });
});

describe('pieces', () => {
  const piece = (number: number | string) => `/entry/data/data_${number}`;

  it('have numbers, not names', async () => {
    const datasets = Object.fromEntries([9998, 9999, 10000, 10001].map((n, i) => [piece(n), frames(1, i)]));
    await writeHdf5(scratch('numbers.h5'), { datasets: { ...datasets, ...positions(4) } });
    await using(scratch('numbers.h5'), {}, async (scan) => {
      expect(await firstPixels(scan)).toEqual([0, 1, 2, 3]);
      expect(scan.frameNumbers).toBeUndefined();
    });
  });

  it('a gap is said, and the frames after it keep their numbers', async () => {
    const datasets = { [piece('01')]: frames(2), [piece('03')]: frames(2, 4), [piece('04')]: frames(1, 6) };
    await writeHdf5(scratch('gap.h5'), { datasets: { ...datasets, ...positions(7) } });
    await using(scratch('gap.h5'), {}, async (scan) => {
      expect(await firstPixels(scan)).toEqual(Array.from(scan.frameNumbers!));
      expect(Array.from(scan.frameNumbers!)).toEqual([0, 1, 4, 5, 6]);
      expect(scan.notes.join()).toMatch(/has lost \/entry\/data\/data_02: the 5 frames/);
    });
  });

  it('a gap of unknown length stops', async () => {
    const datasets = { [piece(1)]: frames(2), [piece(3)]: frames(3, 4), [piece(4)]: frames(1, 7) };
    await writeHdf5(scratch('unknown.h5'), { datasets: { ...datasets, ...positions(8) } });
    await refuses(
      () => hdf5Reader.open(scratch('unknown.h5'), {}),
      'FILE_NOT_FOUND',
      /data_2, and as its other pieces/,
    );
  });

  it('numbers that the detector wrote count before all', async () => {
    const datasets = { [piece(1)]: frames(2), [piece(2)]: frames(3, 5), [piece(3)]: frames(1, 8) };
    await writeHdf5(scratch('wrote.h5'), {
      datasets: { ...datasets, ...positions(9) },
      attributes: {
        [piece(1)]: { image_nr_low: 1 },
        [piece(2)]: { image_nr_low: 6 },
        [piece(3)]: { image_nr_low: 9 },
      },
    });
    await using(scratch('wrote.h5'), {}, (scan) => {
      expect(Array.from(scan.frameNumbers!)).toEqual([1, 2, 6, 7, 8, 9]);
      expect(scan.notes.join()).toMatch(/do not follow each other/);
    });
  });

  it('an aborted master: the files that exist, the lost ones by name', async () => {
    mkdirSync(scratch('eiger'));
    for (const n of [1, 2, 3]) {
      await writeHdf5(scratch('eiger', `run_data_${n}.h5`), { datasets: { '/entry/data/data': frames(2, 2 * n - 2) } });
    }
    await writeHdf5(scratch('eiger', 'run_master.h5'), {
      datasets: { '/entry/data/note': scalar(0), ...positions(6) },
    });
    await edit(scratch('eiger', 'run_master.h5'), (m, id) => {
      for (const n of [1, 2, 3]) m.create_external_link(id, `run_data_${n}.h5`, '/entry/data/data', piece(n));
    });
    rmSync(scratch('eiger', 'run_data_2.h5'));
    await using(scratch('eiger', 'run_master.h5'), {}, async (scan) => {
      expect(await firstPixels(scan)).toEqual([0, 1, 4, 5]);
      expect(Array.from(scan.frameNumbers!)).toEqual([0, 1, 4, 5]);
      expect(scan.notes.join()).toMatch(/has lost .*run_data_2\.h5/);
    });
    rmSync(scratch('eiger', 'run_data_1.h5'));
    rmSync(scratch('eiger', 'run_data_3.h5'));
    await refuses(() => hdf5Reader.open(scratch('eiger', 'run_master.h5'), {}), 'FILE_NOT_FOUND', /run_data_1\.h5/);
  });

  it('single frames are one scan, in the order of their numbers', async () => {
    const one = (value: number) => ({ data: new Float32Array(256).fill(value), shape: [16, 16] });
    const datasets = Object.fromEntries([8, 9, 10, 12, 11].map((n) => [`/frames/image_${n}`, one(n)]));
    await writeHdf5(scratch('single.h5'), { datasets: { ...datasets, ...positions(5) } });
    await using(scratch('single.h5'), {}, async (scan) => {
      expect(await firstPixels(scan)).toEqual([8, 9, 10, 11, 12]);
    });
  });
});

describe('MATLAB 7.3', () => {
  const asMatlab = { MATLAB_class: 'double' };
  /** What MATLAB shows as (height, width, count) is stored from the last axis to the first. */
  const stack = (count: number, height: number, width: number) => {
    const data = new Float64Array(count * height * width);
    for (let n = 0; n < count; n++)
      for (let y = 0; y < height; y++)
        for (let x = 0; x < width; x++) data[(n * width + x) * height + y] = 100 * n + 10 * y + x;
    return { data, shape: [count, width, height] };
  };

  it('is column-major: patterns and positions as MATLAB shows them', async () => {
    await writeHdf5(scratch('matlab.mat'), {
      datasets: { '/dp': stack(3, 4, 5), '/positions': { data: Float64Array.of(0, 1, 2, 7, 8, 9), shape: [2, 3] } },
      attributes: { '/dp': asMatlab, '/positions': { ...asMatlab, units: 'm' } },
    });
    await using(scratch('matlab.mat'), {}, async (scan) => {
      expect(scan.patterns).toMatchObject({ count: 3, height: 4, width: 5 });
      const out = new Float32Array(40);
      await scan.patterns.readRowsInto([2, 0], out);
      expect(out[0]).toBe(200);
      expect(out[1]).toBe(201);
      expect(out[5]).toBe(210);
      expect(out[20 + 19]).toBe(34);
      expect(scan.positions).toMatchObject({ x: Float64Array.of(0, 1, 2), y: Float64Array.of(7, 8, 9) });
    });
  });

  it('frames on the first axis are found by the pixels', async () => {
    // MATLAB shows (3, 4, 4).
    const data = Float64Array.from({ length: 48 }, (_, i) => i % 3);
    await writeHdf5(scratch('first.mat'), {
      datasets: { '/dp': { data, shape: [4, 4, 3] }, ...positions(3) },
      attributes: { '/dp': asMatlab },
    });
    await using(scratch('first.mat'), {}, async (scan) => {
      expect(scan.patterns.count).toBe(3);
      expect(await firstPixels(scan)).toEqual([0, 1, 2]);
    });
  });

  it('of level 5 is refused wherever it is given', async () => {
    writeFileSync(scratch('old.mat'), `MATLAB 5.0 MAT-file, Platform: GLNXA64${' '.repeat(100)}`);
    await writeHdf5(scratch('new.h5'), { datasets: { '/dp': frames(3), ...positions(3) } });
    await refuses(() => recognise(scratch('old.mat')), 'FORMAT_UNSUPPORTED', /level 5.*-v7\.3/);
    await refuses(
      () => hdf5Reader.open(scratch('new.h5'), { positions: scratch('old.mat') }),
      'FORMAT_UNSUPPORTED',
      /-v7\.3/,
    );
    await refuses(
      () => openDataset(scratch('new.h5'), { object_pixel_m: 1, probe: scratch('old.mat') }),
      'FORMAT_UNSUPPORTED',
      /-v7\.3/,
    );
  });
});

describe('layouts', () => {
  const xy = Float64Array.of(1, 10, 2, 20, 3, 30);

  it('PtyPy: chunks in the order of their numbers, rows first, keV', async () => {
    const chunk = (n: number, at: number) => ({
      [`/chunks/${n}/data`]: frames(1, at),
      [`/chunks/${n}/positions`]: { data: Float64Array.of(10 * at, at), shape: [1, 2] },
    });
    const weights = { data: Uint8Array.from({ length: 16 }, (_, p) => (p === 3 ? 0 : 1)), shape: [1, 4, 4] };
    const datasets = {
      ...chunk(10, 2),
      ...chunk(2, 1),
      ...chunk(0, 0),
      '/chunks/0/weights': weights,
      '/meta/energy': scalar(6.2),
      '/meta/distance': scalar(7),
      '/meta/psize': numbers(172e-6, 55e-6),
      '/meta/propagation': { strings: ['farfield'], shape: [] },
    };
    await writeHdf5(scratch('sample.ptyd'), { datasets });
    await using(scratch('sample.ptyd'), {}, async (scan) => {
      expect(await firstPixels(scan)).toEqual([0, 1, 2]);
      expect(scan.positions).toMatchObject({ unit: 'm', x: Float64Array.of(0, 1, 2), y: Float64Array.of(0, 10, 20) });
      expect(scan.geometry).toMatchObject({
        energy_eV: expect.closeTo(6200, 6) as number,
        detectorDistance_m: 7,
        detectorPixel_m: { x: 55e-6, y: 172e-6 },
      });
      expect(Array.from(scan.badPixels!.data).indexOf(1)).toBe(3);
      expect(scan.notes.join()).toMatch(/layout of PtyPy/);
    });
    const near = { ...datasets, '/meta/propagation': { strings: ['nearfield'], shape: [] } };
    await writeHdf5(scratch('near.ptyd'), { datasets: near });
    await using(scratch('near.ptyd'), {}, async ({ geometry }) => {
      expect(geometry.propagationDistance_m).toBe(7);
    });
  });

  it('HXN: amplitudes, positions in micrometres, wavelength', async () => {
    await writeHdf5(scratch('hxn.h5'), {
      datasets: {
        '/diffamp': frames(3),
        '/points': { data: Float64Array.of(1, 2, 3, 10, 20, 30), shape: [2, 3] },
        '/z_m': scalar(0.5),
        '/lambda_nm': scalar(0.1459),
        '/ccd_pixel_um': scalar(55),
      },
    });
    await using(scratch('hxn.h5'), {}, (scan) => {
      expect(scan.measurementDomain?.text).toBe('count_amplitude');
      expect(Array.from(scan.positions.x, (v) => Math.round(v * 1e7))).toEqual([10, 20, 30]);
      expect(Array.from(scan.positions.y, (v) => Math.round(v * 1e7))).toEqual([100, 200, 300]);
      expect(scan.geometry).toMatchObject({
        energy_eV: expect.closeTo(8498, 0) as number,
        detectorDistance_m: 0.5,
        detectorPixel_m: { x: expect.closeTo(55e-6, 12) as number, y: expect.closeTo(55e-6, 12) as number },
      });
    });
  });

  it('NanoMAX and LCLS: positions in micrometres, with their signs', async () => {
    const at = '/entry/measurement/pseudo';
    await writeHdf5(scratch('nanomax.h5'), {
      datasets: {
        '/entry/measurement/eiger4m/frames': frames(3),
        [`${at}/x`]: numbers(1, 2, 3),
        [`${at}/y`]: numbers(4, 5, 6),
      },
    });
    await using(scratch('nanomax.h5'), {}, (scan) => {
      expect(Array.from(scan.positions.x, (v) => Math.round(v * 1e6))).toEqual([1, 2, 3]);
      expect(Array.from(scan.positions.y, (v) => Math.round(v * 1e6))).toEqual([4, 5, 6]);
    });
    await writeHdf5(scratch('lcls.h5'), {
      datasets: { '/jungfrau1M/image_img': frames(3), '/lmc/ch03': numbers(1, 2, 3), '/lmc/ch05': numbers(4, 5, 6) },
    });
    await using(scratch('lcls.h5'), {}, (scan) => {
      expect(Array.from(scan.positions.y, (v) => Math.round(v * 1e6))).toEqual([-4, -5, -6]);
    });
  });

  it('fold_slice: positions and object pixel from the file beside', async () => {
    await writeHdf5(scratch('data_roi0_dp.hdf5'), { datasets: { '/dp': frames(3) } });
    await refuses(() => hdf5Reader.open(scratch('data_roi0_dp.hdf5'), {}), 'DATASET_KEY_MISSING', /no scan positions/);
    await writeHdf5(scratch('data_roi0_para.hdf5'), {
      datasets: {
        '/ppX': { data: Float64Array.of(1e-6, 2e-6, 3e-6), shape: [1, 3] },
        '/ppY': { data: Float64Array.of(4e-6, 5e-6, 6e-6), shape: [3, 1] },
        '/lambda': scalar(1.4089e-10),
        '/dx': scalar(1e-8),
      },
    });
    await using(scratch('data_roi0_dp.hdf5'), {}, (scan) => {
      expect(scan.positions).toMatchObject({ unit: 'm', x: Float64Array.of(1e-6, 2e-6, 3e-6) });
      expect(scan.geometry.objectPixel_m).toEqual({ x: 1e-8, y: 1e-8 });
      expect(scan.geometry.energy_eV).toBeCloseTo(8800, 0);
      expect(scan.notes.join()).toMatch(/Positions are those of .*data_roi0_para\.hdf5/);
    });
    await using(scratch('data_roi0_dp.hdf5'), { positions: scratch('data_roi0_para.hdf5') }, (scan) => {
      expect(scan.positions).toMatchObject({ unit: 'm', y: Float64Array.of(4e-6, 5e-6, 6e-6) });
    });
  });

  it('APS 12-ID, processed: nanometres, y before x, known by the name of the file', async () => {
    const table = { data: Float64Array.from([0, 1, 1, 1, 10, 2, 2, 20, 3].map(Number)), shape: [3, 3] };
    expect(xy.length).toBe(6);
    await writeHdf5(scratch('chip_12_003.h5'), { datasets: { '/dp': frames(3), '/positions': table } });
    await using(scratch('chip_12_003.h5'), {}, (scan) => {
      expect(Array.from(scan.positions.x, (v) => Math.round(v * 1e9))).toEqual([-1, -2, -3]);
      expect(Array.from(scan.positions.y, (v) => Math.round(v * 1e9))).toEqual([1, 10, 20]);
    });
  });
});

describe('a frame that cannot be decoded', () => {
  /** Frames of noise, compressed one by one, with the bytes of one of them spoiled. */
  async function spoiled(name: string, chunk: number): Promise<string> {
    const data = Float32Array.from({ length: 12 * 256 }, (_, i) => (i * 7919) % 1009);
    await writeHdf5(scratch(name), {
      datasets: {
        '/dp': { input: { data, shape: [12, 16, 16] }, storage: { gzip: 6, chunks: [chunk, 16, 16] } },
        ...positions(12),
      },
    });
    const bytes = readFileSync(scratch(name));
    // Streams of zlib begin with 78 9c at level 6.
    const streams: number[] = [];
    for (let at = bytes.indexOf('789c', 0, 'hex'); at >= 0; at = bytes.indexOf('789c', at + 1, 'hex')) streams.push(at);
    expect(streams.length).toBeGreaterThanOrEqual(12 / chunk);
    const broken = streams.slice(-12 / chunk)[chunk === 1 ? 5 : 1];
    bytes.fill(0xff, broken + 2, broken + 60);
    writeFileSync(scratch(name), bytes);
    return scratch(name);
  }

  it.each([1, 4])('is named, also among %s in a chunk, and the others are read', async (chunk) => {
    await using(await spoiled(`spoiled${chunk}.h5`, chunk), {}, async ({ patterns }) => {
      const bad: number[] = [];
      for (let row = 0; row < 12; row++) {
        await patterns.readRowsInto([row], new Float32Array(256)).catch((error) => bad.push(error.fields.frame));
      }
      expect(bad.length).toBe(chunk);
      const all = Array.from({ length: 12 }, (_, i) => i);
      await expect(patterns.readRowsInto(all, new Float32Array(12 * 256))).rejects.toMatchObject({
        code: 'FILE_FORMAT',
        fields: { frame: bad[0] },
        message: expect.stringMatching(new RegExp(`Frame ${bad[0]} of .*--skip_frames unreadable`)) as string,
      });
      const good = all.filter((row) => !bad.includes(row));
      await patterns.readRowsInto(good, new Float32Array(good.length * 256));
    });
  });
});

describe('links to other folders', () => {
  async function make(): Promise<void> {
    for (const name of ['raw', 'process', 'mine']) mkdirSync(scratch(name), { recursive: true });
    await writeHdf5(scratch('raw', 'data.h5'), { datasets: { '/entry/data/data': frames(3) } });
    for (const [name, target] of [
      ['process', '../raw/data.h5'],
      ['mine', 'data.h5'],
    ]) {
      await writeHdf5(scratch(name, 'scan.nxs'), { datasets: { '/entry/data/n': scalar(1), ...positions(3) } });
      await edit(scratch(name, 'scan.nxs'), (m, id) =>
        m.create_external_link(id, target, '/entry/data/data', '/entry/data/data'),
      );
    }
    symlinkSync('../raw/data.h5', scratch('mine', 'data.h5'));
  }

  it('are said truly, and followed where the user allows it', async () => {
    await make();
    await refuses(
      () => hdf5Reader.open(scratch('process', 'scan.nxs'), {}),
      'FORMAT_UNSUPPORTED',
      /leads to .*raw.data\.h5, outside of the folder of the file.*--allow_links/,
    );
    await refuses(
      () => hdf5Reader.open(scratch('process', 'scan.nxs'), { allow_links: [scratch('mine')] }),
      'FORMAT_UNSUPPORTED',
      /outside of the folder/,
    );
    await using(scratch('process', 'scan.nxs'), { allow_links: [scratch('raw')] }, async (scan) =>
      expect(await firstPixels(scan)).toEqual([0, 1, 2]),
    );
    // A symbolic link beside the file is the user's own.
    await using(scratch('mine', 'scan.nxs'), {}, async (scan) => expect(await firstPixels(scan)).toEqual([0, 1, 2]));
    // One to a device is nobody's.
    rmSync(scratch('mine', 'data.h5'));
    symlinkSync('/dev/zero', scratch('mine', 'data.h5'));
    await refuses(() => hdf5Reader.open(scratch('mine', 'scan.nxs'), {}), 'FILE_FORMAT', /no regular file/);
  });
});

describeShared('the cases of opening', () => {
  it('an energy of CXI in eV is taken as such, with a word', async () => {
    const name = sharedFile('cases', 'opening', '08-implausible-units', 'energy_in_eV.cxi');
    await using(
      name,
      {},
      (scan) => {
        expect(scan.geometry.energy_eV).toBe(8000);
        expect(scan.notes.join()).toMatch(
          /8000 J, that is 4\.99321e\+22 eV, which no experiment has; it is taken as eV/,
        );
      },
      cxiReader,
    );
  });

  it('a link to a sibling folder is said, and followed with allow_links', async () => {
    const at = (...name: string[]) => sharedFile('cases', 'opening', '16-links-to-another-folder', ...name);
    await refuses(() => hdf5Reader.open(at('process', 'scan.nxs'), {}), 'FORMAT_UNSUPPORTED', /--allow_links .*raw/);
    await using(at('process', 'scan.nxs'), { allow_links: [at('raw')] }, (scan) =>
      expect(scan.patterns).toMatchObject({ count: 49, height: 64 }),
    );
  });
});
