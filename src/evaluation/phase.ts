/** Phases with their undetermined plane taken out. */
import type { ComplexImage, Tensor } from '../core/tensor.js';
import { type FloatArray, imageSides } from '../physics/sampling.js';
import { fitRamp, type PhaseRamp, removeRamp } from './ramp.js';

/** A phase image whose best plane is zero. */
export interface PlaneRemoved {
  /** Radians, wrapped to (−π, π] about the plane, weighted mean zero. */
  readonly phase: Tensor<Float64Array>;
  /** The plane that was removed, radians per pixel. */
  readonly ramp: PhaseRamp;
}

/**
 * The phase of a complex image minus its plane x·c + y·r + offset.
 *
 * The ramp is found on the complex image (no unwrapping), then the plane of weighted least squares is taken out of the
 * residual phase, which is wrapped about that plane and fitted again until it stands still.
 *
 * @param mask pixels where it is not zero count; all pixels are returned
 * @param weights of the fit; default |image|, since the phase of dark pixels means little
 */
export function removePhasePlane(
  image: ComplexImage<FloatArray>,
  options: { readonly mask?: ArrayLike<number>; readonly weights?: ArrayLike<number> } = {},
): PlaneRemoved {
  const [rows, cols] = imageSides(image);
  const size = rows * cols;
  const weight = new Float64Array(size);
  const seen = { re: new Float64Array(size), im: new Float64Array(size), shape: image.shape };
  for (let i = 0; i < size; i++) {
    if (options.mask && !options.mask[i]) continue;
    const modulus = Math.hypot(image.re[i], image.im[i]);
    weight[i] = options.weights ? options.weights[i] : modulus;
    if (modulus === 0) continue;
    seen.re[i] = (image.re[i] / modulus) * weight[i];
    seen.im[i] = (image.im[i] / modulus) * weight[i];
  }
  const coarse = fitRamp(seen);
  const flat = removeRamp(seen, coarse);
  const mean = Math.atan2(
    flat.im.reduce((s, v) => s + v, 0),
    flat.re.reduce((s, v) => s + v, 0),
  );
  const level = removeRamp(image, coarse);
  const phase = new Float64Array(size);
  for (let i = 0; i < size; i++) phase[i] = wrap(Math.atan2(level.im[i], level.re[i]) - mean);

  let { x, y } = coarse;
  for (let pass = 0; pass < 10; pass++) {
    const plane = fitPlane(phase, weight, rows, cols);
    x += plane.x;
    y += plane.y;
    let wrapped = false;
    for (let r = 0; r < rows; r++) {
      for (let c = 0, i = r * cols; c < cols; c++, i++) {
        const residual = phase[i] - (plane.x * c + plane.y * r + plane.offset);
        phase[i] = wrap(residual);
        wrapped ||= phase[i] !== residual && weight[i] > 0;
      }
    }
    if (!wrapped) break; // without wraps one least-squares fit is final
  }
  return { phase: { data: phase, shape: image.shape }, ramp: { x, y } };
}

/** The plane z = x·c + y·r + offset of weighted least squares. */
export function fitPlane(
  z: ArrayLike<number>,
  weight: ArrayLike<number>,
  rows: number,
  cols: number,
): PhaseRamp & { readonly offset: number } {
  let [w, wx, wy, wz] = [0, 0, 0, 0];
  for (let r = 0; r < rows; r++) {
    for (let c = 0, i = r * cols; c < cols; c++, i++) {
      w += weight[i];
      wx += weight[i] * c;
      wy += weight[i] * r;
      wz += weight[i] * z[i];
    }
  }
  if (w === 0) return { x: 0, y: 0, offset: 0 };
  const [mx, my, mz] = [wx / w, wy / w, wz / w];
  let [xx, xy, yy, xz, yz] = [0, 0, 0, 0, 0];
  for (let r = 0; r < rows; r++) {
    for (let c = 0, i = r * cols; c < cols; c++, i++) {
      const dx = c - mx;
      const dy = r - my;
      const dz = z[i] - mz;
      xx += weight[i] * dx * dx;
      xy += weight[i] * dx * dy;
      yy += weight[i] * dy * dy;
      xz += weight[i] * dx * dz;
      yz += weight[i] * dy * dz;
    }
  }
  const determinant = xx * yy - xy * xy;
  // A single row or column has no slope across it.
  const solvable = determinant > 1e-12 * xx * yy;
  const x = solvable ? (yy * xz - xy * yz) / determinant : xx > 0 && yy === 0 ? xz / xx : 0;
  const y = solvable ? (xx * yz - xy * xz) / determinant : yy > 0 && xx === 0 ? yz / yy : 0;
  return { x, y, offset: mz - x * mx - y * my };
}

/** An angle in (−π, π]. */
export function wrap(angle: number): number {
  if (angle > -Math.PI && angle <= Math.PI) return angle;
  const turns = Math.ceil((angle - Math.PI) / (2 * Math.PI));
  return angle - 2 * Math.PI * turns;
}
