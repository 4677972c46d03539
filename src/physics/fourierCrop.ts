/**
 * A probe on the grid of cropped or padded patterns. Cutting the detector keeps the field of view and makes object pixels
 * larger; what the smaller detector sees of a wave is the middle of its Fourier transform. A larger detector sees the same and
 * nothing around it: object pixels become smaller.
 *
 * @example
 * const small = fourierCrop(probe, 64); // probe (256, 256) → (64, 64), same field of view
 */
import type { ComplexTensor } from '../core/tensor.js';

/**
 * F⁻¹ · crop (or pad) · F of every mode, with centred orthonormal transforms: the detector field of the result is the middle of that
 * of `probe`, so that counts keep their unit.
 * @param probe (height, width) or modes first (P, height, width), any sides
 * @param side of the result
 * @returns (side, side) or (P, side, side)
 */
export function fourierCrop(probe: ComplexTensor, side: number): ComplexTensor {
  const [height, width] = probe.shape.slice(-2);
  const modes = probe.re.length / (height * width);
  const area = side * side;
  const re = new Float32Array(modes * area);
  const im = new Float32Array(modes * area);
  const rows = cropMatrix(side, height);
  const columns = height === width ? rows : cropMatrix(side, width);
  for (let p = 0; p < modes; p++) {
    const part = (v: Float32Array) => Float64Array.from(v.subarray(p * height * width, (p + 1) * height * width));
    // Rows first: (side, width), then columns of its transpose: (side, side).
    const half = applyTo({ re: part(probe.re), im: part(probe.im) }, rows, side, height, width);
    const whole = applyTo(transposed(half, side, width), columns, side, width, side);
    const result = transposed(whole, side, side);
    re.set(result.re, p * area);
    im.set(result.im, p * area);
  }
  return { re, im, shape: [...probe.shape.slice(0, -2), side, side] };
}

interface Parts {
  readonly re: Float64Array;
  readonly im: Float64Array;
}

/** A[m, r] = Σ_k e^{2πik((m − ⌊n/2⌋)/n − (r − ⌊N/2⌋)/N)}/√(nN) over the min(n, N) frequencies k that are kept: (n, N). */
function cropMatrix(n: number, N: number): Parts {
  const re = new Float64Array(n * N);
  const im = new Float64Array(n * N);
  const [half, kept] = [Math.floor(n / 2), Math.min(n, N)];
  const lowest = -Math.floor(kept / 2);
  for (let m = 0; m < n; m++) {
    for (let r = 0; r < N; r++) {
      const turn = (m - half) / n - (r - Math.floor(N / 2)) / N;
      let [cos, sin] = [0, 0];
      for (let k = lowest; k < lowest + kept; k++) {
        cos += Math.cos(2 * Math.PI * k * turn);
        sin += Math.sin(2 * Math.PI * k * turn);
      }
      re[m * N + r] = cos / Math.sqrt(n * N);
      im[m * N + r] = sin / Math.sqrt(n * N);
    }
  }
  return { re, im };
}

/** A·x: (n, N) times (N, columns). */
function applyTo(x: Parts, a: Parts, n: number, N: number, columns: number): Parts {
  const re = new Float64Array(n * columns);
  const im = new Float64Array(n * columns);
  for (let m = 0; m < n; m++) {
    for (let r = 0; r < N; r++) {
      const [c, s] = [a.re[m * N + r], a.im[m * N + r]];
      for (let j = 0; j < columns; j++) {
        const [u, v] = [x.re[r * columns + j], x.im[r * columns + j]];
        re[m * columns + j] += c * u - s * v;
        im[m * columns + j] += c * v + s * u;
      }
    }
  }
  return { re, im };
}

function transposed({ re, im }: Parts, rows: number, columns: number): Parts {
  const turn = (v: Float64Array) =>
    Float64Array.from({ length: v.length }, (_, i) => v[(i % rows) * columns + Math.floor(i / rows)]);
  return { re: turn(re), im: turn(im) };
}
