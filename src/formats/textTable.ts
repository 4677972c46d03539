/**
 * Tables of numbers in text files: comma separated or separated by blanks, comments behind `#`, an optional line of titles.
 *
 * @example
 * const { columns } = await readTextTable('positions.csv', ',', 2);
 */
import { open } from 'node:fs/promises';
import { parse } from 'csv-parse/sync';
import { messageOf, PtychoError } from '../core/errors.js';
import { openForReading } from './zipArchive.js';

/** A table by columns. */
export interface TextTable {
  /** Titles, where the first line is no numbers. */
  readonly titles?: readonly string[];
  readonly columns: readonly Float64Array[];
}

/** A million rows of two columns are about 50 MB. */
const MAX_BYTES = 2 ** 28;

/**
 * Reads a table of finite numbers.
 * @param separator `,` or ` ` (any run of blanks and tabs)
 * @param width columns that every line must have at least; further ones are left out
 * @throws PtychoError FILE_NOT_FOUND, FORMAT_UNSUPPORTED (too large), FILE_FORMAT naming the first line that does not fit.
 */
export async function readTextTable(path: string, separator: ',' | ' ', width: number): Promise<TextTable> {
  const text = await readTextFile(path);
  const fail = (line: number, what: string) =>
    new PtychoError(
      'FILE_FORMAT',
      `${path}, line ${line}, ${what}; every line must hold ${width} numbers separated by ${separator === ',' ? 'commas' : 'blanks'}.`,
      { path, line },
    );
  let records: { record: string[]; info: { lines: number } }[];
  try {
    records = parse(separator === ',' ? text : text.replace(/[ \t]+/g, ' ').replace(/^ | $/gm, ''), {
      delimiter: separator,
      comment: '#',
      comment_no_infix: true,
      relax_column_count: true,
      skip_empty_lines: true,
      trim: true,
      info: true,
      bom: true,
      // A quotation mark is nothing special in a table of numbers.
      quote: null,
    }) as unknown as typeof records;
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${path} is no table of text: ${messageOf(cause)}.`, { path }, { cause });
  }
  const isTitle = (cell: string) =>
    cell !== '' && Number.isNaN(Number(cell)) && !/^[-+]?(nan|inf(inity)?)$/i.test(cell);
  const titles = records[0]?.record.every(isTitle) ? records.shift()?.record : undefined;
  if (records.length === 0) throw new PtychoError('FILE_FORMAT', `${path} holds no numbers.`, { path });
  const columns = Array.from({ length: width }, () => new Float64Array(records.length));
  records.forEach(({ record, info }, row) => {
    if (record.length < width) throw fail(info.lines, `holds ${record.length} values`);
    columns.forEach((column, i) => {
      column[row] = record[i] === '' ? Number.NaN : Number(record[i]);
      if (!Number.isFinite(column[row]))
        throw fail(info.lines, `has "${record[i].slice(0, 40)}" where a number was expected`);
    });
  });
  return { titles, columns };
}

/** A whole text file of bounded size. @throws PtychoError FILE_NOT_FOUND, FORMAT_UNSUPPORTED (too large) */
export async function readTextFile(path: string): Promise<string> {
  await (await openForReading(path)).close();
  const file = await open(path);
  try {
    const { size } = await file.stat();
    if (size > MAX_BYTES) {
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `${path} has ${size} bytes, more than the ${MAX_BYTES} that are read as text; save the numbers with numpy.save.`,
        { path, found: size, expected: MAX_BYTES },
      );
    }
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
