/** The one writer of scans: what is opened, written and opened again is the same scan. */
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComplexTensor } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { openDataset } from '../../src/data/openDataset.js';
import type { OpenDatasetOptions } from '../../src/data/options.js';
import type { RawData } from '../../src/data/rawData.js';
import { type WriteScanOptions, writeScan } from '../../src/data/scanWriter.js';
import { openNpz } from '../../src/formats/npz.js';
import fc from '../support/fastCheck.js';
import { askPython, describePython } from '../support/python.js';
import { type ArrayChanges, scanArrays, writeArrays } from '../support/scanFiles.js';

const [n, N] = [20, 8];
const arrays = scanArrays(n, N);
const { data } = arrays.diffraction;
let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-write-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const amplitudes = async (raw: RawData) => {
  const out = new Float32Array(raw.count * raw.N * raw.N);
  await raw.patterns.readAmplitudes([...Array(raw.count).keys()], out);
  return out;
};
/** Opens, writes, opens again. */
async function twice<T>(
  changes: ArrayChanges,
  options: OpenDatasetOptions,
  work: (first: RawData, second: RawData, keys: readonly string[]) => Promise<T> | T,
  how: WriteScanOptions = {},
): Promise<T> {
  const first = await openDataset(await writeArrays(file('in.npz'), arrays, changes), options);
  await writeScan(file('out.npz'), first, how);
  const second = await openDataset(file('out.npz'));
  const npz = await openNpz(file('out.npz'));
  try {
    return await work(first, second, npz.keys);
  } finally {
    for (const open of [first, second, npz]) await open.close();
  }
}
const random = (shape: number[], seed: number): ComplexTensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return {
    re: Float32Array.from({ length: size }, (_, i) => Math.sin(i + seed)),
    im: Float32Array.from({ length: size }, (_, i) => Math.cos(3 * i + seed)),
    shape,
  };
};

describe('writeScan', () => {
  it('writes everything that a scan has', async () => {
    const mask = new Uint8Array(N * N);
    mask[5] = 1;
    const changes = {
      xcoords_start: arrays.ycoords,
      ycoords_start: arrays.xcoords,
      probeGuess: random([3, N, N], 1),
      Y: random([n, N, N], 2),
      label: random([n, N, N], 3),
      norm_Y_I: { data: Float64Array.of(2.5), shape: [] },
      bad_pixels: { data: mask, shape: [N, N] },
    };
    await twice(changes, {}, async (first, second, keys) => {
      expect(keys).toEqual([
        'diffraction',
        'xcoords',
        'ycoords',
        'xcoords_start',
        'ycoords_start',
        'probeGuess',
        'objectGuess',
        'scan_index',
        'bad_pixels',
        'measurement_domain',
        'Y',
        'label',
        'norm_Y_I',
      ]);
      for (const key of ['count', 'N', 'xcoords', 'ycoordsStart', 'probeGuess', 'objectGuess', 'scanIndex'] as const) {
        expect(second[key]).toEqual(first[key]);
      }
      expect(second).toMatchObject({ domain: 'count_amplitude', domainReason: 'the file declares it', norm_Y_I: 2.5 });
      expect(second.badPixels).toEqual(first.badPixels);
      expect(await amplitudes(second)).toEqual(await amplitudes(first));
      for (const key of ['groundTruth', 'labels'] as const) {
        expect(await second[key]!.readRows([4, 0])).toEqual(await first[key]!.readRows([4, 0]));
      }
    });
  });

  it('keeps integer counts as integers of their type, and makes amplitudes of all others', async () => {
    const counts = data.map((d) => Math.round(d * d));
    for (const [values, dtype, domain, override] of [
      [Uint16Array.from(counts), 'uint16', 'count_intensity'],
      [Uint8Array.from(counts, (v) => v % 256), 'uint8', 'count_intensity'],
      [Int32Array.from(counts), 'int32', 'count_intensity'],
      [Uint32Array.from(counts), 'uint32', 'count_intensity'],
      [Int32Array.from(counts), 'uint32', 'count_intensity', 'int64'],
      [Float64Array.from(counts), 'float32', 'count_amplitude'],
      [data.map((d) => d / 31), 'float32', 'normalized_amplitude'],
    ] as const) {
      const diffraction = { data: values, shape: [n, N, N], dtype: override as 'int64' | undefined };
      await twice({ diffraction }, {}, async (first, second) => {
        expect([second.patterns.storedDtype, second.domain]).toEqual([dtype, domain]);
        expect(await amplitudes(second)).toEqual(await amplitudes(first));
      });
    }
  });

  it('writes masked pixels as 0, whatever was there', async () => {
    const counts = Int32Array.from(data, (d, p) => (p % (N * N) === 9 ? -1 : Math.round(d * d)));
    const mask = new Uint8Array(N * N);
    mask[9] = 1;
    const changes = { diffraction: { data: counts, shape: [n, N, N] }, bad_pixels: { data: mask, shape: [N, N] } };
    await twice(changes, {}, async (_, second) => {
      const npz = await openNpz(file('out.npz'));
      const stored = (await npz.readReal('diffraction')).data;
      await npz.close();
      expect(stored[9]).toBe(0);
      expect([...second.badPixels!]).toEqual([...mask]);
    });
  });

  it('writes what was selected, cropped and turned, and remembers which patterns these are', async () => {
    const options = { n_subsample: 9, subsample_seed: 4, flip_x: true, transpose: true, crop_px: 6 };
    await twice({ probeGuess: undefined, objectGuess: undefined }, options, async (first, second, keys) => {
      expect(second).toMatchObject({ count: 9, N: 6, xcoords: first.xcoords, ycoords: first.ycoords });
      expect(await amplitudes(second)).toEqual(await amplitudes(first));
      expect(keys).toContain('sample_indices');
      const npz = await openNpz(file('out.npz'));
      expect([...(await npz.readReal('sample_indices')).data]).toEqual([...first.sampleIndices]);
      await npz.close();
    });
    const rows = [7, 3, 3];
    await twice(
      { Y: random([n, N, N], 2) },
      {},
      async (first, second) => {
        expect([...second.ycoords]).toEqual(rows.map((row) => first.ycoords[row]));
        expect([...second.scanIndex]).toEqual(rows.map((row) => first.scanIndex[row]));
        expect((await second.groundTruth!.readRows([0])).re).toEqual((await first.groundTruth!.readRows([7])).re);
      },
      { rows },
    );
  });

  it('continues the metadata, and corrects what is no longer true', async () => {
    const record = {
      schema_version: '1.0.0',
      physics_parameters: { nphotons: 5e5, N: 8, measurement_domain: 'count_intensity' },
      data_transformations: [{ tool: 'a', operation: 'b' }],
      additional_parameters: { note: 'kept' },
    };
    const counts = { data: Float32Array.from(data, (d) => Math.round(d * d)), shape: [n, N, N] };
    const changes = {
      diffraction: counts,
      probeGuess: undefined,
      objectGuess: undefined,
      _metadata: { strings: [JSON.stringify(record)], shape: [] },
    };
    const options = { crop_px: 6, energy_eV: 8000, flip_y: true };
    const transformation = { tool: 'ptychopinn convert', operation: 'convert', parameters: { why: 'test' } };
    await twice(
      changes,
      options,
      (_, second) => {
        expect(second.metadata).toEqual({
          ...record,
          physics_parameters: { nphotons: 5e5, N: 6, measurement_domain: 'count_amplitude' },
          additional_parameters: { note: 'kept', geometry: { energy_eV: 8000 } },
          data_transformations: [
            { tool: 'a', operation: 'b' },
            {
              tool: 'ptychopinn convert',
              operation: 'convert',
              timestamp: expect.stringMatching(/^\d{4}-/),
              parameters: { source: file('in.npz'), patterns: n, orientation: 'flip_y', why: 'test' },
            },
          ],
        });
        expect(second.geometry.energy_eV).toBe(8000);
      },
      { transformation },
    );
  });

  it('writes only the elements of sub-array views, from and to memory', async () => {
    const padded = <T extends Float32Array | Float64Array | Int32Array>(values: T): T => {
      const room = new (values.constructor as new (length: number) => T)(values.length + 7).fill(77) as T;
      room.set(values, 3);
      return room.subarray(3, 3 + values.length) as T;
    };
    const probe = random([2, N, N], 5);
    const mask = new Uint8Array(N * N + 9).fill(1);
    const badPixels = mask.subarray(4, 4 + N * N).fill(0);
    badPixels[11] = 1;
    const raw = rawDataFromArrays({
      diffraction: { data: padded(data), shape: [n, N, N] },
      xcoords: padded(arrays.xcoords.data),
      ycoords: padded(arrays.ycoords.data),
      scanIndex: padded(arrays.scan_index.data),
      probeGuess: { re: padded(probe.re), im: padded(probe.im), shape: probe.shape },
      objectGuess: { re: padded(arrays.objectGuess.re), im: padded(arrays.objectGuess.im), shape: [20, 20] },
      badPixels,
      geometry: { energy_eV: 9000, objectPixel_m: { x: 1e-8, y: 2e-8 } },
    });
    await writeScan(file('views.npz'), raw);
    const second = await openDataset(file('views.npz'));
    expect(await amplitudes(second)).toEqual(data.map((v, p) => (p % (N * N) === 11 ? 0 : v)));
    expect(second).toMatchObject({ xcoords: arrays.xcoords.data, probeGuess: probe, objectGuess: arrays.objectGuess });
    expect(second.geometry).toMatchObject({ energy_eV: 9000, objectPixel_m: { x: 1e-8, y: 2e-8 } });
    await second.close();
  });

  it('leaves nothing half-written: bad pixels far in, cancelled, rows that do not exist', async () => {
    const before = await readdir(folder);
    const broken = data.slice();
    broken[(n - 1) * N * N + 3] = Number.NaN;
    // Pattern 18 is not among those looked at when a scan is opened.
    broken[18 * N * N] = Number.NaN;
    const make = (values: Float32Array) =>
      rawDataFromArrays({
        diffraction: { data: values, shape: [n, N, N] },
        xcoords: arrays.xcoords.data,
        ycoords: arrays.ycoords.data,
        measurement_domain: 'count_amplitude',
      });
    await expect(writeScan(file('no.npz'), make(broken))).rejects.toThrow(/has the value NaN in pattern 18/);
    const signal = AbortSignal.abort();
    await expect(writeScan(file('no.npz'), make(data), { signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(writeScan(file('no.npz'), make(data), { rows: [n] })).rejects.toThrow(/no pattern 20 among 20/);
    await expect(writeScan(path.join(folder, 'nowhere', 'no.npz'), make(data))).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
    expect(await readdir(folder)).toEqual(before);
  });

  it('gives the same patterns for any scan', async () => {
    const scans = fc.record({
      n: fc.integer({ min: 1, max: 9 }),
      N: fc.integer({ min: 1, max: 9 }),
      seed: fc.nat(1000),
      compress: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(scans, async ({ n: count, N: side, seed, compress }) => {
        const { diffraction, xcoords, ycoords } = scanArrays(count, side, seed);
        const raw = rawDataFromArrays({ diffraction, xcoords: xcoords.data, ycoords: ycoords.data });
        await writeScan(file('any.npz'), raw, { compress });
        const again = await openDataset(file('any.npz'));
        expect(await amplitudes(again)).toEqual(await amplitudes(raw));
        expect([again.domain, again.xcoords]).toEqual([raw.domain, raw.xcoords]);
        await again.close();
      }),
      { numRuns: 30 },
    );
  });
});

describePython('NumPy', ['numpy'], () => {
  it('reads what is written, without allow_pickle', async () => {
    const raw = await openDataset(
      await writeArrays(file('in.npz'), arrays, { Y: random([n, N, N], 2), probeGuess: random([2, N, N], 1) }),
    );
    await writeScan(file('numpy.npz'), raw, { transformation: { tool: 't', operation: 'o' } });
    await raw.close();
    const script = `import numpy as np, sys, json
f = np.load(sys.argv[1])
json.loads(str(f['_metadata']))
kinds = {k: [f[k].dtype.str, list(f[k].shape)] for k in f.files if k != '_metadata'}
print(json.dumps([kinds, str(f['measurement_domain']), float(f['diffraction'].astype('f8').sum())]))`;
    const [kinds, domain, sum] = askPython<[Record<string, unknown>, string, number]>(script, [file('numpy.npz')]);
    expect(kinds).toEqual({
      diffraction: ['<f4', [20, 8, 8]],
      xcoords: ['<f8', [20]],
      ycoords: ['<f8', [20]],
      probeGuess: ['<c8', [2, 8, 8]],
      objectGuess: ['<c8', [20, 20]],
      scan_index: ['<i4', [20]],
      measurement_domain: ['<U15', []],
      Y: ['<c8', [20, 8, 8]],
    });
    expect(domain).toBe('count_amplitude');
    expect(sum).toBeCloseTo(
      data.reduce((a, b) => a + b, 0),
      3,
    );
  });
});
