/**
 * `history.csv`: one row an epoch, no times.
 *
 * Columns: `epoch`, then the others in name order. Numbers are the shortest text that reads back to the same double; an
 * empty cell says that the epoch has no such value; `nan`, `inf` and `-inf` are written as NumPy and pandas read them.
 *
 * @example
 * encodeHistory([{ epoch: 1, loss: 0.5, val_loss: null }]); // 'epoch,loss,val_loss\n1,0.5,\n'
 */
import { PtychoError } from '../core/errors.js';
import { encodeCsv } from '../formats/textTable.js';

/** The figures of one epoch (counted from 1); `null` where there is none. */
export type HistoryRow = Readonly<{ epoch: number } & Record<string, number | null>>;

const COLUMN = /^[A-Za-z_][A-Za-z0-9_]*$/;
const SPECIAL: Readonly<Record<string, number>> = { nan: Number.NaN, inf: Infinity, '-inf': -Infinity };

/**
 * Writes rows as CSV with a header line, `\n` line ends.
 * @throws PtychoError BUNDLE_INVALID for epochs that do not run 1, 2, 3 … or a column name that is not a plain word.
 */
export function encodeHistory(rows: readonly HistoryRow[]): string {
  const columns = historyColumns(rows);
  rows.forEach((row, i) => {
    if (row.epoch !== i + 1) bad(`row ${i + 1} is epoch ${row.epoch}`);
  });
  return encodeCsv([columns, ...rows.map((row) => historyCells(columns, row))]);
}

/**
 * The columns of rows, in their order.
 * @throws PtychoError BUNDLE_INVALID for a column name that is not a plain word.
 */
export function historyColumns(rows: readonly HistoryRow[]): string[] {
  const columns = ['epoch', ...[...new Set(rows.flatMap((r) => Object.keys(r)))].filter((c) => c !== 'epoch').sort()];
  const odd = columns.find((c) => !COLUMN.test(c));
  if (odd !== undefined) bad(`the column name ${JSON.stringify(odd)} is not a plain word`);
  return columns;
}

/** One row without its line end. */
export function formatHistoryLine(columns: readonly string[], row: HistoryRow): string {
  return encodeCsv([historyCells(columns, row)]).trimEnd();
}

const historyCells = (columns: readonly string[], row: HistoryRow): string[] => columns.map((c) => cell(row[c]));

/**
 * Reads what {@link encodeHistory} wrote.
 * @throws PtychoError BUNDLE_INVALID for anything else.
 */
export function decodeHistory(text: string): HistoryRow[] {
  const rows = readHistoryRows(text);
  rows.forEach((row, i) => {
    if (row.epoch !== i + 1) bad(`line ${i + 2} should be epoch ${i + 1}`);
  });
  return rows;
}

/**
 * The same for a table that need not begin with epoch 1.
 * @throws PtychoError BUNDLE_INVALID
 */
export function readHistoryRows(text: string): HistoryRow[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') bad('the last line is not complete');
  const columns = (lines.shift() ?? '').split(',');
  if (columns[0] !== 'epoch' || !columns.every((c) => COLUMN.test(c)) || new Set(columns).size !== columns.length) {
    bad('the first line must name the columns, beginning with epoch');
  }
  return lines.map((line, i) => {
    const cells = line.split(',');
    if (cells.length !== columns.length) bad(`line ${i + 2} has ${cells.length} cells, expected ${columns.length}`);
    const values = cells.map((c) => number(c, i + 2));
    if (values[0] === null) bad(`line ${i + 2} says no epoch`);
    return Object.fromEntries(columns.map((c, k) => [c, values[k]])) as HistoryRow;
  });
}

function cell(value: number | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (Number.isFinite(value)) return JSON.stringify(value);
  return Number.isNaN(value) ? 'nan' : value > 0 ? 'inf' : '-inf';
}

function number(text: string, line: number): number | null {
  if (text === '') return null;
  if (Object.hasOwn(SPECIAL, text)) return SPECIAL[text];
  const value = /^-?\d/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) bad(`line ${line} holds ${JSON.stringify(text)}, expected a number`);
  return value;
}

function bad(why: string): never {
  throw new PtychoError('BUNDLE_INVALID', `history.csv: ${why}.`, { member: 'history.csv' });
}
