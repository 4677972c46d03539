/** NeXus and other HDF5 files, CXI, NPY and TIFF: each equal to the NumPy arrays that it was written from. */

import { copyFileSync, mkdirSync, rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PtychoError } from '../../../src/core/errors.js';
import type { ReaderOptions } from '../../../src/data/options.js';
import { cxiReader } from '../../../src/data/readers/cxi.js';
import { hdf5Reader } from '../../../src/data/readers/hdf5.js';
import { npyReader } from '../../../src/data/readers/npy.js';
import { recognise } from '../../../src/data/readers/registry.js';
import { tiffReader } from '../../../src/data/readers/tiff.js';
import type { ScanFile, ScanReader } from '../../../src/data/scanFile.js';
import { encodeNpy } from '../../../src/formats/npyWrite.js';
import { describeFixtures, formatFixtures, refuses, truthOf } from '../../support/formatFixtures.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-beamline-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (...name: string[]) => path.join(folder, ...name);

async function using<T>(
  reader: ScanReader,
  name: string,
  options: ReaderOptions,
  work: (file: ScanFile) => T | Promise<T>,
): Promise<T> {
  const file = await reader.open(name, options);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

/** All frames, asked for in a mixed order with repeats. */
async function expectCounts({ patterns }: ScanFile, counts: ArrayLike<number>): Promise<void> {
  expect(patterns).toMatchObject({ count: 12, height: 16, width: 16 });
  const rows = [11, 0, 6, 7, 8, 3, 3, 1, 2, 10, 9, 5, 4];
  const out = new Float32Array(rows.length * 256);
  await patterns.readRowsInto(rows, out);
  expect(Array.from(out)).toEqual(rows.flatMap((row) => Array.from(counts).slice(256 * row, 256 * row + 256)));
}
const close = (values: Float64Array) => Array.from(values, (v) => expect.closeTo(v, 15));

describeFixtures('beamline formats', (file) => {
  const truth = async () => {
    const all = await truthOf(file);
    return {
      counts: all.real('counts').data,
      bad: all.real('bad').data,
      x: all.real('x_m').data as Float64Array,
      y: all.real('y_m').data as Float64Array,
      probe: all.complex('probe'),
    };
  };

  it('recognises each by its content', async () => {
    // A code instead of a format: no scan of any.
    const recognised = (name: string) => recognise(name).catch((error: PtychoError) => error.code);
    expect(await recognised(file('scan.cxi'))).toBe('cxi');
    expect(await recognised(file('nexus_master.h5'))).toBe('hdf5');
    expect(await recognised(file('frames.npy'))).toBe('npy');
    for (const name of ['stack.tiff', 'big.tif', 'pixels_be_u2.tif', 'series', 'series/frame_*.tif'])
      expect(await recognised(file(name)), name).toBe('tiff');
    for (const name of ['positions.csv', 'none.h5', 'none_*.tif'])
      expect(await recognised(file(name)), name).toMatch(/^FILE_/);
  });

  it('NeXus master: linked pieces, geometry with its units, pixel mask, positions', async () => {
    const { counts, bad, x, y } = await truth();
    await using(hdf5Reader, file('nexus_master.h5'), {}, async (scan) => {
      await expectCounts(scan, counts);
      expect(scan.patterns.dtype).toBe('uint32');
      expect(scan.geometry).toEqual({
        energy_eV: expect.closeTo(8800, 9),
        detectorDistance_m: expect.closeTo(1.9, 12),
        detectorPixel_m: { x: expect.closeTo(75e-6, 15), y: expect.closeTo(75e-6, 15) },
      });
      expect(scan.badPixels?.data).toEqual(bad);
      expect(scan.positions.unit).toBe('m');
      expect(Array.from(scan.positions.x)).toEqual(close(x));
      expect(Array.from(scan.positions.y)).toEqual(close(y));
      expect(scan.notes.join()).toMatch(/positions .* are taken from \/entry\/scan/);
    });
    await using(
      hdf5Reader,
      file('nexus_master.h5'),
      { diffraction_path: '/entry/data/data_000002', positions: '/entry/scan' },
      (scan) => {
        expect(scan.patterns.count).toBe(5);
      },
    );
  });

  it('virtual dataset, positions (2, n) in the same file', async () => {
    const { counts, x, y } = await truth();
    await using(hdf5Reader, file('virtual.h5'), {}, async (scan) => {
      await expectCounts(scan, counts);
      expect(scan.positions).toMatchObject({ unit: 'm', x, y });
    });
    await using(
      hdf5Reader,
      file('virtual.h5'),
      { diffraction_path: 'exchange/data', positions: file('positions.csv') },
      (scan) => {
        expect(scan.positions).toMatchObject({ unit: 'm', x, y });
      },
    );
  });

  it('CXI: energy in joules, mask without its signal bit, illumination', async () => {
    const { counts, bad, x, y, probe } = await truth();
    await using(cxiReader, file('scan.cxi'), {}, async (scan) => {
      await expectCounts(scan, counts);
      expect(scan.positions).toMatchObject({ unit: 'm', x, y });
      expect(scan.geometry).toEqual({
        energy_eV: expect.closeTo(8800, 9),
        detectorDistance_m: 1.9,
        detectorPixel_m: { x: 75e-6, y: 75e-6 },
      });
      expect(scan.badPixels?.data).toEqual(bad);
      expect(scan.probeGuess).toMatchObject({
        re: probe.re.slice(0, 256),
        im: probe.im.slice(0, 256),
        shape: [16, 16],
      });
      expect(scan.measurementDomain?.text).toBe('count_intensity');
    });
  });

  it.each(['frames.npy', 'frames_be.npy'])('NPY: %s', async (name) => {
    const { counts, x, y } = await truth();
    await using(npyReader, file(name), { positions: file('positions.txt') }, async (scan) => {
      await expectCounts(scan, counts);
      expect(scan.positions).toMatchObject({ unit: 'm', x, y });
      expect(scan.positions.findings).toMatchObject([{ code: 'AXIS_ORDER_ASSUMED', severity: 'doubt' }]);
    });
  });

  it('NPY: Fortran order, missing positions', async () => {
    await refuses(
      () => npyReader.open(file('frames_fortran.npy'), { positions: file('positions.csv') }),
      'FORMAT_UNSUPPORTED',
      /ascontiguousarray/,
    );
    await refuses(
      () => npyReader.open(file('frames.npy'), {}),
      'DATASET_KEY_MISSING',
      /name a file of their positions/,
    );
    await refuses(() => npyReader.open(file('positions.npy'), {}), 'DATASET_SHAPE', /\(12, 2\)/);
  });

  it.each(['series', 'series/frame_*.tif', 'stack.tiff'])('TIFF: %s', async (name) => {
    const { counts, x } = await truth();
    await using(
      tiffReader,
      file(name),
      { positions: `${file('positions.npz')}:both`, positions_unit: 'm' },
      async (scan) => {
        await expectCounts(scan, counts);
        expect(scan.patterns.dtype).toBe(name === 'stack.tiff' ? 'uint32' : 'uint16');
        expect(scan.positions).toMatchObject({ unit: 'm', x });
      },
    );
    await refuses(() => tiffReader.open(file(name), {}), 'DATASET_KEY_MISSING', /name a file of their positions/);
  });
});

describe('what does not fit', () => {
  const kept = (...name: string[]) => path.join(formatFixtures, ...name);
  const frames = (...shape: number[]) => ({ data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1), shape });
  const positions = {
    x_m: { data: Float64Array.of(1, 2), shape: [2] },
    y_m: { data: Float64Array.of(3, 4), shape: [2] },
  };

  it('TIFF series of different frames, or of stacks', async () => {
    mkdirSync(scratch('mixed'));
    copyFileSync(kept('series', 'frame_1.tif'), scratch('mixed', 'a_2.tif'));
    copyFileSync(kept('pixels_le_u1.tif'), scratch('mixed', 'a_10.tif'));
    copyFileSync(kept('pixels_le_f4.tif'), scratch('mixed', 'a_11.tif'));
    await refuses(
      () => tiffReader.open(scratch('mixed'), {}),
      'DATASET_SHAPE',
      /a_10\.tif has 16 × 16 pixels of uint8, but .*a_2\.tif has/,
    );
    rmSync(scratch('mixed', 'a_10.tif'));
    copyFileSync(kept('stack.tiff'), scratch('mixed', 'a_3.tiff'));
    await refuses(() => tiffReader.open(scratch('mixed'), {}), 'DATASET_SHAPE', /a_3\.tiff is a stack/);
    mkdirSync(scratch('none'));
    await refuses(() => tiffReader.open(scratch('none'), {}), 'FILE_NOT_FOUND', /no TIFF files/);
  });

  it('HDF5: one candidate is taken, several are listed, none is said', async () => {
    await writeHdf5(scratch('one.h5'), {
      datasets: { '/deep/frames': frames(2, 4, 4), '/flat': frames(4, 4), ...positions },
    });
    await using(hdf5Reader, scratch('one.h5'), {}, (scan) => {
      expect(scan.patterns).toMatchObject({ count: 2, origin: { member: '/deep/frames' } });
      expect(scan.positions).toMatchObject({ unit: 'm', x: Float64Array.of(1, 2), y: Float64Array.of(3, 4) });
      expect(scan.notes.join()).toMatch(/its only dataset with three axes/);
      expect(scan.geometry).toEqual({
        energy_eV: undefined,
        detectorDistance_m: undefined,
        detectorPixel_m: undefined,
      });
    });
    await writeHdf5(scratch('two.h5'), { datasets: { '/a': frames(2, 4, 4), '/b': frames(3, 4, 4), ...positions } });
    await refuses(
      () => hdf5Reader.open(scratch('two.h5'), {}),
      'DATASET_KEY_MISSING',
      /2 datasets with three axes: \/a \(2, 4, 4\), \/b \(3, 4, 4\); name the patterns with diffraction_path/,
    );
    await refuses(
      () => hdf5Reader.open(scratch('two.h5'), { diffraction_path: '/c' }),
      'DATASET_KEY_MISSING',
      /nothing at "\/c"/,
    );
    await writeHdf5(scratch('zero.h5'), { datasets: { ...positions } });
    await refuses(() => hdf5Reader.open(scratch('zero.h5'), {}), 'DATASET_KEY_MISSING', /no dataset with three axes/);
    await writeHdf5(scratch('lost.h5'), { datasets: { '/dp': frames(2, 4, 4) } });
    await refuses(
      () => hdf5Reader.open(scratch('lost.h5'), {}),
      'DATASET_KEY_MISSING',
      /no scan positions in the usual places/,
    );
    await refuses(() => cxiReader.open(scratch('lost.h5'), {}), 'DATASET_KEY_MISSING', /no patterns at/);
  });

  it('HDF5: pieces that differ, or are not there', async () => {
    await writeHdf5(scratch('pieces.h5'), {
      datasets: {
        '/entry/data/data_000001': frames(2, 4, 4),
        '/entry/data/data_000002': frames(2, 4, 5),
        ...positions,
      },
    });
    await refuses(() => hdf5Reader.open(scratch('pieces.h5'), {}), 'DATASET_SHAPE', /data_000002".*does not continue/);
    copyFileSync(kept('nexus_master.h5'), scratch('nexus_master.h5'));
    copyFileSync(kept('nexus_data_000001.h5'), scratch('nexus_data_000001.h5'));
    await using(hdf5Reader, scratch('nexus_master.h5'), {}, (scan) => {
      expect(scan.patterns.count).toBe(7);
      expect(scan.frameNumbers).toEqual(Int32Array.from({ length: 7 }, (_, i) => i));
      expect(scan.notes.join()).toMatch(/has lost .*nexus_data_000002\.h5: the 7 frames that are there/);
    });
    await refuses(
      () => hdf5Reader.open(scratch('nexus_master.h5'), { diffraction_path: '/entry/data/data_000002' }),
      'FILE_NOT_FOUND',
      /nexus_data_000002\.h5, which does not exist/,
    );
  });

  it('HDF5: declared domain, values without units, unknown units', async () => {
    const datasets = {
      '/dp': frames(2, 4, 4),
      '/entry/instrument/detector/distance': { data: Float64Array.of(2), shape: [] },
      ...positions,
    };
    await writeHdf5(scratch('units.h5'), {
      datasets,
      attributes: { '/dp': { measurement_domain: 'count_amplitude' } },
    });
    await using(hdf5Reader, scratch('units.h5'), {}, (scan) => {
      expect(scan.measurementDomain).toMatchObject({ text: 'count_amplitude' });
      expect(scan.geometry.detectorDistance_m).toBeUndefined();
      expect(scan.notes.join()).toMatch(/Left out: .*distance" is 2, but does not say in which units/);
    });
    await writeHdf5(scratch('miles.h5'), {
      datasets,
      attributes: { '/entry/instrument/detector/distance': { units: 'miles' } },
    });
    await refuses(() => hdf5Reader.open(scratch('miles.h5'), {}), 'DATASET_UNITS', /"miles"/);
  });

  it('NPY: complex numbers', async () => {
    await writeFile(
      scratch('c.npy'),
      encodeNpy({ re: new Float32Array(16), im: new Float32Array(16), shape: [1, 4, 4] }),
    );
    await refuses(() => npyReader.open(scratch('c.npy'), {}), 'DATASET_VALUE', /complex64/);
  });
});
