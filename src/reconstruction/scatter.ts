/**
 * The bilinear kernel of all stitching: adds blocks of pixels to planes at a sub-pixel place.
 *
 * Written as the gather form of the four-tap scatter: each plane pixel is read and written once and takes its four block
 * pixels from registers and two adjacent rows, a quarter of the memory traffic of scattering tap by tap. Two planes (real
 * and imaginary part) share one pass, because index arithmetic and weights are the same.
 */

/**
 * plane[y + i, x + j] += block[i, j] for i, j < side, spread bilinearly, for a pair of planes and blocks.
 *
 * The planes must hold rows ⌊y⌋ … ⌊y⌋+side and columns ⌊x⌋ … ⌊x⌋+side; where the fraction is zero the last of them
 * receives zeros, so callers keep one spare row and column. Nothing is checked here.
 *
 * @param stride columns of a plane
 * @param offset, blockStride where the blocks start in their arrays, and the distance of their rows
 */
export function addBlocks(
  planeA: Float32Array,
  planeB: Float32Array,
  stride: number,
  y: number,
  x: number,
  blockA: Float32Array,
  blockB: Float32Array,
  offset: number,
  blockStride: number,
  side: number,
): void {
  const y0 = Math.floor(y);
  const x0 = Math.floor(x);
  const fy = y - y0;
  const fx = x - x0;
  const w00 = (1 - fy) * (1 - fx);
  const w01 = (1 - fy) * fx;
  const w10 = fy * (1 - fx);
  const w11 = fy * fx;
  const start = y0 * stride + x0;
  for (let i = 0; i <= side; i++) {
    let d = start + i * stride;
    let here = offset + i * blockStride;
    let leftA = 0;
    let leftB = 0;
    if (i === 0 || i === side) {
      // The first row has no row above it, the last none beside it: one row of taps only.
      const near = i === 0 ? w00 : w10;
      const far = i === 0 ? w01 : w11;
      if (i === side) here -= blockStride;
      for (const end = here + side; here < end; here++, d++) {
        const a = blockA[here];
        const b = blockB[here];
        planeA[d] += near * a + far * leftA;
        planeB[d] += near * b + far * leftB;
        leftA = a;
        leftB = b;
      }
      planeA[d] += far * leftA;
      planeB[d] += far * leftB;
      continue;
    }
    let above = here - blockStride;
    let aboveLeftA = 0;
    let aboveLeftB = 0;
    for (const end = here + side; here < end; here++, above++, d++) {
      const a = blockA[here];
      const b = blockB[here];
      const aboveA = blockA[above];
      const aboveB = blockB[above];
      planeA[d] += w00 * a + w01 * leftA + w10 * aboveA + w11 * aboveLeftA;
      planeB[d] += w00 * b + w01 * leftB + w10 * aboveB + w11 * aboveLeftB;
      leftA = a;
      leftB = b;
      aboveLeftA = aboveA;
      aboveLeftB = aboveB;
    }
    planeA[d] += w01 * leftA + w11 * aboveLeftA;
    planeB[d] += w01 * leftB + w11 * aboveLeftB;
  }
}

/** {@link addBlocks} for one plane and a whole block of side × side pixels. */
export function addBlock(
  plane: Float32Array,
  stride: number,
  y: number,
  x: number,
  block: Float32Array,
  side: number,
): void {
  const y0 = Math.floor(y);
  const x0 = Math.floor(x);
  const fy = y - y0;
  const fx = x - x0;
  const start = y0 * stride + x0;
  for (let i = 0; i <= side; i++) {
    // Beyond the block's rows there is nothing: the missing row takes part with weight 0.
    const here = Math.min(i, side - 1) * side;
    const above = Math.max(i - 1, 0) * side;
    const near = i < side ? 1 - fy : 0;
    const far = i > 0 ? fy : 0;
    let d = start + i * stride;
    let left = 0;
    for (let j = 0; j < side; j++, d++) {
      const column = near * block[here + j] + far * block[above + j];
      plane[d] += column + fx * (left - column);
      left = column;
    }
    plane[d] += fx * left;
  }
}

/** {@link addBlocks} for a block of ones: the weights that go with it. */
export function addOnes(plane: Float32Array, stride: number, y: number, x: number, side: number): void {
  const y0 = Math.floor(y);
  const x0 = Math.floor(x);
  const fy = y - y0;
  const fx = x - x0;
  const start = y0 * stride + x0;
  for (let i = 0; i <= side; i++) {
    const row = i === 0 ? 1 - fy : i === side ? fy : 1;
    let d = start + i * stride;
    plane[d++] += row * (1 - fx);
    for (const end = d + side - 1; d < end; d++) plane[d] += row;
    plane[d] += row * fx;
  }
}

/**
 * One patch as the frame's pixels see it: interpolated between its own pixels, with the weight that it has at each of them.
 * Shift-and-sum weights this way, and the spread of overlapping patches is measured on it. Scratch arrays for patches cropped to
 * M×M; they reach over (M+1)×(M+1) frame pixels.
 */
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
