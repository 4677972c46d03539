/** What the solvers find where the truth is known; tests/slow/solvers.test.ts has the larger scans. */
import { describe, expect, it } from 'vitest';
import type { SolverOptions } from '../../src/config/schemas/solver.js';
import type { ComplexImage, ComplexTensor } from '../../src/core/tensor.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import type { RawData } from '../../src/data/rawData.js';
import { scoreAgainstTruth } from '../../src/evaluation/score.js';
import { incoherentModes } from '../../src/physics/probe.js';
import { frameOfObject, scanBounds } from '../../src/reconstruction/frame.js';
import { makeObject } from '../../src/simulation/objects.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { makeScan } from '../../src/simulation/scans.js';
import { simulateScan } from '../../src/simulation/simulateScan.js';
import { solve } from '../../src/solvers/solve.js';
import type { SolverUpdate } from '../../src/solvers/updates.js';

async function run(raw: RawData, options: Partial<SolverOptions>, see?: (update: SolverUpdate) => void) {
  let last: SolverUpdate | undefined;
  for await (const update of solve(raw, options, { threads: 2 })) {
    see?.(update);
    last = update;
  }
  return last!;
}

/** Relative error over the box of the scan positions, after scale and ramp. */
const objectError = (found: ReturnType<SolverUpdate['object']>, truth: ComplexImage, raw: RawData): number =>
  scoreAgainstTruth(found, truth, { bounds: scanBounds(raw.xcoords, raw.ycoords) }).relative_object_error;

/** An object that is not square, a scan off its middle, whole positions (so that simulation and solver agree exactly). */
function simulated(probe: ComplexTensor, photons = 1e6) {
  const N = probe.shape[probe.shape.length - 1];
  const object = makeObject('lines', { rows: 120, cols: 150, seed: 1 });
  const scan = makeScan('jittered_raster', { rows: 104, cols: 120, side: N, stepPx: 5, seed: 2 });
  const xs = Float64Array.from(scan.xs, (x) => Math.round(x) + 20);
  const ys = Float64Array.from(scan.ys, (y) => Math.round(y) + 9);
  const { diffraction } = simulateScan({ object, probe, xs, ys, photons, seed: 3 });
  const raw = (probeGuess: ComplexTensor) =>
    rawDataFromArrays({ diffraction, xcoords: xs, ycoords: ys, probeGuess, measurement_domain: 'count_amplitude' });
  return { object, raw };
}

/** The modulus of the overlap of one mode with another, at the best whole-pixel shift of up to two. */
function overlap(found: ComplexTensor, truth: ComplexTensor, m: number): number {
  const N = truth.shape[truth.shape.length - 1];
  const area = N * N;
  let best = 0;
  for (let dy = -2; dy <= 2; dy++) {
    for (let dx = -2; dx <= 2; dx++) {
      let [re, im, a, b] = [0, 0, 0, 0];
      for (let r = 0; r < N; r++) {
        for (let c = 0; c < N; c++) {
          const i = m * area + ((r + dy + N) % N) * N + ((c + dx + N) % N);
          const j = m * area + r * N + c;
          re += truth.re[j] * found.re[i] + truth.im[j] * found.im[i];
          im += truth.re[j] * found.im[i] - truth.im[j] * found.re[i];
          a += truth.re[j] ** 2 + truth.im[j] ** 2;
          b += found.re[i] ** 2 + found.im[i] ** 2;
        }
      }
      best = Math.max(best, Math.hypot(re, im) / Math.sqrt(a * b));
    }
  }
  return best;
}

describe('a simulated scan', () => {
  const one = makeProbe('structured', { side: 32, diameter: 12, comaRad: 2 });

  it('with the true probe kept: the object is found where it is', async () => {
    const { object, raw } = simulated(one);
    const scan = raw(one);
    const last = await run(scan, { algorithm: 'lsqml', epochs: 80, probe_start: 1000 });
    const error = objectError(last.object(), object, scan);
    expect(error).toBeLessThan(0.08);
    // One pixel off, either way and along either axis, is further from the truth.
    const { image, frame } = last.object();
    const [top, left] = frame.originYxPx;
    for (const origin of [
      [top + 1, left],
      [top - 1, left],
      [top, left + 1],
      [top, left - 1],
    ] as const) {
      expect(objectError({ image, frame: { ...frame, originYxPx: origin } }, object, scan)).toBeGreaterThan(
        1.2 * error,
      );
    }
  });

  it.each(['rpie', 'epie', 'pie', 'lsqml', 'dm'] as const)('%s leaves the truth where it is', async (algorithm) => {
    const { object, raw } = simulated(one, 1e8);
    const scan = raw(one);
    let last: SolverUpdate | undefined;
    const start = { object: { image: object, frame: frameOfObject(object) } };
    for await (const update of solve(scan, { algorithm, epochs: 5, probe_start: 1 }, { start, threads: 1 }))
      last = update;
    expect(objectError(last!.object(), object, scan)).toBeLessThan(algorithm === 'dm' ? 0.02 : 0.01);
    expect(overlap(last!.probe(), one, 0)).toBeGreaterThan(0.999);
  });

  it('with two incoherent modes, from a wrong guess of the first alone: both are found', async () => {
    const truth = incoherentModes(one, [0.75, 0.25]);
    const { raw } = simulated(truth);
    const guess = { re: one.re.slice(), im: one.im.slice(), shape: one.shape };
    for (let i = 0; i < guess.re.length; i++) {
      const phase = 0.004 * ((Math.floor(i / 32) - 16) ** 2 + ((i % 32) - 16) ** 2);
      const [a, b] = [guess.re[i], guess.im[i]];
      guess.re[i] = a * Math.cos(phase) - b * Math.sin(phase);
      guess.im[i] = a * Math.sin(phase) + b * Math.cos(phase);
    }
    const two = await run(raw(guess), { algorithm: 'lsqml', epochs: 60, probe_modes: 2 });
    expect(overlap(two.probe(), truth, 0)).toBeGreaterThan(0.95);
    expect(overlap(two.probe(), truth, 1)).toBeGreaterThan(0.95);
    const single = await run(raw(guess), { algorithm: 'lsqml', epochs: 60, probe_modes: 1 });
    expect(single.rFactor).toBeGreaterThan(1.1 * two.rFactor);
  });
});
