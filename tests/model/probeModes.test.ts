/** Incoherent probe modes in the forward model, against the host's reference physics. */
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../src/core/rng.js';
import * as op from '../../src/graph/ops.js';
import { detectorIntensity, probeModes } from '../../src/model/forward.js';
import { DiffractionModel } from '../../src/physics/detector.js';
import { evaluate } from '../support/interpreter.js';

const N = 8;
const rng = new LegacyRng(3);
const random = (length: number) => Float32Array.from({ length }, () => rng.normal());

describe('probe modes', () => {
  it('add their intensities, not their fields', () => {
    const probe = { re: random(3 * N * N), im: random(3 * N * N), shape: [3, N, N] };
    const patch = { re: random(N * N), im: random(N * N) };
    const node = { re: op.constant(patch.re, [1, 1, N, N]), im: op.constant(patch.im, [1, 1, N, N]) };
    const found = evaluate([detectorIntensity(node, probeModes(probe, 0.5))], {})[0];
    const expected = new Float64Array(N * N);
    const double = (v: Float32Array) => Float64Array.from(v, (x) => x / 2);
    new DiffractionModel(probe).intensity(double(patch.re), double(patch.im), 0, expected);
    found.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i], 4);
    });
  });

  it('of one mode are the probe itself', () => {
    const probe = { re: random(N * N), im: random(N * N), shape: [N, N] };
    expect(probeModes(probe, 1)).toHaveLength(1);
    expect(probeModes({ ...probe, shape: [1, N, N] }, 1)[0].re.shape).toEqual([N, N]);
  });
});
