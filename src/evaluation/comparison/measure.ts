/** Both families of metrics of every image, on the same pixels. */
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { isPtychoError } from '../../core/errors.js';
import type { ComplexImage } from '../../core/tensor.js';
import type { RawData } from '../../data/rawData.js';
import type { Frame } from '../../reconstruction/frame.js';
import { metricFloors, scanImage, scanTotals } from '../floors.js';
import { type ReferenceMetrics, referenceMetrics } from '../reference.js';
import { type StandardMetrics, standardMetrics } from '../standard.js';
import type { PlacedImage } from './region.js';

/** An image with its numbers. */
export interface Measured extends PlacedImage {
  /** Undefined without a truth, and where they could not be had: then NaN is shown. */
  readonly reference?: ReferenceMetrics;
  readonly standard?: StandardMetrics;
}

/** How the reference metrics are taken. */
type Metrics = Pick<ComparisonConfig, 'phase_align_method' | 'frc_sigma' | 'ms_ssim_sigma'>;

/** A covered share below this makes every number doubtful. */
const WELL_COVERED = 0.99;

/**
 * Measures an image against the truth, both on the region. What cannot be measured is NaN, with a warning.
 * @param pixel_m side of an object pixel, metres, where it is known
 */
export function measure(
  image: PlacedImage,
  truth: ComplexImage | undefined,
  config: Metrics,
  pixel_m?: number,
): Measured {
  const warnings = [...image.warnings];
  const { name, registration, coverage } = image;
  if (registration && !registration.succeeded) {
    warnings.push(
      `The registration of ${name} failed, so it is compared where it lies. ${registration.reason ?? ''}`.trim(),
    );
  }
  if (coverage < WELL_COVERED) {
    warnings.push(
      `${name} covers ${(100 * coverage).toFixed(1)} % of the pixels that are compared; the others count with their value 0.`,
    );
  }
  if (!truth) return { ...image, warnings };
  const { phase_align_method, frc_sigma, ms_ssim_sigma } = config;
  const attempt = <T>(family: string, of: () => T): T | undefined => {
    try {
      return of();
    } catch (error) {
      if (!isPtychoError(error)) throw error;
      warnings.push(`${name} has no ${family} metrics: ${error.message}`);
      return undefined;
    }
  };
  const reference = attempt('reference', () =>
    referenceMetrics(image.placed, truth, { phase_align_method, frc_sigma, ms_ssim_sigma }),
  );
  const standard = attempt('standard', () => standardMetrics(image.placed, truth, { pixel_m }));
  return { ...image, reference, standard, warnings };
}

/** What an image without any reconstruction scores. */
export interface Floor {
  readonly name: string;
  readonly reference: ReferenceMetrics;
  readonly standard: StandardMetrics;
}

/** Names of floors, which no model may have. */
export const FLOOR_NAMES = ['Constant', 'ScanImage'] as const;

/**
 * The floors beside the scores: an object of one value, and √counts of the positions as an image. Every pattern is read once.
 * @param region where `truth` lies
 * @throws PtychoError DATASET_SHAPE where the region is too small for metrics
 */
export async function floorsOf(raw: RawData, truth: ComplexImage, region: Frame, config: Metrics): Promise<Floor[]> {
  const scan = scanImage(await scanTotals(raw), region);
  const { phase_align_method, frc_sigma, ms_ssim_sigma } = config;
  const pixel_m = raw.geometry.objectPixel_m?.x;
  const floors = metricFloors(truth, { phase_align_method, frc_sigma, ms_ssim_sigma, pixel_m, scan });
  return [
    { name: FLOOR_NAMES[0], ...floors.constant },
    ...(floors.scan ? [{ name: FLOOR_NAMES[1], ...floors.scan }] : []),
  ];
}

/** What is to be known of the standard metrics, each sentence once, with the names that it concerns where these are not all. */
export function metricNotes(models: readonly Measured[]): string[] {
  const names = new Map<string, string[]>();
  for (const { name, standard } of models) {
    for (const note of standard?.notes ?? []) names.set(note, [...(names.get(note) ?? []), name]);
  }
  return [...names].map(([note, of]) => (of.length === models.length ? note : `${of.join(', ')}: ${note}`));
}
