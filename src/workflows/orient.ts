/** `orient`: which way the positions of a scan lie, as a ranking and as a picture. */
import type { OrientConfig } from '../config/schemas/tools.js';
import type { Services } from '../core/services.js';
import { findOrientation, type OrientationScore, type OrientationSearch } from '../data/orient/orient.js';
import { openTool } from '../data/preparedScan.js';
import { checkPngName, writePng } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { contactSheet } from '../report/figure.js';
import { renderPhase } from '../report/image.js';

/** What was found, in plain values: {@link OrientationSearch} without the images. */
export interface OrientationReport extends Omit<OrientationSearch, 'ranking'> {
  readonly source: string;
  readonly patterns: number;
  readonly N: number;
  readonly ranking: readonly Omit<OrientationScore, 'object' | 'illumination'>[];
  /** The PNG file that was written. */
  readonly picture?: string;
}

/** Where less light than this part of the most fell, a reconstruction is noise. */
const LIT = 0.05;
const COLUMNS = 4;

/**
 * Tries the eight orientations of a scan; writes the reconstructions to `config.picture` where that is given.
 * @throws PtychoError those of opening and of {@link findOrientation}; OUTPUT_UNWRITABLE, CONFIG_INVALID for a picture that is
 * no `.png`.
 */
export async function orientWorkflow(
  file: string,
  config: OrientConfig,
  services: Services = {},
): Promise<OrientationReport> {
  checkPngName(config.picture, 'picture');
  if (config.picture !== null) await requireNew([config.picture], { ...newFiles(config, services), field: 'picture' });
  const raw = await openTool(file, config, services);
  try {
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
  } finally {
    await raw.close();
  }
}

/** The phase of the first neighbourhood in each orientation, best first, without the slope that nothing determines. */
export function orientationSheet(search: OrientationSearch) {
  const tiles = search.ranking.map((score, i) => ({
    title: [
      `${i + 1}  ${score.flags.replaceAll('--', '') || 'as in the file'}`,
      `R ${score.rFactor.toFixed(3)}${i === 0 ? '' : `  +${(100 * score.behind).toFixed(0)} %`}`,
    ],
    picture: renderPhase(score.object, { mask: score.illumination.map((v) => (v > LIT ? 1 : 0)), removePlane: true }),
  }));
  return contactSheet(tiles, COLUMNS);
}
