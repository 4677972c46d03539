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
import {
  cropError,
  cutCentre,
  type Frame,
  frameForScan,
  holdsFrame,
  type ScanBounds,
  scanBounds,
  unionBounds,
  unionFrames,
} from './frame.js';
import { addBlock, addBlocks, addOnes, ShiftedPatch } from './scatter.js';
import { SpreadPlanes, type Uncertainty } from './spread.js';

/**
 * The two published ways of laying patches down; both place pixel N/2 of a patch on its position, and both are bilinear.
 *
 * - `shift-and-sum`: a patch is interpolated at the frame's pixels, and counts there by its interpolated weight;
 *   Σ w(q)·o(q) / (Σ w(q) + 1e-9).
 * - `barycentric`: every pixel of a patch, times its weight, is divided among the four frame pixels around it, and its weight
 *   likewise; Σ (w·o) / (Σ w + 1e-12).
 *
 * With even weights the two are the same sum in another order; with weights by the probe they differ where object and probe
 * both change from pixel to pixel.
 */
export type StitchingRule = 'shift-and-sum' | 'barycentric';

/** Added to the weight before division, so that nothing divides by zero. */
const TINY: Readonly<Record<StitchingRule, number>> = { 'shift-and-sum': 1e-9, barycentric: 1e-12 };

/** A growing canvas gets this many pixels more than it needs on the side where it grows, so that it seldom moves. */
const ROOM_PX = 64;

/** A stitched image and how it came about. */
export interface StitchedImage {
  /** Σ weight·patch / Σ weight; zero where no patch lies. */
  readonly image: ComplexImage;
  /** How many patches cover a pixel, fractional at patch edges. */
  readonly overlapCount: Tensor;
  /** Σ weight: the same as `overlapCount` where patches count evenly. */
  readonly weight: Tensor;
  readonly frame: Frame;
  /** Patches in the image: all that were added, since none is ever left out. */
  readonly patches: number;
  /** Share of the frame's pixels that some patch covers, 0 … 1. */
  readonly coverage: number;
  /** How far the patches at a pixel disagree; only where it was asked for. */
  readonly uncertainty?: Uncertainty;
}

/** Choices of a {@link PatchStitcher}. */
export interface StitcherOptions {
  /** `shift-and-sum` where not given. */
  readonly rule?: StitchingRule;
  /** (N, N), not negative: how much each pixel of a patch counts, by its illumination for instance; evenly where not given. */
  readonly patchWeights?: Tensor;
  /** Also keep account of how far overlapping patches disagree. */
  readonly uncertainty?: boolean;
  /** Patches may lie outside the bounds: the canvas grows with them. Where not given, such a patch is refused. */
  readonly grow?: boolean;
}

/** What a stitcher was given, as sums over a part of the frame. */
export interface PartialCanvas {
  readonly frame: Frame;
  /** (height + 1, width + 1) each, as {@link PatchStitcher} keeps them. */
  readonly planes: readonly (Float32Array | Uint32Array)[];
  readonly patches: number;
}

/** The accumulators; all have `stride` columns. */
interface Planes {
  /** Object pixel of plane element 0, and the size without the spare row and column. */
  readonly frame: Frame;
  /** One spare row and column take the zero-weight taps of positions that lie on whole pixels. */
  readonly stride: number;
  readonly re: Float32Array;
  readonly im: Float32Array;
  readonly weight: Float32Array;
  /** Patches at a pixel; the same plane as `weight` where patches count evenly. */
  readonly count: Float32Array;
  readonly spread?: SpreadPlanes;
}

/**
 * Adds up patches as they come, in memory that depends on the frame only. Pixel N/2 of a patch lies on its position; of
 * each patch the central M×M pixels count.
 */
export class PatchStitcher {
  readonly rule: StitchingRule;
  private planes: Planes;
  /** Extreme positions that the frame is for: those announced, or those seen. */
  private bounds: ScanBounds;
  private readonly grow: boolean;
  /** Patch weights, cut to M×M, and scratch blocks for them. */
  private readonly weighting?: { readonly block: Float32Array; readonly re: Float32Array; readonly im: Float32Array };
  private readonly shifted: ShiftedPatch;
  private patches = 0;

  /**
   * @param bounds extreme positions of all patches to come; the frame is sized so that every one of them fits
   * @param cropSide M, the side of the central square that is used of each patch
   * @throws PtychoError CONFIG_INVALID unless M is a positive whole number, DATASET_VALUE for a frame beyond memory
   */
  constructor(
    bounds: ScanBounds,
    readonly cropSide: number,
    options: StitcherOptions = {},
  ) {
    if (!Number.isInteger(cropSide) || cropSide <= 0) throw cropError(cropSide, 'N');
    const { rule = 'shift-and-sum', patchWeights, uncertainty = false, grow = false } = options;
    this.rule = rule;
    this.bounds = bounds;
    this.grow = grow;
    const block = patchWeights && cutCentre(patchWeights, cropSide);
    if (block) {
      this.weighting = { block, re: new Float32Array(cropSide ** 2), im: new Float32Array(cropSide ** 2) };
    }
    this.shifted = new ShiftedPatch(cropSide, block);
    this.planes = makePlanes(frameForScan(bounds, cropSide), block !== undefined, uncertainty);
  }

  /** The frame of the image as it is now. */
  get frame(): Frame {
    return frameForScan(this.bounds, this.cropSide);
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
    const { cropSide } = this;
    if (cropSide > side) throw cropError(cropSide, side);
    const area = side * side;
    if (re.length < count * area || im.length < count * area || xs.length < count || ys.length < count) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${count} patches of ${side}×${side} pixels need as many values and positions; found ${re.length} real and ${im.length} imaginary values, ${xs.length} x and ${ys.length} y coordinates.`,
        { count, side, re: re.length, im: im.length, xs: xs.length, ys: ys.length },
      );
    }
    if (count === 0) return;
    if (this.grow) this.makeRoom(count, xs, ys);
    else this.requireInside(count, xs, ys);
    const half = Math.floor(cropSide / 2);
    const skip = Math.floor(side / 2) - half;
    const inset = skip * side + skip;
    const [top, left] = this.planes.frame.originYxPx;
    for (let k = 0; k < count; k++) {
      this.addPatch(ys[k] - half - top, xs[k] - half - left, re, im, k * area + inset, side);
    }
    this.patches += count;
  }

  /** Adds the M×M block at `offset` with its first pixel at plane row y, column x. */
  private addPatch(y: number, x: number, re: Float32Array, im: Float32Array, offset: number, side: number): void {
    const { cropSide, weighting, shifted, planes } = this;
    const { stride, spread } = planes;
    const interpolate = weighting !== undefined && this.rule === 'shift-and-sum';
    const [row, column] = [Math.floor(y), Math.floor(x)];
    if (spread || interpolate) shifted.load(re, im, offset, side, y - row, x - column);
    spread?.add(shifted, row * stride + column, stride);
    if (interpolate) {
      addShifted(planes, shifted, row * stride + column);
    } else if (weighting) {
      weigh(weighting, cropSide, re, im, offset, side);
      addBlocks(planes.re, planes.im, stride, y, x, weighting.re, weighting.im, 0, cropSide, cropSide);
      addBlock(planes.weight, stride, y, x, weighting.block, cropSide);
    } else {
      addBlocks(planes.re, planes.im, stride, y, x, re, im, offset, side, cropSide);
    }
    addOnes(planes.count, stride, y, x, cropSide);
  }

  /** The image of all patches added so far; more may be added afterwards. */
  finish(): StitchedImage {
    const { planes, frame } = this;
    const { height, width } = frame;
    const shape = [height, width];
    const plane = () => ({ data: new Float32Array(height * width), shape });
    const image = { re: new Float32Array(height * width), im: new Float32Array(height * width), shape };
    const weights = plane();
    const counts = this.weighting ? plane() : weights;
    const uncertainty = planes.spread && { amplitude: plane(), phase: plane() };
    const tiny = TINY[this.rule];
    const skipRows = frame.originYxPx[0] - planes.frame.originYxPx[0];
    const skipColumns = frame.originYxPx[1] - planes.frame.originYxPx[1];
    let covered = 0;
    for (let r = 0; r < height; r++) {
      let from = (r + skipRows) * planes.stride + skipColumns;
      for (let c = 0, to = r * width; c < width; c++, from++, to++) {
        const weight = planes.weight[from];
        counts.data[to] = planes.count[from];
        if (uncertainty) {
          const spread = planes.spread!.at(from);
          uncertainty.amplitude.data[to] = spread.amplitude;
          uncertainty.phase.data[to] = spread.phase;
        }
        if (weight === 0) continue;
        covered++;
        weights.data[to] = weight;
        image.re[to] = planes.re[from] / (weight + tiny);
        image.im[to] = planes.im[from] / (weight + tiny);
      }
    }
    const coverage = covered / (height * width);
    return { image, overlapCount: counts, weight: weights, frame, patches: this.patches, coverage, uncertainty };
  }

  /** All that was added so far, as another stitcher of the same kind can take it. Its planes are those of this one. */
  partial(): PartialCanvas {
    return { frame: this.planes.frame, planes: arraysOf(this.planes), patches: this.patches };
  }

  /**
   * Adds what another stitcher was given, with the same crop, rule, weights and `uncertainty`.
   * @throws PtychoError DATASET_SHAPE for a canvas that is none of such a stitcher, or lies outside this one
   */
  addPartial({ frame, planes, patches }: PartialCanvas): void {
    const { planes: own } = this;
    const size = (frame.height + 1) * (frame.width + 1);
    const targets = arraysOf(own);
    if (!holdsFrame(own.frame, frame) || planes.length !== targets.length || planes.some((p) => p.length !== size)) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `A part of ${planes.length} planes, ${frame.height}×${frame.width} pixels from (${frame.originYxPx}) on, is none of a canvas of ${targets.length} planes, ${own.frame.height}×${own.frame.width} pixels from (${own.frame.originYxPx}) on.`,
        { found: planes.length, expected: targets.length },
      );
    }
    const [down, right] = [0, 1].map((axis) => frame.originYxPx[axis] - own.frame.originYxPx[axis]);
    const plain = targets.length - (own.spread?.planes.length ?? 0);
    const spread = planes.slice(plain);
    for (let r = 0, i = 0; r <= frame.height; r++) {
      for (let c = 0, d = (r + down) * own.stride + right; c <= frame.width; c++, d++, i++) {
        for (let p = 0; p < plain; p++) targets[p][d] += planes[p][i];
        own.spread?.addSums(d, spread, i);
      }
    }
    this.patches += patches;
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

  /** Widens bounds and canvas to hold the first `count` positions. */
  private makeRoom(count: number, xs: ArrayLike<number>, ys: ArrayLike<number>): void {
    const first = (values: ArrayLike<number>) => Float64Array.from({ length: count }, (_, k) => values[k]);
    const seen = scanBounds(first(xs), first(ys));
    const bounds = unionBounds(this.bounds, seen);
    const { frame, spread } = this.planes;
    if (!holdsFrame(frame, frameForScan(bounds, this.cropSide))) {
      const { bounds: old } = this;
      const room = (grown: boolean) => (grown ? ROOM_PX : 0);
      const roomy = {
        xMin: bounds.xMin - room(bounds.xMin < old.xMin),
        xMax: bounds.xMax + room(bounds.xMax > old.xMax),
        yMin: bounds.yMin - room(bounds.yMin < old.yMin),
        yMax: bounds.yMax + room(bounds.yMax > old.yMax),
      };
      const wanted = unionFrames(frame, frameForScan(roomy, this.cropSide));
      this.planes = moved(this.planes, makePlanes(wanted, this.weighting !== undefined, spread !== undefined));
    }
    this.bounds = bounds;
  }
}

function makePlanes(frame: Frame, weighted: boolean, uncertainty: boolean): Planes {
  const stride = frame.width + 1;
  const size = stride * (frame.height + 1);
  const weight = new Float32Array(size);
  return {
    frame,
    stride,
    re: new Float32Array(size),
    im: new Float32Array(size),
    weight,
    count: weighted ? new Float32Array(size) : weight,
    spread: uncertainty ? new SpreadPlanes(size) : undefined,
  };
}

/** Every accumulator once. */
const arraysOf = ({ re, im, weight, count, spread }: Planes): readonly (Float32Array | Uint32Array)[] => [
  ...[re, im, weight],
  ...(count === weight ? [] : [count]),
  ...(spread?.planes ?? []),
];

/** The contents of `from` on the larger canvas `to`. */
function moved(from: Planes, to: Planes): Planes {
  const down = from.frame.originYxPx[0] - to.frame.originYxPx[0];
  const right = from.frame.originYxPx[1] - to.frame.originYxPx[1];
  const [sources, targets] = [arraysOf(from), arraysOf(to)];
  for (let r = 0; r <= from.frame.height; r++) {
    const [source, target] = [r * from.stride, (r + down) * to.stride + right];
    sources.forEach((array, i) => {
      targets[i].set(array.subarray(source, source + from.stride), target);
    });
  }
  return to;
}

/** Interpolated patch times interpolated weight. */
function addShifted(planes: Planes, patch: ShiftedPatch, start: number): void {
  const { side, re, im, weight } = patch;
  for (let r = 0, i = 0; r < side; r++) {
    for (let c = 0, d = start + r * planes.stride; c < side; c++, d++, i++) {
      const w = weight[i];
      planes.re[d] += w * re[i];
      planes.im[d] += w * im[i];
      planes.weight[d] += w;
    }
  }
}

/** Patch times weight, pixel by pixel, into the scratch blocks. */
function weigh(
  { block, re: scratchRe, im: scratchIm }: { block: Float32Array; re: Float32Array; im: Float32Array },
  cropSide: number,
  re: Float32Array,
  im: Float32Array,
  offset: number,
  side: number,
): void {
  for (let i = 0, to = 0; i < cropSide; i++) {
    for (let from = offset + i * side, end = from + cropSide; from < end; from++, to++) {
      const w = block[to];
      scratchRe[to] = w * re[from];
      scratchIm[to] = w * im[from];
    }
  }
}
