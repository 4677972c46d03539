/** The published entry points on scans in memory, on every backend. */
import { describe, expect, it } from 'vitest';
import {
  reassembleCdiImage,
  runCdiExampleWithBackend,
  trainCdiModel,
  trainCdiModelWithBackend,
} from '../../../src/adapters/compat/cdi.js';
import { selectBackend } from '../../../src/backends/select.js';
import { trainingRequestSchema } from '../../../src/config/schema.js';
import type { ComplexImage } from '../../../src/core/tensor.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { prepareScan } from '../../../src/data/preparedScan.js';
import { makeObject } from '../../../src/simulation/objects.js';
import { makeProbe } from '../../../src/simulation/probes.js';
import { makeScan } from '../../../src/simulation/scans.js';
import { simulateScan } from '../../../src/simulation/simulateScan.js';

/** Drawn once for each seed. */
const objects = new Map<number, ComplexImage>();
function objectOf(seed: number): ComplexImage {
  const object = objects.get(seed) ?? makeObject('lines', { rows: 120, cols: 130, seed });
  objects.set(seed, object);
  return object;
}

/** A simulated scan, or its first positions moved to the places given. */
function scan(
  seed: number,
  places?: readonly (readonly [number, number])[],
  bad?: { mask: Uint8Array; value: number },
) {
  const positions = makeScan('jittered_raster', { rows: 120, cols: 130, side: 64, stepPx: 14, seed });
  const s = simulateScan({
    object: objectOf(seed),
    probe: makeProbe('structured', { side: 64, diameter: 20 }),
    ...positions,
    photons: 1e5,
    seed,
  });
  const n = places?.length ?? s.xcoords.data.length;
  return rawDataFromArrays({
    diffraction: {
      data: s.diffraction.data.slice(0, n * 64 * 64).map((v, i) => (bad?.mask[i % 4096] ? bad.value : v)),
      shape: [n, 64, 64],
    },
    badPixels: bad?.mask,
    xcoords: places?.map(([x]) => x) ?? s.xcoords.data,
    ycoords: places?.map(([, y]) => y) ?? s.ycoords.data,
    probeGuess: s.probeGuess,
    measurement_domain: 'count_amplitude',
    source: `scan ${seed}`,
  });
}

const request = (backend: string) =>
  trainingRequestSchema.parse({
    model: { n_filters_scale: 1 },
    nepochs: 1,
    batch_size: 2,
    n_groups: 6,
    backend,
    execution: { accelerator: 'cpu', threads: 1 },
  });

describe('runCdiExampleWithBackend', () => {
  it('trains, reconstructs the test scan and says who ran it', async () => {
    const [train, test] = [scan(1), scan(2)];
    const before = structuredClone(train.xcoords);
    const { amplitude, phase, results } = await runCdiExampleWithBackend(train, test, request('onnx'), {
      do_stitching: true,
    });
    expect(results).toMatchObject({ backend: 'onnx', device: 'cpu', threads: 1, history_epochs: 1 });
    expect(results.engine).toMatch(/^onnxruntime-node \d/);
    expect(results.versions.node).toBe(process.versions.node);
    expect(results.history.train_loss).toHaveLength(1);
    expect(results.history.val_loss?.[0]).toBeGreaterThan(0);
    expect(amplitude?.shape).toEqual(results.stitched?.image.shape);
    expect(phase?.data.every((v) => Math.abs(v) <= Math.PI + 1e-6)).toBe(true);
    expect(Math.max(...(amplitude?.data ?? []))).toBeGreaterThan(0);
    expect(train.xcoords).toEqual(before);
    // The published keys.
    const { count } = results.test_container?.groups ?? { count: 0 };
    expect(results.recon_amp).toBe(amplitude);
    expect(results.recon_phase).toBe(phase);
    expect(results.obj_tensor_full?.shape).toEqual([count, 1, 64, 64]);
    const [again, patches] = [results.reconstructed_obj?.re ?? [], results.obj_tensor_full?.re ?? []];
    expect(again).toHaveLength(patches.length);
    expect(Math.max(...Array.from({ length: 4096 }, (_, i) => Math.abs(again[i] - patches[i])))).toBeLessThan(1e-4);
    expect(results.global_offsets?.shape).toEqual([count, 1, 1, 2]);
    expect(Array.from(results.global_offsets?.data.subarray(0, 2) ?? [])).toEqual([test.xcoords[0], test.ycoords[0]]);
    expect(results.models.diffraction_to_obj).toBe(results.model_instance);
    expect(results.train_container.groups.count).toBeGreaterThan(0);
    await results.model_instance.dispose();
  });

  it('does not look at bad pixels, whatever they hold', async () => {
    // A hot column, a dead one, and garbage: the mask makes them all the same, and the training another one than without it.
    const mask = Uint8Array.from({ length: 4096 }, (_, i) => Number(i % 64 === 30 || i % 64 === 35));
    const places = Array.from({ length: 6 }, (_, i) => [40 + 9 * (i % 3), 40 + 9 * Math.floor(i / 3)] as const);
    const losses = async (value: number, given = true) => {
      const raw = scan(1, places, { mask: given ? mask : new Uint8Array(4096), value });
      const { history, model_instance } = await trainCdiModelWithBackend(raw, null, request('onnx'));
      await model_instance.dispose();
      return [history.train_loss, history.val_loss];
    };
    const clean = await losses(0);
    expect(await losses(1e6)).toEqual(clean);
    expect(await losses(Number.NaN)).toEqual(clean);
    expect(await losses(0, false)).not.toEqual(clean);
  });

  it('gives no images where none were asked for', async () => {
    const { amplitude, phase, results } = await runCdiExampleWithBackend(scan(1), null, request('onnx'));
    expect([amplitude, phase, results.stitched, results.test_container]).toEqual([null, null, undefined, undefined]);
    expect(results.reconstructed_obj).toBeUndefined();
    expect(results.history.val_loss?.[0]).toBeGreaterThan(0);
    await results.model_instance.dispose();
  });

  it('never tries a backend that was not asked for', async () => {
    const config = { ...request('onnx'), backend: 'keras' as never };
    await expect(trainCdiModelWithBackend(scan(1), null, config)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});

describe('reassembleCdiImage', () => {
  it('transposes patches, then flips and scales their places', async () => {
    const config = request('onnx');
    const backend = await selectBackend(config);
    try {
      const { model_instance: model } = await trainCdiModel(scan(1), null, config, { backend });
      const image = async (places: readonly (readonly [number, number])[], options = {}) => {
        const prepared = await prepareScan(scan(2, places), config, 1);
        const { results } = await reassembleCdiImage(prepared, model, { M: 20, ...options });
        const { stitched } = results;
        const [top, left] = stitched.frame.originYxPx;
        const width = stitched.image.shape[1];
        return (y: number, x: number) => stitched.image.re[(y - top) * width + (x - left)];
      };
      const plain = await image([[40, 50]]);
      const transposed = await image([[40, 50]], { transpose: true });
      const flipped = await image([[40, 50]], { flip_x: true });
      const scaled = await image([[40, 50]], { coord_scale: 2, flip_y: true });
      for (const [dy, dx] of [
        [0, 0],
        [-7, 3],
        [5, -8],
      ]) {
        const value = plain(50 + dy, 40 + dx);
        expect(value).not.toBe(0);
        expect(transposed(50 + dx, 40 + dy)).toBe(value);
        expect(flipped(50 + dy, -40 + dx)).toBe(value);
        expect(scaled(-100 + dy, 80 + dx)).toBe(value);
      }
    } finally {
      await backend.dispose();
    }
  });
});
