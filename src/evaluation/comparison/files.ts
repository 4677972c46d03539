/** What a comparison leaves in its folder: tables in the published columns, arrays with the published keys, pictures, the page. */

import path from 'node:path';
import { type ComplexImage, formatShape } from '../../core/tensor.js';
import { createdBy } from '../../core/version.js';
import type { NpyInput } from '../../formats/npyWrite.js';
import { writeNpz } from '../../formats/npz.js';
import { json, makeOutputFolder, writeAtomically } from '../../formats/outputFiles.js';
import { type CsvCell, encodeCsv } from '../../formats/textTable.js';
import type { Frame } from '../../reconstruction/frame.js';
import { AMONG_OTHERS, figure, imagePanel } from '../../report/figure.js';
import { renderAmplitude, renderPhase } from '../../report/image.js';
import { type Drawing, drawPng } from '../../report/renderer.js';
import { plain } from '../evaluationReport.js';
import { modulusOf, phaseOf } from '../images.js';
import { METRIC_NAMES, type ReferenceMetrics } from '../reference.js';
import type { StandardMetrics } from '../standard.js';
import type { Comparison, Floor, Measured } from './measure.js';
import { curvesPrefix } from './names.js';
import { comparisonPage, comparisonPanels, comparisonPlot, shownImages, truthName } from './page.js';

/** By what a folder is known to hold a comparison: the names of some of its files depend on the models. */
export const COMPARISON_RESULTS: readonly (string | RegExp)[] = [
  'comparison.json',
  'index.html',
  // As the page was called before version 0.2.
  'comparison.html',
  'comparison_plot.png',
  /^comparison_(metrics|metrics_standard|floors)\.csv$/,
  /_frc_curves\.csv$/,
  /^reconstructions(_aligned)?(\.npz|_metadata\.txt)$/,
  'debug_images',
];

/**
 * Writes tables, curves, arrays, pictures and the page to `output_dir`.
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeComparison(comparison: Comparison): Promise<string[]> {
  const { config, models, floors, truth, region, sampleIndices, raw } = comparison;
  const folder = config.output_dir;
  const files: string[] = [];
  const write = async (name: string, content: string | Uint8Array) => {
    await writeAtomically(path.join(folder, name), content);
    files.push(name);
  };
  await write('comparison_metrics.csv', metricsCsv(models));
  if (truth) {
    await write('comparison_metrics_standard.csv', standardCsv(models));
    await write('comparison_floors.csv', floorsCsv(floors));
    for (const model of models) await write(`${curvesPrefix(model.name)}_frc_curves.csv`, curvesCsv(model));
  }
  if (config.save_npz) files.push(...(await writeRaw(folder, models, truth, sampleIndices)));
  if (config.save_npz_aligned) files.push(...(await writeAligned(folder, models, comparison.reference, region)));
  const shown = shownImages(models, comparison.reference, truthName(comparison));
  const pictures = comparisonPanels(shown, config, {
    pixelSize_m: raw.geometry.objectPixel_m?.x,
    originYxPx: region.originYxPx,
  });
  await write('comparison_plot.png', await drawPng(comparisonPlot(pictures)));
  await write('index.html', await comparisonPage(comparison, pictures));
  await write('comparison.json', json(record(comparison)));
  if (config.save_debug_images) files.push(...(await writeDebugImages(folder, comparison)));
  return files;
}

/** Every number for programs; what is no number is a word, since JSON has none for it. */
function record(comparison: Comparison): unknown {
  const { config, raw, models, floors, region, sampleIndices, warnings, provenance } = comparison;
  return plain({
    scan: raw.source,
    region,
    patterns: sampleIndices.length,
    sample_indices: Array.from(sampleIndices),
    warnings,
    models: models.map((model) => ({
      name: model.name,
      kind: model.kind,
      path: model.path,
      what: model.what,
      patches: model.patterns,
      frame: model.frame,
      coverage: model.coverage,
      computation_time_s: model.seconds,
      registration: model.registration,
      r_factor: model.rFactor,
      ...scores(model),
    })),
    floors: floors.map((floor) => ({ name: floor.name, ...scores(floor) })),
    config,
    provenance,
    version: createdBy.version,
  });
}

/** Metrics without their curves, which have files of their own. */
function scores({ reference, standard }: Floor | Measured) {
  const { frc: _, ...published } = reference ?? {};
  const { frc: __, notes: ___, ...literature } = standard ?? {};
  return { reference: reference && published, standard: standard && literature };
}

/** Amplitude and phase of every image as it was made and as it is compared. */
async function writeDebugImages(folder: string, { models, reference }: Comparison): Promise<string[]> {
  const below = 'debug_images';
  await makeOutputFolder(path.join(folder, below));
  const pictures = (title: string, image: ComplexImage, mask?: ArrayLike<number>) =>
    figure(
      [
        imagePanel(renderPhase(image, { mask }), { title: 'Phase', quantity: 'phase / rad', side_px: AMONG_OTHERS }),
        imagePanel(renderAmplitude(image, { mask }), {
          title: 'Amplitude',
          quantity: 'amplitude',
          side_px: AMONG_OTHERS,
        }),
      ],
      { title },
    );
  const files: (readonly [string, Drawing])[] = models.flatMap(({ name, image, weight, placed, covered }) => [
    [`${name.toLowerCase()}_before.png`, pictures(`${name}, as it was made`, image, weight.data)] as const,
    [`${name.toLowerCase()}_after.png`, pictures(`${name}, as it is compared`, placed, covered)] as const,
  ]);
  if (reference) files.push(['ground_truth.png', pictures('Ground truth', reference)]);
  for (const [name, drawing] of files) await writeAtomically(path.join(folder, below, name), await drawPng(drawing));
  return files.map(([name]) => `${below}/${name}`);
}

/** Numbers as `%.6f`; what is no number is shown as such. */
export function sixDecimals(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  // Rounding must not leave a zero with a sign.
  return value.toFixed(6).replace(/^-(0\.0*)$/, '$1');
}

/** A row of metrics: amplitude and phase, or all three, or the value alone. */
type Row = readonly [
  model: string,
  metric: string,
  values: readonly [amplitude: number, phase: number, value?: number] | number,
];

function cellsOf([model, metric, values]: Row): CsvCell[] {
  const [amplitude, phase, value] = typeof values === 'number' ? [undefined, undefined, values] : values;
  const cells = [amplitude, phase, value].map((v) => (v === undefined ? '' : sixDecimals(v)));
  return [model, metric, ...cells];
}

const COLUMNS = ['metric', 'amplitude', 'phase', 'value'];

const csv = (rows: readonly Row[]): string => encodeCsv([['model', ...COLUMNS], ...rows.map(cellsOf)]);

/**
 * `comparison_metrics.csv`: the reference metrics of every model, then its registration and its time. NaN is shown: no metric, no
 * registration, a time that nobody knows.
 */
export function metricsCsv(models: readonly Measured[]): string {
  return csv(
    models.flatMap((model): Row[] => {
      const { name, registration, seconds } = model;
      const [dy, dx] = registration?.succeeded ? registration.shiftYxPx : [Number.NaN, Number.NaN];
      return [
        ...referenceRows(model),
        [name, 'registration_offset_dy', dy],
        [name, 'registration_offset_dx', dx],
        [name, 'computation_time_s', seconds],
      ];
    }),
  );
}

/** What has metrics: a model, or a floor. */
interface Scored {
  readonly name: string;
  readonly reference?: ReferenceMetrics;
  readonly standard?: StandardMetrics;
}

const NONE = { amplitude: Number.NaN, phase: Number.NaN };

function referenceRows({ name, reference }: Scored): Row[] {
  return METRIC_NAMES.map((metric) => {
    const { amplitude, phase } = reference?.[metric] ?? NONE;
    return [name, metric, [amplitude, phase]];
  });
}

function standardRows({ name, standard }: Scored): Row[] {
  return [
    ...METRIC_NAMES.map((metric): Row => {
      const { amplitude, phase } = standard?.[metric] ?? NONE;
      return [name, metric, [amplitude, phase]];
    }),
    [name, 'complex_error', standard?.complex_error ?? Number.NaN],
    ...(['frc50', 'frc1over7', 'half_bit'] as const).map((threshold): Row => {
      const px = (of: 'amplitude' | 'phase' | 'complex') => standard?.resolution[of][threshold].px ?? Number.NaN;
      return [name, `resolution_${threshold}_px`, [px('amplitude'), px('phase'), px('complex')]];
    }),
  ];
}

/**
 * `comparison_metrics_standard.csv`: the standard metrics in the same columns; resolutions (of amplitude, phase and, as value, of
 * the complex image) are half periods in pixels.
 */
export function standardCsv(models: readonly Scored[]): string {
  return csv(models.flatMap(standardRows));
}

/** `comparison_floors.csv`: what images score that needed no reconstruction, both families. */
export function floorsCsv(floors: readonly Scored[]): string {
  const rows = floors.flatMap((floor) => [
    ...referenceRows(floor).map((row) => ['reference', row] as const),
    ...standardRows(floor).map((row) => ['standard', row] as const),
  ]);
  return encodeCsv([['family', 'floor', ...COLUMNS], ...rows.map(([family, row]) => [family, ...cellsOf(row)])]);
}

/** `…_frc_curves.csv`: the reference curves of one model, a ring a row. */
export function curvesCsv({ name, reference }: Measured): string {
  const { amplitude, phase } = reference?.frc ?? {};
  const rings = Math.max(amplitude?.length ?? 0, phase?.length ?? 0);
  const rows = Array.from({ length: rings }, (_, k) => [
    name,
    k,
    sixDecimals(amplitude?.[k] ?? Number.NaN),
    sixDecimals(phase?.[k] ?? Number.NaN),
  ]);
  return encodeCsv([['model', 'frequency_bin', 'amplitude_frc', 'phase_frc'], ...rows]);
}

type Arrays = Record<string, NpyInput>;

/** Amplitude, phase and the complex image itself. */
function three(prefix: string, image: ComplexImage): Arrays {
  const single = ({ data, shape }: { data: Float64Array; shape: readonly number[] }) => ({ data: Float32Array.from(data), shape }); // biome-ignore format: one line
  return {
    [`${prefix}_amplitude`]: single(modulusOf(image)),
    [`${prefix}_phase`]: single(phaseOf(image)),
    [`${prefix}_complex`]: image,
  };
}

const originOf = ({ originYxPx }: Frame): NpyInput => ({ data: Float64Array.from(originYxPx), shape: [2] });
const scalar = (value: number): NpyInput => ({ data: Float64Array.of(value), shape: [] });

/**
 * `reconstructions.npz`: images as they were made, each in its own frame; the truth whole.
 * @returns the names of the files
 */
export async function writeRaw(
  folder: string,
  models: readonly Measured[],
  truth: ComplexImage | undefined,
  sampleIndices: Int32Array,
): Promise<string[]> {
  const arrays: Arrays = {};
  for (const { name, image, frame } of models) {
    const prefix = name.toLowerCase();
    Object.assign(arrays, three(prefix, image), { [`${prefix}_frame_origin_yx_px`]: originOf(frame) });
  }
  if (truth) Object.assign(arrays, three('ground_truth', truth));
  arrays.sample_indices = { data: sampleIndices, shape: [sampleIndices.length] };
  return writeBoth(folder, 'reconstructions', arrays, [
    '*_amplitude: modulus (float32)',
    '*_phase: radians, -pi to pi (float32)',
    '*_complex: the image itself (complex64)',
    '*_frame_origin_yx_px: row and column, in pixels of the ground truth, of the first pixel',
    'sample_indices: patterns of the scan file that were reconstructed',
    'Images are as they were made, BEFORE registration, each in a frame of its own.',
  ]);
}

/**
 * `reconstructions_aligned.npz`: images and truth on the pixels that were compared.
 * @returns the names of the files
 */
export async function writeAligned(
  folder: string,
  models: readonly Measured[],
  truth: ComplexImage | undefined,
  region: Frame,
): Promise<string[]> {
  const arrays: Arrays = {};
  for (const { name, placed, registration } of models) {
    Object.assign(arrays, three(name.toLowerCase(), placed));
    const [dy, dx] = registration?.succeeded ? registration.shiftYxPx : [Number.NaN, Number.NaN];
    arrays[`${curvesPrefix(name)}_offset_dy`] = scalar(dy);
    arrays[`${curvesPrefix(name)}_offset_dx`] = scalar(dx);
  }
  if (truth) Object.assign(arrays, three('ground_truth', truth));
  arrays.frame_origin_yx_px = originOf(region);
  return writeBoth(folder, 'reconstructions_aligned', arrays, [
    '*_amplitude: modulus (float32)',
    '*_phase: radians, -pi to pi (float32)',
    '*_complex: the image itself (complex64)',
    '*_offset_dy, *_offset_dx: shift in pixels, down and right, by which the image was moved; NaN where it was not',
    'frame_origin_yx_px: row and column, in pixels of the scanned object, of the first pixel of all images',
    'All images are on the same pixels, AFTER registration.',
  ]);
}

async function writeBoth(
  folder: string,
  name: string,
  arrays: Arrays,
  description: readonly string[],
): Promise<string[]> {
  await writeNpz(path.join(folder, `${name}.npz`), arrays, { compress: true });
  const rows = Object.entries(arrays).map(([key, array]) => {
    if (array.shape.length === 0 && 'data' in array) return `- ${key}: ${sixDecimals(Number(array.data[0]))} (scalar)`;
    return `- ${key}: ${formatShape(array.shape)} ${'re' in array ? 'complex64' : dtypeName(array)}`;
  });
  const text = [`Arrays in ${name}.npz:`, ...rows, '', ...description, ''].join('\n');
  await writeAtomically(path.join(folder, `${name}_metadata.txt`), text);
  return [`${name}.npz`, `${name}_metadata.txt`];
}

function dtypeName(array: NpyInput): string {
  return 'data' in array ? array.data.constructor.name.replace('Array', '').toLowerCase() : 'text';
}
