/**
 * Small systems of linear equations with a symmetric matrix that is nowhere negative, by Cholesky's factors (G. H. Golub and
 * C. F. Van Loan, Matrix Computations, 4.2).
 *
 * @example
 * solvePositive([[4], [2, 5]], [6, 7]); // [1, 1]
 */

/**
 * The x of matrix·x = right.
 * @param lower rows of the matrix, each up to its diagonal at least; what is beyond is not read
 * @param least pivots that are no larger than this share of their diagonal element are none
 * @returns undefined where the equations do not determine x
 */
export function solvePositive(
  lower: ArrayLike<ArrayLike<number>>,
  right: ArrayLike<number>,
  least = 0,
): Float64Array | undefined {
  const n = right.length;
  const factor = Array.from({ length: n }, (_, i) => new Float64Array(i + 1));
  const x = Float64Array.from(right);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = lower[i][j];
      for (let k = 0; k < j; k++) sum -= factor[i][k] * factor[j][k];
      if (i > j) factor[i][j] = sum / factor[j][j];
      else if (sum > least * lower[i][i]) factor[i][i] = Math.sqrt(sum);
      else return undefined;
    }
    for (let k = 0; k < i; k++) x[i] -= factor[i][k] * x[k];
    x[i] /= factor[i][i];
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] -= factor[k][i] * x[k];
    x[i] /= factor[i][i];
  }
  return x;
}
