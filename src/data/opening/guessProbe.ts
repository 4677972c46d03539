/** A probe for a scan that has none. */
import type { ComplexTensor } from '../../core/tensor.js';
import { scaleComplex, totalIntensity } from '../../physics/probe.js';
import { probeGuessFromPatterns } from '../../physics/probeGuess.js';
import type { PatternSource } from '../patternSource.js';

/** The value of `probe` that asks for a guess where the file holds none. */
export const GUESS_PROBE = 'auto';

/** Patterns that a guess is made from: the mean of more is no other. */
const GUESS_FROM = 256;

/**
 * The published guess from the mean pattern ({@link probeGuessFromPatterns}), with the mean power of the patterns: counts, where
 * they are counted.
 * @throws PtychoError those of reading patterns
 */
export async function guessProbe(
  patterns: Pick<PatternSource, 'count' | 'N' | 'readAmplitudes'>,
): Promise<ComplexTensor> {
  const { count, N } = patterns;
  const n = Math.min(count, GUESS_FROM);
  const data = new Float32Array(n * N * N);
  await patterns.readAmplitudes(
    Int32Array.from({ length: n }, (_, i) => Math.floor((i * count) / n)),
    data,
  );
  const guess = probeGuessFromPatterns({ data, shape: [n, N, N] });
  const power = data.reduce((sum, v) => sum + v * v, 0) / n;
  // Of dark patterns there is nothing to guess; what is wrong with them is said where they are used.
  return power > 0 ? scaleComplex(guess, Math.sqrt(power / totalIntensity(guess))) : guess;
}
