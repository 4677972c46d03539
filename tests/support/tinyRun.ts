/** Trainings of a real network small enough for tests: two steps of two patterns an epoch, one that validates, one thread. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { type TrainingRequest, trainingRequestSchema } from '../../src/config/schema.js';
import { PUBLISHED_TRAINING } from '../../src/config/trainingPresets.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';

/** A scan of a small object, but for the object's side and the seed. */
export const TINY_RECIPE = {
  N: 64,
  object: 'lines',
  probe: 'structured',
  probe_diameter_px: null,
  probe_curvature_rad: 1.2,
  scan: 'jittered_raster',
  step_px: 6,
  n_patterns: null,
  photons: 1e5,
  noise: true,
} as const;

/** Writes a scan of a small object in small patterns; the same seed gives the same file. */
export async function writeTinyScan(file: string, seed = 3, N = 32): Promise<void> {
  await writeSimulatedScan(file, simulate({ ...TINY_RECIPE, N, object_side_px: N + 20, seed }));
}

/** A request for such a training; blocks are merged. */
export function tinyRequest(scan: string, output_dir: string, over: Record<string, unknown> = {}): TrainingRequest {
  const { model, execution, ...rest } = over as { model?: object; execution?: object };
  return trainingRequestSchema.parse({
    ...PUBLISHED_TRAINING,
    model: { n_filters_scale: 1, ...model },
    train_data_file: scan,
    output_dir,
    overwrite: true,
    nepochs: 2,
    batch_size: 2,
    n_groups: 5,
    nll_weight: 0.5,
    mae_weight: 0.5,
    val_fraction: 0.2,
    execution: { accelerator: 'cpu', threads: 1, ...execution },
    ...rest,
  });
}

/** SHA-256 of the bundle in a run's folder. */
export async function bundleHash(folder: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path.join(folder, 'wts.zip')))
    .digest('hex');
}
