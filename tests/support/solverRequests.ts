/** What the tests of the engines of the solvers ask, and how they compare. */
import { expect } from 'vitest';
import type { PassRequest, WavePasses } from '../../src/solvers/wavePasses.js';
import type { SolverProblem } from './solverProblem.js';

export const SUMS = { object: true, probe: true } as const;

/** Everything that a pass may be asked for, each flag by itself somewhere. */
export const REQUESTS: readonly PassRequest[] = [
  { wave: 'measure' },
  { wave: 'measure', ...SUMS },
  { wave: 'amplitude', object: true },
  { wave: 'amplitude', probe: true, strength: 0.7 },
  { wave: 'amplitude', ...SUMS, keep: true },
  { wave: 'amplitude', ...SUMS, weighted: true },
  { wave: 'poisson', ...SUMS, strength: 0.5, keep: true },
  { wave: 'likelihood', ...SUMS, keep: true },
  { wave: 'likelihood', object: true, strength: 0.5 },
  { wave: 'store' },
  { wave: 'difference', ...SUMS, strength: 0.75 },
  { wave: 'difference', probe: true, keep: true },
  { wave: 'stored', ...SUMS, keep: true },
  { wave: 'stored', object: true, weighted: true },
];
/** A request in words. */
export const title = (request: PassRequest) =>
  Object.entries(request)
    .map(([key, value]) => (value === true ? key : `${value}`))
    .join(' ');

/** Fields, sums and stored waves as they were before each comparison. */
export function begin(problem: SolverProblem, engine: WavePasses): void {
  problem.fill(engine);
  const { sums } = engine.memory;
  for (const plane of planesOf(engine)) plane.fill(0.5);
  expect(sums.object.re[0]).toBe(0.5);
  const waves = engine.storedWaves();
  for (let i = 0; i < waves.length; i++) waves[i] = Math.sin(0.37 * i);
}

/** The sums, plane by plane. */
export function planesOf({ memory }: WavePasses) {
  const { sums } = memory;
  return [
    sums.object.re,
    sums.object.im,
    sums.illumination.data,
    sums.probe.re,
    sums.probe.im,
    sums.objectIntensity.data,
  ];
}

/** Apart by at most `tolerance` of the largest. */
export function expectClose(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  expect(found.length, what).toBe(expected.length);
  let [most, apart] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    most = Math.max(most, Math.abs(expected[i]));
    const d = Math.abs(found[i] - expected[i]);
    apart = Number.isNaN(d) ? Infinity : Math.max(apart, d);
  }
  expect(apart, `${what}, of ${most}`).toBeLessThanOrEqual(tolerance * most);
}
