/** Any number of models and finished reconstructions on the same patterns of one scan, measured on the same pixels. */
import { setImmediate } from 'node:timers/promises';
import type { Backend } from '../../backends/backend.js';
import { describeEngine, selectBackend } from '../../backends/select.js';
import type { ComparisonConfig } from '../../config/schemas/comparison.js';
import { throwIfCancelled } from '../../core/cancel.js';
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { type Logger, silentLogger } from '../../core/log.js';
import type { Services } from '../../core/services.js';
import type { ComplexImage } from '../../core/tensor.js';
import { isSimulation } from '../../data/labels.js';
import { openRequestedScan } from '../../data/preparedScan.js';
import type { RawData } from '../../data/rawData.js';
import { type Frame, frameOfObject, intersectFrames, moveToFrame, scanBounds } from '../../reconstruction/frame.js';
import type { ImageRFactor } from '../../reconstruction/rFactor.js';
import { placeOnScan, readStoredImage } from '../../reconstruction/storedImage.js';
import { scoreFile } from '../fileRFactor.js';
import { type ComparedImage, checkImage, readFinished } from './compared.js';
import {
  type Comparison,
  floorsOf,
  type Measured,
  measure,
  metricNotes,
  placeAll,
  type RegisteredImage,
  register,
  scanBox,
} from './measure.js';
import { checkNames, type NamedModel, namedModels, parseArm } from './names.js';
import { openForScan, predictImage } from './predict.js';
import { openSubset, Subset, scanRequest } from './subset.js';

/**
 * Compares the models and reconstructions that a configuration names. Everything is checked before the first prediction; one model at a
 * time is in memory, and its patterns stream through it.
 *
 * @param ready called when everything has been checked
 * @throws PtychoError USAGE for names, DATASET_SHAPE and DATASET_VALUE for reconstructions that do not fit the scan or are zero
 * everywhere, CANCELLED, and those of bundles, scans, engines and files
 */
export async function compareImages(
  config: ComparisonConfig,
  services: Services,
  ready: () => Promise<void> = async () => {},
): Promise<Comparison> {
  const logger = services.logger ?? silentLogger;
  const models = namedModels(config);
  const finished = [...config.arms.map(parseArm), ...tikeArm(config)];
  checkNames([...models, ...finished].flatMap(({ name }) => name ?? []));
  return closing(await openSubset(config, logger), async (raw) => {
    requireCrop(config.stitch_crop_size, raw);
    const gridsizes: number[] = [];
    for (const model of models) {
      const { bundle } = await openForScan(model, raw, config);
      gridsizes.push(bundle.config.model.gridsize);
    }
    const { image: truth, inTruth, notes, known: truthKnown } = await truthOf(config, raw);
    const subset = new Subset(raw, config, gridsizes, logger);
    const box = within(await boxOf(raw, config, truth, logger), inTruth);
    const arms: ComparedImage[] = [];
    for (const arm of finished) {
      const image = await readFinished(arm, { truthShape: truth?.shape, box, scan: raw });
      const warnings = [...image.warnings];
      warnings.push(...checkImage(image.image, image.weight, `reconstructed_object of ${arm.path}`));
      arms.push({ ...image, warnings, rFactor: await rFactorOf(image, raw, config, warnings) });
    }
    checkNames([...models, ...arms].map(({ name }) => name));
    await ready();
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
    const warnings = [...notes, ...measured.flatMap((one) => one.warnings), ...metricNotes(measured)];
    for (const warning of warnings) logger.warn(warning);
    const sampleIndices = await subset.sampleIndices();
    const { source, geometry, metadata } = raw;
    return {
      ...{ config, models: measured, floors, truth, truthKnown, reference, region, sampleIndices, warnings },
      raw: { source, geometry, metadata },
      provenance: services.provenance,
    };
  });
}

/** What images are measured against, in pixels of the scan's object. */
interface Truth {
  readonly image?: ComplexImage;
  /** The pixels that it has, where they do not begin at the first one of the object. */
  readonly inTruth?: Frame;
  /** True: of a simulation, or named as the truth. Otherwise it is what somebody made of a measurement. */
  readonly known: boolean;
  /** What must be known of it, a sentence each. */
  readonly notes: readonly string[];
}

/**
 * The image of `truth`, laid where its file says it lies on the scan, or the object of the scan.
 * @throws PtychoError those of reading images; DATASET_SHAPE for one that lies before the first pixel of the object
 */
async function truthOf(config: ComparisonConfig, raw: RawData): Promise<Truth> {
  if (config.truth !== null) {
    const { image, originYxPx = [0, 0], notes } = placeOnScan(await readStoredImage(config.truth, 'the truth'), raw);
    const [height, width] = image.shape;
    const lies: Frame = { originYxPx, height, width };
    const canvas: Frame = { originYxPx: [0, 0], height: originYxPx[0] + height, width: originYxPx[1] + width };
    const inTruth = intersectFrames(lies, canvas);
    if (!inTruth) {
      throw new PtychoError('DATASET_SHAPE', `${config.truth} lies outside of the scan ${raw.source}.`, {
        path: config.truth,
        found: originYxPx,
      });
    }
    return { image: moveToFrame(image, lies, canvas), inTruth, known: true, notes };
  }
  const { objectGuess: image, source, metadata } = raw;
  if (!image) {
    return {
      known: false,
      notes: [
        `${source} holds no objectGuess, so there is nothing to measure against (--truth FILE names an image): pictures only, and every metric is NaN.`,
      ],
    };
  }
  if (isSimulation(metadata)) return { image, known: true, notes: [] };
  return {
    image,
    known: false,
    notes: [
      `The objectGuess of ${source} is a reference, not a known truth: it was reconstructed from a measurement. The numbers say how well images agree with it; they give no resolution.`,
    ],
  };
}

/** The part of the compared rectangle that a truth has. @throws PtychoError DATASET_SHAPE where it has none */
function within(box: Frame, inTruth: Frame | undefined): Frame {
  const shared = inTruth ? intersectFrames(box, inTruth) : box;
  if (shared) return shared;
  throw new PtychoError('DATASET_SHAPE', 'The truth and the scan share no pixels.', { box, truth: inTruth });
}

/** Tells how far it is, and lets signals be heard: metrics of a large image take seconds. @throws PtychoError CANCELLED */
async function step({ onProgress, signal }: Services, stage: string, done: number, total: number): Promise<void> {
  onProgress?.({ stage, done, total, unit: 'images' });
  await setImmediate();
  throwIfCancelled(signal, 'The comparison');
}

/** R of a finished reconstruction as of any other image; undefined of one that does not say where it lies. */
async function rFactorOf(
  { path, image, frame, frameKnown, weight, turned }: ComparedImage,
  raw: RawData,
  { r_factor_patterns: limit, probe }: ComparisonConfig,
  notes: string[],
): Promise<ImageRFactor | undefined> {
  if (!frameKnown) return undefined;
  const ours = { source: path, image, frame, turned, weight: weight.data };
  return scoreFile(raw, ours, { limit, ownProbe: probe === null }, (sentence) => notes.push(sentence));
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
  return closing(
    await openRequestedScan(config.test_data_file, { ...scanRequest(config), n_subsample: null }, logger),
    (whole) => bounds(whole),
  );
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
