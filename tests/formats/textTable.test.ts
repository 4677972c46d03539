/** Tables of numbers in text files. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeCsv, readTextTable } from '../../src/formats/textTable.js';
import { refuses } from '../support/formatFixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-text-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(text: string, width = 2) {
  const file = path.join(folder, 'table.txt');
  await writeFile(file, text);
  return readTextTable(file, width);
}
/** The first two columns. */
async function columns(text: string) {
  const table = await read(text);
  return [0, 1].map((column) => [...table.numbers(column)]);
}

describe('readTextTable', () => {
  it('reads commas, blanks, comments, titles, empty lines and further columns', async () => {
    expect(await columns('1,2\n3,4\n')).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(await columns('\ufeff# made by hand\r\ny, x, z\r\n 1e-6 , -2.5e-7, 9\r\n\r\n3,4,\r\n')).toEqual([
      [1e-6, 3],
      [-2.5e-7, 4],
    ]);
    expect(await columns('  1   2\n\t3\t 4  \n')).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect((await read('y,x\n1,2')).titles).toEqual(['y', 'x']);
    expect((await read('1,2')).titles).toBeUndefined();
  });

  it('sees from the first line what separates the values', async () => {
    const numbers = [
      [1.5, 3],
      [2, 4],
    ];
    expect(await columns('a;b\n1,5;2\n3;4\n')).toEqual(numbers);
    expect(await columns('Y (um)\tX (um)\n1.5\t2\n3\t4\n')).toEqual(numbers);
    expect((await read('Y (um)  X [um]\n1 2\n')).titles).toEqual(['Y(um)', 'X[um]']);
    expect((await read('"x","y"\n1,2\n')).titles).toEqual(['x', 'y']);
    expect((await read(',x,y\n0,1,2\n')).titles).toEqual(['', 'x', 'y']);
    expect((await read('# by hand\n# x y\n1 2\n')).commented).toEqual(['x', 'y']);
  });

  it('gives missing values as NaN where asked to, and leaves columns of text alone', async () => {
    const table = await read('1,nan,a\n2,,b\n3,inf,c\n', 3);
    expect([...table.numbers(1, 'NaN')]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect([...table.numbers(0)]).toEqual([1, 2, 3]);
    await refuses(() => table.numbers(2, 'NaN'), 'FILE_FORMAT', /line 1, has "a"/);
  });

  it('names the line that does not fit', async () => {
    await refuses(() => columns('1,2\n3\n'), 'FILE_FORMAT', /line 2, holds 1 values/);
    await refuses(() => columns('1,2\n3,four\n'), 'FILE_FORMAT', /line 2, has "four"/);
    await refuses(() => columns('1,2\n3,\n'), 'FILE_FORMAT', /line 2, has ""/);
    await refuses(() => columns('1 nan\n'), 'FILE_FORMAT', /line 1, has "nan"/);
    await refuses(() => columns('1 inf\n'), 'FILE_FORMAT', /line 1, has "inf"/);
    await refuses(() => columns('1,2 3\n4,5\n'), 'FILE_FORMAT', /line 1, has "2 3".*separated by commas/);
    await refuses(() => columns('# nothing\n'), 'FILE_FORMAT', /no numbers/);
    await refuses(() => columns(''), 'FILE_FORMAT', /no numbers/);
    await refuses(() => readTextTable(path.join(folder, 'none'), 2), 'FILE_NOT_FOUND', /no such file/);
  });
});

describe('tables as CSV', () => {
  it('numbers and plain words are written as they are', () => {
    const row = [
      -1.5,
      1e-7,
      -0.25,
      0,
      '-1.500000',
      '-inf',
      'NaN',
      'inf',
      '1e+21',
      null,
      undefined,
      'PtychoPINN',
      'a b',
    ];
    expect(encodeCsv([row])).toBe('-1.5,1e-7,-0.25,0,-1.500000,-inf,NaN,inf,1e+21,,,PtychoPINN,a b\n');
  });

  it.each(['=1+1', '+cmd', '-x', '@SUM(A1)', '\tx', '=HYPERLINK("http://x","y")'])('%j is no formula', (text) => {
    const [[cell]] = parse(encodeCsv([[text, 1]])) as string[][];
    expect(cell).toBe(`'${text}`);
  });

  it('what a terminal would obey is shown', () => expect(encodeCsv([['a\rb\u001b[2J']])).toBe('a\\x0db\\x1b[2J\n'));

  it.each(['a,b', 'a"b', 'a\nb'])('%j reads back', (text) => {
    expect(parse(encodeCsv([[text, 'x']]))).toEqual([[text, 'x']]);
  });
});
