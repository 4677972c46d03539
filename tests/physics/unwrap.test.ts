import { describe, expect, it } from 'vitest';
import { unwrapPhase } from '../../src/physics/unwrap.js';

const image = (rows: number, cols: number, of: (r: number, c: number) => number) =>
  Float64Array.from({ length: rows * cols }, (_, i) => of(Math.floor(i / cols), i % cols));
const wrapAll = (values: ArrayLike<number>) => Float64Array.from(values, (v) => Math.atan2(Math.sin(v), Math.cos(v)));
/** Largest difference but for one constant, which must be a whole number of turns. */
function difference(found: Float64Array, truth: Float64Array): number {
  const turns = Math.round((found[0] - truth[0]) / (2 * Math.PI));
  return found.reduce((most, v, i) => Math.max(most, Math.abs(v - truth[i] - 2 * Math.PI * turns)), 0);
}

describe('unwrapPhase', () => {
  it('finds a hill of 30 rad on a ramp', () => {
    const truth = image(90, 110, (r, c) => 30 * Math.exp(-((r - 40) ** 2 + (c - 60) ** 2) / 600) + 0.4 * c - 0.3 * r);
    const { phase, residues, regions } = unwrapPhase(wrapAll(truth), [90, 110]);
    expect(difference(phase, truth)).toBeLessThan(1e-9);
    expect([residues, regions]).toEqual([0, 1]);
  });

  it('finds a ramp with noise that wraps by itself nowhere', () => {
    let state = 1;
    const random = () => {
      state = (state * 16807) % 2147483647;
      return state / 2147483647 - 0.5;
    };
    const truth = image(64, 64, (r, c) => 0.9 * r + 0.8 * c + 1.2 * random());
    expect(difference(unwrapPhase(wrapAll(truth), [64, 64]).phase, truth)).toBeLessThan(1e-9);
  });

  it('leaves a phase without wraps as it is, whatever its shape', () => {
    const flat = image(40, 40, (r, c) => Math.sin(r / 3) + Math.cos(c / 4));
    expect(unwrapPhase(flat, [40, 40]).phase).toEqual(flat);
    expect(unwrapPhase(Float64Array.of(0.1), [1, 1])).toMatchObject({ residues: 0, regions: 1 });
    expect(unwrapPhase(Float64Array.of(3, -3, 3), [1, 3]).phase).toEqual(Float64Array.of(3, 2 * Math.PI - 3, 3));
  });

  it('counts the residues of vortices, and still changes by whole turns only', () => {
    const vortices = image(60, 60, (r, c) => Math.atan2(r - 30.5, c - 15.5) - Math.atan2(r - 30.5, c - 44.5));
    const { phase, residues } = unwrapPhase(wrapAll(vortices), [60, 60]);
    expect(residues).toBe(2);
    const turns = wrapAll(vortices).map((v, i) => (phase[i] - v) / (2 * Math.PI));
    expect(turns.every((t) => Math.abs(t - Math.round(t)) < 1e-9)).toBe(true);
  });

  it('does not look outside of the mask, and counts what is apart', () => {
    const truth = image(50, 80, (r, c) => 0.7 * c + 0.2 * r);
    const mask = image(50, 80, (_r, c) => (c < 35 || c > 45 ? 1 : 0));
    const noisy = wrapAll(truth).map((v, i) => (mask[i] ? v : Number.NaN));
    const { phase, regions } = unwrapPhase(noisy, [50, 80]);
    expect(regions).toBe(2);
    for (const from of [0, 46]) {
      const part = (values: Float64Array) =>
        Float64Array.from(values.filter((_, i) => i % 80 >= from && i % 80 < from + 34));
      expect(difference(part(phase), part(truth))).toBeLessThan(1e-9);
    }
    expect(Number.isNaN(phase[40])).toBe(true);
    expect(unwrapPhase(noisy, [50, 80], new Uint8Array(4000))).toMatchObject({ residues: 0, regions: 0 });
  });
});
