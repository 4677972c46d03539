/**
 * `varpro_scaling`: before the image of a scan is stitched, the scales of the real and of the imaginary part of its patches are fitted to
 * all its patterns at once, without a network's own scale ({@link VarproSums}); every patch is then multiplied by them, which is what
 * scaling the stitched image does, and what alignment, uncertainty and previews see, too.
 */
import { PtychoError } from '../../core/errors.js';
import { inOrder } from '../../core/inOrder.js';
import type { Services } from '../../core/services.js';
import type { ComplexTensor } from '../../core/tensor.js';
import type { PreparedScan } from '../../data/preparedScan.js';
import { smoothedProbe } from '../../model/detector.js';
import { configuredProbeMask } from '../../physics/probe.js';
import { type PartScales, VarproSums } from '../../physics/varpro.js';
import { feedOf } from '../feed.js';
import { Predictor } from '../predictor.js';
import type { PtychoModel } from '../ptychoModel.js';
import { probeInCounts, weightsFor } from '../scanForModel.js';

/** Batches with the engine at a time. */
const WITH_ENGINE = 2;

/**
 * s1 and s2 of a scan that is grouped and normalised for the model; its network runs over every group once.
 * @throws PtychoError DATASET_VALUE where the patterns do not determine them; CANCELLED; those of engine and data
 */
export async function varproScales(
  model: PtychoModel,
  { raw, dataset, statistics }: PreparedScan,
  { batch_size, prefetch = 2 }: { readonly batch_size: number; readonly prefetch?: number },
  { signal, onProgress }: Services = {},
): Promise<PartScales> {
  const { bundle, engine } = model;
  const area = dataset.N ** 2;
  const sums = sumsFor(model, raw);
  // Normalised amplitudes have the counts that the model takes them for.
  const unit = raw.domain === 'normalized_amplitude' ? bundle.scale.intensityScale : 1 / dataset.inputScale;
  const counts = new Float64Array(area);
  const predictor = new Predictor(model.network(dataset.canvasSide_px), weightsFor(bundle, raw, statistics), engine, Math.min(batch_size, dataset.size)); // biome-ignore format: one call
  const none = new Float64Array(dataset.size * dataset.C);
  let done = 0;
  try {
    const predicted = inOrder(feedOf(dataset, none, none).batches(batch_size), {
      readAhead: prefetch,
      width: WITH_ENGINE * predictor.engines,
      signal,
      work: async ({ diffraction, positions }) => ({ x: diffraction.data, patches: await predictor.patches(diffraction, positions) }), // biome-ignore format: one call
    });
    for await (const { x, patches } of predicted) {
      for (let from = 0; from < patches.re.length; from += area) {
        for (let i = 0; i < area; i++) counts[i] = (x[from + i] * unit) ** 2;
        sums.add(patches.re, patches.im, from, counts);
        done++;
      }
      onProgress?.({ stage: 'fitting scales', done, total: dataset.size * dataset.C, unit: 'patterns' });
    }
  } finally {
    await predictor.dispose();
  }
  if (signal?.aborted) throw new PtychoError('CANCELLED', 'The reconstruction was cancelled.', {});
  const scales = sums.solve();
  if (scales) return scales;
  throw new PtychoError(
    'DATASET_VALUE',
    `varpro_scaling: the patterns of ${raw.source} do not tell the scale of the real part from that of the imaginary part, because the network paints one of them only, or both alike; leave varpro_scaling out.`,
    { key: 'varpro_scaling', path: raw.source },
  );
}

function sumsFor({ bundle }: PtychoModel, raw: PreparedScan['raw']): VarproSums {
  const { model } = bundle.config;
  const mask = configuredProbeMask(model);
  const probe = probeInCounts(bundle, raw);
  const masked = (x: Float32Array) => (mask ? x.map((v, i) => v * mask[i % mask.length]) : x);
  const { gaussian_smoothing_sigma: sigma, N } = model;
  const blurred = (re: Float64Array, im: Float64Array) => {
    const wave = smoothedProbe({ re: Float32Array.from(re), im: Float32Array.from(im), shape: [N, N] }, sigma);
    re.set(wave.re);
    im.set(wave.im);
  };
  const lit = { re: masked(probe.re), im: masked(probe.im), shape: probe.shape };
  return new VarproSums(lit, raw.badPixels, sigma > 0 ? blurred : undefined);
}

/** Patches with both parts scaled, in place. */
export function scaleParts({ re, im }: ComplexTensor, { s1, s2 }: PartScales): void {
  for (let i = 0; i < re.length; i++) {
    re[i] *= s1;
    im[i] *= s2;
  }
}
