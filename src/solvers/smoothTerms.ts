/** Smooth planes over the detector of which a pattern's background may have more or less. */

/** Planes along each axis. */
const ALONG = 4;

/** How many there are. */
export const SMOOTH_TERMS = ALONG * ALONG;

/**
 * Hats over a grid of 4×4 points, from edge to edge, that add up to 1 everywhere.
 * @returns (16, N, N), zero frequency in the corner
 */
export function smoothTerms(N: number): Float32Array {
  const hats = Array.from({ length: ALONG }, (_, i) =>
    Float64Array.from({ length: N }, (_v, r) => {
      const at = ((r + Math.floor(N / 2)) % N) / (N - 1);
      return Math.max(0, 1 - Math.abs(at * (ALONG - 1) - i));
    }),
  );
  const out = new Float32Array(SMOOTH_TERMS * N * N);
  for (let l = 0; l < SMOOTH_TERMS; l++) {
    const [rows, columns] = [hats[Math.floor(l / ALONG)], hats[l % ALONG]];
    for (let i = 0; i < N * N; i++) out[l * N * N + i] = rows[Math.floor(i / N)] * columns[i % N];
  }
  return out;
}
