/** What the published simulation pins: probe guess, phase rule, beam stop, patches at positions. */
import { expect, it } from 'vitest';
import { normaliseProbe, probeGuessFromPatterns, probeMask } from '../../src/physics/probe.js';

import { extractPatches } from '../../src/physics/sampling.js';
import { beamstop } from '../../src/simulation/detector.js';
import { phaseFromAmplitude } from '../../src/simulation/objects.js';
import { maxDifference, readGolden } from '../support/golden.js';
import { describeShared } from '../support/shared.js';

describeShared('golden: simulation', () => {
  it('the probe guess from patterns, as it is and in the published gauge', async () => {
    const golden = await readGolden('g_simulation.npz');
    const guess = probeGuessFromPatterns(await golden.float32('probe_guess_X'));
    expect(maxDifference(guess.re, (await golden.real('probe_guess_from_X')).data)).toBeLessThan(1e-5);
    const { probe } = normaliseProbe(guess, { probeScale: 10, mask: probeMask(64) });
    expect(maxDifference(probe.re, (await golden.real('probe_guess_from_X_normalised')).data)).toBeLessThan(1e-5);
    await golden.close();
  });

  it('the phase that follows the amplitude', async () => {
    const golden = await readGolden('g_simulation.npz');
    const { data } = await golden.real('dummy_phi_in');
    expect(maxDifference(phaseFromAmplitude(data), (await golden.real('dummy_phi')).data)).toBeLessThan(1e-5);
    await golden.close();
  });

  it('the beam stop', async () => {
    const golden = await readGolden('g_simulation.npz');
    const stop = beamstop(64, 8);
    expect(stop.reduce((sum, v) => sum + v, 0)).toBe(52);
    const { data } = await golden.real('beamstop_in');
    const stopped = data.map((v, i) => (stop[i % 4096] ? 0 : v));
    expect(maxDifference(stopped, (await golden.real('beamstop_d8')).data)).toBe(0);
    await golden.close();
  });

  it('patches at positions: equal for odd objects; the original is half a pixel off for even ones', async () => {
    const golden = await readGolden('g_simulation.npz');
    const xs = (await golden.real('tdg_x')).data;
    const ys = (await golden.real('tdg_y')).data;
    for (const [side, off] of [
      [141, 0],
      [140, 0.5],
    ]) {
      const object = await golden.complex(`tdg_object_${side}`);
      const theirs = await golden.complex(`tdg_patches_${side}`);
      const move = (values: Float64Array) => values.map((v) => v + off);
      const ours = extractPatches(object, move(xs), move(ys), 64);
      expect(maxDifference(ours.re, theirs.re)).toBeLessThan(1e-5);
      expect(maxDifference(ours.im, theirs.im)).toBeLessThan(1e-5);
    }
    await golden.close();
  });
});
