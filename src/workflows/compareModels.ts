/**
 * `compare`: any number of models and finished reconstructions on the same patterns of one scan, as tables, arrays, pictures and
 * one page.
 *
 * @example
 * const { models } = await compareModels(comparisonConfigSchema.parse({
 *   pinn_dir: 'pinn', baseline_dir: 'baseline', arms: ['PtyChi=recon.npz'], test_data_file: 'test.npz', output_dir: 'compared',
 * }));
 * for (const { name, standard } of models) console.log(name, standard?.ssim.phase);
 */
import { setImmediate } from 'node:timers/promises';
import type { Backend } from '../backends/backend.js';
import { describeEngine, selectBackend } from '../backends/select.js';
import type { ComparisonConfig } from '../config/schemas/comparison.js';
import { throwIfCancelled } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { type Logger, silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import type { ComplexImage } from '../core/tensor.js';
import { isSimulation } from '../data/labels.js';
import { openScan } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { checkImage } from '../evaluation/comparison/checkImage.js';
import { readFinished } from '../evaluation/comparison/finished.js';
import type { ComparedImage } from '../evaluation/comparison/image.js';
import { type Floor, floorsOf, type Measured, measure, metricNotes } from '../evaluation/comparison/measure.js';
import { checkNames, parseArm, parseModel } from '../evaluation/comparison/names.js';
import { type NamedModel, openForScan, predictImage } from '../evaluation/comparison/predict.js';
import { placeAll, type RegisteredImage, register, scanBox } from '../evaluation/comparison/region.js';
import { openSubset, Subset, scanRequest } from '../evaluation/comparison/subset.js';
import { COMPARISON_RESULTS, writeComparison } from '../evaluation/comparison/write.js';
import { type OwnedFolder, withOutputFolder } from '../formats/outputs.js';
import { type Frame, frameOfObject, moveToFrame, scanBounds } from '../reconstruction/frame.js';

/** What a comparison came to. */
export interface ComparisonSummary {
  readonly models: readonly Measured[];
  /** What images score that needed no reconstruction; empty where the scan has no truth. */
  readonly floors: readonly Floor[];
  /** The pixels that were compared, in pixels of the scan's object. */
  readonly region: Frame;
  /** Patterns of the scan file that every model got, ascending. */
  readonly sampleIndices: Int32Array;
  /** What must be known before the numbers are believed, a sentence each. */
  readonly warnings: readonly string[];
  readonly outputDir: string;
  readonly files: readonly string[];
}

/**
 * Compares models. Everything is checked before the first prediction; one model at a time is in memory, and its patterns stream
 * through it.
 *
 * @throws PtychoError USAGE for names, DATASET_SHAPE and DATASET_VALUE for reconstructions that do not fit the scan or are zero
 * everywhere, CANCELLED, and those of bundles, scans, engines and files
 */
export async function compareModels(config: ComparisonConfig, services: Services = {}): Promise<ComparisonSummary> {
  const claim = { command: 'compare', overwrite: config.overwrite, results: COMPARISON_RESULTS };
  return withOutputFolder(config.output_dir, claim, services, (folder) =>
    compareInto(folder, config, { ...services, signal: folder.signal }),
  );
}

async function compareInto(
  folder: OwnedFolder,
  config: ComparisonConfig,
  services: Services,
): Promise<ComparisonSummary> {
  const logger = services.logger ?? silentLogger;
  const models = namedModels(config);
  const finished = [...config.arms.map(parseArm), ...tikeArm(config)];
  checkNames([...models, ...finished].flatMap(({ name }) => name ?? []));
  const raw = await openSubset(config, logger);
  try {
    requireCrop(config.stitch_crop_size, raw);
    const gridsizes: number[] = [];
    for (const model of models) {
      const { bundle } = await openForScan(model, raw, config);
      gridsizes.push(bundle.config.model.gridsize);
    }
    const truth = raw.objectGuess;
    const subset = new Subset(raw, config, gridsizes, logger);
    const box = await boxOf(raw, config, truth, logger);
    const arms: ComparedImage[] = [];
    for (const arm of finished) {
      const image = await readFinished(arm, { truthShape: truth?.shape, box, scan: raw });
      const found = checkImage(image.image, image.weight, `reconstructed_object of ${arm.path}`);
      arms.push({ ...image, warnings: [...image.warnings, ...found] });
    }
    checkNames([...models, ...arms].map(({ name }) => name));
    await folder.make();
    const predicted = await predictAll(models, raw, { config, subset, services, logger });
    const images = [...predicted, ...arms];
    const registered: RegisteredImage[] = [];
    for (const image of images) {
      await step(services, 'registering', registered.length, images.length);
      registered.push(truth ? register(image, truth, box, config, raw.N / 4) : image);
    }
    const { region, placed } = placeAll(registered, box);
    const reference = truth && moveToFrame(truth, frameOfObject(truth), region);
    const pixel_m = raw.geometry.objectPixel_m?.x;
    const measured: Measured[] = [];
    for (const image of placed) {
      await step(services, 'measuring', measured.length, placed.length + 1);
      measured.push(measure(image, reference, config, pixel_m));
    }
    await step(services, 'measuring', measured.length, placed.length + 1);
    const floors = reference ? await floorsOf(raw, reference, region, config) : [];
    await step(services, 'measuring', measured.length + 1, placed.length + 1);
    const warnings = [
      ...(truth
        ? []
        : [
            `${raw.source} holds no objectGuess, so there is nothing to measure against: pictures only, and every metric is NaN.`,
          ]),
      ...(truth && !isSimulation(raw.metadata)
        ? [
            `The objectGuess of ${raw.source} is a reference, no known truth: somebody reconstructed it. The numbers say how far images agree with it, and no resolution.`,
          ]
        : []),
      ...measured.flatMap((one) => one.warnings),
      ...metricNotes(measured),
    ];
    for (const warning of warnings) logger.warn(warning);
    const sampleIndices = await subset.sampleIndices();
    const files = await writeComparison({
      config,
      raw,
      models: measured,
      floors,
      truth,
      reference,
      region,
      sampleIndices,
      warnings,
      provenance: services.provenance,
    });
    return { models: measured, floors, region, sampleIndices, warnings, outputDir: config.output_dir, files };
  } finally {
    await raw.close();
  }
}

/** Tells how far it is, and lets signals be heard: metrics of a large image take seconds. @throws PtychoError CANCELLED */
async function step({ onProgress, signal }: Services, stage: string, done: number, total: number): Promise<void> {
  onProgress?.({ stage, done, total, unit: 'images' });
  await setImmediate();
  throwIfCancelled(signal, 'The comparison');
}

/** The bundles of a configuration by their names, the published ones first. */
export function namedModels(config: ComparisonConfig): NamedModel[] {
  return [
    ...(config.pinn_dir === null ? [] : [{ name: 'PtychoPINN', path: config.pinn_dir }]),
    ...(config.baseline_dir === null ? [] : [{ name: 'Baseline', path: config.baseline_dir }]),
    ...config.models.map(parseModel),
  ];
}

/** The arm whose name is in its file. */
const tikeArm = ({ tike_recon_path }: ComparisonConfig) =>
  tike_recon_path === null ? [] : [{ name: undefined, path: tike_recon_path }];

function requireCrop(stitch_crop_size: number, raw: RawData): void {
  if (stitch_crop_size <= raw.N) return;
  throw new PtychoError(
    'CONFIG_INVALID',
    `stitch_crop_size is ${stitch_crop_size}, but patches have ${raw.N} pixels a side; give 1 to ${raw.N}.`,
    { key: 'stitch_crop_size', found: stitch_crop_size, expected: raw.N },
  );
}

/** The rectangle that is compared, of the drawn positions or of all that the file has. */
async function boxOf(
  raw: RawData,
  config: ComparisonConfig,
  truth: ComplexImage | undefined,
  logger: Logger,
): Promise<Frame> {
  const bounds = (scan: RawData) => scanBox(scanBounds(scan.xcoords, scan.ycoords), config.stitch_crop_size, truth);
  if (!config.fixed_canvas || config.n_test_subsample === null) return bounds(raw);
  const whole = await openScan(config.test_data_file, { ...scanRequest(config), n_subsample: null }, logger);
  try {
    return bounds(whole);
  } finally {
    await whole.close();
  }
}

interface Prediction {
  readonly config: ComparisonConfig;
  readonly subset: Subset;
  readonly services: Services;
  readonly logger: Logger;
}

/** The images of all bundles, one after the other on one engine. */
async function predictAll(models: readonly NamedModel[], raw: RawData, of: Prediction): Promise<ComparedImage[]> {
  if (models.length === 0) return [];
  const { config, logger } = of;
  const images: ComparedImage[] = [];
  let backend: Backend | undefined;
  try {
    backend = await selectBackend(config, logger);
    logger.info(describeEngine(backend.info));
    for (const named of models) {
      // Opened again, so that the weights of one model at a time are in memory.
      const model = await openForScan(named, raw, config);
      const image = await predictImage(named, model, { ...of, backend });
      logger.info(`${image.name}: ${image.what}, ${image.patterns} patches in ${image.seconds.toFixed(1)} s.`);
      images.push(image);
    }
    return images;
  } finally {
    await backend?.dispose();
  }
}
