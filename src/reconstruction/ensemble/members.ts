/**
 * Images of one scan by several networks, as one image and its spread.
 *
 * The networks agree on the frame and, by the gauge of the data, on amplitudes; the phase of each image as a whole is free and is
 * brought to that of the mean first. A slow phase on which they differ is not free, and counts as spread.
 *
 * @example
 * const { mean, spread } = meanOfImages(images); // images: StitchedImage[]
 */
import { PtychoError } from '../../core/errors.js';
import { notFiniteAt } from '../../core/numbers.js';
import type { ComplexImage, Tensor } from '../../core/tensor.js';
import type { StitchedImage } from '../patchStitcher.js';
import { RANDOM_PHASE_STD, type Uncertainty } from '../spread.js';

/** Several images as one. */
export interface MeanImage {
  /** The complex mean; its `uncertainty` is the root mean square of that of the images, where they all have one. */
  readonly mean: StitchedImage;
  /** Standard deviations among the images, unbiased, by the formulas of overlapping patches; NaN where nothing was stitched. */
  readonly spread: Uncertainty;
  /** Radians that each image was turned by. */
  readonly turned: readonly number[];
}

/** How often images are turned to their mean; the second time hardly changes anything. */
const TURNS = 3;

/**
 * The mean of images of one scan and how far they differ.
 * @param images two or more, of one frame
 * @throws PtychoError DATASET_SHAPE for images of other frames than the first, DATASET_VALUE for one with values that are not finite, USAGE
 * for fewer than two
 */
export function meanOfImages(images: readonly StitchedImage[]): MeanImage {
  if (images.length < 2) {
    throw new PtychoError('USAGE', 'The spread of an ensemble needs the images of two networks or more.', {
      found: images.length,
    });
  }
  requireOneFrame(images);
  for (const [k, { image }] of images.entries()) {
    const pixel = notFiniteAt(image.re, image.im);
    if (pixel < 0) continue;
    throw new PtychoError('DATASET_VALUE', `Image ${k + 1} of ${images.length} has a value that is not finite, and so would their mean; leave it out, or look at the weights of its network.`, { image: k, pixel }); // biome-ignore format: one call
  }
  const [first] = images;
  const { length } = first.image.re;
  const weight = first.weight.data;
  const angles = images.map(() => 0);
  let mean = averaged(images, angles);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [k, { image }] of images.entries()) angles[k] = angleTo(mean, image, weight);
    // Only differences matter: the first image keeps its phase.
    const [own] = angles;
    angles.forEach((angle, k) => {
      angles[k] = angle - own;
    });
    mean = averaged(images, angles);
  }
  const amplitude = new Float32Array(length);
  const phase = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    [amplitude[i], phase[i]] = weight[i] > 0 ? spreadAt(images, angles, i) : [Number.NaN, Number.NaN];
  }
  const { shape } = first.image;
  const uncertainty = rmsUncertainty(images);
  return {
    mean: { ...first, image: mean, patches: images.reduce((n, { patches }) => n + patches, 0), uncertainty },
    spread: { amplitude: { data: amplitude, shape }, phase: { data: phase, shape } },
    turned: angles,
  };
}

function requireOneFrame(images: readonly StitchedImage[]): void {
  const [{ frame: first }] = images;
  const other = images.find(
    ({ frame }) =>
      frame.height !== first.height ||
      frame.width !== first.width ||
      frame.originYxPx.some((v, axis) => v !== first.originYxPx[axis]),
  );
  if (!other) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    'The images of an ensemble must lie in one frame; reconstruct the same scan with all members, by the same options.',
    { expected: first, found: other.frame },
  );
}

function averaged(images: readonly StitchedImage[], angles: readonly number[]): ComplexImage {
  const [{ image: first }] = images;
  const re = new Float64Array(first.re.length);
  const im = new Float64Array(first.re.length);
  const share = 1 / images.length;
  images.forEach(({ image }, k) => {
    const [c, s] = [share * Math.cos(angles[k]), share * Math.sin(angles[k])];
    for (let i = 0; i < re.length; i++) {
      re[i] += c * image.re[i] - s * image.im[i];
      im[i] += s * image.re[i] + c * image.im[i];
    }
  });
  return { re: Float32Array.from(re), im: Float32Array.from(im), shape: first.shape };
}

/** The angle by which an image is turned to agree best with another where light fell. */
function angleTo(to: ComplexImage, image: ComplexImage, weight: ArrayLike<number>): number {
  let [re, im] = [0, 0];
  for (let i = 0; i < image.re.length; i++) {
    re += weight[i] * (to.re[i] * image.re[i] + to.im[i] * image.im[i]);
    im += weight[i] * (to.im[i] * image.re[i] - to.re[i] * image.im[i]);
  }
  return Math.atan2(im, re);
}

/** Standard deviation of the amplitudes and circular standard deviation of the phases at a pixel. */
function spreadAt(images: readonly StitchedImage[], angles: readonly number[], i: number): [number, number] {
  const n = images.length;
  let [sum, squares, re, im] = [0, 0, 0, 0];
  images.forEach(({ image }, k) => {
    const modulus = Math.hypot(image.re[i], image.im[i]);
    sum += modulus;
    squares += modulus * modulus;
    if (modulus === 0) return;
    const [c, s] = [Math.cos(angles[k]), Math.sin(angles[k])];
    re += (c * image.re[i] - s * image.im[i]) / modulus;
    im += (s * image.re[i] + c * image.im[i]) / modulus;
  });
  const variance = Math.max(0, squares - (sum * sum) / n) / (n - 1);
  const v = (Math.max(0, 1 - (re * re + im * im) / (n * n)) * n) / (n - 1);
  return [Math.sqrt(variance), Math.min(RANDOM_PHASE_STD, Math.sqrt(-Math.log(Math.max(1e-12, 1 - v))))];
}

function rmsUncertainty(images: readonly StitchedImage[]): Uncertainty | undefined {
  const all = images.flatMap(({ uncertainty }) => (uncertainty ? [uncertainty] : []));
  if (all.length < images.length) return undefined;
  const rms = (part: keyof Uncertainty): Tensor => {
    const { data, shape } = all[0][part];
    const at = (i: number) => Math.sqrt(all.reduce((sum, u) => sum + u[part].data[i] ** 2, 0) / all.length);
    return { data: Float32Array.from({ length: data.length }, (_, i) => at(i)), shape };
  };
  return { amplitude: rms('amplitude'), phase: rms('phase') };
}
