/** `convert`: a scan of any readable format becomes a contract NPZ. */

import { convertDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { ConvertConfig } from '../config/schemas/tools.js';
import type { Services } from '../core/services.js';
import { type ConversionSummary, convertScan } from '../data/rewriteScan.js';
import { refuseToOverwrite } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';

export type { ConversionSummary } from '../data/rewriteScan.js';

/**
 * Reads `input` as the configuration says and writes it to `config.output_file`; `_metadata.data_transformations` tells how.
 * Patterns stream through, so that the scan may be larger than the memory.
 *
 * @throws PtychoError CONFIG_INVALID when the output is the input; OUTPUT_EXISTS; those of `openDataset` and `writeScan`.
 */
export async function convertWorkflow(
  input: string,
  given: PartOf<ConvertConfig>,
  services: Services = {},
): Promise<ConversionSummary> {
  const config = wholeConfig(convertDefinition, given, services.logger);
  await refuseToOverwrite(input, config.output_file, 'output_file');
  await requireNew([config.output_file], { ...newFiles(config, services), field: 'output_file' });
  return convertScan(input, config, services);
}
