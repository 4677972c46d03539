/**
 * The pairs of scans that learning is measured on: one object to train on, another of the same kind to test on.
 *
 * N = 64; random lines, amplitude 0.15 … 1, phase following the amplitude (`lines`) or constant (`flat`); a structured probe
 * that is known (3 rad of curvature, 2 rad of coma); a jittered raster of 45×45 training and 32×32 test positions, 5.5 px apart; 1e6 and 8.7e5 photons.
 *
 * Calibrated on the blurred scan image (see score.mjs): six times the usual number of lines and the finest blur weighed 1.75
 * instead of 1 bring its figures to those of the pairs that the published code was measured on. (The probe's phase does not move them.)
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { linesObject } from '../../dist/simulation/objects.js';
import { structuredProbe } from '../../dist/simulation/probes.js';
import { jitteredRaster } from '../../dist/simulation/scans.js';
import { simulateScan } from '../../dist/simulation/simulateScan.js';
import { writeSimulatedScan } from '../../dist/workflows/simulate.js';

const N = 64;
const STEP_PX = 5.5;
const PARTS = {
  train: { across: 45, photons: 1e6, seeds: [101, 102, 103] },
  test: { across: 32, photons: 8.7e5, seeds: [201, 202, 203] },
};

/** A scan of a pair, in memory; `dose` multiplies the photons. */
export function makePart(kind, part, { dose = 1 } = {}) {
  const { across, photons, seeds } = PARTS[part];
  // (across − 1) steps between the margins of N/2 + 1 that a scan keeps; half a step more, so that rounding loses no position.
  const side = Math.ceil((across - 0.5) * STEP_PX) + N + 2;
  const lines = linesObject({
    rows: side,
    cols: side,
    seed: seeds[0],
    phase: 'from_amplitude',
    lines: 6 * side,
    blurWeights: [1.75, 2, 5],
  });
  const object = kind === 'flat' ? withoutPhase(lines) : lines;
  const probe = structuredProbe({ side: N, diameter: 21, curvatureRad: 3, comaRad: 2, comaAngleRad: 0.6 });
  const { xs, ys } = jitteredRaster({ rows: side, cols: side, side: N, stepPx: STEP_PX, seed: seeds[1] });
  return simulateScan({ object, probe, xs, ys, photons: photons * dose, seed: seeds[2], notes: { kind, part } });
}

function withoutPhase({ re, im, shape }) {
  return { re: re.map((v, i) => Math.hypot(v, im[i])), im: new Float32Array(re.length), shape };
}

/** The file of one part of a pair; simulated when it does not exist yet. */
export async function partFile(folder, kind, part, { dose = 1 } = {}) {
  await mkdir(folder, { recursive: true });
  const file = path.join(folder, `${kind}_${part}${dose === 1 ? '' : `_dose${dose}`}.npz`);
  if (!existsSync(file)) await writeSimulatedScan(file, makePart(kind, part, { dose }));
  return file;
}
