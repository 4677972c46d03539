/** The grouped-data dictionary: keys, order, shapes and types of the contract; the golden numbers; truth where it belongs. */
import { beforeAll, describe, expect, it } from 'vitest';
import { type GroupedData, groupedData } from '../../../src/adapters/compat/groupedData.js';
import type { ComplexTensor, NumericArray, Tensor } from '../../../src/core/tensor.js';
import { rawDataFromArrays } from '../../../src/data/arrays.js';
import { type GroupingOptions, groupScan, groupsFromMembers } from '../../../src/data/grouping/grouping.js';
import type { RawData } from '../../../src/data/rawData.js';
import type { StoredPatches } from '../../../src/data/scanFile.js';
import { type NpzFile, openNpz } from '../../../src/formats/npz.js';
import { extractPatch } from '../../../src/physics/sampling.js';
import { scanArrays } from '../../support/scanFiles.js';
import { describeShared, sharedFile } from '../../support/shared.js';

describeShared('golden grouped data (a_grouping.npz)', () => {
  let npz: NpzFile;
  let raw: RawData;
  const real = (key: string) => npz.readReal(key);
  beforeAll(async () => {
    npz = await openNpz(sharedFile('golden', 'a_grouping.npz'));
    raw = rawDataFromArrays({
      diffraction: await real('diff3d'),
      xcoords: (await real('xcoords')).data,
      ycoords: (await real('ycoords')).data,
    });
    return () => npz.close();
  });

  const expectClose = (ours: Tensor<NumericArray>, golden: Tensor<NumericArray>, absolute: number, relative = 0) => {
    expect(ours.shape).toEqual(golden.shape);
    let worst = 0;
    ours.data.forEach((value, i) => {
      const error = Math.abs(value - golden.data[i]) - relative * Math.abs(golden.data[i]);
      worst = Math.max(worst, error);
    });
    expect(worst).toBeLessThanOrEqual(absolute);
  };

  const cases: (readonly [string, Partial<GroupingOptions>])[] = [];
  for (const gridsize of [1, 2]) {
    for (const neighbor_count of [4, 7]) {
      const options = { gridsize, neighbor_count };
      cases.push([`gs${gridsize}_K${neighbor_count}_rand0`, { ...options, seed: 0 }]);
      cases.push([`gs${gridsize}_K${neighbor_count}_rand42`, { ...options, seed: 42 }]);
      cases.push([`gs${gridsize}_K${neighbor_count}_seq`, { ...options, sequential: true }]);
    }
  }
  for (const [key, options] of cases) {
    it(key, async () => {
      const grouped = groupedData(
        raw,
        groupScan(raw.xcoords, raw.ycoords, { gridsize: 1, neighbor_count: 4, n_groups: 50, ...options }),
      );
      expect([...grouped.nn_indices.data]).toEqual([...(await real(`${key}_nn_indices`)).data]);
      expect(grouped.nn_indices.shape).toEqual([50, options.gridsize! ** 2]);
      expectClose(grouped.coords_nn, await real(`${key}_coords_nn`), 1e-12);
      expectClose(grouped.coords_offsets, await real(`${key}_coords_offsets`), 1e-12);
      expectClose(grouped.coords_relative, await real(`${key}_coords_relative`), 1e-12);
      if (options.sequential) expectClose(await grouped.X_full(), await real(`${key}_X_full`), 0, 1e-6);
      else expect(npz.has(`${key}_X_full`)).toBe(false);
    });
  }

  it('oversampled: every group, and the images of its members', async () => {
    const groups = groupScan(raw.xcoords, raw.ycoords, {
      gridsize: 2,
      n_groups: 1000,
      neighbor_count: 7,
      enable_oversampling: true,
      seed: 1,
    });
    const { nn_indices, diffraction } = groupedData(raw, groups);
    expect([...nn_indices.data]).toEqual([...(await real('over_gs2_K7_n1000_nn_indices')).data]);
    const { data, shape } = await diffraction.rows(990, 1000);
    expect(shape).toEqual([10, 8, 8, 4]);
    const stored = (await real('diff3d')).data;
    data.forEach((value, i) => {
      const [b, pixel, c] = [Math.floor(i / 256), Math.floor(i / 4) % 64, i % 4];
      expect(value).toBe(stored[nn_indices.data[(990 + b) * 4 + c] * 64 + pixel]);
    });
  });

  it('channels first: the layout of the PyTorch tools', async () => {
    const members = Int32Array.from((await real('torch_nn_indices')).data);
    const grouped = groupedData(raw, groupsFromMembers(members, 4, raw.xcoords, raw.ycoords), { channels: 'first' });
    expectClose(grouped.coords_nn, await real('torch_coords_nn'), 1e-12);
    expectClose(grouped.coords_offsets, await real('torch_coords_offsets'), 1e-12);
    expectClose(grouped.coords_relative, await real('torch_coords_relative'), 1e-12);
  });
});

describeShared('golden ground truth (b_translate_patches.npz)', () => {
  it('gridsize 1 as there; gridsize 2 where the members are, not mirrored at the centre as there', async () => {
    const npz = await openNpz(sharedFile('golden', 'b_translate_patches.npz'));
    try {
      const object = await npz.readComplex64('patch_object');
      const truth = async (xs: ArrayLike<number>, ys: ArrayLike<number>, C: number) => {
        const raw = rawDataFromArrays({
          diffraction: { data: new Float32Array(xs.length * 64 * 64).fill(1), shape: [xs.length, 64, 64] },
          xcoords: xs,
          ycoords: ys,
          objectGuess: object,
        });
        const members = Int32Array.from(xs, (_, i) => i);
        return groupedData(raw, groupsFromMembers(members, C, raw.xcoords, raw.ycoords)).Y!();
      };
      const close = (ours: ComplexTensor, golden: ComplexTensor) => {
        expect(ours.shape).toEqual(golden.shape);
        for (const part of ['re', 'im'] as const) {
          const worst = ours[part].reduce((most, v, i) => Math.max(most, Math.abs(v - golden[part][i])), 0);
          expect(worst).toBeLessThan(1e-5);
        }
      };
      const centres = (await npz.readReal('patch1_coords_offsets')).data;
      const every = (list: ArrayLike<number>, step: number, from: number) =>
        Float64Array.from({ length: list.length / step }, (_, i) => list[i * step + from]);
      close(
        await truth(every(centres, 2, 0), every(centres, 2, 1), 1),
        await npz.readComplex64('patch1_get_image_patches'),
      );
      // (5, 1, 2, 4): x of the four members, then y. The original cuts at 2·centre − member = centre + relative.
      const [nn, offsets] = [await npz.readReal('patch_coords_nn'), await npz.readReal('patch_coords_offsets')];
      const mirrored = (axis: number) =>
        Float64Array.from(
          { length: 20 },
          (_, i) => 2 * offsets.data[(i >> 2) * 2 + axis] - nn.data[(i >> 2) * 8 + axis * 4 + (i & 3)],
        );
      close(await truth(mirrored(0), mirrored(1), 4), await npz.readComplex64('patch_get_image_patches'));
    } finally {
      await npz.close();
    }
  });
});

describe('groupedData', () => {
  const [n, N] = [36, 8];
  const arrays = scanArrays(n, N);
  const object = {
    re: Float32Array.from({ length: 900 }, (_, i) => Math.sin(i / 7)),
    im: Float32Array.from({ length: 900 }, (_, i) => Math.cos(i / 5)),
    shape: [30, 30],
  };
  const raw = rawDataFromArrays({
    diffraction: arrays.diffraction,
    xcoords: arrays.xcoords.data.map((v) => v + 10),
    ycoords: arrays.ycoords.data.map((v) => v + 10),
    xcoordsStart: arrays.xcoords.data.map((v) => v + 9),
    ycoordsStart: arrays.ycoords.data.map((v) => v + 9.5),
    objectGuess: object,
  });
  const groups = groupScan(raw.xcoords, raw.ycoords, { gridsize: 2, n_groups: 20, neighbor_count: 6, seed: 5 });
  const grouped = groupedData(raw, groups);

  it('has the keys of the contract, in its order, with its shapes and types', async () => {
    expect(Object.keys(grouped)).toEqual([
      'diffraction',
      'Y',
      'coords_nn',
      'coords_offsets',
      'coords_relative',
      'coords_start_nn',
      'coords_start_offsets',
      'coords_start_relative',
      'nn_indices',
      'objectGuess',
      'X_full',
      'sample_indices',
    ]);
    const image = [20, N, N, 4];
    for (const key of ['diffraction', 'X_full'] as const) {
      expect([grouped[key].shape, grouped[key].bytes]).toEqual([image, 20 * N * N * 4 * 4]);
      const { data, shape } = await grouped[key]();
      expect([shape, data.length]).toEqual([image, 20 * N * N * 4]);
      expect(data).toBeInstanceOf(Float32Array);
    }
    expect([grouped.Y!.shape, grouped.Y!.bytes]).toEqual([image, 20 * N * N * 4 * 8]);
    expect((await grouped.Y!()).shape).toEqual(image);
    for (const prefix of ['coords_', 'coords_start_'] as const) {
      for (const [key, C] of [
        ['nn', 4],
        ['offsets', 1],
        ['relative', 4],
      ] as const) {
        const { data, shape } = grouped[`${prefix}${key}`]!;
        expect([shape, data.length]).toEqual([[20, 1, 2, C], 40 * C]);
        expect(data).toBeInstanceOf(Float64Array);
      }
    }
    expect(grouped.nn_indices).toEqual({ data: groups.members, shape: [20, 4] });
    expect(grouped.objectGuess).toBe(object);
    expect(grouped.sample_indices).toEqual({ data: Int32Array.from({ length: n }, (_, i) => i), shape: [n] });
  });

  it('coordinates: relative = centre − member, start positions apart', () => {
    const start = { nn: grouped.coords_start_nn!, offsets: grouped.coords_start_offsets! };
    const at = ({ data }: Tensor<Float64Array>, g: number, axis: number, c: number, C = 4) =>
      data[(g * 2 + axis) * C + c];
    for (let g = 0; g < 20; g++) {
      for (const [axis, coords, startCoords] of [
        [0, raw.xcoords, raw.xcoordsStart!],
        [1, raw.ycoords, raw.ycoordsStart!],
      ] as const) {
        const members = [...groups.members.subarray(4 * g, 4 * g + 4)];
        members.forEach((m, c) => {
          expect(at(grouped.coords_nn, g, axis, c)).toBe(coords[m]);
          expect(at(start.nn, g, axis, c)).toBe(startCoords[m]);
          const centre = at(grouped.coords_offsets, g, axis, 0, 1);
          expect(at(grouped.coords_relative, g, axis, c)).toBe(centre - coords[m]);
        });
        const mean = members.reduce((sum, m) => sum + startCoords[m], 0) / 4;
        expect(at(start.offsets, g, axis, 0, 1)).toBeCloseTo(mean, 12);
      }
    }
  });

  it('ranges are the rows of the whole, and what is not there is refused', async () => {
    for (const key of ['diffraction', 'X_full'] as const) {
      const whole = await grouped[key]();
      const part = await grouped[key].rows(3, 7);
      expect(part).toEqual({ data: whole.data.slice(3 * 256, 7 * 256), shape: [4, N, N, 4] });
    }
    const Y = await grouped.Y!();
    expect((await grouped.Y!.rows(19, 20)).re).toEqual(Y.re.slice(19 * 256));
    expect((await grouped.X_full.rows(20, 20)).shape).toEqual([0, N, N, 4]);
    for (const [from, to] of [
      [0, 21],
      [-1, 2],
      [5, 4],
      [0.5, 2],
    ]) {
      await expect(grouped.X_full.rows(from, to)).rejects.toMatchObject({
        code: 'DATASET_SHAPE',
        message: `An array of shape (20, 8, 8, 4) has no rows ${from} to ${to}; give a range within 0 … 20.`,
      });
    }
  });

  it('X_full has the mean power (N/2)² an image; one scale for every range, or the one that is given', async () => {
    const { data } = await grouped.X_full();
    const power = data.reduce((sum, v) => sum + v * v, 0) / 80;
    expect(power).toBeCloseTo((N / 2) ** 2, 4);
    const given = groupedData(raw, groups, { inputScale: 2 });
    const [two, one] = [await given.X_full.rows(4, 6), await given.diffraction.rows(4, 6)];
    expect(two.data).toEqual(one.data.map((v) => 2 * v));
  });

  it('reads nothing before it is asked for, and only what it is asked for', async () => {
    const read: number[] = [];
    const patterns = {
      ...raw.patterns,
      count: n,
      N,
      domain: raw.domain,
      resident: false,
      readAmplitudes: (indices: ArrayLike<number>, out: Float32Array) => {
        read.push(...Array.from(indices));
        return raw.patterns.readAmplitudes(indices, out);
      },
    } as RawData['patterns'];
    const watched = groupedData({ ...raw, patterns }, groups);
    expect(read).toEqual([]);
    const part = await watched.diffraction.rows(2, 5);
    const members = [...new Set(groups.members.subarray(8, 20))].sort((a, b) => a - b);
    expect(read).toEqual(members);
    expect(part).toEqual(await grouped.diffraction.rows(2, 5));
  });

  const patchAt = (truth: ComplexTensor, b: number, c: number) => ({
    re: Float32Array.from({ length: N * N }, (_, p) => truth.re[(b * N * N + p) * 4 + c]),
    im: Float32Array.from({ length: N * N }, (_, p) => truth.im[(b * N * N + p) * 4 + c]),
    shape: [N, N],
  });

  it('cuts ground truth from the object at the position of each member', async () => {
    const truth = await grouped.Y!.rows(0, 5);
    for (let b = 0; b < 5; b++) {
      for (let c = 0; c < 4; c++) {
        const m = groups.members[4 * b + c];
        expect(patchAt(truth, b, c)).toEqual(extractPatch(object, raw.ycoords[m], raw.xcoords[m], N));
      }
    }
  });

  it("takes the file's Y before the object", async () => {
    const stored = (side: number): StoredPatches => ({
      count: n,
      height: side,
      width: side,
      readRows: async (rows) => ({
        re: Float32Array.from({ length: rows.length * side * side }, (_, i) => rows[Math.floor(i / (side * side))]),
        im: Float32Array.from({ length: rows.length * side * side }, (_, i) => i % (side * side)),
        shape: [rows.length, side, side],
      }),
    });
    const truth = await groupedData({ ...raw, groundTruth: stored(N) }, groups).Y!.rows(7, 9);
    const pixels = Float32Array.from({ length: N * N }, (_, p) => p);
    for (const [b, c] of [
      [0, 2],
      [1, 3],
    ]) {
      const m = groups.members[(7 + b) * 4 + c];
      expect(patchAt(truth, b, c)).toEqual({ re: pixels.map(() => m), im: pixels, shape: [N, N] });
    }
    await expect(groupedData({ ...raw, groundTruth: stored(6) }, groups).Y!()).rejects.toMatchObject({
      code: 'DATASET_SHAPE',
      message:
        "memory: the patches Y are (6, 6) pixels, but the patterns are (8, 8); cut them to the patterns' size or leave Y out of the file.",
    });
  });

  it('has no truth without object, nor from an object that lies otherwise than the positions', () => {
    expect(groupedData({ ...raw, objectGuess: undefined }, groups)).toMatchObject({ Y: null, objectGuess: null });
    const flipped = { ...raw, orientation: { ...raw.orientation, flip_y: true } };
    expect(groupedData(flipped, groups).Y).toBeNull();
    const plain: GroupedData = groupedData({ ...raw, xcoordsStart: undefined, ycoordsStart: undefined }, groups);
    expect([plain.coords_start_nn, plain.coords_start_offsets, plain.coords_start_relative]).toEqual([
      null,
      null,
      null,
    ]);
  });

  it('channels first holds the same numbers in another order', async () => {
    const first = groupedData(raw, groups, { channels: 'first' });
    expect([first.X_full.shape, first.coords_nn.shape, first.coords_offsets.shape]).toEqual([
      [20, 4, N, N],
      [20, 4, 1, 2],
      [20, 1, 1, 2],
    ]);
    const [a, b] = [await first.X_full(), await grouped.X_full()];
    const [p, q] = [await first.Y!(), await grouped.Y!()];
    for (const [ours, other] of [
      [a.data, b.data],
      [p.re, q.re],
      [p.im, q.im],
    ]) {
      const turned = ours.map((_, i) => {
        const [g, pixel, c] = [Math.floor(i / 256), Math.floor(i / 4) % 64, i % 4];
        return ours[(g * 4 + c) * 64 + pixel];
      });
      expect(turned).toEqual(other);
    }
    expect(first.coords_relative.data).toEqual(groups.coordsRelative);
  });
});
