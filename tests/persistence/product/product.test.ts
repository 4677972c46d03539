/** Products written by us and read by us, what is refused, and hashes. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openHdf5 } from '../../../src/formats/hdf5/file.js';
import type { Hdf5AttributeInput } from '../../../src/formats/hdf5/writer.js';
import type { NpyInput } from '../../../src/formats/npyWrite.js';
import { openNpz, writeNpz } from '../../../src/formats/npz.js';
import { patternsOf, productArrays } from '../../../src/persistence/product/arrays.js';
import type { Product, ProductPatterns } from '../../../src/persistence/product/product.js';
import { readProductFile, readStoredProduct } from '../../../src/persistence/product/readProduct.js';
import { writeProductFile } from '../../../src/persistence/product/writeProduct.js';
import { verifyProductFile } from '../../../src/persistence/verify.js';
import { refuses } from '../../support/formatFixtures.js';
import { writeHdf5 } from '../../support/writeHdf5.js';
import { sampleProduct, sampleRawData } from './sampleProduct.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-product-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const file = (name: string) => path.join(folder, name);

const minimal = (): Product => {
  const product = sampleProduct(0);
  const { opr_weights: _, ...probe } = product.probe;
  const one = (shape: readonly number[]) => ({ re: Float32Array.of(1), im: Float32Array.of(-0), shape });
  return {
    ...product,
    metadata: { ...product.metadata, name: '', comments: '' },
    probe: { ...probe, array: one([1, 1, 1, 1]) },
    object: { ...product.object, array: one([1, 1, 1]), layer_spacing_m: new Float64Array(0) },
    losses: { epochs: new Int32Array(0), values: new Float64Array(0) },
  };
};

async function allPieces(patterns: ProductPatterns): Promise<number[]> {
  const values: number[] = [];
  for await (const piece of patterns.pieces()) values.push(...piece);
  return values;
}

describe.each(['h5', 'hdf5', 'npz'])('a product as .%s', (ending) => {
  it('comes back as it was, every field', async () => {
    const product = sampleProduct();
    await writeProductFile(file(`whole.${ending}`), product);
    const notes: string[] = [];
    expect(await readProductFile(file(`whole.${ending}`), { note: (text) => notes.push(text) })).toEqual(product);
    expect(notes).toEqual([]);
  });

  it('may be empty', async () => {
    await writeProductFile(file(`empty.${ending}`), minimal());
    expect(await readProductFile(file(`empty.${ending}`))).toEqual(minimal());
  });

  it('is the same bytes each time, whatever was written before, and verified', async () => {
    const name = file(`twice.${ending}`);
    await writeProductFile(name, sampleProduct());
    const first = await readFile(name);
    await writeProductFile(file(`other.${ending}`), sampleProduct(9, 2));
    await new Promise((done) => setTimeout(done, 1100));
    await writeProductFile(name, sampleProduct());
    expect((await readFile(name)).equals(first)).toBe(true);
    expect((await verifyProductFile(name)).seal).toBe('intact');
  });

  it('that is changed is refused, unless that is wanted', async () => {
    const name = file(`changed.${ending}`);
    const product = sampleProduct();
    const arrays = new Map(productArrays(product));
    await writeProductFile(name, product);
    const hash = await sealIn(name);
    arrays.set('probe_photon_count', { data: Float64Array.of(2e6), shape: [] });
    if (ending === 'npz') {
      await writeNpz(name, { ...Object.fromEntries(arrays), ptychopinn_sha256: { strings: [hash], shape: [] } });
    } else {
      await writeHdf5(name, hdf5Content(arrays, { ptychopinn_sha256: hash }));
    }
    await refuses(() => readProductFile(name), 'FILE_FORMAT', /not as ptychopinn wrote it: .*ptychopinn_sha256/);
    await refuses(() => verifyProductFile(name), 'FILE_FORMAT', /not as ptychopinn wrote it/);
    const accepted = await readProductFile(name, { acceptChanges: true });
    expect(accepted.metadata.probe_photon_count).toBe(2e6);
    expect((await readStoredProduct(name)).seal).toBe('broken');
  });
});

async function sealIn(name: string): Promise<string> {
  if (name.endsWith('.npz')) {
    const npz = await openNpz(name);
    const array = await npz.read('ptychopinn_sha256').finally(() => npz.close());
    return array.kind === 'text' ? array.strings[0] : '';
  }
  const opened = await openHdf5(name);
  try {
    return opened.attributes().ptychopinn_sha256 as string;
  } finally {
    opened.close();
  }
}

/** A product in HDF5 by other hands. */
function hdf5Content(arrays: ReadonlyMap<string, NpyInput>, root: Record<string, Hdf5AttributeInput> = {}) {
  const datasets: Record<string, NpyInput> = {};
  const attributes: Record<string, Record<string, Hdf5AttributeInput>> = { '/': { ...root } };
  for (const [key, input] of arrays) {
    const [, object, name] = /^(probe|object)_((?:pixel|center)_.+)$/.exec(key) ?? [];
    const value =
      'strings' in input ? input.strings[0] : 'data' in input && input.shape.length === 0 ? input.data[0] : undefined;
    if (value === undefined) datasets[`/${key}`] = input;
    else if (object === undefined) attributes['/'][key] = value;
    else attributes[`/${object}`] = { ...attributes[`/${object}`], [name]: value };
  }
  return { datasets, attributes };
}

describe('verify', () => {
  it('refuses any other byte, with its place', async () => {
    await writeProductFile(file('sound.h5'), sampleProduct());
    const bytes = await readFile(file('sound.h5'));
    await writeFile(file('longer.h5'), Buffer.concat([bytes, Buffer.of(0)]));
    expect(await readProductFile(file('longer.h5'))).toEqual(sampleProduct());
    await refuses(() => verifyProductFile(file('longer.h5')), 'FILE_FORMAT', new RegExp(`byte ${bytes.length} is not`));
    const arrays = productArrays(sampleProduct());
    const hash = await sealIn(file('sound.h5'));
    await writeNpz(
      file('packed.npz'),
      { ...Object.fromEntries(arrays), ptychopinn_sha256: { strings: [hash], shape: [] } },
      { compress: true },
    );
    expect((await readStoredProduct(file('packed.npz'))).seal).toBe('intact');
    await refuses(() => verifyProductFile(file('packed.npz')), 'FILE_FORMAT', /byte \d+ is not what ptychopinn writes/);
  });

  it('has nothing to compare products of others with', async () => {
    await writeHdf5(file('foreign.h5'), hdf5Content(productArrays(sampleProduct())));
    expect((await readStoredProduct(file('foreign.h5'))).seal).toBe('none');
    await refuses(() => verifyProductFile(file('foreign.h5')), 'FILE_FORMAT', /holds no ptychopinn_sha256/);
  });
});

describe('raw data', () => {
  const withRaw = { ...sampleProduct(), raw_data: sampleRawData() };

  it('come back piece by piece', async () => {
    await writeProductFile(file('raw.h5'), withRaw);
    const { raw_data, ...rest } = await readProductFile(file('raw.h5'));
    expect(rest).toEqual(sampleProduct());
    const { diffraction, ...others } = sampleRawData();
    expect(raw_data).toMatchObject(others);
    const patterns = patternsOf(raw_data!);
    expect(patterns).toMatchObject({ shape: [7, 5, 4], dtype: 'uint16' });
    const values = Array.from((diffraction as { data: Uint16Array }).data);
    expect(await allPieces(patterns)).toEqual(values);
    expect((await verifyProductFile(file('raw.h5'))).seal).toBe('intact');
  });

  it('need not say their domain or their bad pixels', async () => {
    const { measurement_domain: _, bad_pixels: __, ...raw_data } = sampleRawData();
    await writeProductFile(file('plain.h5'), { ...sampleProduct(), raw_data });
    const read = await readProductFile(file('plain.h5'));
    expect(Object.keys(read.raw_data!)).toEqual(['diffraction', 'xcoords_px', 'ycoords_px', 'scan_index']);
  });

  it('go into HDF5 only, all of them', async () => {
    await refuses(
      () => writeProductFile(file('raw.npz'), withRaw),
      'CONFIG_INVALID',
      /only HDF5 products hold raw data/,
    );
    const short: ProductPatterns = {
      shape: [7, 5, 4],
      dtype: 'uint16',
      async *pieces() {
        yield new Uint16Array(40);
      },
    };
    const raw_data = { ...sampleRawData(), diffraction: short };
    await refuses(
      () => writeProductFile(file('short.h5'), { ...sampleProduct(), raw_data }),
      'DATASET_SHAPE',
      /2 raw patterns came, but the file was begun for 7/,
    );
    expect((await readdir(folder)).filter((name) => name.includes('short'))).toEqual([]);
  });

  it('that changed are refused when they are read', async () => {
    await writeProductFile(file('raw.h5'), withRaw);
    const opened = await openHdf5(file('raw.h5'));
    const seal = opened.attributes('/raw_data/diffraction').ptychopinn_sha256;
    const root = opened.attributes();
    opened.close();
    const { datasets, attributes } = hdf5Content(productArrays(sampleProduct()), {
      ptychopinn_sha256: root.ptychopinn_sha256 as string,
    });
    const raw = sampleRawData();
    const { data, shape } = raw.diffraction as { data: Uint16Array; shape: readonly number[] };
    const numbers = (values: Int32Array | Float64Array) => ({ data: values, shape: [values.length] });
    await writeHdf5(file('rawChanged.h5'), {
      datasets: {
        ...datasets,
        '/raw_data/diffraction': { data: data.map((v, i) => (i === 33 ? v + 1 : v)), shape },
        '/raw_data/xcoords': numbers(raw.xcoords_px),
        '/raw_data/ycoords': numbers(raw.ycoords_px),
        '/raw_data/scan_index': numbers(raw.scan_index),
        '/raw_data/bad_pixels': raw.bad_pixels!,
      },
      attributes: {
        ...attributes,
        '/raw_data/diffraction': { measurement_domain: 'count_intensity', ptychopinn_sha256: seal as string },
      },
    });
    const product = await readProductFile(file('rawChanged.h5'));
    await refuses(
      () => allPieces(patternsOf(product.raw_data!)),
      'FILE_FORMAT',
      /raw patterns do not have the SHA-256/,
    );
  });
});

describe('OPR weights', () => {
  const attribute = async (name: string) => {
    const opened = await openHdf5(name);
    try {
      return opened.attributeArray('/probe', 'opr_weights');
    } finally {
      opened.close();
    }
  };

  it('are an attribute of the probe while they fit, and always a dataset', async () => {
    for (const [n, fits] of [
      [4032, true],
      [4033, false],
      [5000, false],
    ] as const) {
      const product = sampleProduct(n);
      await writeProductFile(file('weights.h5'), product);
      expect((await attribute(file('weights.h5')))?.shape).toEqual(fits ? [n, 2] : undefined);
      expect((await readProductFile(file('weights.h5'))).probe.opr_weights).toEqual(product.probe.opr_weights);
    }
  });

  it.each(['attribute', 'dataset'])('are read from the %s alone', async (place) => {
    const product = sampleProduct();
    const { datasets, attributes } = hdf5Content(productArrays(product));
    const { '/opr_weights': weights, ...others } = datasets;
    await writeHdf5(
      file('one.h5'),
      place === 'dataset'
        ? { datasets, attributes }
        : {
            datasets: others,
            attributes: { ...attributes, '/probe': { ...attributes['/probe'], opr_weights: weights as never } },
          },
    );
    expect(await readProductFile(file('one.h5'))).toEqual(product);
  });

  it('that differ in the two places are refused', async () => {
    const { datasets, attributes } = hdf5Content(productArrays(sampleProduct()));
    const opr_weights = sampleProduct(7, 2).probe.opr_weights!;
    await writeHdf5(file('two.h5'), {
      datasets,
      attributes: { ...attributes, '/probe': { ...attributes['/probe'], opr_weights } },
    });
    await refuses(() => readProductFile(file('two.h5')), 'DATASET_VALUE', /opr_weights.*unclear which weights hold/);
  });
});

describe('what others write', () => {
  const read = async (changes: Record<string, NpyInput | undefined>) => {
    const arrays = { ...Object.fromEntries(productArrays(sampleProduct())), ...changes };
    await writeNpz(
      file('others.npz'),
      Object.fromEntries(Object.entries(arrays).filter(([, input]) => input !== undefined)) as Record<string, NpyInput>,
    );
    const notes: string[] = [];
    return { product: await readProductFile(file('others.npz'), { note: (text) => notes.push(text) }), notes };
  };
  const doubles = (...values: number[]) => ({ data: Float64Array.from(values), shape: [values.length] });
  const complex = (shape: readonly number[], size: number) => ({
    re: Float64Array.from({ length: size }, (_, i) => i + 0.5),
    im: new Float64Array(size),
    shape,
  });

  it('optional numbers are 0, texts are empty, losses may be missing', async () => {
    const { product } = await read({
      probe_photon_count: undefined,
      mass_attenuation_m2_kg: undefined,
      tomography_angle_deg: undefined,
      name: undefined,
      comments: undefined,
      loss_values: undefined,
      loss_epochs: undefined,
      opr_weights: undefined,
    });
    expect(product.metadata).toMatchObject({
      probe_photon_count: 0,
      mass_attenuation_m2_kg: 0,
      tomography_angle_deg: 0,
    });
    expect(product.metadata).toMatchObject({ name: '', comments: '', probe_energy_eV: 8800.25 });
    expect(product.losses).toEqual({ epochs: new Int32Array(0), values: new Float64Array(0) });
    expect(product.probe.opr_weights).toBeUndefined();
  });

  it('losses may be called costs, and their epochs be counted', async () => {
    const { product } = await read({ loss_values: undefined, loss_epochs: undefined, costs: doubles(4, 2, 1) });
    expect(product.losses).toEqual({ epochs: Int32Array.of(0, 1, 2), values: Float64Array.of(4, 2, 1) });
  });

  it('fewer axes are filled up, double precision is rounded', async () => {
    const { product } = await read({
      probe: complex([3, 2], 6),
      object: complex([4, 5], 20),
      object_layer_spacing_m: undefined,
      opr_weights: undefined,
    });
    expect(product.probe.array).toMatchObject({
      shape: [1, 1, 3, 2],
      re: Float32Array.of(0.5, 1.5, 2.5, 3.5, 4.5, 5.5),
    });
    expect(product.object.array.shape).toEqual([1, 4, 5]);
    const modes = await read({ probe: complex([2, 3, 2], 12), opr_weights: doubles(1, 1, 1, 1, 1, 1, 0.5) });
    expect(modes.product.probe.array.shape).toEqual([1, 2, 3, 2]);
    expect(modes.product.probe.opr_weights).toEqual({ data: Float64Array.of(1, 1, 1, 1, 1, 1, 0.5), shape: [7, 1] });
    const row = await read({ opr_weights: doubles(1, 0.25) });
    expect(row.product.probe.opr_weights?.shape).toEqual([7, 2]);
    expect(Array.from(row.product.probe.opr_weights!.data.subarray(0, 4))).toEqual([1, 0.25, 1, 0.25]);
  });

  it('pixels that are not given are those of the other, or assumed, with a note', async () => {
    const object = { object_pixel_width_m: undefined, object_pixel_height_m: undefined };
    const probe = { probe_pixel_width_m: undefined, probe_pixel_height_m: undefined };
    const one = await read(object);
    expect(one.product.object.pixel).toEqual({ width_m: 1.1e-8, height_m: 1.2e-8 });
    expect(one.notes).toEqual([expect.stringMatching(/no size of the object's pixels; .* those of the probe\.$/)]);
    const none = await read({ ...object, ...probe, object_center_x_m: undefined });
    expect(none.product.object.pixel).toEqual({ width_m: 5e-8, height_m: 5e-8 });
    expect(none.product.probe.pixel).toEqual({ width_m: 5e-8, height_m: 5e-8 });
    expect(none.notes).toHaveLength(2);
    expect(none.notes[1]).toMatch(/object_center_x_m is taken to be 0/);
  });

  it.each<[string, Record<string, NpyInput | undefined>, Parameters<typeof refuses>[1], RegExp]>([
    ['no energy', { probe_energy_eV: undefined }, 'DATASET_KEY_MISSING', /no array probe_energy_eV, without which/],
    ['no probe', { probe: undefined }, 'DATASET_KEY_MISSING', /without "probe"/],
    ['no object', { object: undefined }, 'DATASET_KEY_MISSING', /without "object"/],
    [
      'no positions',
      { probe_position_x_m: undefined },
      'DATASET_KEY_MISSING',
      /is no Ptychodus product: probe_position_x_m is missing/,
    ],
    [
      'an energy in words',
      { probe_energy_eV: { strings: ['8 keV'], shape: [] } },
      'DATASET_VALUE',
      /is "8 keV", but a number was expected/,
    ],
    [
      'an infinite distance',
      { detector_object_distance_m: doubles(Infinity) },
      'DATASET_VALUE',
      /must be a finite number/,
    ],
    [
      'lists of different lengths',
      { probe_position_x_m: doubles(1, 2) },
      'DATASET_SHAPE',
      /7 position indexes, but 2 x and 7 y/,
    ],
    [
      'NaN',
      { probe_position_y_m: doubles(0, 1, 2, Number.NaN, 4, 5, 6) },
      'DATASET_VALUE',
      /"probe_position_y_m", has the value NaN at index 3/,
    ],
    [
      'an index twice',
      { probe_position_indexes: doubles(1, 2, 3, 2, 5, 6, 7) },
      'DATASET_VALUE',
      /has the index 2 twice \(rows 1 and 3\)/,
    ],
    [
      'half an index',
      { probe_position_indexes: doubles(1, 2, 3, 4.5, 5, 6, 7) },
      'DATASET_VALUE',
      /the value 4.5 at row 3, which is no index/,
    ],
    [
      'a layer too few',
      { object_layer_spacing_m: doubles(1e-6) },
      'DATASET_SHAPE',
      /1 distances for an object of 3 layers; there must be one fewer/,
    ],
    ['a probe of five axes', { probe: complex([1, 1, 1, 2, 2], 4) }, 'PROBE_SHAPE', /two to four axes/],
    ['an object of one axis', { object: complex([4], 4) }, 'DATASET_SHAPE', /two or three axes/],
    [
      'weights of other positions',
      { opr_weights: { data: new Float64Array(8), shape: [4, 2] } },
      'DATASET_SHAPE',
      /has shape \(4, 2\), but 7 positions and 2 coherent modes .* need \(7, 2\)/,
    ],
    ['losses without epochs', { loss_epochs: doubles(1) }, 'DATASET_SHAPE', /1 epochs for 3 losses/],
    ['pixels of no size', { object_pixel_width_m: doubles(0) }, 'DATASET_VALUE', /size of a pixel must be a positive/],
  ])('%s is refused', async (_, changes, code, message) => {
    await refuses(() => read(changes), code, message);
  });

  it('other formats and later versions are refused', async () => {
    const arrays = productArrays(sampleProduct());
    await writeHdf5(file('other.h5'), hdf5Content(arrays, { format_id: 'something.else' }));
    await refuses(() => readProductFile(file('other.h5')), 'FILE_FORMAT', /says that it is "something\.else"/);
    await writeHdf5(
      file('later.h5'),
      hdf5Content(arrays, { format_id: 'ptychodus.product.hdf5', format_version: '2.0' }),
    );
    await refuses(() => readProductFile(file('later.h5')), 'FORMAT_UNSUPPORTED', /version 2\.0.*update ptychopinn/);
  });
});

describe('what is not written', () => {
  it.each<[string, Partial<Product>, Parameters<typeof refuses>[1], RegExp]>([
    [
      'NaN',
      { positions: { ...sampleProduct().positions, x_m: new Float64Array(7).fill(Number.NaN) } },
      'DATASET_VALUE',
      /probe_position_x_m.*NaN/,
    ],
    [
      'an index twice',
      { positions: { ...sampleProduct().positions, indexes: new Int32Array(7) } },
      'DATASET_VALUE',
      /index 0 twice/,
    ],
    ['a name with NUL', { metadata: { ...sampleProduct().metadata, name: 'a\0b' } }, 'DATASET_VALUE', /NUL/],
  ])('%s', async (_, changes, code, message) => {
    for (const name of ['bad.h5', 'bad.npz']) {
      await refuses(() => writeProductFile(file(name), { ...sampleProduct(), ...changes }), code, message);
    }
    expect((await readdir(folder)).filter((name) => name.includes('bad'))).toEqual([]);
  });

  it('files of other endings', () =>
    refuses(
      () => writeProductFile(file('product.mat'), sampleProduct()),
      'CONFIG_INVALID',
      /must end in \.h5, \.hdf5 or \.npz/,
    ));
});
