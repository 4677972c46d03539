/** A bundle on the patterns of a comparison: one image, made batch by batch, the network let go of afterwards. */

import type { Backend } from '../../backends/backend.js';
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { throwIfCancelled } from '../../core/cancel.js';
import type { Services } from '../../core/services.js';
import type { RawData } from '../../data/rawData.js';
import type { StoredBundle } from '../../persistence/bundle.js';
import { mlflowAccess } from '../../persistence/mlflowArtifacts.js';
import { modelOfScan } from '../../reconstruction/matching/modelOfScan.js';
import { DebugDump } from '../../reconstruction/patchRecords.js';
import { reconstructPrepared } from '../../reconstruction/pipeline.js';
import { PtychoModel } from '../../reconstruction/ptychoModel.js';
import { doubts, exposureDoubts, requireSide, scanForModel, scoreImage } from '../../reconstruction/scanForModel.js';
import { type ComparedImage, checkImage } from './compared.js';
import type { NamedModel } from './names.js';
import { firstGroups, type Subset } from './subset.js';

/** What a model's image is made with. */
export interface PredictionContext {
  readonly config: ComparisonConfig;
  readonly subset: Subset;
  readonly backend: Backend;
  readonly services: Services;
}

/**
 * Opens a bundle for a comparison.
 * @throws PtychoError those of opening a bundle, DATASET_SHAPE for one of another size of patterns
 */
export async function openForScan(
  { path }: NamedModel,
  raw: RawData,
  config: ComparisonConfig,
): Promise<PtychoModel<StoredBundle>> {
  const model = await PtychoModel.read(path, mlflowAccess(config.execution));
  requireSide(raw, model.bundle.config.model.N, model.bundle.path);
  return modelOfScan(model, raw);
}

/**
 * The image that a bundle makes of the patterns. Memory depends on batch and image, not on the number of groups.
 * @throws PtychoError DATASET_VALUE for an image of zeros or without numbers, CANCELLED, and those of engine and data
 */
export async function predictImage(
  { name }: NamedModel,
  model: PtychoModel<StoredBundle>,
  { config, subset, backend, services }: PredictionContext,
): Promise<ComparedImage> {
  const { bundle } = model;
  const { raw } = subset;
  const { gridsize, architecture, model_type } = bundle.config.model;
  const warnings = doubts(bundle, raw);
  const limit = name === 'Baseline' ? config.baseline_debug_limit : null;
  let prepared = await subset.scan(gridsize);
  if (limit !== null && limit < prepared.groups.count) {
    warnings.push(
      `${name} was made of the first ${limit} of ${prepared.groups.count} groups (baseline_debug_limit): its numbers are no comparison.`,
    );
    prepared = await firstGroups(prepared, limit);
  }
  warnings.push(...exposureDoubts(bundle, raw, prepared.statistics.meanPower));
  const scan = scanForModel(prepared, bundle);
  const dump =
    name === 'Baseline' && config.baseline_debug_dir !== null ? new DebugDump(config.baseline_debug_dir) : undefined;
  const settings = {
    ...config,
    batch_size: batchSize(name, config),
    stitch_crop_px: config.stitch_crop_size,
    prefetch: config.execution.prefetch_factor ?? undefined,
  };
  const { stitched, seconds, patterns, unaligned } = await reconstructPrepared(model.on(backend), scan, settings, {
    signal: services.signal,
    onProgress: services.onProgress && ((event) => services.onProgress?.({ ...event, stage: name })),
    onPatches: dump && ((patches, batch) => dump.see(patches, batch)),
  });
  throwIfCancelled(services.signal, 'The comparison');
  await dump?.write(scan.groups, stitched);
  warnings.push(...checkImage(stitched.image, stitched.weight, `What ${name} (${bundle.path}) predicts`));
  if (unaligned) warnings.push('The phases of its patches were not aligned: the folder for temporary files is full.');
  return {
    name,
    kind: 'bundle',
    path: bundle.path,
    image: stitched.image,
    frame: stitched.frame,
    frameKnown: true,
    weight: stitched.weight,
    seconds,
    what: `${architecture}, ${model_type}, gridsize ${gridsize}`,
    patterns,
    rFactor: await scoreImage(config.r_factor_patterns, bundle, raw, stitched),
    warnings,
  };
}

/** Groups in one prediction: a chunk is two batches with the engine. */
function batchSize(name: string, config: ComparisonConfig): number {
  const own = name === 'PtychoPINN' ? 'pinn' : name === 'Baseline' ? 'baseline' : undefined;
  const batch = (own && config[`${own}_predict_batch_size`]) ?? config.batch_size;
  const chunk = (own && config[`${own}_chunk_size`]) ?? null;
  return chunk === null ? batch : Math.min(batch, Math.max(1, Math.floor(chunk / 2)));
}
