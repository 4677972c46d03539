import { describe, expect, it } from 'vitest';
import { amplitudeMae, logGamma, poissonNll } from '../../src/physics/losses.js';
import { inputNormalisation, intensityScale, meanTotalPower, photonScale } from '../../src/physics/scale.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

describe('scales', () => {
  it('closed form of the intensity scale', () => {
    expect(intensityScale(1e9, 64)).toBeCloseTo(988.2118, 4);
    expect(intensityScale(1e9, 128)).toBeCloseTo(494.1059, 4);
    expect(intensityScale(1e5, 64)).toBeCloseTo(9.882118, 6);
    expect(intensityScale(1e3, 64)).toBeCloseTo(0.988212, 6);
  });

  it('normalised input has mean power (N/2)²', () => {
    const x = Float64Array.from({ length: 3 * 16 }, (_, i) => (i * 5) % 13);
    const s = inputNormalisation(meanTotalPower(x, 3), 4);
    expect(
      meanTotalPower(
        x.map((v) => v * s),
        3,
      ),
    ).toBeCloseTo(4, 12);
  });
});

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

describeShared('golden: normalisation constants', () => {
  it('input normalisation and photon scales', async () => {
    const golden = await readGolden('c_forward.npz');
    const raw = await golden.real('tf_normalize_in'); // (B, N, N, C): one power per image, B·C of them
    const scale = inputNormalisation(meanTotalPower(raw.data, 2 * 4), 64);
    const normalised = raw.data.map((v) => v * scale);
    expect(maxDifference(normalised, (await golden.real('tf_normalize_data')).data)).toBeLessThan(1e-5);
    const x = await golden.real('tf_scale_nphotons_in');
    const ratio = photonScale(1e9, meanTotalPower(x.data, 2)) / (await golden.number('tf_scale_nphotons_1e9'));
    expect(ratio).toBeCloseTo(1, 5);
    const grouped = await golden.real('intensity_scale_from_amplitudes_x');
    const theirs = await golden.number('intensity_scale_from_amplitudes_nphotons1e9');
    expect(photonScale(1e9, meanTotalPower(grouped.data, 8)) / theirs).toBeCloseTo(1, 5);
    await golden.close();
  });
});
