/** What `product` prints, and how it ends. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeProductFile } from '../../src/persistence/product/writeProduct.js';
import { sampleProduct, sampleRawData } from '../persistence/product/sampleProduct.js';
import { scanArrays, writeArrays } from '../support/scanFiles.js';
import { cli } from './capture.js';

let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-product-cli-'));
  await writeProductFile(file('sample.h5'), { ...sampleProduct(), raw_data: sampleRawData() });
  await writeArrays(file('scan.npz'), scanArrays(9, 16));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('info lists everything, --json as data', async () => {
  const { code, out } = await cli('product', 'info', file('sample.h5'));
  expect(code).toBe(0);
  for (const line of [
    /sample\.h5, [\d.]+ kB, HDF5\n {2}content +as ptychopinn wrote it\n/,
    /energy 8800\.3 eV, distance 1\.9 m, exposure 0\.1 s, photons 1500000 a pattern\n/,
    /tomography angle -12\.5°/,
    /positions +7, indexes 3 … 21\n/,
    /probe +2 coherent × 3 incoherent modes of 5 × 4, pixels of 11 × 12 nm, OPR weights 7 × 2\n/,
    /object +3 layers of 6 × 8, pixels of 13 × 14 nm, centre 1, -2 µm\n +spacing +1, 2 µm\n/,
    /losses +3, the last 0\.1\n/,
    /raw data +7 patterns of 5 × 4, uint16, count_intensity, 1 bad pixel\n/,
  ]) {
    expect(out).toMatch(line);
  }
  const facts = JSON.parse((await cli('product', 'info', file('sample.h5'), '--json')).out);
  expect(facts).toMatchObject({
    format: 'hdf5',
    seal: 'intact',
    positions: { count: 7, indexes: [3, 21] },
    probe: { shape: [2, 3, 5, 4], opr_weights: [7, 2] },
    object: { center_m: [1e-6, -2e-6], layer_spacing_m: [1e-6, 2e-6] },
    raw_data: { shape: [7, 5, 4], dtype: 'uint16', bad_pixels: 1 },
    notes: [],
  });
});

it('export, verify and import say what came of it', async () => {
  const exported = await cli('product', 'export', file('scan.npz'), '--raw_data', '--output-file', file('out.h5'));
  expect(exported.code).toBe(0);
  expect(exported.out).toBe(`Written ${file('out.h5')}: 9 positions, an object of 30 × 30 and the patterns.\n`);
  const verified = await cli('product', 'verify', file('out.h5'));
  expect(verified).toMatchObject({
    code: 0,
    out: `${file('out.h5')} is sound: every byte follows from its content.\n`,
  });
  const imported = await cli('product', 'import', file('out.h5'), '--output_file', file('again.npz'));
  expect(imported.code).toBe(0);
  expect(imported.out).toMatch(/Written \S+again\.npz: 9 patterns of 16 × 16, count_amplitude \(.*\)\.\n/);
  const refused = await cli('product', 'verify', file('scan.npz'));
  expect(refused.code).not.toBe(0);
  expect(refused.err).toMatch(/is no Ptychodus product: probe_position_indexes and/);
});
