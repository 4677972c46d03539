/** Where light fell on the object. */
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import { modeIntensity } from '../physics/probe.js';
import type { Frame } from '../reconstruction/frame.js';

/** Below this share of the brightest pixel there is next to no light. */
const LEAST_SHARE = 0.01;

/**
 * Light that fell on each pixel of the frame over a scan, 1 at the brightest; 0 where below 1 %.
 * @param probe (N, N), or (modes, N, N)
 * @param positions in object pixels; every patch lies in the frame
 */
export function lightOnObject(
  probe: Pick<ComplexTensor, 're' | 'im'>,
  N: number,
  { xs, ys }: { readonly xs: ArrayLike<number>; readonly ys: ArrayLike<number> },
  { originYxPx: [top, left], height, width }: Frame,
): Tensor {
  const light = modeIntensity(probe, N * N);
  const data = new Float32Array(height * width);
  const half = Math.floor(N / 2);
  for (let k = 0; k < xs.length; k++) {
    const first = (Math.round(ys[k] - top) - half) * width + Math.round(xs[k] - left) - half;
    for (let r = 0; r < N; r++) {
      const row = first + r * width;
      for (let c = 0; c < N; c++) data[row + c] += light[r * N + c];
    }
  }
  const most = data.reduce((m, v) => Math.max(m, v), 0);
  return { data: data.map((v) => (v < LEAST_SHARE * most ? 0 : v / most)), shape: [height, width] };
}
