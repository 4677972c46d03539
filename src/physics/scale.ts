/** Scales between stored amplitudes, network input and photon counts: one formula each. */

/** The published closed form for normalised data: s = √nphotons / (N/2). N = 64: 1e9 photons → 988.2118. */
export function intensityScale(nphotons: number, side: number): number {
  return Math.sqrt(nphotons) / (side / 2);
}

/** Amplitude factor that gives patterns of mean total intensity `meanTotalIntensity` a mean of `nphotons` counts. */
export function photonScale(nphotons: number, meanTotalIntensity: number): number {
  return Math.sqrt(nphotons / meanTotalIntensity);
}

/**
 * The statistical input scale: amplitudes times this have mean total power (N/2)² a pattern.
 * @param meanTotalPower mean over patterns of Σ amplitude², summed in float64
 */
export function inputNormalisation(meanTotalPower: number, side: number): number {
  return Math.sqrt((side / 2) ** 2 / meanTotalPower);
}

/** Mean over the first axis of Σ of squares, in float64: `count` patterns of equal length, one after the other. */
export function meanTotalPower(amplitude: ArrayLike<number>, count: number): number {
  let sum = 0;
  for (let i = 0; i < amplitude.length; i++) sum += amplitude[i] * amplitude[i];
  return sum / count;
}
