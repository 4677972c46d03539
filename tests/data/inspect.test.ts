/** `inspect`: the facts of a sound scan, and the problems of others, without throwing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectScan } from '../../src/data/inspect.js';
import { encodeNpy } from '../../src/formats/npyWrite.js';
import { writeZip } from '../../src/formats/zip.js';
import { dictionary, npyFile } from '../support/npyBytes.js';
import { describePython, runPython } from '../support/python.js';
import { type ArrayChanges, scanArrays, writeArrays } from '../support/scanFiles.js';

const [n, N] = [36, 16];
const small = scanArrays(n, N);
const word = (text: string) => ({ strings: [text], shape: [] as number[] });
/** A scan that nothing is wrong with: the probe at the level of the counts, the object around all patches. */
const arrays = {
  ...small,
  probeGuess: {
    re: small.probeGuess.re.map((v) => 13.5 * v),
    im: small.probeGuess.im.map((v) => 13.5 * v),
    shape: [N, N],
  },
  xcoords: { data: small.xcoords.data.map((v) => v + 10), shape: [n] },
  ycoords: { data: small.ycoords.data.map((v) => v + 10), shape: [n] },
  objectGuess: { re: new Float32Array(1200).fill(1), im: new Float32Array(1200), shape: [30, 40] },
  measurement_domain: word('count_amplitude'),
};
let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-inspect-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const inspect = async (changes: ArrayChanges) => inspectScan(await writeArrays(file('scan.npz'), arrays, changes));
const problemsOf = async (changes: ArrayChanges) => (await inspect(changes)).problems;
const notesOf = async (changes: ArrayChanges) => {
  const { problems, notes } = await inspect(changes);
  expect(problems).toEqual([]);
  return notes;
};
const patterns = (change: (values: Float32Array) => void) => {
  const data = arrays.diffraction.data.slice();
  change(data);
  return { diffraction: { data, shape: [n, N, N] } };
};
const pixel = (k: number, row: number, column: number) => (k * N + row) * N + column;

describe('inspectScan', () => {
  it('a sound scan: figures, no problems, ready for JSON', async () => {
    const report = await inspect({});
    expect([report.problems, report.notes]).toEqual([[], []]);
    expect(report.arrays.map((a) => a.key)).toEqual(Object.keys(arrays));
    expect(report.arrays[0]).toEqual({
      key: 'diffraction',
      shape: [n, N, N],
      dtype: 'float32',
      order: 'C',
      compressed: false,
    });
    const power = Array.from({ length: n }, (_, i) =>
      arrays.diffraction.data.subarray(i * N * N, (i + 1) * N * N).reduce((sum, d) => sum + d * d, 0),
    );
    const scan = report.scan!;
    expect(scan).toMatchObject({ format: 'npz', count: n, N, domain: 'count_amplitude', badPixels: 0, scans: 3 });
    expect(scan.power.measured).toBe(n);
    expect(scan.power.min).toBeCloseTo(Math.min(...power), 2);
    expect(scan.power.max).toBeCloseTo(Math.max(...power), 2);
    expect(scan.power.mean).toBeCloseTo(power.reduce((a, b) => a + b) / n, 2);
    expect(scan.powerHistogram!.counts.reduce((a, b) => a + b)).toBe(n);
    expect(scan.powerHistogram!.edges[0]).toBeCloseTo(Math.min(...power), 2);
    expect(scan.maxAmplitude).toBe(Math.max(...arrays.diffraction.data));
    expect(scan.xRange_px).toEqual([Math.min(...arrays.xcoords.data), Math.max(...arrays.xcoords.data)]);
    // A raster of step 2 with jitter ±0.5; a disc of radius N/3.
    expect(scan.meanStep_px).toBeGreaterThan(1);
    expect(scan.meanStep_px).toBeLessThan(2);
    expect(scan.probe).toMatchObject({ modes: 1 });
    expect(scan.probe!.diameter_px).toBeCloseTo((2 * N) / 3, 0);
    expect(scan.overlap).toBeCloseTo(1 - scan.meanStep_px! / scan.probe!.diameter_px, 12);
    expect(scan.objectShape).toEqual([30, 40]);
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({ scan: { count: n } });
  });

  it('shows the open scan to whoever draws it', async () => {
    const seen: number[] = [];
    await inspectScan(await writeArrays(file('scan.npz'), arrays), {
      onScan: ({ raw, indices, power }, summary) => {
        seen.push(raw.count, indices.length, power.length, summary.count);
      },
    });
    expect(seen).toEqual([n, n, n, n]);
  });

  it('positions: no overlap, repeats, metres, outside of the object', async () => {
    const far = { data: arrays.xcoords.data.map((x) => 1000 * x), shape: [n] };
    expect(await problemsOf({ xcoords: far, ycoords: far, objectGuess: undefined })).toEqual([
      expect.stringMatching(/span 10900 object pixels, so that patterns of 16 pixels share nothing/),
      expect.stringMatching(/overlap by 0 %.*object pixels/),
    ]);
    const repeated = (values: Float64Array) => ({ data: values.map((v, i) => (i < 4 ? values[0] : v)), shape: [n] });
    expect(await notesOf({ xcoords: repeated(arrays.xcoords.data), ycoords: repeated(arrays.ycoords.data) })).toEqual([
      expect.stringMatching(/3 of the 36 scan positions .* repeat an earlier one/),
    ]);
    const metres = (values: Float64Array) => ({ data: values.map((v) => 1e-8 * v), shape: [n] });
    expect(
      await problemsOf({
        xcoords: metres(arrays.xcoords.data),
        ycoords: metres(arrays.ycoords.data),
        objectGuess: undefined,
      }),
    ).toEqual([expect.stringMatching(/span only .* another unit .*--positions_unit m or px/)]);
    const shifted = { data: arrays.xcoords.data.map((x) => x + 300), shape: [n] };
    expect(await notesOf({ xcoords: shifted })).toEqual([
      expect.stringMatching(/36 of 36 patches reach beyond objectGuess \(30 rows, 40 columns\): the positions are/),
    ]);
    const wide = { data: arrays.xcoords.data.map((x) => 1.5 * x), shape: [n] };
    expect(await notesOf({ xcoords: arrays.ycoords, ycoords: wide })).toEqual([
      expect.stringMatching(/with x and y exchanged all would lie inside: see `ptychopinn orient`/),
    ]);
  });

  it('patterns: dark, dim, shifted, hot, saturated, unusable', async () => {
    expect(await problemsOf(patterns((d) => d.fill(0, 0, 3 * N * N)))).toEqual([
      expect.stringMatching(/^3 of 36 patterns of .* are dark \(zero everywhere\), frames 0, 1, 2: left out/),
    ]);
    const dim = await inspect({
      ...patterns((d) => d.set(d.subarray(0, N * N).map((v) => Math.floor(0.2 * v)))),
    });
    expect(dim.problems).toEqual([expect.stringMatching(/^1 of 36 .*far less light .*frames 0;.*--skip_frames 0/)]);
    const { data } = arrays.diffraction;
    const rolled = (by: number) =>
      patterns((d) =>
        d.forEach((_, p) => {
          const [k, row, column] = [Math.floor(p / (N * N)), Math.floor((p % (N * N)) / N), p % N];
          d[p] = data[pixel(k, (row + by) % N, (column + by) % N)];
        }),
      );
    expect(await notesOf(rolled(N / 2))).toEqual([expect.stringMatching(/corners .* moved to their middle.*fftshift/)]);
    expect(await problemsOf(rolled(2))).toEqual([
      expect.stringMatching(/middle of the light of .* is at row 6\.\d, column 6\.\d, not at 8.*--crop_center_px auto/),
    ]);
    expect(
      await problemsOf(
        patterns((d) => {
          for (let k = 0; k < n; k++) d[pixel(k, 3, 12)] = 400;
        }),
      ),
    ).toEqual([
      expect.stringMatching(/1 pixel is far brighter .*\(3, 12\); these are hot pixels: --auto_mask .*bad_pixels/),
    ]);
    const clipped = await problemsOf(patterns((d) => d.set(d.map((v) => Math.min(v, Math.sqrt(150))))));
    expect(clipped).toEqual([
      expect.stringMatching(/pixels hold the largest value, 12\.2; the detector may be saturated/),
    ]);
  });

  it('counts patterns with NaN among those that opening does not look at', async () => {
    // 64 patterns are looked at when a scan is opened; of 72 all but every ninth.
    const data = Float32Array.from([...arrays.diffraction.data, ...arrays.diffraction.data]);
    data[pixel(8, 2, 3)] = Number.NaN;
    data[pixel(17, 0, 0)] = -1;
    const twice = (values: Float64Array, by: number) => ({
      data: Float64Array.from([...values, ...values.map((v) => v + by)]),
      shape: [2 * n],
    });
    const report = await inspect({
      diffraction: { data, shape: [2 * n, N, N] },
      xcoords: twice(arrays.xcoords.data, 0.5),
      ycoords: twice(arrays.ycoords.data, 0.5),
      scan_index: undefined,
    });
    expect(report.problems).toEqual([
      expect.stringMatching(/^2 of 72 patterns looked at cannot be used: .*NaN in pattern 8, row 2, column 3/),
    ]);
    expect(report.scan!.power.measured).toBe(70);
  });

  it('probe, metadata and units', async () => {
    expect(await problemsOf({ probeGuess: undefined })).toEqual([expect.stringMatching(/no probeGuess/)]);
    const weak = await inspect({ probeGuess: small.probeGuess });
    expect(weak.problems).toEqual([]);
    expect(weak.notes).toEqual([expect.stringMatching(/probe's power .* iterative codes need the probe times 13\.\d/)]);
    const record = { physics_parameters: { N: 64, nphotons: 1e9 } };
    const contradicting = await inspect({ _metadata: word(JSON.stringify(record)) });
    expect(contradicting.problems).toEqual([expect.stringMatching(/say N 64, but 16 is used.*array is right/)]);
    expect(contradicting.notes).toEqual([expect.stringMatching(/say 1e9 photons .* hold 19900 on average/)]);
    const undeclared = await inspect({ measurement_domain: undefined });
    expect(undeclared.problems).toEqual([]);
    expect(undeclared.notes).toEqual([expect.stringMatching(/does not declare .* taken as count_amplitude.*convert/)]);
  });

  it('what keeps a scan from being opened comes first, once', async () => {
    const report = await inspect({ ycoords: undefined });
    expect(report.scan).toBeUndefined();
    expect(report.problems).toEqual([expect.stringMatching(/no scan positions/)]);
    const pickled = npyFile(dictionary('|O', '()'), Buffer.from('\x80\x04N.'));
    await writeZip(file('object.npz'), [
      { name: 'diffraction.npy', data: pickled },
      { name: 'xcoords.npy', data: encodeNpy(arrays.xcoords) },
      { name: 'ycoords.npy', data: encodeNpy(arrays.ycoords) },
    ]);
    const object = await inspectScan(file('object.npz'));
    expect(object.problems).toEqual([expect.stringMatching(/"diffraction", has dtype object/)]);
    expect(object.arrays[0]).toMatchObject({ key: 'diffraction', problem: object.problems[0] });
  });

  it('throws only for what is no container', async () => {
    await expect(inspectScan(file('absent.npz'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await writeFile(file('text.npz'), 'no archive at all, but some text');
    await expect(inspectScan(file('text.npz'))).rejects.toMatchObject({ code: 'FILE_FORMAT' });
  });
});

describePython('HDF5 files', ['h5py', 'numpy'], () => {
  it('lists datasets with chunks and filters, and says what positions it needs', async () => {
    const script = `
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], 'w') as f:
    f.create_dataset('/entry/data/data', data=np.random.RandomState(0).poisson(9, (9, 8, 8)).astype('u2'), chunks=(1, 8, 8), compression='gzip')
    f['/entry/words'] = 'hello'
    f['/entry/record'] = np.zeros(2, [('a', 'i4'), ('b', 'f8')])
`;
    runPython(script, [file('master.h5')], ['h5py', 'numpy']);
    const bare = await inspectScan(file('master.h5'));
    expect(bare.arrays).toContainEqual({
      key: '/entry/data/data',
      shape: [9, 8, 8],
      dtype: 'uint16',
      compressed: true,
      storage: expect.stringMatching(/chunks 1×8×8, .*deflate|gzip/),
    });
    expect(bare.arrays).toContainEqual(expect.objectContaining({ key: '/entry/words', dtype: 'str' }));
    expect(bare.scan).toBeUndefined();
    expect(bare.problems[0]).toMatch(/positions/);
    await writeFile(
      file('positions.txt'),
      Array.from({ length: 9 }, (_, i) => `${i % 3} ${Math.floor(i / 3)}\n`).join(''),
    );
    const scan = await inspectScan(file('master.h5'), { positions: file('positions.txt'), positions_unit: 'px' });
    expect(scan.scan).toMatchObject({ format: 'hdf5', count: 9, N: 8, domain: 'count_intensity' });
  });
});
