/** `index.html` of a command that makes an image, from what every such command has at hand. */
import path from 'node:path';
import { repeatCommand, shownSettings } from '../config/flags.js';
import type { Provenance } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { sentenceOf } from '../data/findings/finding.js';
import type { RawData } from '../data/rawData.js';
import { writeAtomically } from '../formats/outputFiles.js';
import { probeDiameter } from '../physics/probe.js';
import type { PageFinding } from '../report/page.js';
import { type ResultPageContent, resultPage, type ShownRFactor, type ShownScan } from '../report/resultPage.js';
import { imagePanels, type PictureOptions, type WrittenImage } from './pictures.js';
import type { ImageRFactor } from './rFactor.js';

/** The page of a command. */
export const PAGE_FILE = 'index.html';

/** What a page is made of besides its own parts. */
export interface ImagePageContent
  extends Pick<
    ResultPageContent,
    'title' | 'summary' | 'warnings' | 'probe' | 'metrics' | 'curves' | 'positions' | 'sections' | 'files'
  > {
  /** `solve`. */
  readonly command: string;
  /** What follows it without a flag: the scan of `orient`. */
  readonly args?: readonly string[];
  readonly raw: RawData;
  /** In place of what the scan carries: a longer look saw more. */
  readonly findings?: readonly PageFinding[];
  /** Left out for a command that makes no image. */
  readonly image?: WrittenImage;
  readonly pictures?: PictureOptions;
  readonly score?: ImageRFactor;
  /** R of what the run began with. */
  readonly rFactorStart?: number;
  readonly provenance?: Provenance;
  readonly facts?: readonly { readonly name: string; readonly value: string }[];
}

/**
 * Writes `index.html`.
 * @returns its name
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeImagePage(folder: string, content: ImagePageContent): Promise<string> {
  const {
    command,
    args,
    raw,
    findings,
    image,
    pictures,
    score,
    rFactorStart,
    provenance,
    facts = [],
    ...rest
  } = content;
  const html = await resultPage({
    ...rest,
    panels: image ? Object.values(pictures?.panels ?? imagePanels(image, pictures)) : [],
    rFactor: score && shownRFactor(score, rFactorStart),
    scan: { ...shownScan(raw), ...(findings && { findings }) },
    command: repeatCommand(command, provenance, args),
    configuration: shownSettings(provenance),
    facts: [
      { name: 'scan', value: raw.source },
      { name: 'patterns', value: `${counted(raw.count, 'pattern')} of ${raw.N} × ${raw.N} pixels` },
      { name: 'numbers in the file', value: `${raw.domain.replaceAll('_', ' ')}: ${raw.domainReason}` },
      { name: 'side of an object pixel', value: pixelWords(raw) },
      ...facts,
      { name: 'written by', value: `${createdBy.package} ${createdBy.version}, Node ${process.version}` },
    ],
  });
  await writeAtomically(path.join(folder, PAGE_FILE), html);
  return PAGE_FILE;
}

function pixelWords({ geometry: { objectPixel_m: side } }: RawData): string {
  if (!side) return 'not known';
  const nm = (length: number) => `${Number((length * 1e9).toPrecision(4))} nm`;
  return side.x === side.y ? nm(side.x) : `${nm(side.x)} (x), ${nm(side.y)} (y)`;
}

function shownRFactor({ image, constant, noise, patterns, probe }: ImageRFactor, start?: number): ShownRFactor {
  const over = `${counted(patterns, 'pattern')} spread over the scan, with the probe of the ${probe}`;
  return { image, constant, noise, start, over };
}

function shownScan(raw: RawData): ShownScan {
  const { source, xcoords, ycoords, geometry, probeGuess } = raw;
  return {
    source: path.basename(source),
    xs: xcoords,
    ys: ycoords,
    pixelSize_m: geometry.objectPixel_m?.x,
    probeDiameter_px: probeGuess && probeDiameter(probeGuess),
    findings: shownFindings(raw),
  };
}

/** What a look at the scan showed, the worst first. */
export function shownFindings({ findings, notes }: RawData): PageFinding[] {
  const all = findings?.all ?? [];
  const found = (['wrong', 'doubt', 'note'] as const).flatMap((severity) =>
    all
      .filter((finding) => finding.severity === severity)
      .map((finding): PageFinding => ({ severity, text: sentenceOf(finding) })),
  );
  if (!found.some(({ severity }) => severity !== 'note')) {
    found.unshift({ severity: 'good', text: 'nothing in the scan speaks against its use.' });
  }
  return [...found, ...notes.map((text): PageFinding => ({ severity: 'note', text }))];
}
