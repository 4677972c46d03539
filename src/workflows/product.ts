/** `product import`, `product info` and `product verify`: what a product holds, and a product as a contract NPZ. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { ProductImportConfig } from '../config/schemas/tools.js';
import { cancelPoint } from '../core/cancel.js';
import { silentLogger } from '../core/log.js';
import type { Services } from '../core/services.js';
import { createdBy } from '../core/version.js';
import { openScan } from '../data/findings/survey.js';
import { geometryRecord, type MetadataRecord, withSection, withTransformation } from '../data/metadata.js';
import { openOptions } from '../data/preparedScan.js';
import { POSITION_KEYS } from '../data/readers/keys.js';
import { writeScan } from '../data/scanWriter.js';
import type { NpyInput } from '../formats/npyWrite.js';
import { writeNpz } from '../formats/npz.js';
import { makeOutputFolder, refuseToOverwrite } from '../formats/outputFiles.js';
import { newFiles, requireNew } from '../formats/outputs.js';
import { patternsOf } from '../persistence/product/arrays.js';
import { gridOfObject, positionsOnObject } from '../persistence/product/geometry.js';
import type { Product } from '../persistence/product/product.js';
import {
  DEFAULT_OBJECT_PIXEL_M,
  readStoredProduct,
  refuseChanges,
  type StoredProduct,
} from '../persistence/product/readProduct.js';
import { verifyProductFile } from '../persistence/verify.js';

/** What `product info` tells. */
export interface ProductInfo {
  readonly path: string;
  readonly bytes: number;
  readonly format: StoredProduct['format'];
  /** Whether the content is as ptychopinn wrote it; `none` for products of other programs. */
  readonly seal: StoredProduct['seal'];
  readonly metadata: Product['metadata'];
  readonly positions: {
    readonly count: number;
    /** Smallest and largest; null where there are none. */
    readonly indexes: readonly [number, number] | null;
    readonly x_m: readonly [number, number] | null;
    readonly y_m: readonly [number, number] | null;
    readonly x_px: readonly [number, number] | null;
    readonly y_px: readonly [number, number] | null;
  };
  readonly probe: {
    readonly shape: readonly number[];
    readonly pixel_m: readonly [number, number];
    readonly opr_weights: readonly number[] | null;
  };
  readonly object: {
    readonly shape: readonly number[];
    readonly pixel_m: readonly [number, number];
    readonly center_m: readonly [number, number];
    readonly layer_spacing_m: readonly number[];
  };
  readonly losses: { readonly count: number; readonly last: number | null };
  readonly raw_data: {
    readonly shape: readonly number[];
    readonly dtype: string;
    readonly measurement_domain: string | null;
    readonly bad_pixels: number | null;
  } | null;
  /** What was assumed in reading it. */
  readonly notes: readonly string[];
}

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

async function infoOf(file: string, { product, format, seal }: StoredProduct): Promise<ProductInfo> {
  const { metadata, positions, probe, object, losses, raw_data } = product;
  const onObject = positionsOnObject(product);
  return {
    path: file,
    bytes: (await stat(file)).size,
    format,
    seal,
    metadata,
    positions: {
      count: positions.indexes.length,
      indexes: rangeOf(positions.indexes),
      x_m: rangeOf(positions.x_m),
      y_m: rangeOf(positions.y_m),
      x_px: rangeOf(onObject.x),
      y_px: rangeOf(onObject.y),
    },
    probe: {
      shape: probe.array.shape,
      pixel_m: [probe.pixel.width_m, probe.pixel.height_m],
      opr_weights: probe.opr_weights?.shape ?? null,
    },
    object: {
      shape: object.array.shape,
      pixel_m: [object.pixel.width_m, object.pixel.height_m],
      center_m: [object.center_x_m, object.center_y_m],
      layer_spacing_m: Array.from(object.layer_spacing_m),
    },
    losses: { count: losses.values.length, last: losses.values.at(-1) ?? null },
    raw_data: raw_data
      ? {
          shape: raw_data.diffraction.shape,
          dtype: patternsOf(raw_data).dtype,
          measurement_domain: raw_data.measurement_domain ?? null,
          bad_pixels: raw_data.bad_pixels?.data.reduce((sum, flag) => sum + flag, 0) ?? null,
        }
      : null,
    notes: [],
  };
}

function rangeOf(values: Int32Array | Float64Array): readonly [number, number] | null {
  if (values.length === 0) return null;
  let [least, most] = [values[0], values[0]];
  for (const value of values) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  return [least, most];
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
  config: ProductImportConfig,
  services: Services = {},
): Promise<ProductImportSummary> {
  const logger = services.logger ?? silentLogger;
  await refuseToOverwrite(file, config.output_file, 'output_file');
  if (config.diffraction !== null) await refuseToOverwrite(config.diffraction, config.output_file, 'output_file');
  await requireNew([config.output_file], { ...newFiles(config, services), field: 'output_file' });
  const note = (sentence: string) => logger.warn(sentence);
  const stored = await readStoredProduct(file, { note });
  if (!config.accept_changes) refuseChanges(file, stored);
  const { product, pixelsKnown } = stored;
  await makeOutputFolder(path.dirname(path.resolve(config.output_file)));
  const patterns = config.diffraction ?? (product.raw_data ? file : undefined);
  if (patterns === undefined) {
    await writeWithoutPatterns(config.output_file, file, product);
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
  const raw = await openScan(patterns, {
    ...options,
    product: patterns === file ? null : file,
    object_pixel_m: options.object_pixel_m ?? (pixelsKnown ? null : DEFAULT_OBJECT_PIXEL_M),
    redeclare: true,
  });
  try {
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
  } finally {
    await raw.close();
  }
}

async function writeWithoutPatterns(target: string, file: string, product: Product): Promise<void> {
  const { probe, object, positions, metadata } = product;
  const { x, y } = positionsOnObject(product);
  const n = x.length;
  const { pixel_m, centre_m } = gridOfObject(object);
  const geometry = geometryRecord({
    energy_eV: metadata.probe_energy_eV || undefined,
    detectorDistance_m: metadata.detector_object_distance_m || undefined,
    objectPixel_m: pixel_m,
    objectCentre_m: centre_m,
  });
  const record = withTransformation(
    withSection(metadata as unknown as MetadataRecord, 'additional_parameters', { geometry }),
    {
      tool: `${createdBy.package} product import`,
      operation: 'product import',
      parameters: { product: file, version: createdBy.version },
    },
  );
  const [, modes, height, width] = probe.array.shape;
  const size = modes * height * width;
  const [, rows, columns] = object.array.shape;
  const arrays: Record<string, NpyInput> = {
    xcoords: { data: x, shape: [n] },
    ycoords: { data: y, shape: [n] },
    probeGuess: {
      re: probe.array.re.subarray(0, size),
      im: probe.array.im.subarray(0, size),
      shape: modes === 1 ? [height, width] : [modes, height, width],
    },
    objectGuess: {
      re: object.array.re.subarray(0, rows * columns),
      im: object.array.im.subarray(0, rows * columns),
      shape: [rows, columns],
    },
    scan_index: { data: new Int32Array(n), shape: [n] },
    [POSITION_KEYS[0]]: { data: positions.indexes, shape: [n] },
    _metadata: { strings: [JSON.stringify(record)], shape: [] },
  };
  await writeNpz(target, arrays);
}
