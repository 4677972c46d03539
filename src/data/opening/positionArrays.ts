/**
 * Positions in one array: (n, 2), (n, 3), (2, n), (3, n), or a raster of them, told apart by name, shape, the number of patterns
 * and what the file says about the order of its axes.
 *
 * @example
 * positionsInArray({ data, shape: [3, 49] }, { path: 'scan.cxi', member: '/entry_1/data_1/translation' }, { patterns: [49] });
 */
import { PtychoError } from '../../core/errors.js';
import { formatShape, type NumericArray, type Shape, sizeOf, type Tensor } from '../../core/tensor.js';
import { type NpyOrigin, nameOf, npyError } from '../../formats/npyHeader.js';
import type { Finding } from '../findings/finding.js';
import { counts, namesAxes, readTitles } from './positionColumns.js';

/** What may be known besides the array. */
export interface ArrayHints {
  /** How many patterns there may be. */
  readonly patterns?: readonly number[];
  /** Names of the columns, where the file gives them: `['y', 'x']`. */
  readonly titles?: readonly string[];
  /** The format defines the order x, y, z. */
  readonly ordered?: boolean;
}

/** Coordinates out of an array, what was assumed, and the frame number of each where there is one. */
export interface ArrayPositions {
  readonly x: Float64Array;
  readonly y: Float64Array;
  readonly indexes?: Float64Array;
  readonly findings: readonly Finding[];
}

/** The doubt about columns that nothing names. */
export const axisOrderAssumed = (message: string): Finding => ({
  code: 'AXIS_ORDER_ASSUMED',
  severity: 'doubt',
  message,
  remedy: 'if the image is no image, exchange them with --swap_xy',
});

/** `positions_yx`, `probe_rowcol`: names that say the order. */
const YX_NAME = /(^|[^a-z])(yx|zyx|row_?col(umn)?s?|rc)([^a-z]|$)/i;
const XY_NAME = /(^|[^a-z])(xyz?|col(umn)?_?rows?|translations?)([^a-z]|$)/i;

/**
 * Coordinates of an array.
 * @throws PtychoError DATASET_SHAPE for shapes that are no positions; as `readTitles` for names of columns.
 */
export function positionsInArray(
  array: Tensor<NumericArray>,
  origin: NpyOrigin,
  { patterns = [], titles, ordered }: ArrayHints = {},
): ArrayPositions {
  const { count, values, first } = layoutOf(array, origin, patterns);
  const vector = (at: number) =>
    Float64Array.from({ length: count }, (_, i) => array.data[first ? i * values + at : at * count + i]);
  const where = nameOf(origin).replace(/,$/, '');
  const findings: Finding[] = [];
  const leaveOut = (what: string) =>
    findings.push({ code: 'COLUMNS_LEFT_OUT', severity: 'note', message: `Left out: ${what} of ${where}.` });
  if (titles?.length === values && namesAxes(titles)) {
    const { x, y, index, leftOut } = readTitles(titles, where);
    if (leftOut.length > 0) leaveOut(leftOut.join(', '));
    return {
      x: vector(x.column),
      y: vector(y.column),
      indexes: index === undefined ? undefined : vector(index),
      findings,
    };
  }
  const name = (origin.member ?? '').split('/').at(-1)!;
  const named = ordered || XY_NAME.test(name) || YX_NAME.test(name);
  const yFirst = !ordered && YX_NAME.test(name) && !XY_NAME.test(name);
  const indexed = values === 3 && !named && counts(vector(0));
  if (indexed) {
    findings.push({
      code: 'INDEX_COLUMN_ASSUMED',
      severity: 'note',
      message: `The first of the three columns of ${where} counts ${array.data[0]}, ${array.data[0] + 1}, …: it was taken for the frame numbers.`,
    });
  } else if (values === 3 && !ordered) leaveOut('the third coordinate');
  if (!named) {
    findings.push(
      axisOrderAssumed(
        `${where} does not say which of its columns is x: ${indexed ? 'the second' : 'the first'} was taken for x, the next for y.`,
      ),
    );
  }
  const skip = indexed || (values === 3 && /zyx/i.test(name)) ? 1 : 0;
  const [one, two] = [vector(skip), vector(skip + 1)];
  const [x, y] = yFirst ? [two, one] : [one, two];
  return { x, y, indexes: indexed ? vector(0) : undefined, findings };
}

/** Whether the positions are counted by the first axes or by the last, and how many values each has. */
function layoutOf({ shape }: Tensor<NumericArray>, origin: NpyOrigin, patterns: readonly number[]) {
  const isValues = (length: number) => length === 2 || length === 3;
  const squeezed: Shape = shape.length > 2 ? shape.filter((length) => length !== 1) : shape;
  const known = (count: number) => patterns.includes(count);
  const [head, tail] = [squeezed[0], squeezed.at(-1)!];
  const [behind, before] = [sizeOf(squeezed.slice(1)), sizeOf(squeezed.slice(0, -1))];
  // A grid of positions is believed only where it has as many as there are patterns.
  const grid = squeezed.length === 3;
  const asColumns = isValues(tail) && (squeezed.length === 2 || (grid && known(before)));
  const asRows = isValues(head) && (squeezed.length === 2 || (grid && known(behind)));
  if (asColumns && (!asRows || known(before) || !known(behind))) return { count: before, values: tail, first: true };
  if (asRows) return { count: behind, values: head, first: false };
  throw new PtychoError(
    'DATASET_SHAPE',
    `${nameOf(origin)} has shape ${formatShape(shape)}, but positions must be (n, 2) or (n, 3), or (2, n) or (3, n): x and y of each pattern.`,
    { path: origin.path, key: origin.member, found: shape },
  );
}

/**
 * One coordinate of each position; the axes of a raster are joined.
 * @throws PtychoError DATASET_SHAPE for more than two axes.
 */
export function coordinates({ data, shape }: Tensor<NumericArray>, origin: NpyOrigin): Float64Array {
  if (shape.filter((length) => length !== 1).length <= 2) return Float64Array.from(data);
  throw npyError(
    'DATASET_SHAPE',
    origin,
    `has shape ${formatShape(shape)}, but positions must have one value for each pattern.`,
  );
}
