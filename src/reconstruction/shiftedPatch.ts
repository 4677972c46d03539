/**
 * One patch as the frame's pixels see it: interpolated between its own pixels, with the weight that it has at each of them.
 * Shift-and-sum weights this way, and the spread of overlapping patches is measured on it.
 */
import { addBlock, addBlocks } from './scatter.js';

/** Scratch arrays for patches cropped to M×M; they reach over (M+1)×(M+1) frame pixels. */
export class ShiftedPatch {
  /** M + 1: rows and columns of the arrays. */
  readonly side: number;
  /** The interpolated patch; edge pixels, which only part of the patch reaches, are completed by its own edge. */
  readonly re: Float32Array;
  readonly im: Float32Array;
  /** Interpolated patch weight; times {@link cover} where no weights are given. 0: the patch does not reach this pixel. */
  readonly weight: Float32Array;
  /** How much of the pixel the patch reaches: 1 inside, less at its edges. */
  readonly cover: Float32Array;

  /** @param weights (M, M) of the cropped patch; evenly where not given */
  constructor(
    readonly cropSide: number,
    private readonly weights?: Float32Array,
  ) {
    this.side = cropSide + 1;
    const area = this.side ** 2;
    this.re = new Float32Array(area);
    this.im = new Float32Array(area);
    this.weight = new Float32Array(area);
    this.cover = new Float32Array(area);
  }

  /**
   * Moves a patch by the fractions (fy, fx) of a pixel.
   * @param offset, stride where the M×M block starts in its arrays, and the distance of their rows
   */
  load(re: Float32Array, im: Float32Array, offset: number, stride: number, fy: number, fx: number): void {
    const { side, cropSide } = this;
    this.re.fill(0);
    this.im.fill(0);
    addBlocks(this.re, this.im, side, fy, fx, re, im, offset, stride, cropSide);
    if (this.weights) {
      this.weight.fill(0);
      addBlock(this.weight, side, fy, fx, this.weights, cropSide);
    }
    for (let r = 0, i = 0; r < side; r++) {
      const row = r === 0 ? 1 - fy : r === cropSide ? fy : 1;
      for (let c = 0; c < side; c++, i++) {
        const cover = row * (c === 0 ? 1 - fx : c === cropSide ? fx : 1);
        this.cover[i] = cover;
        if (!this.weights) this.weight[i] = cover;
        if (cover === 1) continue;
        this.re[i] = cover > 0 ? this.re[i] / cover : 0;
        this.im[i] = cover > 0 ? this.im[i] / cover : 0;
      }
    }
  }
}
