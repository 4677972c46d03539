/** `orient` and `inspect` as workflows: plain values out, pictures where asked for. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectDefinition, orientDefinition, simulationDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
import { writeNpz } from '../../src/formats/npz.js';
import { inspectWorkflow } from '../../src/workflows/inspect.js';
import { orientWorkflow } from '../../src/workflows/orient.js';
import { simulateWorkflow } from '../../src/workflows/simulate.js';

let folder: string;
const file = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-orient-'));
  const flags = { output_file: file('scan.npz'), N: 64, object_side_px: 88, step_px: 6, photons: 1e5 };
  await simulateWorkflow(resolveConfig(simulationDefinition, { flags }).config);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const orient = (flags: Record<string, unknown>, name = 'scan.npz') =>
  orientWorkflow(file(name), resolveConfig(orientDefinition, { flags }).config);

describe('orient', () => {
  it('gives a ranking ready for JSON and a picture of the eight', async () => {
    const report = await orient({ picture: file('sheet.png') });
    expect(report).toMatchObject({ verdict: 'clear', flags: '', N: 64, picture: file('sheet.png') });
    const plain = JSON.parse(JSON.stringify(report));
    expect(plain.ranking).toHaveLength(8);
    expect(Object.keys(plain.ranking[0])).toEqual(['orientation', 'flags', 'rFactor', 'behind', 'standardErrors']);
    const picture = decode(await readFile(file('sheet.png')));
    // Four columns, two rows, each at least as large as the reconstruction.
    expect(picture.width).toBeGreaterThan(4 * 64);
    expect(picture.height).toBeGreaterThan(2 * 64);
    expect(new Set(picture.data).size).toBeGreaterThan(50);
  });

  it('writes a folder with picture, scores and page, and replaces none unasked', async () => {
    const output_dir = file('oriented');
    const { files, ranking } = await orient({ output_dir });
    expect(files).toEqual(
      ['orientations.png', 'orientation.json', 'index.html'].map((name) => path.join(output_dir, name)),
    );
    const written = JSON.parse(await readFile(path.join(output_dir, 'orientation.json'), 'utf8'));
    expect(written).toMatchObject({ verdict: 'clear', patterns: expect.any(Number) });
    expect(written.ranking.map(({ flags }: { flags: string }) => flags)).toEqual(ranking.map(({ flags }) => flags));
    const page = await readFile(path.join(output_dir, 'index.html'), 'utf8');
    expect(page).toContain('Clear: the positions are right as they are.');
    for (const { flags, rFactor } of ranking.slice(1)) {
      expect(page).toMatch(new RegExp(`<th scope="row">${flags}</th><td class="value">${rFactor.toFixed(4)}<`));
    }
    expect(page.match(/<svg/g)!.length).toBeGreaterThanOrEqual(2);
    await expect(orient({ output_dir })).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
  });

  it('knows no flags for what it is to find out, and takes PNG names only', async () => {
    expect(() => resolveConfig(orientDefinition, { flags: { flip_y: true } })).toThrow(/unknown key flip_y/);
    await expect(orient({ picture: file('sheet.jpg') })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/picture must be the path of a \.png file/),
    });
  });

  it('transposed patterns look like exchanged axes', async () => {
    const report = await orient({ transpose: true });
    expect(report).toMatchObject({ verdict: 'clear', flags: '--swap_xy' });
  });
});

describe('inspect', () => {
  it('draws the map and hands on the positions', async () => {
    const { config } = resolveConfig(inspectDefinition, { flags: { map: file('deep/map.png') } });
    const { inspection, positions } = await inspectWorkflow(file('scan.npz'), config);
    expect(inspection).toMatchObject({ map: file('deep/map.png'), problems: [] });
    expect(positions!.xs).toHaveLength(inspection.scan!.count);
    const { width, height } = decode(await readFile(file('deep/map.png')));
    expect(Math.max(width, height)).toBeGreaterThan(600);
  });

  it('writes a page of what it found', async () => {
    const output_dir = file('inspected');
    const { config, provenance } = resolveConfig(inspectDefinition, { flags: { output_dir } });
    const { inspection } = await inspectWorkflow(file('scan.npz'), config, { provenance });
    expect(inspection.files).toEqual(['map.png', 'index.html'].map((name) => path.join(output_dir, name)));
    const page = await readFile(path.join(output_dir, 'index.html'), 'utf8');
    expect(page).toContain(`${inspection.scan!.count} patterns of 64 × 64 pixels; no problems found.`);
    for (const { key } of inspection.arrays) expect(page).toContain(`<th scope="row">${key}</th>`);
    expect(page).toContain('counts of the pattern');
    expect(page).toMatch(/<code>ptychopinn inspect \S*scan\.npz --output_dir /);
    for (const note of inspection.notes) expect(page).toContain(note.slice(0, 30));
  });

  it('writes no page of a file that is no scan', async () => {
    await writeNpz(file('other.npz'), { numbers: { data: Float32Array.of(1, 2), shape: [2] } });
    const output_dir = file('nothing');
    const { inspection } = await inspectWorkflow(file('other.npz'), { output_dir });
    expect(inspection.scan).toBeUndefined();
    expect(inspection.files).toBeUndefined();
    expect(existsSync(output_dir)).toBe(false);
  });
});
