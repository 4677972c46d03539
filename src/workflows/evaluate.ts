/**
 * `evaluate`: an image against the truth in both families of metrics, with the floors beside every number; or, without a truth,
 * two halves of a scan against each other.
 *
 * @example
 * const { metrics, floors } = await evaluateWorkflow({ ...config, reconstruction: 'reconstruction.npz', truth: 'scan.npz' });
 */
import { evaluationDefinition } from '../config/commands.js';
import { completeConfig, wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { EvaluationConfig } from '../config/schemas/evaluation.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { openTool } from '../data/preparedScan.js';
import { evaluateImage, pixelOf } from '../evaluation/evaluate.js';
import {
  EVALUATION_FILES,
  type EvaluationReport,
  HALVES_FILES,
  type HalvesReport,
  writeEvaluation,
  writeHalves,
} from '../evaluation/evaluationReport.js';
import { halfSetCorrelation } from '../evaluation/halves.js';
import { requireNewIn } from '../formats/outputs.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';
import { readStoredImage } from '../reconstruction/storedImage.js';

/**
 * Scores an image; fields that are not given have their defaults (docs/configuration.md).
 * @example
 * const { metrics } = await evaluate({ reconstruction: 'out/reconstruction.npz', truth: 'scan.npz' });
 * @throws PtychoError CONFIG_INVALID, CONFIG_UNKNOWN_KEY, and those of {@link evaluateWorkflow}
 */
export function evaluate(options: PartOf<EvaluationConfig>, services: Services = {}): Promise<EvaluationReport> {
  return evaluateWorkflow(completeConfig(evaluationDefinition, options, services.logger), services);
}

/** Scores an image. @throws PtychoError those of reading, DATASET_SHAPE for images that share too little, OUTPUT_UNWRITABLE */
export async function evaluateWorkflow(
  given: PartOf<EvaluationConfig>,
  services: Services = {},
): Promise<EvaluationReport> {
  const config = wholeConfig(evaluationDefinition, given, services.logger);
  await requireNewIn(config.output_dir, EVALUATION_FILES, config, services);
  const raw = config.test_data_file === null ? undefined : await openTool(config.test_data_file, config, services);
  try {
    const stored = await readStoredImage(required(config.reconstruction, 'reconstruction'), 'the reconstruction');
    const report = await evaluateImage(config, stored, raw, services.signal);
    throwIfCancelled(services.signal, 'The evaluation');
    if (config.output_dir === null) return report;
    return { ...report, files: await writeEvaluation(config.output_dir, report, { image: stored, ...services }) };
  } finally {
    await raw?.close();
  }
}

/** Correlates two halves of a scan. @throws PtychoError as {@link halfSetCorrelation}, and those of opening model and scan */
export async function evaluateHalvesWorkflow(
  given: PartOf<EvaluationConfig>,
  services: Services = {},
): Promise<HalvesReport> {
  const config = wholeConfig(evaluationDefinition, given, services.logger);
  const { backend, execution, neighbor_count, seed } = config;
  const path = required(config.model_path, 'model_path');
  const { logger, signal, onProgress } = services;
  await requireNewIn(config.output_dir, HALVES_FILES, config, services);
  return closing(await openTool(required(config.test_data_file, 'test_data_file'), config, services), async (raw) =>
    closing(await PtychoModel.open(path, { backend, execution, logger }), async (model) => {
      const pixel_m = pixelOf(config, raw);
      const options = { neighbor_count, seed, pixel_m, logger, signal, onProgress };
      const halves = await halfSetCorrelation(model, raw, options);
      const report = { model: path, source: raw.source, pixel_m, halves, files: [] };
      if (config.output_dir === null) return report;
      return { ...report, files: await writeHalves(config.output_dir, report, services.provenance) };
    }),
  );
}

/** The schema asks for it wherever it is used. */
function required(value: string | null, key: string): string {
  if (value !== null) return value;
  throw new PtychoError('CONFIG_INVALID', `${key} must be given.`, { key });
}
