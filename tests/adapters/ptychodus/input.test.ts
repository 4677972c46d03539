/** From a host's input to a scan: pairs by value, pixels of the object, bad pixels. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openInput } from '../../../src/adapters/ptychodus/input.js';
import type { Logger } from '../../../src/core/log.js';
import { writeNpz } from '../../../src/formats/npz.js';
import { projection } from '../../../src/physics/layers.js';
import {
  type HostInput,
  mirroredInput,
  N,
  OBJECT,
  offCentreScan,
  shuffled,
  simulatedInput,
} from '../../support/hostInput.js';
import { describePython, runPython } from '../../support/python.js';

const simulated = simulatedInput();

function listener(): Logger & { readonly said: string[] } {
  const said: string[] = [];
  return { said, info: (m) => said.push(m), warn: (m) => said.push(m) };
}

describe('the scan of an input', () => {
  it('has its positions in pixels of the object', async () => {
    const raw = await openInput(simulated, listener());
    const { xs, ys } = offCentreScan();
    for (let i = 0; i < raw.count; i++) {
      expect(raw.xcoords[i]).toBeCloseTo(xs[i], 8);
      expect(raw.ycoords[i]).toBeCloseTo(ys[i], 8);
    }
    expect(raw.domain).toBe('count_intensity');
    expect(raw.N).toBe(N);
    expect(raw.geometry).toMatchObject({ energy_eV: 8800, detectorDistance_m: 2 });
    await raw.close();
  });

  it('pairs patterns and positions by the value of their index', async () => {
    const [a, b] = await Promise.all(
      [simulated, shuffled(simulated, (i) => 1000 - 7 * i)].map((input) => openInput(input, listener())),
    );
    // Falling names: the scan is in their order.
    const n = a.count;
    expect(b.count).toBe(n);
    for (let i = 0; i < n; i++) {
      expect(b.xcoords[i]).toBe(a.xcoords[n - 1 - i]);
      const [p, q] = [new Float32Array(N * N), new Float32Array(N * N)];
      await a.patterns.readStored([n - 1 - i], p);
      await b.patterns.readStored([i], q);
      expect(q).toEqual(p);
    }
  });

  it('leaves out what has no partner, and says so', async () => {
    const { x_m, y_m } = simulated.product.positions;
    const n = x_m.length;
    const log = listener();
    const indexes = Int32Array.from({ length: n }, (_, i) => i + 3);
    const raw = await openInput(
      { ...simulated, product: { ...simulated.product, positions: { indexes, x_m, y_m } } },
      log,
    );
    expect(raw.count).toBe(n - 3);
    expect(raw.xcoords[0]).toBeCloseTo(offCentreScan().xs[0], 8);
    expect(log.said.join()).toContain('left out: 3 patterns without position, 3 positions without pattern');
  });

  it.each(['patterns', 'positions'] as const)('refuses an index that %s have twice', async (side) => {
    const n = simulated.patterns.shape[0];
    const twice = Int32Array.from({ length: n }, (_, i) => (i === 5 ? 2 : i));
    const input: HostInput =
      side === 'patterns'
        ? { ...simulated, patterns: { ...simulated.patterns, indexes: twice } }
        : {
            ...simulated,
            product: { ...simulated.product, positions: { ...simulated.product.positions, indexes: twice } },
          };
    await expect(openInput(input, listener())).rejects.toThrow('has the index 2 twice (rows 2 and 5)');
  });

  it('refuses what does not fit, in words of the host', async () => {
    const { data, shape } = simulated.patterns;
    const refused = (change: Partial<HostInput>) => openInput({ ...simulated, ...change }, listener());
    await expect(refused({ patterns: { data, shape: [shape[0], N / 2, 2 * N] } })).rejects.toThrow(
      'patterns of 32×128 pixels, but square ones are needed',
    );
    await expect(refused({ patterns: { data, shape: [shape[0] - 1, N, N] } })).rejects.toThrow(
      'must be (n, height, width)',
    );
    await expect(refused({ patterns: { data, shape, indexes: [1, 2] } })).rejects.toThrow('There are 2 indexes for');
    await expect(refused({ badPixels: [1, 2, 3] })).rejects.toThrow('mask of bad pixels has 3 pixels');
    const { product } = simulated;
    const object = { ...product.object, pixel: { width_m: 0, height_m: 0 } };
    await expect(refused({ product: { ...product, object } })).rejects.toThrow('give it its pixel size');
    const nan = { ...product.positions, x_m: product.positions.x_m.map((x, i) => (i === 4 ? Number.NaN : x)) };
    await expect(refused({ product: { ...product, positions: nan } })).rejects.toThrow('must be finite');
  });

  it('refuses amplitudes where the host has intensities', async () => {
    const data = Float32Array.from(simulated.patterns.data, Math.sqrt);
    await expect(openInput({ ...simulated, patterns: { ...simulated.patterns, data } }, listener())).rejects.toThrow(
      'count_amplitude',
    );
  });

  it('blanks bad pixels', async () => {
    const badPixels = new Uint8Array(N * N);
    badPixels[33 * N + 31] = 1;
    const data = simulated.patterns.data.slice();
    for (let i = 33 * N + 31; i < data.length; i += N * N) data[i] = -1;
    const raw = await openInput({ ...simulated, patterns: { ...simulated.patterns, data }, badPixels }, listener());
    const pixels = new Float32Array(N * N);
    await raw.patterns.readStored([0], pixels);
    expect(pixels[33 * N + 31]).toBe(0);
    expect(raw.badPixels).toEqual(badPixels);
  });

  it('has the photons of the product, and all incoherent modes of its first coherent one', async () => {
    const { product } = simulated;
    const { re, im } = product.probe.array;
    const array = {
      re: Float32Array.from({ length: 4 * N * N }, (_, i) => re[i % (N * N)] * (i < N * N ? 1 : 0.1)),
      im: Float32Array.from({ length: 4 * N * N }, (_, i) => im[i % (N * N)] * (i < N * N ? 1 : 0.1)),
      shape: [2, 2, N, N],
    };
    const n = product.positions.x_m.length;
    const log = listener();
    const raw = await openInput(
      {
        ...simulated,
        product: {
          ...product,
          metadata: { ...product.metadata, probe_photon_count: 3e5 },
          probe: { ...product.probe, array, opr_weights: { data: new Float64Array(2 * n).fill(0.5), shape: [n, 2] } },
        },
      },
      log,
    );
    expect(raw.probeGuess?.shape).toEqual([2, N, N]);
    expect(raw.probeGuess?.re.subarray(0, N * N)).toEqual(re);
    expect(raw.metadata).toEqual({ physics_parameters: { nphotons: 3e5 } });
    expect(log.said.join()).toContain('the first of 2 coherent (OPR) modes of the probe is used');
    expect(log.said.join()).toContain('weights of the 2 coherent (OPR) modes');
  });

  it('takes the product of the layers of an object', () => {
    const { object } = simulated.product;
    const layers = { re: Float32Array.of(1, 2, 0, 3), im: Float32Array.of(0, 1, 2, -1), shape: [2, 1, 2] };
    // 1·2i = 2i; (2 + i)(3 − i) = 7 + i
    expect(projection(layers)).toEqual({
      re: Float32Array.of(0, 7),
      im: Float32Array.of(2, 1),
      shape: [1, 2],
    });
    expect(projection(object.array).shape).toEqual([OBJECT.rows, OBJECT.cols]);
  });

  it('cuts known patches from the object where they are asked for', async () => {
    const input = mirroredInput();
    const { truth } = input;
    const object = { ...input.product.object, array: { ...truth, shape: [1, ...truth.shape] } };
    const raw = await openInput({ ...input, product: { ...input.product, object } }, listener(), {
      labels: true,
      // Patches of the truth look like the near field that they are.
      accept: ['NEAR_FIELD'],
    });
    const { re, shape } = (await raw.labels?.readRows([2])) ?? { re: [], shape: [] };
    expect(shape).toEqual([1, N, N]);
    // The patterns are these patches, squared.
    for (let i = 0; i < N * N; i += 97) {
      expect(1e3 * re[i] ** 2).toBeCloseTo(input.patterns.data[2 * N * N + i], 2);
    }
  });
});

describe('files of patterns', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-host-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('may be the NPZ that Ptychodus exports', async () => {
    const file = path.join(folder, 'patterns.npz');
    const moved = shuffled(simulated);
    const { data, shape, indexes } = moved.patterns;
    const bad = new Uint8Array(N * N);
    bad[7] = 1;
    await writeNpz(
      file,
      {
        patterns: { data, shape },
        indexes: { data: Int32Array.from(indexes ?? []), shape: [shape[0]] },
        bad_pixels: { data: bad, shape: [N, N], dtype: 'bool' },
        allow_pickle: { data: Uint8Array.of(0), shape: [], dtype: 'bool' },
      },
      { compress: true },
    );
    await sameScan(file, moved, bad);
  });

  describePython('or diffraction.h5', ['h5py', 'numpy'], () => {
    it('with LZF, in a folder, with or without a product beside it', async () => {
      const moved = shuffled(simulated);
      const npz = path.join(folder, 'arrays.npz');
      const { data, shape, indexes } = moved.patterns;
      await writeNpz(npz, {
        patterns: { data, shape },
        indexes: { data: Int32Array.from(indexes ?? []), shape: [shape[0]] },
      });
      runPython(
        `
import sys, h5py, numpy
a = numpy.load(sys.argv[1])
bad = numpy.zeros(a['patterns'].shape[1:], bool); bad[0, 7] = True
with h5py.File(sys.argv[2], 'w') as f:
    f.create_dataset('patterns', data=a['patterns'].astype('uint16'), compression='lzf')
    f.create_dataset('indexes', data=a['indexes'].astype('int64'), compression='lzf')
    f.create_dataset('bad_pixels', data=bad, compression='lzf')`,
        [npz, path.join(folder, 'diffraction.h5')],
        ['h5py', 'numpy'],
      );
      const bad = new Uint8Array(N * N);
      bad[7] = 1;
      await sameScan(path.join(folder, 'diffraction.h5'), moved, bad);
      await sameScan(folder, moved, bad);
    });
  });

  async function sameScan(patterns: string, moved: HostInput, bad: Uint8Array): Promise<void> {
    const [a, b] = await Promise.all([
      openInput({ ...moved, badPixels: bad }, listener()),
      openInput({ patterns, product: moved.product }, listener()),
    ]);
    try {
      expect(b.count).toBe(a.count);
      expect(b.badPixels).toEqual(bad);
      expect(b.xcoords).toEqual(a.xcoords);
      const [p, q] = [new Float32Array(a.count * N * N), new Float32Array(a.count * N * N)];
      const all = Int32Array.from({ length: a.count }, (_, i) => i);
      await a.patterns.readStored(all, p);
      await b.patterns.readStored(all, q);
      expect(q).toEqual(p);
    } finally {
      await b.close();
    }
  }
});
