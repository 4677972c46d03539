/** What must be taken from a phase before it can be shown: its free constant and, on request, its free slope. */

import type { ComplexImage } from '../core/tensor.js';

/** Which pixels count: non-zero where the image means something; rows × columns. */
export type PixelMask = ArrayLike<number>;

/**
 * The phase of an image in radians, in (−π, π], with its amplitude-weighted circular mean taken off; optionally also the
 * plane, which a ptychographic reconstruction leaves undetermined. Pixels outside the mask or without amplitude are NaN.
 *
 * The slope comes from the mean phase step between neighbours, arg Σ o(x+1)·conj o(x), which needs no unwrapping, and is
 * then refined by least squares on what is left.
 * @param options everywhere: mean and plane are those of the mask, but pixels outside it have their phase too
 */
export function displayPhase(
  image: ComplexImage,
  options: { removePlane?: boolean; mask?: PixelMask; everywhere?: boolean } = {},
): Float64Array {
  const [rows, columns] = image.shape;
  const counts = (i: number) =>
    (options.mask === undefined || options.mask[i] > 0) && (image.re[i] !== 0 || image.im[i] !== 0);
  const phase = new Float64Array(rows * columns).fill(Number.NaN);
  const shown = options.everywhere ? (i: number) => image.re[i] !== 0 || image.im[i] !== 0 : counts;
  const slope = options.removePlane ? meanSlope(image, counts) : { x: 0, y: 0 };
  let sumRe = 0;
  let sumIm = 0;
  const turn = (i: number) => {
    const angle = -(slope.x * (i % columns) + slope.y * Math.floor(i / columns));
    const cos = Math.cos(angle);
    const sin = Math.sin(angle);
    return { re: image.re[i] * cos - image.im[i] * sin, im: image.re[i] * sin + image.im[i] * cos };
  };
  for (let i = 0; i < phase.length; i++) {
    if (!counts(i)) continue;
    const { re, im } = turn(i);
    sumRe += re;
    sumIm += im;
  }
  for (let i = 0; i < phase.length; i++) {
    if (!shown(i)) continue;
    const { re, im } = turn(i);
    phase[i] = Math.atan2(im * sumRe - re * sumIm, re * sumRe + im * sumIm);
  }
  if (options.removePlane) subtractPlane(phase, columns, counts);
  return phase;
}

function meanSlope(image: ComplexImage, counts: (i: number) => boolean): { x: number; y: number } {
  const [rows, columns] = image.shape;
  const step = (stride: number, lastColumn: number, lastRow: number) => {
    let re = 0;
    let im = 0;
    for (let r = 0; r < lastRow; r++) {
      for (let c = 0; c < lastColumn; c++) {
        const i = r * columns + c;
        const j = i + stride;
        if (!counts(i) || !counts(j)) continue;
        re += image.re[j] * image.re[i] + image.im[j] * image.im[i];
        im += image.im[j] * image.re[i] - image.re[j] * image.im[i];
      }
    }
    return Math.atan2(im, re);
  };
  return { x: step(1, columns - 1, rows), y: step(columns, columns, rows - 1) };
}

/** Least-squares plane over the finite values that count, centred so that the three unknowns come apart; taken from all. */
function subtractPlane(values: Float64Array, columns: number, counts: (i: number) => boolean): void {
  let n = 0;
  let meanX = 0;
  let meanY = 0;
  let mean = 0;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i]) || !counts(i)) continue;
    n++;
    meanX += i % columns;
    meanY += Math.floor(i / columns);
    mean += values[i];
  }
  if (n < 3) return;
  meanX /= n;
  meanY /= n;
  mean /= n;
  let [xx, yy, xy, xv, yv] = [0, 0, 0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i]) || !counts(i)) continue;
    const x = (i % columns) - meanX;
    const y = Math.floor(i / columns) - meanY;
    xx += x * x;
    yy += y * y;
    xy += x * y;
    xv += x * values[i];
    yv += y * values[i];
  }
  const determinant = xx * yy - xy * xy;
  if (determinant === 0) return;
  const a = (xv * yy - yv * xy) / determinant;
  const b = (yv * xx - xv * xy) / determinant;
  for (let i = 0; i < values.length; i++) {
    values[i] -= mean + a * ((i % columns) - meanX) + b * (Math.floor(i / columns) - meanY);
  }
}
