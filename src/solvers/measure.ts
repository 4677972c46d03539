/** How well object and probe explain patterns, without a step. */
import type { PatternMisfits } from './updates.js';
import { MEASURED_AT_ONCE, type PassSums, SumsOfPasses, type WavePasses } from './wavePasses.js';

/** Loss and R from the sums of a pass. */
export function scoresOf({ square, counts, absolute, amplitude }: PassSums): {
  readonly loss: number;
  readonly rFactor: number;
} {
  return { loss: square / counts, rFactor: absolute / amplitude };
}

/** Σ|√I − √J| and Σ√I of each of some patterns. */
export async function misfitsOf(passes: WavePasses, patterns: Int32Array): Promise<PatternMisfits> {
  const misfit = new Float64Array(patterns.length);
  const measured = new Float64Array(patterns.length);
  for (const [i, pattern] of patterns.entries()) {
    const { absolute, amplitude } = await passes.pass(Int32Array.of(pattern), { wave: 'measure' });
    misfit[i] = absolute;
    measured[i] = amplitude;
  }
  return { misfit, measured };
}

/** The deviance of each of some patterns; see `WavePasses.deviances`. */
export async function deviancesOf(passes: WavePasses, patterns: Int32Array): Promise<Float64Array> {
  const out = new Float64Array(patterns.length);
  for (let from = 0; from < patterns.length; from += 256) {
    out.set(await passes.deviances(patterns.slice(from, from + 256)), from);
  }
  return out;
}

/** The sums of all patterns. */
export async function measureAll(passes: WavePasses, count: number): Promise<PassSums> {
  const total = new SumsOfPasses();
  for (let from = 0; from < count; from += MEASURED_AT_ONCE) {
    const batch = Int32Array.from({ length: Math.min(MEASURED_AT_ONCE, count - from) }, (_, i) => from + i);
    total.add(await passes.pass(batch, { wave: 'measure' }));
  }
  return total;
}
