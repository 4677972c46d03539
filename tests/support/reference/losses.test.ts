import { describe, expect, it } from 'vitest';
import { amplitudeMae, logGamma, poissonNll } from './losses.js';

describe('losses', () => {
  it('Poisson: λ = 2, k = 3 gives 2 − 3 ln 2', () => {
    expect(poissonNll([2], [3])).toBeCloseTo(-0.0794415, 7);
    expect(poissonNll([2], [3], { logFactorial: true })).toBeCloseTo(-0.0794415 + Math.log(6), 6);
  });

  it('is smallest at λ = k, and safe at zero', () => {
    const at = (lambda: number) => poissonNll([lambda], [5]);
    expect(at(5)).toBeLessThan(at(4.9));
    expect(at(5)).toBeLessThan(at(5.1));
    expect(poissonNll([0], [0])).toBe(0);
    expect(Number.isFinite(poissonNll([0], [2]))).toBe(true);
  });

  it('ln Γ at whole numbers is ln (n−1)!', () => {
    let factorial = 1;
    for (let n = 1; n < 20; n++) {
      expect(logGamma(n)).toBeCloseTo(Math.log(factorial), 10);
      factorial *= n;
    }
    expect(logGamma(0.5)).toBeCloseTo(Math.log(Math.sqrt(Math.PI)), 12);
  });

  it('mean absolute difference', () => {
    expect(amplitudeMae([1, 2, 3], [1, 4, 0])).toBeCloseTo(5 / 3, 12);
  });
});
