/** A scan solved in tiles is as good as one solved at once; one scan and algorithm of them with PTYCHOPINN_SLOW_SAMPLE=1. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { ComplexImage } from '../../src/core/tensor.js';
import { openScan } from '../../src/data/findings/survey.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { type Frame, scanBounds } from '../../src/reconstruction/frame.js';
import { runSolver } from '../../src/solvers/run.js';
import { type SolvedTile, stitchTiles } from '../../src/solvers/tiles/stitchTiles.js';
import { tileOf } from '../../src/solvers/tiles/tile.js';
import { writeSolverScan } from '../support/solverScan.js';

const folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-slow-tiles-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const CASES = [
  { object: 'dead_leaves', photons: 1e5, seed: 21, algorithm: 'rpie', epochs: 40, tiles: 4 },
  { object: 'lines', photons: 1e6, seed: 22, algorithm: 'lsqml', epochs: 30, tiles: 5 },
  { object: 'random_field', random_field_exponent: 1.5, photons: 1e4, seed: 23, algorithm: 'lsqml', epochs: 30, tiles: 3 },
  { object: 'siemens_star', photons: 2e5, seed: 24, algorithm: 'rpie', epochs: 50, tiles: 9 },
] as const; // biome-ignore format: one line each

describe('a scan in tiles', () => {
  const chosen = process.env.PTYCHOPINN_SLOW_SAMPLE === '1' ? CASES.slice(0, 1) : CASES;
  it.each(chosen)('$object, $algorithm, $tiles tiles: at most 1.1 times the error of the whole', async (one) => {
    const { algorithm, epochs, tiles, ...recipe } = one;
    const file = path.join(folder, `${recipe.object}.npz`);
    const side = chosen.length === 1 ? 200 : 280;
    await writeSolverScan(file, { ...recipe, object_side_px: side, probe_curvature_rad: 1.8 });
    const raw = await openScan(file);
    const error = ({ image, frame }: { readonly image: ComplexImage; readonly frame: Frame }) =>
      scoreAgainstTruth({ image, frame }, raw.objectGuess as ComplexImage, {
        bounds: scanBounds(raw.xcoords, raw.ycoords),
      }).relative_object_error;
    const options = { algorithm, epochs, passes: 'host' } as const;
    const whole = await runSolver(raw, options, { threads: 1 });
    const solved: SolvedTile[] = [];
    for (let index = 1; index <= tiles; index++) {
      const { raw: tile, own } = tileOf(raw, { index, of: tiles });
      solved.push({ ...(await runSolver(tile, options, { threads: 1 })), own });
    }
    const stitched = stitchTiles(solved);
    expect(error(stitched)).toBeLessThan(1.1 * error(whole));
    expect(stitched.apart.after).toBeLessThan(stitched.apart.before);
    await raw.close();
  });
});
