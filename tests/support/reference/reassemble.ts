/**
 * Published reassembly rules on the stitching kernel, for parity: their canvases are not tied to object pixels. New work
 * uses `PatchStitcher`.
 */
import { PtychoError } from '../../../src/core/errors.js';
import type { ComplexImage, ComplexTensor, Tensor } from '../../../src/core/tensor.js';
import { addBlocks, addOnes } from '../../../src/reconstruction/scatter.js';

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
 * Barycentric accumulation on a given canvas: pixel (m/2, m/2) of each patch is placed bilinearly on its position, each
 * pixel weighted by `weights` (|P|², say; ones when absent). image = sum / (Σ weight + 1e-12).
 *
 * @param patches (n, m, m)
 * @param positionsXy 2·n numbers in canvas pixels: x₀, y₀, x₁, …
 * @param weights (m, m)
 * @throws PtychoError DATASET_VALUE for a patch that does not fit on the canvas: none is dropped silently
 */
export function accumulateBarycentric(
  patches: ComplexTensor,
  positionsXy: ArrayLike<number>,
  canvas: { readonly height: number; readonly width: number },
  weights?: Tensor,
): Reassembled {
  const [n, side] = patches.shape;
  requireOffsets(positionsXy, n);
  const planes = new Planes(canvas.height, canvas.width);
  const area = side * side;
  const weight = weights?.data ?? new Float32Array(area).fill(1);
  const block = { re: new Float32Array(area), im: new Float32Array(area), zeros: new Float32Array(area) };
  const unused = new Float32Array(planes.weight.length); // the kernel works on pairs of planes
  for (let k = 0; k < n; k++) {
    const left = positionsXy[2 * k] - side / 2;
    const top = positionsXy[2 * k + 1] - side / 2;
    if (!(left >= 0 && top >= 0 && left + side <= canvas.width && top + side <= canvas.height)) {
      throw new PtychoError(
        'DATASET_VALUE',
        `Patch ${k} of ${side}×${side} pixels at (x ${positionsXy[2 * k]}, y ${positionsXy[2 * k + 1]}) does not fit on a canvas of ${canvas.height}×${canvas.width}; enlarge the canvas.`,
        { index: k, canvas },
      );
    }
    for (let i = 0; i < area; i++) {
      block.re[i] = weight[i] * patches.re[k * area + i];
      block.im[i] = weight[i] * patches.im[k * area + i];
    }
    planes.add(top, left, block.re, block.im, 0, side, side);
    addBlocks(planes.weight, unused, planes.stride, top, left, weight, block.zeros, 0, side, side);
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
  requireOffsets(xy, n);
  const axis = (a: number) => {
    const values = Float64Array.from({ length: n }, (_, k) => xy[2 * k + a]);
    const mean = values.reduce((s, v) => s + v, 0) / n;
    return values.map((v) => v - mean);
  };
  return { x: axis(0), y: axis(1) };
}

function requireOffsets(xy: ArrayLike<number>, n: number): void {
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
}

const largest = (values: Float64Array): number => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
