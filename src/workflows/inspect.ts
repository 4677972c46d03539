/** `inspect`: what a scan file holds, and a map of it. */

import { inspectDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { InspectConfig } from '../config/schemas/tools.js';
import { throwIfCancelled } from '../core/cancel.js';
import type { Services } from '../core/services.js';
import { inspectScan, renderInspectedScan, type ScanInspection } from '../data/inspect.js';
import { openOptions } from '../data/preparedScan.js';
import { checkPngName, writePng } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';

/** The findings, and the positions for those who show them. */
export interface InspectResult {
  readonly inspection: ScanInspection & { readonly map?: string };
  /** Absent when the file could not be opened as a scan. */
  readonly positions?: { readonly xs: Float64Array; readonly ys: Float64Array };
}

/**
 * Looks at a scan; writes its map to `config.map` where that is given.
 * @throws PtychoError those of `inspectScan`; OUTPUT_UNWRITABLE, CONFIG_INVALID for a map that is no `.png`.
 */
export async function inspectWorkflow(
  file: string,
  given: PartOf<InspectConfig>,
  services: Services = {},
): Promise<InspectResult> {
  const config = wholeConfig(inspectDefinition, given, services.logger);
  checkPngName(config.map, 'map');
  if (config.map !== null) await requireNew([config.map], { ...newFiles(config, services), field: 'map' });
  let positions: InspectResult['positions'];
  let map: string | undefined;
  const inspection = await inspectScan(file, {
    ...openOptions(config, { ...services, logger: undefined }),
    onScan: async (scan, summary) => {
      positions = { xs: scan.raw.xcoords, ys: scan.raw.ycoords };
      if (config.map === null) return;
      throwIfCancelled(services.signal, 'The inspection');
      await writePng(config.map, renderInspectedScan(scan, summary));
      map = config.map;
    },
  });
  return { inspection: map === undefined ? inspection : { ...inspection, map }, positions };
}
