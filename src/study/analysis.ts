/** The last steps of a study: all comparisons together. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { counted } from '../core/words.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { inventoryText, requiredArtifacts } from './artifacts.js';
import type { Study } from './data.js';
import { ANALYSIS, COMPARISON_FILES, comparisonFolder, type Job, stepId } from './layout.js';
import { comparisonManifest, type ExecutionResult } from './manifest.js';
import type { Step } from './steps.js';
import { collectSummary, type DeltaSummary, deltaSummary, type MetricsSummary } from './summary.js';
import { aggregateHighlights, deltaHighlights, metricsDigest, ssimGrid, summaryTable } from './texts.js';

/** Summary, manifest, deltas and highlights. */
export function aggregateStep(study: Study, results: readonly ExecutionResult[]): Step {
  const { summary, table, manifest, delta, highlights, preview, aggregate } = ANALYSIS;
  const succeeded = results.filter(({ status }) => status === 'success');
  const failed = results.filter(({ status }) => status === 'failed');
  const { splits, views, doses, iterative } = study.config;
  return {
    id: stepId.aggregate,
    title: `Analysis of ${counted(succeeded.length, 'comparison')}`,
    config: { results, splits, views: Object.keys(views), doses, iterative: iterative?.name ?? null },
    inputs: succeeded.flatMap((job) => COMPARISON_FILES.map((file) => `${comparisonFolder(job)}/${file}`)),
    outputs: [summary, table, manifest, delta, highlights, preview, aggregate],
    async run({ services }) {
      const generated_at = new Date().toISOString();
      await makeOutputFolder(path.join(study.folder, path.dirname(summary)));
      const write = (name: string, content: string) => writeAtomically(path.join(study.folder, name), content);
      const numbers = await collectSummary(study.folder, study.config, failed, generated_at);
      const deltas = deltaSummary(numbers, generated_at);
      await write(manifest, json(comparisonManifest(results, generated_at)));
      await write(summary, json(numbers));
      await write(table, summaryTable(numbers));
      await write(delta, json(deltas));
      await write(highlights, deltaHighlights(deltas));
      await write(preview, deltaHighlights(deltas));
      await write(aggregate, aggregateHighlights(numbers));
      services.logger.info(
        `${counted(numbers.n_jobs, 'comparison')}, averages over the ${numbers.aggregate_split} split:`,
      );
      for (const line of deltaHighlights(deltas).trim().split('\n')) services.logger.info(line);
      return { n_jobs: numbers.n_jobs };
    },
  };
}

/** Digest, SSIM grid and the list of required files. */
export function digestStep(study: Study, isSkipped: (job: Job) => boolean): Step {
  const { summary, delta, digest, ssimGrid: grid, inventory } = ANALYSIS;
  const text = inventoryText(requiredArtifacts(study.config, isSkipped));
  return {
    id: stepId.digest,
    title: 'Digest and inventory',
    config: { inventory: text },
    inputs: [summary, delta],
    outputs: [digest, grid, inventory],
    async run({ services }) {
      const read = async <T>(name: string) =>
        JSON.parse(await readTextInput(path.join(study.folder, name), { maxBytes: TABLE_BYTES })) as T;
      const numbers = await read<MetricsSummary>(summary);
      const write = (name: string, content: string) => writeAtomically(path.join(study.folder, name), content);
      await write(digest, metricsDigest(numbers, await read<DeltaSummary>(delta)));
      await write(grid, ssimGrid(numbers));
      await write(inventory, text);
      const listed = text.trim().split('\n');
      // The logs are written last.
      const lost = listed.filter((name) => !name.startsWith('cli/') && !existsSync(path.join(study.folder, name)));
      for (const name of lost) services.logger.warn(`${name} is not there.`);
      return { required: listed.length };
    },
  };
}
