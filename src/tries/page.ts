/** What a reconstruction looks like on one page. */
import type { Provenance } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { counted } from '../core/words.js';
import { imagePanels, type PictureOptions } from '../reconstruction/pictures.js';
import { lossChart } from '../report/loss.js';
import type { PageFinding, PageMetric, PageTable } from '../report/page.js';
import type { Drawing } from '../report/renderer.js';
import { resultPage } from '../report/resultPage.js';
import { factOf } from '../solvers/files/severalScans.js';
import { solvedDrawings } from '../solvers/files/write.js';
import { togetherFacts } from '../solvers/files/writeTogether.js';
import type { ReconstructedImage } from './reconstructScan.js';

/** What a page says besides the image. */
export interface ReconstructionPageOptions {
  /** What repeats it, as it would be typed. */
  readonly command: string;
  readonly provenance?: Provenance;
  readonly pictures: PictureOptions;
  /** Files beside it. */
  readonly files: readonly string[];
}

/** The page of a run. */
export function reconstructionPage(found: ReconstructedImage, options: ReconstructionPageOptions): Promise<string> {
  const { raw, history, notes, orientation, moved, score } = found;
  const { command, provenance = {}, pictures, files } = options;
  const { reconstructed_phase, reconstructed_amplitude } = pictures.panels ?? imagePanels(found, pictures);
  const facts = { algorithm: 'rpie', raw, raws: found.raws, history, pictures, moved: moved || orientation !== undefined } as const; // biome-ignore format: one value
  const drawings: Readonly<Record<string, Drawing | undefined>> = solvedDrawings(found, togetherFacts(facts, found));
  const findings = (raw.findings?.all ?? []).map(({ severity, message }): PageFinding => ({ severity, text: message }));
  return resultPage({
    title: `Reconstruction of ${raw.source}`,
    summary: summaryOf(found),
    warnings: found.cancelled ? ['The run was interrupted: this is the image of its last epoch.'] : [],
    command,
    panels: [reconstructed_phase, reconstructed_amplitude].filter((panel) => panel !== undefined),
    probe: drawings.reconstructed_probe,
    positions: drawings.positions,
    rFactor: {
      image: found.rFactor,
      constant: score?.constant,
      over: found.measured ? `all ${counted(raw.count, 'pattern')}` : 'the patterns of the last epoch',
    },
    metrics: metricsOf(found),
    curves: history.length > 0 ? [curveOf(found)] : [],
    scan: {
      source: raw.source,
      xs: raw.xcoords,
      ys: raw.ycoords,
      pixelSize_m: pictures.pixelSize_m,
      findings: [...findings, ...notes.map((text): PageFinding => ({ severity: 'note', text }))],
    },
    sections: found.tried.length > 0 ? [{ title: 'What was tried', tables: [triesOf(found)] }] : [],
    facts: [
      { name: 'made by', value: `${found.algorithm}, ${found.engine}` },
      ...(found.scans ?? []).map(factOf),
      { name: 'version', value: `${createdBy.package} ${createdBy.version}` },
      ...found.next.map(({ flag, reason }) => ({ name: 'you may want', value: `${flag}: ${reason}` })),
    ],
    configuration: Object.entries(provenance)
      .filter(([, { source }]) => source !== 'default')
      .map(([name, entry]) => ({ name, ...entry })),
    files,
  });
}

/** What the image came to in a sentence or two. */
export function summaryOf(found: ReconstructedImage): string {
  const { rFactor, score, raw, heldOut } = found;
  const over = found.measured ? `over all ${counted(raw.count, 'pattern')}` : 'in the last epoch';
  const held = heldOut
    ? ` Before the last epochs learned from them, R of the ${counted(heldOut.patterns, 'pattern')} that were held out was ${heldOut.rFactor.toPrecision(3)}.`
    : '';
  const constant = score ? `; a constant object has ${score.constant.toPrecision(3)}` : '';
  return `R is ${rFactor.toPrecision(3)} ${over}${constant}.${held}`;
}

/** Resolution in nanometres or pixels, and how it was found; undefined where it was not. */
export function resolutionText({ resolution }: Pick<ReconstructedImage, 'resolution'>): string | undefined {
  const half = resolution?.resolution.complex.half_bit;
  if (!half) return undefined;
  const size = half.m === undefined ? `${half.px.toPrecision(3)} px` : `${(1e9 * half.m).toPrecision(3)} nm`;
  return half.beyond_nyquist ? `better than ${size}` : size;
}

function metricsOf(found: ReconstructedImage): PageMetric[] {
  const { heldOut, score } = found;
  const resolution = resolutionText(found);
  return [
    ...(heldOut
      ? [{ name: 'R of patterns held out', value: heldOut.rFactor, note: `of ${heldOut.patterns}, that nothing had learned from by then` }] // biome-ignore format: one item
      : []),
    ...(score?.noise === undefined
      ? []
      : [{ name: 'R of counting noise', value: score.noise, note: 'about what the truth itself would have, if every count is one photon; too low where the image is far from it' }]), // biome-ignore format: one item
    ...(resolution
      ? [{ name: 'resolution', value: resolution, note: 'two halves of the patterns, half-bit criterion' }]
      : []),
    { name: 'time', value: found.seconds, unit: 's' },
  ];
}

function triesOf({ tried }: ReconstructedImage): PageTable {
  const r = (value: number | undefined) => (value === undefined ? '' : value.toPrecision(4));
  return {
    title: 'Options, in the order in which they were tried',
    note: 'R of the patterns that were held out, after as many epochs without and with it.',
    head: ['with', 'kept', 'R without', 'R with', 'why'],
    rows: tried.map((one) => [one.title, one.kept ? 'yes' : 'no', r(one.without), r(one.with), one.reason]),
  };
}

function curveOf({ history }: ReconstructedImage): Drawing {
  return lossChart(
    [
      { name: 'patterns learned from', values: history.map(({ rFactor }) => rFactor) },
      { name: 'patterns held out', values: history.map(({ heldOutR }) => heldOutR ?? null) },
    ].filter(({ values }) => values.some((v) => v !== null)),
    { title: 'R per epoch', label: 'R' },
  );
}
