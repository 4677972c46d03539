/** Opening scans: what is accepted, what it becomes, and one clear sentence for everything else. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ndarray from 'ndarray';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPtychoError, type PtychoErrorCode } from '../../src/core/errors.js';
import { LegacyRng } from '../../src/core/rng.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { openDataset } from '../../src/data/openDataset.js';
import type { OpenDatasetOptions } from '../../src/data/options.js';
import type { RawData } from '../../src/data/rawData.js';
import { encodeNpy, type NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';
import { writeZip } from '../../src/formats/zip.js';
import { dictionary, npyFile } from '../support/npyBytes.js';
import { scanArrays } from '../support/scanFiles.js';
import { describeShared, sharedFile } from '../support/shared.js';

const [n, N] = [30, 8];
const arrays = scanArrays(n, N);
const { data } = arrays.diffraction;
let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-raw-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Arrays = Record<string, NpyInput | undefined>;
const scanFile = async (changes: Arrays, name = 'scan.npz', compress = false) => {
  const all = Object.entries({ ...arrays, ...changes } as Arrays).filter(([, input]) => input !== undefined);
  await writeNpz(file(name), Object.fromEntries(all) as Record<string, NpyInput>, { compress });
  return file(name);
};
const lines = () => {
  const said: string[] = [];
  return { said, logger: { info: (m: string) => said.push(m), warn: (m: string) => said.push(`WARN ${m}`) } };
};
async function withScan<T>(
  changes: Arrays,
  options: OpenDatasetOptions,
  work: (raw: RawData) => Promise<T> | T,
): Promise<T> {
  const raw = await openDataset(await scanFile(changes), options);
  try {
    return await work(raw);
  } finally {
    await raw.close();
  }
}
const amplitudes = async (raw: RawData, indices = [...Array(raw.count).keys()]) => {
  const out = new Float32Array(indices.length * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, out);
  return out;
};
const patternsOf = (rows: ArrayLike<number>) =>
  Float32Array.from(Array.from(rows).flatMap((row) => [...data.subarray(row * N * N, (row + 1) * N * N)]));

/** One sentence, of the given code, naming the file. */
async function refuses(
  changes: Arrays | string,
  code: PtychoErrorCode,
  message: RegExp,
  options: OpenDatasetOptions = {},
) {
  const target = typeof changes === 'string' ? changes : await scanFile(changes);
  const error = await openDataset(target, options).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isPtychoError(error)) throw new Error(`expected ${code}, got ${String(error)}`);
  expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  expect(error.message).toMatch(/^[^\n]+[.\]]$/);
}

describe('openDataset', () => {
  for (const compress of [false, true]) {
    it(`reads a ${compress ? 'compressed' : 'plain'} file`, async () => {
      const { said, logger } = lines();
      const raw = await openDataset(await scanFile({}, 'scan.npz', compress), { logger });
      expect(raw).toMatchObject({ count: n, N, domain: 'count_amplitude', source: file('scan.npz') });
      expect(raw.domainReason).toMatch(/squares .* whole numbers/);
      expect([raw.xcoords, raw.ycoords]).toEqual([arrays.xcoords.data, arrays.ycoords.data]);
      expect(raw.probeGuess).toEqual(arrays.probeGuess);
      expect(raw.objectGuess).toEqual(arrays.objectGuess);
      expect(raw.scanIndex).toEqual(arrays.scan_index.data);
      expect([...raw.sampleIndices]).toEqual([...Array(n).keys()]);
      expect(raw.xcoordsStart).toBeUndefined();
      expect(raw.patterns.resident).toBe(false);
      expect(await amplitudes(raw)).toEqual(data);
      expect(await amplitudes(raw, [7, 3, 7])).toEqual(patternsOf([7, 3, 7]));
      expect(said).toEqual([expect.stringMatching(/30 patterns of 8×8, count_amplitude: the squares/)]);
      await raw.close();
    });
  }

  it('accepts diff3d, start positions, float32 coordinates, a trailing axis of length 1, and files without extras', async () => {
    await withScan(
      {
        diffraction: undefined,
        diff3d: { data, shape: [n, N, N, 1] },
        xcoords: { data: Float32Array.from(arrays.xcoords.data), shape: [n] },
        xcoords_start: arrays.xcoords,
        ycoords_start: arrays.ycoords,
        probeGuess: undefined,
        objectGuess: undefined,
        scan_index: undefined,
      },
      {},
      async (raw) => {
        expect(raw).toMatchObject({ count: n, N, probeGuess: undefined, objectGuess: undefined });
        expect([...raw.scanIndex]).toEqual(new Array(n).fill(0));
        expect(raw.ycoordsStart).toEqual(arrays.ycoords.data);
        expect(await amplitudes(raw)).toEqual(data);
      },
    );
  });

  it('transposes (N, N, n) and says so', async () => {
    const { said, logger } = lines();
    const moved = new Float32Array(data.length);
    for (let k = 0; k < n; k++) for (let p = 0; p < N * N; p++) moved[p * n + k] = data[k * N * N + p];
    const changes = { diffraction: { data: moved, shape: [N, N, n] } };
    await withScan(changes, { logger, n_subsample: 10, subsample_seed: 4 }, async (raw) => {
      expect(await amplitudes(raw)).toEqual(patternsOf(raw.sampleIndices));
    });
    expect(said[0]).toMatch(/"diffraction" has shape \(8, 8, 30\) with the patterns last; transposed to \(30, 8, 8\)/);
  });

  it('draws a subset as NumPy would, in ascending order, with everything that goes with it', async () => {
    await withScan({}, { n_subsample: 12, subsample_seed: 7 }, async (raw) => {
      const chosen = [...new LegacyRng(7).choice(n, 12, false)].sort((a, b) => a - b);
      expect([...raw.sampleIndices]).toEqual(chosen);
      expect([...raw.xcoords]).toEqual(chosen.map((i) => arrays.xcoords.data[i]));
      expect([...raw.scanIndex]).toEqual(chosen.map((i) => i % 3));
      expect(await amplitudes(raw)).toEqual(patternsOf(chosen));
    });
    await withScan({}, { n_subsample: 99 }, (raw) => expect(raw.count).toBe(n));
  });

  it('another probe: from a file with or without key, or a single array', async () => {
    const other = { re: new Float32Array(64).fill(2), im: new Float32Array(64).fill(1), shape: [N, N] };
    const wide = { re: Float64Array.from(other.re), im: Float64Array.from(other.im), shape: [1, N, N] };
    await writeNpz(file('probes.npz'), { probeGuess: other, probeTrue: wide });
    await writeFile(file('probe.npy'), encodeNpy(other));
    for (const probe of ['probes.npz', 'probes.npz:probeTrue', 'probes.npz:probeGuess', 'probe.npy']) {
      await withScan({}, { probe: file(probe) }, (raw) => expect(raw.probeGuess).toEqual(other));
    }
    // The file's own probe may then be of any size.
    const small = { re: new Float32Array(4).fill(1), im: new Float32Array(4), shape: [2, 2] };
    await withScan({ probeGuess: small }, { probe: file('probe.npy') }, (raw) => expect(raw.probeGuess).toEqual(other));
    await refuses({}, 'DATASET_KEY_MISSING', /no array "probeFalse"; it holds probeGuess, probeTrue/, {
      probe: file('probes.npz:probeFalse'),
    });
    await refuses({}, 'FILE_NOT_FOUND', /nowhere.npz/, { probe: file('nowhere.npz:probeTrue') });
  });

  it('leaves out optional arrays that are pickled, with a warning', async () => {
    const { said, logger } = lines();
    const members = Object.entries({ ...arrays, objectGuess: undefined })
      .filter(([, input]) => input !== undefined)
      .map(([key, input]) => ({ name: `${key}.npy`, data: encodeNpy(input as NpyInput) }));
    members.push({ name: 'objectGuess.npy', data: npyFile(dictionary('|O', '()'), Buffer.from('\x80\x04N.')) });
    await writeZip(file('none.npz'), members);
    const raw = await openDataset(file('none.npz'), { logger });
    expect(raw.objectGuess).toBeUndefined();
    expect(said[0]).toMatch(/^WARN Left out: .*"objectGuess", has dtype object/);
    await raw.close();
  });
});

describe('the measurement domain', () => {
  const counts = Uint16Array.from(data, (d) => Math.round(d * d));
  const domainOf = (values: NpyInput, options: OpenDatasetOptions = {}, extra: Arrays = {}) =>
    withScan({ diffraction: values, ...extra }, options, async (raw) => ({
      raw,
      found: [raw.domain, raw.domainReason],
      pixels: await amplitudes(raw),
    }));
  const shape = [n, N, N];

  it('integers are counts, and so are whole numbers stored as floats; both are square-rooted', async () => {
    for (const values of [counts, Float32Array.from(counts), Float64Array.from(counts)]) {
      const { found, pixels } = await domainOf({ data: values, shape });
      expect(found[0]).toBe('count_intensity');
      expect(found[1]).toMatch(values === counts ? /uint16/ : /whole numbers/);
      pixels.forEach((d, i) => {
        expect(d).toBeCloseTo(data[i], 5);
      });
    }
  });

  it('√counts by their squares, or by their size', async () => {
    expect((await domainOf({ data, shape })).found).toEqual(['count_amplitude', expect.stringMatching(/squares/)]);
    await expect(domainOf({ data: data.map((d) => 1.37 * d + 0.2), shape })).rejects.toThrow(/DOMAIN_UNKNOWN/);
  });

  it('everything else is normalised', async () => {
    const { found, pixels } = await domainOf({ data: data.map((d) => d / 31), shape });
    expect(found).toEqual(['normalized_amplitude', expect.stringMatching(/below 10/)]);
    expect(pixels).toEqual(data.map((d) => d / 31));
  });

  it('is taken from the file, or from the option', async () => {
    const declared = { measurement_domain: { strings: ['count_intensity'], shape: [] } };
    const floats = { data: data.map((d) => d / 31), shape };
    const { found, pixels } = await domainOf(floats, {}, declared);
    expect(found).toEqual(['count_intensity', 'the file declares it']);
    expect(pixels[36]).toBeCloseTo(Math.sqrt(data[36] / 31), 6);
    const over = await domainOf(floats, { measurement_domain: 'count_amplitude' });
    expect(over.found).toEqual(['count_amplitude', 'it was given']);
    await refuses(
      { measurement_domain: { strings: ['photons'], shape: [1] } },
      'DATASET_UNITS',
      /domain "photons", which is none of normalized_amplitude, count_amplitude, count_intensity/,
    );
    await refuses(
      { measurement_domain: { data: Float32Array.of(1), shape: [] } },
      'DATASET_UNITS',
      /must hold one word/,
    );
  });
});

describe('openDataset refuses', () => {
  const zeros = (...shape: number[]) => ({ data: new Float32Array(shape.reduce((a, b) => a * b, 1)), shape });
  const changed = (at: number, value: number) => {
    const copy = data.slice();
    copy[at] = value;
    return { data: copy, shape: [n, N, N] };
  };

  it('a missing, foreign or truncated file', async () => {
    await refuses(file('absent.npz'), 'FILE_NOT_FOUND', /absent.npz: there is no such file/);
    await writeFile(file('text.npz'), 'hello, this is text and no archive at all');
    await refuses(file('text.npz'), 'FILE_FORMAT', /a file of no kind that is recognised as a scan; these are: .*npz/);
    await refuses(file('text.npz'), 'FILE_FORMAT', /not a zip archive/, { data_format: 'npz' });
    const whole = await readFile(await scanFile({}));
    await writeFile(file('cut.npz'), whole.subarray(0, Math.floor(whole.length * 0.7)));
    await refuses(file('cut.npz'), 'FILE_TRUNCATED', /cut.npz ends before the zip directory.*cut off/);
  });

  it('missing keys, naming the accepted ones', async () => {
    await refuses(
      { diffraction: undefined },
      'DATASET_KEY_MISSING',
      /no diffraction patterns: the accepted keys are diffraction and diff3d \(.*\), the file holds xcoords/,
    );
    await refuses(
      { ycoords: undefined },
      'DATASET_KEY_MISSING',
      /no scan positions: xcoords and ycoords .* the file holds diffraction, xcoords/,
    );
  });

  it('patterns of a wrong rank, not square, empty or not real', async () => {
    await refuses(
      { diffraction: zeros(n, N * N) },
      'DATASET_SHAPE',
      /"diffraction", has shape \(30, 64\), but diffraction must have three axes: \(patterns, N, N\)/,
    );
    await refuses({ diffraction: zeros(n, N, N, 2) }, 'DATASET_SHAPE', /has shape \(30, 8, 8, 2\)/);
    await refuses(
      { diffraction: zeros(n, N, N + 1) },
      'DATASET_SHAPE',
      /"diffraction", has 30 patterns of 8×9 pixels, \(30, 8, 9\), but they must be square; cut them with crop_px, such as --crop_px 8 /,
    );
    await refuses({ diffraction: zeros(0, N, N) }, 'DATASET_SHAPE', /holds no patterns/);
    const c = { re: data, im: data, shape: [n, N, N] };
    await refuses({ diffraction: c }, 'DATASET_VALUE', /holds complex64 values, but diffraction must be real/);
  });

  it('coordinates of another length, a wrong rank, NaN or infinite', async () => {
    const short = { data: arrays.xcoords.data.slice(1), shape: [n - 1] };
    await refuses(
      { xcoords: short },
      'DATASET_SHAPE',
      /scan.npz has 29 values in "xcoords" but 30 in "ycoords"; there must be one of each/,
    );
    await refuses(
      { xcoords: short, ycoords: short },
      'DATASET_SHAPE',
      /"diffraction", has 30 patterns, but there are 29 scan positions in .*scan.npz; there must be one for each/,
    );
    await refuses(
      { xcoords_start: short, ycoords_start: arrays.ycoords },
      'DATASET_SHAPE',
      /29 values in "xcoords_start" but 30 in/,
    );
    await refuses(
      { scan_index: { data: new Int32Array(2), shape: [2] } },
      'DATASET_SHAPE',
      /"scan_index", has 2 scan numbers, but there are 30 positions/,
    );
    await refuses(
      { ycoords: { data: arrays.ycoords.data, shape: [2, 3, 5] } },
      'DATASET_SHAPE',
      /"ycoords", has shape \(2, 3, 5\), but positions must have one value for each pattern/,
    );
    for (const value of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      const bad = { data: arrays.xcoords.data.slice(), shape: [n] };
      bad.data[4] = value;
      await refuses(
        { xcoords: bad },
        'DATASET_VALUE',
        new RegExp(`scan.npz has the x value ${value} at index 4, but scan positions must be finite`),
      );
    }
    await refuses({ xcoords: { strings: new Array(n).fill('1'), shape: [n] } }, 'DATASET_VALUE', /holds str values/);
  });

  it('pixels that are NaN, infinite or negative: at once where it looks, else when they are read', async () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -3]) {
      await refuses(
        { diffraction: changed(2 * 8 + 5, value) },
        'DATASET_VALUE',
        new RegExp(
          `value ${value} in pattern 0, row 2, column 5, but pixels must be finite and not negative; say which values are data with --valid_range`,
        ),
      );
    }
    // 64 frames are looked at; of 90 the last is not.
    const thrice = Float32Array.from([...data, ...data, ...data]);
    thrice[thrice.length - 1] = Number.NaN;
    const x = Float64Array.from({ length: 3 * n }, (_, i) => 3 * (i % 10));
    const y = Float64Array.from({ length: 3 * n }, (_, i) => 3 * Math.floor(i / 10));
    const many = {
      diffraction: { data: thrice, shape: [3 * n, N, N] },
      xcoords: { data: x, shape: [3 * n] },
      ycoords: { data: y, shape: [3 * n] },
      scan_index: undefined,
    };
    await withScan(many, {}, async (raw) => {
      await expect(amplitudes(raw)).rejects.toMatchObject({
        message: expect.stringMatching(/pattern 89, row 7, column 7/),
      });
    });
    const counts = { data: Int32Array.from(data, (d, i) => (i === 3 ? -1 : Math.round(d * d))), shape: [n, N, N] };
    await refuses(
      { diffraction: counts },
      'SCAN_WRONG',
      /1 of the values looked at is -1, in single pixels of single patterns: no counts, but marks: --valid_range 0:/,
    );
  });

  it('a probe of another size, with several modes, NaN or dark', async () => {
    const probe = (shape: number[], fill = 1) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return { re: new Float32Array(size).fill(fill), im: new Float32Array(size), shape };
    };
    await refuses(
      { probeGuess: probe([16, 16]) },
      'PROBE_SHAPE',
      /"probeGuess", has shape \(16, 16\), but the patterns need a probe of 8×8 pixels/,
    );
    await refuses({ probeGuess: probe([8]) }, 'PROBE_SHAPE', /shape \(8,\)/);
    await refuses({ probeGuess: probe([8, 4, 3]) }, 'PROBE_SHAPE', /but the patterns need a probe of 8×8 pixels/);
    await refuses({ probeGuess: probe([2, 1, 3, 8, 8]) }, 'PROBE_SHAPE', /a probe has two to four axes/);
    await refuses({ probeGuess: probe([8, 8], Number.NaN) }, 'DATASET_VALUE', /must be finite/);
    await refuses({ probeGuess: probe([8, 8], 0) }, 'DATASET_VALUE', /zero everywhere/);
  });

  it('subsets and seeds that mean nothing', async () => {
    for (const n_subsample of [0, -1, 1.5])
      await refuses({}, 'CONFIG_INVALID', /n_subsample must be a positive integer/, { n_subsample });
    await refuses({}, 'CONFIG_INVALID', /seed must be an integer/, { n_subsample: 3, subsample_seed: -4 });
  });
});

describe('rawDataFromArrays', () => {
  const given = { xcoords: arrays.xcoords.data, ycoords: arrays.ycoords.data };

  it('takes tensors and ndarray views, strided ones included', async () => {
    const moved = new Float32Array(data.length);
    for (let k = 0; k < n; k++) for (let p = 0; p < N * N; p++) moved[p * n + k] = data[k * N * N + p];
    const views = [arrays.diffraction, ndarray(data, [n, N, N]), ndarray(moved, [N, N, n]).transpose(2, 0, 1)];
    for (const diffraction of views) {
      const raw = rawDataFromArrays({
        ...given,
        diffraction,
        probeGuess: arrays.probeGuess,
        scanIndex: arrays.scan_index.data,
      });
      expect(raw).toMatchObject({
        count: n,
        N,
        domain: 'count_amplitude',
        source: 'memory',
        probeGuess: arrays.probeGuess,
      });
      expect(await amplitudes(raw)).toEqual(data);
    }
  });

  it('checks what a file is checked for', () => {
    const diffraction = arrays.diffraction;
    expect(() => rawDataFromArrays({ ...given, diffraction: { data, shape: [n, N * N] } })).toThrow(
      /must have three axes/,
    );
    expect(() => rawDataFromArrays({ ...given, diffraction: { data, shape: [N, N, n] } })).toThrow(
      /must be \(patterns, N, N\)/,
    );
    expect(() => rawDataFromArrays({ ...given, diffraction, xcoords: [1, 2] })).toThrow(/2 x and 30 y coordinates/);
    expect(() => rawDataFromArrays({ ...given, diffraction, ycoords: given.ycoords.map(() => Number.NaN) })).toThrow(
      /must be finite/,
    );
    const probeGuess = { re: new Float32Array(4), im: new Float32Array(4), shape: [2, 2] };
    expect(() => rawDataFromArrays({ ...given, diffraction, probeGuess })).toThrow(/probe of 8×8/);
  });

  it('patterns that are asked for must exist, and fit', async () => {
    const raw = rawDataFromArrays({ ...given, diffraction: arrays.diffraction });
    await expect(raw.patterns.readAmplitudes([n], new Float32Array(N * N))).rejects.toThrow(/no pattern 30 among 30/);
    await expect(raw.patterns.readAmplitudes([0], new Float32Array(5))).rejects.toThrow(/room for 64 pixels, got 5/);
  });
});

describeShared('measured and simulated data', () => {
  for (const [name, count, side] of [
    ['sim_64_counts.npz', 289, 64],
    ['siemens_star_128.npz', 516, 128],
  ] as const) {
    it(name, async () => {
      const raw = await openDataset(sharedFile('data', name), {
        probe: name.startsWith('sim') ? `${sharedFile('data', name)}:probeTrue` : undefined,
      });
      try {
        expect([raw.count, raw.N, raw.domain]).toEqual([count, side, 'count_amplitude']);
        const power = raw.probeGuess!.re.reduce((sum, v, i) => sum + v * v + raw.probeGuess!.im[i] ** 2, 0);
        if (name.startsWith('sim')) expect(power).toBeCloseTo(200_000, -1);
      } finally {
        await raw.close();
      }
    });
  }
});
