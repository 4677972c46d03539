/** What an evaluation says and leaves on disk: `metrics.json`, `metrics.csv`, `frc.png`; of half sets `halves.json`. */
import path from 'node:path';
import { repeatCommand, shownSettings } from '../config/flags.js';
import type { Provenance } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { json, makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { type CsvCell, encodeCsv } from '../formats/textTable.js';
import type { Frame } from '../reconstruction/frame.js';
import { imagePanels } from '../reconstruction/pictures.js';
import type { ImageRFactor } from '../reconstruction/rFactor.js';
import type { StoredImage } from '../reconstruction/storedImage.js';
import { correlationChart } from '../report/correlation.js';
import type { PageTable } from '../report/page.js';
import { type Drawing, drawPng } from '../report/renderer.js';
import { resultPage } from '../report/resultPage.js';
import type { ReconstructionCheck } from './checks.js';
import type { BothFamilies, MetricFloors } from './floors.js';
import { halfBitThreshold } from './frc.js';
import type { HalfSetCorrelation } from './halves.js';
import { METRIC_NAMES } from './reference.js';
import type { Registration } from './register.js';
import type { StandardMetrics } from './standard.js';

/** Everything that is known of an image when it was scored. */
export interface EvaluationReport {
  readonly reconstruction: string;
  readonly truth: string;
  /** False where the truth is the object of a measured scan, which somebody reconstructed: then nothing says what was resolved. */
  readonly truthKnown: boolean;
  /** The pixels that were compared, in pixels of the truth. */
  readonly frame: Frame;
  readonly check: ReconstructionCheck;
  readonly registration?: Registration;
  /** The shift that registration found was taken out. */
  readonly moved: boolean;
  readonly pixel_m?: number;
  /** Undefined for an image that cannot be scored; `check` says why. */
  readonly metrics?: BothFamilies;
  readonly floors: MetricFloors;
  /** How well the image explains the measured patterns. */
  readonly rFactor?: ImageRFactor;
  readonly notes: readonly string[];
  /** Names of the files in `output_dir`. */
  readonly files: readonly string[];
}

/** Two halves of a scan. */
export interface HalvesReport {
  readonly model: string;
  readonly source: string;
  readonly pixel_m?: number;
  readonly halves: HalfSetCorrelation;
  readonly files: readonly string[];
}

/** What {@link writeEvaluation} and {@link writeHalves} write. */
export const EVALUATION_FILES = ['metrics.json', 'metrics.csv', 'frc.png', 'index.html'] as const;
export const HALVES_FILES = ['halves.json', 'frc.png', 'index.html'] as const;

/**
 * Writes the metrics and floors of an image.
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeEvaluation(
  folder: string,
  report: EvaluationReport,
  shown: ShownEvaluation = {},
): Promise<string[]> {
  await makeOutputFolder(folder);
  const { files: _, ...content } = report;
  await writeAtomically(path.join(folder, 'metrics.json'), json(plain(content)));
  await writeAtomically(path.join(folder, 'metrics.csv'), metricsCsv(report));
  const { frc } = (report.metrics ?? report.floors.constant).standard;
  const chart = chartOf(frc, 'Ring correlation with the truth', report.pixel_m);
  await writeAtomically(path.join(folder, 'frc.png'), await drawPng(chart));
  await writeAtomically(path.join(folder, 'index.html'), await evaluationPage(report, chart, shown));
  return [...EVALUATION_FILES];
}

/** Writes the correlation of two halves: `halves.json` and `frc.png`. @throws PtychoError OUTPUT_UNWRITABLE */
export async function writeHalves(folder: string, report: HalvesReport, provenance?: Provenance): Promise<string[]> {
  await makeOutputFolder(folder);
  const { files: _, ...content } = report;
  await writeAtomically(path.join(folder, 'halves.json'), json(plain(content)));
  const chart = chartOf(report.halves.frc, 'Ring correlation of half sets', report.pixel_m);
  await writeAtomically(path.join(folder, 'frc.png'), await drawPng(chart));
  const page = await resultPage({
    title: `Two halves of ${path.basename(report.source)}`,
    summary: `Reconstructed apart with ${report.model}; where their curves fall below half a bit, the two no longer agree.`,
    ...{ panels: [], curves: [chart], files: HALVES_FILES.slice(0, 2) },
    command: repeatCommand('evaluate', provenance),
    configuration: shownSettings(provenance),
  });
  await writeAtomically(path.join(folder, 'index.html'), page);
  return [...HALVES_FILES];
}

/** What the page of an evaluation shows besides its numbers. */
export interface ShownEvaluation {
  readonly image?: Pick<StoredImage, 'image' | 'originYxPx' | 'weight'>;
  readonly provenance?: Provenance;
}

/** An image of a file as one that was stitched; all of it counts where the file does not say what is covered. */
function asStitched({ image, originYxPx = [0, 0], weight }: NonNullable<ShownEvaluation['image']>) {
  const [height, width] = image.shape;
  const data = weight ? Float32Array.from(weight) : new Float32Array(height * width).fill(1);
  return { image, frame: { originYxPx, height, width }, weight: { data, shape: image.shape } };
}

/** `index.html`: the image, its scores beside the floors, the curves. */
async function evaluationPage(
  {
    metrics,
    floors,
    rFactor,
    pixel_m,
    reconstruction,
    truth,
    truthKnown,
    notes,
    moved,
    registration,
  }: EvaluationReport,
  curves: Drawing,
  { image, provenance }: ShownEvaluation,
): Promise<string> {
  const known = truthKnown ? 'truth' : 'reference';
  const scores: [string, BothFamilies | undefined][] = [
    ['image', metrics],
    ['floor: constant object', floors.constant],
    ...(floors.scan ? ([['floor: object of the scan', floors.scan]] as [string, BothFamilies][]) : []),
  ];
  const number = (value: number | undefined) => (value === undefined ? '' : Number.isFinite(value) ? String(Number(value.toPrecision(4))) : String(value)); // biome-ignore format: one line
  const table = (family: 'standard' | 'reference', title: string, note: string): PageTable => ({
    ...{ title, note: `${note} Amplitude | phase.` },
    head: ['metric', ...scores.map(([name]) => name)],
    rows: [
      ...METRIC_NAMES.map((name) => [
        name,
        ...scores.map(([, of]) => `${number(of?.[family][name]?.amplitude)} | ${number(of?.[family][name]?.phase)}`),
      ]),
      ...(family === 'standard'
        ? [['complex error', ...scores.map(([, of]) => number(of?.standard.complex_error))]]
        : []),
    ],
  });
  const shift = registration?.succeeded ? registration.shiftYxPx.map((v) => v.toFixed(2)).join(', ') : 'not found';
  return resultPage({
    title: `Evaluation of ${path.basename(reconstruction)}`,
    summary: `Compared with the ${known}, ${truth}: every number stands beside what an image without any reconstruction scores.`,
    warnings: notes,
    panels: image ? Object.values(imagePanels(asStitched(image), { pixelSize_m: pixel_m })) : [],
    rFactor: rFactor && { ...rFactor, over: `${rFactor.patterns} patterns, with the probe of the ${rFactor.probe}` },
    sections: [
      {
        title: 'Scores against the floors',
        tables: [
          table(
            'standard',
            'Standard metrics',
            'As the literature defines them, after one complex factor and one phase ramp.',
          ),
          table('reference', 'Reference metrics', 'As the published tools define them.'),
        ],
      },
    ],
    curves: [curves],
    facts: [
      { name: 'image', value: reconstruction },
      { name: known, value: truth },
      {
        name: 'shift (down, right), pixels',
        value: registration ? `${shift}${moved ? ', taken out' : ''}` : 'not looked for',
      },
      { name: 'written by', value: `${createdBy.package} ${createdBy.version}` },
    ],
    command: repeatCommand('evaluate', provenance),
    configuration: shownSettings(provenance),
    files: EVALUATION_FILES.slice(0, 3),
  });
}

/** One row an image, family and metric; `value` for those that are one number. NaN stands where there is none. */
export function metricsCsv({ metrics, floors, rFactor }: EvaluationReport): string {
  const rows: CsvCell[][] = [['image', 'family', 'metric', 'amplitude', 'phase', 'value']];
  const row = (image: string, family: string, metric: string, ...cells: (number | undefined)[]) => {
    const text = (v: number | undefined) => (v === undefined ? '' : Number.isFinite(v) ? v.toFixed(6) : String(v));
    rows.push([image, family, metric, ...[0, 1, 2].map((k) => text(cells[k]))]);
  };
  const images: [string, BothFamilies | undefined][] = [
    ['reconstruction', metrics],
    ['constant', floors.constant],
    ...(floors.scan ? ([['scan', floors.scan]] as [string, BothFamilies][]) : []),
  ];
  for (const [image, scores] of images) {
    for (const family of ['reference', 'standard'] as const) {
      for (const name of METRIC_NAMES) {
        const pair = scores?.[family][name];
        row(image, family, name, pair?.amplitude ?? Number.NaN, pair?.phase ?? Number.NaN);
      }
    }
    row(image, 'standard', 'complex_error', undefined, undefined, scores?.standard.complex_error ?? Number.NaN);
    for (const threshold of ['frc50', 'frc1over7', 'half_bit'] as const) {
      const of = (what: 'amplitude' | 'phase' | 'complex') =>
        scores?.standard.resolution[what][threshold].px ?? Number.NaN;
      row(image, 'standard', `resolution_px_${threshold}`, of('amplitude'), of('phase'), of('complex'));
    }
  }
  if (rFactor) {
    row('reconstruction', 'standard', 'r_factor', undefined, undefined, rFactor.image);
    row('constant', 'standard', 'r_factor', undefined, undefined, rFactor.constant);
    if (rFactor.noise !== undefined) row('noise', 'standard', 'r_factor', undefined, undefined, rFactor.noise);
  }
  return encodeCsv(rows);
}

/** Values as JSON has them: typed arrays as lists, and what is no number under its name, since JSON would make it null. */
export function plain(value: unknown): unknown {
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number>, plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
}

/** The curves of amplitude, phase and complex image, with the thresholds of resolution. */
function chartOf(frc: StandardMetrics['frc'], title: string, pixelSize_m?: number): Drawing {
  const series = (['amplitude', 'phase', 'complex'] as const).map((name) => ({ name, values: frc[name] }));
  const thresholds = [
    { label: '1/2', at: 0.5 },
    { label: '1/7', at: 1 / 7 },
    { label: 'half bit', at: halfBitThreshold(frc.pixels) },
  ];
  return correlationChart(series, { side_px: frc.side_px, title, pixelSize_m, thresholds });
}
