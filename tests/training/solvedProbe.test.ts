/** `probe: solve`: a solver finds the probe, the network learns with it, and it stays with the model. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDataset } from '../../src/data/openDataset.js';
import { complexPearson } from '../../src/evaluation/score.js';
import { openNpz } from '../../src/formats/npz.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { doubts, probeFor, weightsFor } from '../../src/reconstruction/scanForModel.js';
import { simulate, writeSimulatedScan } from '../../src/workflows/simulate.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { bundleHash, tinyRequest } from '../support/tinyRun.js';

let folder: string;
const at = (...parts: string[]) => path.join(folder, ...parts);
const simulated = simulate({
  object: 'dead_leaves',
  N: 32,
  object_side_px: 56,
  probe_diameter_px: 11,
  step_px: 3.5,
  photons: 1e5,
  seed: 3,
});
/** The true probe without its phase: wrong enough. */
const wrong = { ...simulated.probeGuess, re: simulated.probeGuess.re.map((v, i) => Math.hypot(v, simulated.probeGuess.im[i])), im: new Float32Array(32 * 32) }; // biome-ignore format: one line
const request = (name: string, over: Record<string, unknown> = {}) =>
  tinyRequest(at('scan.npz'), at(name), { probe: 'solve', n_groups: 'all', batch_size: 16, ...over });

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-solved-'));
  await writeSimulatedScan(at('scan.npz'), { ...simulated, probeGuess: wrong });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('trains with the probe that a solver found, keeps it, and resumes with it', async () => {
  const said: string[] = [];
  const logger = { info: (text: string) => said.push(text), warn: () => undefined };
  const { files } = await trainWorkflow(request('whole'), { logger });
  expect(said).toContainEqual(expect.stringMatching(/^The probe was solved for: rpie, 50 epochs, R 0\.\d+, \d+ s\.$/));
  expect(files).toContain('probe.npz');
  const bundle = await openBundle(at('whole'));
  expect(bundle.config.probe).toBe('solve');
  const likeness = (probe: typeof wrong) => complexPearson(probe, simulated.probeGuess);
  expect(likeness(bundle.probe as typeof wrong)).toBeGreaterThan(likeness(wrong) + 0.1);
  const npz = await openNpz(at('whole', 'probe.npz'));
  const kept = await npz.read('probeGuess');
  await npz.close();
  expect(kept.shape).toEqual([32, 32]);

  const stop = new AbortController();
  const onProgress = ({ stage, note = '' }: { stage: string; note?: string }) => {
    if (stage === 'training' && note.startsWith('epoch 2/')) stop.abort();
  };
  await trainWorkflow(request('part'), { signal: stop.signal, onProgress });
  const again: string[] = [];
  await trainWorkflow(request('part', { resume: at('part') }), {
    logger: { info: (text: string) => again.push(text), warn: () => undefined },
  });
  expect(again.join()).not.toContain('solved for');
  expect(await bundleHash(at('part'))).toBe(await bundleHash(at('whole')));
  expect(JSON.parse(await readFile(at('part', 'config.json'), 'utf8')).config.probe).toBe('solve');

  // Whatever the scan file says, the model goes with its own probe, and nothing is doubtful about that.
  const raw = await openDataset(at('scan.npz'));
  expect(probeFor(bundle, raw)).toEqual({ probe: bundle.probe, factor: 1 });
  expect(weightsFor(bundle, raw)).toBe(bundle.weights);
  expect(doubts(bundle, raw)).toEqual([]);
  await raw.close();
});

it('needs a scan that overlaps, and says nothing was written', async () => {
  const sparse = simulate({ object: 'lines', N: 32, probe_diameter_px: 5, step_px: 20, object_side_px: 112, seed: 1 });
  await writeSimulatedScan(at('sparse.npz'), sparse);
  await expect(
    trainWorkflow(tinyRequest(at('sparse.npz'), at('none'), { probe: 'solve', n_groups: 'all' })),
  ).rejects.toThrow('share no light with another');
  expect(await readdir(folder)).not.toContain(path.join('none', 'wts.zip'));
});
