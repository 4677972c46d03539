/** Units: inferred with a reason, declared by words, refused where words and numbers cannot both be true. */

import { describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import {
  contradiction,
  type DomainEvidence,
  inferMeasurementDomain,
  MEASUREMENT_DOMAINS,
  parseMeasurementDomain,
  settleMeasurementDomain,
  traditionOf,
} from '../../../src/data/opening/measurementDomain.js';
import fc from '../../support/fastCheck.js';

const rng = new LegacyRng(3);
const counts = Float32Array.from({ length: 256 }, () => rng.poisson(12));
const roots = counts.map(Math.sqrt);
const fractions = counts.map((v) => v / 33 + 0.01);
const ofArrays: DomainEvidence = { side: 16, tradition: 'amplitudes' };
const settle = (claims: Parameters<typeof settleMeasurementDomain>[0], values: Float32Array, dtype = 'float32') =>
  settleMeasurementDomain(claims, values, dtype as 'float32', 'scan.npz', ofArrays);

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

  it('a handful of whole numbers says nothing, unless their type does', () => {
    const few = Float32Array.of(0, 4, 2, 3, 0, 0, 1, 5, 0);
    expect(contradiction('normalized_amplitude', few, 'float32')).toBeUndefined();
    expect(contradiction('normalized_amplitude', few, 'uint8')?.rather).toBe('count_intensity');
    const enough = Float32Array.of(0, 4, 2, 3, 0, 7, 1, 5, 6, 2);
    expect(contradiction('normalized_amplitude', enough, 'float32')?.rather).toBe('count_intensity');
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
          const { domain } = inferMeasurementDomain(values, dtype as 'float32', { side: 1, tradition: 'intensities' });
          expect(contradiction(domain, values, dtype as 'float32')).toBeUndefined();
        },
      ),
    );
  });
});

/** Expected counts of patterns of a soft, slightly different spot: bright in the middle, less than a photon at the edges. */
function expected(photons: number, n = 16, side = 64): Float64Array {
  const values = new Float64Array(n * side * side);
  let total = 0;
  for (let i = 0; i < n; i++) {
    for (let p = 0; p < side * side; p++) {
      const [y, x] = [Math.floor(p / side) - side / 2, (p % side) - side / 2];
      const r2 = (y - 0.2 * i) ** 2 + (x + 0.1 * i) ** 2;
      const fringe = 1 + 0.5 * Math.cos(0.35 * x + 0.2 * y + i);
      values[i * side * side + p] = fringe * (Math.exp(-r2 / 90) + 0.01 * Math.exp(-Math.sqrt(r2) / 9));
      total += values[i * side * side + p];
    }
  }
  return values.map((v) => (v * photons * n) / total);
}

const largestOf = (values: Float64Array) => values.reduce((a, b) => Math.max(a, b), 0);
const scaled = (values: Float64Array, factor: number) => values.map((v) => v * factor);

describe('fractional numbers', () => {
  const side = 64;
  const size = side * side;
  const intensities = { side, tradition: 'intensities' } as const;
  const amplitudes = { side, tradition: 'amplitudes' } as const;
  const infer = (values: ArrayLike<number>, evidence: DomainEvidence) =>
    inferMeasurementDomain(Float32Array.from(values), 'float32', evidence);
  /** Corrections that leave counts what they are. */
  const corrections: Record<string, (counts: Float64Array, random: LegacyRng) => Float64Array> = {
    'flat field': (counts, random) => {
      const flat = Float64Array.from({ length: size }, () => 0.9 + 0.2 * random.uniform());
      return counts.map((v, p) => v * flat[p % size]);
    },
    monitor: (counts, random) => {
      const flux = Float64Array.from({ length: 16 }, () => 0.8 + 0.4 * random.uniform());
      return counts.map((v, p) => v * flux[Math.floor(p / size)]);
    },
    both: (counts, random) => corrections.monitor(corrections['flat field'](counts, random), random),
    gain: (counts) => counts.map((v) => v * 3.37),
    'maximum of 1': (counts) => scaled(counts, 1 / largestOf(counts)),
  };

  it('are told by their steps: corrected counts are counts, their roots amplitudes, in any file', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(corrections)),
        fc.constantFrom(1e3, 1e4, 1e5, 1e6, 1e7),
        fc.integer({ min: 0, max: 1e6 }),
        fc.constantFrom(intensities, amplitudes),
        (how, photons, seed, evidence) => {
          const random = new LegacyRng(seed);
          const corrected = corrections[how](
            expected(photons).map((v) => random.poisson(v)),
            random,
          );
          const counts = infer(corrected, evidence);
          expect(counts.domain).toBe('count_intensity');
          expect(counts.finding?.code).toBe(evidence === amplitudes ? 'DOMAIN_INFERRED' : undefined);
          const roots = infer(corrected.map(Math.sqrt), evidence);
          expect(roots.domain).toMatch(/_amplitude$/);
          expect(roots.finding?.code).toBe(evidence === intensities ? 'DOMAIN_INFERRED' : undefined);
          const normalised = infer(
            corrected.map((v) => Math.sqrt(v) / 300),
            amplitudes,
          );
          expect(normalised.domain).toMatch(Math.sqrt(largestOf(corrected)) / 300 < 10 ? /^norm/ : /^count_a/);
          expect(normalised.finding).toBeUndefined();
        },
      ),
      { numRuns: 6 },
    );
  });

  it('are told by their spread where no steps are left', () => {
    for (const seed of [1, 2, 3]) {
      const random = new LegacyRng(seed);
      // Background subtracted, dead time corrected, each pixel of each pattern by something of its own.
      const counts = expected(2e4).map(
        (v) => Math.max(0, random.poisson(v + 1) - 1.013) * (0.97 + 0.06 * random.uniform()),
      );
      expect(infer(counts, amplitudes)).toMatchObject({
        domain: 'count_intensity',
        reason: expect.stringMatching(/spread/),
        finding: { code: 'DOMAIN_INFERRED', severity: 'doubt' },
      });
      expect(infer(counts.map(Math.sqrt), intensities)).toMatchObject({
        domain: 'count_amplitude',
        reason: expect.stringMatching(/spread/),
        finding: { code: 'DOMAIN_INFERRED', severity: 'doubt' },
      });
    }
  });

  it('of no noise are told by the power of the probe, if that fits one reading alone', () => {
    const light = expected(1e5);
    expect(infer(light, { ...amplitudes, probePower: 1.4e5 })).toMatchObject({
      domain: 'count_intensity',
      finding: { code: 'DOMAIN_INFERRED' },
    });
    const roots = light.map(Math.sqrt);
    expect(infer(roots, { ...amplitudes, probePower: 1.4e5 })).toEqual({
      domain: 'count_amplitude',
      reason: expect.stringMatching(/power of the probe/),
    });
    // A probe of unit power says nothing.
    for (const probePower of [1, undefined]) {
      expect(infer(roots, { ...amplitudes, probePower })).toMatchObject({
        finding: { code: 'DOMAIN_UNKNOWN', severity: 'wrong', remedy: expect.stringMatching(/^--measurement_domain/) },
      });
      expect(infer(light, { ...intensities, probePower })).toMatchObject({
        domain: 'count_intensity',
        finding: { code: 'DOMAIN_INFERRED', severity: 'doubt' },
      });
      expect(
        infer(
          roots.map((v) => v / 100),
          { ...amplitudes, probePower },
        ),
      ).toMatchObject({
        domain: 'normalized_amplitude',
        finding: { code: 'DOMAIN_INFERRED', severity: 'doubt' },
      });
    }
  });

  it('never pass silently for what they are not, whatever the exposure', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0, max: 7, noNaN: true }),
        fc.integer({ min: 0, max: 1e6 }),
        fc.boolean(),
        fc.boolean(),
        (decades, seed, noisy, probed) => {
          const random = new LegacyRng(seed);
          const light = expected(10 ** decades).map((v) => (noisy ? random.poisson(v) * 1.003 : v));
          for (const evidence of [intensities, amplitudes]) {
            const known = probed ? { ...evidence, probePower: 1.3 * 10 ** decades } : evidence;
            for (const root of [false, true]) {
              const { domain, finding, reason } = infer(root ? light.map(Math.sqrt) : light, known);
              const right = (domain === 'count_intensity') !== root;
              if (!right && finding === undefined) expect(reason).toMatch(/hardly differ/);
            }
          }
        },
      ),
      { numRuns: 8 },
    );
  });

  it('on both sides of zero are counts', () => {
    const random = new LegacyRng(8);
    const ccd = expected(1e4).map((v) => Math.round(10 * (3.4 * random.poisson(v) + 4 * random.normal())) / 10);
    expect(infer(ccd, amplitudes)).toEqual({ domain: 'count_intensity', reason: expect.stringMatching(/negative/) });
  });

  it('have the tradition of their file', () => {
    expect(traditionOf('npz', 'diffraction')).toBe('amplitudes');
    expect(traditionOf('npz', 'diff3d')).toBe('amplitudes');
    expect(traditionOf('npz', 'patterns')).toBe('intensities');
    expect(traditionOf('hdf5', '/entry/data/data')).toBe('intensities');
    expect(traditionOf('hdf5', '/diffamp')).toBe('amplitudes');
    expect(traditionOf('tiff', undefined)).toBe('intensities');
    expect(traditionOf('memory', 'diffraction')).toBe('amplitudes');
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
