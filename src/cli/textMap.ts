/** Positions as braille dots, so that the shape of a scan can be seen in a terminal. */

/** Dots of a braille character, by column and row. */
const DOTS = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const;
const EMPTY = 0x2800;

/**
 * Lines of a map at most `columns` × `rows` characters large (2 × 4 dots each), x to the right, y down, both to the same scale.
 * A dot stands for one position or more.
 */
export function textMap(
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  { columns = 60, rows = 20 }: { readonly columns?: number; readonly rows?: number } = {},
): string[] {
  const [x0, x1] = range(xs);
  const [y0, y1] = range(ys);
  // The last dot takes the end of the range; a scan along a line has no height.
  const perDot = Math.max((x1 - x0) / (2 * columns - 1), (y1 - y0) / (4 * rows - 1)) || 1;
  const width = Math.floor(Math.round((x1 - x0) / perDot) / 2) + 1;
  const height = Math.floor(Math.round((y1 - y0) / perDot) / 4) + 1;
  const cells = Array.from({ length: height }, () => new Array<number>(width).fill(EMPTY));
  for (let i = 0; i < xs.length; i++) {
    const [column, row] = [Math.round((xs[i] - x0) / perDot), Math.round((ys[i] - y0) / perDot)];
    cells[Math.floor(row / 4)][Math.floor(column / 2)] |= DOTS[column % 2][row % 4];
  }
  return cells.map((line) => String.fromCodePoint(...line));
}

/** A bar chart of one line: the higher the block, the larger the count. */
export function textBars(counts: readonly number[]): string {
  const most = Math.max(...counts);
  return counts.map((count) => (count === 0 ? ' ' : '▁▂▃▄▅▆▇█'[Math.ceil((8 * count) / most) - 1])).join('');
}

function range(values: ArrayLike<number>): [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < values.length; i++) [low, high] = [Math.min(low, values[i]), Math.max(high, values[i])];
  return [low, high];
}
