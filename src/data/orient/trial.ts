/**
 * A small reconstruction of one neighbourhood in one orientation: how well do overlapping patches agree with each other, the
 * probe and the patterns?
 */
import { LegacyRng } from '../../core/rng.js';
import type { ComplexImage } from '../../core/tensor.js';
import { DetectorTransform } from '../../physics/fourier.js';
import { type AxisOrientation, orientPositions } from './orientations.js';
import type { OrientationSample, SampleField } from './sample.js';

/** What one neighbourhood in one orientation came to. */
export interface OrientationTrial {
  /** Σ|√I − |Ψ|| and Σ√I of each pattern. */
  readonly misfit: Float64Array;
  readonly measured: Float64Array;
  /** The object, and where the probe was (Σ|P|², relative to its largest value). */
  readonly object: ComplexImage;
  readonly illumination: Float64Array;
}

/** Passes over the patterns; the orientations are apart after the second, see `docs/data-tools.md`. */
export const TRIAL_PASSES = 5;
/** Regularisation of the update (rPIE): 1 would be ePIE, small values move the weakly lit parts as fast as the bright. */
const ALPHA = 0.1;

/**
 * Reconstructs a field from a constant object with the probe held fixed, by regularised PIE updates (A. Maiden, D. Johnson
 * and P. Li, Optica 4, 736, 2017), positions rounded to pixels, then measures the misfit in a last pass without updates.
 *
 * The probe is held fixed because a free one would follow the wrong orientation: positions reflected at a point with the
 * complex conjugate, reflected probe explain the patterns as well as the truth does.
 *
 * @param passes updates of each pattern; 0 measures the constant object.
 */
export function tryOrientation(
  sample: OrientationSample,
  field: SampleField,
  orientation: AxisOrientation,
  passes = TRIAL_PASSES,
): OrientationTrial {
  const { side, probe, badPixels } = sample;
  const { xs, ys } = orientPositions(orientation, field.xs, field.ys);
  const [left, top] = [Math.round(minimum(xs)), Math.round(minimum(ys))];
  const columns = Int32Array.from(xs, (x) => Math.round(x) - left);
  const rows = Int32Array.from(ys, (y) => Math.round(y) - top);
  const width = columns.reduce((a, b) => Math.max(a, b), 0) + side;
  const height = rows.reduce((a, b) => Math.max(a, b), 0) + side;
  const re = new Float64Array(width * height).fill(1);
  const im = new Float64Array(width * height);

  const area = side * side;
  const modes = probe.re.length / area;
  const intensity = new Float64Array(area);
  for (let i = 0; i < probe.re.length; i++) intensity[i % area] += probe.re[i] ** 2 + probe.im[i] ** 2;
  const brightest = intensity.reduce((a, b) => Math.max(a, b), 0);
  const step = intensity.map((v) => 1 / ((1 - ALPHA) * v + ALPHA * brightest));

  const transform = new DetectorTransform(side);
  const before = { re: new Float64Array(probe.re.length), im: new Float64Array(probe.re.length) };
  const after = { re: new Float64Array(probe.re.length), im: new Float64Array(probe.re.length) };
  const misfit = new Float64Array(xs.length);
  const measured = new Float64Array(xs.length);

  /** Exit waves of pattern k and their detector fields. */
  const propagate = (k: number) => {
    for (let p = 0, i = 0; p < modes; p++) {
      for (let r = 0; r < side; r++) {
        for (let c = 0, at = (rows[k] + r) * width + columns[k]; c < side; c++, at++, i++) {
          after.re[i] = before.re[i] = probe.re[i] * re[at] - probe.im[i] * im[at];
          after.im[i] = before.im[i] = probe.re[i] * im[at] + probe.im[i] * re[at];
        }
      }
      const [from, to] = [p * area, (p + 1) * area];
      transform.forward(after.re.subarray(from, to), after.im.subarray(from, to));
    }
  };
  const amplitudeAt = (i: number) => {
    let sum = 0;
    for (let m = i; m < after.re.length; m += area) sum += after.re[m] ** 2 + after.im[m] ** 2;
    return Math.sqrt(sum);
  };
  const update = (k: number) => {
    for (let i = 0; i < area; i++) {
      if (badPixels?.[i]) continue;
      const amplitude = amplitudeAt(i);
      const factor = amplitude > 0 ? field.amplitudes[k * area + i] / amplitude : 0;
      for (let m = i; m < after.re.length; m += area) {
        after.re[m] *= factor;
        after.im[m] *= factor;
      }
    }
    for (let p = 0, i = 0; p < modes; p++) {
      const [from, to] = [p * area, (p + 1) * area];
      transform.inverse(after.re.subarray(from, to), after.im.subarray(from, to));
      for (let r = 0; r < side; r++) {
        for (let c = 0, at = (rows[k] + r) * width + columns[k]; c < side; c++, at++, i++) {
          const weight = step[i - from];
          const [dr, di] = [after.re[i] - before.re[i], after.im[i] - before.im[i]];
          re[at] += weight * (probe.re[i] * dr + probe.im[i] * di);
          im[at] += weight * (probe.re[i] * di - probe.im[i] * dr);
        }
      }
    }
  };

  const rng = new LegacyRng(0);
  for (let pass = 0; pass < passes; pass++) {
    for (const k of rng.permutation(xs.length)) {
      propagate(k);
      update(k);
    }
  }
  const illumination = new Float64Array(width * height);
  for (let k = 0; k < xs.length; k++) {
    propagate(k);
    for (let i = 0; i < area; i++) {
      if (!badPixels?.[i]) {
        misfit[k] += Math.abs(field.amplitudes[k * area + i] - amplitudeAt(i));
        measured[k] += field.amplitudes[k * area + i];
      }
      illumination[(rows[k] + Math.floor(i / side)) * width + columns[k] + (i % side)] += intensity[i];
    }
  }
  const most = illumination.reduce((a, b) => Math.max(a, b), 0);
  return {
    misfit,
    measured,
    object: { re: Float32Array.from(re), im: Float32Array.from(im), shape: [height, width] },
    illumination: illumination.map((v) => v / most),
  };
}

function minimum(values: Float64Array): number {
  return values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
}
