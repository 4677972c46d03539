/**
 * From patches to one image: shift-and-sum with bilinear weights on a canvas with an explicit frame.
 *
 * @example
 * const stitcher = new PatchStitcher(scanBounds(xs, ys), 20);
 * stitcher.add(re, im, count, 64, xs, ys); // as often as there are batches
 * const { image, overlapCount, frame } = stitcher.finish();
 */
import { PtychoError } from '../core/errors.js';
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { type Frame, frameForScan, type ScanBounds } from './frame.js';
import { addBlock, addBlocks, addOnes } from './scatter.js';

/** Added to the weight before division, so that nothing divides by zero. */
const TINY = 1e-9;

/** A stitched image and how it came about. */
export interface StitchedImage {
  /** Σ weight·patch / Σ weight; zero where no patch lies. */
  readonly image: ComplexImage;
  /** How many patches cover a pixel, fractional at patch edges. */
  readonly overlapCount: Tensor;
  /** Σ weight: the same as `overlapCount` where patches count evenly. */
  readonly weight: Tensor;
  readonly frame: Frame;
  /** Patches added so far. */
  readonly patches: number;
  /** Share of the frame's pixels that some patch covers, 0 … 1. */
  readonly coverage: number;
}

/**
 * Adds up patches as they come, in memory that depends on the frame only. Pixel N/2 of a patch lies on its position; of
 * each patch the central M×M pixels count.
 */
export class PatchStitcher {
  readonly frame: Frame;
  private readonly stride: number;
  private readonly re: Float32Array;
  private readonly im: Float32Array;
  private readonly weight: Float32Array;
  /** Patch weights, cut to M×M, and what they need: scratch blocks and a plane that counts patches. */
  private readonly weighting?: {
    readonly block: Float32Array;
    readonly re: Float32Array;
    readonly im: Float32Array;
    readonly count: Float32Array;
  };
  private patches = 0;

  /**
   * @param bounds extreme positions of all patches to come; the frame is sized so that every one of them fits
   * @param cropSide M, the side of the central square that is used of each patch
   * @param patchWeights (N, N), not negative: how much each pixel of a patch counts, by its illumination for instance;
   * evenly where not given
   * @throws PtychoError CONFIG_INVALID unless M is a positive whole number, DATASET_VALUE for a frame beyond memory
   */
  constructor(
    private readonly bounds: ScanBounds,
    readonly cropSide: number,
    patchWeights?: Tensor,
  ) {
    if (!Number.isInteger(cropSide) || cropSide <= 0) throw cropError(cropSide, 'N');
    this.frame = frameForScan(bounds, cropSide);
    // One spare row and column take the zero-weight taps of positions that lie on whole pixels.
    this.stride = this.frame.width + 1;
    const size = this.stride * (this.frame.height + 1);
    this.re = new Float32Array(size);
    this.im = new Float32Array(size);
    this.weight = new Float32Array(size);
    if (patchWeights) {
      const area = cropSide * cropSide;
      this.weighting = {
        block: cutCentre(patchWeights, cropSide),
        re: new Float32Array(area),
        im: new Float32Array(area),
        count: new Float32Array(size),
      };
    }
  }

  /**
   * Adds the first `count` patches of (≥ count, N, N) arrays at positions xs, ys (object pixels).
   * @throws PtychoError CONFIG_INVALID when M > N, DATASET_SHAPE for arrays too short, DATASET_VALUE for a position
   * outside the bounds; then none of the patches is added
   */
  add(
    re: Float32Array,
    im: Float32Array,
    count: number,
    side: number,
    xs: ArrayLike<number>,
    ys: ArrayLike<number>,
  ): void {
    const { cropSide, stride } = this;
    if (cropSide > side) throw cropError(cropSide, side);
    const area = side * side;
    if (re.length < count * area || im.length < count * area || xs.length < count || ys.length < count) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${count} patches of ${side}×${side} pixels need as many values and positions; found ${re.length} real and ${im.length} imaginary values, ${xs.length} x and ${ys.length} y coordinates.`,
        { count, side, re: re.length, im: im.length, xs: xs.length, ys: ys.length },
      );
    }
    this.requireInside(count, xs, ys);
    const skip = Math.floor(side / 2) - Math.floor(cropSide / 2);
    const inset = skip * side + skip;
    const half = Math.floor(cropSide / 2);
    const [top, left] = this.frame.originYxPx;
    for (let k = 0; k < count; k++) {
      const y = ys[k] - half - top;
      const x = xs[k] - half - left;
      const offset = k * area + inset;
      if (this.weighting) {
        this.addWeighted(y, x, re, im, offset, side);
      } else {
        addBlocks(this.re, this.im, stride, y, x, re, im, offset, side, cropSide);
        addOnes(this.weight, stride, y, x, cropSide);
      }
    }
    this.patches += count;
  }

  private addWeighted(y: number, x: number, re: Float32Array, im: Float32Array, offset: number, side: number): void {
    const { cropSide, stride, weighting } = this;
    if (!weighting) return;
    const { block, re: scratchRe, im: scratchIm } = weighting;
    for (let i = 0, to = 0; i < cropSide; i++) {
      for (let from = offset + i * side, end = from + cropSide; from < end; from++, to++) {
        const w = block[to];
        scratchRe[to] = w * re[from];
        scratchIm[to] = w * im[from];
      }
    }
    addBlocks(this.re, this.im, stride, y, x, scratchRe, scratchIm, 0, cropSide, cropSide);
    addBlock(this.weight, stride, y, x, block, cropSide);
    addOnes(weighting.count, stride, y, x, cropSide);
  }

  /** The image of all patches added so far; more may be added afterwards. */
  finish(): StitchedImage {
    const { height, width } = this.frame;
    const image = {
      re: new Float32Array(height * width),
      im: new Float32Array(height * width),
      shape: [height, width],
    };
    const weights = { data: new Float32Array(height * width), shape: [height, width] };
    const counts = this.weighting && { data: new Float32Array(height * width), shape: [height, width] };
    let covered = 0;
    for (let r = 0; r < height; r++) {
      for (let c = 0, from = r * this.stride, to = r * width; c < width; c++, from++, to++) {
        const weight = this.weight[from];
        if (counts && this.weighting) counts.data[to] = this.weighting.count[from];
        if (weight === 0) continue;
        covered++;
        weights.data[to] = weight;
        image.re[to] = this.re[from] / (weight + TINY);
        image.im[to] = this.im[from] / (weight + TINY);
      }
    }
    return {
      image,
      overlapCount: counts ?? weights,
      weight: weights,
      frame: this.frame,
      patches: this.patches,
      coverage: covered / (height * width),
    };
  }

  private requireInside(count: number, xs: ArrayLike<number>, ys: ArrayLike<number>): void {
    const { xMin, xMax, yMin, yMax } = this.bounds;
    for (let k = 0; k < count; k++) {
      // Written so that NaN fails too.
      if (!(xs[k] >= xMin && xs[k] <= xMax && ys[k] >= yMin && ys[k] <= yMax)) {
        throw new PtychoError(
          'DATASET_VALUE',
          `Patch ${this.patches + k} lies at (x ${xs[k]}, y ${ys[k]}), outside the bounds of the scan (x ${xMin} to ${xMax}, y ${yMin} to ${yMax}) that the canvas was made for.`,
          { index: this.patches + k, bounds: this.bounds },
        );
      }
    }
  }
}

/** The central M×M of an (N, N) array. */
function cutCentre({ data, shape }: Tensor, cropSide: number): Float32Array {
  const side = shape[0];
  if (cropSide > side) throw cropError(cropSide, side);
  const skip = Math.floor(side / 2) - Math.floor(cropSide / 2);
  const out = new Float32Array(cropSide * cropSide);
  for (let i = 0; i < cropSide; i++) {
    const from = (skip + i) * side + skip;
    out.set(data.subarray(from, from + cropSide), i * cropSide);
  }
  return out;
}

function cropError(cropSide: number, side: number | string): PtychoError {
  return new PtychoError(
    'CONFIG_INVALID',
    `Stitching uses the central M×M pixels of each N×N patch, so M must be a whole number with 0 < M ≤ N; got M = ${cropSide}, N = ${side}.`,
    { key: 'M', found: cropSide, expected: `1 to ${side}` },
  );
}
