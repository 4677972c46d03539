/** How patterns are shared out among batches. */
import { describe, expect, it } from 'vitest';
import { BATCHINGS, type SolverOptions, solverOptionsSchema } from '../../src/config/schemas/solver.js';
import { integers } from '../../src/core/numbers.js';
import { LegacyRng } from '../../src/core/rng.js';
import { batchLengths, nearFieldOptions } from '../../src/solvers/algorithms/algorithm.js';
import { batchesOf, openBatches } from '../../src/solvers/algorithms/batches.js';

const rng = new LegacyRng(3);
const COUNT = 157;
const scan = {
  ys: Float64Array.from({ length: COUNT }, (_, k) => 10 + 8 * Math.floor(k / 13) + rng.uniform(-2, 2)),
  xs: Float64Array.from({ length: COUNT }, (_, k) => 40 + 8 * (k % 13) + rng.uniform(-2, 2)),
};
const sizes = { size: 20, seed: 4, rows: integers(COUNT) };

const distance = (a: number, b: number) => Math.hypot(scan.ys[a] - scan.ys[b], scan.xs[a] - scan.xs[b]);

/** Mean distance of a pattern to the nearest other of its batch. */
function nearest(batches: readonly Int32Array[]): number {
  const all = batches.flatMap((batch) =>
    [...batch].map((k) => Math.min(...[...batch].filter((m) => m !== k).map((m) => distance(k, m)))),
  );
  return all.reduce((sum, d) => sum + d, 0) / all.length;
}

/** Mean distance of two patterns of a batch. */
function extent(batches: readonly Int32Array[]): number {
  const all = batches.flatMap((batch) => [...batch].flatMap((k) => [...batch].map((m) => distance(k, m))));
  return all.reduce((sum, d) => sum + d, 0) / all.length;
}

describe('batches', () => {
  it.each(BATCHINGS)(
    '%s: every pattern once an epoch, sizes that differ by one, the same from the same seed',
    (kind) => {
      const batches = openBatches(kind, scan, sizes);
      for (const epoch of [1, 2, 11]) {
        const found = batches.of(epoch);
        expect(found.flatMap((batch) => [...batch]).sort((a, b) => a - b)).toEqual(
          Array.from({ length: COUNT }, (_, k) => k),
        );
        const lengths = found.map((batch) => batch.length);
        expect(Math.max(...lengths) - Math.min(...lengths)).toBeLessThanOrEqual(1);
        expect(openBatches(kind, scan, sizes).of(epoch)).toEqual(found);
      }
      expect(batches.of(1)).not.toEqual(batches.of(2));
      expect(openBatches(kind, scan, { ...sizes, seed: 5 }).of(1)).not.toEqual(batches.of(1));
    },
  );

  it.each(BATCHINGS)('%s: of some patterns only', (kind) => {
    const rows = integers(COUNT).filter((k) => k % 7 !== 3);
    const found = openBatches(kind, scan, { ...sizes, rows }).of(2);
    expect(found.flatMap((batch) => [...batch]).sort((a, b) => a - b)).toEqual([...rows]);
  });

  it('uniform ones are spread in the first ten epochs, and random after', () => {
    const [uniform, random] = [openBatches('uniform', scan, sizes), openBatches('random', scan, sizes)];
    for (const epoch of [1, 10]) expect(nearest(uniform.of(epoch))).toBeGreaterThan(1.2 * nearest(random.of(epoch)));
    expect(uniform.of(11)).toEqual(random.of(11));
    expect(random.of(11)).toEqual(batchesOf(integers(COUNT), 20, 4, 11));
  });

  it('compact ones are neighbourhoods', () => {
    const [compact, random] = [openBatches('compact', scan, sizes), openBatches('random', scan, sizes)];
    expect(extent(compact.of(1))).toBeLessThan(0.5 * extent(random.of(1)));
  });

  it.each(BATCHINGS)('%s: shorter ones in the first epochs', (kind) => {
    const [early, short, long] = [
      openBatches(kind, scan, { ...sizes, early: { size: 4, epochs: 5 } }),
      openBatches(kind, scan, { ...sizes, size: 4 }),
      openBatches(kind, scan, sizes),
    ];
    for (const epoch of [1, 5]) expect(early.of(epoch)).toEqual(short.of(epoch));
    for (const epoch of [6, 11]) expect(early.of(epoch)).toEqual(long.of(epoch));
    expect(short.of(1)).toHaveLength(39);
  });
});

describe('how long batches are', () => {
  const lengths = (given: Partial<SolverOptions>, count: number, near: boolean) =>
    batchLengths(solverOptionsSchema.parse({ algorithm: 'lsqml', ...given }), count, near);

  it('an eighth of the patterns, 16 to 32, and what is asked for', () => {
    expect([40, 200, 2000, 7].map((count) => lengths({}, count, false))).toEqual(
      [16, 25, 32, 7].map((size) => ({ size })),
    );
    for (const near of [false, true]) expect(lengths({ batch_size: 11 }, 200, near)).toEqual({ size: 11 });
    for (const near of [false, true]) expect(lengths({ algorithm: 'dm' }, 300, near)).toEqual({ size: 256 });
  });

  it('of near fields a sixteenth, 4 to 8, and three in the first 30 epochs unless beams are told apart', () => {
    const early = { size: 3, epochs: 30 };
    expect([40, 100, 2000].map((count) => lengths({}, count, true))).toEqual(
      [4, 6, 8].map((size) => ({ size, early })),
    );
    expect(lengths({ algorithm: 'rpie' }, 100, true)).toEqual({ size: 6, early });
    expect(lengths({ opr_modes: 1 }, 100, true)).toEqual({ size: 6 });
    expect(lengths({}, 3, true)).toEqual({ size: 3 });
  });
});

describe('what near fields leave open', () => {
  const near = (given: Partial<SolverOptions>) =>
    nearFieldOptions(solverOptionsSchema.parse({ algorithm: 'dm', ...given }));

  it('the difference map hardly draws waves and dim rims back', () => {
    expect(near({})).toMatchObject({ relaxation: 0.9, object_regularisation: 5e-4, probe_regularisation: null });
    expect(near({ relaxation: 1, object_regularisation: 0.01 })).toMatchObject({
      relaxation: 1,
      object_regularisation: 0.01,
    });
  });

  it('epochs go on further, unless steps have momentum or it is given', () => {
    expect(near({ algorithm: 'rpie' })).toMatchObject({ acceleration: 0.95, object_regularisation: 0.1 });
    expect(near({ algorithm: 'rpie', momentum: 0.3 }).acceleration).toBeNull();
    expect(near({ algorithm: 'lsqml', momentum: 0.3 })).toMatchObject({
      acceleration: 0.95,
      object_regularisation: null,
    });
    expect(near({ algorithm: 'lsqml', acceleration: 0 }).acceleration).toBe(0);
    expect(near({ algorithm: 'ml' })).toMatchObject({ acceleration: null, relaxation: null });
  });
});
