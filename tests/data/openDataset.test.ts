/** What happens to a scan between its file and its use, the same for all formats: crop, orientation, units, masks, notes. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { UPRIGHT } from '../../src/data/opening/orientation.js';
import type { OpenDatasetOptions } from '../../src/data/options.js';
import type { RawData } from '../../src/data/rawData.js';
import { encodeNpy, type NpyInput } from '../../src/formats/npyWrite.js';
import { fourierCrop } from '../../src/physics/fourierCrop.js';
import { probeGuessFromPatterns, totalIntensity } from '../../src/physics/probe.js';

import fc from '../support/fastCheck.js';
import { type ArrayChanges, scanArrays, writeArrays } from '../support/scanFiles.js';

const [n, N] = [30, 8];
const arrays = scanArrays(n, N);
const { data } = arrays.diffraction;
let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-open-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function withScan<T>(
  changes: ArrayChanges,
  options: OpenDatasetOptions,
  work: (raw: RawData) => Promise<T> | T,
): Promise<T> {
  const raw = await openDataset(await writeArrays(file('scan.npz'), arrays, changes), options);
  try {
    return await work(raw);
  } finally {
    await raw.close();
  }
}
const refuses = (changes: ArrayChanges, message: RegExp, options: OpenDatasetOptions = {}) =>
  expect(withScan(changes, options, () => {})).rejects.toThrow(message);
const amplitudes = async (raw: RawData, indices = [...Array(raw.count).keys()]) => {
  const out = new Float32Array(indices.length * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, out);
  return out;
};
const text = (value: string): NpyInput => ({ strings: [value], shape: [] });
const complex = (shape: number[], value = 1) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return { re: new Float32Array(size).fill(value), im: new Float32Array(size), shape };
};

describe('openDataset', () => {
  it('takes a path, a path and options, or options with a path, nulls included', async () => {
    const name = await writeArrays(file('plain.npz'), arrays);
    const nothing = { n_subsample: null, probe: null, crop_px: null, x_bounds: null, measurement_domain: null };
    for (const raw of [
      await openDataset(name),
      await openDataset(name, { data_format: 'npz', ...nothing }),
      await openDataset({ path: name, data_format: 'auto', n_subsample: n }),
    ]) {
      expect(raw).toMatchObject({
        format: 'npz',
        count: n,
        N,
        orientation: UPRIGHT,
        notes: [],
        geometry: {},
        metadata: {},
      });
      expect(raw.badPixels).toBeUndefined();
      await raw.close();
    }
    await expect(openDataset(name, { data_format: 'zarr' as 'npz' })).rejects.toThrow(
      /data_format is "zarr", which is none of auto, npz, ptychodus/,
    );
  });

  it('names the formats when it knows none of them', async () => {
    await writeFile(file('notes.txt'), 'no scan');
    await writeFile(file('empty'), '');
    await expect(openDataset(file('notes.txt'))).rejects.toThrow(
      /notes.txt is a file of no kind that is recognised as a scan; these are: .*npz \(NPZ archive.*data_format/,
    );
    await expect(openDataset(file('empty'))).rejects.toMatchObject({ code: 'FILE_TRUNCATED' });
    await expect(openDataset(folder)).rejects.toThrow(/is a folder of no kind that is recognised/);
    await expect(openDataset(file('nothing'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });

  it('refuses surplus positions, or cuts them at the end when told so (FORMAT-001)', async () => {
    const longer = (values: Float64Array) => ({ data: Float64Array.of(...values, 1, 2), shape: [n + 2] });
    const changes = { xcoords: longer(arrays.xcoords.data), ycoords: longer(arrays.ycoords.data) };
    await expect(withScan(changes, {}, () => {})).rejects.toMatchObject({
      code: 'DATASET_SHAPE',
      message: expect.stringMatching(/2 positions are too many: .* --drop_unpaired/),
    });
    await withScan(changes, { drop_unpaired: true }, (raw) => {
      expect(raw.xcoords).toEqual(arrays.xcoords.data);
      expect(raw.findings?.all).toContainEqual(
        expect.objectContaining({
          code: 'UNPAIRED_LEFT_OUT',
          message: expect.stringMatching(/30 frames and 32 positions .* the last 2 positions of/),
        }),
      );
    });
  });

  it('selects patches, scan numbers and start positions with the patterns', async () => {
    const Y = complex([n, N, N]);
    for (let i = 0; i < n * N * N; i++) Y.re[i] = Math.floor(i / (N * N));
    const changes = { Y, label: Y, xcoords_start: arrays.xcoords, ycoords_start: arrays.ycoords };
    await withScan(changes, { x_bounds: [0.2, 0.9], n_subsample: 7, subsample_seed: 3 }, async (raw) => {
      expect(raw.count).toBe(7);
      expect([...raw.xcoordsStart!]).toEqual([...raw.sampleIndices].map((i) => arrays.xcoords.data[i]));
      for (const patches of [raw.groundTruth!, raw.labels!]) {
        expect(patches.count).toBe(7);
        const { re } = await patches.readRows([6, 0]);
        expect([re[0], re[N * N]]).toEqual([raw.sampleIndices[6], raw.sampleIndices[0]]);
      }
    });
    await withScan({ Y: complex([n, 4, 4]) }, {}, (raw) => {
      expect(raw.groundTruth).toBeUndefined();
      expect(raw.notes[0]).toMatch(
        /ground-truth patches of .* are 30 of 4×4 pixels, which does not fit 30 patterns of 8×8/,
      );
    });
  });

  it('guesses a probe where there is none and one is asked for', async () => {
    await withScan({ probeGuess: undefined }, {}, (raw) => expect(raw.probeGuess).toBeUndefined());
    await withScan({}, { probe: 'auto' }, (raw) => {
      expect(raw.probeGuess).toMatchObject(arrays.probeGuess);
      expect(raw.notes.join()).not.toMatch(/Gaussian/);
    });
    await withScan({ probeGuess: undefined }, { probe: 'auto' }, async (raw) => {
      expect(raw.notes).toContainEqual(expect.stringMatching(/scan\.npz holds no probe: a Gaussian as wide as/));
      const seen = await amplitudes(raw);
      const shape = probeGuessFromPatterns({ data: seen, shape: [n, N, N] });
      const power = seen.reduce((sum, v) => sum + v * v, 0) / n;
      expect(totalIntensity(raw.probeGuess!) / power).toBeCloseTo(1, 5);
      const factor = raw.probeGuess!.re[36] / shape.re[36];
      raw.probeGuess!.re.forEach((v, i) => {
        expect(v).toBeCloseTo(factor * shape.re[i], 5);
      });
    });
  });

  it('keeps probe modes', async () => {
    await withScan({ probeGuess: complex([3, N, N]) }, {}, (raw) => expect(raw.probeGuess!.shape).toEqual([3, N, N]));
    for (const shape of [
      [1, N, N],
      [N, N, 1],
      [1, 1, N, N],
    ]) {
      await withScan({ probeGuess: complex(shape) }, {}, (raw) => expect(raw.probeGuess!.shape).toEqual([N, N]));
    }
  });
});

describe('crop', () => {
  /** Frames of 10×12 whose pixels say where they are. */
  const [height, width] = [10, 12];
  const frames = {
    data: Float32Array.from({ length: n * height * width }, (_, i) => {
      const [frame, p] = [Math.floor(i / (height * width)), i % (height * width)];
      return (frame + Math.floor(p / width) / 16 + (p % width) / 256) / 8;
    }),
    shape: [n, height, width],
  };
  const pixel = (frame: number, row: number, column: number) => (frame + row / 16 + column / 256) / 8;
  const large = { diffraction: frames, probeGuess: undefined, objectGuess: undefined };

  it('is asked for where frames are not square', async () => {
    await refuses(
      large,
      /has 30 patterns of 10×12 pixels, \(30, 10, 12\), but they must be square; cut them with crop_px, such as --crop_px 10 /,
    );
  });

  it('puts the middle of the frame, or the given pixel, at N/2', async () => {
    await withScan(large, { crop_px: 8 }, async (raw) => {
      const values = await amplitudes(raw, [5]);
      expect(raw.N).toBe(8);
      expect(values[4 * 8 + 4]).toBe(pixel(5, 5, 6));
      expect(values[0]).toBe(pixel(5, 1, 2));
    });
    await withScan(large, { crop_px: 6, crop_center_px: [3, 9], transpose: true }, async (raw) => {
      const values = await amplitudes(raw, [7, 2]);
      expect(values[3 * 6 + 3]).toBe(pixel(7, 3, 9));
      expect(values[36 + 1 * 6 + 5]).toBe(pixel(2, 5, 7));
    });
  });

  it('scales positions in pixels, and leaves out what has the old pixels', async () => {
    const Y = complex([n, height, width]);
    await withScan({ ...large, objectGuess: complex([40, 40]), Y }, { crop_px: 6 }, (raw) => {
      expect([...raw.xcoords]).toEqual([...arrays.xcoords.data].map((v) => v * 0.5));
      expect([...raw.ycoords]).toEqual([...arrays.ycoords.data].map((v) => v * 0.6));
      expect([raw.objectGuess, raw.groundTruth]).toEqual([undefined, undefined]);
      expect(raw.notes).toEqual([
        expect.stringMatching(
          /multiplied by 0.5 \(x\) and 0.6 \(y\), as object pixels change when patterns are cropped or padded/,
        ),
        expect.stringMatching(/the object of .* has the pixels of the uncropped frames/),
        expect.stringMatching(/ground-truth patches .* that were cropped\.$/),
      ]);
    });
    // A probe of the cropped side shows that the positions are made for it.
    await withScan({ ...large, probeGuess: complex([6, 6]), objectGuess: complex([40, 40]) }, { crop_px: 6 }, (raw) => {
      expect(raw.xcoords).toEqual(arrays.xcoords.data);
      expect(raw.objectGuess?.shape).toEqual([40, 40]);
      expect(raw.notes).toEqual([]);
    });
    // That of the whole frames follows the patterns.
    const whole = complex([2, 10, 12]);
    await withScan({ ...large, probeGuess: whole }, { crop_px: 6 }, (raw) => {
      expect(raw.probeGuess).toEqual(fourierCrop(whole, 6));
      expect(raw.probeGuess?.shape).toEqual([2, 6, 6]);
      expect(raw.notes).toContainEqual(
        expect.stringMatching(
          /probe of .* whole frames \(10×12\); it was cropped or padded in Fourier space .* \d+\.\d % of its power/,
        ),
      );
    });
    await refuses({ ...large, probeGuess: complex([10, 10]) }, /but the patterns need a probe of 6×6 pixels/, {
      crop_px: 6,
    });
  });

  it('does nothing to frames of that size', async () => {
    await withScan({}, { crop_px: N }, async (raw) => {
      expect(raw.notes).toEqual([]);
      expect(await amplitudes(raw)).toEqual(data);
    });
  });

  it('refuses windows that do not exist', async () => {
    const wrong = (options: OpenDatasetOptions, message: RegExp) => refuses(large, message, options);
    await wrong({ crop_px: 16 }, /crop_px is 16, but the patterns of .* have only 10×12 pixels/);
    await wrong({ crop_px: 0 }, /crop_px must be a positive whole number, got 0/);
    await wrong({ crop_center_px: [4, 4] }, /must be square; cut them with crop_px, such as --crop_px 10/);
    await wrong({ crop_px: 8, crop_center_px: [4.5, 4] }, /must be a row and a column, got 4.5,4/);
    await wrong(
      { crop_px: 8, crop_center_px: [3, 6] },
      /window of 8×8 around row 3, column 6 leaves the 10×12 pixels .* rows 4 to 6 and columns 4 to 8 can be the centre/,
    );
  });
});

describe('orientation', () => {
  it('turns coordinates and start coordinates; transpose turns patterns and masks only', async () => {
    const mask = new Uint8Array(N * N);
    mask[1 * N + 5] = 1;
    const changes = {
      xcoords_start: arrays.ycoords,
      ycoords_start: arrays.xcoords,
      bad_pixels: { data: mask, shape: [N, N] },
    };
    const options = { flip_x: true, swap_xy: true, coord_scale: 2, transpose: true };
    await withScan(changes, options, async (raw) => {
      expect([...raw.xcoords]).toEqual([...arrays.ycoords.data].map((v) => 2 * v));
      expect([...raw.ycoords]).toEqual([...arrays.xcoords.data].map((v) => -2 * v));
      expect([...raw.ycoordsStart!]).toEqual([...arrays.ycoords.data].map((v) => -2 * v));
      expect(raw.orientation).toEqual({ ...options, flip_y: false });
      expect([...raw.badPixels!].indexOf(1)).toBe(5 * N + 1);
      const values = await amplitudes(raw, [4]);
      for (let r = 0; r < N; r++) {
        for (let c = 0; c < N; c++) {
          expect(values[r * N + c]).toBe(r === 5 && c === 1 ? 0 : data[4 * N * N + c * N + r]);
        }
      }
      expect(raw.notes).toEqual([
        expect.stringMatching(/object of .* is not turned by flip_x swap_xy coord_scale=2 transpose/),
      ]);
    });
    // A scale alone turns nothing.
    await withScan({}, { coord_scale: 3 }, (raw) => expect(raw.notes).toEqual([]));
    for (const coord_scale of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await refuses({}, /coord_scale must be a positive number/, { coord_scale });
    }
  });

  it('selection by bounds looks at the coordinates of the file', async () => {
    const chosen = await withScan({}, { x_bounds: [0, 0.5] }, (raw) => [...raw.sampleIndices]);
    await withScan({}, { x_bounds: [0, 0.5], flip_x: true, swap_xy: true }, (raw) =>
      expect([...raw.sampleIndices]).toEqual(chosen),
    );
  });
});

describe('units of positions', () => {
  // The numbers are far from any experiment, which is a finding of its own.
  const metres = { positions_unit: 'm' as const, reportOnly: true };
  const geometry = { energy_eV: 10_000, detector_distance_m: 2, detector_pixel_m: 75e-6 };
  /** λ·distance/(N·detector pixel); λ = 12.398419843 keV·Å / 10 keV. */
  const pixel = (1.239841984332e-10 * 2) / (N * 75e-6);

  it('metres are divided by λ·distance/(N·detector pixel), or by the object pixel that is given', async () => {
    await withScan({}, { ...metres, ...geometry }, (raw) => {
      expect(raw.geometry.objectPixel_m!.x).toBeCloseTo(pixel, 16);
      raw.xcoords.forEach((v, i) => {
        expect(v).toBeCloseTo(arrays.xcoords.data[i] / pixel, 3);
      });
    });
    await withScan({}, { ...metres, ...geometry, object_pixel_m: 0.25 }, (raw) => {
      expect(raw.geometry).toMatchObject({ objectPixel_m: { x: 0.25, y: 0.25 }, energy_eV: 10_000 });
      expect([...raw.ycoords]).toEqual([...arrays.ycoords.data].map((v) => v * 4));
    });
  });

  it('what is missing for that is named', async () => {
    await refuses(
      {},
      /positions in .*scan.npz are in metres, and for their object pixel energy_eV \(or electron_keV\), detector_distance_m, detector_pixel_m are missing; give them, or object_pixel_m itself/,
      metres,
    );
    await refuses({}, /object pixel detector_distance_m is missing; give it/, {
      ...metres,
      energy_eV: 1e4,
      detector_pixel_m: 75e-6,
    });
    await refuses({}, /energy_eV must be a positive number, got -1/, { ...metres, energy_eV: -1 });
  });

  it('the geometry in metadata counts, and options replace it', async () => {
    const record = { additional_parameters: { geometry: { ...geometry, detector_pixel_m: [75e-6, 75e-6] } } };
    const _metadata = text(JSON.stringify(record));
    await withScan({ _metadata }, metres, (raw) => expect(raw.geometry.objectPixel_m!.y).toBeCloseTo(pixel, 16));
    await withScan({ _metadata }, { ...metres, energy_eV: 5000 }, (raw) =>
      expect(raw.geometry.objectPixel_m!.y).toBeCloseTo(2 * pixel, 18),
    );
    const declared = { ...record.additional_parameters.geometry, object_pixel_m: [1e-7, 1e-7] };
    const contradicting = text(JSON.stringify({ additional_parameters: { geometry: declared } }));
    await withScan({ _metadata: contradicting }, {}, (raw) => {
      expect(raw.geometry.objectPixel_m).toEqual({ x: 1e-7, y: 1e-7 });
      expect(raw.notes).toEqual([
        expect.stringMatching(/gives object pixels of 100 nm, but wavelength .* is 413.3 nm; the former is used/),
      ]);
    });
    await withScan({ _metadata: contradicting }, { energy_eV: 20_000 }, (raw) => {
      expect(raw.geometry.objectPixel_m!.x).toBeCloseTo(pixel / 2, 18);
    });
  });
});

describe('positions that are unusual are findings', () => {
  const at = (x: (i: number) => number, y: (i: number) => number) => ({
    xcoords: { data: Float64Array.from({ length: n }, (_, i) => x(i)), shape: [n] },
    ycoords: { data: Float64Array.from({ length: n }, (_, i) => y(i)), shape: [n] },
  });
  for (const [name, changes, [code, severity, message]] of [
    [
      'repeated',
      at(
        (i) => Math.floor(i / 2),
        (i) => Math.floor(i / 2) % 3,
      ),
      ['POSITIONS_REPEAT', 'note', /15 of the 30 scan positions .* repeat an earlier one/],
    ],
    [
      'all the same',
      at(
        () => 4,
        () => 5,
      ),
      ['POSITIONS_ALL_SAME', 'wrong', /All 30 scan positions .* are the same; no image can come of them/],
    ],
    [
      'on a line',
      at(
        (i) => i,
        () => 5,
      ),
      ['POSITIONS_ON_A_LINE', 'doubt', /All 30 scan positions .* lie on a line along x/],
    ],
    [
      'metres',
      at(
        (i) => i * 1e-7,
        (i) => (i % 5) * 1e-7,
      ),
      ['POSITIONS_TOO_CLOSE', 'wrong', /span only 0\.0000029 object pixels/],
    ],
  ] as const) {
    it(`${name}: ${severity}`, async () => {
      await withScan(changes, { reportOnly: true }, (raw) => {
        expect(raw.count).toBe(n);
        expect(raw.findings?.all.filter((found) => found.code.startsWith('POSITIONS'))).toEqual([
          expect.objectContaining({ code, severity, message: expect.stringMatching(message) }),
        ]);
      });
      if (severity !== 'wrong') return;
      await refuses(changes, new RegExp(`\\[${code}; --accept ${code} goes on\\]`));
      await withScan(changes, { accept: [code] }, (raw) => expect(raw.count).toBe(n));
    });
  }
});

describe('bad pixels', () => {
  const marked = (values: ArrayLike<number>, ...at: number[]) => {
    const copy = Float32Array.from(values);
    at.forEach((p, i) => {
      copy[p] = [Number.NaN, -1, 2 ** 32 - 1, Number.POSITIVE_INFINITY][i % 4];
    });
    return copy;
  };
  const mask = (...at: number[]) => {
    const data = new Uint8Array(N * N);
    for (const p of at) data[p] = 1;
    return { data, shape: [N, N], dtype: 'bool' as const };
  };
  // The same pixel in four of the patterns, with everything that detectors leave there.
  const spoiled = { data: marked(data, 9, N * N + 9, 2 * N * N + 9, (n - 1) * N * N + 9), shape: [n, N, N] };

  it('are blanked before anything else looks at them', async () => {
    await refuses({ diffraction: spoiled }, /row 1, column 1, .* mark the pixel with --bad_pixels FILE\[:key\]/);
    await withScan({ diffraction: spoiled, bad_pixels: mask(9) }, {}, async (raw) => {
      expect(raw.domain).toBe('count_amplitude');
      expect([...raw.badPixels!]).toEqual([...mask(9).data]);
      const values = await amplitudes(raw);
      const expected = data.map((v, p) => (p % (N * N) === 9 ? 0 : v));
      expect(values).toEqual(expected);
    });
  });

  it('come from the file, or from another one before it', async () => {
    await writeArrays(file('masks.npz'), { mask: mask(9), other: mask(9, 10) });
    await writeFile(file('mask.npy'), encodeNpy({ data: Float32Array.from(mask(9).data), shape: [1, N, N] }));
    for (const [spec, bad] of [
      ['masks.npz', 1],
      ['masks.npz:other', 2],
      ['mask.npy', 1],
    ] as const) {
      await withScan({ diffraction: spoiled, bad_pixels: mask(3) }, { bad_pixels: file(spec) }, (raw) =>
        expect(raw.badPixels!.reduce((a, b) => a + b)).toBe(bad),
      );
    }
    await refuses({}, /masks.npz has no array "nothing"; it holds mask, other/, {
      bad_pixels: file('masks.npz:nothing'),
    });
    await refuses({}, /mask.npy is a single array, so it has no "mask"/, { bad_pixels: file('mask.npy:mask') });
    await writeArrays(file('none.npz'), { x: arrays.xcoords });
    await refuses({}, /holds no bad_pixels or mask or pixel_mask; say which of its arrays is the mask with/, {
      bad_pixels: file('none.npz'),
    });
  });

  it('must have the shape of the patterns and leave some', async () => {
    await refuses(
      { bad_pixels: { data: new Uint8Array(4), shape: [2, 2] } },
      /shape \(2, 2\), but a mask of bad pixels must have the shape of the patterns, \(8, 8\)/,
    );
    const all = { data: new Uint8Array(N * N).fill(1), shape: [N, N] };
    await refuses(
      { bad_pixels: all },
      /marks all 8×8 pixels as bad; true must mean bad: where it means good, give --invert_mask/,
    );
    const most = { data: all.data.map((_, i) => (i < 60 ? 1 : 0)), shape: [N, N] };
    await refuses(
      { bad_pixels: most },
      /leaves out 60 of 64 pixels .* of the light: .* mean good: --invert_mask\. \[MASK_INVERTED;/,
    );
    await withScan({ bad_pixels: most }, { invert_mask: true }, (raw) =>
      expect([...raw.badPixels!]).toEqual(Array.from(most.data, (v) => 1 - v)),
    );
    await withScan({ bad_pixels: most }, { accept: ['mask_inverted'] }, (raw) =>
      expect([...raw.badPixels!]).toEqual([...most.data]),
    );
  });

  it('of frames are cropped with them; those of the cropped size are taken as they are', async () => {
    const side = 6;
    const small = { data: new Uint8Array(side * side), shape: [side, side] };
    small.data[7] = 1;
    await writeFile(file('small.npy'), encodeNpy(small));
    const changes = { probeGuess: undefined, objectGuess: undefined };
    await withScan(changes, { crop_px: side, bad_pixels: file('small.npy') }, (raw) =>
      expect([...raw.badPixels!]).toEqual([...small.data]),
    );
    // (2, 2) of the frame is (1, 1) of the middle 6×6.
    await withScan({ ...changes, bad_pixels: mask(2 * N + 2) }, { crop_px: side }, (raw) =>
      expect([...raw.badPixels!]).toEqual([...small.data]),
    );
  });

  it('that a detector marked are found whatever the type, and join the mask that is given', async () => {
    const shape = [n, N, N];
    const counts = Float64Array.from(data, (d) => Math.round(d * d));
    const marks: [number, (values: Float64Array) => Uint32Array | Int32Array | Float32Array][] = [
      [2 ** 32 - 1, (values) => Uint32Array.from(values)],
      [65535, (values) => Uint32Array.from(values)],
      [-1, (values) => Int32Array.from(values)],
      [-2, (values) => Float32Array.from(values)],
      [Number.NaN, (values) => Float32Array.from(values)],
      [2 ** 32 - 1, (values) => Float32Array.from(values)],
    ];
    for (const [mark, typed] of marks) {
      const spoilt = typed(counts.map((v, p) => (p % (N * N) === 9 ? mark : v)));
      await withScan({ diffraction: { data: spoilt, shape }, bad_pixels: mask(12) }, {}, async (raw) => {
        expect([...raw.badPixels!]).toEqual([...mask(9, 12).data]);
        expect(raw.domain).toBe('count_intensity');
        const values = new Float32Array(n * N * N);
        await raw.patterns.readStored([...Array(n).keys()], values);
        expect(values).toEqual(Float32Array.from(counts, (v, p) => (p % (N * N) === 9 || p % (N * N) === 12 ? 0 : v)));
      });
    }
  });

  it('are found by a range of valid values', async () => {
    const counts = Float32Array.from(data, (d, p) =>
      p === 9 ? -7 : p === N * N * (n - 1) + 12 ? 1e6 : Math.round(d * d),
    );
    const diffraction = { data: counts, shape: [n, N, N] };
    await refuses({ diffraction }, /1 of the values looked at is -7, .*: --valid_range 0:\. \[NEGATIVE_PIXELS/);
    await withScan({ diffraction }, { valid_range: '0:5000' }, async (raw) => {
      expect([...raw.badPixels!]).toEqual([...mask(9, 12).data]);
    });
    await refuses({ diffraction }, /valid_range must be two rising numbers with a colon/, { valid_range: '5:1' });
  });

  it('below zero because of noise are kept as counts and are 0 as amplitudes', async () => {
    const counts = Float32Array.from(data, (d, p) => d * d * 3.37 + 4 * Math.sin(p * 12.9898));
    await withScan({ diffraction: { data: counts, shape: [n, N, N] } }, {}, async (raw) => {
      const stored = new Float32Array(n * N * N);
      await raw.patterns.readStored([...Array(n).keys()], stored);
      expect([raw.domain, raw.badPixels, stored]).toEqual(['count_intensity', undefined, counts]);
      expect(await amplitudes(raw)).toEqual(counts.map((v) => Math.fround(Math.sqrt(Math.max(0, v)))));
    });
  });
});

describe('patterns and views of them', () => {
  it('any crop, orientation, mask and selection shows the same pixels', async () => {
    const [height, width] = [9, 11];
    const frames = Float32Array.from({ length: 6 * height * width }, (_, i) => (i % 997) / 100);
    const six = (values: Float64Array) => ({ data: values.slice(0, 6), shape: [6] });
    const changes = {
      diffraction: { data: frames, shape: [6, height, width] },
      xcoords: six(arrays.xcoords.data),
      ycoords: six(arrays.ycoords.data),
      scan_index: undefined,
      probeGuess: undefined,
      objectGuess: undefined,
    };
    const name = await writeArrays(file('frames.npz'), arrays, changes);
    const cases = fc.record({
      side: fc.integer({ min: 1, max: 9 }),
      up: fc.nat(),
      left: fc.nat(),
      transpose: fc.boolean(),
      n_subsample: fc.integer({ min: 1, max: 6 }),
      subsample_seed: fc.nat(99),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ side, up, left, ...options }) => {
        const [row, column] = [up % (height - side + 1), left % (width - side + 1)];
        const half = Math.floor(side / 2);
        const raw = await openDataset(name, {
          ...options,
          crop_px: side,
          crop_center_px: [row + half, column + half],
          measurement_domain: 'normalized_amplitude',
        });
        const values = await amplitudes(raw);
        await raw.close();
        let at = 0;
        for (const frame of raw.sampleIndices) {
          for (let r = 0; r < side; r++) {
            for (let c = 0; c < side; c++, at++) {
              const [fr, fc_] = options.transpose ? [c, r] : [r, c];
              if (values[at] !== frames[frame * height * width + (row + fr) * width + column + fc_]) return false;
            }
          }
        }
        return at === values.length;
      }),
      { numRuns: 60 },
    );
  });
});
