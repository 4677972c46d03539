/** The forward model and group canvas of `src/model` against published numbers, run by each engine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backend } from '../../src/backends/backend.js';
import { modelConfigSchema } from '../../src/config/schema.js';
import { fromPolar } from '../../src/graph/complex.js';
import { gradients } from '../../src/graph/gradients.js';
import type { GraphNode } from '../../src/graph/node.js';
import * as op from '../../src/graph/ops.js';
import { defineProgram } from '../../src/graph/program.js';
import { extractPatches, mergeGroup, shiftMatrices } from '../../src/model/canvas.js';
import { amplitudeOf, detectorIntensity, memberPatches, probeConstant } from '../../src/model/forward.js';
import { amplitudeMae, poissonDeviance } from '../../src/model/losses.js';
import { backendCases } from '../support/backends.js';
import { maxAbs, maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

describeShared('published numbers', () => {
  describe.each(backendCases)('forward model, golden numbers, on $name', ({ create }) => {
    let backend: Backend;
    beforeAll(async () => {
      backend = await create();
    });
    afterAll(() => backend.dispose());

    const run = async (outputs: Record<string, GraphNode>, feeds = {}) => {
      const compiled = await backend.compile(defineProgram({ name: 'golden', outputs }));
      const out = await compiled.run(feeds);
      await compiled.dispose();
      return out;
    };

    it.each([
      { name: 'central', mask: 'central', side: 68, prefix: 'grp_central' },
      { name: 'denominator only', mask: 'denominator_only', side: 78, prefix: 'tf_grp' },
    ] as const)('merges and extracts groups, mask $name', async ({ mask, side, prefix }) => {
      const golden = await readGolden('b_translate_patches.npz');
      const patches = await golden.complex('grp_patches');
      const rel = await golden.float32('grp_rel_xy');
      const shifts = shiftMatrices(op.constant(rel.data, [3, 4, 1, 2]), 64, side);
      const merged = mergeGroup(
        { re: op.constant(patches.re, patches.shape), im: op.constant(patches.im, patches.shape) },
        shifts,
        mask,
      );
      const extracted = extractPatches(merged, shifts);
      const out = await run({ mr: merged.re, mi: merged.im, er: extracted.re, ei: extracted.im });
      const expectedMerged = await golden.complex(`${prefix}_merged`);
      const expectedExtracted = await golden.complex(`${prefix}_extracted`);
      // the unmasked numerator is amplified up to 1000 times at the rim: compare relative to the largest value
      const scale = mask === 'central' ? 1 : maxAbs(expectedMerged.re);
      const tolerance = mask === 'central' ? 1e-4 : 1e-5;
      expect(maxDifference(out.mr.data, expectedMerged.re) / scale).toBeLessThan(tolerance);
      expect(maxDifference(out.mi.data, expectedMerged.im) / scale).toBeLessThan(tolerance);
      expect(maxDifference(out.er.data, expectedExtracted.re) / scale).toBeLessThan(tolerance);
      expect(maxDifference(out.ei.data, expectedExtracted.im) / scale).toBeLessThan(tolerance);
      await golden.close();
    });

    it.each([
      { gridsize: 1, side: 64 },
      { gridsize: 2, side: 68 },
    ])('predicts amplitudes, losses and gradients, gridsize $gridsize', async ({ gridsize, side }) => {
      const golden = await readGolden('c_forward.npz');
      const key = (k: string) => `gs${gridsize}_${k}`;
      const config = modelConfigSchema.parse({ N: 64, gridsize });
      const [amp, phase] = [await golden.float32(key('amp')), await golden.float32(key('phase'))];
      const amplitude = op.input('amp', amp.shape);
      const angle = op.input('phase', phase.shape);
      const rel = await golden.float32(key('rel_xy'));
      const positions = op.constant(rel.data, [2, gridsize ** 2, 1, 2]);
      const members = memberPatches(config, fromPolar(amplitude, angle), positions, { canvasSide_px: side });
      const probe = await golden.complex(key('probe_normalized'));
      const scale = await golden.number(key('output_scale'));
      const rate = op.mul(detectorIntensity(members, probeConstant(probe, 1 / 4)), 1 / scale ** 2);
      const pred = amplitudeOf(rate, 1e-20);
      const observed = await golden.float32(key('observed_amp'));
      const measured = op.constant(observed.data, observed.shape);
      const mae = amplitudeMae(pred, measured, 1);
      // The deviance divides by pixels and mean count and adds k·ln k − k; undo both to reach the published sum.
      const perSample = observed.data.length / 2;
      const nll = op.mul(poissonDeviance(rate, op.square(measured), 1, { floor: 1e-30 }), perSample);
      const [dAmpNll, dPhaseNll] = gradients(nll, [amplitude, angle]);
      const [dAmpMae, dPhaseMae] = gradients(mae, [amplitude, angle]);
      const out = await run({ pred, mae, nll, dAmpNll, dPhaseNll, dAmpMae, dPhaseMae }, { amp, phase });
      expect(maxDifference(out.pred.data, (await golden.real(key('pred_amp'))).data)).toBeLessThan(1e-4);
      expect(Math.abs(out.mae.data[0] - (await golden.number(key('mae_mean'))))).toBeLessThan(1e-5);
      let published = 0;
      for (const v of (await golden.real(key('poisson_nll_per_sample'))).data) published += v / 2;
      let data = 0; // mean over samples of Σ (k ln k − k) − ln Γ(k+1), k whole
      const lnFactorial = [0];
      for (let n = 1; n <= 4000; n++) lnFactorial[n] = lnFactorial[n - 1] + Math.log(n);
      for (const v of observed.data) {
        const k = Math.round(v * v);
        data += ((k > 0 ? k * Math.log(k) : 0) - k - lnFactorial[k]) / 2;
      }
      expect(Math.abs(out.nll.data[0] - data - published) / Math.abs(published)).toBeLessThan(1e-4);
      for (const [found, name] of [
        [out.dAmpNll, 'grad_amp_poisson'],
        [out.dPhaseNll, 'grad_phase_poisson'],
        [out.dAmpMae, 'grad_amp_mae'],
        [out.dPhaseMae, 'grad_phase_mae'],
      ] as const) {
        const expected = (await golden.real(key(name))).data;
        const largest = maxAbs(expected);
        for (let i = 0; i < expected.length; i++) {
          const d = Math.abs(found.data[i] - expected[i]);
          // The published float32 gradients of the MAE are themselves up to 2.9e-5 of the largest away from float64.
          const atol = name.endsWith('mae') ? 4e-5 : 1e-5;
          if (d > 1e-3 * Math.abs(expected[i]) + atol * largest) {
            expect.fail(`${name}[${i}]: ${found.data[i]} instead of ${expected[i]}`);
          }
        }
      }
      await golden.close();
    });
  });
});
