/** Solvers over the pipe: no model, previews with the probe, the product as arrays and as a file. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { reconstructorLibraries } from '../../../src/adapters/ptychodus/library.js';
import { productArrays, productHeaderOf } from '../../../src/adapters/worker/products.js';
import { readProductFile } from '../../../src/persistence/product/readProduct.js';
import { deviation, litPixels, N, OBJECT, simulatedInput } from '../../support/hostInput.js';
import { greetedHost, Host } from './standIn.js';

const LSQML = { reconstructor: 'PtychoPINN/LSQML' };

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-solver-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A host that has sent settings; and a request to reconstruct. */
async function ready(settings: Record<string, string>) {
  const host = await greetedHost({ libraries: reconstructorLibraries() });
  const groups = {
    PtychoPINNSolver: settings,
    PtychoPINNNode: { Threads: '1', Accelerator: 'cpu', PreviewSeconds: '0.1' },
  };
  host.send('settings/set', 1, { settings: groups });
  expect(await host.end(1)).toMatchObject({ status: 'ok', answer: { notes: [] } });
  const input = simulatedInput(1e6, 5, 6);
  const arrays = { patterns: input.patterns, ...productArrays(input.product) };
  const reconstruct = (id: number, more: object = {}) =>
    host.send('reconstruct/start', id, { ...LSQML, product: productHeaderOf(input.product), ...more }, arrays);
  const outputs = (id: number) => host.said.filter((said) => said.id === id && said.tag === 'output');
  return { host, input, reconstruct, outputs };
}

it('are listed as what cannot be trained', async () => {
  const host = new Host({ libraries: reconstructorLibraries() });
  host.send('initialize', 0, { protocol: 1 });
  const { answer } = await host.end(0);
  const { reconstructors } = answer as { reconstructors: Record<string, unknown>[] };
  expect(reconstructors.find(({ name }) => name === 'PtychoPINN/LSQML')).toEqual({
    name: 'PtychoPINN/LSQML',
    simple_name: 'PtychoPINN_LSQML',
    is_trainable: false,
    is_model_loaded: false,
    progress_goal: 100,
  });
  expect(reconstructors).toHaveLength(12);
});

it('reconstruct without a model, with the probe and corrected positions in previews and product', async () => {
  const { host, input, reconstruct, outputs } = await ready({ NumEpochs: '40', PositionStart: '10' });
  const file = path.join(folder, 'product-out.h5');
  reconstruct(2, { output: { path: file, arrays: true } });
  expect(await host.end(2)).toMatchObject({ status: 'ok', answer: { product_path: file } });
  const said = outputs(2);
  const final = said[said.length - 1];
  expect(final).toMatchObject({ final: true, progress: 100, result: 0, product_path: file });
  for (const { arrays, final: last } of said) {
    expect((await arrays.complex('probe', [4])).shape).toEqual([1, 1, N, N]);
    expect((await arrays.real('probe_position_x_m', [1])).data).toHaveLength(input.product.positions.x_m.length);
    expect(arrays.has('probe_position_indexes')).toBe(last);
  }
  const object = await final.arrays.complex('object', [3]);
  expect(object.shape).toEqual([1, OBJECT.rows, OBJECT.cols]);
  expect(deviation(object, input.truth, litPixels(input)).error).toBeLessThan(0.12);
  const product = await readProductFile(file);
  expect(product.object.array).toEqual(object);
  expect(product.probe.array).toEqual(await final.arrays.complex('probe', [4]));
  expect(product.losses.epochs).toHaveLength(40);
});

it('stop when the host says so, and send positions only where they change', async () => {
  const { host, reconstruct, outputs } = await ready({ NumEpochs: '100000' });
  reconstruct(2);
  const { arrays } = await host.until((said) => said.tag === 'output');
  expect(arrays.has('probe')).toBe(true);
  expect(arrays.has('probe_position_x_m')).toBe(false);
  host.send('cancel', 3);
  expect(await host.end(2)).toMatchObject({ status: 'cancelled' });
  expect(outputs(2).at(-1)).toMatchObject({ final: true, result: 130 });
});

it('have no model to open, save or train', async () => {
  const { host, input } = await ready({});
  host.send('model/open', 2, { ...LSQML, path: 'wts.zip' });
  host.send('model/save', 3, { ...LSQML, path: 'wts.zip' });
  host.send('train/start', 4, { ...LSQML, input_dir: folder, output_dir: folder });
  const arrays = { patterns: input.patterns, ...productArrays(input.product) };
  const file = path.join(folder, 'data.npz');
  host.send('training/export', 5, { ...LSQML, path: file, product: productHeaderOf(input.product) }, arrays);
  const wanted = ['open one', 'save one', 'train one', 'export data to train one'];
  for (const [i, what] of wanted.entries()) {
    expect(await host.end(2 + i)).toMatchObject({ status: 'failed' });
    expect(host.said.find((said) => said.tag === 'error' && said.id === 2 + i)).toMatchObject({
      code: 'USAGE',
      message: `LSQML computes without a model and cannot ${what}; take PtychoPINN/PINN or PtychoPINN/Supervised for that.`,
    });
  }
});
