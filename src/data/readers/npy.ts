/**
 * A single `.npy` array of patterns (n, height, width) with positions from another file.
 *
 * @example
 * const file = await npyReader.open('frames.npy', { positions: 'positions.csv' });
 */
import { formatShape } from '../../core/tensor.js';
import { npyError } from '../../formats/npyHeader.js';
import { NpyRows } from '../../formats/npyRows.js';
import { hasMagic, MAGIC } from '../opening/fileKind.js';
import { positionsBeside } from '../opening/positionsFile.js';
import type { ScanReader } from '../scanFile.js';

/** See the module. */
export const npyReader: ScanReader = {
  format: 'npy',
  title: 'NPY array of patterns with a file of positions',
  recognises: (path) => hasMagic(path, MAGIC.npy),
  async open(path, options) {
    const rows = await NpyRows.open(path);
    try {
      const { shape, dtype } = rows.header;
      const origin = { path };
      if (shape.length !== 3 || shape.includes(0)) {
        throw npyError(
          'DATASET_SHAPE',
          origin,
          `has shape ${formatShape(shape)}, but diffraction must be (patterns, height, width).`,
          {
            found: shape,
          },
        );
      }
      if (/complex|str|bool/.test(dtype)) {
        throw npyError('DATASET_VALUE', origin, `holds ${dtype} values, but diffraction must be real numbers.`, {
          found: dtype,
        });
      }
      const { positions, notes } = await positionsBeside(path, options);
      const [count, height, width] = shape;
      const readRowsInto = rows.readInto.bind(rows);
      return {
        path,
        format: 'npy',
        patterns: { count, height, width, dtype, resident: false, origin, readRowsInto },
        positions,
        geometry: {},
        metadata: {},
        notes,
        close: () => rows.close(),
      };
    } catch (error) {
      await rows.close();
      throw error;
    }
  },
};
