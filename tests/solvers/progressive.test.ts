/** Coarse resolutions before the full one. */
import { describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { frameOfObject, scanBounds } from '../../src/reconstruction/frame.js';
import { solve } from '../../src/solvers/solve.js';
import { solverScan } from '../support/solverScan.js';

const simulated = solverScan();
const raw = rawDataFromArrays({
  diffraction: simulated.diffraction,
  xcoords: simulated.xcoords.data as Float64Array,
  ycoords: simulated.ycoords.data as Float64Array,
  probeGuess: simulated.probeGuess,
  measurement_domain: 'count_amplitude',
});

async function run(options: Partial<SolverOptions>, services = {}) {
  const errors: number[] = [];
  const losses: number[] = [];
  for await (const update of solve(raw, { epochs: 3, ...options }, { threads: 1, ...services })) {
    const truth = simulated.objectGuess;
    const bounds = scanBounds(raw.xcoords, raw.ycoords);
    losses.push(update.loss);
    errors.push(scoreAgainstTruth(update.object(), truth, { bounds }).relative_object_error);
  }
  return { errors, losses };
}

describe('progressive_levels', () => {
  it('begins near the object, where it is', async () => {
    const plain = await run({});
    const two = await run({ progressive_levels: 2 });
    expect(two.losses[0]).toBeLessThan(0.6 * plain.losses[0]);
    expect(two.errors[0]).toBeLessThan(0.7 * plain.errors[0]);
    expect(two.errors[3]).toBeLessThan(plain.errors[3]);
  });

  it('needs sides that can be halved, and no image to start from', async () => {
    await expect(run({ progressive_levels: 5 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('5 levels halve patterns of 64 to 4'),
    });
    const image = simulated.objectGuess;
    const start = { object: { image, frame: frameOfObject(image) } };
    await expect(run({ progressive_levels: 2 }, { start })).rejects.toMatchObject({
      fields: { key: 'progressive_levels' },
    });
  });
});
