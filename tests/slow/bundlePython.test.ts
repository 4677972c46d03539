/** Bundles for other people's programs: NumPy and h5py read weights, python3-onnx reads the models, PyTorch's files become NPZ. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeNpz } from '../../src/formats/npz.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { cli } from '../cli/capture.js';
import { content } from '../persistence/sampleBundle.js';
import { networkContent, writeNetworkBundle } from '../support/networkBundle.js';
import { describePython, findPython, runPython } from '../support/python.js';

const example = (name: string) => fileURLToPath(new URL(`../../examples/python/${name}`, import.meta.url));
const runExample = (name: string, args: readonly string[], modules: readonly string[]) =>
  execFileSync(findPython(modules)!, [example(name), ...args], { encoding: 'utf8', stdio: 'pipe' });

let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-python-'));
  await writeNetworkBundle(file('wts.zip'), { model: { gridsize: 2 } });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describePython('examples/python/read_bundle.py', ['numpy', 'h5py'], () => {
  it('reads manifest, weights, probe and history, and writes them as HDF5', async () => {
    const said = JSON.parse(runExample('read_bundle.py', [file('wts.zip'), '--h5', file('out.h5')], ['numpy', 'h5py']));
    const { weights, manifest, probe } = await openBundle(file('wts.zip'));
    expect(said).toMatchObject({
      ...{ architecture: 'cnn', N: 64, gridsize: 2, epochs: 2, tensors: Object.keys(weights).length },
      intensity_scale: manifest.intensity_scale,
      probe: { shape: [64, 64] },
    });
    for (const [name, { data }] of Object.entries(weights)) {
      const rms = Math.sqrt(data.reduce((sum, v) => sum + v * v, 0) / data.length);
      expect(said.rms[name], name).toBeCloseTo(rms, 9);
    }
    const power = probe.re.reduce((sum, v, i) => sum + v * v + probe.im[i] ** 2, 0);
    expect(said.probe.power / power).toBeCloseTo(1, 6);
    const read = `
import h5py, json, sys
with h5py.File(sys.argv[1]) as f:
    print(json.dumps([f['weights/encoder.0.conv1.weight'][0, 1].ravel().tolist(), json.loads(f.attrs['manifest'])['N']]))`;
    const [kernel, N] = JSON.parse(runPython(read, [file('out.h5')], ['h5py']));
    expect(kernel).toEqual(Array.from(weights['encoder.0.conv1.weight'].data.subarray(9, 18)));
    expect(N).toBe(64);
  });

  it('refuses a bundle whose member is another', async () => {
    await expect(async () => runExample('read_bundle.py', [example('read_bundle.py')], ['numpy'])).rejects.toThrow(
      'not a zip',
    );
  });
});

describePython("Debian's python3-onnx", ['onnx'], () => {
  it('loads and checks both models, and finds every weight where it is', async () => {
    await cli('bundle', 'extract', file('wts.zip'), '--output_dir', file('members'), '--quiet');
    const script = `
import json, sys
import onnx
from onnx import numpy_helper
facts = {}
for name in ('autoencoder', 'diffraction_to_obj'):
    path = f'{sys.argv[1]}/{name}.onnx'
    onnx.checker.check_model(path)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    kernel = values['encoder.0.conv1.weight']
    facts[name] = [
        [o.name for o in model.graph.output], model.ir_version, [i.version for i in model.opset_import],
        list(kernel.shape), float(kernel.astype('f8').sum()), sorted(n for n in values if n.startswith('encoder')),
    ]
print(json.dumps(facts))`;
    const facts = JSON.parse(runPython(script, [file('members')], ['onnx']));
    const { weights } = await openBundle(file('wts.zip'));
    const { data, shape } = weights['encoder.0.conv1.weight'];
    const outputs = { diffraction_to_obj: ['object_real', 'object_imag'] as string[], autoencoder: [] as string[] };
    outputs.autoencoder = [...outputs.diffraction_to_obj, 'pred_amplitude', 'pred_intensity'];
    for (const name of ['autoencoder', 'diffraction_to_obj'] as const) {
      const [found, ir, opsets, kernelShape, sum, names] = facts[name];
      expect([found, ir, opsets, kernelShape]).toEqual([outputs[name], 8, [18], shape]);
      expect(sum).toBeCloseTo(
        data.reduce((a, b) => a + b, 0),
        5,
      );
      expect(names).toEqual(
        Object.keys(weights)
          .filter((n) => n.startsWith('encoder'))
          .sort(),
      );
    }
  });
});

// PyTorch is large, so that it is never asked for: where it is not installed these two tests are left out.
describePython('examples/python/export_torch_weights.py', ['torch', 'numpy'], () => {
  /** Saves weights (argv 1) as a published bundle (argv 2) and as a checkpoint (argv 3). */
  const SAVE = `
import io, json, pickle, sys, zipfile
import numpy as np, torch
arrays = np.load(sys.argv[1])
state = {k: torch.from_numpy(arrays[k]) for k in arrays.files if k != 'probe'}
params = {'N': 64, 'gridsize': 1, 'probe.mask': False, 'nphotons': 1e5, 'intensity_scale': 1.0, 'amp_activation': 'silu',
          'probe': arrays['probe'][:, :, None], 'output_prefix': 'x'}
def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
with zipfile.ZipFile(sys.argv[2], 'w') as z:
    z.writestr('manifest.dill', pickle.dumps({'models': ['autoencoder', 'diffraction_to_obj'], 'version': '2.0-pytorch'}))
    z.writestr('autoencoder/model.pth', saved({'_sentinel': 'autoencoder'}))
    z.writestr('diffraction_to_obj/model.pth', saved(state))
    z.writestr('diffraction_to_obj/params.dill', pickle.dumps(params))
torch.save({'state_dict': state, 'epoch': 3, 'hyper_parameters': {'model_config': {'mode': 'Unsupervised', 'intensity_scale': 1e4}}}, sys.argv[3])
`;

  it('makes an NPZ that is imported weight for weight, of a bundle and of a checkpoint', async () => {
    const { weights } = networkContent({ model: { architecture: 'cnn_cbam' } });
    const published = Object.entries(weights).map(([name, tensor]) => [publishedName(name), tensor] as const);
    const arrays = Object.fromEntries(published.filter(([name]) => name !== ''));
    await writeNpz(file('state.npz'), { ...arrays, probe: content.probe });
    runPython(SAVE, [file('state.npz'), file('torch.zip'), file('last.ckpt')], ['torch', 'numpy']);

    for (const source of ['torch.zip', 'last.ckpt']) {
      // As they are, both get a sentence that leads here.
      const refused = await cli('bundle', 'import', file(source), '--output_dir', file('never'));
      expect(refused.code).not.toBe(0);
      expect(refused.err).toContain('examples/python/export_torch_weights.py');

      const npy = "import numpy, sys; numpy.save(sys.argv[2], numpy.load(sys.argv[1])['probe'])";
      runPython(npy, [file('state.npz'), file('probe.npy')]);
      const probe = source === 'last.ckpt' ? ['--probe', file('probe.npy'), '--set', 'nphotons=1e5'] : [];
      runExample('export_torch_weights.py', [file(source), file(`${source}.npz`), ...probe], ['torch', 'numpy']);
      const { code, err } = await cli(
        'bundle',
        'import',
        file(`${source}.npz`),
        '--output_dir',
        file(`${source}-out`),
        '--quiet',
      );
      expect([code, err]).toEqual([0, '']);
      const bundle = await openBundle(file(`${source}-out`));
      expect(bundle.config.model).toMatchObject({ architecture: 'cnn_cbam', amp_activation: 'swish' });
      expect(bundle.scale.intensityScale).toBeCloseTo(Math.sqrt(1e5) / 32, 9);
      expect(bundle.probe.re[40]).toBeCloseTo((content.probe.re[40] * Math.sqrt(1e5)) / 32, 4);
      for (const [name, { data }] of Object.entries(weights)) {
        if (name === 'log_intensity_scale') continue;
        const found = Buffer.from(bundle.weights[name].data.slice().buffer);
        expect(Buffer.compare(found, Buffer.from(data.slice().buffer)), name).toBe(0);
      }
    }
  }, 300_000);

  it('says what it cannot read', async () => {
    await writeFile(file('text.pt'), 'hello');
    await expect(async () =>
      runExample('export_torch_weights.py', [file('text.pt'), file('x.npz')], ['torch', 'numpy']),
    ).rejects.toThrow();
  });
});

/** The published name of one of our weights; empty for what PyTorch does not keep. */
function publishedName(name: string): string {
  if (name === 'log_intensity_scale') return '';
  const head = (short: string) => (short === 'amplitude' ? 'amp' : 'phase');
  return `autoencoder.${name
    .replace(/^encoder\.(\d)\./, 'encoder.blocks.$1.')
    .replace('attention.channel.fc1', 'attention.ChannelGate.mlp.1')
    .replace('attention.channel.fc2', 'attention.ChannelGate.mlp.3')
    .replace('attention.spatial', 'attention.SpatialGate.compress')
    .replace(/^(amplitude|phase)\.(\d)\./, (_, h: string, i: string) => `decoder_${head(h)}.blocks.${i}.`)
    .replace(/^(amplitude|phase)\.centre\./, (_, h: string) => `decoder_${head(h)}.${head(h)}.conv1.`)
    .replace(/^(amplitude|phase)\.border\.out\./, (_, h: string) => `decoder_${head(h)}.${head(h)}.conv2.`)
    .replace(/^(amplitude|phase)\.border\./, (_, h: string) => `decoder_${head(h)}.${head(h)}.conv_up_block.`)}`;
}
