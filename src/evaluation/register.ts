/**
 * Registration: by how much one image must be moved to lie on another.
 *
 * @example
 * const found = registerImages(truth, reconstruction);
 * if (!found.succeeded) console.error(found.reason);
 * else applyRegistration(truth, reconstruction, found.shiftYxPx);
 */
import { PtychoError } from '../core/errors.js';
import { formatShape } from '../core/tensor.js';
import type { EvaluatedImage } from './images.js';
import { fitShift } from './registrationFit.js';
import { type Features, featuresOf, findWholeShift } from './registrationSearch.js';
import type { ShiftYx } from './shift.js';

/** Choices of {@link registerImages}. */
export interface RegisterOptions {
  /** Shifts are rounded to one part in so many of a pixel; 1: whole pixels. Not rounded where left out. */
  readonly upsample?: number;
  /** (rows·cols): pixels where it is not zero count; default: all that are not exactly zero, which is how what was not scanned is stored. */
  readonly fixedMask?: ArrayLike<number>;
  readonly movingMask?: ArrayLike<number>;
  /** At least this share of the smaller image must overlap; default 0.1. */
  readonly leastOverlap?: number;
}

/** What a registration came to. */
export interface Registration {
  /** Move `moving` by this, [down, right] in pixels, and it lies on `fixed`; NaN where nothing could be found. */
  readonly shiftYxPx: ShiftYx;
  /** 0 … 1: how much worse the next best distinct shift is. Below 0.45 the registration has failed. */
  readonly confidence: number;
  /** Agreement of the two images over their overlap, 0 … 1; after the sub-pixel fit that of the complex images. */
  readonly correlation: number;
  readonly succeeded: boolean;
  /** One sentence: why it failed. */
  readonly reason?: string;
}

/** Features that spread less than this share of their size are rounding. */
const FLAT = 1e-6;
const LEAST_CONFIDENCE = 0.45;

/**
 * The shift that brings `moving` onto `fixed`, complex images (rows, cols) of any sizes, first pixels on each other at shift 0.
 *
 * Whole pixels by a normalised correlation over the overlap of amplitude and phase differences, parts of a pixel by least squares
 * on the overlap; neither a complex factor nor a phase ramp between the images matters. A result that cannot be relied on is
 * marked as failed and says why; nothing is thrown for what the pixels hold.
 *
 * @throws PtychoError DATASET_SHAPE for what is no image or a mask of another size, CONFIG_INVALID for a bad `upsample`
 */
export function registerImages(
  fixed: EvaluatedImage,
  moving: EvaluatedImage,
  options: RegisterOptions = {},
): Registration {
  const { upsample, leastOverlap = 0.1 } = options;
  if (upsample !== undefined && !(upsample >= 1 && Number.isFinite(upsample))) {
    throw new PtychoError('CONFIG_INVALID', `upsample must be a number from 1, found ${upsample}.`, {
      key: 'upsample',
      found: upsample,
    });
  }
  const masks = { fixed: maskOf(fixed, options.fixedMask), moving: maskOf(moving, options.movingMask) };
  const trouble = troubleWith(fixed, masks.fixed, 'fixed') ?? troubleWith(moving, masks.moving, 'moving');
  if (trouble) return failure(trouble);
  const features = { fixed: featuresOf(fixed, masks.fixed), moving: featuresOf(moving, masks.moving) };
  const flat = flatness(features.fixed, 'fixed') ?? flatness(features.moving, 'moving');
  if (flat) return failure(flat);

  const whole = findWholeShift(features.fixed, features.moving, leastOverlap);
  if (!whole) return failure('At no shift do the images share enough pixels with structure to be compared.');
  const confidence = Math.min(1, Math.max(0, 1 - whole.runnerUp));
  const found = { confidence, correlation: whole.correlation };
  if (confidence < LEAST_CONFIDENCE) {
    return {
      ...{ ...found, shiftYxPx: whole.shiftYx, succeeded: false },
      reason: `Another shift fits nearly as well as (${whole.shiftYx.join(', ')}), so the images may not overlap, differ too much, or repeat.`,
    };
  }
  if (upsample === 1) return { ...found, shiftYxPx: whole.shiftYx, succeeded: true };

  const fit = fitShift(fixed, moving, masks, whole.shiftYx);
  if (!fit?.converged) {
    return {
      ...{ ...found, shiftYxPx: whole.shiftYx, succeeded: false },
      reason: fit
        ? 'The fit of parts of a pixel did not settle near the whole-pixel shift, which is given instead.'
        : 'The overlap is too small for parts of a pixel; the whole-pixel shift is given instead.',
    };
  }
  const rounded = (v: number) => (upsample === undefined ? v : Math.round(v * upsample) / upsample);
  const [dy, dx] = fit.shiftYx;
  return { confidence, correlation: fit.correlation, shiftYxPx: [rounded(dy), rounded(dx)], succeeded: true };
}

function maskOf(image: EvaluatedImage, given?: ArrayLike<number>): Uint8Array {
  const { shape, re, im } = image;
  if (shape.length !== 2 || re.length !== shape[0] * shape[1]) {
    throw new PtychoError('DATASET_SHAPE', `Registration needs images (rows, cols), found ${formatShape(shape)}.`, {
      found: shape,
    });
  }
  if (given && given.length !== re.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `A mask of ${given.length} pixels does not belong to an image of shape ${formatShape(shape)}.`,
      { found: given.length, expected: re.length },
    );
  }
  return Uint8Array.from({ length: re.length }, (_, i) => ((given ? given[i] : re[i] !== 0 || im[i] !== 0) ? 1 : 0));
}

function troubleWith(image: EvaluatedImage, mask: Uint8Array, name: string): string | undefined {
  let [counted, broken] = [0, 0];
  for (let i = 0; i < mask.length; i++) {
    if (!mask[i]) continue;
    counted++;
    if (!Number.isFinite(image.re[i]) || !Number.isFinite(image.im[i])) broken++;
  }
  if (broken > 0) {
    return `The ${name} image has ${broken} pixels that are no finite numbers; leave them out with ${name}Mask.`;
  }
  return counted === 0 ? `The ${name} image is empty: every pixel is zero or masked.` : undefined;
}

function flatness(features: Features, name: string): string | undefined {
  return features.contrast < FLAT
    ? `The ${name} image is flat (or a phase ramp alone), so no shift of it can be told.`
    : undefined;
}

function failure(reason: string): Registration {
  return { shiftYxPx: [Number.NaN, Number.NaN], confidence: 0, correlation: 0, succeeded: false, reason };
}
