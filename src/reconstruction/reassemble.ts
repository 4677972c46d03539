/**
 * Published reassembly rules on the stitching kernel, for parity: both anchor their canvas at the mean position instead of
 * at object pixels. New work uses {@link PatchStitcher}.
 */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../core/tensor.js';
import { addBlocks, addOnes } from './scatter.js';

/** Result of a published reassembly: image = sum / (norm). */
export interface Reassembled {
  readonly image: ComplexImage;
  readonly sum: ComplexImage;
  /** The divisor, its epsilon included. */
  readonly norm: Tensor;
}

/**
 * `reassemble_position`: crops the central M×M of each patch, places it at its offset minus the mean offset on a canvas of
 * side M + 2·pad (pad = ⌈max|offset|⌉, made even), and divides the sum by Σ1 + 1e-9. Canvas index q is object pixel
 * q − side/2 + mean offset.
 *
 * @param patches (n, N, N)
 * @param offsetsXy 2·n numbers: x₀, y₀, x₁, … object pixels
 * @throws PtychoError CONFIG_INVALID unless M is a whole even number with 0 < M ≤ N
 */
export function reassemblePosition(
  patches: ComplexTensor,
  offsetsXy: ArrayLike<number>,
  cropSide: number,
): Reassembled {
  const [n, side] = patches.shape;
  if (!Number.isInteger(cropSide) || cropSide <= 0 || cropSide % 2 !== 0 || cropSide > side) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `Reassembly needs a whole even crop side M with 0 < M ≤ N, got M = ${cropSide} for N = ${side}.`,
      { key: 'M', found: cropSide, expected: `2 to ${side}, even` },
    );
  }
  const { x, y } = centred(offsetsXy, n);
  let pad = Math.ceil(Math.max(largest(x), largest(y)));
  if (pad % 2 !== 0) pad += 1;
  const canvas = cropSide + 2 * pad;
  const planes = new Planes(canvas, canvas);
  const skip = Math.floor(side / 2) - cropSide / 2;
  for (let k = 0; k < n; k++) {
    const offset = k * side * side + skip * side + skip;
    planes.add(pad + y[k], pad + x[k], patches.re, patches.im, offset, side, cropSide);
    addOnes(planes.weight, planes.stride, pad + y[k], pad + x[k], cropSide);
  }
  return planes.divide(1e-9);
}

/**
 * Barycentric accumulation: crops of side m are placed with bilinear weights at position − mean + ⌊canvas/2⌋ − m/2 on a
 * canvas of 2m + 2·⌈max|offset|⌉ pixels an axis, each pixel weighted by `weights` (|P|², say; ones when absent), and
 * divided by Σ weight + 1e-12. Every patch fits, none is dropped.
 *
 * @param patches (n, N, N)
 * @param positionsXy 2·n numbers: x₀, y₀, x₁, …
 * @param weights (m, m)
 */
export function reassembleBarycentric(
  patches: ComplexTensor,
  positionsXy: ArrayLike<number>,
  cropSide: number,
  weights?: Tensor,
): Reassembled {
  const [n, side] = patches.shape;
  const { x, y } = centred(positionsXy, n);
  const height = 2 * cropSide + 2 * Math.ceil(largest(y));
  const width = 2 * cropSide + 2 * Math.ceil(largest(x));
  const planes = new Planes(height, width);
  const area = cropSide * cropSide;
  const weight = weights?.data ?? new Float32Array(area).fill(1);
  const blockRe = new Float32Array(area);
  const blockIm = new Float32Array(area);
  const zeros = new Float32Array(area);
  const unused = new Float32Array(planes.weight.length); // the kernel works on pairs of planes
  const skip = Math.floor((side - cropSide) / 2);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < area; i++) {
      const from = k * side * side + (skip + Math.floor(i / cropSide)) * side + skip + (i % cropSide);
      blockRe[i] = weight[i] * patches.re[from];
      blockIm[i] = weight[i] * patches.im[from];
    }
    const top = y[k] + Math.floor(height / 2) - cropSide / 2;
    const left = x[k] + Math.floor(width / 2) - cropSide / 2;
    planes.add(top, left, blockRe, blockIm, 0, cropSide, cropSide);
    addBlocks(planes.weight, unused, planes.stride, top, left, weight, zeros, 0, cropSide, cropSide);
  }
  return planes.divide(1e-12);
}

/** Three accumulators with the spare row and column that the kernel asks for. */
class Planes {
  readonly stride: number;
  readonly re: Float32Array;
  readonly im: Float32Array;
  readonly weight: Float32Array;

  constructor(
    private readonly height: number,
    private readonly width: number,
  ) {
    this.stride = width + 1;
    const size = this.stride * (height + 1);
    this.re = new Float32Array(size);
    this.im = new Float32Array(size);
    this.weight = new Float32Array(size);
  }

  add(
    y: number,
    x: number,
    re: Float32Array,
    im: Float32Array,
    offset: number,
    blockStride: number,
    side: number,
  ): void {
    addBlocks(this.re, this.im, this.stride, y, x, re, im, offset, blockStride, side);
  }

  divide(epsilon: number): Reassembled {
    const shape = [this.height, this.width];
    const size = this.height * this.width;
    const image = { re: new Float32Array(size), im: new Float32Array(size), shape };
    const sum = { re: new Float32Array(size), im: new Float32Array(size), shape };
    const norm = { data: new Float32Array(size), shape };
    for (let i = 0; i < size; i++) {
      const from = Math.floor(i / this.width) * this.stride + (i % this.width);
      const divisor = this.weight[from] + epsilon;
      sum.re[i] = this.re[from];
      sum.im[i] = this.im[from];
      norm.data[i] = divisor;
      image.re[i] = this.re[from] / divisor;
      image.im[i] = this.im[from] / divisor;
    }
    return { image, sum, norm };
  }
}

function centred(xy: ArrayLike<number>, n: number): { x: Float64Array; y: Float64Array } {
  if (xy.length !== 2 * n) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${n} patches need ${2 * n} offsets (x and y of each), found ${xy.length}.`,
      {
        expected: 2 * n,
        found: xy.length,
      },
    );
  }
  const axis = (a: number) => {
    const values = Float64Array.from({ length: n }, (_, k) => xy[2 * k + a]);
    const mean = values.reduce((s, v) => s + v, 0) / n;
    return values.map((v) => v - mean);
  };
  return { x: axis(0), y: axis(1) };
}

const largest = (values: Float64Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
