/**
 * Of the batch that a thread kept, what only some epochs ask for: how patches have moved against what their patterns make of them, and
 * how they are stretched. Plain loops: they are asked for seldom.
 */
import { signedFrequency } from '../../physics/fourier.js';
import { MOMENTS } from '../wavePasses.js';
import type { Kept, KeptBatch } from './keptBatch.js';
import type { Kernels } from './kernels.js';
import type { PassSetup } from './passSetup.js';

interface Field {
  readonly re: Float32Array;
  readonly im: Float32Array;
}

/** Share of the largest amplitude of the probe below which a patch does not count. */
const LIT = 0.1;

export class KeptMoments {
  constructor(
    private readonly kernels: Kernels,
    private readonly setup: PassSetup,
    private readonly kept: KeptBatch,
  ) {}

  /** See `WavePasses.correlations`. */
  correlations(): Float64Array {
    const { N } = this.setup.sizes;
    return this.#sumsOf(5, (view, sums) => {
      const [r, q] = this.#patches(view);
      for (let i = 0, j = 0; i < N; i++) {
        const y = frequency(i, N);
        for (let c = 0; c < N; c++, j++) {
          const x = frequency(c, N);
          // Transforms are not normalised.
          const real = (r.re[j] * q.re[j] + r.im[j] * q.im[j]) / (N * N);
          const imaginary = (r.re[j] * q.im[j] - r.im[j] * q.re[j]) / (N * N);
          sums[0] += y * y * real;
          sums[1] += x * x * real;
          sums[2] += y * x * real;
          sums[3] += y * imaginary;
          sums[4] += x * imaginary;
        }
      }
    });
  }

  /** See `WavePasses.stretches`. */
  stretches(): Float64Array {
    const { N, width, modes } = this.setup.sizes;
    const half = Math.floor(N / 2);
    return this.#sumsOf(MOMENTS, (view, sums) => {
      const { object, waves } = this.#middle(view, 1);
      for (let m = 0; m < modes; m++) {
        const [pRe, pIm, cRe, cIm] = waves(m);
        for (let r = 0, j = 0; r < N; r++) {
          for (let c = 0; c < N; c++, j++) {
            // The patch begins one row and one column after the view.
            const o = (r + 1) * width + c + 1;
            const dy = [object.re[o + width] - object.re[o - width], object.im[o + width] - object.im[o - width]];
            const dx = [object.re[o + 1] - object.re[o - 1], object.im[o + 1] - object.im[o - 1]];
            const [a, b] = [0.5 * pRe[j], 0.5 * pIm[j]];
            const [yr, yi] = [dy[0] * a - dy[1] * b, dy[0] * b + dy[1] * a];
            const [xr, xi] = [dx[0] * a - dx[1] * b, dx[0] * b + dx[1] * a];
            const [u, v] = [r - half, c - half];
            addMoments(sums, 0, 6, u, v, yr * yr + yi * yi);
            addMoments(sums, 6, 6, u, v, yr * xr + yi * xi);
            addMoments(sums, 12, 6, u, v, xr * xr + xi * xi);
            addMoments(sums, 18, 3, u, v, yr * cRe[j] + yi * cIm[j]);
            addMoments(sums, 21, 3, u, v, xr * cRe[j] + xi * cIm[j]);
          }
        }
      }
    });
  }

  /** (patterns, columns): what `add` adds to the sums of a pattern, over the points of its way. */
  #sumsOf(columns: number, add: (view: Kept, sums: Float64Array) => void): Float64Array {
    const out = new Float64Array(columns * this.kept.patterns.length);
    for (const [i, views] of this.kept.patterns.entries()) {
      const sums = out.subarray(i * columns, (i + 1) * columns);
      for (const view of views) add(view, sums);
    }
    return out;
  }

  /** Transforms of the patch and of the patch after its own step, where light falls. */
  #patches(view: Kept): readonly Field[] {
    const { scratch, memory, sizes } = this.setup;
    const { N, width, modes } = sizes;
    const pixels = N * N;
    const addresses = [scratch.product, scratch.stored].map((at) => [at, at + 4 * pixels] as const);
    const [r, q] = addresses.map(([re, im]) => ({
      re: new Float32Array(memory.buffer, re, pixels),
      im: new Float32Array(memory.buffer, im, pixels),
    }));
    const { object, waves } = this.#middle(view, 0);
    const light = new Float64Array(pixels);
    q.re.fill(0);
    q.im.fill(0);
    for (let m = 0; m < modes; m++) {
      const [pRe, pIm, cRe, cIm] = waves(m);
      for (let j = 0; j < pixels; j++) {
        light[j] += pRe[j] * pRe[j] + pIm[j] * pIm[j];
        q.re[j] += pRe[j] * cRe[j] + pIm[j] * cIm[j];
        q.im[j] += pRe[j] * cIm[j] - pIm[j] * cRe[j];
      }
    }
    const most = light.reduce((top, v) => Math.max(top, v), 0) || 1;
    for (let i = 0, j = 0; i < N; i++) {
      for (let c = 0; c < N; c++, j++) {
        const lit = light[j] > LIT * LIT * most ? 1 : 0;
        const [a, b] = [object.re[i * width + c], object.im[i * width + c]];
        r.re[j] = lit * a;
        r.im[j] = lit * b;
        q.re[j] = lit * (a + q.re[j] / most);
        q.im[j] = lit * (b + q.im[j] / most);
      }
    }
    for (const [re, im] of addresses) this.kernels.fft2(re, im, N, scratch.plan, scratch.fft);
    return [r, q];
  }

  /** Views at the slice in the middle: the object from `before` rows and columns earlier on, P and χ of each mode. */
  #middle({ at, probe, waves: changes }: Kept, before: number) {
    const { fields, sizes, memory } = this.setup;
    const { N, width, height, modes, slices = 1 } = sizes;
    const middle = Math.floor(slices / 2);
    const from = 4 * middle * height * width + at - 4 * before * (width + 1);
    const view = (address: number, length: number) => new Float32Array(memory.buffer, address, length);
    const length = (N - 1 + 2 * before) * width + N + 2 * before;
    const plane = 4 * N * N;
    return {
      object: { re: view(fields.object.re + from, length), im: view(fields.object.im + from, length) },
      waves: (m: number) =>
        [probe, changes].flatMap((first) => {
          const own = first + (middle * modes + m) * 2 * plane;
          return [view(own, N * N), view(own + plane, N * N)];
        }),
    };
  }
}

/** Adds a value times 1, u, v and, of six, u², uv, v². */
function addMoments(sums: Float64Array, from: number, count: 3 | 6, u: number, v: number, value: number): void {
  sums[from] += value;
  sums[from + 1] += u * value;
  sums[from + 2] += v * value;
  if (count === 3) return;
  sums[from + 3] += u * u * value;
  sums[from + 4] += u * v * value;
  sums[from + 5] += v * v * value;
}

/** 2πk/N of the signed frequency; that of Nyquist has no sign, and is left out. */
const frequency = (k: number, N: number): number => (2 * k === N ? 0 : (2 * Math.PI * signedFrequency(k, N)) / N);
