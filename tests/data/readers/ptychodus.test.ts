/** Ptychodus files: pairing by index, products as HDF5 and NPZ, bundles with raw data. */

import { copyFileSync, mkdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PtychoError } from '../../../src/core/errors.js';
import type { ReaderOptions } from '../../../src/data/options.js';
import { ptychodusReader } from '../../../src/data/readers/ptychodus.js';
import { recognise } from '../../../src/data/readers/registry.js';
import type { ScanFile } from '../../../src/data/scanFile.js';
import type { NpyInput } from '../../../src/formats/npyWrite.js';
import { projection } from '../../../src/physics/layers.js';
import { describeFixtures, formatFixtures, refuses, truthOf } from '../../support/formatFixtures.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

const toSingle = ({ re, im }: { re: ArrayLike<number>; im: ArrayLike<number> }) => ({
  re: Float32Array.from(re),
  im: Float32Array.from(im),
});

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-ptychodus-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const scratch = (name: string) => path.join(folder, name);

async function using<T>(name: string, options: ReaderOptions, work: (file: ScanFile) => T | Promise<T>): Promise<T> {
  const file = await ptychodusReader.open(name, options);
  try {
    return await work(file);
  } finally {
    await file.close();
  }
}

describeFixtures('ptychodusReader', (file) => {
  it('recognises its files', async () => {
    for (const name of ['diffraction.h5', 'bundle.h5', 'product.h5']) {
      expect(await recognise(file(name)), name).toBe('ptychodus');
    }
    // A folder that holds frames as well is one of frames.
    expect(await ptychodusReader.recognises!(file())).toBe(true);
    for (const name of ['nexus_master.h5', 'scan.cxi', 'product.npz', 'positions.csv', 'nothing.h5']) {
      expect(await recognise(file(name)).catch((error: PtychoError) => error.code), name).not.toBe('ptychodus');
    }
  });

  it.each(['the product beside it', 'product.h5', 'product.npz'])(
    'pairs patterns and positions by index: %s',
    async (product) => {
      const truth = await truthOf(file);
      const options = product.startsWith('the') ? {} : { product: file(product) };
      await using(file('diffraction.h5'), options, async (scan) => {
        const indexes = Array.from(truth.real('indexes').data);
        const places = Array.from(truth.real('position_indexes').data);
        const paired = indexes.filter((index) => places.includes(index));
        expect(paired).toHaveLength(11);
        expect(scan.patterns).toMatchObject({ count: 11, height: 16, width: 16, dtype: 'uint16', resident: false });
        expect(scan.positions.unit).toBe('m');
        expect(Array.from(scan.positions.x)).toEqual(
          paired.map((index) => truth.real('x_m').data[places.indexOf(index)]),
        );
        expect(Array.from(scan.positions.y)).toEqual(
          paired.map((index) => truth.real('y_m').data[places.indexOf(index)]),
        );
        const out = new Float32Array(11 * 256);
        const backwards = paired.map((_, i) => 10 - i);
        await scan.patterns.readRowsInto(backwards, out);
        const expected = backwards.flatMap((i) => {
          const row = indexes.indexOf(paired[i]);
          return Array.from(truth.real('counts').data.subarray(256 * row, 256 * row + 256));
        });
        expect(Array.from(out)).toEqual(expected);
        const { re, im } = truth.complex('probe');
        expect(scan.probeGuess).toMatchObject({ re: re.slice(0, 768), im: im.slice(0, 768), shape: [3, 16, 16] });
        const object = truth.complex('object');
        expect(scan.objectGuess).toEqual(projection({ ...toSingle(object), shape: [2, 20, 22] }));
        expect(scan.objectLayers?.array).toEqual({ ...toSingle(object), shape: [2, 20, 22] });
        expect(scan.objectLayers?.spacing_m).toHaveLength(1);
        expect(scan.badPixels).toMatchObject({ data: truth.real('bad').data, shape: [16, 16] });
        expect(scan.geometry).toEqual({
          energy_eV: 8800,
          detectorDistance_m: 1.9,
          objectPixel_m: { x: 40e-9, y: expect.closeTo(60e-9, 15) },
          objectCentre_m: { x: 1e-6, y: -2e-6 },
        });
        expect(scan.measurementDomain?.text).toBe('count_intensity');
        expect(scan.metadata).toMatchObject({ name: 'sample', exposure_time_s: 0.5 });
        const notes = scan.notes.join('\n');
        expect(notes).toMatch(
          /11 patterns have a position .* left out: 1 patterns without position, 1 positions without pattern/,
        );
        expect(notes).toMatch(/the first of 2 coherent \(OPR\) modes/);
        expect(notes).toMatch(
          /the object has 2 layers, which are kept; where one image is needed, it is their product/,
        );
      });
    },
  );

  it('takes positions from another file, one for each pattern', () =>
    using(file('diffraction.h5'), { positions: file('positions.npz') }, (scan) => {
      expect(scan.patterns.count).toBe(12);
      expect(scan.positions).toMatchObject({ unit: 'px' });
      expect(scan.positions.x).toHaveLength(12);
    }));

  it('opens a product with raw data alone', async () => {
    const truth = await truthOf(file);
    await using(file('bundle.h5'), {}, async (scan) => {
      expect(scan.patterns).toMatchObject({ count: 12, dtype: 'float32' });
      expect(scan.positions.unit).toBe('px');
      expect(Array.from(scan.positions.y)).toEqual(Array.from({ length: 12 }, (_, i) => i * -1.5));
      expect(scan.scanIndex).toEqual(Int32Array.from({ length: 12 }, (_, i) => Math.floor(i / 6)));
      expect(scan.probeGuess?.shape).toEqual([3, 16, 16]);
      const out = new Float32Array(256);
      await scan.patterns.readRowsInto([7], out);
      expect(out).toEqual(Float32Array.from(truth.real('counts').data.subarray(7 * 256, 8 * 256), Math.sqrt));
      expect(scan.measurementDomain).toBeUndefined();
    });
  });

  it('says what to do with a product without patterns', () =>
    refuses(
      () => ptychodusReader.open(file('product.h5'), {}),
      'DATASET_KEY_MISSING',
      /product without patterns.*give this file as its product/,
    ));
});

describe('files that do not fit', () => {
  const patterns = { data: new Uint16Array(3 * 16), shape: [3, 4, 4] };
  const ints = (...values: number[]) => ({ data: Int32Array.from(values), shape: [values.length] });
  const metres = (...values: number[]) => ({ data: Float64Array.from(values), shape: [values.length] });
  const product = (changes: Record<string, NpyInput> = {}) => ({
    probe_position_indexes: ints(0, 1, 2),
    probe_position_x_m: metres(0, 1, 2),
    probe_position_y_m: metres(0, 1, 2),
    ...changes,
  });
  let serial = 0;
  async function open(diffraction: Record<string, NpyInput>, productDatasets?: Record<string, NpyInput>) {
    const place = scratch(`case${serial++}`);
    mkdirSync(place);
    await writeHdf5(path.join(place, 'diffraction.h5'), { datasets: diffraction });
    if (productDatasets) await writeHdf5(path.join(place, 'product-in.h5'), { datasets: productDatasets });
    // The folder itself, as Ptychodus' batch mode has it.
    return using(place, {}, (scan) => scan);
  }

  it('are refused loudly', async () => {
    const cases: [
      Record<string, NpyInput>,
      Record<string, NpyInput> | undefined,
      Parameters<typeof refuses>[1],
      RegExp,
    ][] = [
      [{ patterns }, undefined, 'DATASET_KEY_MISSING', /positions, and there is no product-in\.h5/],
      [
        { patterns, indexes: ints(4, 5, 4) },
        product(),
        'DATASET_VALUE',
        /"\/indexes", has the index 4 twice \(rows 0 and 2\)/,
      ],
      [{ patterns, indexes: ints(0, 1) }, product(), 'DATASET_SHAPE', /2 values for 3 patterns/],
      [{ patterns }, product({ probe_position_indexes: ints(1, 1, 2) }), 'DATASET_VALUE', /index 1 twice/],
      [
        { patterns },
        product({ probe_position_indexes: metres(0.5, 1, 2) }),
        'DATASET_VALUE',
        /0\.5 at row 0, which is no index/,
      ],
      [
        { patterns, indexes: ints(0, 1, 2) },
        product({ probe_position_indexes: ints(7, 8, 9) }),
        'DATASET_VALUE',
        /are of different scans/,
      ],
      [{ patterns }, product({ probe_position_x_m: metres(0, 1) }), 'DATASET_SHAPE', /2 x and 3 y/],
      [{ patterns }, product({ probe_position_y_m: metres(0, Number.NaN, 1) }), 'DATASET_VALUE', /NaN at index 1/],
      [{ patterns }, { probe_position_x_m: metres(0) }, 'DATASET_KEY_MISSING', /is no Ptychodus product/],
      [
        { patterns: { data: new Uint16Array(16), shape: [4, 4] } },
        product(),
        'DATASET_SHAPE',
        /\(4, 4\), but diffraction must have three axes/,
      ],
      [{ patterns: { data: new Uint16Array(0), shape: [0, 4, 4] } }, product(), 'DATASET_SHAPE', /no patterns/],
    ];
    for (const [diffraction, productDatasets, code, message] of cases)
      await refuses(() => open(diffraction, productDatasets), code, message);
  });

  it('lose a mask of another shape, with a note', async () => {
    const scan = await open({ patterns, bad_pixels: ints(1, 0) }, product());
    expect(scan.badPixels).toBeUndefined();
    expect(scan.notes.join()).toMatch(/Left out: .*bad_pixels/);
    expect(scan.notes.join()).toMatch(/has no indexes; its patterns are taken to be 0 … 2/);
  });

  it('do not include a kept product under another name', async () => {
    mkdirSync(scratch('named'));
    for (const [from, to] of [
      ['diffraction.h5', 'diffraction.h5'],
      ['product.npz', 'product-out.npz'],
    ]) {
      copyFileSync(path.join(formatFixtures, from), scratch(`named/${to}`));
    }
    await using(scratch('named'), {}, (scan) => expect(scan.patterns.count).toBe(11));
  });
});
