/** Products between us and Python: written here and read by h5py and NumPy, and the other way round. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ComplexTensor } from '../../../src/core/tensor.js';
import { openNpz } from '../../../src/formats/npz.js';
import { patternsOf } from '../../../src/persistence/product/arrays.js';
import type { Product } from '../../../src/persistence/product/product.js';
import { readProductFile } from '../../../src/persistence/product/readProduct.js';
import { writeProductFile } from '../../../src/persistence/product/writeProduct.js';
import { describePython, runPython } from '../../support/python.js';
import { sampleProduct, sampleRawData } from './sampleProduct.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-product-python-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));
const file = (name: string) => path.join(folder, name);

/** As JSON: arrays with dtype and shape, complex numbers as [re, im], attributes with the type that Python sees. */
const DESCRIBE = `
import json, sys
import numpy as np

def plain(value):
    array = np.asarray(value)
    if array.dtype.kind == 'c':
        return [[float(v.real), float(v.imag)] for v in array.ravel()]
    return [v.item() if hasattr(v, 'item') else v for v in array.ravel()]

def described(value):
    array = np.asarray(value)
    return {'type': type(value).__name__, 'dtype': array.dtype.str, 'shape': list(array.shape), 'values': plain(value)}
`;
const READ_H5 = `${DESCRIBE}
import h5py
out = {}
with h5py.File(sys.argv[1], 'r') as f:
    def see(name, item):
        where = '/' + name if name else '/'
        for key, value in item.attrs.items():
            out[where + '@' + key] = described(value)
        if isinstance(item, h5py.Dataset):
            out[where] = {**described(item[()]), 'chunks': item.chunks, 'gzip': item.compression_opts}
    see('', f)
    f.visititems(see)
    out['linked'] = 'raw_data' in f and f['raw_data/probeGuess'] == f['probe'] and f['raw_data/objectGuess'] == f['object']
print(json.dumps(out))
`;
const READ_NPZ = `${DESCRIBE}
with np.load(sys.argv[1]) as f:
    print(json.dumps({key: described(f[key]) for key in f.files}))
`;

interface Described {
  readonly type: string;
  readonly dtype: string;
  readonly shape: number[];
  readonly values: unknown[];
}
type Listing = Record<string, Described>;

const pairs = ({ re, im }: ComplexTensor) => Array.from(re, (value, i) => [value, im[i]]);
const doubles = (shape: number[], values: Iterable<number>) => ({ dtype: '<f8', shape, values: Array.from(values) });
const longs = (values: Iterable<number>) => ({ dtype: '<i8', shape: [3], values: Array.from(values) });

describePython('products that we write', ['numpy', 'h5py'], () => {
  it('are what h5py expects, types and all', async () => {
    const product: Product = { ...sampleProduct(), raw_data: sampleRawData() };
    await writeProductFile(file('ours.h5'), product);
    const found = JSON.parse(runPython(READ_H5, [file('ours.h5')], ['numpy', 'h5py'])) as Listing;
    for (const [key, value] of Object.entries(product.metadata)) {
      const expected = typeof value === 'string' ? { type: 'str' } : { type: 'float64', dtype: '<f8' };
      expect(found[`/@${key}`], key).toMatchObject({ ...expected, shape: [], values: [value] });
    }
    const { positions, probe, object, losses } = product;
    expect(found['/probe_position_indexes']).toMatchObject({ ...longs(positions.indexes), shape: [7] });
    expect(found['/probe_position_x_m']).toMatchObject(doubles([7], positions.x_m));
    expect(found['/probe_position_y_m']).toMatchObject(doubles([7], positions.y_m));
    expect(found['/probe']).toMatchObject({ dtype: '<c8', shape: [2, 3, 5, 4], values: pairs(probe.array) });
    expect(found['/probe@pixel_width_m']).toMatchObject(doubles([], [1.1e-8]));
    expect(found['/probe@pixel_height_m']).toMatchObject(doubles([], [1.2e-8]));
    expect(found['/probe@opr_weights']).toMatchObject(doubles([7, 2], probe.opr_weights!.data));
    expect(found['/opr_weights']).toMatchObject(doubles([7, 2], probe.opr_weights!.data));
    expect(found['/object']).toMatchObject({ dtype: '<c8', shape: [3, 6, 8], values: pairs(object.array) });
    expect(found['/object@center_x_m']).toMatchObject(doubles([], [1e-6]));
    expect(found['/object@center_y_m']).toMatchObject(doubles([], [-2e-6]));
    expect(found['/object@pixel_width_m']).toMatchObject(doubles([], [1.3e-8]));
    expect(found['/object@pixel_height_m']).toMatchObject(doubles([], [1.4e-8]));
    expect(found['/object_layer_spacing_m']).toMatchObject(doubles([2], [1e-6, 2e-6]));
    expect(found['/loss_values']).toMatchObject(doubles([3], losses.values));
    expect(found['/loss_epochs']).toMatchObject(longs(losses.epochs));
    expect(found['/@format_id']).toMatchObject({ type: 'str', values: ['ptychodus.product.hdf5'] });
    expect(found['/@format_version']).toMatchObject({ type: 'str', values: ['1.0'] });
    expect(found['/@bundle_version']).toMatchObject({ type: 'str', values: ['1.0'] });
    expect(found['/@contains_raw_data']).toMatchObject({ dtype: '<i8', shape: [], values: [1] });
    const raw = sampleRawData();
    expect(found['/raw_data/diffraction']).toMatchObject({
      dtype: '<u2',
      shape: [7, 5, 4],
      values: Array.from((raw.diffraction as { data: Uint16Array }).data),
      chunks: [1, 5, 4],
      gzip: 4,
    });
    expect(found['/raw_data/diffraction@axis_canonical']).toMatchObject({ type: 'str', values: ['NHW'] });
    expect(found['/raw_data/diffraction@original_axis_order']).toMatchObject({ type: 'str', values: ['NHW'] });
    expect(found['/raw_data/xcoords']).toMatchObject(doubles([7], raw.xcoords_px));
    expect(found['/raw_data/ycoords']).toMatchObject(doubles([7], raw.ycoords_px));
    expect(found['/raw_data/scan_index']).toMatchObject({ ...longs(raw.scan_index), shape: [7] });
    expect(found.linked).toBe(true);
  });

  it('have empty lists as NumPy makes them', async () => {
    const product = sampleProduct(0);
    const { opr_weights: _, ...probe } = product.probe;
    const object = { ...product.object, array: { ...product.object.array, shape: [1, 18, 8] } };
    const empty: Product = {
      ...product,
      probe,
      object: { ...object, layer_spacing_m: new Float64Array(0) },
      losses: { epochs: new Int32Array(0), values: new Float64Array(0) },
    };
    await writeProductFile(file('empty.h5'), empty);
    await writeProductFile(file('empty.npz'), empty);
    const h5 = JSON.parse(runPython(READ_H5, [file('empty.h5')], ['numpy', 'h5py'])) as Listing;
    const npz = JSON.parse(runPython(READ_NPZ, [file('empty.npz')])) as Listing;
    for (const key of ['loss_values', 'loss_epochs', 'object_layer_spacing_m', 'probe_position_indexes']) {
      for (const found of [h5[`/${key}`], npz[key]]) {
        expect(found, key).toMatchObject({ dtype: '<f8', shape: [0], values: [] });
      }
    }
    expect(h5['/opr_weights']).toBeUndefined();
    expect(h5['/probe@opr_weights']).toBeUndefined();
  });

  it('are what numpy.load expects', async () => {
    const product = sampleProduct();
    await writeProductFile(file('ours.npz'), product);
    const found = JSON.parse(runPython(READ_NPZ, [file('ours.npz')])) as Listing;
    const { metadata, positions, probe, object, losses } = product;
    for (const [key, value] of Object.entries(metadata)) {
      const dtype = typeof value === 'string' ? `<U${Array.from(value).length}` : '<f8';
      expect(found[key], key).toMatchObject({ dtype, shape: [], values: [value] });
    }
    expect(found.probe_position_indexes).toMatchObject({ ...longs(positions.indexes), shape: [7] });
    expect(found.probe).toMatchObject({ dtype: '<c8', shape: [2, 3, 5, 4], values: pairs(probe.array) });
    expect(found.probe_pixel_width_m).toMatchObject(doubles([], [1.1e-8]));
    expect(found.opr_weights).toMatchObject(doubles([7, 2], probe.opr_weights!.data));
    expect(found.object).toMatchObject({ dtype: '<c8', shape: [3, 6, 8], values: pairs(object.array) });
    expect(found.object_center_x_m).toMatchObject(doubles([], [1e-6]));
    expect(found.object_pixel_height_m).toMatchObject(doubles([], [1.4e-8]));
    expect(found.loss_epochs).toMatchObject(longs(losses.epochs));
    expect(Object.keys(found).sort()).toEqual(
      [
        ...Object.keys(metadata),
        'probe_position_indexes',
        'probe_position_x_m',
        'probe_position_y_m',
        'probe',
        'probe_pixel_width_m',
        'probe_pixel_height_m',
        'opr_weights',
        'object',
        'object_center_x_m',
        'object_center_y_m',
        'object_pixel_width_m',
        'object_pixel_height_m',
        'object_layer_spacing_m',
        'loss_values',
        'loss_epochs',
        'ptychopinn_sha256',
      ].sort(),
    );
  });

  it('with more weights than an attribute holds open all the same', async () => {
    for (const n of [4032, 6000]) {
      await writeProductFile(file('many.h5'), sampleProduct(n));
      const found = JSON.parse(runPython(READ_H5, [file('many.h5')], ['numpy', 'h5py'])) as Listing;
      expect(found['/opr_weights'].shape).toEqual([n, 2]);
      expect(found['/probe@opr_weights']?.shape).toEqual(n === 4032 ? [n, 2] : undefined);
    }
  });

  it('hold a hash that a few lines of Python can check', async () => {
    const script = `
import hashlib, sys
import h5py, numpy as np
f = h5py.File(sys.argv[1], 'r')
digest = hashlib.sha256()
def add(key, value):
    if isinstance(value, str):
        data, dtype, shape = value.encode(), 'str', (len(value.encode()),)
    else:
        value = np.asarray(value)
        data, dtype, shape = value.tobytes(), value.dtype.name, value.shape
    digest.update(f'{key} {dtype} {shape}\\n'.encode() + data)
for key in ['name', 'comments', 'detector_object_distance_m', 'probe_energy_eV', 'exposure_time_s', 'probe_photon_count',
            'mass_attenuation_m2_kg', 'tomography_angle_deg']:
    add(key, f.attrs[key])
for key in ['probe_position_indexes', 'probe_position_x_m', 'probe_position_y_m', 'probe', 'probe_pixel_width_m',
            'probe_pixel_height_m', 'opr_weights', 'object', 'object_center_x_m', 'object_center_y_m',
            'object_pixel_width_m', 'object_pixel_height_m', 'object_layer_spacing_m', 'loss_epochs', 'loss_values']:
    group, _, name = key.partition('_')
    add(key, f[group].attrs[name] if name.startswith(('pixel', 'center')) else f[key][()])
print(digest.hexdigest())
`;
    await writeProductFile(file('hash.h5'), sampleProduct());
    const read =
      "import sys, json, h5py; print(json.dumps(str(h5py.File(sys.argv[1], 'r').attrs['ptychopinn_sha256'])))";
    const found = JSON.parse(runPython(read, [file('hash.h5')], ['h5py']));
    expect(runPython(script, [file('hash.h5')], ['numpy', 'h5py']).trim()).toBe(found);
  });
});

/** As Ptychodus writes its products: lists become arrays, scalars attributes. */
const WRITE = `
import sys
import h5py, numpy as np
rng = np.random.RandomState(5)
n = 6
def complex_array(shape, dtype):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(dtype)
fields = dict(name='Probe µ', comments='', detector_object_distance_m=2.5, probe_energy_eV=10000.0, probe_photon_count=1e7,
              exposure_time_s=0.01, mass_attenuation_m2_kg=0.5)
indexes = [int(i) for i in rng.permutation(40)[:n]]
x, y = [float(v) for v in rng.normal(size=n) * 1e-6], [float(v) for v in rng.normal(size=n) * 1e-6]
probe = complex_array((2, 2, 4, 4), np.complex64)
thing = complex_array((1, 9, 7), np.complex128)
weights = rng.uniform(size=(n, 2))
layers, epochs, values = [], [0, 1, 2], [3.0, 2.0, 1.5]
with h5py.File(sys.argv[1], 'w') as f:
    for key, value in fields.items():
        f.attrs[key] = value
    f.create_dataset('probe_position_indexes', data=indexes)
    f.create_dataset('probe_position_x_m', data=x)
    f.create_dataset('probe_position_y_m', data=y)
    d = f.create_dataset('probe', data=probe)
    f.create_dataset('opr_weights', data=weights)
    d.attrs['pixel_width_m'] = 1.5e-8
    d.attrs['pixel_height_m'] = 1.6e-8
    d = f.create_dataset('object', data=thing)
    d.attrs['center_x_m'] = 1e-7
    d.attrs['center_y_m'] = -1e-7
    d.attrs['pixel_width_m'] = 1.5e-8
    d.attrs['pixel_height_m'] = 1.6e-8
    f.create_dataset('object_layer_spacing_m', data=layers)
    f.create_dataset('loss_epochs', data=epochs)
    f.create_dataset('loss_values', data=values)
np.savez_compressed(sys.argv[2], **fields, probe_position_indexes=indexes, probe_position_x_m=x, probe_position_y_m=y, probe=probe,
    probe_pixel_width_m=1.5e-8, probe_pixel_height_m=1.6e-8, opr_weights=weights, object=thing, object_center_x_m=1e-7,
    object_center_y_m=-1e-7, object_pixel_width_m=1.5e-8, object_pixel_height_m=1.6e-8, object_layer_spacing_m=layers,
    loss_epochs=epochs, loss_values=values)
single = thing.astype(np.complex64)
np.savez(sys.argv[3], indexes=indexes, x=x, y=y, probe_re=probe.real, probe_im=probe.imag, object_re=single.real,
    object_im=single.imag, weights=weights)
`;

describePython('products that Ptychodus writes', ['numpy', 'h5py'], () => {
  it.each(['theirs.h5', 'theirs.npz'])('are read: %s', async (name) => {
    runPython(WRITE, [file('theirs.h5'), file('theirs.npz'), file('truth.npz')], ['numpy', 'h5py']);
    const truth = await openNpz(file('truth.npz'));
    const real = async (key: string) => Array.from((await truth.readReal(key)).data);
    const notes: string[] = [];
    const product = await readProductFile(file(name), { note: (text) => notes.push(text) });
    expect(notes).toEqual([]);
    expect(product.metadata).toEqual({
      name: 'Probe µ',
      comments: '',
      detector_object_distance_m: 2.5,
      probe_energy_eV: 10000,
      probe_photon_count: 1e7,
      exposure_time_s: 0.01,
      mass_attenuation_m2_kg: 0.5,
      tomography_angle_deg: 0,
    });
    expect(Array.from(product.positions.indexes)).toEqual(await real('indexes'));
    expect(Array.from(product.positions.x_m)).toEqual(await real('x'));
    expect(Array.from(product.positions.y_m)).toEqual(await real('y'));
    const { probe, object } = product;
    expect(probe.array.shape).toEqual([2, 2, 4, 4]);
    expect(Array.from(probe.array.re)).toEqual(await real('probe_re'));
    expect(Array.from(probe.array.im)).toEqual(await real('probe_im'));
    expect(probe.pixel).toEqual({ width_m: 1.5e-8, height_m: 1.6e-8 });
    expect(probe.opr_weights?.shape).toEqual([6, 2]);
    expect(Array.from(probe.opr_weights!.data)).toEqual(await real('weights'));
    expect(object.array.shape).toEqual([1, 9, 7]);
    expect(Array.from(object.array.re)).toEqual(await real('object_re'));
    expect(Array.from(object.array.im)).toEqual(await real('object_im'));
    expect(object).toMatchObject({ center_x_m: 1e-7, center_y_m: -1e-7, layer_spacing_m: new Float64Array(0) });
    expect(product.losses).toEqual({ epochs: Int32Array.of(0, 1, 2), values: Float64Array.of(3, 2, 1.5) });
    await truth.close();
  });

  it('with the extensions of PtychoPINN come with their patterns', async () => {
    const script = `
import sys
import h5py, numpy as np
with h5py.File(sys.argv[1], 'a') as f:
    f.attrs['bundle_version'] = '1.0'
    f.attrs['contains_raw_data'] = 1
    raw = f.create_group('raw_data')
    d = raw.create_dataset('diffraction', data=np.arange(6 * 16).reshape(6, 4, 4), compression='gzip', compression_opts=4, shuffle=True)
    d.attrs['axis_canonical'] = 'NHW'
    raw['xcoords'] = np.arange(6) * 1.5
    raw['ycoords'] = 10 - np.arange(6) * 2.0
    raw['scan_index'] = np.zeros(6, int)
    raw['probeGuess'] = f['probe']
    raw['objectGuess'] = f['object']
`;
    runPython(WRITE, [file('bundle.h5'), file('bundle.npz'), file('truth.npz')], ['numpy', 'h5py']);
    runPython(script, [file('bundle.h5')], ['numpy', 'h5py']);
    const { raw_data } = await readProductFile(file('bundle.h5'));
    const patterns = patternsOf(raw_data!);
    const values: number[] = [];
    for await (const piece of patterns.pieces()) values.push(...piece);
    expect(patterns).toMatchObject({ shape: [6, 4, 4], dtype: 'float64' });
    expect(values).toEqual(Array.from({ length: 96 }, (_, i) => i));
    expect(Array.from(raw_data!.ycoords_px)).toEqual([10, 8, 6, 4, 2, 0]);
    expect(raw_data!.measurement_domain).toBeUndefined();
  });
});
