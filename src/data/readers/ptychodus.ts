/**
 * Ptychodus: `diffraction.h5` (patterns, indexes, bad pixels) with the product that holds positions, probe and object, or a
 * product that carries its patterns in `/raw_data` (an extension of PtychoPINN). Patterns and positions are paired by the value
 * of their index, never by their place.
 *
 * @example
 * const file = await ptychodusReader.open('diffraction.h5', { product: 'product-in.h5' });
 */

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PtychoError } from '../../core/errors.js';
import { valuesAt } from '../../core/numbers.js';
import type { NumericArray } from '../../core/tensor.js';
import { type Hdf5File, keepHdf5, usingHdf5 } from '../../formats/hdf5/file.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { ptychodusFile } from '../opening/files.js';
import { positionsInHdf5, positionsOfOptions } from '../opening/positionsFile.js';
import { incoherentModes } from '../opening/probe.js';
import type { ReaderOptions } from '../options.js';
import type { ScanFile, ScanReader, StoredPatterns } from '../scanFile.js';
import { hdf5Frames, hdf5Mask, selectFrames } from './hdf5Frames.js';
import { RAW_GROUP } from './keys.js';
import {
  isProduct,
  numberedFor,
  type ProductFacts,
  readProduct,
  readProductOf,
  rowsByIndex,
  thinObject,
} from './product.js';

/** What a product beside the patterns is called, most wanted first. */
const PRODUCT_NAMES = ['product-in', 'product', 'product-out'].flatMap((name) => [
  `${name}.h5`,
  `${name}.hdf5`,
  `${name}.npz`,
]);

/** A folder that holds `diffraction.h5` can be given, too. */
export const ptychodusReader: ScanReader = {
  pairsProducts: true,
  async recognises(path) {
    return usingHdf5(ptychodusFile(path), (file) => file.has('/patterns') || isProduct(file));
  },
  open: (path, options) => keepHdf5(ptychodusFile(path), (file) => open(file, options), options.allow_links),
};

/** A product with raw data, or patterns with their product. */
async function open(file: Hdf5File, options: ReaderOptions): Promise<ScanFile> {
  if (options.diffraction_path === undefined && file.has(`${RAW_GROUP}/diffraction`)) return openBundle(file, options);
  if (options.diffraction_path !== undefined || file.has('/patterns')) return openPair(file, options);
  throw new PtychoError(
    'DATASET_KEY_MISSING',
    `${file.path} is a product without patterns (no /patterns and no ${RAW_GROUP}/diffraction); open the diffraction.h5 that belongs to it and give this file as its product.`,
    { path: file.path, key: '/patterns' },
  );
}

async function openPair(file: Hdf5File, options: ReaderOptions): Promise<ScanFile> {
  const notes: string[] = [];
  const frames = hdf5Frames(file, [options.diffraction_path ?? '/patterns']);
  const badPixels = hdf5Mask(file, '/bad_pixels', frames, notes);
  const product = await findProduct(file.path, options);
  notes.push(...(product?.notes ?? []));
  let paired: PairedScan;
  const given = await positionsOfOptions(options, [frames.count, frames.height, frames.width]);
  if (given !== undefined) paired = { patterns: frames, positions: given };
  else if (product === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file.path} holds patterns without positions, and there is no ${PRODUCT_NAMES[0]} or product.h5 beside it; give the product that belongs to it (product), or a file of positions (positions).`,
      { path: file.path, key: 'product', expected: PRODUCT_NAMES },
    );
  } else {
    const indexes = readIndexes(file, frames.count) ?? numberedFor(file.path, frames.count, product.indexes, notes);
    paired = pairWithProduct(frames, indexes, file.origin('/indexes'), product, options, notes);
  }
  return {
    path: file.path,
    format: 'ptychodus',
    ...paired,
    probeGuess: product?.probe,
    objectGuess: product?.object,
    objectLayers: product?.objectLayers,
    badPixels,
    geometry: product?.geometry ?? {},
    measurementDomain: {
      text: 'count_intensity',
      where: `${file.path}, in the format of Ptychodus (patterns are intensities),`,
    },
    metadata: { ...product?.metadata },
    notes: [...notes, ...file.warnings],
    close: async () => file.close(),
  };
}

async function findProduct(path: string, options: ReaderOptions): Promise<ProductFacts | undefined> {
  if (options.product !== undefined) return readProduct(options.product, options.allow_links);
  const beside = PRODUCT_NAMES.map((name) => join(dirname(path), name)).find((candidate) => existsSync(candidate));
  if (beside === undefined) return undefined;
  const product = await readProduct(beside, options.allow_links);
  return { ...product, notes: [`Positions and probe are those of ${beside}.`, ...product.notes] };
}

/** The indexes of the patterns of a file; undefined where it has none. @throws PtychoError DATASET_SHAPE */
export function readIndexes(file: Hdf5File, count: number): NumericArray | undefined {
  if (!file.has('/indexes')) return undefined;
  const { data } = file.readReal('/indexes', 8 * count);
  if (data.length === count) return data;
  throw npyError(
    'DATASET_SHAPE',
    file.origin('/indexes'),
    `has ${data.length} values for ${count} patterns; there must be one for each.`,
    { found: data.length, expected: count },
  );
}

type PairedScan = Pick<ScanFile, 'patterns' | 'patternIndexes' | 'positions'>;

/** Frames with the positions of their product. @throws PtychoError as {@link pair} */
export function pairWithProduct(
  frames: StoredPatterns,
  indexes: NumericArray,
  indexesOrigin: NpyOrigin,
  product: ProductFacts,
  { positions_unit }: ReaderOptions,
  notes: string[],
): PairedScan {
  const { patterns, positions } = pair(indexes, indexesOrigin, product, notes);
  const { x, y, unit, origin } = product.positions;
  return {
    patterns: selectFrames(frames, patterns),
    patternIndexes: Int32Array.from(patterns, (row) => indexes[row]),
    positions: { x: valuesAt(x, positions), y: valuesAt(y, positions), unit: positions_unit ?? unit, origin },
  };
}

/**
 * Rows of patterns and of positions that have the same index, in the order of the patterns.
 * @throws PtychoError DATASET_VALUE for an index that occurs twice, or when none is common.
 */
export function pair(
  indexes: NumericArray,
  origin: NpyOrigin,
  product: Pick<ProductFacts, 'positions' | 'indexes'>,
  notes: string[],
) {
  const { path } = product.positions.origin;
  const places = rowsByIndex(product.indexes, { path, member: 'probe_position_indexes' });
  rowsByIndex(indexes, origin);
  const patterns: number[] = [];
  const positions: number[] = [];
  indexes.forEach((index: number, row: number) => {
    const place = places.get(index);
    if (place === undefined) return;
    patterns.push(row);
    positions.push(place);
  });
  if (patterns.length === 0) {
    throw new PtychoError(
      'DATASET_VALUE',
      `None of the ${indexes.length} pattern indexes of ${origin.path} occurs among the ${places.size} position indexes of ${path}; the two are of different scans, so give the product that belongs to the patterns.`,
      { path: origin.path, key: '/indexes' },
    );
  }
  const [lonePatterns, lonePositions] = [indexes.length - patterns.length, places.size - patterns.length];
  if (lonePatterns + lonePositions > 0) {
    notes.push(
      `${patterns.length} patterns have a position in ${path}; left out: ${lonePatterns} patterns without position, ${lonePositions} positions without pattern.`,
    );
  }
  return { patterns: Int32Array.from(patterns), positions: Int32Array.from(positions) };
}

/** A product with its patterns in `/raw_data`. */
async function openBundle(file: Hdf5File, options: ReaderOptions): Promise<ScanFile> {
  const path = `${RAW_GROUP}/diffraction`;
  const attributes = file.attributes(path);
  const axes = attributes.axis_canonical;
  if (axes !== undefined && axes !== 'NHW') {
    throw npyError(
      'DATASET_SHAPE',
      file.origin(path),
      `has its axes in the order "${String(axes)}", but NHW is expected.`,
    );
  }
  const product = isProduct(file) ? await readProductOf(file) : undefined;
  const notes = [...(product?.notes ?? [])];
  const patterns = hdf5Frames(file, [path]);
  const given = await positionsOfOptions(options, [patterns.count, patterns.height, patterns.width]);
  const positions = given ?? positionsInHdf5(file, RAW_GROUP, options.positions_unit);
  const own = (key: string) =>
    file.has(`${RAW_GROUP}/${key}`) ? file.readComplex64(`${RAW_GROUP}/${key}`) : undefined;
  // Usually links to the product's own, which have been read already.
  const probe = product?.probe ? undefined : own('probeGuess');
  const object = product?.object ? undefined : own('objectGuess');
  const badPixels = hdf5Mask(file, `${RAW_GROUP}/bad_pixels`, patterns, notes);
  const scanIndex = `${RAW_GROUP}/scan_index`;
  const root = file.attributes();
  const domain = [attributes, file.attributes(RAW_GROUP), root].map((found) => found.measurement_domain).find(Boolean);
  return {
    path: file.path,
    format: 'ptychodus',
    patterns,
    positions,
    patternIndexes: product?.indexes,
    scanIndex: file.has(scanIndex) ? Int32Array.from(file.readReal(scanIndex).data) : undefined,
    probeGuess:
      product?.probe ??
      (probe && incoherentModes(probe, file.origin(`${RAW_GROUP}/probeGuess`), (sentence) => notes.push(sentence))),
    objectGuess: product?.object ?? (object && thinObject(object, file.origin(`${RAW_GROUP}/objectGuess`), notes)),
    objectLayers: product?.objectLayers,
    badPixels,
    geometry: product?.geometry ?? {},
    measurementDomain:
      domain === undefined ? undefined : { text: String(domain), where: `${file.path}, attribute measurement_domain,` },
    metadata: root,
    notes: [...notes, ...file.warnings],
    close: async () => file.close(),
  };
}
