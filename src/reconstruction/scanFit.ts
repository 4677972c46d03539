/** How a scan and a model fit each other, and how an image fits the scan. */
import type { ComplexTensor } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import type { BundleContent } from '../persistence/bundle.js';
import { scaleComplex } from '../physics/probe.js';
import type { TrainedNetwork } from './model.js';
import { probeWeights } from './placement.js';
import { constantObjectRFactor, exposedRFactor } from './rFactor.js';
import type { StitchedImage } from './stitch.js';

/** Probes whose intensities correlate less than this are not the same optics. */
const SAME_PROBE = 0.8;

/** Patterns of so many times more or less light than those of the training hold another noise. */
const SAME_EXPOSURE = 5;

/** What makes a model a doubtful choice for a scan, each one sentence; empty where nothing does. */
export function doubts({ bundle }: TrainedNetwork, raw: RawData): string[] {
  const found: string[] = [];
  const counted = (domain: RawData['domain']) => domain !== 'normalized_amplitude';
  if (counted(bundle.scale.domain) !== counted(raw.domain)) {
    found.push(
      `The model was trained on ${bundle.scale.domain}, but ${raw.source} holds ${raw.domain}: amplitudes of the image are right up to a factor only.`,
    );
  }
  if (raw.probeGuess) {
    const alike = similarity(raw.probeGuess, bundle.probe);
    if (alike < SAME_PROBE) {
      found.push(
        `The probe of ${raw.source} is not the one that the model was trained with (their intensities correlate to ${alike.toFixed(2)}): expect artefacts, or train with this probe.`,
      );
    }
  }
  return found;
}

/**
 * A doubt where the patterns of a scan hold far more or far fewer counts than those that the model was trained with. Every scan is
 * normalised by its own mean power, so that the scale is right; but noise does not scale.
 * @param meanPower of the scan's patterns: `statistics.meanPower`
 * @returns one sentence, or none; none also where the counts of one of the two are unknown
 */
export function exposureDoubts(
  { scale, statistics, imported }: BundleContent,
  raw: RawData,
  meanPower: number,
): string[] {
  const counted = [scale.domain, raw.domain].every((domain) => domain !== 'normalized_amplitude');
  if (!counted || imported) return [];
  const ratio = meanPower / statistics.meanCounts;
  if (ratio <= SAME_EXPOSURE && ratio >= 1 / SAME_EXPOSURE) return [];
  const [counts, trained] = [meanPower, statistics.meanCounts].map((v) =>
    Number(v.toPrecision(2)).toLocaleString('en'),
  );
  const times = Number((ratio > 1 ? ratio : 1 / ratio).toPrecision(2));
  return [
    `The patterns of ${raw.source} hold ${counts} counts each, ${times} times ${ratio > 1 ? 'more' : 'fewer'} than those that the model was trained with (${trained}): it has not seen such noise, so expect a worse image, or train with patterns of this exposure.`,
  ];
}

/** Σ I_a·I_b / √(Σ I_a²·Σ I_b²) of the intensities of two probes of one size; 1 for others. */
function similarity(a: ComplexTensor, b: ComplexTensor): number {
  const [x, y] = [probeWeights(a).data, probeWeights(b).data];
  if (x.length !== y.length) return 1;
  let [xy, xx, yy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xy += x[i] * y[i];
    xx += x[i] * x[i];
    yy += y[i] * y[i];
  }
  return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : 1;
}

/** R of an image on (a sample of) the scan, and that of the best constant object. */
export interface ImageRFactor {
  readonly image: number;
  readonly constant: number;
  readonly patterns: number;
  /** What the probe was multiplied by to explain as many counts as were measured. */
  readonly probeScale: number;
}

/**
 * R on evenly spaced patterns of the scan, the probe scaled to their counts; undefined where it is switched off or has no probe or no
 * counts.
 * @param limit patterns at most; 0: none
 * @param positions where the patterns are, if not where they were measured
 */
export async function scoreR(
  limit: number,
  raw: RawData,
  stitched: StitchedImage,
  probeFactor: number,
  positions: { readonly xs: Float64Array; readonly ys: Float64Array } = { xs: raw.xcoords, ys: raw.ycoords },
): Promise<ImageRFactor | undefined> {
  if (limit === 0 || !raw.probeGuess || raw.domain === 'normalized_amplitude') return undefined;
  const n = Math.min(limit, raw.count);
  const indices = Int32Array.from({ length: n }, (_, i) => Math.floor((i * raw.count) / n));
  const data = new Float32Array(n * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, data);
  const scan = {
    diffraction: { data, shape: [n, raw.N, raw.N] },
    xs: Float64Array.from(indices, (i) => positions.xs[i]),
    ys: Float64Array.from(indices, (i) => positions.ys[i]),
    probe: scaleComplex(raw.probeGuess, probeFactor),
    badPixels: raw.badPixels,
  };
  const { r, factor } = exposedRFactor(scan, stitched, { overlapCount: stitched.weight });
  return { image: r, constant: constantObjectRFactor(scan).best, patterns: n, probeScale: factor };
}
