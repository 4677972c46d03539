/** `orient`: which way the positions of a scan lie, as a ranking and as a picture. */

import { orientDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import type { OrientConfig } from '../config/schemas/tools.js';
import { closing } from '../core/inputFile.js';
import type { Services } from '../core/services.js';
import {
  findOrientation,
  type OrientationScore,
  type OrientationSearch,
  orientationSheet,
} from '../data/orient/orient.js';
import { openTool } from '../data/preparedScan.js';
import { checkPngName, writePng } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';

/** What was found, in plain values: {@link OrientationSearch} without the images. */
export interface OrientationReport extends Omit<OrientationSearch, 'ranking'> {
  readonly source: string;
  readonly patterns: number;
  readonly N: number;
  readonly ranking: readonly Omit<OrientationScore, 'object' | 'illumination'>[];
  /** The PNG file that was written. */
  readonly picture?: string;
}

/**
 * Tries the eight orientations of a scan; writes the reconstructions to `config.picture` where that is given.
 * @throws PtychoError those of opening and of {@link findOrientation}; OUTPUT_UNWRITABLE, CONFIG_INVALID for a picture that is
 * no `.png`.
 */
export async function orientWorkflow(
  file: string,
  given: PartOf<OrientConfig>,
  services: Services = {},
): Promise<OrientationReport> {
  const config = wholeConfig(orientDefinition, given, services.logger);
  checkPngName(config.picture, 'picture');
  if (config.picture !== null) await requireNew([config.picture], { ...newFiles(config, services), field: 'picture' });
  return closing(await openTool(file, config, services), async (raw) => {
    const search = await findOrientation(raw, services);
    if (config.picture !== null) await writePng(config.picture, orientationSheet(search));
    return {
      ...search,
      source: raw.source,
      patterns: raw.count,
      N: raw.N,
      ranking: search.ranking.map(({ object: _object, illumination: _illumination, ...score }) => score),
      ...(config.picture === null ? {} : { picture: config.picture }),
    };
  });
}
