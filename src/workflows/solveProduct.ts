/** What a solver came to as a product of Ptychodus. */
import path from 'node:path';
import type { Logger } from '../core/log.js';
import type { RawData } from '../data/rawData.js';
import { makeOutputFolder } from '../formats/outputFiles.js';
import { scanAsProduct } from '../persistence/product/geometry.js';
import { productFormatOf, writeProductFile } from '../persistence/product/writeProduct.js';
import type { SolverResult } from '../solvers/run.js';
import { lossesOf, metadataOf } from './exportProduct.js';

/** @throws PtychoError CONFIG_INVALID for a name that no product has */
export function checkProductName(file: string | null): void {
  if (file !== null) productFormatOf(file);
}

/**
 * Writes object, probe modes, the positions at which they were made and the loss of each epoch; HDF5 or NPZ, by the name.
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeSolvedProduct(
  file: string,
  solved: SolverResult,
  raw: RawData,
  logger: Logger,
): Promise<void> {
  const { xs, ys } = solved.positions;
  const placed = { image: solved.image, originYxPx: solved.frame.originYxPx };
  const parts = scanAsProduct({ ...raw, xcoords: xs, ycoords: ys }, solved.probe, placed, (note) => logger.warn(note));
  const losses = lossesOf(solved.history.filter(({ epoch }) => epoch > 0).map(({ loss }) => loss));
  await makeOutputFolder(path.dirname(path.resolve(file)));
  await writeProductFile(file, { metadata: metadataOf({}, raw), ...parts, losses });
}
