/**
 * How far a reconstruction is from a known object in the scanned middle, after what no measurement settles: a complex factor, a
 * phase ramp, and a whole-pixel shift of object against probe.
 *
 * @example
 * const { error } = objectError(image, frame_origin_yx_px, scan); // 0.03 where all is well
 */
import type { ComplexTensor } from '../../src/core/tensor.js';
import { openNpz } from '../../src/formats/npz.js';

/** What is known of a scan. */
export interface KnownTruth {
  /** (rows, cols) */
  readonly object: ComplexTensor;
  /** Positions, pixels of the object's array. */
  readonly x: ArrayLike<number>;
  readonly y: ArrayLike<number>;
}

/** Largest shift that is tried, pixels. */
const REACH_PX = 6;
/** How far beyond the outermost positions the object is compared. */
const MARGIN_PX = 2;

/** ‖f·image − truth‖/‖truth‖ at the best factor, ramp and shift; 9 where the image does not cover the scanned middle. */
export function objectError(
  image: ComplexTensor,
  originYxPx: ArrayLike<number>,
  { object, x, y }: KnownTruth,
): { readonly error: number; readonly shift_px: readonly [dy: number, dx: number] } {
  const range = (at: ArrayLike<number>) => {
    const values = Array.from(at).filter(Number.isFinite);
    return [Math.floor(Math.min(...values)) - MARGIN_PX, Math.floor(Math.max(...values)) + MARGIN_PX + 1] as const;
  };
  const [[x0, x1], [y0, y1]] = [range(x), range(y)];
  const truth = cut(object, y0, x0, y1 - y0, x1 - x0)!;
  let best = { error: 9, shift_px: [0, 0] as readonly [number, number] };
  for (let dy = -REACH_PX; dy <= REACH_PX; dy++) {
    for (let dx = -REACH_PX; dx <= REACH_PX; dx++) {
      const part = cut(
        image,
        Math.round(y0 - originYxPx[0]) + dy,
        Math.round(x0 - originYxPx[1]) + dx,
        y1 - y0,
        x1 - x0,
      );
      if (part === undefined) continue;
      const error = errorAfterRamp(part, truth);
      if (error < best.error) best = { error, shift_px: [dy, dx] };
    }
  }
  return best;
}

/** The same for the file that `solve` and `infer` write. */
export async function objectErrorOfFile(file: string, truth: KnownTruth): Promise<number> {
  const npz = await openNpz(file);
  try {
    const image = await npz.readComplex64('reconstructed_object');
    return objectError(image, (await npz.readReal('frame_origin_yx_px')).data, truth).error;
  } finally {
    await npz.close();
  }
}

interface Part {
  readonly re: Float64Array;
  readonly im: Float64Array;
  readonly rows: number;
  readonly cols: number;
}

/** A rectangle of an image; undefined where it reaches beyond. */
function cut(image: ComplexTensor, row: number, column: number, rows: number, cols: number): Part | undefined {
  const [height, width] = image.shape;
  if (row < 0 || column < 0 || row + rows > height || column + cols > width) return undefined;
  const [re, im] = [new Float64Array(rows * cols), new Float64Array(rows * cols)];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      const from = (row + r) * width + column + c;
      re[r * cols + c] = image.re[from];
      im[r * cols + c] = image.im[from];
    }
  }
  return { re, im, rows, cols };
}

function errorAfterRamp(part: Part, truth: Part): number {
  const { rows, cols } = truth;
  // q = part·conj(truth); its phase differences between neighbours are the ramp.
  const [qr, qi] = [new Float64Array(rows * cols), new Float64Array(rows * cols)];
  for (let i = 0; i < qr.length; i++) {
    qr[i] = part.re[i] * truth.re[i] + part.im[i] * truth.im[i];
    qi[i] = part.im[i] * truth.re[i] - part.re[i] * truth.im[i];
  }
  const slope = (step: number, inside: (i: number) => boolean) => {
    let [re, im] = [0, 0];
    for (let i = 0; i + step < qr.length; i++) {
      if (!inside(i)) continue;
      re += qr[i + step] * qr[i] + qi[i + step] * qi[i];
      im += qi[i + step] * qr[i] - qr[i + step] * qi[i];
    }
    return Math.atan2(im, re);
  };
  const sx = slope(1, (i) => i % cols < cols - 1);
  const sy = slope(cols, () => true);
  // |⟨w, t⟩|² of the unramped image tells the least error over all complex factors.
  let [pr, pi, ww, tt] = [0, 0, 0, 0];
  for (let i = 0; i < qr.length; i++) {
    const angle = -(sx * (i % cols) + sy * Math.floor(i / cols));
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    pr += qr[i] * c - qi[i] * s;
    pi += qr[i] * s + qi[i] * c;
    ww += part.re[i] ** 2 + part.im[i] ** 2;
    tt += truth.re[i] ** 2 + truth.im[i] ** 2;
  }
  return ww === 0 ? 1 : Math.sqrt(Math.max(0, 1 - (pr * pr + pi * pi) / (ww * tt)));
}
