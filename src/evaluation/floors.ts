/** What no reconstruction at all would score: the floor beside every number. */
import type { EvaluatedImage } from './images.js';
import { type ReferenceMetrics, type ReferenceOptions, referenceMetrics } from './reference.js';
import { type StandardMetrics, type StandardOptions, standardMetrics } from './standard.js';

/** Both families of one image. */
export interface BothFamilies {
  readonly reference: ReferenceMetrics;
  readonly standard: StandardMetrics;
}

/** Scores of images that know nothing of the phases that were measured. */
export interface MetricFloors {
  /** An object of one value everywhere. */
  readonly constant: BothFamilies;
  /** √(counts) of the scan, smoothed (`scanImage`); there where it was given. */
  readonly scan?: BothFamilies;
}

/** What both families take. */
export type EvaluationOptions = ReferenceOptions & StandardOptions;

/** Both families of an image against the truth. @throws PtychoError as `referenceMetrics` and `standardMetrics` */
export function bothFamilies(
  image: EvaluatedImage,
  truth: EvaluatedImage,
  options: EvaluationOptions = {},
): BothFamilies {
  return { reference: referenceMetrics(image, truth, options), standard: standardMetrics(image, truth, options) };
}

/**
 * The scores of a constant object and, where it is given, of the scan image, against the same truth in the same pixels. A metric
 * in which a reconstruction does not beat both says nothing for it.
 *
 * @param scan image of the shape of the truth
 * @throws PtychoError DATASET_SHAPE for too small or different images
 */
export function metricFloors(
  truth: EvaluatedImage,
  options: EvaluationOptions & { readonly scan?: EvaluatedImage } = {},
): MetricFloors {
  const size = truth.re.length;
  const ones = { re: new Float64Array(size).fill(1), im: new Float64Array(size), shape: truth.shape };
  return {
    constant: bothFamilies(ones, truth, options),
    ...(options.scan && { scan: bothFamilies(options.scan, truth, options) }),
  };
}
