/** What the network sees of a pattern, against float64 and on every engine; the reference of another probe; the spread of patterns. */
import { describe, expect, it } from 'vitest';
import { trainingConfigSchema } from '../../src/config/schema.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import {
  constantPattern,
  followedReference,
  INPUT_GAIN,
  INPUT_REFERENCE,
  nearest,
  PatternSums,
  referenceParameters,
} from '../../src/model/inputReference.js';
import { PtychoNetwork } from '../../src/model/network.js';
import { patternSpread } from '../../src/model/watch.js';
import { detectorField } from '../../src/physics/detector.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { content, sample } from '../persistence/sampleBundle.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference } from '../support/golden.js';

const N = 32;
const area = N * N;
const COUNT = 7;
/** Patterns that are mostly alike. */
const patterns = Float32Array.from({ length: COUNT * area }, (_, i) =>
  Math.abs(Math.sin(0.3 * (i % area)) + 0.2 * Math.sin(1.7 * i)),
);
const sums = new PatternSums(area);
sums.add(patterns.subarray(0, 3 * area));
sums.add(patterns.subarray(3 * area));
const { moments } = sums;
const rms = (x: ArrayLike<number>) => Math.sqrt(Array.from(x).reduce((s, v) => s + v * v, 0) / x.length);

/** x′ as the formula says. */
function relative(parameters: ReturnType<typeof referenceParameters>): Float64Array {
  const { [INPUT_REFERENCE]: reference, [INPUT_GAIN]: gain } = parameters;
  return Float64Array.from(patterns, (v, i) => gain.data[0] * (v - reference.data[i % area]));
}

describe('the input relative to a reference', () => {
  it('is without the share of the mean pattern, and has the rms of the patterns', () => {
    const mean = Float64Array.from({ length: area }, (_, p) => {
      let sum = 0;
      for (let k = 0; k < COUNT; k++) sum += patterns[k * area + p];
      return sum / COUNT;
    });
    expect(maxDifference(moments.mean, mean)).toBeLessThan(1e-12);
    for (const share of [0, 0.75, 1]) {
      const parameters = referenceParameters(moments, mean, share);
      expect(
        maxDifference(
          parameters[INPUT_REFERENCE].data,
          mean.map((v) => share * v),
        ),
      ).toBeLessThan(1e-7);
      const seen = relative(parameters);
      expect(rms(seen)).toBeCloseTo(rms(patterns), 6);
      // The common part is what is left of it.
      const common = Float64Array.from({ length: area }, (_, p) => seen[p] + 0);
      for (let k = 1; k < COUNT; k++) for (let p = 0; p < area; p++) common[p] += seen[k * area + p];
      const gain = parameters[INPUT_GAIN].data[0];
      expect(
        maxDifference(
          common.map((v) => v / COUNT),
          mean.map((v) => gain * (1 - share) * v),
        ),
      ).toBeLessThan(1e-5);
    }
    expect(referenceParameters(moments, mean, 0)[INPUT_GAIN].data[0]).toBe(1);
  });

  it('of patterns that are all alike is not blown up', () => {
    const same = new PatternSums(area);
    same.add(patterns.subarray(0, area));
    const { [INPUT_GAIN]: gain } = referenceParameters(same.moments, same.moments.mean, 1);
    expect(gain.data[0]).toBeCloseTo(1000, -1);
  });

  it('takes off the pattern of a constant object, c·|F P|, nearest to the mean', () => {
    const probe = makeProbe('structured', { side: N, diameter: 10 });
    const field = detectorField(probe);
    const bad = Uint8Array.from({ length: area }, (_, i) => (i === 5 ? 1 : 0));
    const pattern = constantPattern(probe, { badPixels: bad });
    const expected = Float64Array.from(field.re, (v, i) => (i === 5 ? 0 : Math.hypot(v, field.im[i])));
    expect(maxDifference(pattern, expected) / maxAbs(expected)).toBeLessThan(1e-12);
    const counts = constantPattern(probe, { counts: true });
    expect(counts[7]).toBeCloseTo(pattern[7] ** 2, 12);
    const c = nearest(pattern, moments.mean);
    const rest = (factor: number) => rms(moments.mean.map((v, i) => v - factor * c[i]));
    expect(Math.min(rest(0.99), rest(1.01))).toBeGreaterThan(rest(1));
    // Two modes: intensities add.
    const modes = {
      re: Float32Array.from([...probe.re, ...probe.re]),
      im: Float32Array.from([...probe.im, ...probe.im]),
      shape: [2, N, N],
    };
    expect(constantPattern(modes)[7]).toBeCloseTo(Math.SQRT2 * pattern[7], 6);
  });

  it('follows the probe of another scan, and is the kept one where the probe is the same', () => {
    const probe = makeProbe('structured', { side: N, diameter: 10 });
    const bad = Uint8Array.from({ length: area }, (_, i) => (i === N * 16 + 16 ? 1 : 0));
    const masked = nearest(constantPattern(probe, { badPixels: bad }), moments.mean);
    const kept = referenceParameters(moments, masked, 0.75)[INPUT_REFERENCE];
    // Counted with more light.
    const brighter = { ...probe, re: probe.re.map((v) => 3 * v), im: probe.im.map((v) => 3 * v) };
    expect(followedReference(kept, constantPattern(brighter, { badPixels: bad }), constantPattern(brighter))).toBe(
      kept,
    );
    const other = makeProbe('structured', { side: N, diameter: 14 });
    const followed = followedReference(kept, constantPattern(other), constantPattern(other));
    const shape = constantPattern(other);
    const ratio = followed.data[3] / shape[3];
    expect(
      maxDifference(
        followed.data,
        shape.map((v) => v * ratio),
      ),
    ).toBeLessThan(1e-6 * maxAbs(shape) * ratio + 1e-7);
    const lit = (x: ArrayLike<number>) => Array.from(x, (v, i) => (bad[i] ? 0 : v));
    expect(rms(lit(followed.data))).toBeCloseTo(rms(kept.data), 6);
  });
});

describe.each(backendCases)('a network on $name', ({ create }) => {
  it.each([1, 2])('sees x′: gridsize %d', async (gridsize) => {
    const config = trainingConfigSchema.parse({ model: { N, gridsize, n_filters_scale: 1 }, nepochs: 1 });
    const C = gridsize ** 2;
    const probe = makeProbe('structured', { side: N, diameter: 10 });
    const spec = {
      config: config.model,
      scale: { ...content.scale, meanCounts: 1e6, probe },
      canvasSide_px: gridsize > 1 ? 40 : N,
      meanAmplitude: 0.2,
      nll_weight: 1,
      mae_weight: 0,
      intensity_scale_trainable: true,
    };
    const plain = new PtychoNetwork(spec);
    const relativeTo = new PtychoNetwork({ ...spec, inputReference: 'mean' });
    const weights = plain.initialWeights(3);
    const parameters = referenceParameters(moments, moments.mean, 0.75);
    expect(relativeTo.parameters.filter((p) => p.fixed).map((p) => p.name)).toEqual([INPUT_REFERENCE, INPUT_GAIN]);
    // Fresh parameters change nothing, and the others are drawn as without them.
    expect(relativeTo.initialWeights(3)).toMatchObject(weights);
    const shape = [1, C, N, N];
    const input_positions = sample([1, C, 1, 2], 4);
    const backend = await create();
    const run = async (network: PtychoNetwork, values: object, data: ArrayLike<number>) => {
      const compiled = await backend.compile(network.predict(1), { constants: { ...weights, ...values } });
      const input = { data: Float32Array.from(data).subarray(0, C * area), shape };
      return compiled.run({ input, input_positions });
    };
    const expected = await run(plain, {}, relative(parameters));
    const found = await run(relativeTo, parameters, patterns);
    const untouched = await run(plain, {}, patterns);
    await backend.dispose();
    const scale = maxAbs(expected.object_real.data);
    for (const name of ['object_real', 'object_imag']) {
      expect(maxDifference(found[name].data, expected[name].data) / scale).toBeLessThan(2e-5);
    }
    expect(maxDifference(found.object_imag.data, untouched.object_imag.data) / scale).toBeGreaterThan(1e-4);
  });

  it('puts out the spread of predicted over that of measured patterns', async () => {
    const shape = [3, 1, 4, 4];
    const [a, b] = [sample(shape, 1), sample(shape, 2)];
    const valid = Float32Array.from({ length: 16 }, (_, i) => (i === 2 ? 0 : 1));
    const spread = ({ data }: typeof a) => {
      let sum = 0;
      for (let p = 0; p < 16; p++) {
        const values = [0, 1, 2].map((k) => data[16 * k + p]);
        const mean = values.reduce((s, v) => s + v, 0) / 3;
        sum += valid[p] * values.reduce((s, v) => s + (v - mean) ** 2, 0);
      }
      return Math.sqrt(sum);
    };
    const [x, y] = [op.input('x', shape), op.input('y', shape)];
    const mask = { valid: op.constant(valid, [4, 4], 'valid'), fraction: 15 / 16 };
    const program = defineProgram({ name: 'spread', inputs: [x, y], outputs: { spread: patternSpread(x, y, mask) } });
    const backend = await create();
    const out = await (await backend.compile(program)).run({ x: a, y: b });
    await backend.dispose();
    expect(out.spread.data[0]).toBeCloseTo(spread(a) / spread(b), 5);
  });
});
