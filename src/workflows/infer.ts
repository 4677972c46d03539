/**
 * `infer`: a bundle and a scan in, an image out. Writes `reconstruction.npz`, `reconstructed_amplitude.png`,
 * `reconstructed_phase.png` and `run.json` to `output_dir`.
 */
import path from 'node:path';
import { describeEngine, selectBackend } from '../backends/select.js';
import { checkModelClaim } from '../config/modelClaim.js';
import type { Provenance } from '../config/resolve.js';
import type { InferenceConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { silentLogger } from '../core/log.js';
import type { ComplexImage, Tensor } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import { amplitudeRFactor, constantObjectRFactor } from '../evaluation/rFactor.js';
import { writeNpz } from '../formats/npz.js';
import { scaleComplex } from '../physics/probe.js';
import type { StitchedImage } from '../reconstruction/stitch.js';
import { renderAmplitude, renderPhase, withColourBar } from '../report/image.js';
import { encodePng } from '../report/png.js';
import { json, makeOutputFolder, textArray, writeAtomically } from './files.js';
import { openModel } from './model.js';
import { type Reconstruction, reconstruct } from './reconstruct.js';
import { openScan, type PreparedScan, prepareScan } from './scan.js';
import type { WorkflowServices } from './train.js';
import { createdBy } from './version.js';

export interface InferStage {
  readonly name: string;
  readonly seconds: number;
  readonly patternsPerSecond: number;
}

export interface InferSummary {
  readonly stages: readonly InferStage[];
  readonly patterns: number;
  readonly outputDir: string;
  readonly files: readonly string[];
  /** Share of the frame that some patch covers. */
  readonly coverage: number;
  /** Amplitude R-factor of the image on (a sample of) the scan, and that of the best constant object. */
  readonly rFactor?: { readonly image: number; readonly constant: number; readonly patterns: number };
  readonly stitched: StitchedImage;
}

/** Reconstructs a scan with a trained bundle. */
export async function inferWorkflow(config: InferenceConfig, services: WorkflowServices = {}): Promise<InferSummary> {
  const logger = services.logger ?? silentLogger;
  const model = await openModel(config.model_path);
  checkModelClaim(config.model, model.bundle.config.model, model.bundle.path);
  const { gridsize, N } = model.bundle.config.model;
  const opening = performance.now();
  const raw = await openScan(config.test_data_file, config, logger);
  try {
    if (raw.N !== N) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${raw.source} has patterns of ${raw.N}×${raw.N} pixels, but ${model.bundle.path} was trained on ${N}×${N}: use a model of that size, or crop or bin the patterns.`,
        { path: raw.source, found: raw.N, expected: N },
      );
    }
    const scan = await prepareScan(raw, config, gridsize, logger);
    const network = model.network(Math.max(scan.dataset.canvasSide_px, model.bundle.canvasSide_px));
    const openSeconds = (performance.now() - opening) / 1000;
    await makeOutputFolder(config.output_dir);
    const backend = await selectBackend(config, logger);
    let result: Reconstruction;
    try {
      logger.info(describeEngine(backend.info));
      result = await reconstruct({
        network,
        weights: model.bundle.weights,
        backend,
        dataset: scan.dataset,
        batch_size: config.execution.inference_batch_size ?? config.batch_size,
        crop_px: config.stitch_crop_px ?? N / 2,
        patch_weighting: config.patch_weighting,
        probe: raw.probeGuess,
        signal: services.signal,
        onProgress: services.onProgress,
      });
    } finally {
      await backend.dispose();
    }
    const writing = performance.now();
    const { stitched, patterns, times } = result;
    const files = await writeImages(config.output_dir, stitched, scan, model.bundle.config.model.architecture);
    const writeSeconds = (performance.now() - writing) / 1000;
    const rFactor = await scoreR(config.r_factor_patterns, raw, stitched, model.bundle.scale.probeFactor);
    const stages = (
      [
        ['open and group', openSeconds],
        ['read', times.read],
        ['predict', times.predict],
        ['stitch', times.stitch],
        ['write', writeSeconds],
        ['total', openSeconds + result.seconds + writeSeconds],
      ] as const
    ).map(([name, seconds]) => ({ name, seconds, patternsPerSecond: patterns / seconds }));
    await writeAtomically(
      path.join(config.output_dir, 'run.json'),
      json({
        config,
        provenance: services.provenance as Provenance | undefined,
        stages,
        coverage: stitched.coverage,
        skipped_positions: scan.groups.skipped,
        r_factor: rFactor,
        backend: backend.info,
        node: process.version,
        version: createdBy.version,
      }),
    );
    return {
      stages,
      patterns,
      outputDir: config.output_dir,
      files: [...files, 'run.json'],
      coverage: stitched.coverage,
      rFactor,
      stitched,
    };
  } finally {
    await raw.close();
  }
}

/** Pictures show what the scan covers well: pixels with at least this share of the median weight. */
const FAINT = 0.05;

/** Non-zero where enough light fell for the image to mean something. */
export function wellCovered(weight: Tensor): Uint8Array {
  const positive = weight.data.filter((v) => v > 0).sort();
  const limit = FAINT * (positive[positive.length >> 1] ?? 0);
  return Uint8Array.from(weight.data, (v) => (v > limit ? 1 : 0));
}

/** Amplitude and phase pictures of a stitched image, as PNG bytes. */
export function stitchedPictures(stitched: { readonly image: ComplexImage; readonly weight: Tensor }) {
  const mask = wellCovered(stitched.weight);
  const amplitude = renderAmplitude(stitched.image, { mask });
  const phase = renderPhase(stitched.image, { mask });
  return { amplitude, phase };
}

async function writeImages(
  folder: string,
  stitched: StitchedImage,
  { raw, groups }: PreparedScan,
  architecture: string,
): Promise<string[]> {
  await writeNpz(path.join(folder, 'reconstruction.npz'), {
    reconstructed_object: stitched.image,
    frame_origin_yx_px: { data: Float64Array.from(stitched.frame.originYxPx), shape: [2] },
    overlap_count: stitched.overlapCount,
    sample_indices: { data: raw.sampleIndices, shape: [raw.sampleIndices.length] },
    nn_indices: { data: groups.members, shape: [groups.count, groups.C] },
    algorithm: textArray(`PtychoPINN ${architecture}`),
  });
  const { amplitude, phase } = stitchedPictures(stitched);
  await writeAtomically(path.join(folder, 'reconstructed_amplitude.png'), encodePng(withColourBar(amplitude)));
  await writeAtomically(path.join(folder, 'reconstructed_phase.png'), encodePng(withColourBar(phase)));
  return ['reconstruction.npz', 'reconstructed_amplitude.png', 'reconstructed_phase.png'];
}

/** R on evenly spaced patterns of the scan; undefined where it is switched off or has no probe or no counts. */
async function scoreR(
  limit: number,
  raw: RawData,
  stitched: StitchedImage,
  probeFactor: number,
): Promise<InferSummary['rFactor']> {
  if (limit === 0 || !raw.probeGuess || raw.domain === 'normalized_amplitude') return undefined;
  const n = Math.min(limit, raw.count);
  const indices = Int32Array.from({ length: n }, (_, i) => Math.floor((i * raw.count) / n));
  const data = new Float32Array(n * raw.N * raw.N);
  await raw.patterns.readAmplitudes(indices, data);
  const scan = {
    diffraction: { data, shape: [n, raw.N, raw.N] },
    xs: Float64Array.from(indices, (i) => raw.xcoords[i]),
    ys: Float64Array.from(indices, (i) => raw.ycoords[i]),
    probe: scaleComplex(raw.probeGuess, probeFactor),
    badPixels: raw.badPixels,
  };
  return {
    image: amplitudeRFactor(scan, stitched, { overlapCount: stitched.weight }),
    constant: constantObjectRFactor(scan).best,
    patterns: n,
  };
}
