/** The container: what it holds, how it splits, what it refuses, and what NumPy finds in its snapshot. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ContainerParts, PtychoDataContainer } from '../../../src/adapters/compat/container.js';
import { groupedData, lazyArray } from '../../../src/adapters/compat/groupedData.js';
import type { ComplexTensor } from '../../../src/core/tensor.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { groupScan } from '../../../src/data/grouping/grouping.js';
import { openNpz } from '../../../src/formats/npz.js';
import { scanArrays } from '../../support/scanFiles.js';

const [n, N, B, C] = [36, 8, 21, 4];
const arrays = scanArrays(n, N);
const raw = rawDataFromArrays({
  diffraction: arrays.diffraction,
  xcoords: arrays.xcoords.data.map((v) => v + 10),
  ycoords: arrays.ycoords.data.map((v) => v + 10),
  xcoordsStart: arrays.xcoords.data.map((v) => v + 8),
  ycoordsStart: arrays.ycoords.data.map((v) => v + 8),
  probeGuess: arrays.probeGuess,
  objectGuess: {
    re: Float32Array.from({ length: 900 }, (_, i) => Math.sin(i / 7)),
    im: Float32Array.from({ length: 900 }, (_, i) => Math.cos(i / 5)),
    shape: [30, 30],
  },
});
const groups = groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, n_groups: B, neighbor_count: 6, seed: 2 });
const grouped = groupedData(raw, groups);
const load = (options = {}) => PtychoDataContainer.load(grouped, raw.probeGuess, options);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-container-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('PtychoDataContainer', () => {
  it('holds the grouped arrays, amplitude and phase apart, with the true positions', async () => {
    const container = load({ nphotons: 1e6 });
    expect(container.length).toBe(B);
    expect(await container.X()).toEqual(await grouped.X_full());
    const truth = await grouped.Y!();
    const [amplitude, phase] = [await container.Y_I(), await container.Y_phi()];
    expect([amplitude.shape, phase.shape]).toEqual([
      [B, N, N, C],
      [B, N, N, C],
    ]);
    amplitude.data.forEach((a, i) => {
      expect(a).toBeCloseTo(Math.hypot(truth.re[i], truth.im[i]), 6);
      expect(phase.data[i]).toBeCloseTo(Math.atan2(truth.im[i], truth.re[i]), 6);
    });
    const Y = await container.Y.rows(4, 6);
    const size = N * N * C;
    Y.re.forEach((v, i) => {
      expect(v).toBeCloseTo(truth.re[4 * size + i], 5);
      expect(Y.im[i]).toBeCloseTo(truth.im[4 * size + i], 5);
    });
    // √(1e6) / (8/2), and it is what turns X into √counts of a million a pattern.
    expect(container.norm_Y_I).toBe(250);
    const X = await container.X();
    expect(X.data.reduce((sum, v) => sum + (250 * v) ** 2, 0) / (B * C)).toBeCloseTo(1e6, -1);
    expect(container.YY_full).toBe(raw.objectGuess);
    const relative = grouped.coords_relative;
    for (const key of ['coords_nominal', 'coords_true'] as const) {
      expect(container[key]).toEqual({ data: Float32Array.from(relative.data), shape: [B, 1, 2, C] });
    }
    expect(container.global_offsets).toEqual(grouped.coords_offsets);
    expect(container.global_offsets.data).not.toEqual(grouped.coords_start_offsets!.data);
    expect(container.local_offsets).toEqual(relative);
    expect(container.nn_indices).toEqual(grouped.nn_indices);
    expect(container.probe).toBe(raw.probeGuess);
  });

  it('splits at ⌊B·fraction⌋, every member of it', async () => {
    const [train, test] = [load({ which: 'train', split_fraction: 0.7 }), load({ which: 'test', split_fraction: 0.7 })];
    expect([train.length, test.length]).toEqual([14, 7]);
    const whole = await load().X();
    expect([...(await train.X()).data, ...(await test.X()).data]).toEqual([...whole.data]);
    expect((await test.Y_phi()).data).toEqual((await load().Y_phi.rows(14, 21)).data);
    for (const key of ['coords_nominal', 'coords_true', 'nn_indices', 'global_offsets', 'local_offsets'] as const) {
      expect([train[key].shape[0], test[key].shape[0]]).toEqual([14, 7]);
      expect([...train[key].data, ...test[key].data]).toEqual([...load()[key].data]);
    }
    expect([load({ split_fraction: 0 }).length, load({ which: 'test', split_fraction: 1 }).length]).toEqual([0, 0]);
    for (const split_fraction of [-0.1, 1.1, Number.NaN]) {
      expect(() => load({ split_fraction })).toThrow(/split_fraction must lie between 0 and 1/);
    }
  });

  it('stands in ones and zeros for missing truth, and says so', async () => {
    const warnings: string[] = [];
    const container = PtychoDataContainer.load({ ...grouped, Y: null, objectGuess: null }, raw.probeGuess, {
      logger: { info() {}, warn: (message) => warnings.push(message) },
    });
    expect(warnings).toEqual(['The scan has no ground truth: Y_I is one and Y_phi is zero everywhere.']);
    expect(new Set((await container.Y_I()).data)).toEqual(new Set([1]));
    expect(new Set((await container.Y_phi.rows(0, 3)).data)).toEqual(new Set([0]));
    expect(container.YY_full).toBeNull();
  });

  it('refuses truth of another number of channels, other shapes, channels first, and no probe', () => {
    const refuse = (change: Partial<ContainerParts>, message: string) => {
      const whole = load();
      const parts: ContainerParts = {
        X: whole.X,
        Y_I: whole.Y_I,
        Y_phi: whole.Y_phi,
        norm_Y_I: whole.norm_Y_I,
        YY_full: whole.YY_full,
        coords_nominal: whole.coords_nominal,
        coords_true: whole.coords_true,
        nn_indices: whole.nn_indices,
        global_offsets: whole.global_offsets,
        local_offsets: whole.local_offsets,
        probe: whole.probe,
        ...change,
      };
      expect(() => new PtychoDataContainer(parts)).toThrowError(
        expect.objectContaining({ code: 'DATASET_SHAPE', message }),
      );
    };
    const images = (shape: readonly number[]) =>
      lazyArray(shape, 4, async () => ({ data: new Float32Array(0), shape: [0] }));
    refuse(
      { Y_I: images([B, N, N, 1]) },
      "The container's Y_I has shape (21, 8, 8, 1), but X of shape (21, 8, 8, 4) asks for (21, 8, 8, 4): 1 channels against 4 of X usually means that they were grouped with different gridsizes; group both with one.",
    );
    refuse(
      { X: images([B, C, N, N]) },
      "The container's X has shape (21, 4, 8, 8), but X of shape (21, 4, 8, 8) asks for (21, 4, 4, 8): make both from the same groups, channels last.",
    );
    refuse(
      { global_offsets: { data: new Float64Array(40), shape: [20, 1, 2, 1] } },
      "The container's global_offsets has shape (20, 1, 2, 1), but X of shape (21, 8, 8, 4) asks for (21, 1, 2, 1): make both from the same groups, channels last.",
    );
    const first = groupedData(raw, groups, { channels: 'first' });
    expect(() => PtychoDataContainer.load(first, raw.probeGuess)).toThrow(
      /have shape \(21, 4, 1, 2\), but a container needs \(B, 1, 2, C\): make the grouped data with channels: 'last'/,
    );
    expect(() => PtychoDataContainer.load(grouped, undefined)).toThrow(/needs a probe, but the scan has no probeGuess/);
  });

  it('writes the documented keys, equal to what it holds', async () => {
    const container = load({ which: 'test', split_fraction: 0.5 });
    const file = path.join(folder, 'snapshot.npz');
    await container.toNpz(file);
    const npz = await openNpz(file);
    try {
      expect(npz.keys).toEqual([
        'X',
        'Y_I',
        'Y_phi',
        'norm_Y_I',
        'YY_full',
        'coords_nominal',
        'coords_true',
        'nn_indices',
        'global_offsets',
        'local_offsets',
        'probe',
      ]);
      for (const key of ['X', 'Y_I', 'Y_phi'] as const) {
        const { data, shape, dtype } = await npz.readReal(key);
        expect(dtype).toBe('float32');
        expect({ data, shape }).toEqual(await container[key]());
      }
      // Views of a larger array: only the half that is theirs is written.
      for (const [key, type] of [
        ['coords_nominal', 'float32'],
        ['coords_true', 'float32'],
        ['nn_indices', 'int32'],
        ['global_offsets', 'float64'],
        ['local_offsets', 'float64'],
      ] as const) {
        const { data, shape, dtype } = await npz.readReal(key);
        expect([dtype, shape, [...data]]).toEqual([type, container[key].shape, [...container[key].data]]);
      }
      expect(await npz.readReal('norm_Y_I')).toMatchObject({ shape: [], data: Float64Array.of(container.norm_Y_I) });
      for (const [key, held] of [
        ['YY_full', container.YY_full],
        ['probe', container.probe],
      ] as const) {
        const { re, im, shape } = await npz.readComplex64(key);
        const { re: heldRe, im: heldIm, shape: heldShape } = held as ComplexTensor;
        expect({ re, im, shape }).toEqual({ re: heldRe, im: heldIm, shape: heldShape });
      }
    } finally {
      await npz.close();
    }
    const bare = path.join(folder, 'bare.npz');
    await PtychoDataContainer.load({ ...grouped, objectGuess: null }, raw.probeGuess).toNpz(bare);
    const other = await openNpz(bare);
    expect((await other.header('YY_full')).shape).toEqual([0, 0]);
    await other.close();
  });

  it('leaves nothing behind when reading fails while it is written', async () => {
    const file = path.join(folder, 'broken.npz');
    const broken = lazyArray(grouped.X_full.shape, 4, async () => {
      throw new Error('the disk is gone');
    });
    const container = PtychoDataContainer.load({ ...grouped, X_full: broken }, raw.probeGuess);
    await expect(container.toNpz(file)).rejects.toThrow(/the disk is gone/);
    await expect(openNpz(file)).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});
