/** Loss values on the host in float64: the oracle for the losses of the tensor program. */

/** Choices of {@link poissonNll}. */
export interface PoissonOptions {
  /** Adds ln k! = lnΓ(k+1), a constant of the data (the published PyTorch form; TensorFlow's leaves it out). */
  readonly logFactorial?: boolean;
  /** λ is not taken below this inside the logarithm. */
  readonly floor?: number;
}

/** Poisson negative log-likelihood, summed over all elements: Σ λ − k ln λ (+ ln k!), λ and k in counts. */
export function poissonNll(
  expected: ArrayLike<number>,
  counts: ArrayLike<number>,
  options: PoissonOptions = {},
): number {
  const { logFactorial = false, floor = 1e-30 } = options;
  let sum = 0;
  for (let i = 0; i < expected.length; i++) {
    const k = counts[i];
    sum += expected[i] - (k === 0 ? 0 : k * Math.log(Math.max(expected[i], floor)));
    if (logFactorial) sum += logGamma(k + 1);
  }
  return sum;
}

/** Mean absolute difference of amplitudes. */
export function amplitudeMae(predicted: ArrayLike<number>, measured: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < predicted.length; i++) sum += Math.abs(predicted[i] - measured[i]);
  return sum / predicted.length;
}

/** Lanczos coefficients for g = 7 (Numerical Recipes' family; relative error below 1e-14 for x ≥ 1). */
const LANCZOS = [
  0.9999999999998099, 676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-6, 1.5056327351493116e-7,
];

/** ln Γ(x) for x ≥ ½. */
export function logGamma(x: number): number {
  const z = x - 1;
  let sum = LANCZOS[0];
  for (let i = 1; i < LANCZOS.length; i++) sum += LANCZOS[i] / (z + i);
  const t = z + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum);
}
