/** Known patches for supervised training, where a scan file holds the object that it was reconstructed to. */
import type { Logger } from '../../core/log.js';
import type { RawData } from '../../data/rawData.js';
import { extractPatches } from '../../physics/sampling.js';

/**
 * A scan whose labels are cut from its object, as a host's supervised training means it: its object is a reconstruction to
 * learn from. A scan that has labels, or no object, is returned as it is.
 */
export function withObjectLabels(raw: RawData, logger: Logger): RawData {
  const { objectGuess, N, xcoords, ycoords } = raw;
  if (raw.labels || raw.groundTruth || !objectGuess) return raw;
  logger.info(`Known patches for supervised training are cut from the object of ${raw.source}.`);
  return {
    ...raw,
    labels: {
      count: raw.count,
      height: N,
      width: N,
      readRows: async (rows) => {
        const at = (values: Float64Array) => Float64Array.from(rows, (row) => values[row]);
        return extractPatches(objectGuess, at(xcoords), at(ycoords), N);
      },
    },
    // Spreading would lose it where it is a method of a class.
    close: () => raw.close(),
  };
}
