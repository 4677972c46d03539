/** NPZ scans in all their layouts, as NumPy and we write them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReaderOptions } from '../../../src/data/options.js';
import { npzReader } from '../../../src/data/readers/npz.js';
import type { ScanFile } from '../../../src/data/scanFile.js';
import { encodeNpy, type NpyInput } from '../../../src/formats/npyWrite.js';
import { writeZip } from '../../../src/formats/zip.js';
import { dictionary, npyFile } from '../../support/npyBytes.js';
import { describePython, runPython } from '../../support/python.js';
import { type ArrayChanges, scanArrays, writeArrays } from '../../support/scanFiles.js';

const [n, N] = [12, 8];
const arrays = scanArrays(n, N);
const { data } = arrays.diffraction;
let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-npz-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function withFile<T>(
  target: ArrayChanges | string,
  work: (scan: ScanFile) => Promise<T> | T,
  options: ReaderOptions = {},
): Promise<T> {
  const name = typeof target === 'string' ? target : await writeArrays(file('scan.npz'), arrays, target);
  const scan = await npzReader.open(name, options);
  try {
    return await work(scan);
  } finally {
    await scan.close();
  }
}
const frames = async ({ patterns }: ScanFile, rows = [...Array(patterns.count).keys()]) => {
  const out = new Float32Array(rows.length * patterns.height * patterns.width);
  await patterns.readRowsInto(rows, out);
  return out;
};
const refuses = (target: ArrayChanges | string, message: RegExp, options: ReaderOptions = {}) =>
  expect(withFile(target, () => {}, options)).rejects.toThrow(message);
const text = (value: string): NpyInput => ({ strings: [value], shape: [] });
/** (h, w, n) of (n, h, w). */
const patternsLast = <T extends Float32Array | Uint16Array>(values: T, count: number, size: number): T => {
  const moved = values.slice() as T;
  for (let k = 0; k < count; k++) for (let p = 0; p < size; p++) moved[p * count + k] = values[k * size + p];
  return moved;
};

describe('patterns', () => {
  it('are found under three names, in order of preference, or where diffraction_path says', async () => {
    const { diffraction } = arrays;
    for (const key of ['diffraction', 'diff3d', 'patterns']) {
      await withFile({ diffraction: undefined, [key]: diffraction }, async (scan) => {
        expect(scan.patterns).toMatchObject({ count: n, height: N, width: N, dtype: 'float32', resident: false });
        expect(scan.patterns.origin.member).toBe(key);
        expect(scan.notes).toEqual([]);
        expect(await frames(scan, [3, 0])).toEqual(
          Float32Array.of(...data.subarray(3 * N * N, 4 * N * N), ...data.subarray(0, N * N)),
        );
      });
    }
    const doubled = { data: data.map((v) => 2 * v), shape: [n, N, N] };
    await withFile({ diff3d: doubled }, async (scan) => {
      expect(scan.notes).toEqual([
        expect.stringMatching(/under diffraction and diff3d; those of diffraction are used/),
      ]);
      expect(await frames(scan)).toEqual(data);
    });
    for (const diffraction_path of ['mine', '/mine']) {
      await withFile({ mine: doubled }, async (scan) => expect(await frames(scan)).toEqual(doubled.data), {
        diffraction_path,
      });
    }
    await refuses({}, /no array "other", which diffraction_path asks for, the file holds diffraction, xcoords/, {
      diffraction_path: 'other',
    });
  });

  it('last, with a trailing axis, not square: as the layout rule says', async () => {
    const moved = patternsLast(data, n, N * N);
    for (const shape of [
      [N, N, n],
      [N, N, n, 1],
    ]) {
      await withFile({ diffraction: { data: moved, shape } }, async (scan) => {
        expect(scan.patterns).toMatchObject({ count: n, height: N, width: N, resident: true });
        expect(await frames(scan)).toEqual(data);
        expect(scan.notes).toEqual([expect.stringMatching(/with the patterns last; transposed to \(12, 8, 8\)/)]);
      });
    }
    // No two axes are equal: the one as long as the positions counts.
    const wide = data.subarray(0, n * 4 * 6);
    await withFile({ diffraction: { data: wide, shape: [n, 4, 6] } }, (scan) =>
      expect(scan.patterns).toMatchObject({ count: n, height: 4, width: 6 }),
    );
    await withFile({ diffraction: { data: patternsLast(wide, n, 24), shape: [4, 6, n] } }, async (scan) => {
      expect(scan.patterns).toMatchObject({ count: n, height: 4, width: 6 });
      expect(await frames(scan)).toEqual(Float32Array.from(wide));
    });
  });
});

describe('positions', () => {
  it('at the start of exposures, if there are no others, with a note', async () => {
    const changes = {
      xcoords: undefined,
      ycoords: undefined,
      xcoords_start: arrays.xcoords,
      ycoords_start: arrays.ycoords,
    };
    await withFile(changes, (scan) => {
      expect(scan.positions).toMatchObject({ x: arrays.xcoords.data, y: arrays.ycoords.data, unit: 'px' });
      expect(scan.notes).toEqual([expect.stringMatching(/start of the exposures \(xcoords_start, ycoords_start\)/)]);
    });
  });

  it('in metres when told so, or from another file', async () => {
    await withFile({}, (scan) => expect(scan.positions.unit).toBe('m'), { positions_unit: 'm' });
    const other = await writeArrays(file('other.npz'), {
      xcoords: { data: arrays.xcoords.data.map((v) => v + 5), shape: [n] },
      ycoords: arrays.ycoords,
    });
    await withFile({ xcoords: undefined }, (scan) => expect(scan.positions.x[0]).toBe(arrays.xcoords.data[0] + 5), {
      positions: other,
    });
  });

  it('that are missing are asked for', async () => {
    const sentence =
      /no scan positions: xcoords and ycoords .* give positions FILE\[:key\] if they are in another file/;
    await refuses({ xcoords: undefined }, sentence);
    await refuses({ ycoords: undefined }, sentence);
  });
});

describe('what may go with it', () => {
  const complex = (shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return { re: Float32Array.from({ length: size }, (_, i) => i), im: new Float32Array(size).fill(-1), shape };
  };

  it('Y, label and their kin: complex patches, read row by row', async () => {
    await withFile({ Y: complex([n, N, N]), label: complex([n, N, N, 1]) }, async (scan) => {
      for (const patches of [scan.groundTruth!, scan.labels!]) {
        expect(patches).toMatchObject({ count: n, height: N, width: N });
        const { re, im, shape } = await patches.readRows([2, 1]);
        expect(shape).toEqual([2, N, N]);
        expect([re[0], re[N * N], im[0]]).toEqual([2 * N * N, N * N, -1]);
      }
    });
    await withFile({ ground_truth_patches: complex([n, N, N]) }, (scan) => expect(scan.groundTruth?.count).toBe(n));
  });

  it('real patches are refused (DATA-001), those of another number left out', async () => {
    for (const key of ['Y', 'label']) {
      const error = await withFile({ [key]: arrays.diffraction }, () => {}).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'DATASET_VALUE', fields: { guard: 'DATA-001' } });
      expect(error.message).toMatch(
        /^DATA-001: .* holds float32 values, but patches of the object must be complex: .* save it as complex64, or leave/,
      );
      await withFile({ [key]: complex([n + 1, N, N]) }, (scan) => {
        expect([scan.groundTruth, scan.labels]).toEqual([undefined, undefined]);
        expect(scan.notes).toEqual([
          expect.stringMatching(/^Left out: .* has shape \(13, 8, 8\), but must be \(12, N, N\)/),
        ]);
      });
    }
  });

  it('masks, scales, scan numbers; images with axes of length 1; strays', async () => {
    const mask = Float32Array.from({ length: N * N }, (_, i) => (i === 3 ? Number.NaN : i === 9 ? 2 : 0));
    await withFile(
      {
        bad_pixels: { data: mask, shape: [N, N] },
        norm_Y_I: { data: Float64Array.of(7.5), shape: [1] },
        objectGuess: complex([1, 20, 30]),
        allow_pickle: { data: Uint8Array.of(1), shape: [], dtype: 'bool' },
        unknown: text('stray'),
      },
      (scan) => {
        expect([...scan.badPixels!.data.entries()].filter(([, v]) => v === 1).map(([i]) => i)).toEqual([3, 9]);
        expect(scan.norm_Y_I).toBe(7.5);
        expect(scan.objectGuess!.shape).toEqual([20, 30]);
        expect(scan.scanIndex).toEqual(arrays.scan_index.data);
        expect(scan.notes).toEqual([]);
      },
    );
    await withFile(
      { norm_Y_I: { data: Float64Array.of(1, 2), shape: [2] }, objectGuess: complex([3, 4, 5]) },
      (scan) => {
        expect([scan.norm_Y_I, scan.objectGuess]).toEqual([undefined, undefined]);
        expect(scan.notes).toEqual([
          expect.stringMatching(/"objectGuess", has shape \(3, 4, 5\) and is no image/),
          expect.stringMatching(/"norm_Y_I", is not one finite number/),
        ]);
      },
    );
  });
});

describe('metadata and declared units', () => {
  const record = { physics_parameters: { nphotons: 123 }, additional_parameters: { geometry: { energy_eV: 8800 } } };
  const json = JSON.stringify(record);

  it('as text or bytes', async () => {
    const bytes = Uint8Array.from(Buffer.from(`${json}\0\0`));
    for (const _metadata of [text(json), { strings: [json], shape: [1] }, { data: bytes, shape: [bytes.length] }]) {
      await withFile({ _metadata }, (scan) => {
        expect(scan.metadata).toEqual(record);
        expect(scan.geometry.energy_eV).toBe(8800);
        expect(scan.notes).toEqual([]);
      });
    }
  });

  it('that is broken is left out with a note', async () => {
    for (const [_metadata, why] of [
      [text('{"a":'), /holds no JSON/],
      [text('[1, 2]'), /holds JSON that is no object/],
      [{ strings: ['{}', '{}'], shape: [2] }, /holds str values and not one text/],
      [{ data: Float32Array.of(1), shape: [1] }, /holds float32 values and not one text/],
      [{ data: Uint8Array.of(0xff, 0xfe), shape: [2] }, /holds bytes that are no UTF-8 text/],
    ] as const) {
      await withFile({ _metadata }, (scan) => {
        expect(scan.metadata).toEqual({});
        expect(scan.notes).toEqual([expect.stringMatching(why)]);
        expect(scan.notes[0]).toMatch(/^Left out: .*"_metadata"/);
      });
    }
  });

  it('hostile pickles are left out unread', async () => {
    const members = Object.entries(arrays).map(([key, input]) => ({ name: `${key}.npy`, data: encodeNpy(input) }));
    const pickle = Buffer.from('\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.', 'latin1');
    await writeZip(file('hostile.npz'), [
      ...members,
      { name: '_metadata.npy', data: npyFile(dictionary('|O', '()'), pickle) },
    ]);
    await withFile(file('hostile.npz'), (scan) => {
      expect(scan.metadata).toEqual({});
      expect(scan.notes).toEqual([expect.stringMatching(/has dtype \|O and is no pickled text; .* never loaded\.$/)]);
    });
  });

  it('a domain may be declared in an array, in the metadata, or in both alike', async () => {
    const inMetadata = (domain: string) =>
      text(JSON.stringify({ additional_parameters: { measurement_domain: domain } }));
    const declared = (changes: ArrayChanges) => withFile(changes, (scan) => scan.measurementDomain);
    expect(await declared({})).toBeUndefined();
    expect(await declared({ measurement_domain: text('anything') })).toEqual({
      text: 'anything',
      where: expect.stringMatching(/array "measurement_domain",$/),
    });
    expect(await declared({ _metadata: inMetadata('a') })).toEqual({
      text: 'a',
      where: expect.stringMatching(/metadata "additional_parameters.measurement_domain",$/),
    });
    expect((await declared({ measurement_domain: text('a'), _metadata: inMetadata('a') }))?.text).toBe('a');
    await refuses(
      { measurement_domain: text('b'), _metadata: inMetadata('a') },
      /contradicts itself: its array "measurement_domain" says b, its metadata \("additional_parameters\.measurement_domain"\) a;/,
    );
    await refuses(
      { measurement_domain: { data: Float32Array.of(1), shape: [] } },
      /must hold one word, but holds float32/,
    );
  });
});

describePython('files of NumPy', ['numpy'], () => {
  const python = (lines: string, name: string) => {
    const script = `import numpy as np, sys, json
rng = np.random.RandomState(0)
counts = rng.poisson(9, (12, 8, 8)).astype('uint16')
x, y = np.arange(12.0), np.arange(12.0) % 4
probe = np.ones((8, 8), 'complex64')
${lines}`;
    runPython(script, [file(name)]);
    return file(name);
  };

  it('the pickled metadata, patterns and positions of PtychoPINN', async () => {
    const name = python(
      `meta = {'schema_version': '1.0.0', 'physics_parameters': {'nphotons': 5e8, 'N': 8}, 'note': 'é'}
np.savez_compressed(sys.argv[1], diffraction=np.sqrt(counts).astype('float32'), xcoords=x, ycoords=y,
  probeGuess=probe, objectGuess=np.array(None, dtype=object), scan_index=np.zeros(12, int),
  _metadata=np.array(json.dumps(meta, ensure_ascii=False), dtype=object))`,
      'pinn.npz',
    );
    await withFile(name, async (scan) => {
      expect(scan.metadata).toEqual({
        schema_version: '1.0.0',
        physics_parameters: { nphotons: 5e8, N: 8 },
        note: 'é',
      });
      expect(scan.notes).toEqual([expect.stringMatching(/^Left out: .*"objectGuess", has dtype object/)]);
      const pixels = await frames(scan);
      pixels.forEach((v) => {
        expect(v * v).toBeCloseTo(Math.round(v * v), 4);
      });
    });
  });

  it('patterns of Ptychodus, with its stray entry', async () => {
    const name = python(
      // Before NumPy 2.1, allow_pickle=False became an array of that name.
      `np.savez_compressed(sys.argv[1], patterns=counts, indexes=np.arange(12), bad_pixels=np.eye(8, dtype=bool))
import zipfile
with zipfile.ZipFile(sys.argv[1], 'a') as archive, archive.open('allow_pickle.npy', 'w') as stray:
    np.lib.format.write_array(stray, np.array(False))`,
      'ptychodus.npz',
    );
    await refuses(name, /no scan positions.*the file holds patterns, indexes, bad_pixels, allow_pickle/);
    const product = python(
      `np.savez(sys.argv[1], probe_position_indexes=np.arange(11, 1, -1), probe_position_x_m=np.arange(10) * 1e-8,
  probe_position_y_m=np.arange(10) * 2e-8, probe=np.ones((1, 3, 8, 8), complex), object=np.ones((1, 30, 40), complex),
  object_pixel_width_m=1e-8, object_pixel_height_m=1e-8, object_center_x_m=0.0, object_center_y_m=0.0,
  detector_object_distance_m=2.0, probe_energy_eV=8000.0)`,
      'product.npz',
    );
    await withFile(
      name,
      async (scan) => {
        expect(scan.patterns.count).toBe(10);
        expect([...scan.positions.x].map((v) => Math.round(v * 1e8))).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        expect(scan.probeGuess?.shape.slice(-3)).toEqual([3, 8, 8]);
        expect(scan.geometry).toMatchObject({ energy_eV: 8000, objectPixel_m: { x: 1e-8, y: 1e-8 } });
        expect(scan.notes).toEqual([
          expect.stringMatching(/10 patterns have a position .* 2 patterns without position/),
        ]);
        expect((await frames(scan, [0])).length).toBe(64);
      },
      { product },
    );
    await refuses({}, /has positions of its own, so the product .* does not go with it/, { product });
    const positions = python('np.savetxt(sys.argv[1], np.stack([y, x], 1), delimiter=",")', 'positions.csv');
    await withFile(
      name,
      (scan) => {
        expect(scan.patterns).toMatchObject({ count: 12, dtype: 'uint16' });
        expect(scan.badPixels!.data.reduce((a, b) => a + b)).toBe(8);
        expect(scan.positions).toMatchObject({ unit: 'm', x: Float64Array.from(Array(12).keys()) });
      },
      { positions },
    );
  });

  it('patterns last in C and in Fortran order, big-endian, bytes as text', async () => {
    for (const [values, dtype] of [
      ['np.ascontiguousarray(counts.transpose(1, 2, 0))', 'uint16'],
      ['np.asfortranarray(counts.transpose(1, 2, 0))', 'uint16'],
      ["counts.transpose(1, 2, 0).astype('>f8')", 'float64'],
      ['np.asfortranarray(counts)', 'uint16'],
    ]) {
      const name = python(
        `np.savez(sys.argv[1], diffraction=${values}, xcoords=x, ycoords=y, measurement_domain=np.array(b'count_intensity'))
open(sys.argv[1] + '.raw', 'wb').write(counts.tobytes())`,
        'slac.npz',
      );
      const { readFileSync } = await import('node:fs');
      const raw = readFileSync(`${name}.raw`);
      await withFile(name, async (scan) => {
        expect(scan.patterns).toMatchObject({ count: 12, height: 8, width: 8, dtype });
        expect(await frames(scan)).toEqual(
          Float32Array.from(new Uint16Array(raw.buffer, raw.byteOffset, raw.length / 2)),
        );
        expect(scan.measurementDomain?.text).toBe('count_intensity');
      });
    }
  });
});
