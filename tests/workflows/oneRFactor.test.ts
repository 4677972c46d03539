/** One image has one R-factor, whoever measures it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { comparisonConfigSchema } from '../../src/config/schemas/comparison.js';
import { type EvaluationConfig, evaluationConfigSchema } from '../../src/config/schemas/evaluation.js';
import { simulationConfigSchema } from '../../src/config/schemas/simulation.js';
import { type SolveConfig, solveConfigSchema } from '../../src/config/schemas/solve.js';
import { compareModels } from '../../src/workflows/compare.js';
import { evaluateWorkflow } from '../../src/workflows/evaluate.js';
import { simulateWorkflow } from '../../src/workflows/simulate.js';
import { type SolveSummary, solveWorkflow } from '../../src/workflows/solve.js';

let folder = '';
const at = (...names: string[]) => path.join(folder, ...names);
let solved: SolveSummary;
let moved: SolveSummary;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-one-r-'));
  const recipe = { output_file: at('scan.npz'), N: 32, n_patterns: 49, seed: 3, position_error_px: 0.5 };
  await simulateWorkflow(simulationConfigSchema.parse(recipe));
  const solve = (name: string, more: Record<string, unknown>) =>
    solveWorkflow(
      solveConfigSchema.parse({ test_data_file: at('scan.npz'), output_dir: at(name), ...more }) as SolveConfig,
    );
  solved = await solve('solved', { epochs: 8 });
  moved = await solve('moved', { epochs: 12, position_start: 3 });
}, 60_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

const evaluated = (name: string) =>
  evaluateWorkflow(
    evaluationConfigSchema.parse({
      reconstruction: at(name, 'reconstruction.npz'),
      test_data_file: at('scan.npz'),
    }) as EvaluationConfig,
  );

describe('the R-factor of an image', () => {
  it('is the same from solve, evaluate and compare', async () => {
    const { rFactor } = await evaluated('solved');
    expect(rFactor).toEqual(solved.score);
    expect(rFactor).toMatchObject({ probe: 'reconstruction', patterns: 64 });
    expect(rFactor!.image).toBeLessThan(rFactor!.constant);
    expect(rFactor!.noise).toBeLessThan(rFactor!.image);
    const { models } = await compareModels(
      comparisonConfigSchema.parse({
        test_data_file: at('scan.npz'),
        arms: [`a=${at('solved')}`],
        output_dir: at('compared'),
        stitch_crop_size: 16,
      }) as Parameters<typeof compareModels>[0],
    );
    expect(models[0].rFactor).toEqual(solved.score);
  });

  it('is measured at the positions that were corrected with it', async () => {
    const { rFactor, notes } = await evaluated('moved');
    expect(moved.shift_px).toBeGreaterThan(0.05);
    expect(rFactor).toEqual(moved.score);
    expect(notes.join(' ')).toContain('at the positions that were corrected with the image');
  });
});
