/**
 * `compare`: any number of models and finished reconstructions on the same patterns of one scan, as tables, arrays, pictures and
 * one page; with `--forward`, what two bundles predict, patch by patch.
 *
 * @example
 * const { models } = await compareModels(comparisonConfigSchema.parse({
 *   pinn_dir: 'pinn', baseline_dir: 'baseline', arms: ['PtyChi=recon.npz'], test_data_file: 'test.npz', output_dir: 'compared',
 * }));
 * for (const { name, standard } of models) console.log(name, standard?.ssim.phase);
 */

import path from 'node:path';
import { comparisonDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { ComparisonConfig } from '../config/schemas/comparison.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { compareImages } from '../evaluation/comparison/compare.js';
import { compareOn, type ForwardParity } from '../evaluation/comparison/compareForward.js';
import { COMPARISON_RESULTS, writeComparison } from '../evaluation/comparison/files.js';
import { forwardPicture } from '../evaluation/comparison/forwardStatistics.js';
import type { Comparison } from '../evaluation/comparison/measure.js';
import { namedModels } from '../evaluation/comparison/names.js';
import { openSubset } from '../evaluation/comparison/subset.js';
import { json, writeAtomically, writeDrawing } from '../formats/outputFiles.js';
import { withOutputFolder } from '../formats/outputs.js';

/** What a comparison came to. */
export interface ComparisonSummary
  extends Pick<Comparison, 'models' | 'floors' | 'region' | 'sampleIndices' | 'warnings'> {
  readonly outputDir: string;
  readonly files: readonly string[];
}

/** Compares models and writes what came of it to `output_dir`. @throws PtychoError as `compareImages`; OUTPUT_UNWRITABLE */
export async function compareModels(
  given: PartOf<ComparisonConfig>,
  services: Services = {},
): Promise<ComparisonSummary> {
  const config = wholeConfig(comparisonDefinition, given, services.logger);
  const claim = { command: 'compare', overwrite: config.overwrite, results: COMPARISON_RESULTS };
  return withOutputFolder(config.output_dir, claim, services, async (folder) => {
    const comparison = await compareImages(config, { ...services, signal: folder.signal }, () => folder.make());
    const files = await writeComparison(comparison);
    const { models, floors, region, sampleIndices, warnings } = comparison;
    return { models, floors, region, sampleIndices, warnings, outputDir: config.output_dir, files };
  });
}

/** What the predictions of two bundles came to, as files. */
export interface ForwardSummary extends ForwardParity {
  readonly outputDir: string;
  readonly files: readonly string[];
}

/** `compare --forward`: writes `forward_parity.json` and `forward_parity.png` to `output_dir`. @throws PtychoError as `compareForward` */
export async function forwardWorkflow(
  given: PartOf<ComparisonConfig>,
  services: Services = {},
): Promise<ForwardSummary> {
  const config = wholeConfig(comparisonDefinition, given, services.logger);
  const files = ['forward_parity.json', 'forward_parity.png'] as const;
  const claim = { command: 'compare', overwrite: config.overwrite, results: files };
  return withOutputFolder(config.output_dir, claim, services, async (folder) =>
    closing(await openSubset(config, services.logger), async (raw) => {
      const parity = await compareOn(raw, config, { ...services, signal: folder.signal }, () => folder.make());
      const { names, statistics, patterns, shown, maps } = parity;
      const record = {
        scan: raw.source,
        models: namedModels(config),
        patterns,
        shown: shown.map(({ pattern }) => pattern),
        ...statistics,
        config,
        provenance: services.provenance,
        version: createdBy.version,
      };
      await writeAtomically(path.join(config.output_dir, 'forward_parity.json'), json(record));
      await writeDrawing(config.output_dir, 'forward_parity', forwardPicture(names, shown, maps));
      return { ...parity, outputDir: config.output_dir, files };
    }),
  );
}
