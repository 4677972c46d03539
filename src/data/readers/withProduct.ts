/**
 * Patterns of a file that knows no indexes (an NPY, fold_slice's `/dp`, a series of TIFF files) with a product of Ptychodus.
 */
import type { ReaderOptions } from '../options.js';
import type { ScanFile, ScanReader } from '../scanFile.js';
import { numberedFor, readProduct } from './product.js';
import { pairWithProduct } from './ptychodus.js';

/**
 * Opens patterns with the positions, the probe and the object of a product; positions of the file itself are not looked at.
 * @throws PtychoError those of reader and product; DATASET_VALUE where no pattern has a position
 */
export async function openWithProduct(
  reader: ScanReader,
  path: string,
  options: ReaderOptions,
  product: string,
): Promise<ScanFile> {
  const facts = await readProduct(product, options.allow_links);
  const file = await reader.open(path, { ...options, product: undefined, positions: product, positions_unit: 'm' });
  try {
    const { count } = file.patterns;
    const notes = [...file.notes, ...facts.notes];
    const indexes = numberedFor(path, count, facts.indexes, notes);
    const paired = pairWithProduct(file.patterns, indexes, { path }, facts, options, notes);
    const known = Object.entries(facts.geometry).filter(([, value]) => value !== undefined);
    return {
      ...file,
      ...paired,
      startPositions: undefined,
      endPositions: undefined,
      frameNumbers: undefined,
      scanIndex: undefined,
      groundTruth: undefined,
      labels: undefined,
      probeGuess: facts.probe ?? file.probeGuess,
      objectGuess: facts.object,
      objectLayers: facts.objectLayers,
      geometry: { ...file.geometry, ...Object.fromEntries(known) },
      measurementDomain: file.measurementDomain ?? {
        text: 'count_intensity',
        where: `${path}, beside a product of Ptychodus (patterns are intensities),`,
      },
      metadata: { ...file.metadata, ...facts.metadata },
      notes,
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}
