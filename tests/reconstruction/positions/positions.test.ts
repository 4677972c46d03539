/** Positions trained through the group canvas: right patches, wrong places, the gradients of a program, the refiner. */
import { expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import type { Tensor } from '../../../src/core/tensor.js';
import { groupScan } from '../../../src/data/grouping/grouping.js';
import { gradients } from '../../../src/graph/gradients.js';
import * as op from '../../../src/graph/ops.js';
import { defineProgram } from '../../../src/graph/program.js';
import { extractPatches as extractFromCanvas, mergeGroup, shiftMatrices } from '../../../src/model/canvas.js';
import { amplitudeOf, detectorIntensity, probeModes } from '../../../src/model/forward.js';
import { PositionRefiner } from '../../../src/model/positionRefiner.js';
import { extractPatches } from '../../../src/physics/sampling.js';
import { makeObject } from '../../../src/simulation/objects.js';
import { makeProbe } from '../../../src/simulation/probes.js';
import { makeScan } from '../../../src/simulation/scans.js';
import { simulateScan } from '../../../src/simulation/simulateScan.js';
import { backendCases } from '../../support/backends.js';

const [N, B, C, EPOCHS] = [32, 8, 4, 10];
const AREA = N * N;
const shape = [B, C, N, N];

/** Mean |A − measured| of the patches merged at `positions` and cut out again, and its gradient by them. */
function program(probe: { re: Float32Array; im: Float32Array; shape: readonly number[] }) {
  const patches = { re: op.input('re', shape), im: op.input('im', shape) };
  const positions = op.input('positions', [B, C, 1, 2]);
  const shifts = shiftMatrices(positions, N, N + 24);
  const seen = extractFromCanvas(mergeGroup(patches, shifts), shifts);
  const amplitude = amplitudeOf(detectorIntensity(seen, probeModes(probe, 1)), 1e-6);
  const loss = op.reduceMean(op.abs(op.sub(amplitude, op.input('measured', shape))));
  const [gradient] = gradients(loss, [positions]);
  return defineProgram({ name: 'positions', outputs: { loss, gradient } });
}

it('halves the error of positions that are off by up to 2 px', async () => {
  const object = makeObject('lines', { rows: 72, cols: 72, seed: 3 });
  const { xs, ys } = makeScan('jittered_raster', { rows: 72, cols: 72, side: N, stepPx: 4, seed: 4 });
  const { diffraction, probeGuess } = simulateScan({
    ...{ object, xs, ys, photons: 1e6, seed: 5 },
    probe: makeProbe('structured', { side: N, diameter: 11 }),
  });
  const rng = new LegacyRng(6);
  const off = (v: ArrayLike<number>) => Float64Array.from(v, (x) => x + 4 * rng.random() - 2);
  const wrong = { xs: off(xs), ys: off(ys) };
  const patches = extractPatches(object, xs, ys, N);
  const { members, count } = groupScan(wrong.xs, wrong.ys, { gridsize: 2, n_groups: xs.length, neighbor_count: 7 });
  const refiner = new PositionRefiner({ ...wrong, learningRate_px: 0.15, stepLimit_px: 3 });
  const error = () => {
    const [dx, dy] = [refiner.xs.map((v, k) => v - xs[k]), refiner.ys.map((v, k) => v - ys[k])];
    const mean = (v: Float64Array) => v.reduce((a, b) => a + b) / v.length;
    return mean(dx.map((v, k) => Math.hypot(v - mean(dx), dy[k] - mean(dy))));
  };
  const before = error();
  const backend = await backendCases[0].create(1);
  try {
    const step = await backend.compile(program(probeGuess));
    const gather = (from: Float32Array, some: Int32Array): Tensor => {
      const data = new Float32Array(B * C * AREA);
      some.forEach((m, i) => {
        data.set(from.subarray(m * AREA, (m + 1) * AREA), i * AREA);
      });
      return { data, shape };
    };
    for (let epoch = 0; epoch < EPOCHS; epoch++) {
      const order = rng.permutation(count);
      for (let from = 0; from + B <= count; from += B) {
        const some = new Int32Array(B * C);
        for (let b = 0; b < B; b++) some.set(members.subarray(order[from + b] * C, (order[from + b] + 1) * C), b * C);
        const { gradient } = await step.run({
          re: gather(patches.re, some),
          im: gather(patches.im, some),
          measured: gather(diffraction.data, some),
          positions: refiner.relativePositions(some, B, C),
        });
        refiner.update(some, gradient, 0.5 * (1 + Math.cos((Math.PI * epoch) / EPOCHS)));
      }
      refiner.endEpoch();
    }
  } finally {
    await backend.dispose();
  }
  expect(before).toBeGreaterThan(1.3);
  expect(error()).toBeLessThan(0.5 * before);
});
