import { describe, expect, it } from 'vitest';
import { modelConfigSchema } from '../../src/config/schema.js';
import { physicsScale } from '../../src/model/scale.js';
import { totalIntensity } from '../../src/physics/probe.js';

const N = 64;
const probe = (power: number) => {
  const re = new Float32Array(N * N).fill(Math.sqrt(power / (N * N)));
  return { re, im: new Float32Array(N * N), shape: [N, N] };
};
const config = modelConfigSchema.parse({ N });
const source = { meanPower: 1e5, domain: 'count_amplitude' as const, nphotons: 1e9 };

describe('physicsScale', () => {
  it('keeps a probe that is in √counts, and starts the object at its rms amplitude', () => {
    const scale = physicsScale(config, { ...source, probe: probe(4e5) });
    expect(scale.probeFactor).toBe(1);
    expect(scale.intensityScale).toBeCloseTo(Math.sqrt(1e5) / 32, 10);
    // sigmoid(0)·gauge = rms: a constant object of that amplitude explains the mean counts
    const amplitude = 0.5 * scale.amplitudeGauge;
    expect(amplitude ** 2 * totalIntensity(scale.probe)).toBeCloseTo(1e5, -1);
  });

  it('scales a probe of other units to the mean counts', () => {
    for (const power of [1, 1e9]) {
      const scale = physicsScale(config, { ...source, probe: probe(power) });
      expect(totalIntensity(scale.probe) / 1e5).toBeCloseTo(1, 5);
      expect(scale.amplitudeGauge).toBe(2);
      expect(scale.probeFactor).toBeCloseTo(Math.sqrt(1e5 / power), 5);
    }
  });

  it('takes the photons of normalised data from nphotons, not from the numbers', () => {
    const scale = physicsScale(config, { ...source, domain: 'normalized_amplitude', probe: probe(1e9) });
    expect(scale.meanCounts).toBe(1e9);
    expect(scale.intensityScale).toBeCloseTo(988.2118, 4);
  });

  it('leaves heads that do not start at one half in their own gauge', () => {
    const scale = physicsScale(modelConfigSchema.parse({ N, amp_activation: 'softplus' }), {
      ...source,
      probe: probe(4e5),
    });
    expect(scale.amplitudeGauge).toBeCloseTo(0.5, 6);
  });

  it('refuses darkness', () => {
    expect(() => physicsScale(config, { ...source, probe: probe(0) })).toThrow(/probe is all zero.*--probe/);
    expect(() => physicsScale(config, { ...source, meanPower: 0, probe: probe(1) })).toThrow(/patterns are all zero/);
  });
});
