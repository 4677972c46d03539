/** Units: inferred with a reason, declared by words, refused where words and numbers cannot both be true. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import {
  contradiction,
  inferMeasurementDomain,
  MEASUREMENT_DOMAINS,
  parseMeasurementDomain,
  settleMeasurementDomain,
} from '../../../src/data/opening/measurementDomain.js';

const rng = new LegacyRng(3);
const counts = Float32Array.from({ length: 256 }, () => rng.poisson(12));
const roots = counts.map(Math.sqrt);
const fractions = counts.map((v) => v / 33 + 0.01);
const settle = (claims: Parameters<typeof settleMeasurementDomain>[0], values: Float32Array, dtype = 'float32') =>
  settleMeasurementDomain(claims, values, dtype as 'float32', 'scan.npz');

describe('declared words', () => {
  it('are these three; older spellings are named, not accepted', () => {
    for (const domain of MEASUREMENT_DOMAINS) expect(parseMeasurementDomain(domain, 'here')).toBe(domain);
    for (const [old, now] of [
      ['amplitude_normalized', 'normalized_amplitude'],
      ['amplitude_counts', 'count_amplitude'],
      ['intensity_counts', 'count_intensity'],
    ]) {
      expect(() => parseMeasurementDomain(old, 'scan.npz')).toThrow(
        `scan.npz declares the measurement domain in an older spelling, "${old}"; write "${now}".`,
      );
    }
    for (const word of ['', 'Count_amplitude', 'toString', '__proto__']) {
      expect(() => parseMeasurementDomain(word, 'x')).toThrow(
        /which is none of normalized_amplitude, count_amplitude,/,
      );
    }
  });
});

describe('contradictions', () => {
  it('whole numbers are no amplitudes', () => {
    for (const domain of ['normalized_amplitude', 'count_amplitude'] as const) {
      expect(contradiction(domain, counts, 'uint16')).toMatchObject({
        reason: expect.stringMatching(/of type uint16/),
        rather: 'count_intensity',
      });
      expect(contradiction(domain, counts, 'float64')?.reason).toMatch(/all values looked at are whole numbers/);
    }
    expect(contradiction('count_intensity', counts, 'uint16')).toBeUndefined();
  });

  it('square roots of counts are neither counts nor normalised', () => {
    for (const domain of ['normalized_amplitude', 'count_intensity'] as const) {
      expect(contradiction(domain, roots, 'float32')).toMatchObject({ rather: 'count_amplitude' });
    }
    expect(contradiction('count_amplitude', roots, 'float32')).toBeUndefined();
  });

  it('normalised amplitudes stay below 10', () => {
    const large = fractions.map((v) => 20 * v);
    expect(contradiction('normalized_amplitude', large, 'float32')?.reason).toMatch(/reach \d+\.?\d*, and normalised/);
    // Expected or corrected values: nothing speaks against them.
    expect(contradiction('count_amplitude', large, 'float32')).toBeUndefined();
    expect(contradiction('count_intensity', large, 'float32')).toBeUndefined();
  });

  it('small, sparse, dark and fractional values can be anything', () => {
    const sparse = Float32Array.from({ length: 64 }, (_, i) => (i % 9 === 0 ? 1 : 0));
    for (const values of [sparse, new Float32Array(64), fractions.map((v) => v / 10)]) {
      for (const domain of MEASUREMENT_DOMAINS) expect(contradiction(domain, values, 'float32')).toBeUndefined();
    }
    expect(contradiction('count_amplitude', sparse, 'uint8')).toBeUndefined();
  });

  it('what is inferred never contradicts itself', () => {
    fc.assert(
      fc.property(
        fc.float32Array({ min: 0, max: 1000, noNaN: true, minLength: 1 }),
        fc.constantFrom('raw', 'rounded', 'rooted'),
        fc.constantFrom('float32', 'float64', 'uint16'),
        (raw, how, dtype) => {
          const values =
            how === 'raw' ? raw : how === 'rounded' ? raw.map(Math.round) : raw.map((v) => Math.sqrt(Math.round(v)));
          if (dtype === 'uint16' && how !== 'rounded') return;
          const { domain } = inferMeasurementDomain(values, dtype as 'float32');
          expect(contradiction(domain, values, dtype as 'float32')).toBeUndefined();
        },
      ),
    );
  });
});

describe('option and file', () => {
  const declared = (text: string) => ({ text, where: 'scan.npz, array "measurement_domain",' });

  it('either is enough, and both may agree', () => {
    expect(settle({}, roots).domain).toBe('count_amplitude');
    expect(settle({ declared: declared('count_amplitude') }, fractions)).toEqual({
      domain: 'count_amplitude',
      reason: 'the file declares it',
    });
    expect(settle({ option: 'count_amplitude' }, fractions).reason).toBe('it was given');
    expect(settle({ option: 'count_amplitude', declared: declared('count_amplitude') }, fractions).domain).toBe(
      'count_amplitude',
    );
  });

  it('that disagree are refused, unless the option is there to correct the file', () => {
    const claims = { option: 'count_amplitude', declared: declared('count_intensity') };
    expect(() => settle(claims, fractions)).toThrow(
      'scan.npz, array "measurement_domain", declares count_intensity, but the option measurement_domain says count_amplitude; leave the option out, or, if the file is wrong, write a corrected one with convert and measurement_domain count_amplitude.',
    );
    expect(settle({ ...claims, redeclare: true }, fractions).domain).toBe('count_amplitude');
    // A wrong word in the file no longer matters then.
    expect(settle({ option: 'count_amplitude', declared: declared('photons'), redeclare: true }, roots).domain).toBe(
      'count_amplitude',
    );
    expect(() => settle({ declared: declared('photons'), redeclare: true }, roots)).toThrow(/"photons"/);
  });

  it('that the values disprove are refused with what to do', () => {
    expect(() => settle({ declared: declared('normalized_amplitude') }, counts, 'uint16')).toThrow(
      /declares normalized_amplitude, but in the patterns of scan.npz the array is of type uint16 \(values up to \d+\), as only counts are; if they are count_intensity, write a corrected file with convert and measurement_domain count_intensity\.$/,
    );
    expect(() => settle({ option: 'count_intensity' }, roots)).toThrow(
      /^The option measurement_domain declares count_intensity, but .* square roots of counts; leave the option out, or give count_amplitude\.$/,
    );
  });
});
