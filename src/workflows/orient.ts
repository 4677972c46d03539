/** `orient`: which way the positions of a scan lie, as a ranking, as a picture and as a page. */
import path from 'node:path';
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
import type { RawData } from '../data/rawData.js';
import { checkPngName, json, makeOutputFolder, writeAtomically, writePng } from '../formats/outputFiles.js';
import { newFiles, requireNew, requireNewIn } from '../formats/outputs.js';
import { PAGE_FILE, writeImagePage } from '../reconstruction/imagePage.js';
import { pagePicture } from '../report/page.js';
import type { Drawing } from '../report/renderer.js';

/** What was found, in plain values: {@link OrientationSearch} without the images. */
export interface OrientationReport extends Omit<OrientationSearch, 'ranking'> {
  readonly source: string;
  readonly patterns: number;
  readonly N: number;
  readonly ranking: readonly Omit<OrientationScore, 'object' | 'illumination'>[];
  /** The PNG file that was written. */
  readonly picture?: string;
  /** The files that were written to `output_dir`. */
  readonly files?: readonly string[];
}

const SHEET = 'orientations.png';
const NUMBERS = 'orientation.json';

/**
 * Tries the eight orientations of a scan; writes the reconstructions to `config.picture`, and these, the numbers and a page to
 * `config.output_dir`, where they are given.
 * @throws PtychoError those of opening and of {@link findOrientation}; OUTPUT_EXISTS, OUTPUT_UNWRITABLE, CONFIG_INVALID for a picture
 * that is no `.png`.
 */
export async function orientWorkflow(
  file: string,
  given: PartOf<OrientConfig>,
  services: Services = {},
): Promise<OrientationReport> {
  const config = wholeConfig(orientDefinition, given, services.logger);
  checkPngName(config.picture, 'picture');
  if (config.picture !== null) await requireNew([config.picture], { ...newFiles(config, services), field: 'picture' });
  await requireNewIn(config.output_dir, [SHEET, NUMBERS, PAGE_FILE], config, services);
  return closing(await openTool(file, config, services), async (raw) => {
    const search = await findOrientation(raw, services);
    const report = {
      ...search,
      source: raw.source,
      patterns: raw.count,
      N: raw.N,
      ranking: search.ranking.map(({ object: _object, illumination: _illumination, ...score }) => score),
    };
    const sheet = orientationSheet(search);
    if (config.picture !== null) await writePng(config.picture, sheet);
    const files =
      config.output_dir === null ? undefined : await writeFolder(config.output_dir, raw, report, sheet, services);
    return { ...report, ...(config.picture !== null && { picture: config.picture }), ...(files && { files }) };
  });
}

/** Picture, numbers and page. @returns their paths */
async function writeFolder(
  folder: string,
  raw: RawData,
  report: OrientationReport,
  sheet: Drawing,
  { provenance }: Services,
): Promise<string[]> {
  await makeOutputFolder(folder);
  await writePng(path.join(folder, SHEET), sheet);
  await writeAtomically(path.join(folder, NUMBERS), json(report));
  const { ranking, reasons, sample, constantRFactor } = report;
  await writeImagePage(folder, {
    command: 'orient',
    args: [raw.source],
    raw,
    provenance,
    title: `Orientation of ${path.basename(raw.source)}`,
    summary: verdictOf(report),
    warnings: reasons,
    metrics: [
      {
        name: 'R in the best orientation',
        value: ranking[0].rFactor,
        note: 'misfit of a short reconstruction; less is better',
      },
      { name: 'R of an empty object', value: constantRFactor, note: 'what the reconstructions started from' },
      { name: 'patterns tried', value: sample.count, note: `in ${sample.fields} places` },
    ],
    sections: [
      {
        title: 'The eight orientations',
        pictures: [await pagePicture(sheet)],
        tables: [
          {
            title: 'Ranking',
            note: 'Behind: how much larger R is than the best one. Standard errors: of the mean misfit of a pattern against the best.',
            head: ['flags', 'R', 'behind', 'standard errors'],
            rows: ranking.map(({ flags, rFactor, behind, standardErrors }, i) => [
              flags || 'as in the file',
              rFactor.toFixed(4),
              i === 0 ? '' : `${(100 * behind).toFixed(1)} %`,
              i === 0 ? '' : standardErrors.toFixed(1),
            ]),
          },
        ],
      },
    ],
    files: [SHEET, NUMBERS],
  });
  return [SHEET, NUMBERS, PAGE_FILE].map((name) => path.join(folder, name));
}

function verdictOf({ verdict, flags }: OrientationReport): string {
  if (verdict === 'undecided') return 'Undecided: this scan does not tell its orientation.';
  const answer = flags ? `use ${flags}` : 'the positions are right as they are';
  return verdict === 'clear' ? `Clear: ${answer}.` : `Likely, but not by much: ${answer}. Look at the reconstructions.`;
}
