import { describe, expect, it } from 'vitest';
import { DiffractionModel, detectorField, inputNormalisation, intensityScale } from '../../src/physics/detector.js';
import { DetectorTransform, Fft2 } from '../../src/physics/fourier.js';
import { scaleComplex } from '../../src/physics/probe.js';
import { maxAbs, maxDifference, readGolden } from '../support/golden.js';
import { detectorAmplitude, forwardAmplitude, meanTotalPower, photonScale } from '../support/reference/forward.js';
import { amplitudeMae, poissonNll } from '../support/reference/losses.js';
import { describeShared } from '../support/shared.js';

const wave = (n: number) => ({
  re: Float64Array.from({ length: n * n }, (_, i) => Math.sin(3.1 * i) + 0.2),
  im: Float64Array.from({ length: n * n }, (_, i) => Math.cos(1.7 * i)),
  shape: [n, n],
});

describe('detector', () => {
  it('reproduces the published 4×4 vector, with its energy', () => {
    const psi = {
      re: Float64Array.from({ length: 16 }, (_, k) => k / 10),
      im: Float64Array.from({ length: 16 }, (_, k) => (15 - k) / 10),
      shape: [4, 4],
    };
    const { data } = detectorAmplitude(psi);
    const expected = [0, 0, 1.131371, 0, 0, 0, 1.6, 0, 0.282843, 0.4, 4.242641, 0.4, 0, 0, 1.6, 0];
    expect(maxDifference(data, expected)).toBeLessThan(1e-6);
    expect(data.reduce((s, a) => s + a * a, 0)).toBeCloseTo(24.8, 10);
  });

  it.each([4, 6, 7, 8])('is the centred orthonormal DFT written out (N = %i)', (n) => {
    const psi = wave(n);
    const { re, im } = detectorField(psi);
    const centre = Math.floor(n / 2);
    for (let k = 0; k < n; k++) {
      for (let l = 0; l < n; l++) {
        let [sr, si] = [0, 0];
        for (let r = 0; r < n; r++) {
          for (let c = 0; c < n; c++) {
            const angle = (-2 * Math.PI * ((k - centre) * r + (l - centre) * c)) / n;
            sr += psi.re[r * n + c] * Math.cos(angle) - psi.im[r * n + c] * Math.sin(angle);
            si += psi.re[r * n + c] * Math.sin(angle) + psi.im[r * n + c] * Math.cos(angle);
          }
        }
        expect(re[k * n + l]).toBeCloseTo(sr / n, 10);
        expect(im[k * n + l]).toBeCloseTo(si / n, 10);
      }
    }
  });

  it.each([8, 9, 12, 64])('comes back by its inverse and keeps the energy (N = %i)', (n) => {
    const psi = wave(n);
    const { re, im } = detectorField(psi);
    const energy = (a: Float64Array, b: Float64Array) => a.reduce((s, v, i) => s + v * v + b[i] * b[i], 0);
    expect(energy(re, im) / energy(psi.re, psi.im)).toBeCloseTo(1, 12);
    new DetectorTransform(n).inverse(re, im);
    expect(maxDifference(re, psi.re)).toBeLessThan(1e-12);
    expect(maxDifference(im, psi.im)).toBeLessThan(1e-12);
  });

  it('puts a plane wave of frequency (fy, fx) on pixel (N/2 + fy, N/2 + fx)', () => {
    const n = 16;
    const psi = { re: new Float64Array(n * n), im: new Float64Array(n * n), shape: [n, n] };
    for (let r = 0; r < n; r++) {
      for (let c = 0; c < n; c++) {
        psi.re[r * n + c] = Math.cos((2 * Math.PI * (3 * r - 5 * c)) / n);
        psi.im[r * n + c] = Math.sin((2 * Math.PI * (3 * r - 5 * c)) / n);
      }
    }
    const { data } = detectorAmplitude(psi);
    expect(data.indexOf(maxAbs(data))).toBe((8 + 3) * n + 8 - 5);
    expect(maxAbs(data)).toBeCloseTo(n, 10);
  });

  it('transforms rectangles and refuses other sides', () => {
    const fft = new Fft2(4, 8);
    const re = Float64Array.from({ length: 32 }, (_, i) => Math.sin(i));
    const im = Float64Array.from({ length: 32 }, (_, i) => Math.cos(2 * i));
    const [keptRe, keptIm] = [re.slice(), im.slice()];
    fft.forward(re, im);
    expect(re[0]).toBeCloseTo(
      keptRe.reduce((s, v) => s + v, 0),
      12,
    );
    fft.inverse(re, im);
    expect(maxDifference(re, keptRe)).toBeLessThan(1e-14);
    expect(maxDifference(im, keptIm)).toBeLessThan(1e-14);
    expect(() => new Fft2(6, 8)).toThrow(/powers of two, got 6×8/);
  });

  it('adds the intensities of incoherent modes', () => {
    const [a, b] = [wave(8), scaleComplex(wave(8), 0.5)];
    const both = { re: Float64Array.of(...a.re, ...b.im), im: Float64Array.of(...a.im, ...b.re), shape: [2, 8, 8] };
    const object = wave(8);
    const lambda = (probe: typeof both) => {
      const out = new Float64Array(64);
      new DiffractionModel(probe).intensity(object.re, object.im, 0, out);
      return out;
    };
    const second = { re: b.im, im: b.re, shape: [8, 8] };
    const sum = lambda(a).map((v, i) => v + lambda(second)[i]);
    expect(maxDifference(lambda(both), sum)).toBeLessThan(1e-12);
    expect(() => new DiffractionModel({ ...a, shape: [4, 16] })).toThrow(/\(N, N\) or \(P, N, N\), found \(4, 16\)/);
  });
});

describeShared('golden: forward model and losses', () => {
  it.each(['gs1', 'gs2'])('%s: diffraction, predicted amplitude, Poisson loss, MAE', async (gs) => {
    const golden = await readGolden('c_forward.npz');
    const illuminated = await golden.complex(`${gs}_illuminated`);
    const diffracted = await golden.real(`${gs}_pad_and_diffract`);
    const area = 64 * 64;
    for (let k = 0; k < illuminated.re.length / area; k++) {
      const part = (z: Float32Array) => z.subarray(k * area, (k + 1) * area);
      const { data } = detectorAmplitude({ re: part(illuminated.re), im: part(illuminated.im), shape: [64, 64] });
      expect(maxDifference(data, diffracted.data.subarray(k * area, (k + 1) * area))).toBeLessThan(1e-5);
    }

    const amp = await golden.real(`${gs}_amp`);
    const phase = await golden.real(`${gs}_phase`);
    const probe = await golden.complex(`${gs}_probe_normalized`);
    const relative = await golden.real(`${gs}_rel_xy`);
    const outputScale = await golden.number(`${gs}_output_scale`);
    const predicted = forwardAmplitude({
      patches: {
        re: amp.data.map((a, i) => a * Math.cos(phase.data[i])),
        im: amp.data.map((a, i) => a * Math.sin(phase.data[i])),
        shape: amp.shape,
      },
      relativeXy: relative.data,
      probe: scaleComplex(probe, 1 / (4 * outputScale)),
      canvasSide: 68,
    });
    const theirs = await golden.real(`${gs}_pred_amp`);
    expect(predicted.shape).toEqual(theirs.shape);
    expect(maxDifference(predicted.data, theirs.data) / maxAbs(theirs.data)).toBeLessThan(1e-5);

    const observed = await golden.real(`${gs}_observed_amp`);
    const perSample = await golden.real(`${gs}_poisson_nll_per_sample`);
    const size = predicted.data.length / perSample.data.length;
    perSample.data.forEach((theirLoss, b) => {
      const part = (z: Float64Array) => z.subarray(b * size, (b + 1) * size).map((v) => v * v);
      const ours = poissonNll(part(predicted.data), part(observed.data), { logFactorial: true });
      expect(ours / theirLoss).toBeCloseTo(1, 5);
    });
    expect(amplitudeMae(predicted.data, observed.data) / (await golden.number(`${gs}_mae_mean`))).toBeCloseTo(1, 5);
    await golden.close();
  });
});

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
