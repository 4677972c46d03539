/** Tables of numbers in text files. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTextTable } from '../../src/formats/textTable.js';
import { refuses } from '../support/formatFixtures.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-text-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function read(text: string, separator: ',' | ' ', width = 2) {
  const file = path.join(folder, 'table.txt');
  await writeFile(file, text);
  return readTextTable(file, separator, width);
}
const columns = async (text: string, separator: ',' | ' ') => (await read(text, separator)).columns.map((c) => [...c]);

describe('readTextTable', () => {
  it('reads commas, blanks, comments, titles, empty lines and further columns', async () => {
    expect(await columns('1,2\n3,4\n', ',')).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect(await columns('\ufeff# made by hand\r\ny, x, z\r\n 1e-6 , -2.5e-7, 9\r\n\r\n3,4,\r\n', ',')).toEqual([
      [1e-6, 3],
      [-2.5e-7, 4],
    ]);
    expect(await columns('  1   2\n\t3\t 4  \n', ' ')).toEqual([
      [1, 3],
      [2, 4],
    ]);
    expect((await read('y,x\n1,2', ',')).titles).toEqual(['y', 'x']);
    expect((await read('1,2', ',')).titles).toBeUndefined();
  });

  it('names the line that does not fit', async () => {
    await refuses(() => read('1,2\n3\n', ','), 'FILE_FORMAT', /line 2, holds 1 values/);
    await refuses(() => read('1,2\n3,four\n', ','), 'FILE_FORMAT', /line 2, has "four"/);
    await refuses(() => read('1,2\n3,\n', ','), 'FILE_FORMAT', /line 2, has ""/);
    await refuses(() => read('1 nan\n', ' '), 'FILE_FORMAT', /line 1, has "nan"/);
    await refuses(() => read('1 inf\n', ' '), 'FILE_FORMAT', /line 1, has "inf"/);
    await refuses(() => read('1 2\n3 4\n', ','), 'FILE_FORMAT', /separated by commas/);
    await refuses(() => read('# nothing\n', ','), 'FILE_FORMAT', /no numbers/);
    await refuses(() => read('', ','), 'FILE_FORMAT', /no numbers/);
    await refuses(() => readTextTable(path.join(folder, 'none'), ',', 2), 'FILE_NOT_FOUND', /no such file/);
  });
});
