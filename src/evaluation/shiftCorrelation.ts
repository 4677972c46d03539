/** The correlation of features at single shifts, over the overlap at that shift. */
import type { Features } from './registrationSearch.js';

type Shift = readonly [dy: number, dx: number];

/** The correlation of `a` with `b` moved by a shift, 0 … 1; 0 where they share nothing. */
export function correlationOf(a: Features, b: Features): (shift: Shift) => number {
  if (isWhole(a) && isWhole(b)) return wholeCorrelation(a, b);
  return (shift) => maskedCorrelation(a, b, shift);
}

/** Every pixel counts that has a right and a lower neighbour. */
const isWhole = ({ mask, rows, cols }: Features): boolean => {
  for (let r = 0; r + 1 < rows; r++) for (let c = 0; c + 1 < cols; c++) if (!mask[r * cols + c]) return false;
  return true;
};

/** Without masks the overlap is a rectangle, whose sums are had from running sums: only the products are left to add up. */
function wholeCorrelation(a: Features, b: Features): (shift: Shift) => number {
  const [sumsA, sumsB] = [sumsOf(a), sumsOf(b)];
  return ([dy, dx]) => {
    const [top, left] = [Math.max(0, dy), Math.max(0, dx)];
    const height = Math.min(a.rows - 1, b.rows - 1 + dy) - top;
    const width = Math.min(a.cols - 1, b.cols - 1 + dx) - left;
    if (height <= 0 || width <= 0) return 0;
    const n = height * width;
    const inA = (sums: RunningSums) => sums.of(top, left, height, width);
    const inB = (sums: RunningSums) => sums.of(top - dy, left - dx, height, width);
    let [numerator, aa, bb] = [0, inA(sumsA.squares), inB(sumsB.squares)];
    for (const p of [0, 2] as const) {
      const [re, im, otherRe, otherIm] = [a.planes[p], a.planes[p + 1], b.planes[p], b.planes[p + 1]];
      let [productRe, productIm] = [0, 0];
      for (let r = top; r < top + height; r++) {
        let j = (r - dy) * b.cols + left - dx;
        for (let i = r * a.cols + left, end = i + width; i < end; i++, j++) {
          productRe += re[i] * otherRe[j] + im[i] * otherIm[j];
          productIm += im[i] * otherRe[j] - re[i] * otherIm[j];
        }
      }
      const [sumRe, sumIm] = [inA(sumsA.planes[p]), inA(sumsA.planes[p + 1])];
      const [otherSumRe, otherSumIm] = [inB(sumsB.planes[p]), inB(sumsB.planes[p + 1])];
      const alignedRe = productRe - (sumRe * otherSumRe + sumIm * otherSumIm) / n;
      const alignedIm = productIm - (sumIm * otherSumRe - sumRe * otherSumIm) / n;
      numerator += Math.hypot(alignedRe, alignedIm);
      aa -= (sumRe ** 2 + sumIm ** 2) / n;
      bb -= (otherSumRe ** 2 + otherSumIm ** 2) / n;
    }
    return ratio(numerator, aa, bb);
  };
}

/** Sums over any rectangle of an image, from sums over all rectangles at its corner. */
class RunningSums {
  private readonly sums: Float64Array;

  constructor(
    values: Float64Array,
    rows: number,
    private readonly cols: number,
  ) {
    this.sums = new Float64Array((rows + 1) * (cols + 1));
    for (let r = 0; r < rows; r++) {
      let along = 0;
      for (let c = 0; c < cols; c++) {
        along += values[r * cols + c];
        const at = (r + 1) * (cols + 1) + c + 1;
        this.sums[at] = this.sums[at - cols - 1] + along;
      }
    }
  }

  of(top: number, left: number, height: number, width: number): number {
    const above = top * (this.cols + 1) + left;
    const below = (top + height) * (this.cols + 1) + left;
    return this.sums[below + width] - this.sums[below] - this.sums[above + width] + this.sums[above];
  }
}

function sumsOf({ planes, rows, cols }: Features) {
  const [p, q, r, s] = planes;
  const squares = p.map((v, i) => v ** 2 + q[i] ** 2 + r[i] ** 2 + s[i] ** 2);
  return {
    planes: planes.map((plane) => new RunningSums(plane, rows, cols)),
    squares: new RunningSums(squares, rows, cols),
  };
}

/** Pixel by pixel, whatever the masks are. */
export function maskedCorrelation(a: Features, b: Features, [dy, dx]: readonly [number, number]): number {
  let [n, numerator, aa, bb] = [0, 0, 0, 0];
  for (const p of [0, 2] as const) {
    const [re, im, otherRe, otherIm] = [a.planes[p], a.planes[p + 1], b.planes[p], b.planes[p + 1]];
    let [productRe, productIm, sumRe, sumIm, otherSumRe, otherSumIm] = [0, 0, 0, 0, 0, 0];
    n = 0;
    for (let r = Math.max(0, dy); r < Math.min(a.rows, b.rows + dy); r++) {
      const last = Math.min(a.cols, b.cols + dx);
      const offset = (r - dy) * b.cols - dx - r * a.cols;
      for (let i = r * a.cols + Math.max(0, dx), end = r * a.cols + last; i < end; i++) {
        const j = i + offset;
        if (!a.mask[i] || !b.mask[j]) continue;
        n++;
        const u = re[i];
        const v = im[i];
        const x = otherRe[j];
        const y = otherIm[j];
        productRe += u * x + v * y;
        productIm += v * x - u * y;
        sumRe += u;
        sumIm += v;
        otherSumRe += x;
        otherSumIm += y;
        aa += u * u + v * v;
        bb += x * x + y * y;
      }
    }
    if (n === 0) return 0;
    const alignedRe = productRe - (sumRe * otherSumRe + sumIm * otherSumIm) / n;
    const alignedIm = productIm - (sumIm * otherSumRe - sumRe * otherSumIm) / n;
    numerator += Math.hypot(alignedRe, alignedIm);
    aa -= (sumRe ** 2 + sumIm ** 2) / n;
    bb -= (otherSumRe ** 2 + otherSumIm ** 2) / n;
  }
  return ratio(numerator, aa, bb);
}

function ratio(numerator: number, aa: number, bb: number): number {
  const power = Math.sqrt(Math.max(0, aa) * Math.max(0, bb));
  return power > 0 ? numerator / power : 0;
}
