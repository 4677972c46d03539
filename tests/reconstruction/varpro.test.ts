/** `varpro_scaling`: the scales of an image on both engines, what they are by definition, and what is refused. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { LegacyRng } from '../../src/core/rng.js';
import { rawDataFromArrays } from '../../src/data/arrays.js';
import { DiffractionModel } from '../../src/physics/detector.js';
import { scaleParts } from '../../src/reconstruction/matching/varpro.js';
import { reconstructStream, reconstructWith } from '../../src/reconstruction/pipeline.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { LiveScan, liveScanFor } from '../../src/reconstruction/reconstruct.js';
import { backendCases } from '../support/backends.js';
import { networkContent } from '../support/networkBundle.js';

const N = 64;
const AREA = N * N;

function scanOf(n = 6) {
  const rng = new LegacyRng(5);
  const { probe } = networkContent();
  // Something like what a detector sees of some object under this probe.
  const model = new DiffractionModel(probe);
  const diffraction = new Float32Array(n * AREA);
  const lambda = new Float64Array(AREA);
  for (let k = 0; k < n; k++) {
    const re = Float64Array.from({ length: AREA }, () => 1 + 0.3 * rng.normal(0, 1));
    const im = Float64Array.from({ length: AREA }, () => 0.3 * rng.normal(0, 1));
    model.intensity(re, im, 0, lambda);
    lambda.forEach((v, i) => {
      diffraction[k * AREA + i] = Math.sqrt(rng.poisson(40 * v));
    });
  }
  return rawDataFromArrays({
    diffraction: { data: diffraction, shape: [n, N, N] },
    xcoords: Float64Array.from({ length: n }, (_, k) => 5 * (k % 3)),
    ycoords: Float64Array.from({ length: n }, (_, k) => 6 * Math.floor(k / 3)),
    probeGuess: probe,
    measurement_domain: 'count_amplitude',
  });
}

const bundle = networkContent({ model: { cnn_output_mode: 'real_imag' } });
const options = { align_phases: false, batch_size: 4, patch_weighting: 'uniform' } as const;

describe('varpro_scaling', () => {
  const engines: Backend[] = [];
  beforeAll(async () => {
    for (const { create } of backendCases) engines.push(await create());
  });
  afterAll(async () => {
    for (const engine of engines) await engine.dispose();
  });

  it('scales the image by what explains the counts best, the same on both engines', async () => {
    const scan = scanOf();
    const found = [];
    for (const engine of engines) {
      const model = PtychoModel.of(bundle, engine);
      const plain = await reconstructWith(model, scan, options);
      const patches: { re: Float32Array; im: Float32Array }[] = [];
      const scaled = await reconstructWith(model, scan, {
        ...options,
        varpro_scaling: true,
        onPatches: ({ re, im }) => void patches.push({ re: re.slice(), im: im.slice() }),
      });
      expect(plain.partScales).toBeUndefined();
      const { s1, s2 } = scaled.partScales!;
      const [a, b] = [plain.stitched.image, scaled.stitched.image];
      const largest = b.re.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      a.re.forEach((v, i) => {
        expect(Math.abs(v * s1 - b.re[i])).toBeLessThan(1e-5 * largest);
      });
      a.im.forEach((v, i) => {
        expect(Math.abs(v * s2 - b.im[i])).toBeLessThan(1e-5 * largest);
      });
      found.push({ s1, s2 });
      // By the forward model, patterns are explained no better with any other scales.
      const forward = new DiffractionModel(bundle.probe);
      const lambda = new Float64Array(AREA);
      const { data } = scan.probeGuess ? await measured(scan) : { data: new Float32Array(0) };
      const misfit = (t1: number, t2: number) => {
        let [sum, from] = [0, 0];
        for (const { re, im } of patches) {
          const part = { re: re.slice(), im: im.slice(), shape: [re.length] };
          scaleParts(part, { s1: t1, s2: t2 });
          for (let offset = 0; offset < re.length; offset += AREA, from += AREA) {
            forward.intensity(part.re, part.im, offset, lambda);
            for (let i = 0; i < AREA; i++) sum += (lambda[i] - data[from + i] ** 2) ** 2;
          }
        }
        return sum;
      };
      const h = 1e-3;
      const least = misfit(1, 1);
      for (const [dx, dy] of [
        [h, 0],
        [0, h],
      ]) {
        const [more, less] = [misfit(1 + dx, 1 + dy), misfit(1 - dx, 1 - dy)];
        expect(more).toBeGreaterThan(least);
        expect(less).toBeGreaterThan(least);
        expect(Math.abs(more - less)).toBeLessThan(0.02 * (more + less - 2 * least));
      }
    }
    expect(found[1].s1 / found[0].s1).toBeCloseTo(1, 5);
    expect(found[1].s2 / found[0].s2).toBeCloseTo(1, 5);
  });

  it('refuses a network that paints no imaginary part, and scans in progress', async () => {
    const weights = Object.fromEntries(
      Object.entries(bundle.weights).map(([name, { data, shape }]) => [
        name,
        { data: name.startsWith('imaginary.') ? new Float32Array(data.length) : data, shape },
      ]),
    );
    const model = PtychoModel.of({ ...bundle, weights }, engines[0]);
    await expect(reconstructWith(model, scanOf(), { ...options, varpro_scaling: true })).rejects.toThrow(
      /do not tell the scale of the real part/,
    );
    const live = liveScanFor(model, {});
    expect(live).toBeInstanceOf(LiveScan);
    const stream = reconstructStream(model, live, { varpro_scaling: true });
    await expect(stream.next()).rejects.toThrow(/which is still being measured/);
    // A live scan that ends without patterns.
    live.close();
  });
});

function measured(scan: ReturnType<typeof scanOf>) {
  const data = new Float32Array(scan.count * AREA);
  return scan.patterns
    .readAmplitudes(
      Int32Array.from({ length: scan.count }, (_, i) => i),
      data,
    )
    .then(() => ({ data }));
}
