/** What `export` writes, read by the libraries of Python: tifffile and h5py. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeNpz } from '../../src/formats/npz.js';
import { TiffWriter } from '../../src/formats/tiffWrite.js';
import { recordArrays } from '../../src/reconstruction/imageRecord.js';
import { cli } from '../cli/capture.js';
import { describePython, runPython } from '../support/python.js';

let folder = '';
const file = (...names: string[]) => path.join(folder, ...names);
const side = 40;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-export-python-'));
  const angle = (i: number) => 8 * Math.exp(-(((i % side) - 20) ** 2 + (Math.floor(i / side) - 18) ** 2) / 80);
  await writeNpz(file('run.npz'), {
    reconstructed_object: {
      re: Float32Array.from({ length: side * side }, (_, i) => Math.cos(angle(i))),
      im: Float32Array.from({ length: side * side }, (_, i) => Math.sin(angle(i))),
      shape: [side, side],
    },
    reconstructed_probe: { re: new Float32Array(64).fill(1), im: new Float32Array(64), shape: [8, 8] },
    ...recordArrays({ geometry: { energy_eV: 8800, objectPixel_m: { x: 2e-8, y: 4e-8 } } }),
  });
  const words = ['--tiff', '--cxi', '--output_dir', file('out'), '--quiet'];
  expect((await cli('export', file('run.npz'), file('run.npz'), ...words)).code).toBe(0);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describePython('export --tiff', ['numpy', 'tifffile'], () => {
  it('is a stack of float32 with the size of its pixels for tifffile', () => {
    const read = `
import json, sys, numpy, tifffile
with tifffile.TiffFile(sys.argv[1]) as f:
    tags = f.pages[0].tags
    p = f.asarray()
    x, y = [tags[name].value for name in ('XResolution', 'YResolution')]
    print(json.dumps([list(p.shape), str(p.dtype), len(f.series), float(numpy.ptp(p[1])), 0.01 * x[1] / x[0], 0.01 * y[1] / y[0],
                      int(tags['ResolutionUnit'].value), json.loads(f.pages[0].description)['unit'], bool((p[0] == p[1]).all())]))
`;
    const [shape, dtype, series, range, x, y, unit, word, same] = JSON.parse(
      runPython(read, [file('out', 'phase.tif')], ['numpy', 'tifffile']),
    );
    expect([shape, dtype, series, unit, word, same]).toEqual([[2, side, side], 'float32', 1, 3, 'rad', true]);
    expect(range).toBeGreaterThan(7.5);
    expect([x / 2e-8, y / 4e-8]).toEqual([expect.closeTo(1, 6), expect.closeTo(1, 6)]);
  });

  it('is read as BigTIFF, too', async () => {
    const big = await TiffWriter.create(file('big.tif'), { rows: 3, cols: 5, pages: 2, big: true });
    for (const k of [1, 2]) await big.append(new Float32Array(15).fill(k));
    await big.close();
    const read = `
import sys, tifffile
with tifffile.TiffFile(sys.argv[1]) as f: print(f.is_bigtiff, f.asarray()[:, 2, 4].tolist())
`;
    expect(runPython(read, [file('big.tif')], ['tifffile']).trim()).toBe('True [1.0, 2.0]');
  });
});

describePython('export --cxi', ['numpy', 'h5py'], () => {
  it('is a CXI file for h5py: image, probe, sizes and energy in SI units', () => {
    const read = `
import h5py, json, sys
with h5py.File(sys.argv[1]) as f:
    e = f['entry_1']
    print(json.dumps([int(f['cxi_version'][()]), str(e['image_1/data'].dtype), list(e['image_1/data'].shape),
                      e['image_1/data'] == e['object/data'] and e['image_1/data'] == e['data_1/data'],
                      list(e['probe/data'].shape), float(e['object/x_pixel_size'][()]), float(e['object/y_pixel_size'][()]),
                      float(e['instrument_1/source_1/energy'][()])]))
`;
    const said = JSON.parse(runPython(read, [file('out', 'run.cxi')], ['numpy', 'h5py']));
    expect(said.slice(0, 7)).toEqual([160, 'complex64', [side, side], true, [1, 8, 8], 2e-8, 4e-8]);
    expect(said[7] / (8800 * 1.602176634e-19)).toBeCloseTo(1, 9);
  });
});
