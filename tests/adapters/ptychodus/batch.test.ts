/** The batch folder: what h5py wrote comes in by the command line, what we write goes out to h5py. */
import { copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runBatch } from '../../../src/adapters/ptychodus/batch.js';
import { writeNpz } from '../../../src/formats/npz.js';
import { openBundle } from '../../../src/persistence/bundle.js';
import { readProductFile } from '../../../src/persistence/product/readProduct.js';
import { cli } from '../../cli/capture.js';
import { N, OBJECT, shuffled, simulatedInput } from '../../support/hostInput.js';
import { describePython, runPython } from '../../support/python.js';

const SETTINGS = `[Reconstructor]
Algorithm = PtychoPINN/PINN

[PtychoPINNModel]
NumFiltersScale = 1

[PtychoPINNTraining]
NumEpochs = 1
BatchSize = 4

[PtychoPINNNode]
Threads = 1
Accelerator = cpu
`;

const WRITE = `
import sys, h5py, numpy
a = numpy.load(sys.argv[1]); folder = sys.argv[2]
bad = numpy.zeros(a['patterns'].shape[1:], bool); bad[3, 7] = True
with h5py.File(folder + '/diffraction.h5', 'w') as f:
    f.create_dataset('patterns', data=a['patterns'].astype('uint16'), compression='lzf')
    f.create_dataset('indexes', data=a['indexes'], compression='lzf')
    f.create_dataset('bad_pixels', data=bad, compression='lzf')
with h5py.File(folder + '/product-in.h5', 'w') as f:
    f.attrs['name'] = 'gold'; f.attrs['comments'] = ''
    for k, v in dict(detector_object_distance_m=2.0, probe_energy_eV=8800.0, exposure_time_s=0.1).items(): f.attrs[k] = v
    f['probe_position_indexes'] = a['position_indexes']
    f['probe_position_x_m'] = a['x_m']; f['probe_position_y_m'] = a['y_m']
    p = f.create_dataset('probe', data=a['probe'])
    o = f.create_dataset('object', data=a['object'])
    w, h, cx, cy = a['geometry']
    for d in (p, o): d.attrs['pixel_width_m'] = w; d.attrs['pixel_height_m'] = h
    o.attrs['center_x_m'] = cx; o.attrs['center_y_m'] = cy
    f['object_layer_spacing_m'] = numpy.zeros(0)
`;

const READ = `
import sys, json, h5py, numpy
with h5py.File(sys.argv[1], 'r') as f, h5py.File(sys.argv[2], 'r') as g:
    o = f['object'][...]
    print(json.dumps(dict(
        shape=o.shape, dtype=str(o.dtype), finite=bool(numpy.isfinite(o).all()),
        changed=int((numpy.abs(o - g['object'][...]) > 1e-3).sum()),
        corner=abs(o[0, -1, -1] - g['object'][0, -1, -1]).item(),
        same={k: bool(numpy.array_equal(f[k][...], g[k][...])) for k in
              ('probe', 'probe_position_indexes', 'probe_position_x_m', 'probe_position_y_m')},
        attrs={k: float(f['object'].attrs[k]) for k in ('center_x_m', 'center_y_m', 'pixel_width_m', 'pixel_height_m')},
        losses=f['loss_values'][...].tolist(), name=f.attrs['name'])))
`;

let folder: string;
let staged: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-batch-'));
  staged = path.join(folder, 'staged');
  await mkdir(staged);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describePython('ptychopinn batch', ['h5py', 'numpy'], () => {
  beforeAll(async () => {
    const { patterns, product } = shuffled(simulatedInput());
    const { positions, probe, object } = product;
    const n = positions.indexes.length;
    const arrays = path.join(folder, 'arrays.npz');
    const line = (data: Float64Array | Int32Array) => ({ data, shape: [data.length] });
    await writeNpz(arrays, {
      patterns: { data: patterns.data, shape: patterns.shape },
      indexes: line(Int32Array.from(patterns.indexes ?? [])),
      position_indexes: line(positions.indexes),
      x_m: line(positions.x_m),
      y_m: line(positions.y_m),
      probe: probe.array,
      object: object.array,
      geometry: line(Float64Array.of(OBJECT.width_m, OBJECT.height_m, OBJECT.center_x_m, OBJECT.center_y_m)),
    });
    expect(n).toBe(patterns.shape[0]);
    runPython(WRITE, [arrays, staged], ['h5py', 'numpy']);
    await writeFile(path.join(staged, 'settings.ini'), SETTINGS);
  });

  it('trains and reconstructs a folder that h5py wrote', async () => {
    const [model, done] = [path.join(folder, 'model'), path.join(folder, 'done')];
    const trained = await cli('batch', '-b', 'train', '-i', staged, '-o', model);
    expect(trained).toMatchObject({ code: 0, out: `PtychoPINN/PINN: written ${path.join(model, 'wts.zip')}.\n` });
    expect(await readdir(model)).toEqual(['wts.zip']);
    expect((await openBundle(model)).config.model.n_filters_scale).toBe(1);

    const settings = path.join(folder, 'mine.ini');
    await writeFile(
      settings,
      `[Reconstructor]\nAlgorithm = PtychoPINN/rPIE\n[PtychoPINNInference]\nModelPath = ${model}\nNumSamples = 0\n`,
    );
    // What lies in the folder wins.
    await writeFile(path.join(staged, 'settings.ini'), SETTINGS.replace('PtychoPINN/PINN', 'ptychopinn-onnx_pinn'));
    const words = ['--input-directory', staged, '--output-directory', done, '-s', settings, '--log-level', '20'];
    const made = await cli('batch', '-b', 'reconstruct', ...words);
    await writeFile(path.join(staged, 'settings.ini'), SETTINGS);
    expect(made.err).toContain('PtychoPINNInference/NumSamples = 0 is below 1, so 1 is used.');
    expect(made.err).toContain(
      `settings.ini wins over ${settings}: Reconstructor/Algorithm PtychoPINN/rPIE → ptychopinn-onnx_pinn,`,
    );
    expect(made).toMatchObject({
      code: 0,
      out: `PtychoPINN-onnx/PINN: written ${path.join(done, 'product-out.h5')}.\n`,
    });
    expect(await readdir(done)).toEqual(['product-out.h5']);

    const files = [path.join(done, 'product-out.h5'), path.join(staged, 'product-in.h5')];
    const found = JSON.parse(runPython(READ, files, ['h5py', 'numpy']));
    expect(found).toMatchObject({
      shape: [1, OBJECT.rows, OBJECT.cols],
      dtype: 'complex64',
      finite: true,
      corner: 0,
      same: {
        probe: true,
        probe_position_indexes: true,
        probe_position_x_m: true,
        probe_position_y_m: true,
      },
      attrs: {
        center_x_m: OBJECT.center_x_m,
        center_y_m: OBJECT.center_y_m,
        pixel_width_m: OBJECT.width_m,
        pixel_height_m: OBJECT.height_m,
      },
      name: 'gold',
    });
    expect(found.changed).toBeGreaterThan((N / 2) ** 2);
    const { history } = await openBundle(model);
    expect(found.losses).toEqual(history.map((row) => row.loss));
  });

  it('solves the folder without a model', async () => {
    const [settings, done] = [path.join(folder, 'solver.ini'), path.join(folder, 'solved')];
    const solver = `[Reconstructor]\nAlgorithm = ptychopinn_lsqml\n[PtychoPINNSolver]\nNumEpochs = 3\nProbeModes = 2\nMomentum = 2\n`;
    await writeFile(settings, `${solver}[PtychoPINNNode]\nThreads = 1\nAccelerator = cpu\n`);
    const bare = path.join(folder, 'bare');
    await mkdir(bare);
    for (const name of ['diffraction.h5', 'product-in.h5'])
      await copyFile(path.join(staged, name), path.join(bare, name));
    const made = await cli('batch', '-b', 'reconstruct', '-i', bare, '-o', done, '-s', settings);
    expect(made.err).toContain('PtychoPINNSolver/Momentum = 2 is above 0.999, so 0.999 is used.');
    expect(made.err).toContain('PtychoPINNSolver/Momentum = 0.999 has no effect here: lsqml does not have it.');
    expect(made).toMatchObject({ code: 0, out: `PtychoPINN/LSQML: written ${path.join(done, 'product-out.h5')}.\n` });
    const files = [path.join(done, 'product-out.h5'), path.join(staged, 'product-in.h5')];
    const found = JSON.parse(runPython(READ, files, ['h5py', 'numpy']));
    expect(found).toMatchObject({
      shape: [1, OBJECT.rows, OBJECT.cols],
      finite: true,
      corner: 0,
      same: { probe: false, probe_position_indexes: true, probe_position_x_m: true, probe_position_y_m: true },
      attrs: { center_x_m: OBJECT.center_x_m, pixel_height_m: OBJECT.height_m },
    });
    expect(found.changed).toBeGreaterThan((N / 3) ** 2);
    expect(found.losses).toHaveLength(3);
    expect(found.losses[2]).toBeLessThan(found.losses[0]);
    const { probe } = await readProductFile(files[0]);
    expect(probe.array.shape).toEqual([1, 2, N, N]);
    expect(await cli('batch', '-b', 'train', '-i', staged, '-o', done, '-s', settings)).toMatchObject({
      code: 2,
      err: expect.stringContaining('PtychoPINN/LSQML computes without a model, so there is nothing to train'),
    });
  });

  it('knows the names that Python 3.11 makes of an enumeration', async () => {
    const [other, done] = [path.join(folder, 'py311'), path.join(folder, 'done311')];
    await mkdir(other);
    const names = { 'diffraction.h5': 'DIFFRACTION', 'product-in.h5': 'PRODUCT_IN' };
    for (const [name, key] of Object.entries(names)) {
      await copyFile(path.join(staged, name), path.join(other, `StandardFileLayout.${key}`));
    }
    await writeFile(
      path.join(other, 'StandardFileLayout.SETTINGS'),
      '[Reconstructor]\nAlgorithm = PtychoPINN/rPIE\n[PtychoPINNSolver]\nNumEpochs = 1\n[PtychoPINNNode]\nThreads = 1\n',
    );
    const made = await cli('batch', '-b', 'reconstruct', '-i', other, '-o', done);
    expect(made).toMatchObject({ code: 0, out: expect.stringContaining('PtychoPINN/rPIE: written') });
    expect(await readdir(done)).toEqual(['StandardFileLayout.PRODUCT_OUT']);
    const { losses } = await readProductFile(path.join(done, 'StandardFileLayout.PRODUCT_OUT'));
    expect(losses.values).toHaveLength(1);
  });

  it('leaves no product when it is stopped', async () => {
    const out = path.join(folder, 'stopped');
    const settings = path.join(folder, 'mine.ini');
    const { result, files } = await runBatch({
      ...{ action: 'reconstruct', input: staged, output: out, settings },
      signal: AbortSignal.abort(),
    });
    expect([result !== 0, files]).toEqual([true, []]);
    expect(await readdir(out)).toEqual([]);
  });

  it('finds a model in the folder, or says that there is none', async () => {
    const done = await cli('batch', '-b', 'reconstruct', '-i', staged, '-o', path.join(folder, 'none'));
    expect(done.code).toBe(1);
    expect(done.err).toContain('name one in the setting ModelPath of [PtychoPINNInference], or put wts.zip into');
    await copyFile(path.join(folder, 'model', 'wts.zip'), path.join(staged, 'wts.h5.zip'));
    const found = await cli(
      'batch',
      '-b',
      'reconstruct',
      '-i',
      staged,
      '-o',
      path.join(folder, 'none'),
      '--log-level',
      'ERROR',
    );
    expect(found).toMatchObject({ code: 0, out: '', err: '' });
  });
});

it('says what is missing or unknown, and writes nothing', async () => {
  const empty = path.join(folder, 'empty');
  await mkdir(empty);
  const out = path.join(folder, 'nothing');
  const batch = (...words: string[]) => cli('batch', '-i', empty, '-o', out, ...words);
  expect(await batch('-b', 'train')).toMatchObject({
    code: 1,
    err: expect.stringContaining('holds no diffraction.h5'),
  });
  expect(await batch('-b', 'reconstruct', '-s', path.join(folder, 'no.ini'))).toMatchObject({
    code: 1,
    err: expect.stringContaining('There is no settings file'),
  });
  const settings = path.join(folder, 'other.ini');
  await writeFile(settings, '[Reconstructor]\nAlgorithm = pty-chi/LSQML\n');
  expect(await batch('-b', 'reconstruct', '-s', settings)).toMatchObject({
    code: 2,
    err: expect.stringContaining('There is no reconstructor "pty-chi/LSQML" here'),
  });
  expect(await cli('batch', '-b', 'train', '-o', out)).toMatchObject({
    code: 2,
    err: expect.stringContaining('-i FOLDER'),
  });
  expect(await cli('batch', '-b', 'paint', '-i', empty, '-o', out)).toMatchObject({ code: 2 });
  expect(await batch('-b', 'train', '--log-level', 'loud')).toMatchObject({ code: 2 });
  expect(await cli('batch', '-b', 'train', '-i', path.join(folder, 'gone'), '-o', out)).toMatchObject({
    code: 1,
    err: expect.stringContaining('not there'),
  });
  await expect(readdir(out)).rejects.toThrow('ENOENT');
});
