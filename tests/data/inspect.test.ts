/** `inspect`: the facts of a sound scan, and the problems of others, without throwing. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectScan } from '../../src/data/inspect.js';
import { encodeNpy, type NpyInput } from '../../src/formats/npyWrite.js';
import { writeNpz } from '../../src/formats/npz.js';
import { writeZip } from '../../src/formats/zip.js';
import { dictionary, npyFile } from '../support/npyBytes.js';
import { scanArrays } from '../support/scanFiles.js';

const [n, N] = [36, 16];
const arrays = scanArrays(n, N);
let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-inspect-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const inspect = async (changes: Record<string, NpyInput | undefined>) => {
  const all = Object.entries({ ...arrays, ...changes }).filter(([, input]) => input !== undefined);
  await writeNpz(file('scan.npz'), Object.fromEntries(all) as Record<string, NpyInput>);
  return inspectScan(file('scan.npz'));
};

describe('inspectScan', () => {
  it('a sound scan: figures, no problems, ready for JSON', async () => {
    const report = await inspect({});
    expect(report.problems).toEqual([]);
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
    expect(scan).toMatchObject({ count: n, N, domain: 'count_amplitude' });
    expect(scan.power.measured).toBe(n);
    expect(scan.power.min).toBeCloseTo(Math.min(...power), 2);
    expect(scan.power.max).toBeCloseTo(Math.max(...power), 2);
    expect(scan.power.mean).toBeCloseTo(power.reduce((a, b) => a + b) / n, 2);
    expect(scan.maxAmplitude).toBe(Math.max(...arrays.diffraction.data));
    expect(scan.xRange_px).toEqual([Math.min(...arrays.xcoords.data), Math.max(...arrays.xcoords.data)]);
    // A raster of step 2 with jitter ±0.5; a disc of radius N/3.
    expect(scan.meanStep_px).toBeGreaterThan(1);
    expect(scan.meanStep_px).toBeLessThan(2);
    expect(scan.probeDiameter_px).toBeCloseTo((2 * N) / 3, 0);
    expect(scan.overlap).toBeCloseTo(1 - scan.meanStep_px! / scan.probeDiameter_px!, 12);
    expect(JSON.parse(JSON.stringify(report))).toMatchObject({ scan: { count: n } });
  });

  it('problems that do not keep a scan from being opened', async () => {
    const { data } = arrays.diffraction;
    const far = { data: arrays.xcoords.data.map((x) => 1000 * x), shape: [n] };
    expect((await inspect({ xcoords: far, ycoords: far })).problems).toEqual([
      expect.stringMatching(/overlap by 0 %.*object pixels/),
    ]);
    expect((await inspect({ probeGuess: undefined })).problems).toEqual([expect.stringMatching(/no probeGuess/)]);
    const dark = data.slice().fill(0, 0, 3 * N * N);
    expect((await inspect({ diffraction: { data: dark, shape: [n, N, N] } })).problems).toEqual([
      '3 of 36 patterns looked at are dark (zero everywhere).',
    ]);
    const rolled = Float32Array.from(data, (_, p) => {
      const [k, row, column] = [Math.floor(p / (N * N)), Math.floor((p % (N * N)) / N), p % N];
      return data[k * N * N + ((row + N / 2) % N) * N + ((column + N / 2) % N)];
    });
    expect((await inspect({ diffraction: { data: rolled, shape: [n, N, N] } })).problems).toEqual([
      expect.stringMatching(/fftshift/),
    ]);
    const same = { data: new Float64Array(n), shape: [n] };
    expect((await inspect({ xcoords: same, ycoords: same })).problems).toEqual([
      expect.stringMatching(/more than once/),
    ]);
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

  it('throws only for what is no archive', async () => {
    await expect(inspectScan(file('absent.npz'))).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
    await writeFile(file('text.npz'), 'no archive at all, but some text');
    await expect(inspectScan(file('text.npz'))).rejects.toMatchObject({ code: 'FILE_FORMAT' });
  });
});
