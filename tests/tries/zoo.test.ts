/** `--model auto`: which network of ptychopinn-models is taken, and what is said where none is. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ComplexTensor } from '../../src/core/tensor.js';
import type { PatternSource } from '../../src/data/patternSource.js';
import { ownWeights } from '../../src/persistence/scans.js';
import { scaleComplex } from '../../src/physics/probe.js';
import { probeFit } from '../../src/reconstruction/matching/probeFit.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { makeProbe } from '../../src/simulation/probes.js';
import { type SimulationRecipe, simulate } from '../../src/simulation/recipe.js';
import { autoModel, modelOfZoo } from '../../src/tries/zoo.js';
import { networkContent } from '../support/networkBundle.js';

const N = 64;
const round = makeProbe('structured', { side: N, diameter: 20 });
const ring = makeProbe('zone_plate', { side: N, diameter: 22 });

/** A scan whose patterns hold so many counts. */
function scanOf(counts: number, side = N) {
  const sums = { power: Float64Array.of(counts, counts) };
  const patterns = { sums } as unknown as PatternSource;
  return { N: side, source: 'scan.h5', domain: 'count_intensity', patterns } as const;
}

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-zoo-'));
  for (const [name, probe] of [
    ['a-round', round],
    ['b-ring', ring],
  ] as const) {
    const content = networkContent();
    const { scale, statistics } = content;
    const scans = [1, 0.9].map((factor, i) => ({
      ...({
        name: `scan-${i}`,
        role: 'train',
        probeSha256: '0'.repeat(64),
        scale,
        statistics,
        weights: ownWeights(content.weights),
      } as const),
      probe: scaleComplex(probe, factor),
    }));
    await PtychoModel.of({ ...content, probe: scans[0].probe, scans }).save(path.join(folder, `${name}.zip`));
  }
  const index = { 'a-round': { N, summary: 'round beams' }, 'b-ring': { N, summary: 'ring beams' } };
  await writeFile(path.join(folder, 'index.json'), JSON.stringify(index));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the fit of two probes', () => {
  it('does not depend on power and global phase, and knows the phase of the beam', () => {
    const turned: ComplexTensor = { ...round, re: round.im.map((v) => -3 * v), im: round.re.map((v) => 3 * v) };
    expect(probeFit(round, turned)).toBeCloseTo(1, 5);
    const flat = makeProbe('structured', { side: N, diameter: 20, curvatureRad: 0 });
    const curved = makeProbe('structured', { side: N, diameter: 20, curvatureRad: 3 });
    // The same light on the sample, other patterns.
    expect(probeFit(flat, curved)).toBeLessThan(0.8);
    expect(probeFit(round, ring)).toBeLessThan(0.5);
    expect(probeFit(round, makeProbe('structured', { side: 32, diameter: 10 }))).toBe(0);
  });
});

describe('--model auto', () => {
  const counts = networkContent().statistics.meanCounts;

  it('takes the network whose trained probe fits best, and says so', async () => {
    const { model, reason } = await modelOfZoo(scanOf(2 * counts), scaleComplex(ring, 7), folder);
    expect(model?.bundle.path).toBe(path.join(folder, 'b-ring.zip'));
    expect(reason).toMatch(
      /^Network b-ring of ptychopinn-models: the probe fits \(b-ring 1\.00, a-round 0\.\d\d; at least 0\.8\)\.$/,
    );
  });

  it('takes none where no probe fits, the side is another or the counts are, and says why', async () => {
    const gaussian = makeProbe('gaussian', { side: N, diameter: 6 });
    const reasonOf = async (...args: Parameters<typeof modelOfZoo>) => {
      const { model, reason } = await modelOfZoo(...args);
      expect(model).toBeUndefined();
      return reason;
    };
    expect(await reasonOf(scanOf(counts), gaussian, folder)).toMatch(
      /^The probe of scan\.h5 fits no network .*0\.8 is needed/,
    );
    expect(await reasonOf(scanOf(counts, 128), gaussian, folder)).toMatch(
      /^No network of ptychopinn-models is for patterns of N 128 \(there are 64\)/,
    );
    expect(await reasonOf(scanOf(counts / 20), ring, folder)).toMatch(
      /fits b-ring of .*, but its patterns hold .* counts each, and the network knows/,
    );
  });

  it('does not trust a guessed probe, and refuses to end with a network that there is not', async () => {
    const guessed = await autoModel(scanOf(counts), { probe: ring, from: 'guess' }, { single_pass: false }, folder);
    expect(guessed).toMatchObject({ model: undefined, reason: expect.stringMatching(/probe was guessed/) });
    await expect(
      autoModel(scanOf(counts), { probe: ring, from: 'guess' }, { single_pass: true }, folder),
    ).rejects.toThrow(/single_pass ends with the image of a network, but there is none\. The probe was guessed/);
  });

  it('refuses an index that is none, and one that leads elsewhere', async () => {
    const wrong = path.join(folder, 'wrong');
    await mkdir(wrong);
    await expect(modelOfZoo(scanOf(counts), ring, wrong)).rejects.toThrow(
      /index.json is no index of networks: there is no such file/,
    );
    await writeFile(path.join(wrong, 'index.json'), '{}');
    expect((await modelOfZoo(scanOf(counts), ring, wrong)).reason).toMatch(/holds no network yet/);
    await writeFile(path.join(wrong, 'index.json'), JSON.stringify({ '../a-round': { N, summary: '' } }));
    await expect(modelOfZoo(scanOf(counts), ring, wrong)).rejects.toMatchObject({ code: 'FILE_FORMAT' });
  });
});

describe('the networks that ship', () => {
  const models = fileURLToPath(new URL('../../models', import.meta.url));
  const json = async (name: string) => JSON.parse(await readFile(path.join(models, name), 'utf8'));

  it('are three, for N 64 and 128, a few megabytes together, each with its card and its recipe', async () => {
    const index: Record<string, { N: number; summary: string }> = await json('index.json');
    const recipes = await json('recipes.json');
    expect(Object.keys(index)).toEqual(['n128-round', 'n64-ring', 'n64-round']);
    expect(Object.keys(recipes).sort()).toEqual(Object.keys(index));
    let bytes = 0;
    for (const [name, { N: side, summary }] of Object.entries(index)) {
      expect(recipes[name]).toMatchObject({ N: side, summary });
      bytes += (await stat(path.join(models, `${name}.zip`))).size;
      expect(await readFile(path.join(models, `${name}.md`), 'utf8')).toContain(`A network for ${summary}.`);
    }
    expect(bytes).toBeLessThan(8e6);
  });

  it.each([
    ['n64-round', ['n64-round', 'n64-round', 'n64-ring']],
    ['n64-ring', ['n64-ring', 'n64-ring', 'n64-round']],
    ['n128-round', ['n128-round', 'n128-round', undefined]],
  ])('are taken for the scans that %s is judged on only where they know the probe', async (name, expected) => {
    const { N: side, test } = (await json('recipes.json'))[name] as { N: number; test: Partial<SimulationRecipe>[] };
    const taken: (string | undefined)[] = [];
    for (const scan of test) {
      // The probe is that of the scan; a small blank object in place of the one it was judged on.
      const { probeGuess } = simulate({ ...scan, N: side, object: 'blank', object_side_px: side + 8, n_patterns: 1 });
      const { model } = await modelOfZoo(scanOf(scan.photons ?? Number.NaN, side), probeGuess, models);
      taken.push(model && path.basename(model.bundle.path, '.zip'));
    }
    expect(taken).toEqual(expected);
  });
});
