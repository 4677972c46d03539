/** `split`: two files that together hold the scan, cut where the contract says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { splitDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
import { openDataset } from '../../src/data/openDataset.js';
import { splitRows } from '../../src/data/rewriteScan.js';
import { openNpz } from '../../src/formats/npz.js';
import { splitWorkflow } from '../../src/workflows/split.js';
import { scanArrays, writeArrays } from '../support/scanFiles.js';

const [n, N] = [49, 8];
const arrays = scanArrays(n, N);
let folder: string;
let input: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-split-'));
  input = await writeArrays(file('scan.npz'), arrays, {
    xcoords_start: { data: arrays.xcoords.data.map((v) => v - 0.5), shape: [n] },
    ycoords_start: arrays.ycoords,
    label: { re: arrays.diffraction.data, im: arrays.diffraction.data, shape: [n, N, N] },
    source_index: { data: Int32Array.from({ length: n }, (_, i) => 100 + i), shape: [n], dtype: 'int64' },
    origin: { data: Float64Array.of(3, 4), shape: [2] },
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const split = (flags: Record<string, unknown>) =>
  splitWorkflow(
    input,
    resolveConfig(splitDefinition, { flags: { output_dir: file('parts'), overwrite: true, ...flags } }).config,
  );

describe('splitRows', () => {
  it('cuts at min + (max − min)·fraction; what lies on the cut tests', () => {
    const rows = splitRows(Float64Array.of(0, 10, 8, 5, 7.9), { fraction: 0.8, axis: 'y', gap_px: 0 });
    expect(rows.threshold_px).toBe(8);
    expect([Array.from(rows.train), Array.from(rows.test)]).toEqual([
      [0, 3, 4],
      [1, 2],
    ]);
  });

  it('leaves out what is nearer to the cut than half the gap', () => {
    const rows = splitRows(Float64Array.of(0, 7, 7.5, 8, 9, 9.5, 10), { fraction: 0.8, axis: 'x', gap_px: 2 });
    expect([Array.from(rows.train), Array.from(rows.test)]).toEqual([
      [0, 1],
      [4, 5, 6],
    ]);
  });

  it('refuses a part without patterns', () => {
    const cut = (coordinates: number[], gap_px = 0) =>
      splitRows(Float64Array.from(coordinates), { fraction: 0.5, axis: 'y', gap_px });
    expect(() => cut([0, 1, 2], 3)).toThrow(/leaves no pattern for training; change fraction, gap_px or axis/);
    expect(() => cut([4, 4, 4])).toThrow(/leaves no pattern for training/);
    expect(() => cut([0, 1, 1.4, 2], 1.9)).not.toThrow();
    expect(() => cut([0, 0.4, 2], 2.1)).toThrow(/no pattern/);
  });
});

describe('splitWorkflow', () => {
  it('divides what belongs to patterns and copies the rest', async () => {
    const summary = await split({ fraction: 0.6, axis: 'x' });
    expect(summary).toMatchObject({ axis: 'x', leftOut: 0 });
    expect(summary.train.path).toBe(path.join(file('parts'), 'scan_train.npz'));
    expect(summary.test.path).toBe(path.join(file('parts'), 'scan_test.npz'));
    expect(summary.train.count + summary.test.count).toBe(n);
    const seen: number[] = [];
    for (const [part, before] of [
      [summary.train, true],
      [summary.test, false],
    ] as const) {
      const raw = await openDataset(part.path);
      const npz = await openNpz(part.path);
      try {
        expect(raw.count).toBe(part.count);
        const rows = Array.from((await npz.readReal('source_index')).data, (v) => v - 100);
        seen.push(...rows);
        expect(Array.from(raw.xcoords)).toEqual(rows.map((i) => arrays.xcoords.data[i]));
        expect(Array.from(raw.ycoords)).toEqual(rows.map((i) => arrays.ycoords.data[i]));
        expect(Array.from(raw.xcoordsStart!)).toEqual(rows.map((i) => arrays.xcoords.data[i] - 0.5));
        expect(raw.xcoords.every((x) => x < summary.threshold_px === before)).toBe(true);
        const amplitudes = new Float32Array(raw.count * N * N);
        await raw.patterns.readAmplitudes(
          rows.map((_, i) => i),
          amplitudes,
        );
        const expected = rows.flatMap((i) => Array.from(arrays.diffraction.data.subarray(i * N * N, (i + 1) * N * N)));
        expect(Array.from(amplitudes)).toEqual(expected);
        expect(Array.from((await raw.labels!.readRows([0])).im)).toEqual(expected.slice(0, N * N));
        expect(raw.probeGuess).toEqual(arrays.probeGuess);
        expect(raw.objectGuess).toEqual(arrays.objectGuess);
        expect(Array.from((await npz.readReal('origin')).data)).toEqual([3, 4]);
        const steps = raw.metadata.data_transformations as { operation: string; parameters: object }[];
        expect(steps.at(-1)).toMatchObject({
          operation: 'split',
          parameters: { part: before ? 'train' : 'test', axis: 'x', fraction: 0.6, threshold_px: summary.threshold_px },
        });
      } finally {
        await npz.close();
        await raw.close();
      }
    }
    expect(seen.sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
  });

  it('says how much the parts share, and that a gap as wide as the probe keeps them apart', async () => {
    const close = await split({ fraction: 0.5 });
    const diameter = close.overlap.probeDiameter_px;
    expect(diameter).toBeGreaterThan(4);
    expect(close.overlap.testPatterns).toBeGreaterThan(0);
    // By all pairs.
    const least = (count: (d: number) => void) => {
      const [train, test] = [close.train, close.test].map((_, part) =>
        Array.from({ length: n }, (_, i) => i).filter(
          (i) => arrays.ycoords.data[i] < close.threshold_px === (part === 0),
        ),
      );
      for (const i of test) {
        const distances = train.map((j) =>
          Math.hypot(arrays.xcoords.data[i] - arrays.xcoords.data[j], arrays.ycoords.data[i] - arrays.ycoords.data[j]),
        );
        count(Math.min(...distances));
      }
    };
    const nearest: number[] = [];
    least((d) => nearest.push(d));
    expect(close.overlap.nearest_px).toBeCloseTo(Math.min(...nearest), 12);
    expect(close.overlap.testPatterns).toBe(nearest.filter((d) => d < diameter).length);

    const apart = await split({ fraction: 0.5, gap_px: Math.ceil(diameter) });
    expect(apart.overlap).toEqual({ testPatterns: 0, probeDiameter_px: diameter });
    expect(apart.leftOut).toBe(n - apart.train.count - apart.test.count);
    expect(apart.leftOut).toBeGreaterThan(0);
  });

  it('refuses an output that is the input', async () => {
    const input = await writeArrays(file('a_train.npz'), arrays);
    const { config } = resolveConfig(splitDefinition, { flags: { output_dir: folder } });
    // NAME_train.npz of a.npz, which is a link to it.
    const { symlink } = await import('node:fs/promises');
    await symlink(input, file('a.npz'));
    await expect(splitWorkflow(file('a.npz'), config)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
  });
});
