/** The cache of groups: used when it fits, ignored with a note when it does not, never an error. */
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LegacyRng } from '../../../src/core/rng.js';
import { type GroupingOptions, groupScan } from '../../../src/data/grouping/grouping.js';
import { cachedGroups, groupCachePath } from '../../../src/data/grouping/groupingCache.js';
import { openNpz, writeNpz } from '../../../src/formats/npz.js';
import fc from '../../support/fastCheck.js';

let folder: string;
let notes: string[];
let options: GroupingOptions;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-groups-'));
  await writeFile(path.join(folder, 'my.scan.npz'), 'any file');
  notes = [];
  const logger = { info: (note: string) => notes.push(note), warn: (note: string) => notes.push(note) };
  options = { gridsize: 2, n_groups: 50, neighbor_count: 7, seed: 3, logger };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function scan(n = 60, seed = 1) {
  const rng = new LegacyRng(seed);
  const coordinates = () => Float64Array.from({ length: n }, () => rng.uniform(0, 40));
  return { source: path.join(folder, 'my.scan.npz'), xcoords: coordinates(), ycoords: coordinates() };
}
const files = async () => (await readdir(folder)).filter((name) => name !== 'my.scan.npz');

describe('cachedGroups', () => {
  it('keeps the groups beside the scan and gives them back equal', async () => {
    const data = scan();
    const expected = groupScan(data.xcoords, data.ycoords, options);
    expect(await cachedGroups(data, options)).toEqual(expected);
    const [file] = await files();
    expect(file).toMatch(/^my\.scan\.groups-[0-9a-f]{16}\.npz$/);
    const written = await readFile(path.join(folder, file));
    expect(await cachedGroups(data, options)).toEqual(expected);
    expect(await readFile(path.join(folder, file))).toEqual(written);
    expect(notes).toEqual([`Groups kept in ${path.join(folder, file)}.`, `Groups from ${path.join(folder, file)}.`]);
    const npz = await openNpz(path.join(folder, file));
    try {
      expect(npz.keys).toEqual(['nn_indices', 'skipped', 'grouping', 'positions_sha256']);
      expect(await npz.header('nn_indices')).toMatchObject({ shape: [50, 4], dtype: 'int32' });
    } finally {
      await npz.close();
    }
  });

  it('reads the groups from the file, skipped positions included', async () => {
    const data = scan();
    const quadrants = { ...options, neighbor_function: 'four_quadrants', max_neighbor_distance_px: 6 } as const;
    const expected = groupScan(data.xcoords, data.ycoords, quadrants);
    expect(expected.skipped).toBeGreaterThan(0);
    await cachedGroups(data, quadrants);
    expect(await cachedGroups(data, quadrants)).toEqual(expected);
    expect(notes.at(-1)).toMatch(/^Groups from/);
  });

  it('every option and every position has its own file', async () => {
    const data = scan();
    const other = { ...data, ycoords: data.ycoords.map((v, i) => (i === 17 ? v + 1e-12 : v)) };
    const swapped = { ...data, xcoords: data.ycoords, ycoords: data.xcoords };
    const variants: readonly (readonly [typeof data, Partial<GroupingOptions>])[] = [
      [data, {}],
      [other, {}],
      [swapped, {}],
      [data, { gridsize: 1 }],
      [data, { n_groups: 51 }],
      [data, { neighbor_count: 8 }],
      [data, { seed: 4 }],
      [data, { sequential: true }],
      [data, { enable_oversampling: true }],
      [data, { neighbor_pool_size: 6 }],
      [data, { neighbor_function: 'min_distance' }],
      [data, { neighbor_function: 'min_distance', min_neighbor_distance_px: 1 }],
      [data, { neighbor_function: 'four_quadrants' }],
      [data, { neighbor_function: 'four_quadrants', max_neighbor_distance_px: 8 }],
      [data, { neighbor_function: 'four_quadrants', quadrant_candidates: 20 }],
      [data, { neighbor_function: 'four_quadrants', scan_pattern: 'rectangular' }],
    ];
    const paths = await Promise.all(variants.map(([s, extra]) => groupCachePath(s, { ...options, ...extra })));
    expect(new Set(paths).size).toBe(variants.length);
    // What says the same in other words shares one.
    const same = await Promise.all(
      [
        { enable_oversampling: false, neighbor_pool_size: 7, neighbor_function: 'nearest' as const },
        { sequential: false, min_neighbor_distance_px: 0, max_neighbor_distance_px: 3, quadrant_candidates: 30 },
      ].map((extra) => groupCachePath(data, { ...options, ...extra })),
    );
    expect(new Set([...same, paths[0]]).size).toBe(1);
  });

  it('does not believe a file that was renamed, and writes it anew', async () => {
    const [data, other] = [scan(), scan(60, 2)];
    for (const [from, fromOptions] of [
      [other, options],
      [data, { ...options, seed: 9 }],
    ] as const) {
      await cachedGroups(from, fromOptions);
      const target = (await groupCachePath(data, options))!;
      await copyFile((await groupCachePath(from, fromOptions))!, target);
      notes.length = 0;
      expect(await cachedGroups(data, options)).toEqual(groupScan(data.xcoords, data.ycoords, options));
      expect(notes).toEqual([
        expect.stringMatching(/is not used, the groups are formed again: its (positions|options) differ/),
        `Groups kept in ${target}.`,
      ]);
      notes.length = 0;
      await cachedGroups(data, options);
      expect(notes).toEqual([`Groups from ${target}.`]);
      await rm(target);
    }
  });

  it('does not believe indices outside the scan or of another shape', async () => {
    const data = scan();
    const expected = await cachedGroups(data, options);
    const target = (await groupCachePath(data, options))!;
    const npz = await openNpz(target);
    const text = async (key: string) => {
      const array = await npz.read(key);
      return { strings: array.kind === 'text' ? array.strings : [], shape: [] };
    };
    const facts = { grouping: await text('grouping'), positions_sha256: await text('positions_sha256') };
    await npz.close();
    const skipped = { data: Int32Array.of(0), shape: [] };
    const wrong = [
      { data: Int32Array.of(0, 1, 2, 60), shape: [1, 4] },
      { data: Int32Array.of(0, 1, 2, -1), shape: [1, 4] },
      { data: Int32Array.of(0, 1, 2), shape: [1, 3] },
      { data: new Int32Array(0), shape: [0, 4] },
      { data: new Int32Array(51 * 4), shape: [51, 4] },
      { data: Float64Array.of(0, 1, 2, 3), shape: [1, 4] },
    ];
    for (const nn_indices of wrong) {
      await writeNpz(target, { nn_indices, skipped, ...facts });
      notes.length = 0;
      expect(await cachedGroups(data, options)).toEqual(expected);
      expect(notes[0]).toMatch(/its indices do not fit the scan/);
    }
  });

  it('survives any damage to its file', async () => {
    const data = scan();
    const expected = await cachedGroups(data, options);
    const target = (await groupCachePath(data, options))!;
    const good = await readFile(target);
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, by, cut) => {
        const bad = Uint8Array.from(good);
        bad[at] ^= by;
        await writeFile(target, bad);
        if (cut) await truncate(target, at);
        const groups = await cachedGroups(data, options);
        expect(groups.members).toEqual(expected.members);
      }),
      { numRuns: 150 },
    );
  });

  it('only notes that it has no place, or cannot write there', async () => {
    const data = scan();
    const expected = groupScan(data.xcoords, data.ycoords, options);
    expect(await cachedGroups({ ...data, source: 'memory' }, options)).toEqual(expected);
    expect(notes).toEqual(['The groups of memory are not kept: it is no file, so there is no place beside it.']);
    notes.length = 0;
    // A folder where the file should be stands for every reason that writing fails for (root may write everywhere).
    await mkdir((await groupCachePath(data, options))!);
    await chmod(folder, 0o555);
    expect(await cachedGroups(data, options)).toEqual(expected);
    await chmod(folder, 0o755);
    expect(notes.at(-1)).toMatch(/^The groups are not kept: Cannot write .*my\.scan\.groups-/);
  });

  it('refuses what groupScan refuses', async () => {
    await expect(cachedGroups(scan(3), options)).rejects.toMatchObject({ code: 'GROUPING' });
    await expect(cachedGroups(scan(), { ...options, n_groups: 61 })).rejects.toMatchObject({ code: 'GROUPING' });
    expect(await files()).toEqual([]);
  });
});
