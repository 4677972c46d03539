/** Titles and shapes of positions. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { positionsInArray, readTitles } from '../../../src/data/opening/positionColumns.js';
import { readPositionsFile } from '../../../src/data/opening/positionsFile.js';
import { refuses } from '../../support/formatFixtures.js';
import { writeHdf5 } from '../../support/writeHdf5.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-columns-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function table(text: string, name = 'table.csv', unit?: 'px' | 'm') {
  await writeFile(path.join(folder, name), text);
  const positions = await readPositionsFile(path.join(folder, name), unit);
  const { x, y, indexes, findings } = positions;
  return {
    x: [...x],
    y: [...y],
    unit: positions.unit,
    indexes: indexes && Array.from(indexes),
    codes: findings?.map(({ code }) => code),
  };
}

describe('titles', () => {
  it.each([
    [['x', 'y'], 0, 1, undefined],
    [['Y (um)', 'X (um)'], 1, 0, 'm'],
    [['index', 'x_m', 'y_m'], 1, 2, 'm'],
    [['#', 'x [nm]', 'y [nm]', 'z [nm]'], 1, 2, 'm'],
    [['', 'posx', 'posy'], 1, 2, undefined],
    [['no', 'sample_x_um', 'sample_y_um'], 1, 2, 'm'],
    [['Unnamed: 0', 'ycoords', 'xcoords'], 2, 1, undefined],
    [['theta', 'samX', 'samY'], 1, 2, undefined],
    [['row', 'column'], 1, 0, undefined],
    [['frame', 'x_px', 'y_px'], 1, 2, 'px'],
    [['Frame No', 'stage y / µm', 'stage x / µm'], 2, 1, 'm'],
    [['x', 'x_std', 'y', 'y_std'], 0, 2, undefined],
    [['x (A)', 'y (A)'], 0, 1, 'm'],
  ] as const)('%j', (titles, x, y, unit) => {
    const roles = readTitles(titles, 'table.csv');
    expect([roles.x.column, roles.y.column, roles.x.unit]).toEqual([x, y, unit]);
  });

  it('that contradict, repeat or say nothing are refused', async () => {
    const refused = (titles: string[], code: 'FILE_FORMAT' | 'DATASET_UNITS', message: RegExp) =>
      refuses(() => readTitles(titles, 'table.csv'), code, message);
    await refused(['a', 'b'], 'FILE_FORMAT', /"a", "b", of which none names x/);
    await refused(['x', 'z'], 'FILE_FORMAT', /none names y/);
    await refused(['x', 'y', 'x_set'], 'FILE_FORMAT', /"x" and "x_set" both name x/);
    await refused(['x_px', 'y_um'], 'DATASET_UNITS', /x has pixels and y has a length/);
    await refused(['x (deg)', 'y (deg)'], 'DATASET_UNITS', /"deg" is no unit of length/);
  });

  it('decide over the ending of the file', async () => {
    expect(await table('x,y\n1,2\n3,4\n')).toEqual({
      x: [1, 3],
      y: [2, 4],
      unit: 'm',
      indexes: undefined,
      codes: ['POSITION_UNIT_ASSUMED'],
    });
    expect(await table('n;y_um;x_mm;extra\n7;1;2;a\n9;3;4;b\n')).toEqual({
      x: [2e-3, 4e-3],
      y: [1e-6, 3e-6],
      unit: 'm',
      indexes: [7, 9],
      codes: ['COLUMNS_LEFT_OUT'],
    });
    expect(await table('# y x\n1 2\n3 4\n', 'saved.txt', 'px')).toMatchObject({ x: [2, 4], y: [1, 3], unit: 'px' });
  });

  it('are missed: the rule of the ending, with a doubt; a count is an index', async () => {
    expect(await table('1,2\n3,4\n')).toMatchObject({ x: [2, 4], y: [1, 3], codes: ['AXIS_ORDER_ASSUMED'] });
    expect(await table('1 5 6\n2 7 8\n3 9 0\n4 1 2\n', 'counted.txt')).toMatchObject({
      x: [5, 7, 9, 1],
      y: [6, 8, 0, 2],
      indexes: [1, 2, 3, 4],
    });
    expect((await table('nan,2\n3,4\n')).y[0]).toBeNaN();
  });
});

describe('arrays', () => {
  /** Values 10·i + axis, laid out as (n, k) or (k, n). */
  const array = (n: number, k: number, first: boolean) => ({
    data: Float64Array.from({ length: n * k }, (_, p) =>
      first ? 10 * Math.floor(p / k) + (p % k) : 10 * (p % n) + Math.floor(p / n),
    ),
    shape: first ? [n, k] : [k, n],
  });
  const at = (member?: string) => ({ path: 'file.h5', member });

  it.each([
    [5, 2, true],
    [5, 3, true],
    [5, 2, false],
    [5, 3, false],
    [3, 2, true],
    [3, 2, false],
    [2, 3, true],
    [2, 3, false],
    [3, 3, true],
  ])('%i positions of %i values, positions first: %s', (n, k, first) => {
    const { x, y } = positionsInArray(array(n, k, first), at(), { patterns: [n] });
    expect([...x]).toEqual(Array.from({ length: n }, (_, i) => 10 * i));
    expect([...y]).toEqual(Array.from({ length: n }, (_, i) => 10 * i + 1));
  });

  it('are doubted unless a name, an attribute or the format says the order', async () => {
    const codes = (member: string | undefined, more = {}) =>
      positionsInArray(array(5, 2, true), at(member), more).findings.map(({ code }) => code);
    expect(codes(undefined)).toEqual(['AXIS_ORDER_ASSUMED']);
    expect(codes('/entry/positions')).toEqual(['AXIS_ORDER_ASSUMED']);
    expect(codes('/entry/translation')).toEqual([]);
    expect(codes('xy')).toEqual([]);
    expect(codes('p', { ordered: true })).toEqual([]);
    expect([...positionsInArray(array(2, 2, true), at('positions_yx')).x]).toEqual([1, 11]);
    expect([...positionsInArray(array(2, 2, true), at('p'), { titles: ['y', 'x'] }).x]).toEqual([1, 11]);
    const file = path.join(folder, 'columns.h5');
    await writeHdf5(file, {
      datasets: { '/p': array(5, 2, true) },
      attributes: { '/p': { columns: 'y,x', units: 'px' } },
    });
    expect(await readPositionsFile(`${file}:/p`)).toMatchObject({
      x: Float64Array.of(1, 11, 21, 31, 41),
      findings: [],
    });
  });

  it('of three columns, the first a count, have an index; a raster of positions is flattened', async () => {
    const counted = { data: Float64Array.of(0, 5, 6, 1, 7, 8, 2, 9, 1, 3, 2, 3), shape: [4, 3] };
    expect(positionsInArray(counted, at())).toMatchObject({
      x: Float64Array.of(5, 7, 9, 2),
      y: Float64Array.of(6, 8, 1, 3),
      indexes: Float64Array.of(0, 1, 2, 3),
    });
    const grid = { data: Float64Array.from({ length: 24 }, (_, i) => i), shape: [3, 4, 2] };
    expect(positionsInArray(grid, at(), { patterns: [12] }).y).toHaveLength(12);
    await refuses(() => positionsInArray(grid, at()), 'DATASET_SHAPE', /\(3, 4, 2\), but positions must be/);
  });
});
