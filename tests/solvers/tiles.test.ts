/** A scan solved in tiles: which patterns they have, their gauges, and the plan. */
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComplexImage, ComplexTensor } from '../../src/core/tensor.js';
import { openScan, selectPatterns } from '../../src/data/findings/survey.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { usingNpz } from '../../src/formats/npz.js';
import { shiftByKernel } from '../../src/physics/shiftByKernel.js';
import { type Frame, scanBounds } from '../../src/reconstruction/frame.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { runSolver } from '../../src/solvers/run.js';
import { type SolvedTile, stitchTiles } from '../../src/solvers/tiles/stitchTiles.js';
import { doubtOfTile, tileOf } from '../../src/solvers/tiles/tile.js';
import { planJobs, runPlannedJob } from '../../src/workflows/jobs.js';
import { solveTilesWorkflow, solveWorkflow } from '../../src/workflows/solve.js';
import { solveRequest, writeSolverScan } from '../support/solverScan.js';

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-tiles-'));
  await writeSolverScan(at('scan.npz'), { object_side_px: 140, step_px: 6, probe_curvature_rad: 2 });
  await writeSolverScan(at('other.npz'), { object_side_px: 140, step_px: 6, probe_curvature_rad: 2, seed: 5 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const flag = (value: unknown) => ({ value, source: 'flag' as const });

interface Turn {
  readonly scale: number;
  readonly phase: number;
  readonly ramp: readonly [number, number];
  readonly shift: readonly [number, number];
}

/** scale·e^{i(phase + ramp·r)}·image(r + shift), r from (y0, x0) on. */
function turned(image: ComplexImage, { scale, phase, ramp, shift }: Turn, y0: number, x0: number): ComplexImage {
  const { re, im } = shiftByKernel(image, [-shift[0], -shift[1]]);
  const [, width] = image.shape;
  const angle = (i: number) => phase + ramp[0] * (y0 + Math.floor(i / width)) + ramp[1] * (x0 + (i % width));
  return {
    re: Float32Array.from(re, (v, i) => scale * (v * Math.cos(angle(i)) - im[i] * Math.sin(angle(i)))),
    im: Float32Array.from(re, (v, i) => scale * (v * Math.sin(angle(i)) + im[i] * Math.cos(angle(i)))),
    shape: image.shape,
  };
}

function cut({ re, im, shape: [, columns] }: ComplexImage, { originYxPx: [top, left], height, width }: Frame) {
  const part = (plane: Float32Array) => Float32Array.from({ length: height * width }, (_, i) => plane[(top + Math.floor(i / width)) * columns + left + (i % width)]); // biome-ignore format: one line
  return { re: part(re), im: part(im), shape: [height, width] };
}

/** Four tiles of a smooth object, each in a gauge of its own, with two modes of the probe that have phases of their own. */
function knownTiles(turns: readonly Turn[]) {
  const side = 160;
  const wave = (i: number, a: number, b: number) => Math.sin((a * (i % side) + b * Math.floor(i / side)) / 9);
  const object: ComplexImage = {
    re: Float32Array.from({ length: side * side }, (_, i) => 0.9 + 0.2 * wave(i, 1, 0.6)),
    im: Float32Array.from({ length: side * side }, (_, i) => 0.3 * wave(i, -0.4, 1.1)),
    shape: [side, side],
  };
  const away = (i: number) => (Math.floor(i / 32) - 16) ** 2 + ((i % 32) - 16) ** 2;
  const beam = (part: (angle: number) => number) => Float32Array.from({ length: 1024 }, (_, i) => Math.exp(-away(i) / 32) * part(0.02 * away(i))); // biome-ignore format: one line
  const one: ComplexImage = { re: beam(Math.cos), im: beam(Math.sin), shape: [32, 32] };
  const modes = [one, { ...one, re: one.re.map((v, i) => (0.4 * v * ((i % 32) - 16)) / 8), im: one.im.map((v, i) => (0.4 * v * ((i % 32) - 16)) / 8) }]; // biome-ignore format: one line
  const tiles = turns.map(({ scale, phase, ramp, shift }, k): SolvedTile => {
    const [top, left] = [60 * (k >> 1), 60 * (k & 1)];
    const frame = { originYxPx: [top, left] as const, height: 100, width: 100 };
    const back = { scale: 1 / scale, phase: 0, ramp: [-ramp[0], -ramp[1]] as const, shift };
    const probes = modes.map((mode, m) => turned(mode, { ...back, phase: 0.7 * m * k }, -16, -16));
    const probe: ComplexTensor = {
      re: Float32Array.from(probes.flatMap(({ re }) => Array.from(re))),
      im: Float32Array.from(probes.flatMap(({ im }) => Array.from(im))),
      shape: [2, 32, 32],
    };
    const places = Array.from({ length: 196 }, (_, i) => [left + 17 + 5 * (i % 14), top + 17 + 5 * Math.floor(i / 14)]);
    const positions = { xs: Float64Array.from(places, ([x]) => x), ys: Float64Array.from(places, ([, y]) => y) };
    const own = Int32Array.from(places.keys()).filter((i) => (places[i][0] < 80) === (left === 0) && (places[i][1] < 80) === (top === 0)); // biome-ignore format: one line
    return { image: turned(cut(object, frame), { scale, phase, ramp, shift }, top - 80, left - 80), frame, probe, positions, own }; // biome-ignore format: one line
  });
  return { object, tiles };
}

const TURNS: readonly Turn[] = [
  { scale: 1, phase: 0.4, ramp: [0.001, -0.002], shift: [0.2, -0.1] },
  { scale: 1.2, phase: -2.5, ramp: [-0.005, 0.004], shift: [-0.3, 0.25] },
  { scale: 0.9, phase: 3, ramp: [0.004, 0.006], shift: [0, 0.4] },
  { scale: 1.05, phase: 1.4, ramp: [0.002, -0.005], shift: [0.1, -0.35] },
];

describe('tiles that were solved apart', () => {
  it.each(['image', 'probe', 'positions'] as const)(
    'are not put together where one has a value that is none: %s',
    (part) => {
      const { tiles } = knownTiles(TURNS);
      const { image, probe, positions } = tiles[2];
      ({ image: image.im, probe: probe.re, positions: positions.ys })[part][7] = Number.NaN;
      expect(() => stitchTiles(tiles)).toThrow(new RegExp(`^Values of the ${part} of tile 3 of 4 are not finite`));
    },
  );

  it('are brought into one gauge: scale, phase, ramp and shift', () => {
    const { object, tiles } = knownTiles(TURNS);
    const { image, frame, probe, apart, gauges, coverage } = stitchTiles(tiles);
    expect(frame).toEqual({ originYxPx: [0, 0], height: 160, width: 160 });
    expect(apart.before).toBeGreaterThan(0.5);
    expect(apart.after).toBeLessThan(0.01);
    // What is common to all tiles is free: differences are what was put in.
    const from = (k: number) => [TURNS[k].ramp[0] - TURNS[0].ramp[0], TURNS[k].shift[1] - TURNS[0].shift[1], Math.log(TURNS[k].scale / TURNS[0].scale)]; // biome-ignore format: one line
    for (const k of [1, 2, 3]) {
      const [ramp, shift, scale] = from(k);
      expect(gauges[k].rampYx[0] - gauges[0].rampYx[0]).toBeCloseTo(-ramp, 3);
      expect(gauges[k].shiftYx[1] - gauges[0].shiftYx[1]).toBeCloseTo(-shift, 2);
      expect(gauges[k].logScale - gauges[0].logScale).toBeCloseTo(-scale, 2);
    }
    const bounds = { xMin: 30, xMax: 130, yMin: 30, yMax: 130 };
    const score = (given: ComplexImage) => scoreAgainstTruth({ image: given, frame }, object, { bounds });
    // A shift that is common to all tiles stays: the mean of those that were put in.
    expect(score(image).relative_object_error).toBeLessThan(0.02);
    expect(probe.shape).toEqual([2, 32, 32]);
    expect(coverage.data[80 * 160 + 80]).toBeGreaterThan(0.5);
    expect(coverage.data[0]).toBe(0);
  });

  it('stay what they are where there is nothing to bring together', () => {
    const { tiles } = knownTiles(TURNS.map((turn) => ({ ...TURNS[0], phase: turn.phase * 0 })));
    const { gauges, apart } = stitchTiles(tiles.slice(0, 2));
    expect(apart.after).toBeLessThan(1e-4);
    for (const { logScale, phase } of gauges) expect(Math.abs(logScale) + Math.abs(phase)).toBeLessThan(1e-4);
    expect(stitchTiles(tiles.slice(0, 1)).image.re[50 * 100 + 50]).toBeCloseTo(tiles[0].image.re[50 * 100 + 50], 6);
    expect(() => stitchTiles([])).toThrow(/There are no tiles/);
    const one = { ...tiles[0], probe: { ...tiles[0].probe, shape: [1, 32, 64] } };
    expect(() => stitchTiles([tiles[1], one])).toThrow(/have different shapes, 2,32,32 and 1,32,64/);
  });

  it('are brought together by factor and phase alone where ramps of their probes take them farther apart', () => {
    const { tiles } = knownTiles(TURNS.map((turn) => ({ ...TURNS[0], phase: turn.phase })));
    const { tiles: others } = knownTiles(TURNS.map((turn) => ({ ...turn, ramp: [0.06, -0.05] })));
    const { gauges, apart } = stitchTiles(tiles.map((tile, k) => (k === 1 ? { ...tile, probe: others[1].probe } : tile))); // biome-ignore format: one line
    expect(apart.withRamps).toBeGreaterThan(0.3);
    expect(apart.after).toBeLessThan(0.05);
    expect(apart.after).toBeLessThan(apart.before);
    for (const { rampYx, shiftYx } of gauges) expect([...rampYx, ...shiftYx]).toEqual([0, 0, 0, 0]);
    expect(stitchTiles(tiles).apart.withRamps).toBeUndefined();
  });

  it('are doubted where their patterns fall into parts that do not touch', async () => {
    const raw = await openScan(at('scan.npz'));
    const [left, right] = [Math.min(...raw.xcoords), Math.max(...raw.xcoords)];
    const rows = Int32Array.from(raw.xcoords.keys()).filter((k) => raw.xcoords[k] < left + 10 || raw.xcoords[k] > right - 10); // biome-ignore format: one line
    expect(doubtOfTile(raw, { index: 1, of: 2 })).toBeUndefined();
    expect(doubtOfTile(selectPatterns(raw, rows), { index: 1, of: 2 })).toMatch(/tile 1 of 2 fall into 2 parts whose light does not touch/); // biome-ignore format: one call
    await raw.close();
  });

  it('have the patterns of a region and those around it', async () => {
    const raw = await openScan(at('scan.npz'));
    const parts = [1, 2, 3].map((index) => tileOf(raw, { index, of: 3 }, 9));
    expect(parts.flatMap(({ own, rows }) => Array.from(own, (k) => rows[k])).sort((a, b) => a - b)).toEqual(Array.from(raw.xcoords.keys())); // biome-ignore format: one call
    const [{ raw: tile, own, rows }] = parts;
    expect(own.length).toBeLessThan(tile.count);
    expect(tile.sampleIndices).toEqual(rows);
    const pixels = new Float32Array(64 * 64);
    const same = new Float32Array(64 * 64);
    await tile.patterns.readAmplitudes([3], pixels);
    await raw.patterns.readAmplitudes([rows[3]], same);
    expect(pixels).toEqual(same);
    expect(tile.patterns.sums?.power[3]).toBe(raw.patterns.sums?.power[rows[3]]);
    expect(tileOf(raw, { index: 1, of: 3 }, 0).rows.length).toBeLessThan(rows.length);
    expect(() => tileOf(raw, { index: 1, of: 1 + raw.count })).toThrow(/too few for .* tiles; make fewer/);
    await raw.close();
  });
});

describe('a plan of tiles', () => {
  const options = { algorithm: flag('lsqml'), epochs: flag(10), passes: flag('host'), execution: flag({ threads: 1, accelerator: 'cpu' }) }; // biome-ignore format: one line

  it('makes an image as good as that of the whole, and does nothing twice', async () => {
    const { jobs } = await planJobs({ verb: 'solve', output_root: at('plan'), tiles: 2 }, { scans: [at('scan.npz')], given: options }); // biome-ignore format: one call
    expect(jobs.map(({ id }) => id)).toEqual(['0001-scan-tile=1of2', '0002-scan-tile=2of2', '0003-scan']);
    const run = async () => {
      const ends: string[] = [];
      for (const { id } of jobs) ends.push((({ end, reused }) => `${end}${reused ? ' before' : ''}`)(await runPlannedJob(at('plan'), id))); // biome-ignore format: one line
      return ends;
    };
    expect(await run()).toEqual(['done', 'done', 'done']);
    const raw = await openScan(at('scan.npz'));
    const bounds = scanBounds(raw.xcoords, raw.ycoords);
    const error = (image: ComplexImage, frame: Frame) =>
      scoreAgainstTruth({ image, frame }, raw.objectGuess as ComplexImage, { bounds }).relative_object_error;
    const whole = await runSolver(raw, { algorithm: 'lsqml', epochs: 10, passes: 'host' }, { threads: 1 });
    const { image, originYxPx = [0, 0] } = await readReconstruction(at('plan', '0003-scan', 'reconstruction.npz'));
    const tiled = error(image, { originYxPx, height: image.shape[0], width: image.shape[1] });
    expect(error(whole.image, whole.frame)).toBeLessThan(0.1);
    expect(tiled).toBeLessThan(1.1 * error(whole.image, whole.frame));
    await raw.close();
    // The image is made again of tiles that are there, and a tile that is lost is solved again.
    rmSync(at('plan', '0003-scan', 'reconstruction.npz'));
    expect(await run()).toEqual(['done before', 'done before', 'done']);
    const merge = (over: Record<string, unknown>) => solveTilesWorkflow(solveRequest(at('scan.npz'), at('merged'), { algorithm: 'lsqml', epochs: 10, ...over })); // biome-ignore format: one line
    const [one, two] = ['0001-scan-tile=1of2', '0002-scan-tile=2of2'].map((name) => at('plan', name));
    const { apart } = JSON.parse(readFileSync(at('plan', '0003-scan', 'run.json'), 'utf8'));
    expect(apart.after).toBeLessThan(apart.before);
    await expect(merge({ from_tiles: [one] })).rejects.toThrow(/1 tile of 2 is missing \(2\)/);
    await expect(merge({ from_tiles: [one, one] })).rejects.toThrow(/is tile 1 of 2, as is .*; name every tile once/);
    await expect(merge({ from_tiles: [one, at('none')] })).rejects.toThrow(/There is no tile .*none.*solve it first/);
    await expect(merge({ from_tiles: [one, two], test_data_file: at('other.npz') })).rejects.toThrow(/is tile 1 of 2 of another scan than .*other\.npz/); // biome-ignore format: one call
    await expect(merge({ from_tiles: [at('plan', '0003-scan')] })).rejects.toThrow(
      /is no tile of "solve --tile" \(it has no tile\)/,
    );
    // What was given must be what the tiles were solved with; the rest is theirs.
    const tiles = { from_tiles: [one, two] };
    for (const over of [
      { algorithm: 'dm' } as const,
      { epochs: 11 },
      { probe_modes: 2 },
      { position_start: 3 },
      { tile_margin_px: 99 },
    ]) {
      const [[name, value]] = Object.entries(over);
      await expect(solveTilesWorkflow({ test_data_file: at('scan.npz'), output_dir: at('merged'), ...tiles, ...over })).rejects.toThrow(new RegExp(`is tile . of 2 with ${name} .*, not ${JSON.stringify(value)}: leave --${name} out`)); // biome-ignore format: one call
    }
    const provenance = { algorithm: { value: 'rpie', source: 'flag' } } as const;
    await expect(solveTilesWorkflow({ test_data_file: at('scan.npz'), output_dir: at('merged'), ...tiles, algorithm: 'rpie' }, { provenance })).rejects.toThrow(/with algorithm "lsqml", not "rpie": leave --algorithm out/); // biome-ignore format: one call
    await solveTilesWorkflow(
      { test_data_file: at('scan.npz'), output_dir: at('merged'), overwrite: true, ...tiles },
      { provenance: {} },
    );
    expect(JSON.parse(readFileSync(at('plan', '0003-scan', 'run.json'), 'utf8')).warnings).toEqual([]);
    const merged = JSON.parse(readFileSync(at('merged', 'run.json'), 'utf8'));
    expect(merged.config).toMatchObject({ algorithm: 'lsqml', epochs: 10, from_tiles: [one, two] });
    expect(merged.provenance.epochs).toEqual({
      value: 10,
      source: 'file',
      origin: path.join(one, 'reconstruction.npz'),
    });
    for (const over of [{ tile: '1/2' }, { resume: one }]) {
      await expect(solveTilesWorkflow({ test_data_file: at('scan.npz'), ...tiles, ...over })).rejects.toThrow(/(tile|resume) solves, from_tiles puts together .*: leave one of them out/); // biome-ignore format: one call
    }
    const stored = await usingNpz(path.join(one, 'reconstruction.npz'), async (npz) => npz.keys);
    expect(stored).toContain('tile');
  });

  it('is refused with what cannot be put together', async () => {
    const solve = (over: Record<string, unknown>) => solveWorkflow(solveRequest(at('scan.npz'), at('no'), { tile: '1/2', ...over })); // biome-ignore format: one line
    await expect(solve({ opr_modes: 2 })).rejects.toThrow(/opr_modes does not go with tiles/);
    await expect(solve({ tile: '3/2' })).rejects.toThrow(/tile must be a part of several, such as 1\/4/);
    await expect(solve({ from_tiles: ['x'] })).rejects.toThrow(/put together by solveTilesWorkflow/);
    const infer = { verb: 'infer', output_root: at('no'), tiles: 2 } as const;
    await expect(planJobs(infer, { scans: [at('scan.npz')], given: {} })).rejects.toThrow(/--tiles is for solve/);
  });
});
