/**
 * Tables as CSV: cells are quoted where they must be, and text that a spreadsheet would take for a formula is made text by an
 * apostrophe. Numbers are written as they are.
 *
 * @example
 * encodeCsv([['model', 'loss'], ['=HYPERLINK("x")', -1.5]]); // model,loss\n"'=HYPERLINK(""x"")",-1.5\n
 */
import { stringify } from 'csv-stringify/sync';
import { plainText } from '../core/plainText.js';

/** A number is written by the shortest text that reads back to it; `undefined` and null are empty cells. */
export type CsvCell = string | number | null | undefined;

/** What is text, but reads as a number: `-1.500000`, `-inf`. */
const NUMBER = /^-?(\d+(\.\d*)?(e[+-]?\d+)?|inf|nan)$/i;

/** Rows with `\n` line ends. */
export function encodeCsv(rows: readonly (readonly CsvCell[])[]): string {
  return stringify(
    rows.map((row) =>
      row.map((cell) => (typeof cell === 'string' && !NUMBER.test(cell) ? safe(plainText(cell)) : cell)),
    ),
    { record_delimiter: 'unix' },
  );
}

/** Letters that begin a formula in a spreadsheet, as csv-stringify's escape_formulas knows them, which would also mark numbers. */
function safe(text: string): string {
  return /^[=+\-@\t\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
}
