/** Linear equations by Cholesky's factors. */
import { describe, expect, it } from 'vitest';
import { solvePositive } from '../../src/core/cholesky.js';
import { LegacyRng } from '../../src/core/rng.js';

describe('solvePositive', () => {
  it('finds what the right side was made of, from the lower triangle alone', () => {
    const rng = new LegacyRng(3);
    const n = 7;
    const roots = Array.from({ length: n }, () => Array.from({ length: n }, () => rng.random() - 0.5));
    const matrix = roots.map((a) => roots.map((b) => a.reduce((sum, v, k) => sum + v * b[k], 0)));
    const x = Array.from({ length: n }, () => rng.random());
    const right = matrix.map((row) => row.reduce((sum, v, k) => sum + v * x[k], 0));
    const found = solvePositive(
      matrix.map((row, i) => row.slice(0, i + 1)),
      right,
    );
    for (const [i, value] of found!.entries()) expect(value).toBeCloseTo(x[i], 8);
    expect(solvePositive([[4], [2, 5]], [6, 7])).toEqual(Float64Array.of(1, 1));
  });

  it('answers nothing where the equations do not determine it', () => {
    expect(solvePositive([[1], [1, 1]], [1, 1])).toBeUndefined();
    expect(solvePositive([[0]], [1])).toBeUndefined();
    expect(solvePositive([[1], [1, 1 + 1e-13]], [1, 1])).toBeDefined();
    expect(solvePositive([[1], [1, 1 + 1e-13]], [1, 1], 1e-12)).toBeUndefined();
    expect(solvePositive([[Number.NaN]], [1])).toBeUndefined();
  });
});
