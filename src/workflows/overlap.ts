/** `overlap`: the overlap metrics of a scan, or of the two parts of a split one. */

import { overlapDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { OverlapConfig } from '../config/schemas/evaluation.js';
import { cancelPoint, throwIfCancelled } from '../core/cancel.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import { openTool } from '../data/preparedScan.js';
import { computeOverlapMetrics, OVERLAP_FILES, type OverlapMetrics, writeOverlap } from '../evaluation/overlap.js';
import { requireNewIn } from '../formats/outputs.js';

/** What was measured. */
export interface OverlapReport {
  /** Of the one scan, or of the training part. */
  readonly train: OverlapMetrics;
  readonly test?: OverlapMetrics;
  readonly files: readonly string[];
}

/**
 * Measures one scan, or a training and a test scan.
 * @throws PtychoError as `openDataset`, `computeOverlapMetrics` and writing
 */
export async function overlapWorkflow(
  files: { readonly train: string; readonly test?: string },
  given: PartOf<OverlapConfig>,
  services: Services = {},
): Promise<OverlapReport> {
  const config = wholeConfig(overlapDefinition, given, services.logger);
  await requireNewIn(
    config.output_dir,
    files.test === undefined ? OVERLAP_FILES.one : OVERLAP_FILES.two,
    config,
    services,
  );
  const pause = cancelPoint(services.signal, 'The measurement of the overlap');
  const measure = async (file: string): Promise<OverlapMetrics> => {
    return closing(await openTool(file, config, services), async (raw) => {
      await pause();
      return computeOverlapMetrics(raw, { ...config, probe: raw.probeGuess, N: raw.N });
    });
  };
  const train = await measure(files.train);
  const test = files.test === undefined ? undefined : await measure(files.test);
  throwIfCancelled(services.signal, 'The measurement of the overlap');
  if (config.output_dir === null) return { train, test, files: [] };
  return { train, test, files: await writeOverlap(config.output_dir, train, test) };
}
