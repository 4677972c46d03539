/**
 * Tables in text files. Read: separated by commas, semicolons, tabs or blanks, comments behind `#`, an optional line of titles.
 * Written: CSV, whose cells are quoted where they must be, and whose text is never taken for a formula.
 *
 * @example
 * const table = await readTextTable('positions.csv', 2);
 * table.titles; // ['x', 'y']
 * table.numbers(0); // Float64Array
 * encodeCsv([['model', 'loss'], ['=HYPERLINK("x")', -1.5]]); // model,loss\n"'=HYPERLINK(""x"")",-1.5\n
 */
import { stringify } from 'csv-stringify/sync';
import { messageOf, PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { plainText } from '../core/words.js';

/** What stands between the values of a line; a blank is any run of blanks and tabs. */
export type Separator = ',' | ';' | '\t' | ' ';

/** A table by columns. */
export interface TextTable {
  /** Values that every line holds at least. */
  readonly width: number;
  /** Titles, where the first line is no numbers. */
  readonly titles?: readonly string[];
  /** The last comment before the first line, split as titles are: `# x y`, as `numpy.savetxt` writes them. */
  readonly commented?: readonly string[];
  /**
   * One column as numbers.
   * @param missing what to do with empty cells, NaN and infinity: refuse them, or give them as NaN
   * @throws PtychoError FILE_FORMAT naming the first line whose value is no number.
   */
  numbers(column: number, missing?: 'refuse' | 'NaN'): Float64Array;
}

const NO_NUMBER = /^[-+]?(nan|inf(inity)?)$/i;
const NAMES: Readonly<Record<Separator, string>> = { ',': 'commas', ';': 'semicolons', '\t': 'tabs', ' ': 'blanks' };

/**
 * Reads a table; what separates the values is seen from its first line. Between semicolons a comma is a decimal point.
 * @param width values that every line must hold at least
 * @throws PtychoError FILE_NOT_FOUND, FORMAT_UNSUPPORTED (too large), FILE_FORMAT naming the first line that does not fit.
 */
export async function readTextTable(path: string, width: number): Promise<TextTable> {
  const text = (await readTextFile(path)).replace(/^\ufeff/, '');
  const lines = text.split(/\r?\n/, MOST_HEAD_LINES);
  const first = lines.findIndex((line) => line.trim() !== '' && !line.trim().startsWith('#'));
  const separator = separatorOf(lines[first] ?? '');
  const records = await recordsOf(path, separator === ' ' ? withSingleBlanks(text) : text, separator);
  const isTitle = (cell: string) => !NO_NUMBER.test(cell) && (cell === '' || Number.isNaN(numberOf(cell, separator)));
  const head = records[0]?.cells ?? [];
  // A nameless first column is the index that pandas writes.
  const titles = head.every(isTitle) && head.some((cell) => cell !== '') ? records.shift()?.cells : undefined;
  if (records.length === 0) throw new PtychoError('FILE_FORMAT', `${path} holds no numbers.`, { path });
  const fail = (line: number, what: string) =>
    new PtychoError(
      'FILE_FORMAT',
      `${path}, line ${line}, ${what}; every line must hold ${width} numbers separated by ${NAMES[separator]}.`,
      { path, line },
    );
  let narrowest = Number.POSITIVE_INFINITY;
  for (const { cells, line } of records) {
    if (cells.length < width) throw fail(line, `holds ${cells.length} values`);
    narrowest = Math.min(narrowest, cells.length);
  }
  const comment = lines.slice(0, Math.max(0, first)).findLast((line) => line.trim().startsWith('#'));
  return {
    width: narrowest,
    titles,
    commented: comment === undefined ? undefined : titlesIn(comment.trim().replace(/^#+/, '')),
    numbers(column, missing = 'refuse') {
      return Float64Array.from(records, ({ cells, line }) => {
        const cell = cells[column];
        const value = numberOf(cell, separator);
        if (Number.isFinite(value)) return value;
        if (missing === 'NaN' && (cell === '' || NO_NUMBER.test(cell))) return Number.NaN;
        throw fail(line, `has "${cell.slice(0, 40)}" where a number was expected`);
      });
    },
  };
}

/** Lines that are looked at for comments, titles and the separator. */
const MOST_HEAD_LINES = 1000;

function separatorOf(line: string): Separator {
  const trimmed = line.trim();
  const found = ([';', ',', '\t'] as const).find((character) => trimmed.includes(character));
  return found ?? ' ';
}

/** Titles of a line, of which those separated by blanks may have a unit in brackets: `Y (um)  X (um)`. */
function titlesIn(line: string): string[] {
  const separator = separatorOf(line);
  const parts = separator === ' ' ? withSingleBlanks(line).split(' ') : line.split(separator);
  return parts.map(unquoted);
}

/** One blank between values; none before the bracket of a unit. */
const withSingleBlanks = (text: string): string =>
  text
    .replace(/[ \t]+/g, ' ')
    .replace(/^ | $/gm, '')
    .replace(/ (?=[([])/g, '');

const unquoted = (cell: string): string => cell.trim().replace(/^(["'])(.*)\1$/, '$2');

function numberOf(cell: string, separator: Separator): number {
  if (cell === '') return Number.NaN;
  return Number(separator === ';' ? cell.replace(',', '.') : cell);
}

async function recordsOf(
  path: string,
  text: string,
  separator: Separator,
): Promise<{ cells: string[]; line: number }[]> {
  // Most scans have their positions in the file: the parser comes with the first table.
  const { parse } = await import('csv-parse/sync');
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(text, {
      delimiter: separator,
      comment: '#',
      comment_no_infix: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      info: true,
      // A quotation mark is nothing special in a table of numbers.
      quote: null,
    }) as unknown as typeof records;
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${path} is no table of text: ${messageOf(cause)}.`, { path }, { cause });
  }
  return records.map(({ record, info }) => ({ cells: record.map(unquoted), line: info.lines }));
}

/** A whole text file of bounded size. @throws PtychoError FILE_NOT_FOUND, FILE_FORMAT, FORMAT_UNSUPPORTED (too large) */
export function readTextFile(path: string): Promise<string> {
  return readTextInput(path, { maxBytes: TABLE_BYTES, instead: 'save the numbers with numpy.save' });
}

/** A number is written by the shortest text that reads back to it; `undefined` and null are empty cells. */
export type CsvCell = string | number | null | undefined;

/** What is text, but reads as a number: `-1.500000`, `-inf`. */
const NUMBER = /^-?(\d+(\.\d*)?(e[+-]?\d+)?|inf|nan)$/i;

/**
 * Rows as CSV with `\n` line ends. Text that a spreadsheet would take for a formula is made text by an apostrophe; numbers are
 * written as they are.
 */
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
