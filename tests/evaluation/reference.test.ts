import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { cutImage, meanErrors, modulusOf, phaseOf } from '../../src/evaluation/images.js';
import { alignedPhase, METRIC_NAMES, publishedPsnr, referenceMetrics } from '../../src/evaluation/reference.js';
import { publishedMsSsim, uniformSsim } from '../../src/evaluation/similarity.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared, sharedFile } from '../support/shared.js';

type Family = Record<(typeof METRIC_NAMES)[number], [number, number]>;
const CASES = [
  ['plane_frcs0_mss1.0', { phase_align_method: 'plane', frc_sigma: 0, ms_ssim_sigma: 1 }],
  ['plane_frcs2.0_mss0.0', { phase_align_method: 'plane', frc_sigma: 2, ms_ssim_sigma: 0 }],
  ['mean_frcs0_mss1.0', { phase_align_method: 'mean', frc_sigma: 0, ms_ssim_sigma: 1 }],
  ['mean_frcs2.0_mss0.0', { phase_align_method: 'mean', frc_sigma: 2, ms_ssim_sigma: 0 }],
] as const;

describeShared('golden metrics of the published tools', () => {
  // Python writes NaN, which is no JSON.
  const numbers = () =>
    JSON.parse(readFileSync(sharedFile('golden', 'e_metrics.json'), 'utf8').replaceAll('NaN', 'null'));

  it.each(CASES)('%s: every metric, and the curves', async (name, options) => {
    const golden = await readGolden('e_metrics.npz');
    const expected = numbers()[name] as Family;
    const found = referenceMetrics(await golden.complex('rec'), await golden.complex('gt'), options);
    for (const metric of METRIC_NAMES) {
      const digits = metric === 'psnr' ? 1e-3 : 1e-5;
      expect(Math.abs(found[metric].amplitude - expected[metric][0]), `${metric} amplitude`).toBeLessThan(digits);
      expect(Math.abs(found[metric].phase - expected[metric][1]), `${metric} phase`).toBeLessThan(digits);
    }
    expect(maxDifference(found.frc.amplitude!, (await golden.real(`${name}_frc_amp`)).data)).toBeLessThan(1e-5);
    const curve = (await golden.real(`${name}_frc_phi`)).data;
    const nyquist = 65;
    expect(maxDifference(found.frc.phase!.slice(0, nyquist), curve.slice(0, nyquist))).toBeLessThan(1e-5);
    // Near the corner there is little but the last bit of a vectorised single-precision arctangent.
    expect(maxDifference(found.frc.phase!, curve)).toBeLessThan(1e-4);
    await golden.close();
  });

  it('has the published pieces on images that are not brought to one scale', async () => {
    const golden = await readGolden('e_metrics.npz');
    const { raw } = numbers();
    const [gt, rec] = [await golden.complex('gt'), await golden.complex('rec')].map((z) => cutImage(z, 2, 2, 128, 128));
    const [a, t] = [modulusOf(rec), modulusOf(gt)];
    const { mae, mse } = meanErrors(a.data, t.data);
    expect(mae).toBeCloseTo(raw.mae, 6);
    expect(mse).toBeCloseTo(raw.mse, 6);
    expect(publishedPsnr(mse)).toBeCloseTo(raw.psnr, 3);
    expect(uniformSsim(a, t, 2)).toBeCloseTo(raw.ssim_skimage_dr2_f64, 6);
    expect(publishedMsSsim(a, t, 0)).toBeCloseTo(raw.msssim_s0, 6);
    expect(publishedMsSsim(a, t, 1)).toBeCloseTo(raw.msssim_s1, 6);
    const phase = phaseOf(rec);
    expect(maxDifference(phase.data, (await golden.real('phase_trim_rec')).data)).toBeLessThan(1e-6);
    const level = alignedPhase(phase, 'plane');
    expect(maxDifference(level.data, (await golden.real('phase_plane_removed_rec')).data)).toBeLessThan(1e-5);
    await golden.close();
  });
});
