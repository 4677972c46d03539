import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { extractPatch } from '../../../src/physics/sampling.js';
import { PatchPhases, turnPatches } from '../../../src/reconstruction/patches/patchPhases.js';
import { makeObject } from '../../../src/simulation/objects.js';
import { makeScan } from '../../../src/simulation/scans.js';

const SIDE = 32;
const object = makeObject('lines', { rows: 120, cols: 104, seed: 3 });
const { xs, ys } = makeScan('jittered_raster', { rows: 120, cols: 104, side: SIDE, stepPx: 6, seed: 1 });
const area = SIDE * SIDE;

/** Patches of the object, each turned by an angle of its own. */
function turned(angles: ArrayLike<number>) {
  const re = new Float32Array(xs.length * area);
  const im = new Float32Array(xs.length * area);
  for (let k = 0; k < xs.length; k++) {
    const patch = extractPatch(object, ys[k], xs[k], SIDE);
    re.set(patch.re, k * area);
    im.set(patch.im, k * area);
  }
  turnPatches(
    re,
    im,
    xs.length,
    SIDE,
    Array.from(angles, (a) => -a),
  );
  return { re, im };
}

/** Differences of angles, the common one removed, wrapped. */
function apart(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [c, s] = [0, 0];
  for (let k = 0; k < a.length; k++) {
    c += Math.cos(a[k] - b[k]);
    s += Math.sin(a[k] - b[k]);
  }
  const common = Math.atan2(s, c);
  let worst = 0;
  for (let k = 0; k < a.length; k++) {
    const d = a[k] - b[k] - common;
    worst = Math.max(worst, Math.abs(Math.atan2(Math.sin(d), Math.cos(d))));
  }
  return worst;
}

describe('PatchPhases', () => {
  it('finds the phase of every patch, in batches as at once', () => {
    const rng = new LegacyRng(5);
    const angles = Float64Array.from(xs, () => rng.uniform(-0.7, 0.7));
    const { re, im } = turned(angles);
    const whole = new PatchPhases(20);
    whole.add(re, im, xs.length, SIDE, xs, ys);
    const solution = whole.solve();
    expect(apart(solution.angles, angles)).toBeLessThan(0.06);
    expect(solution.spreadRad).toBeCloseTo(0.4, 1);

    const parts = new PatchPhases(20);
    for (let from = 0; from < xs.length; from += 7) {
      const n = Math.min(7, xs.length - from);
      parts.add(re.subarray(from * area), im.subarray(from * area), n, SIDE, xs.subarray(from), ys.subarray(from));
    }
    expect(parts.count).toBe(xs.length);
    expect(Array.from(parts.solve().angles)).toEqual(Array.from(solution.angles));
  });

  it('follows phases that wind up across the scan', () => {
    const angles = Float64Array.from(xs, (x, k) => 0.08 * x + 0.05 * ys[k]);
    const { re, im } = turned(angles);
    const phases = new PatchPhases(20);
    phases.add(re, im, xs.length, SIDE, xs, ys);
    // The prior holds every patch to where it was; with none only the common phase is free.
    expect(apart(phases.solve({ prior: 0 }).angles, angles)).toBeLessThan(0.1);
  });

  it('leaves patches alone that agree, and a patch that has no neighbour', () => {
    const { re, im } = turned(new Float64Array(xs.length));
    const phases = new PatchPhases(20);
    phases.add(re, im, xs.length, SIDE, xs, ys);
    expect(phases.solve().spreadRad).toBeLessThan(0.02);
    const single = new PatchPhases(20);
    single.add(re, im, 1, SIDE, xs, ys);
    expect(Array.from(single.solve().angles)).toEqual([0]);
    const distant = new PatchPhases(20);
    distant.add(re, im, 2, SIDE, [10, 500], [10, 500]);
    expect(Array.from(distant.solve().angles)).toEqual([0, 0]);
  });

  it('leaves slopes as they are, wherever the light is', () => {
    // One period of the phase across nine patches; each is brightest in its middle.
    const phase = (y: number, x: number) => 1.5 * Math.sin(0.06 * x) + 1.2 * Math.cos(0.05 * y);
    const re = new Float32Array(xs.length * area);
    const im = new Float32Array(xs.length * area);
    const weights = new Float32Array(area);
    for (let i = 0; i < area; i++) {
      const [r, c] = [Math.floor(i / SIDE) - SIDE / 2, (i % SIDE) - SIDE / 2];
      weights[i] = Math.exp(-(r * r + c * c) / 40);
      for (let k = 0; k < xs.length; k++) {
        re[k * area + i] = Math.cos(phase(ys[k] + r, xs[k] + c));
        im[k * area + i] = Math.sin(phase(ys[k] + r, xs[k] + c));
      }
    }
    const phases = new PatchPhases(24, { data: weights, shape: [SIDE, SIDE] }, 4);
    phases.add(re, im, xs.length, SIDE, xs, ys);
    // Positions are rounded to pixels; with sums that are weighted by the pixel it is 0.08.
    expect(phases.solve({ prior: 0 }).spreadRad).toBeLessThan(0.03);
  });

  it('counts pixels by their weight', () => {
    const { re, im } = turned(new Float64Array(xs.length));
    // Garbage in the outer part of every patch is invisible where its weight is zero.
    const weights = new Float32Array(area);
    for (let k = 0; k < xs.length; k++) {
      for (let r = 0; r < SIDE; r++) {
        for (let c = 0; c < SIDE; c++) {
          const inside = Math.abs(r - 16) < 8 && Math.abs(c - 16) < 8;
          if (inside) weights[r * SIDE + c] = 1;
          else re[k * area + r * SIDE + c] = 5 * Math.sin(k * c);
        }
      }
    }
    const phases = new PatchPhases(20, { data: weights, shape: [SIDE, SIDE] });
    phases.add(re, im, xs.length, SIDE, xs, ys);
    expect(phases.solve().spreadRad).toBeLessThan(0.02);
  });
});
