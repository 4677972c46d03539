/**
 * Which column of a table is which: titles decide axes and units, a column of indexes is an index, what is neither is left out.
 *
 * @example
 * readTitles(['index', 'x_um', 'y_um'], 'positions.csv'); // { x: { column: 1, … }, y: { column: 2, … }, index: 0, leftOut: [] }
 */
import { PtychoError } from '../../core/errors.js';
import { formatShape, type NumericArray, type Shape, sizeOf, type Tensor } from '../../core/tensor.js';
import { type NpyOrigin, npyError, placeOf } from '../../formats/npyHeader.js';
import type { Finding } from '../findings/finding.js';
import { lengthUnit } from './units.js';

/** A coordinate's column; `scale` turns its values into object pixels (1) or metres. */
export interface CoordinateColumn {
  readonly column: number;
  readonly title: string;
  /** As the title declares it; undefined where it does not. */
  readonly unit?: 'px' | 'm';
  readonly scale: number;
}

/** What the titles of a table say. */
export interface ColumnRoles {
  readonly x: CoordinateColumn;
  readonly y: CoordinateColumn;
  /** Column of the frame numbers. */
  readonly index?: number;
  /** Titles of columns that are not used. */
  readonly leftOut: readonly string[];
}

/** Words of which one in a title makes it a coordinate. */
const X_WORDS = ['x', 'column', 'col', 'horizontal', 'hor', 'horz'];
const Y_WORDS = ['y', 'row', 'vertical', 'ver', 'vert'];
/** Names of stages and the like that beamlines write together with the axis: `posx`, `samplex`, `xcoords`. */
const GLUED_BEFORE =
  /^(?:pos|position|positions|sample|samp|stage|motor|scan|piezo|probe|encoder|enc|coord|coords|s|p)([xy])$/;
const GLUED_AFTER =
  /^([xy])(?:s|pos|position|positions|coord|coords|coordinate|coordinates|stage|motor|piezo|axis|mean|avg|center|centre)$/;
/** Words that make a title something about a coordinate, but not the coordinate. */
const ABOUT =
  /^(?:err|error|errors|std|stdev|sigma|rms|var|variance|index|idx|velocity|speed|start|target|tilt|pixel_size)$/;
const INDEX_TITLE =
  /^(?:#|no|nr|n|num|number|id|ids|idx|ind|index|indexes|indices|i|unnamed 0|(?:(?:frame|image|img|point|pattern|scan point|position|pos|trigger|row|file)(?: (?:no|nr|num|number|id|idx|index))?)|(?:frame|image|point|pattern)s)$/;
const ROW_INDEX = /^(?:row|position|pos)$/;
/** A unit behind an underscore or a blank: `x_um`, `posx nm`; an A alone is ångström. */
const UNIT_SUFFIX = /[_\s.-]+(m|mm|cm|um|µm|μm|nm|pm|px|pix|pixels?|microns?|angstroms?|met(?:er|re)s?|A|Å)$/;

interface TitleParts {
  readonly words: readonly string[];
  readonly unit?: string;
}

function partsOf(title: string): TitleParts {
  const bracketed = /^(.*?)\s*[([{]\s*([^)\]}]*)\s*[)\]}]\s*$/.exec(title);
  const suffixed = bracketed ?? UNIT_SUFFIX.exec(title);
  let [name, unit]: [string, string | undefined] = [title, undefined];
  if (bracketed) [name, unit] = [bracketed[1], bracketed[2]];
  else if (suffixed) [name, unit] = [title.slice(0, suffixed.index), suffixed[1]];
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9#]+/)
    .filter((word) => word !== '');
  return { words, unit };
}

/** The axis that the words of a title name. */
function axisOf(words: readonly string[]): 'x' | 'y' | undefined {
  if (words.some((word) => ABOUT.test(word))) return undefined;
  const found = new Set<'x' | 'y'>();
  for (const word of words) {
    const glued = (GLUED_BEFORE.exec(word) ?? GLUED_AFTER.exec(word))?.[1] as 'x' | 'y' | undefined;
    if (glued !== undefined) found.add(glued);
    else if (X_WORDS.includes(word)) found.add('x');
    else if (Y_WORDS.includes(word)) found.add('y');
  }
  // `x y` in one title names no axis.
  return found.size === 1 ? [...found][0] : undefined;
}

/** True where titles name both axes, whatever else they say: comments are titles only then. */
export function namesAxes(titles: readonly string[]): boolean {
  const axes = titles.map((title) => axisOf(partsOf(title).words));
  return axes.includes('x') && axes.includes('y');
}

/**
 * The roles of a table's columns.
 * @throws PtychoError FILE_FORMAT for titles that name no x or y or one of them twice; DATASET_UNITS for pixels beside lengths
 * and for units that are no length.
 */
export function readTitles(titles: readonly string[], path: string): ColumnRoles {
  const refuse = (code: 'FILE_FORMAT' | 'DATASET_UNITS', what: string) =>
    new PtychoError(
      code,
      `${path} has the titles ${titles.map((title) => `"${title.slice(0, 40)}"`).join(', ')}, ${what}.`,
      { path, found: titles },
    );
  const parts = titles.map(partsOf);
  const axes = parts.map(({ words }) => axisOf(words));
  const index = parts.findIndex(({ words }, i) => {
    const name = words.join(' ');
    if (name === '') return i === 0 && titles.length > 2;
    return INDEX_TITLE.test(name) && !(axes[i] !== undefined && ROW_INDEX.test(name));
  });
  const coordinate = (axis: 'x' | 'y'): CoordinateColumn => {
    const columns = axes.flatMap((found, i) => (found === axis && i !== index ? [i] : []));
    if (columns.length === 0) {
      throw refuse('FILE_FORMAT', `of which none names ${axis}; call the columns x and y, with their unit: x_um, y_um`);
    }
    if (columns.length > 1) {
      const named = columns.map((column) => `"${titles[column]}"`).join(' and ');
      throw refuse('FILE_FORMAT', `of which ${named} both name ${axis}; keep the one that is meant`);
    }
    const [column] = columns;
    const { unit } = parts[column];
    const factor = unit === undefined || unit === '' ? undefined : unit === 'pix' ? 'px' : lengthUnit(unit);
    if (unit !== undefined && unit !== '' && factor === undefined) {
      throw refuse('DATASET_UNITS', `and "${unit}" is no unit of length that is known here (px, m, mm, um, nm, A)`);
    }
    return {
      column,
      title: titles[column],
      unit: factor === undefined ? undefined : factor === 'px' ? 'px' : 'm',
      scale: typeof factor === 'number' ? factor : 1,
    };
  };
  const [x, y] = [coordinate('x'), coordinate('y')];
  if (x.unit !== y.unit) {
    const word = (unit: string | undefined) => (unit === 'px' ? 'pixels' : unit === 'm' ? 'a length' : 'no unit');
    throw refuse(
      'DATASET_UNITS',
      `so x has ${word(x.unit)} and y has ${word(y.unit)}; give both the same kind of unit`,
    );
  }
  const used = new Set([x.column, y.column, index]);
  return {
    x,
    y,
    index: index < 0 ? undefined : index,
    leftOut: titles.filter((_, i) => !used.has(i)),
  };
}

/** Fewest values that a count from 0 or 1 must have before it is taken for one. */
const FEWEST = 4;

/** True for 0, 1, 2, … or 1, 2, 3, …: what counts frames, and is no coordinate. */
export function counts(values: ArrayLike<number>): boolean {
  if (values.length < FEWEST || !(values[0] === 0 || values[0] === 1)) return false;
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0] + i) return false;
  return true;
}

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
  const where = placeOf(origin);
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
  throw npyError(
    'DATASET_SHAPE',
    origin,
    `has shape ${formatShape(shape)}, but positions must be (n, 2) or (n, 3), or (2, n) or (3, n): x and y of each pattern.`,
    { found: shape },
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
