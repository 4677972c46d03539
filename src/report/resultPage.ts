/**
 * The page of a command that makes an image: what came out, how well it explains the patterns, how it got there, the scan.
 *
 * @example
 * const html = await resultPage({ command: 'solve', title: 'scan.h5', summary: 'LSQ-ML, 50 epochs.', panels, rFactor, scan });
 */
import { figure, mark, type Panel } from './figure.js';
import {
  type PageContent,
  type PageFinding,
  type PageMetric,
  type PageSection,
  pagePicture,
  renderPage,
} from './page.js';
import type { Drawing } from './renderer.js';
import { scanMap } from './scanMap.js';

/** What a page says of an R-factor: Σ|√I − √J|/Σ√I, 0 for an image that explains every pattern. */
export interface ShownRFactor {
  readonly image: number;
  /** That of the best constant object, which an image must beat. */
  readonly constant?: number;
  /** What counting alone would leave of the best of all images. */
  readonly noise?: number;
  /** That of what the run began with. */
  readonly start?: number;
  /** Over which patterns: `all 516 patterns`. */
  readonly over: string;
}

/** What a page shows of a scan; positions in object pixels. */
export interface ShownScan {
  readonly source: string;
  readonly xs: ArrayLike<number>;
  readonly ys: ArrayLike<number>;
  readonly pixelSize_m?: number;
  readonly probeDiameter_px?: number;
  readonly findings: readonly PageFinding[];
}

/** Everything that the page of an image says; what is not there is left out. */
export interface ResultPageContent
  extends Pick<PageContent, 'title' | 'summary' | 'warnings' | 'facts' | 'configuration' | 'files'> {
  /** What does the same again when it is typed. */
  readonly command?: string;
  /** The image, and what belongs to it. */
  readonly panels: readonly Panel[];
  readonly probe?: Drawing;
  readonly rFactor?: ShownRFactor;
  readonly metrics?: readonly PageMetric[];
  /** Losses, corrected positions, correlations, … */
  readonly curves?: readonly Drawing[];
  readonly positions?: Drawing;
  readonly scan?: ShownScan;
  /** What is particular to a command, after the scores. */
  readonly sections?: readonly PageSection[];
}

/** The HTML document. */
export async function resultPage(content: ResultPageContent): Promise<string> {
  const { panels, probe, rFactor, metrics = [], curves = [], positions, scan, sections = [], ...rest } = content;
  const drawn = (drawings: readonly Drawing[]) => Promise.all(drawings.map((drawing) => pagePicture(drawing)));
  const parts: PageSection[] = [...sections];
  if (rFactor) {
    parts.unshift({
      title: 'How well it explains the patterns',
      text: `R is the misfit of measured and computed amplitudes, Σ|√I − √J|/Σ√I, over ${rFactor.over}.`,
      pictures: await drawn([rFactorChart(rFactor)]),
    });
  }
  if (curves.length > 0) parts.push({ title: 'How it got there', pictures: await drawn(curves) });
  if (probe) parts.push({ title: 'Probe', pictures: await drawn([probe]) });
  if (scan) {
    const order = Float64Array.from({ length: scan.xs.length }, (_, i) => i);
    const map = scanMap({
      xs: scan.xs,
      ys: scan.ys,
      values: order,
      label: 'number of the pattern',
      pixelSize_m: scan.pixelSize_m,
      probeDiameter: scan.probeDiameter_px,
      note: scan.source,
    });
    parts.push({ title: 'Scan', pictures: await drawn([map, ...(positions ? [positions] : [])]) });
  }
  return renderPage({
    ...rest,
    pictures: await drawn(panels.map((panel) => figure([panel]))),
    metrics: [...(rFactor ? rFactorMetrics(rFactor) : []), ...metrics],
    findings: scan?.findings,
    sections: parts,
  });
}

function rFactorMetrics({ image, constant, noise, start, over }: ShownRFactor): PageMetric[] {
  return [
    { name: 'R of the image', value: image, note: `over ${over}` },
    ...(constant === undefined
      ? []
      : [{ name: 'R of a constant object', value: constant, note: 'what an image without any structure reaches' }]),
    ...(noise === undefined ? [] : [{ name: 'R of counting noise', value: noise, note: 'about what the truth itself would have, if every count is one photon; too low where the image is far from it' }]), // biome-ignore format: one line
    ...(start === undefined ? [] : [{ name: 'R at the start', value: start, note: 'of what the run began with' }]),
  ];
}

const BAR = 26;

/** A bar for each R, the image's in colour. */
function rFactorChart({ image, constant, noise, start }: ShownRFactor): Drawing {
  const bars = [
    { name: 'this image', value: image, colour: '#0072b2' },
    ...(start === undefined ? [] : [{ name: 'at the start', value: start, colour: '#999999' }]),
    ...(constant === undefined ? [] : [{ name: 'a constant object', value: constant, colour: '#999999' }]),
    ...(noise === undefined ? [] : [{ name: 'counting noise', value: noise, colour: '#999999' }]),
  ].filter(({ value }) => Number.isFinite(value));
  const most = Math.max(...bars.map(({ value }) => value), 1e-6);
  const [left, width] = [140, 440];
  const marks = bars.flatMap(({ name, value, colour }, k) => {
    const y = k * (BAR + 10);
    const length = (width * value) / most;
    return [
      mark('text', { x: left - 10, y: y + BAR / 2, text: name, align: 'right', baseline: 'middle', fontSize: 14 }),
      mark('rect', { x: left, y, width: length, height: BAR, fill: colour }),
      mark('text', { x: left + length + 8, y: y + BAR / 2, text: value.toFixed(3), baseline: 'middle', fontSize: 14 }),
    ];
  });
  return {
    title: 'R-factors',
    description: `${bars.map(({ name, value }) => `${name}: ${value.toFixed(3)}`).join(', ')}; less is better.`,
    spec: {
      padding: 14,
      width: left + width + 60,
      height: bars.length * (BAR + 10),
      marks,
      title: { text: 'R-factor, less is better', fontSize: 15 },
    },
  };
}
