/**
 * `product`: what a product of Ptychodus holds, a product as a contract NPZ, and a scan, or what `infer` or `solve` made of one, as
 * a product.
 */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { productExportDefinition, productImportDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { PartOf } from '../config/schema.js';
import { dataConfigSchema } from '../config/schemas/data.js';
import type { ProductExportConfig, ProductImportConfig } from '../config/schemas/tools.js';
import { SOLVE_PROBE } from '../config/schemas/trainingFields.js';
import { cancelPoint } from '../core/cancel.js';
import { PtychoError } from '../core/errors.js';
import { closing } from '../core/inputFile.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import type { ComplexTensor } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { openScan } from '../data/findings/survey.js';
import { openDataset } from '../data/openDataset.js';
import { keepsAxes } from '../data/opening/orientation.js';
import { openOptions } from '../data/preparedScan.js';
import type { RawData } from '../data/rawData.js';
import { writeScan } from '../data/scanWriter.js';
import { makeOutputFolder, refuseToOverwrite } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import type { StoredBundle } from '../persistence/bundle.js';
import { hasOwnProbe } from '../persistence/bundleConfig.js';
import { patternsOf } from '../persistence/product/arrays.js';
import { type PlacedImage, scanAsProduct } from '../persistence/product/geometry.js';
import { infoOf, type ProductInfo } from '../persistence/product/info.js';
import { PATTERN_FILE, writePatternFile } from '../persistence/product/patternFile.js';
import type { Product } from '../persistence/product/product.js';
import { DEFAULT_OBJECT_PIXEL_M, readStoredProduct, refuseChanges } from '../persistence/product/readProduct.js';
import { lossesOf, metadataOf, rawDataOf, writeWithoutPatterns } from '../persistence/product/scans.js';
import { productFormatOf, writeProductFile } from '../persistence/product/writeProduct.js';
import { verifyProductFile } from '../persistence/verify.js';
import {
  type FinishedRun,
  findBundle,
  isReconstruction,
  readRun,
  readRunImage,
  refinedPositions,
  startImage,
} from '../reconstruction/finishedRun.js';
import { frameForScan, moveToFrame, scanBounds, unionFrames } from '../reconstruction/frame.js';
import { trainedProbeFor } from '../reconstruction/matching/modelOfScan.js';
import type { WrittenImage } from '../reconstruction/pictures.js';

/** @throws PtychoError as `readStoredProduct` */
export async function productInfo(file: string): Promise<ProductInfo> {
  const notes: string[] = [];
  const stored = await readStoredProduct(file, { note: (sentence) => notes.push(sentence) });
  return { ...(await infoOf(file, stored)), notes };
}

/** Reads a product of ours, writes it again and compares the bytes. @throws PtychoError as `verifyProductFile` */
export async function verifyProduct(file: string): Promise<ProductInfo> {
  return infoOf(file, await verifyProductFile(file));
}

/** What `product import` wrote. */
export interface ProductImportSummary {
  readonly path: string;
  readonly positions: number;
  /** null where the product had no patterns and none were given. */
  readonly patterns: {
    readonly count: number;
    readonly N: number;
    readonly domain: string;
    readonly domainReason: string;
  } | null;
}

/**
 * Writes a product as a contract NPZ: with the patterns of `config.diffraction` or of the product itself, paired by index; where
 * there are none, its positions (object pixels), probe and object alone, which `positions` and `probe` of other commands take.
 * @throws PtychoError CONFIG_INVALID when the output is what is read; those of `readProductFile`, `openDataset`, `writeScan`.
 */
export async function importProduct(
  file: string,
  given: PartOf<ProductImportConfig>,
  services: Services = {},
): Promise<ProductImportSummary> {
  const config = wholeConfig(productImportDefinition, given, services.logger);
  const logger = services.logger ?? silentLogger;
  await refuseToOverwrite(file, config.output_file, 'output_file');
  if (config.diffraction !== null) await refuseToOverwrite(config.diffraction, config.output_file, 'output_file');
  await requireNew([config.output_file], { ...newFiles(config, services), field: 'output_file' });
  const note = (sentence: string) => logger.warn(sentence);
  const stored = await readStoredProduct(file, { note });
  if (!config.accept_changes) refuseChanges(file, stored);
  const { product, pixelsKnown } = stored;
  const halfPixel = config.object_convention === 'pty-chi';
  await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
  const patterns = config.diffraction ?? (product.raw_data ? file : undefined);
  if (patterns === undefined) {
    const placed = halfPixel ? { ...product, object: offByHalf(product.object) } : product;
    await writeWithoutPatterns(config.output_file, file, placed);
    logger.warn(
      `${file} holds no patterns and none were given (diffraction), so ${config.output_file} has positions, probe and object only.`,
    );
    return { path: config.output_file, positions: product.positions.indexes.length, patterns: null };
  }
  if (product.raw_data && patterns === file && !config.accept_changes) {
    // Reading them to the end compares their hash.
    const pause = cancelPoint(services.signal, 'Reading the product');
    for await (const _ of patternsOf(product.raw_data).pieces()) await pause();
  }
  const options = openOptions(config, services);
  return closing(
    await openScan(patterns, {
      ...options,
      product: patterns === file ? null : file,
      object_pixel_m: options.object_pixel_m ?? (pixelsKnown ? null : DEFAULT_OBJECT_PIXEL_M),
      redeclare: true,
    }),
    async (opened) => {
      const raw = halfPixel ? onObjectOfPtyChi(opened, note) : opened;
      await writeScan(config.output_file, raw, {
        compress: config.compress,
        signal: services.signal,
        onPatterns: (done) => services.onProgress?.({ stage: 'writing', done, total: raw.count, unit: 'patterns' }),
        transformation: {
          tool: `${createdBy.package} product import`,
          operation: 'product import',
          parameters: { product: file, version: createdBy.version },
        },
      });
      const { count, N, domain, domainReason } = raw;
      return { path: config.output_file, positions: count, patterns: { count, N, domain, domainReason } };
    },
  );
}

/** An object whose centre is half a pixel before, so that positions fall half a pixel after. */
function offByHalf(object: Product['object']): Product['object'] {
  const { pixel, center_x_m, center_y_m } = object;
  return { ...object, center_x_m: center_x_m - pixel.width_m / 2, center_y_m: center_y_m - pixel.height_m / 2 };
}

/**
 * Pty-Chi cuts a patch from position − (N − 1)/2 on, and everything here from position − N/2 on: on an object that it reconstructed, a
 * position is half a pixel further.
 */
function onObjectOfPtyChi(raw: RawData, note: (sentence: string) => void): RawData {
  const { objectPixel_m: pixel, objectCentre_m: centre } = raw.geometry;
  if (!raw.objectGuess || !keepsAxes(raw.orientation)) {
    note('object_convention has no effect: there is no object, or positions are turned away from it.');
    return raw;
  }
  const half = (values: Float64Array | undefined) => values?.map((value) => value + 0.5);
  return {
    ...raw,
    xcoords: raw.xcoords.map((x) => x + 0.5),
    ycoords: raw.ycoords.map((y) => y + 0.5),
    xcoordsStart: half(raw.xcoordsStart),
    ycoordsStart: half(raw.ycoordsStart),
    xcoordsEnd: half(raw.xcoordsEnd),
    ycoordsEnd: half(raw.ycoordsEnd),
    geometry:
      pixel && centre
        ? { ...raw.geometry, objectCentre_m: { x: centre.x - pixel.x / 2, y: centre.y - pixel.y / 2 } }
        : raw.geometry,
  };
}

/** What `product export` wrote. */
export interface ProductExportSummary {
  readonly path: string;
  readonly positions: number;
  /** Rows and columns. */
  readonly object: readonly [number, number];
  readonly losses: number;
  readonly rawData: boolean;
  /** The file of the patterns beside the product; null where none was asked for. */
  readonly patterns: string | null;
}

/** Any part of the configuration of `product export`; `output_file` is needed. */
export interface ProductExportOptions extends PartOf<ProductExportConfig> {
  readonly output_file: string;
}

interface Positions {
  readonly xs: Float64Array;
  readonly ys: Float64Array;
}

/** An image that was made in this process: an open scan, and what `reconstruct` or `runSolver` made of it. */
export interface ImageOfScan {
  readonly scan: RawData;
  readonly result:
    | { readonly stitched: PlacedOnFrame; readonly refined?: Positions }
    | (PlacedOnFrame & {
        readonly probe?: ComplexTensor;
        readonly positions?: Positions;
        readonly history?: readonly { readonly epoch: number; readonly loss: number }[];
      });
  /** (N, N) or (modes, N, N); that of the result, else of the scan, where not given. */
  readonly probe?: ComplexTensor;
}

type PlacedOnFrame = Pick<WrittenImage, 'image' | 'frame'>;

/**
 * Writes `source`, the output folder of `infer` or `solve`, a scan of any readable format, or an image and its scan in memory, as a product. The image of a folder is laid
 * where it was stitched, so that positions in metres are those of the scan's file and fall on the image as they did then (refined
 * ones where they were refined); a scan comes with the object of its file, or with ones where it has none. The object holds the patches
 * of all positions; one that came out of a product is left as it was.
 * @throws PtychoError CONFIG_INVALID, FILE_NOT_FOUND, DATASET_SHAPE for an image of other patterns, PROBE_SHAPE where no probe is
 * known, those of `openDataset` and `writeProductFile`.
 */
export async function exportProduct(
  source: string | ImageOfScan,
  given: ProductExportOptions,
  services: Services = {},
): Promise<ProductExportSummary> {
  const logger = services.logger ?? silentLogger;
  const config = wholeConfig(productExportDefinition, given, services.logger);
  const note = (sentence: string) => logger.warn(sentence);
  if (productFormatOf(config.output_file) === 'npz' && config.raw_data) {
    throw new PtychoError('CONFIG_INVALID', 'raw_data goes into HDF5 products only; name the output_file .h5.', {
      key: 'raw_data',
    });
  }
  const held = typeof source === 'string' ? undefined : source;
  const named = held ? held.scan.source : (source as string);
  const run = !held && isReconstruction(named) ? await readRun(named) : undefined;
  const scan = config.test_data_file ?? run?.test_data_file ?? named;
  checkScan(named, scan, config, run);
  const patterns = config.patterns ? path.join(path.dirname(config.output_file), PATTERN_FILE) : undefined;
  if (!held || existsSync(scan)) {
    await refuseToOverwrite(scan, config.output_file, 'output_file');
    if (patterns !== undefined) await refuseToOverwrite(scan, patterns, 'patterns');
  }
  await requireNew([config.output_file, ...(patterns === undefined ? [] : [patterns])], {
    ...newFiles(config, services),
    field: 'output_file',
  });
  const write = async (raw: RawData): Promise<ProductExportSummary> => {
    const image = held ? heldImage(held) : run ? await readRunImage(named, raw) : startImage(raw, note);
    const positions = held ? heldPositions(held) : run ? await refinedPositions(named, raw, note) : raw;
    const bundle = run?.model_path === undefined ? undefined : await findBundle(run.model_path, note);
    const probe = image.probe ?? probeOf(raw, bundle, named);
    // An object that came out of a product goes back as it was.
    const ownObject = !held && run === undefined && raw.objectGuess && raw.geometry.objectCentre_m;
    const placed = ownObject ? image : spanScan(image, { ...positions, N: raw.N }, note);
    const parts = scanAsProduct({ ...raw, ...positions }, probe, placed, note);
    const losses = held ? heldLosses(held) : (run?.losses ?? (bundle?.history ?? []).map(({ loss }) => loss));
    // Layers belong to the object of the scan, and to no image of it.
    const layers = placed.image === raw.objectGuess ? raw.objectLayers : undefined;
    const object = layers ? { ...parts.object, array: layers.array, layer_spacing_m: layers.spacing_m } : parts.object;
    const product: Product = { metadata: metadataOf(config, raw), ...parts, object, losses: lossesOf(losses) };
    await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
    await writeProductFile(
      config.output_file,
      config.raw_data ? { ...product, raw_data: rawDataOf(raw, product) } : product,
      reporting(raw, services),
    );
    if (patterns !== undefined) await writePatternFile(patterns, raw, { ...reporting(raw, services), note });
    const [rows, columns] = placed.image.shape;
    return {
      path: config.output_file,
      positions: raw.count,
      object: [rows, columns],
      losses: product.losses.values.length,
      rawData: config.raw_data,
      patterns: patterns ?? null,
    };
  };
  if (held) return write(held.scan);
  return closing(await openDataset(scan, openOptions(openingOf(config, run), services)), write);
}

const heldImage = ({ result, probe }: ImageOfScan) => {
  const { image, frame } = 'stitched' in result ? result.stitched : result;
  return { image, originYxPx: frame.originYxPx, probe: probe ?? ('probe' in result ? result.probe : undefined) };
};

function heldPositions({ scan, result }: ImageOfScan): Pick<RawData, 'xcoords' | 'ycoords'> {
  const fitted = 'positions' in result ? result.positions : 'refined' in result ? result.refined : undefined;
  return fitted ? { xcoords: fitted.xs, ycoords: fitted.ys } : scan;
}

function heldLosses({ result }: ImageOfScan): number[] {
  const rows = 'history' in result ? (result.history ?? []) : [];
  return rows.filter(({ epoch }) => epoch > 0).map(({ loss }) => loss);
}

const reporting = ({ count }: Pick<RawData, 'count'>, { signal, onProgress }: Services) => ({
  signal,
  onPatterns: (done: number) => onProgress?.({ stage: 'writing', done, total: count, unit: 'patterns' }),
});

/** Rounding of metres, in pixels. */
const SPAN_TOLERANCE_PX = 1e-3;

/**
 * An image that holds the patches of all positions whole, as Ptychodus wants of an object: where the image is smaller (stitching uses
 * the middle of each patch), it is laid on a frame of that size with a pixel to spare, in its mean amplitude.
 */
function spanScan(
  placed: PlacedImage,
  { xcoords, ycoords, N }: Pick<RawData, 'xcoords' | 'ycoords' | 'N'>,
  note: (sentence: string) => void,
): PlacedImage {
  const { image, originYxPx } = placed;
  const [height, width] = image.shape;
  const bounds = scanBounds(xcoords, ycoords);
  const missing = [
    originYxPx[0] - (bounds.yMin - N / 2),
    originYxPx[1] - (bounds.xMin - N / 2),
    bounds.yMax + N / 2 - (originYxPx[0] + height),
    bounds.xMax + N / 2 - (originYxPx[1] + width),
  ];
  if (missing.every((side) => side <= SPAN_TOLERANCE_PX)) return placed;
  const needed = frameForScan(
    { xMin: bounds.xMin - 1, xMax: bounds.xMax + 1, yMin: bounds.yMin - 1, yMax: bounds.yMax + 1 },
    N,
  );
  const own = { originYxPx, height, width };
  const frame = unionFrames(own, needed);
  const area = height * width;
  let sum = 0;
  for (let p = 0; p < area; p++) sum += Math.hypot(image.re[p], image.im[p]);
  note(
    `The image of ${height}×${width} pixels does not hold the patches of all positions, as Ptychodus wants of an object, so that it is laid on ${frame.height}×${frame.width} pixels in its mean amplitude.`,
  );
  return {
    image: moveToFrame(image, own, frame, { re: area > 0 ? sum / area : 1, im: 0 }),
    originYxPx: frame.originYxPx,
  };
}

function checkScan(source: string, scan: string, config: ProductExportConfig, run: FinishedRun | undefined): void {
  if (run === undefined && config.test_data_file !== null) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `test_data_file goes with an output folder of infer or solve, which ${source} is not; leave it out.`,
      { key: 'test_data_file' },
    );
  }
  if (run === undefined || config.test_data_file !== null || existsSync(scan)) return;
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `The image in ${source} was made of ${scan}, which is not there (any more); give the scan with test_data_file.`,
    { path: scan, key: 'test_data_file' },
  );
}

/** The scan is opened as the run opened it; what is given now and differs from the default comes first. */
function openingOf(config: ProductExportConfig, run: FinishedRun | undefined) {
  const { probe, measurement_domain, data } = config;
  if (run === undefined) return { probe, measurement_domain, data };
  const defaults = dataConfigSchema.parse({}) as Readonly<Record<string, unknown>>;
  const given = Object.entries(data).filter(([key, value]) => value !== defaults[key]);
  return {
    // A probe that was solved for is in the bundle.
    probe: probe ?? (run.probe === SOLVE_PROBE ? null : run.probe),
    measurement_domain: measurement_domain ?? run.measurement_domain,
    n_subsample: run.n_subsample,
    subsample_seed: run.subsample_seed ?? run.seed,
    data: { ...run.data, ...Object.fromEntries(given) },
  };
}

function probeOf(raw: RawData, bundle: StoredBundle | undefined, source: string): ComplexTensor {
  const own = bundle && hasOwnProbe(bundle.config) ? trainedProbeFor(bundle, raw) : undefined;
  const probe = own ?? raw.probeGuess ?? bundle?.probe;
  if (probe !== undefined) return probe;
  throw new PtychoError('PROBE_SHAPE', `There is no probe for ${source}; give one with probe FILE or FILE:key.`, {
    key: 'probe',
    path: source,
  });
}
