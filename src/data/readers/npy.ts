/**
 * A single `.npy` array of patterns, (n, height, width) or a raster of them, with positions from another file or of the raster.
 *
 * @example
 * const file = await npyReader.open('frames.npy', { positions: 'positions.csv' });
 */

import { NpyRows } from '../../formats/npyFile.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { crossedAxes, layoutHints, type PatternLayout, patternLayout, planesOf } from '../opening/patternLayout.js';
import { positionsBeside } from '../opening/positionsFile.js';
import type { ScanReader, StoredPatterns } from '../scanFile.js';

export const npyReader: ScanReader = {
  async open(path, options) {
    const rows = await NpyRows.open(path);
    try {
      const { shape, dtype } = rows.header;
      const origin = { path };
      if (/complex|str|bool/.test(dtype)) {
        throw npyError('DATASET_VALUE', origin, `holds ${dtype} values, but diffraction must be real numbers.`, {
          found: dtype,
        });
      }
      // A look at the shape before positions are asked for: an array that is no stack is said first.
      if (shape.length < 3) patternLayout(shape, {}, origin);
      const found = await positionsBeside(path, options, shape);
      const layout = patternLayout(shape, layoutHints(found, options), origin);
      return {
        path,
        format: 'npy',
        patterns: framesOfNpy(rows, layout, origin),
        positions: crossedAxes(found, layout.raster ?? options.scan_shape),
        geometry: {},
        metadata: {},
        notes: [],
        close: () => rows.close(),
      };
    } catch (error) {
      await rows.close();
      throw error;
    }
  },
};

/** Patterns of an open array, which are read when they are asked for. */
export function framesOfNpy(rows: NpyRows, layout: PatternLayout, origin: NpyOrigin): StoredPatterns {
  const { count, height, width } = layout;
  return {
    ...{ count, height, width, origin },
    dtype: rows.header.dtype,
    resident: false,
    readRowsInto: (patterns, out) => rows.readInto(planesOf(layout, patterns), out, layout.rowAxes),
  };
}
