/**
 * The Keras path, on an archive that is made here by h5py from the documented layout: no published archive was at hand. Layers have
 * names in the order in which the published tool makes them, groups of weights are numbered in the order of the configuration.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { importConfigSchema } from '../../src/config/schemas/tools.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { importBundle, verifyBundle } from '../../src/workflows/bundle.js';
import { cli } from '../cli/capture.js';
import { content, N } from '../persistence/sampleBundle.js';
import { kerasModel } from '../support/kerasModel.js';
import { networkContent } from '../support/networkBundle.js';
import { describePython, runPython } from '../support/python.js';

/** Writes model.keras (argv 3) from arrays and JSON (argv 1, 2), and a wts.h5.zip (argv 4) around it. */
const PACK = `
import io, json, sys, zipfile
import h5py, numpy as np
arrays, config = np.load(sys.argv[1]), json.load(open(sys.argv[2]))
def weights(extra):
    buffer = io.BytesIO()
    with h5py.File(buffer, 'w') as f:
        for key in arrays.files:
            if key.startswith('layers/'):
                f[key] = arrays[key]
        f.create_group('layers/input_layer')
        f['optimizer/vars/0'] = np.float32(1)
        for key, value in extra.items():
            f[key] = value
    return buffer.getvalue()
def pack(extra):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as z:
        z.writestr('metadata.json', '{"keras_version": "3.3.3"}')
        z.writestr('config.json', json.dumps(config))
        z.writestr('model.weights.h5', weights(extra))
    return buffer.getvalue()
open(sys.argv[3], 'wb').write(pack({}))
probe = {'layers/probe_illumination/vars/0': arrays['probe'][None, :, :, None]}
scale = io.BytesIO()
with h5py.File(scale, 'w') as f:
    f.attrs['intensity_scale'] = 7.25
with zipfile.ZipFile(sys.argv[4], 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('manifest.dill', b'\\x80\\x04 not opened')
    for name in ('autoencoder', 'diffraction_to_obj'):
        z.writestr(name + '/params.dill', b'\\x80\\x04 not opened')
        z.writestr(name + '/custom_objects.dill', b'\\x80\\x04 not opened')
        z.writestr(name + '/model.keras', pack(probe if name == 'autoencoder' else {}))
        z.writestr(name + '/model.h5', scale.getvalue())
`;

let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-import-keras-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describePython('a TensorFlow model', ['h5py', 'numpy'], () => {
  async function archive(
    name: string,
    model: Parameters<typeof kerasModel>[0],
    changes: (json: object) => object = (j) => j,
  ) {
    const { weights } = networkContent({ model });
    const { config, arrays } = kerasModel(model, weights);
    const input: Record<string, NpyInput> = { ...arrays, probe: content.probe };
    await writeNpz(file(`${name}.npz`), input);
    await writeFile(file(`${name}.json`), JSON.stringify(changes(config)));
    runPython(
      PACK,
      ['.npz', '.json', '.keras', '.zip'].map((end) => file(name + end)),
      ['h5py', 'numpy'],
    );
    return weights;
  }
  const importing = (name: string, over: object = {}) =>
    importBundle(file(name), importConfigSchema.parse({ output_dir: file(`${name}-out`), overwrite: true, ...over }));

  it.each([
    ['gridsize 1', {}],
    ['gridsize 2', { gridsize: 2 }],
    ['without a border', { probe_big: false, amp_activation: 'swish' }],
    ['with a full head', { pad_object: false }],
  ] as const)('from a wts.h5.zip, weight for weight: %s', async (name, model) => {
    const weights = await archive(name, model);
    const report = await importing(`${name}.zip`);
    expect(report).toMatchObject({ format: 'keras', architecture: 'cnn', unmapped: [] });
    const bundle = await openBundle(report.path);
    expect(bundle.config.model).toMatchObject({ N: 64, n_filters_scale: 1, border_activation: 'swish', ...model });
    for (const [key, { data, shape }] of Object.entries(weights)) {
      if (key === 'log_intensity_scale') continue;
      expect(bundle.weights[key].shape, key).toEqual(shape);
      expect(
        Buffer.compare(Buffer.from(bundle.weights[key].data.slice().buffer), Buffer.from(data.slice().buffer)),
        key,
      ).toBe(0);
    }
    // λ = e^{2ℓ}·|F(w·O)|²: the probe of the bundle is w·e^ℓ.
    expect(bundle.scale.intensityScale).toBe(7.25);
    expect(bundle.probe.re[40]).toBeCloseTo(7.25 * content.probe.re[40], 4);
    expect(bundle.canvasSide_px).toBe(name === 'gridsize 2' ? 78 : N);
    expect(bundle.manifest).toMatchObject({ backend: 'tensorflow', training: null, imported: { format: 'keras' } });
    await verifyBundle(report.path);
  });

  it('from model.keras alone, which holds no probe', async () => {
    await archive('alone', {});
    await expect(importing('alone.keras')).rejects.toThrow(
      'holds no probe: give that of the training scan with --probe',
    );
    await writeNpz(file('scan.npz'), { probeGuess: content.probe });
    const words = ['--probe', file('scan.npz'), '--output_dir', file('alone'), '--nphotons', '1e6'];
    const { code, out, err } = await cli('bundle', 'import', file('alone.keras'), ...words);
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^Written .*wts\.zip: cnn, N 64, gridsize 1, \d+ arrays taken over\.\n$/);
    expect((await openBundle(file('alone'))).scale.intensityScale).toBeCloseTo(1e3 / 32, 9);
  });

  it('and not another network', async () => {
    type Config = { config: { layers: { name: string; class_name: string; inbound_nodes: unknown[] }[] } };
    const layer = (json: object, name: string) => (json as Config).config.layers.find((l) => l.name === name)!;
    const refused = async (change: (json: object) => unknown) => {
      await archive('other', {}, (json) => {
        change(json);
        return json;
      });
      const error = await importing('other.zip').then(
        () => new Error('it was imported'),
        (e: Error) => e,
      );
      return error.message;
    };
    expect(await refused((json) => Object.assign(layer(json, 'obj'), { class_name: 'Add', name: 'sum' }))).toContain(
      'no layer "obj" (CombineComplexLayer) takes an amplitude and a phase',
    );
    expect(
      await refused((json) => Object.assign(layer(json, 'conv2d_3'), { class_name: 'DepthwiseConv2D' })),
    ).toContain('encoder');
    expect(await refused((json) => Object.assign(json, { config: 1 }))).toContain(
      'describes no functional Keras model',
    );
    const bytes = await readFile(file('alone.zip'));
    await writeFile(file('cut.zip'), bytes.subarray(0, bytes.length - 100));
    await expect(importing('cut.zip')).rejects.toThrow(file('cut.zip'));
  });
});
