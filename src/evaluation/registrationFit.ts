/**
 * The sub-pixel part of a registration: least squares over the overlap.
 *
 * Minimises Σ |fixed(x) − s·e^{i·ramp(x)}·moving(x − t)|² over the shift t, the complex factor s and the phase ramp. Both images are
 * smoothed first, by less than a resolution element: what is interpolated then has no detail that interpolation could change, which
 * would draw the result towards certain shifts.
 */
import { solvePositive } from '../core/cholesky.js';
import { gaussianBlur } from '../physics/gaussian.js';
import { imageSides } from '../physics/sampling.js';
import { KERNEL_RADIUS, shiftByKernel } from '../physics/shiftByKernel.js';
import { bestScale, conjugateProduct } from './align.js';
import type { EvaluatedImage } from './images.js';
import { fitRamp, type PhaseRamp, removeRamp } from './phase.js';

type Image64 = ReturnType<typeof removeRamp>;

/** The end of a fit. */
export interface FittedShift {
  readonly shiftYx: readonly [number, number];
  /** Modulus of the normalised complex correlation over the overlap, means included: 1 for equal images. */
  readonly correlation: number;
  readonly pixels: number;
  readonly converged: boolean;
}

const SMOOTH_PX = 1;
/** Fewer pixels than this say nothing about parts of one. */
const LEAST_PIXELS = 100;
/** A fit that goes further than this from the whole-pixel shift has lost its way. */
const REACH_PX = 3;

/**
 * Fits the shift of `moving` near a whole-pixel one; undefined where the overlap is too small for it.
 * @param masks pixels that count, of each image
 */
export function fitShift(
  fixed: EvaluatedImage,
  moving: EvaluatedImage,
  masks: { readonly fixed: Uint8Array; readonly moving: Uint8Array },
  start: readonly [number, number],
): FittedShift | undefined {
  const [down, right] = start;
  const [rows, cols] = imageSides(fixed);
  const [movingRows, movingCols] = imageSides(moving);
  const top = Math.max(0, down);
  const left = Math.max(0, right);
  const height = Math.min(rows, movingRows + down) - top;
  const width = Math.min(cols, movingCols + right) - left;
  if (height * width < LEAST_PIXELS) return undefined;
  const a = maskedCut(fixed, masks.fixed, top, left, height, width);
  const b = maskedCut(moving, masks.moving, top - down, left - right, height, width);
  const counts = a.mask.map((v, i) => v & b.mask[i]);
  // Smoothing and interpolation reach this far; nearer to what is not known they invent.
  const margin = widestMargin(counts, height, width);
  if (margin === undefined) return undefined;
  const inner = eroded(counts, height, width, margin);

  // Both leave their ramps, so that smoothing meets them about zero frequency.
  const common = fitRamp(a.image);
  const level = removeRamp(a.image, common);
  const relative = fitRamp(conjugateProduct(a.image, b.image, counts));
  const turned = removeRamp(b.image, { x: common.x + relative.x, y: common.y + relative.y });
  const target = smoothed(level);
  return leastSquares(target, smoothed(turned), inner, start);
}

/** What a fit has come to: the moving image, moved by `shift`, times `scale`·e^{i·ramp}. */
interface Parameters {
  readonly shift: readonly [number, number];
  readonly ramp: PhaseRamp;
  readonly scale: { readonly re: number; readonly im: number };
}

/**
 * Levenberg and Marquardt's way to the least squares: images that differ (one smoother than the other, say) leave large residuals, under
 * which plain Gauss–Newton steps may circle round the minimum.
 */
function leastSquares(
  target: Image64,
  source: Image64,
  mask: Uint8Array,
  start: readonly [number, number],
): FittedShift {
  let at: Parameters = {
    shift: [0, 0],
    ramp: { x: 0, y: 0 },
    scale: bestScale(source, target, mask) ?? { re: 1, im: 0 },
  };
  let here = linearised(target, source, mask, at);
  let damping = 1e-3;
  let converged = false;
  for (let pass = 0; pass < 60 && !converged; pass++) {
    const step = solveNormal(here.system, damping);
    if (!step) break;
    const next = stepped(at, step);
    if (Math.hypot(...next.shift) > REACH_PX) {
      damping *= 8;
      if (damping > 1e8) break;
      continue;
    }
    const there = linearised(target, source, mask, next);
    const moved = Math.hypot(next.shift[0] - at.shift[0], next.shift[1] - at.shift[1]);
    if (there.cost <= here.cost) {
      // A step that was held back says nothing about how near the minimum is.
      converged = moved < 1e-4 && (damping < 1 || here.cost - there.cost <= 1e-9 * here.cost);
      [at, here] = [next, there];
      damping = Math.max(damping / 8, 1e-9);
    } else {
      converged = moved < 1e-5;
      damping *= 8;
    }
  }
  const pixels = mask.reduce((n, v) => n + v, 0);
  const [ty, tx] = at.shift;
  return { shiftYx: [start[0] + ty, start[1] + tx], correlation: here.correlation, pixels, converged };
}

function stepped({ shift, ramp, scale }: Parameters, step: Float64Array): Parameters {
  // A step of more than half a pixel is beyond what the derivatives know.
  const damp = Math.min(1, 0.5 / Math.max(Math.abs(step[0]), Math.abs(step[1]), 1e-12));
  const [gain, turn] = [1 + damp * step[2], damp * step[3]];
  return {
    shift: [shift[0] + damp * step[0], shift[1] + damp * step[1]],
    ramp: { x: ramp.x + damp * step[4], y: ramp.y + damp * step[5] },
    scale: { re: scale.re * gain - scale.im * turn, im: scale.re * turn + scale.im * gain },
  };
}

/** Places of the sums in what {@link addRow} adds to: products of the moved image m, its slopes a and b, and the residual. */
const AT = {
  ...{ aa: 0, ab: 1, bb: 2, mm: 3, xmm: 4, xxmm: 5, ma: 6, mb: 7, maTurned: 8, mbTurned: 9, xma: 10, xmb: 11 },
  ...{ ra: 12, rb: 13, rm: 14, rmTurned: 15, xrm: 16, cost: 17, cross: 18, crossIm: 19, targetPower: 20, count: 21 },
} as const;

/** One row: the target, the moved image and where both count; `start` is its first pixel. */
interface FitRow {
  readonly target: Image64;
  readonly moved: Image64;
  readonly mask: Uint8Array;
  readonly start: number;
  readonly cols: number;
}

/**
 * Sums over a row, with e^{i·ramp} along it and the factor of the row, (re, im). A function of its own, called for every row, so that
 * the engine makes machine code of it at once.
 */
function addRow(
  sums: Float64Array,
  { target, moved: { re, im }, mask, start, cols }: FitRow,
  along: { readonly re: Float64Array; readonly im: Float64Array },
  rowRe: number,
  rowIm: number,
): void {
  const midC = (cols - 1) / 2;
  let [aa, ab, bb, mm, xmm, xxmm] = [0, 0, 0, 0, 0, 0];
  let [ma, mb, maTurned, mbTurned, xma, xmb] = [0, 0, 0, 0, 0, 0];
  let [ra, rb, rm, rmTurned, xrm, cost] = [0, 0, 0, 0, 0, 0];
  let [cross, crossIm, targetPower] = [0, 0, 0];
  for (let c = 1; c < cols - 1; c++) {
    const i = start + c;
    if (!mask[i]) continue;
    const x = c - midC;
    const fr = rowRe * along.re[c] - rowIm * along.im[c];
    const fi = rowRe * along.im[c] + rowIm * along.re[c];
    const mRe = re[i] * fr - im[i] * fi;
    const mIm = re[i] * fi + im[i] * fr;
    const downRe = (re[i + cols] - re[i - cols]) / 2;
    const downIm = (im[i + cols] - im[i - cols]) / 2;
    const aRe = downRe * fr - downIm * fi;
    const aIm = downRe * fi + downIm * fr;
    const rightRe = (re[i + 1] - re[i - 1]) / 2;
    const rightIm = (im[i + 1] - im[i - 1]) / 2;
    const bRe = rightRe * fr - rightIm * fi;
    const bIm = rightRe * fi + rightIm * fr;
    const tRe = target.re[i];
    const tIm = target.im[i];
    const restRe = tRe - mRe;
    const restIm = tIm - mIm;
    const power = mRe * mRe + mIm * mIm;
    const aTurned = mRe * aIm - mIm * aRe;
    const bTurned = mRe * bIm - mIm * bRe;
    const restTurned = mRe * restIm - mIm * restRe;
    aa += aRe * aRe + aIm * aIm;
    ab += aRe * bRe + aIm * bIm;
    bb += bRe * bRe + bIm * bIm;
    mm += power;
    xmm += x * power;
    xxmm += x * x * power;
    ma += mRe * aRe + mIm * aIm;
    mb += mRe * bRe + mIm * bIm;
    maTurned += aTurned;
    mbTurned += bTurned;
    xma += x * aTurned;
    xmb += x * bTurned;
    ra += aRe * restRe + aIm * restIm;
    rb += bRe * restRe + bIm * restIm;
    rm += mRe * restRe + mIm * restIm;
    rmTurned += restTurned;
    xrm += x * restTurned;
    cost += restRe * restRe + restIm * restIm;
    cross += tRe * mRe + tIm * mIm;
    crossIm += tIm * mRe - tRe * mIm;
    targetPower += tRe * tRe + tIm * tIm;
  }
  const found = { aa, ab, bb, mm, xmm, xxmm, ma, mb, maTurned, mbTurned, xma, xmb, ra, rb, rm, rmTurned, xrm, cost, cross, crossIm, targetPower }; // biome-ignore format: one list
  for (const [name, value] of Object.entries(found)) sums[AT[name as keyof typeof found]] = value;
}

/** The equations for the next step, and how well the parameters do. */
function linearised(target: Image64, source: Image64, mask: Uint8Array, { shift, ramp, scale }: Parameters) {
  const [rows, cols] = imageSides(target);
  const moved = shiftByKernel(source, shift);
  const along = unitTurns(cols, ramp.x, (cols - 1) / 2);
  const down = unitTurns(rows, ramp.y, (rows - 1) / 2);
  const row = new Float64Array(AT.count);
  const total = new Float64Array(AT.count);
  let [ymm, yymm, xymm, yma, ymb, yrm] = [0, 0, 0, 0, 0, 0];
  for (let r = 1; r < rows - 1; r++) {
    const y = r - (rows - 1) / 2;
    const rowRe = scale.re * down.re[r] - scale.im * down.im[r];
    const rowIm = scale.re * down.im[r] + scale.im * down.re[r];
    addRow(row, { target, moved, mask, start: r * cols, cols }, along, rowRe, rowIm);
    for (let k = 0; k < AT.count; k++) total[k] += row[k];
    ymm += y * row[AT.mm];
    yymm += y * y * row[AT.mm];
    xymm += y * row[AT.xmm];
    yma += y * row[AT.maTurned];
    ymb += y * row[AT.mbTurned];
    yrm += y * row[AT.rmTurned];
  }
  const of = (name: Exclude<keyof typeof AT, 'count'>) => total[AT[name]];
  // Unknowns: t_y, t_x, log scale (real, imaginary), ramp x, ramp y. Their derivatives are −a, −b, m, i·m, i·x·m and i·y·m.
  const lower = [
    [of('aa')],
    [of('ab'), of('bb')],
    [-of('ma'), -of('mb'), of('mm')],
    [-of('maTurned'), -of('mbTurned'), 0, of('mm')],
    [-of('xma'), -of('xmb'), 0, of('xmm'), of('xxmm')],
    [-yma, -ymb, 0, ymm, xymm, yymm],
  ];
  const system: NormalEquations = {
    lower,
    right: [-of('ra'), -of('rb'), of('rm'), of('rmTurned'), of('xrm'), yrm],
  };
  const powers =
    of('mm') > 0 && of('targetPower') > 0 ? Math.sqrt(of('mm') * of('targetPower')) : Number.POSITIVE_INFINITY;
  return { system, cost: of('cost'), correlation: Math.hypot(of('cross'), of('crossIm')) / powers };
}

/** e^{i·slope·(k − middle)} for k = 0 … n − 1. */
function unitTurns(n: number, slope: number, middle: number): { readonly re: Float64Array; readonly im: Float64Array } {
  const angles = Float64Array.from({ length: n }, (_, k) => slope * (k - middle));
  return { re: angles.map(Math.cos), im: angles.map(Math.sin) };
}

interface NormalEquations {
  readonly lower: readonly (readonly number[])[];
  readonly right: readonly number[];
}

/**
 * Solves normal equations of real unknowns, given by the lower triangle of their matrix.
 * @param damping share by which each diagonal element is raised
 * @returns undefined where the equations do not determine the unknowns
 */
function solveNormal({ lower, right }: NormalEquations, damping: number): Float64Array | undefined {
  const damped = lower.map((row, j) => row.map((v, k) => (j === k ? v * (1 + damping) : v)));
  return solvePositive(damped, right, 1e-12);
}

function smoothed(image: Image64): Image64 {
  const blur = (data: Float64Array) => gaussianBlur({ data, shape: image.shape }, SMOOTH_PX).data;
  return { re: blur(image.re), im: blur(image.im), shape: image.shape };
}

/** A rectangle of an image and its mask; zero where the mask is. */
function maskedCut(image: EvaluatedImage, mask: Uint8Array, top: number, left: number, height: number, width: number) {
  const re = new Float64Array(height * width);
  const im = new Float64Array(height * width);
  const kept = new Uint8Array(height * width);
  const cols = image.shape[1];
  for (let r = 0, at = 0; r < height; r++) {
    for (let c = 0; c < width; c++, at++) {
      const i = (top + r) * cols + left + c;
      if (!mask[i]) continue;
      kept[at] = 1;
      re[at] = image.re[i];
      im[at] = image.im[i];
    }
  }
  return { image: { re, im, shape: [height, width] }, mask: kept };
}

/** The margin that smoothing and interpolation want, or what small overlaps can afford of it. */
function widestMargin(mask: Uint8Array, rows: number, cols: number): number | undefined {
  const wanted = 3 * SMOOTH_PX + KERNEL_RADIUS;
  for (const margin of [wanted, 6, 3]) {
    const left = eroded(mask, rows, cols, margin).reduce((n, v) => n + v, 0);
    if (left >= (margin === 3 ? LEAST_PIXELS : 4 * LEAST_PIXELS)) return margin;
  }
  return undefined;
}

/** Pixels whose square of `margin` pixels around lies in the mask. */
export function eroded(mask: Uint8Array, rows: number, cols: number, margin: number): Uint8Array {
  const along = new Uint8Array(rows * cols);
  for (let r = 0; r < rows; r++) {
    let run = 0;
    for (let c = 0; c < cols; c++) {
      run = mask[r * cols + c] ? run + 1 : 0;
      if (run > 2 * margin) along[r * cols + c - margin] = 1;
    }
  }
  const out = new Uint8Array(rows * cols);
  for (let c = 0; c < cols; c++) {
    let run = 0;
    for (let r = 0; r < rows; r++) {
      run = along[r * cols + c] ? run + 1 : 0;
      if (run > 2 * margin) out[(r - margin) * cols + c] = 1;
    }
  }
  return out;
}
