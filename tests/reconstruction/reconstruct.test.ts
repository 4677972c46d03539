/** The stream of previews, with an engine that hands back what it was given. */
import { describe, expect, it } from 'vitest';
import { inOrder } from '../../src/core/inOrder.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { DiffractionDataset } from '../../src/data/dataset.js';
import { groupScan } from '../../src/data/grouping/grouping.js';
import { extractPatches } from '../../src/physics/sampling.js';
import { frameOfObject, moveToFrame } from '../../src/reconstruction/frame.js';
import { turnPatches } from '../../src/reconstruction/patches/patchPhases.js';
import type { StitchedImage } from '../../src/reconstruction/patchStitcher.js';
import { KeptPatches } from '../../src/reconstruction/positions/refinePositions.js';
import {
  type Preview,
  type ReconstructOptions,
  reconstructDataset,
  streamDataset,
} from '../../src/reconstruction/reconstruct.js';
import { mirrorBackend, mirrorNetwork } from '../support/mirrorBackend.js';

const N = 16;
const OBJECT = {
  re: Float32Array.from({ length: 70 * 80 }, (_, i) => 2 + 0.02 * Math.floor(i / 80) - 0.01 * (i % 80)),
  im: new Float32Array(70 * 80),
  shape: [70, 80],
};
const SCALE = 0.5;

/** A jittered raster on whole pixels, whose patterns are the object's patches. */
function mirrorScan(columns = 7, rows = 6) {
  const n = columns * rows;
  const xs = Float64Array.from({ length: n }, (_, k) => 12 + 6 * (k % columns) + (k % 2));
  const ys = Float64Array.from({ length: n }, (_, k) => 14 + 5 * Math.floor(k / columns) - (k % 3));
  const { re } = extractPatches(OBJECT, xs, ys, N);
  return { xs, ys, diffraction: { data: Float32Array.from(re), shape: [n, N, N] }, n };
}

function setUp(gridsize = 1, over: Partial<ReconstructOptions> = {}) {
  const { xs, ys, diffraction } = mirrorScan();
  const raw = rawDataFromArrays({ diffraction, xcoords: xs, ycoords: ys, measurement_domain: 'count_amplitude' });
  const groups = groupScan(xs, ys, { gridsize, n_groups: xs.length, neighbor_count: 5, seed: 1 });
  const dataset = new DiffractionDataset(raw, groups, SCALE);
  const backend = mirrorBackend();
  const options: ReconstructOptions = {
    network: mirrorNetwork(N),
    weights: {},
    backend,
    dataset,
    batch_size: 8,
    crop_px: 10,
    patch_weighting: 'uniform',
    ...over,
  };
  return { options, backend, raw };
}

/** Largest distance from the object, where patches lie. */
function distance({ image, weight, frame }: StitchedImage): number {
  const truth = moveToFrame(OBJECT, frameOfObject(OBJECT), frame);
  return image.re.reduce((m, v, i) => (weight.data[i] > 0 ? Math.max(m, Math.abs(v / SCALE - truth.re[i])) : m), 0);
}

async function all(previews: AsyncIterable<Preview>): Promise<Preview[]> {
  const list: Preview[] = [];
  for await (const preview of previews) list.push(preview);
  return list;
}

describe('reconstruct', () => {
  it.each([1, 2])('places every member at its own position, gridsize %i', async (gridsize) => {
    const { options, backend } = setUp(gridsize);
    const { stitched, patterns, cancelled, unused } = await reconstructDataset(options);
    expect(distance(stitched)).toBeLessThan(1e-5);
    expect([patterns, stitched.patches]).toEqual([42 * gridsize ** 2, 42 * gridsize ** 2]);
    expect([cancelled, unused]).toEqual([false, 0]);
    expect(backend.open()).toBe(0);
  });

  it('needs one program for full batches and one for the rest', async () => {
    const { options, backend } = setUp();
    await reconstructDataset(options);
    expect(backend.runs).toEqual([8, 8, 8, 8, 8, 2]);
    const few = setUp(1, { batch_size: 100 });
    await reconstructDataset(few.options);
    expect(few.backend.runs).toEqual([42]);
  });

  it('does not depend on the size of batches', async () => {
    const images = await Promise.all(
      [3, 8, 41].map((batch_size) => reconstructDataset(setUp(1, { batch_size }).options)),
    );
    for (const { stitched } of images) expect(stitched.image).toEqual(images[0].stitched.image);
  });

  it.each([1, 2])('brings the phases of the patches together when asked to, gridsize %i', async (gridsize) => {
    // The sum of patches whose phases differ is darker than any of them.
    const spoiled = async (align_phases: boolean) => {
      const { options } = setUp(gridsize, { align_phases });
      const onPatches: ReconstructOptions['onPatches'] = ({ re, im }, { members }) =>
        turnPatches(
          re,
          im,
          members.length,
          N,
          Array.from(members, (m) => Math.sin(5 * m)),
        );
      const { stitched, phaseSpreadRad } = await reconstructDataset({ ...options, onPatches });
      const { re, im, shape } = stitched.image;
      const amplitude = { re: re.map((v, i) => Math.hypot(v, im[i])), im: new Float32Array(re.length), shape };
      return { distance: distance({ ...stitched, image: amplitude }), phaseSpreadRad };
    };
    const [apart, together] = [await spoiled(false), await spoiled(true)];
    expect(apart.distance).toBeGreaterThan(0.3);
    expect(apart.phaseSpreadRad).toBeUndefined();
    expect(together.distance).toBeLessThan(0.01);
    expect(together.phaseSpreadRad).toBeCloseTo(Math.SQRT1_2, 1);
  });

  it('measures uncertainty and takes both rules, when asked to', async () => {
    const probe = { re: new Float32Array(N * N), im: new Float32Array(N * N), shape: [N, N] };
    for (let i = 0; i < N * N; i++) probe.re[i] = Math.exp(-((Math.floor(i / N) - 8) ** 2 + ((i % N) - 8) ** 2) / 20);
    // Positions between pixels, where the rules differ.
    const { xs, ys, diffraction } = mirrorScan();
    const half = xs.map((x) => x + 0.5);
    const raw = rawDataFromArrays({ diffraction, xcoords: half, ycoords: ys, measurement_domain: 'count_amplitude' });
    const groups = groupScan(half, ys, { gridsize: 1, n_groups: 42, neighbor_count: 4 });
    const dataset = new DiffractionDataset(raw, groups, SCALE);
    const run = (over: Partial<ReconstructOptions>) =>
      reconstructDataset(setUp(1, { dataset, patch_weighting: 'probe', probe, ...over }).options);
    const [plain, sums, other] = [await run({}), await run({ uncertainty: true }), await run({ stitching: 'barycentric' })]; // biome-ignore format: one line
    expect(plain.stitched.uncertainty).toBeUndefined();
    expect(sums.stitched.uncertainty?.phase.shape).toEqual(sums.stitched.image.shape);
    expect(sums.stitched.image).toEqual(plain.stitched.image);
    expect(other.stitched.image).not.toEqual(plain.stitched.image);
    expect(other.stitched.weight.shape).toEqual(plain.stitched.weight.shape);
  });

  it('shows every batch of patches to who wants to see them', async () => {
    const seen: [number, readonly number[], number][] = [];
    const { options } = setUp(2, { onPatches: ({ shape }, { members }, index) => seen.push([index, shape, members.length]) }); // biome-ignore format: one line
    await reconstructDataset(options);
    expect(seen.map(([index]) => index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(seen[5]).toEqual([5, [2, 4, N, N], 8]);
  });
});

describe('KeptPatches', () => {
  it('lay patches down again without predicting them', async () => {
    const { options } = setUp(1, { uncertainty: true });
    const dataset = options.dataset as DiffractionDataset;
    const kept = KeptPatches.for(dataset, options.crop_px);
    const { stitched } = await reconstructDataset({
      ...options,
      onPatches: (patches, batch) => kept!.see(patches, batch),
    });
    const { xcoords, ycoords } = dataset.raw;
    expect(await kept!.stitch(xcoords, ycoords, options)).toEqual(stitched);
    const moved = await kept!.stitch(xcoords.map((x) => x + 3), ycoords, options); // biome-ignore format: one call
    expect(moved.image).toEqual(stitched.image);
    expect(moved.frame.originYxPx[1]).toBe(stitched.frame.originYxPx[1] + 3);
  });

  it('are for groups of one only: other patches change with their positions', () => {
    expect(KeptPatches.for(setUp(2).options.dataset as DiffractionDataset, 10)).toBeUndefined();
  });
});

describe('streamDataset', () => {
  it('shows the image as it grows, and ends with the whole', async () => {
    const { options } = setUp();
    const previews = await all(streamDataset({ ...options, every: { patterns: 16 } }));
    expect(previews.map(({ patterns, final }) => [patterns, final])).toEqual([
      [16, false],
      [32, false],
      [42, true],
    ]);
    const coverage = previews.map(({ stitched }) => stitched.coverage);
    expect(coverage[0]).toBeLessThan(coverage[1]);
    expect(coverage[1]).toBeLessThan(coverage[2]);
    for (const { stitched, total, rate } of previews) {
      expect(distance(stitched)).toBeLessThan(1e-5);
      expect([stitched.frame, total]).toEqual([previews[2].stitched.frame, 42]);
      expect(rate).toBeGreaterThan(0);
    }
    expect(previews[2].stitched.image).toEqual((await reconstructDataset(setUp().options)).stitched.image);
  });

  it('shows by time as well', async () => {
    const slow = mirrorBackend(() => new Promise((resolve) => setTimeout(resolve, 20)));
    const previews = await all(streamDataset({ ...setUp().options, backend: slow, every: { seconds: 0.001 } }));
    expect(previews.length).toBeGreaterThan(2);
    expect((await all(streamDataset(setUp().options))).length).toBe(1);
  });

  it('shows the first picture early where that is asked for', async () => {
    const { options } = setUp(1, { batch_size: 4 });
    const previews = await all(streamDataset({ ...options, every: { first: 10, seconds: 1e6 } }));
    expect(previews.map(({ patterns, final }) => [patterns, final])).toEqual([
      [12, false],
      [42, true],
    ]);
  });

  it('leaves a usable preview when cancelled, and takes no more patterns', async () => {
    const stop = new AbortController();
    const { options, backend } = setUp(1, { batch_size: 4, signal: stop.signal });
    const previews: Preview[] = [];
    for await (const preview of streamDataset({ ...options, every: { patterns: 8 } })) {
      previews.push(preview);
      stop.abort();
    }
    const last = previews[previews.length - 1];
    expect(last).toMatchObject({ final: true, cancelled: true, total: 42 });
    expect(last.patterns).toBeGreaterThanOrEqual(8);
    expect(last.patterns).toBeLessThan(30);
    expect(last.patterns).toBe(last.stitched.patches);
    expect(distance(last.stitched)).toBeLessThan(1e-5);
    expect(backend.open()).toBe(0);
  });

  it('throws when cancelled before there is anything', async () => {
    const stop = new AbortController();
    stop.abort();
    await expect(reconstructDataset(setUp(1, { signal: stop.signal }).options)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('ends when its reader leaves', async () => {
    const { options, backend } = setUp(1, { batch_size: 4 });
    for await (const _ of streamDataset({ ...options, every: { patterns: 4 } })) break;
    expect(backend.open()).toBe(0);
    expect(backend.runs.length).toBeLessThan(5);
  });

  it('passes on what the engine throws', async () => {
    const broken = mirrorBackend(async (run) => {
      if (run === 3) throw new Error('out of order');
    });
    await expect(reconstructDataset({ ...setUp().options, backend: broken })).rejects.toThrow('out of order');
    expect(broken.open()).toBe(0);
  });
});

describe('inOrder', () => {
  it('reads ahead, works side by side, and keeps the order', async () => {
    let [made, working, widest, furthest, handed] = [0, 0, 0, 0, 0];
    async function* numbers() {
      for (; made < 20; ) {
        furthest = Math.max(furthest, made - handed);
        yield made++;
      }
    }
    const work = async (n: number) => {
      widest = Math.max(widest, ++working);
      await new Promise((resolve) => setTimeout(resolve, n % 3));
      working--;
      return n * n;
    };
    const results: number[] = [];
    for await (const square of inOrder(numbers(), { work, width: 3, readAhead: 4 })) {
      results.push(square);
      handed++;
    }
    expect(results).toEqual(Array.from({ length: 20 }, (_, i) => i * i));
    expect(widest).toBe(3);
    expect(furthest).toBeGreaterThan(3);
    expect(furthest).toBeLessThanOrEqual(8);
  });

  it('throws what the source throws', async () => {
    async function* failing() {
      yield 1;
      throw new Error('no more light');
    }
    const run = async () => {
      for await (const _ of inOrder(failing(), { work: async (n) => n, width: 2, readAhead: 2 }));
    };
    await expect(run()).rejects.toThrow('no more light');
  });
});
