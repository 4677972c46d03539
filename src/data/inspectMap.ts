/** The picture of an inspection; apart from it, because it brings the drawing of pictures along. */
import path from 'node:path';
import { scanMap } from '../report/scanMap.js';
import type { InspectedScan, ScanSummary } from './inspect.js';

/** The map of a scan: its positions, coloured by how much light fell there. */
export function renderInspectedScan({ raw, indices, power }: InspectedScan, summary: ScanSummary) {
  const values = new Float64Array(raw.count).fill(Number.NaN);
  indices.forEach((index, i) => {
    values[index] = power[i];
  });
  return scanMap({
    xs: raw.xcoords,
    ys: raw.ycoords,
    values,
    probeDiameter: summary.probe?.diameter_px,
    object: raw.objectGuess && { width: raw.objectGuess.shape[1], height: raw.objectGuess.shape[0] },
    label: raw.domain === 'normalized_amplitude' ? 'power of the pattern' : 'counts of the pattern',
    pixelSize_m: raw.geometry.objectPixel_m?.x,
    note: path.basename(raw.source),
  });
}
