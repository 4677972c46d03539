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

  it('leaves every probe as it is without probe_normalize; the object then has what the counts ask for', () => {
    for (const power of [1, 1e9]) {
      const scale = physicsScale(config, { ...source, probe: probe(power), probeNormalize: false });
      expect(scale.probeFactor).toBe(1);
      expect(totalIntensity(scale.probe) / power).toBeCloseTo(1, 5);
      expect(scale.amplitudeGauge / (2 * Math.sqrt(1e5 / power))).toBeCloseTo(1, 5);
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

  it('takes the factor of the probe from known patches, where there are some', () => {
    // The object sends a quarter of the probe's power on: Σ|P|² must become four times the mean counts.
    const scale = physicsScale(config, { ...source, probe: probe(2e3), illuminatedPower: 500 });
    expect(totalIntensity(scale.probe) / 4e5).toBeCloseTo(1, 5);
    expect(scale.amplitudeGauge).toBeCloseTo(2 * 0.5, 6);
  });

  it('leaves room for phases in heads of real and imaginary parts, and none in linear ones', () => {
    const gaugeOf = (model: Record<string, unknown>) =>
      physicsScale(modelConfigSchema.parse({ N, ...model }), { ...source, probe: probe(4e5) }).amplitudeGauge;
    expect(gaugeOf({ cnn_output_mode: 'real_imag' })).toBeCloseTo(1, 6);
    expect(gaugeOf({ architecture: 'baseline' })).toBeCloseTo(0.5, 6);
  });

  it('ci_intensity_v2 keeps every probe, and has statistics of intensities', () => {
    const intensity = { meanSquaredSum: 4e6, mean: 24.5 };
    const counting = { ...source, contract: 'ci_intensity_v2' as const, intensity };
    const scale = physicsScale(config, { ...counting, probe: probe(1) });
    expect(scale.probeFactor).toBe(1);
    expect((scale.amplitudeGauge / 2) ** 2).toBeCloseTo(1e5, 0);
    expect(scale.countIntensity).toEqual({ rmsInputScale: 32 / 2000, meanMeasuredIntensity: 24.5 });
    expect(physicsScale(config, { ...source, intensity, probe: probe(1) }).countIntensity).toBeUndefined();
    expect(() => physicsScale(config, { ...counting, domain: 'normalized_amplitude', probe: probe(1) })).toThrow(
      /needs counted photons/,
    );
  });

  it('refuses darkness', () => {
    expect(() => physicsScale(config, { ...source, probe: probe(0) })).toThrow(/probe is all zero.*--probe/);
    expect(() => physicsScale(config, { ...source, meanPower: 0, probe: probe(1) })).toThrow(/patterns are all zero/);
  });
});
