/** `split`: a scan cut in two along an axis, one part to train on, one to test with. */

import { splitDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { SplitConfig } from '../config/schemas/tools.js';
import type { Services } from '../core/services.js';
import { type SplitSummary, splitFiles, splitScan } from '../data/rewriteScan.js';
import { refuseToOverwrite } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';

export type { SplitSummary } from '../data/rewriteScan.js';

/**
 * Writes `NAME_train.npz` and `NAME_test.npz` to `config.output_dir`, NAME being the input's without its ending. Arrays with an
 * entry for each pattern are divided, the others are in both files.
 * @throws PtychoError CONFIG_INVALID for an empty part or an output that is the input; OUTPUT_EXISTS; those of opening and writing.
 */
export async function splitWorkflow(
  input: string,
  given: PartOf<SplitConfig>,
  services: Services = {},
): Promise<SplitSummary> {
  const config = wholeConfig(splitDefinition, given, services.logger);
  const { train, test } = splitFiles(input, config);
  for (const file of [train, test]) await refuseToOverwrite(input, file, 'output_dir');
  await requireNew([train, test], { ...newFiles(config, services), field: 'output_dir' });
  return splitScan(input, config, services);
}
