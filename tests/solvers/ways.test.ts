/** Fly scans: where ways come from, and what solving over them gains. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { writeNpz } from '../../src/formats/npz.js';
import { scanBounds } from '../../src/reconstruction/frame.js';
import { rawDataFromSimulation, type SimulatedScan } from '../../src/simulation/simulateScan.js';
import { runSolver } from '../../src/solvers/run.js';
import { litPlaces, movedPlaces, sayWays, waysOf } from '../../src/solvers/ways.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';

const places = (xs: readonly number[], ys: readonly number[]) => ({
  source: 'scan.npz',
  count: xs.length,
  xcoords: Float64Array.from(xs),
  ycoords: Float64Array.from(ys),
});
const plainWays = (raw: Parameters<typeof waysOf>[0], fly_duty: number | null = null) => {
  const { ways, xs, ys } = waysOf(raw, { fly_positions: 4, fly_duty });
  return { xs: [...ways!.xs], ys: [...ways!.ys], middles: [...xs], rows: [...ys], points: ways!.points };
};

describe('ways', () => {
  const raw = places([10, 20, 31], [5, 5, 6]);

  it('are twice those from the start to the position, or those from start to end', () => {
    const xcoordsStart = Float64Array.of(8, 18.5, 31);
    const ycoordsStart = Float64Array.of(5, 4, 6);
    const found = plainWays({ ...raw, xcoordsStart, ycoordsStart });
    expect(found).toEqual({ xs: [4, 3, 0], ys: [0, 2, 0], middles: [10, 20, 31], rows: [5, 5, 6], points: 4 });
    const ends = { xcoordsEnd: Float64Array.of(10, 20, 31), ycoordsEnd: Float64Array.of(5, 5, 7) };
    const both = plainWays({ ...raw, xcoordsStart, ycoordsStart, ...ends });
    expect(both).toEqual({ xs: [2, 1.5, 0], ys: [0, 1, 1], middles: [9, 19.25, 31], rows: [5, 4.5, 6.5], points: 4 });
    expect(plainWays({ ...raw, ...ends }).ys).toEqual([0, 0, 2]);
    expect(waysOf({ ...raw, xcoordsStart, ycoordsStart }, { fly_positions: 1, fly_duty: null }).ways).toBeUndefined();
  });

  it('follow the path on request, not where the stage went back or turned', () => {
    // Two lines of four with a fly-back, each step 2 px.
    const back = places([0, 2, 4, 6, 0, 2, 4, 6], [0, 0, 0, 0, 1, 1, 1, 1]);
    const found = plainWays({ ...back, xcoords: back.xcoords.map((x) => 5 * x) }, 0.5);
    expect(found.xs).toEqual([5, 5, 5, 5, 5, 5, 5, 5]);
    expect(found.ys).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    const snake = plainWays(places([0, 2, 4, 6, 6, 4, 2, 0], [0, 0, 0, 0, 2, 2, 2, 2]), 1);
    expect(snake.xs).toEqual([2, 2, 2, 2, -2, -2, -2, -2]);
    expect(snake.ys).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('that nobody gave are asked for', () => {
    const same = { xcoordsStart: raw.xcoords, ycoordsStart: raw.ycoords };
    for (const scan of [raw, { ...raw, ...same }]) {
      expect(sayWays(scan)).toBe(false);
      expect(() => plainWays(scan)).toThrow(/fly_positions needs to know the ways.*scan\.npz.*fly_duty/);
    }
    expect(sayWays({ ...raw, ...same, xcoordsStart: raw.xcoords.map((x) => x - 1) })).toBe(true);
  });

  it('go along with positions that were corrected', () => {
    const start = { xcoordsStart: raw.xcoords.map((x) => x - 2), ycoordsStart: raw.ycoords.map((y) => y - 1) };
    const moved = movedPlaces({ ...raw, ...start }, { xs: raw.xcoords.map((x) => x + 3), ys: raw.ycoords });
    const { xs, ys, middles } = plainWays(moved);
    expect({ xs, ys, middles }).toEqual({ xs: [4, 4, 4], ys: [2, 2, 2], middles: [13, 23, 34] });
  });

  it('spread the light', () => {
    const { ways } = waysOf({ ...raw, xcoordsEnd: raw.xcoords.map((x) => x + 4), ycoordsEnd: raw.ycoords }, { fly_positions: 2, fly_duty: null }); // biome-ignore format: one call
    expect([...litPlaces({ xs: raw.xcoords, ys: raw.ycoords }, ways).xs]).toEqual([8, 12, 18, 22, 29, 33]);
  });
});

describe('a fly scan', () => {
  let folder: string;
  let scan: SimulatedScan;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-fly-'));
    scan = simulate({
      ...{ object: 'dead_leaves', object_side_px: 92, N: 32, probe_diameter_px: 10, step_px: 4, photons: 1e5 },
      ...{ fly_way_px: [2, 7], seed: 6 },
    });
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('is written and read with both ends', async () => {
    const file = path.join(folder, 'fly.npz');
    await writeSimulatedScan(file, scan);
    const raw = await openDataset(file);
    try {
      const { ways, xs } = waysOf(raw, { fly_positions: 2, fly_duty: null });
      for (let k = 0; k < raw.count; k++) {
        expect(ways!.xs[k]).toBeCloseTo(7, 9);
        expect(ways!.ys[k]).toBeCloseTo(2, 9);
        expect(xs[k]).toBeCloseTo(raw.xcoords[k], 9);
      }
    } finally {
      await raw.close();
    }
  });

  it('may say its ends alone: the middles are its positions', async () => {
    const file = path.join(folder, 'ends.npz');
    const { diffraction, probeGuess, xcoords_start, ycoords_start, xcoords_end, ycoords_end } = scan;
    const ends = { xcoords_start, ycoords_start, xcoords_end, ycoords_end } as Record<string, typeof scan.xcoords>;
    await writeNpz(file, { diffraction, probeGuess, ...ends });
    const raw = await openDataset(file, { measurement_domain: 'count_amplitude' });
    try {
      expect(Math.max(...raw.xcoords.map((x, k) => Math.abs(x - scan.xcoords.data[k])))).toBeLessThan(1e-9);
      expect(raw.notes.join(' ')).toContain('the middles between');
    } finally {
      await raw.close();
    }
  });

  it('is solved over its ways: less than half the error', async () => {
    const raw = rawDataFromSimulation(scan);
    const bounds = scanBounds(raw.xcoords, raw.ycoords);
    const error = async (fly_positions: number) => {
      const solved = await runSolver(raw, { algorithm: 'lsqml', epochs: 20, fly_positions }, { threads: 1 });
      return scoreAgainstTruth(solved, scan.objectGuess, { bounds }).relative_object_error;
    };
    const [still, flown] = [await error(1), await error(4)];
    expect(flown).toBeLessThan(0.5 * still);
    expect(flown).toBeLessThan(0.12);
  });
});
