/** Scores images of a test object on its central 164² pixels. */
import { alignComplex, constantObjectError, relativeDistance } from '../../dist/evaluation/align.js';
import { rootOfSum, scanImage } from '../../dist/evaluation/floors.js';
import { removePhasePlane, removeRamp } from '../../dist/evaluation/phase.js';
import { pearson } from '../../dist/evaluation/score.js';
import { gaussianSsim } from '../../dist/evaluation/similarity.js';
import { moveToFrame } from '../../dist/reconstruction/frame.js';
import { readReconstruction } from '../../dist/reconstruction/reconstructionFile.js';

const SIDE = 164;

/** The central pixels of an object, as a frame. */
export function centreOf(object) {
  const [rows, cols] = object.shape;
  return { originYxPx: [Math.round((rows - SIDE) / 2), Math.round((cols - SIDE) / 2)], height: SIDE, width: SIDE };
}

/**
 * Amplitude SSIM (Gaussian σ 1.5), Pearson correlations without means, and the relative error, all after the best complex scale
 * and phase ramp.
 */
export function score({ image, frame }, truth) {
  const centre = centreOf(truth);
  const [rows, cols] = truth.shape;
  const reference = moveToFrame(truth, { originYxPx: [0, 0], height: rows, width: cols }, centre);
  const { aligned } = alignComplex(moveToFrame(image, frame, centre), reference);
  const modulus = (z) => ({ data: Float64Array.from(z.re, (v, i) => Math.hypot(v, z.im[i])), shape: [SIDE, SIDE] });
  const [a, t] = [modulus(aligned), modulus(reference)];
  const { ramp } = removePhasePlane(reference);
  const phase = (z) => removePhasePlane(removeRamp(z, ramp)).phase.data;
  return {
    amplitude_ssim: gaussianSsim(a, t),
    amplitude_pearson: pearson(a.data, t.data),
    phase_pearson: pearson(phase(aligned), phase(reference), undefined, 1e-5),
    complex_error: relativeDistance(aligned, reference),
    constant_error: constantObjectError(reference),
  };
}

/** The image without any network: √(total counts) of each position, smoothed over the positions by a Gaussian of half a step. */
export function blurredScan({ diffraction, xcoords, ycoords, objectGuess }) {
  const [n, N] = diffraction.shape;
  const totals = Float64Array.from({ length: n }, (_, k) =>
    rootOfSum(diffraction.data.subarray(k * N * N, (k + 1) * N * N)),
  );
  const frame = centreOf(objectGuess);
  return { image: scanImage({ totals, xs: xcoords.data, ys: ycoords.data }, frame, 2.75), frame };
}

/** An image that `infer` wrote, in its frame. */
export async function readImage(file) {
  const { image, originYxPx } = await readReconstruction(file);
  return { image, frame: { originYxPx, height: image.shape[0], width: image.shape[1] } };
}
