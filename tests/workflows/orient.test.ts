/** `orient` and `inspect` as workflows: plain values out, pictures where asked for. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decode } from 'fast-png';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inspectDefinition, orientDefinition, simulationDefinition } from '../../src/config/commands.js';
import { resolveConfig } from '../../src/config/resolve.js';
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
});
