/** What a comparison leaves in its folder. */
import path from 'node:path';
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import type { Provenance } from '../../core/services.js';
import type { ComplexImage } from '../../core/tensor.js';
import { createdBy } from '../../core/version.js';
import type { RawData } from '../../data/rawData.js';
import { json, makeOutputFolder, writeAtomically } from '../../formats/outputFiles.js';
import type { Frame } from '../../reconstruction/frame.js';
import { figure, sideBySide } from '../../report/figure.js';
import { renderAmplitude, renderPhase } from '../../report/image.js';
import { encodePng } from '../../report/png.js';
import { writeAligned, writeRaw } from './arrays.js';
import type { Floor, Measured } from './measure.js';
import { curvesPrefix } from './names.js';
import { comparisonPage } from './page.js';
import { comparisonPlot, shownImages, truthName } from './pictures.js';
import { curvesCsv, floorsCsv, metricsCsv, standardCsv } from './tables.js';

/** By what a folder is known to hold a comparison: the names of some of its files depend on the models. */
export const COMPARISON_RESULTS: readonly (string | RegExp)[] = [
  'comparison.json',
  'comparison.html',
  'comparison_plot.png',
  /^comparison_(metrics|metrics_standard|floors)\.csv$/,
  /_frc_curves\.csv$/,
  /^reconstructions(_aligned)?(\.npz|_metadata\.txt)$/,
  'debug_images',
];

/** A finished comparison. */
export interface Comparison {
  readonly config: ComparisonConfig;
  readonly raw: Pick<RawData, 'source' | 'geometry' | 'metadata'>;
  readonly models: readonly Measured[];
  /** Empty without a truth. */
  readonly floors: readonly Floor[];
  /** The object of the scan, whole. */
  readonly truth: ComplexImage | undefined;
  /** The same on the region. */
  readonly reference: ComplexImage | undefined;
  readonly region: Frame;
  readonly sampleIndices: Int32Array;
  readonly warnings: readonly string[];
  readonly provenance?: Provenance;
}

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
  const shown = shownImages(models, comparison.reference, truthName(comparison.raw));
  await write('comparison_plot.png', encodePng(comparisonPlot(shown, config, raw.geometry.objectPixel_m?.x)));
  await write('comparison.html', comparisonPage(comparison, shown));
  await write('comparison.json', json(record(comparison)));
  if (config.save_debug_images) files.push(...(await writeDebugImages(folder, comparison)));
  return files;
}

/** Every number for programs; what is no number is a word, since JSON has none for it. */
function record(comparison: Comparison): unknown {
  const { config, raw, models, floors, region, sampleIndices, warnings, provenance } = comparison;
  return readable({
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

function readable(value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, readable(inner)]));
}

/** Amplitude and phase of every image as it was made and as it is compared. */
async function writeDebugImages(folder: string, { models, reference }: Comparison): Promise<string[]> {
  const below = 'debug_images';
  await makeOutputFolder(path.join(folder, below));
  const pictures = (image: ComplexImage, mask?: ArrayLike<number>) =>
    encodePng(
      sideBySide([
        figure(renderPhase(image, { mask }), { title: 'phase' }),
        figure(renderAmplitude(image, { mask }), { title: 'amplitude' }),
      ]),
    );
  const files: (readonly [string, Uint8Array])[] = models.flatMap(({ name, image, weight, placed, covered }) => [
    [`${name.toLowerCase()}_before.png`, pictures(image, weight.data)] as const,
    [`${name.toLowerCase()}_after.png`, pictures(placed, covered)] as const,
  ]);
  if (reference) files.push(['ground_truth.png', pictures(reference)]);
  for (const [name, png] of files) await writeAtomically(path.join(folder, below, name), png);
  return files.map(([name]) => `${below}/${name}`);
}
