/** What one part of the library gives, another takes: a solver's result goes where a network's goes, and options may be given in part. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, expectTypeOf, it } from 'vitest';
import { drawFigure } from '../../src/adapters/notebook/draw.js';
import type { RawData } from '../../src/data/rawData.js';
import { readStoredProduct } from '../../src/persistence/product/readProduct.js';
import type { ImageOptions, ReconstructedScan } from '../../src/reconstruction/pipeline.js';
import { readReconstruction, writeReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { simulate } from '../../src/simulation/recipe.js';
import { rawDataFromSimulation } from '../../src/simulation/simulateScan.js';
import { runSolver, type SolverResult } from '../../src/solvers/run.js';
import type { TrainingOptions } from '../../src/training/train.js';
import { exportProduct, type ImageOfScan } from '../../src/workflows/product.js';
import { simulateWorkflow } from '../../src/workflows/simulate.js';
import { solveWorkflow } from '../../src/workflows/solve.js';

let folder: string;
let scan: RawData;
let solved: SolverResult;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-memory-'));
  scan = await rawDataFromSimulation(simulate({ n_patterns: 40, seed: 1 }));
  solved = await runSolver(scan, { algorithm: 'epie', epochs: 2, position_start: 2 }, { threads: 1 });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a solver's result", () => {
  it('is written like an image of a network, with its probe', async () => {
    expect(await writeReconstruction(folder, solved)).toContain('reconstruction.npz');
    const back = await readReconstruction(path.join(folder, 'reconstruction.npz'), { probe: true });
    expect(back.image.re).toEqual(solved.image.re);
    expect(back.originYxPx).toEqual(solved.frame.originYxPx);
    expect(back.probe?.im).toEqual(solved.probe.im);
    expect(back.overlapCount?.data).toEqual(solved.coverage.data);
    expect(back.algorithm).toBe('ptychopinn');
  });

  it('is drawn', () => {
    expect(drawFigure(solved)).toHaveProperty('spec');
  });

  it('becomes a product without a file between, at the positions that it corrected', async () => {
    const file = path.join(folder, 'solved.h5');
    const summary = await exportProduct({ scan, result: solved }, { output_file: file, name: 'in memory' });
    expect(summary).toMatchObject({ positions: scan.count, losses: 2, rawData: false });
    const { product } = await readStoredProduct(file, { note: () => {} });
    expect(product.metadata.name).toBe('in memory');
    expect([...product.losses.values]).toEqual(solved.history.slice(1).map(({ loss }) => loss));
    const pixel_m = product.object.pixel.width_m;
    const xs = Array.from(product.positions.x_m, (x) => x / pixel_m);
    const step = (values: ArrayLike<number>) => values[7] - values[0];
    expect(step(xs)).toBeCloseTo(step(solved.positions.xs), 4);
    expect(step(solved.positions.xs)).not.toBeCloseTo(step(scan.xcoords), 4);
  });
});

it('what reconstruct gives, becomes one, too', async () => {
  const { image, frame } = solved;
  const file = path.join(folder, 'stitched.npz');
  const { path: written } = await exportProduct(
    { scan, result: { stitched: { image, frame } } },
    { output_file: file },
  );
  expect((await readStoredProduct(written, { note: () => {} })).product.losses.values).toHaveLength(0);
  const again = exportProduct({ scan, result: solved }, { output_file: file });
  await expect(again).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  expectTypeOf<ReconstructedScan>().toExtend<ImageOfScan['result']>();
  expectTypeOf<SolverResult>().toExtend<ImageOfScan['result']>();
});

it('verbs of the command line take any part of their configuration, too', async () => {
  const file = path.join(folder, 'verb.npz');
  await simulateWorkflow({ output_file: file, n_patterns: 40, seed: 1 });
  await solveWorkflow({ test_data_file: file, output_dir: path.join(folder, 'verb'), epochs: 1, threads: 1 });
  const back = await readReconstruction(path.join(folder, 'verb', 'reconstruction.npz'));
  expect(Math.min(...back.image.shape)).toBeGreaterThan(scan.N);
  const wrong = solveWorkflow({ test_data_file: file, iterations: 9 } as object);
  await expect(wrong).rejects.toMatchObject({ code: 'CONFIG_UNKNOWN_KEY' });
});

it('options may be flat, as flags are, or in their blocks', () => {
  expectTypeOf<{ nepochs: number; gridsize: number; threads: number }>().toExtend<TrainingOptions>();
  expectTypeOf<{ model: { gridsize: number }; execution: { threads: number } }>().toExtend<TrainingOptions>();
  expectTypeOf<{ gridsize: string }>().not.toExtend<TrainingOptions>();
  expectTypeOf<{ crop_px: number; n_groups: 'all' }>().toExtend<ImageOptions>();
});
