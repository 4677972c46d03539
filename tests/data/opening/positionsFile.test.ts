/** Scan positions from files of their own, and units. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { geometryOf, geometryRecord } from '../../../src/data/metadata.js';
import { readPositionsFile } from '../../../src/data/opening/positionsFile.js';
import { objectPixel } from '../../../src/data/opening/scanGeometry.js';
import { asElectronvolts, asMetres, lengthUnit } from '../../../src/data/opening/units.js';
import { wavelengthOf } from '../../../src/data/opening/wavelength.js';
import { electronWavelength_m, energyOfWavelength_eV, wavelength_m } from '../../../src/physics/radiation.js';
import { describeFixtures, refuses, truthOf } from '../../support/formatFixtures.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-positions-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (name: string) => path.join(folder, name);

describeFixtures('readPositionsFile', (file) => {
  it('reads .csv as y,x and .txt as x y, in metres unless told otherwise', async () => {
    const truth = await truthOf(file);
    const [x, y] = [truth.real('x_m').data, truth.real('y_m').data];
    for (const name of ['positions.csv', 'positions.txt']) {
      const found = await readPositionsFile(file(name));
      expect(found).toMatchObject({ x, y, unit: 'm', origin: { path: file(name) } });
      // The titles y_m and x_m of the one decide; nothing names the columns of the other.
      expect(found.findings?.map(({ code }) => code)).toEqual(name.endsWith('.csv') ? [] : ['AXIS_ORDER_ASSUMED']);
      expect(await readPositionsFile(file(name), 'px')).toMatchObject({ x, y, unit: 'px' });
    }
  });

  it('reads NPY and NPZ, whose unit is that of the names or given', async () => {
    const truth = await truthOf(file);
    const x = truth.real('x_m').data;
    await refuses(() => readPositionsFile(file('positions.npy')), 'DATASET_UNITS', /give positions_unit m or px/);
    expect(await readPositionsFile(file('positions.npy'), 'm')).toMatchObject({ x, unit: 'm' });
    expect(await readPositionsFile(file('positions.npz'))).toMatchObject({
      unit: 'px',
      x: x.map((v) => v / 40e-9),
    });
    await refuses(() => readPositionsFile(`${file('positions.npz')}:both`), 'DATASET_UNITS', /"both"/);
    expect(await readPositionsFile(`${file('positions.npz')}:both`, 'm')).toMatchObject({ x });
    expect(await readPositionsFile(file('product.npz'))).toMatchObject({ unit: 'm' });
    await refuses(() => readPositionsFile(`${file('positions.npz')}:none`, 'm'), 'DATASET_KEY_MISSING', /"none"/);
    await refuses(
      () => readPositionsFile(file('frames.npy'), 'px'),
      'DATASET_SHAPE',
      /\(12, 16, 16\), but positions must be/,
    );
  });

  it('reads groups and datasets of HDF5 files with their units', async () => {
    const truth = await truthOf(file);
    const x = truth.real('x_m').data as Float64Array;
    const nexus = `${file('nexus_master.h5')}:/entry/scan`;
    const found = await readPositionsFile(nexus);
    expect(found.unit).toBe('m');
    expect(Array.from(found.x)).toEqual(Array.from(x, (v) => expect.closeTo(v, 15)));
    // Told that these are object pixels, the numbers stay as they are.
    expect((await readPositionsFile(nexus, 'px')).x[0]).toBeCloseTo(x[0] * 1e6, 9);
    expect(await readPositionsFile(file('product.h5'))).toMatchObject({ unit: 'm', x });
    expect(await readPositionsFile(`${file('virtual.h5')}:/exchange/positions`)).toMatchObject({
      unit: 'm',
      x,
    });
    await refuses(
      () => readPositionsFile(`${file('scan.cxi')}:/entry_1/data_1/translation`),
      'DATASET_UNITS',
      /translation/,
    );
    expect(await readPositionsFile(`${file('scan.cxi')}:/entry_1/data_1/translation`, 'm')).toMatchObject({
      x,
    });
    await refuses(() => readPositionsFile(file('types.h5')), 'DATASET_KEY_MISSING', /holds no positions/);
    await refuses(() => readPositionsFile(`${file('types.h5')}:/group/inner`, 'm'), 'DATASET_SHAPE', /\(2, 3, 4\)/);
  });
});

describe('positions that do not fit', () => {
  it('are refused in one sentence', async () => {
    await writeFile(scratch('a.xyz'), '1 2\n');
    await refuses(() => readPositionsFile(scratch('a.xyz')), 'FILE_FORMAT', /expected are \.csv/);
    await refuses(() => readPositionsFile(scratch('none.csv')), 'FILE_NOT_FOUND', /no such file/);
    const one = (units: string) => ({ x: { units: 'um' }, y: { units } });
    const datasets = { x: { data: Float64Array.of(1, 2), shape: [2] }, y: { data: Float64Array.of(3, 4), shape: [2] } };
    await writeHdf5(scratch('mixed.h5'), { datasets, attributes: { '/x': { units: 'px' }, '/y': { units: 'um' } } });
    await refuses(() => readPositionsFile(scratch('mixed.h5')), 'DATASET_UNITS', /different units/);
    await writeHdf5(scratch('two.h5'), { datasets, attributes: { '/x': one('mm').x, '/y': one('mm').y } });
    const { x, y } = await readPositionsFile(scratch('two.h5'));
    expect([...x, ...y]).toEqual([1e-6, 2e-6, 3e-3, 4e-3].map((v) => expect.closeTo(v, 15)));
    await writeHdf5(scratch('bare.h5'), { datasets });
    await refuses(() => readPositionsFile(scratch('bare.h5')), 'DATASET_UNITS', /give positions_unit/);
  });
});

describe('units', () => {
  it('become metres and electronvolts', () => {
    expect(asMetres(75, ' Microns ', 'x')).toBeCloseTo(75e-6, 15);
    expect(asMetres(1.41, 'angstrom', 'x')).toBeCloseTo(1.41e-10, 20);
    expect(asMetres(2, 'µm', 'x')).toBeCloseTo(2e-6, 15);
    expect(asElectronvolts(8.8, 'keV', 'x')).toBeCloseTo(8800, 9);
    expect(asElectronvolts(1.602176634e-19, 'J', 'x')).toBeCloseTo(1, 12);
    expect(lengthUnit('pixels')).toBe('px');
    expect(lengthUnit('deg')).toBeUndefined();
    // 12.398 keV·Å.
    expect(wavelength_m(12398.41984)).toBeCloseTo(1e-10, 18);
    expect(energyOfWavelength_eV(wavelength_m(8800))).toBeCloseTo(8800, 8);
  });
});

describe('electrons', () => {
  it('have a relativistic wavelength, by which pixels are computed and which the metadata keep', async () => {
    // 300 kV: 1.9687 pm, 80 kV: 4.1757 pm.
    expect(electronWavelength_m(300e3)).toBeCloseTo(1.96875e-12, 16);
    expect(electronWavelength_m(80e3)).toBeCloseTo(4.17572e-12, 16);
    const geometry = { energy_eV: 300e3, wavelength_m: electronWavelength_m(300e3) };
    expect(wavelengthOf(geometry)).toBe(geometry.wavelength_m);
    expect(wavelengthOf({ energy_eV: 8800 })).toBe(wavelength_m(8800));
    const record = { additional_parameters: { geometry: geometryRecord(geometry) } };
    expect(geometryOf(JSON.parse(JSON.stringify(record)))).toMatchObject(geometry);
    const side = { detectorDistance_m: 1, detectorPixel_m: { x: 1e-3, y: 1e-3 } };
    expect(objectPixel({ ...geometry, ...side }, 64)?.x).toBeCloseTo(3.0762e-11, 14);
  });
});
