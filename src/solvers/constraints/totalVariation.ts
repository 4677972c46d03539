/** Total variation taken out of a complex image. */
import type { ModePlanes } from './probe.js';

/** Iterations of the dual problem: enough for a step that is repeated every epoch. */
const ITERATIONS = 12;

/**
 * Replaces u by the minimum of ½‖v − u‖² + weight·TV(v), TV the sum of the lengths of the gradients of the complex image (isotropic;
 * A. Chambolle, J. Math. Imaging Vis. 20, 89, 2004).
 * @param weight in units of the image
 */
export function smoothTotalVariation(
  { re, im }: ModePlanes,
  { height, width }: { readonly height: number; readonly width: number },
  weight: number,
): void {
  if (!(weight > 0)) return;
  const pixels = height * width;
  // Dual fields: gradients of real and imaginary part along rows and columns, of common length at most 1.
  const dual = Array.from({ length: 4 }, () => new Float32Array(pixels));
  const current = [Float32Array.from(re), Float32Array.from(im)];
  const sources = [re, im];
  const tau = 0.125 / weight;
  for (let iteration = 0; iteration < ITERATIONS; iteration++) {
    for (let r = 0, i = 0; r < height; r++) {
      for (let c = 0; c < width; c++, i++) {
        const down = r + 1 < height ? i + width : i;
        const right = c + 1 < width ? i + 1 : i;
        const g0 = dual[0][i] + tau * (current[0][down] - current[0][i]);
        const g1 = dual[1][i] + tau * (current[0][right] - current[0][i]);
        const g2 = dual[2][i] + tau * (current[1][down] - current[1][i]);
        const g3 = dual[3][i] + tau * (current[1][right] - current[1][i]);
        const length = Math.max(1, Math.sqrt(g0 * g0 + g1 * g1 + g2 * g2 + g3 * g3));
        dual[0][i] = g0 / length;
        dual[1][i] = g1 / length;
        dual[2][i] = g2 / length;
        dual[3][i] = g3 / length;
      }
    }
    for (let part = 0; part < 2; part++) {
      const [dy, dx] = [dual[2 * part], dual[2 * part + 1]];
      for (let r = 0, i = 0; r < height; r++) {
        for (let c = 0; c < width; c++, i++) {
          const divergence =
            (r + 1 < height ? dy[i] : 0) -
            (r > 0 ? dy[i - width] : 0) +
            (c + 1 < width ? dx[i] : 0) -
            (c > 0 ? dx[i - 1] : 0);
          current[part][i] = sources[part][i] + weight * divergence;
        }
      }
    }
  }
  re.set(current[0]);
  im.set(current[1]);
}
