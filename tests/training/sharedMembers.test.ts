/** gridsize 2 from the weights of gridsize 1: what was learned for one pattern holds for each member of a group. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { tinyRequest, writeTinyScan } from '../support/tinyRun.js';

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-shared-'));
  await writeTinyScan(at('scan.npz'));
  await trainWorkflow(tinyRequest(at('scan.npz'), at('gs1'), { nepochs: 1, auto_restart: false }));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const grouped = { gridsize: 2, training_patch_weighting: 'probe', align_members: true } as const;

it('goes on from a bundle of gridsize 1, in any order of the members, and writes how patches disagree', async () => {
  const { history } = await trainWorkflow(
    tinyRequest(at('scan.npz'), at('gs2'), {
      ...{ nepochs: 1, auto_restart: false, neighbor_count: 4, init: at('gs1'), learning_rate: 1e-9 },
      ...{ overlap_weight: 0.2, member_permutations: true, model: { ...grouped, member_networks: 'shared' } },
    }),
  );
  expect(history[0].overlap).toBeGreaterThan(0);
  expect(history[0].val_overlap).toBeGreaterThan(0);
  const [one, two] = [await PtychoModel.read(at('gs1')), await PtychoModel.read(at('gs2'))];
  expect(two.gridsize).toBe(2);
  expect(two.bundle.training.init).toBe(one.bundle.manifest.members['weights.safetensors'].sha256);
  // A step too small to see: the weights are those of gridsize 1.
  for (const [name, { data }] of Object.entries(one.bundle.weights)) {
    // That of the intensity follows from the patterns of the groups.
    if (name === 'log_intensity_scale') continue;
    const theirs = two.bundle.weights[name].data;
    expect(
      data.findIndex((v, i) => Math.abs(v - theirs[i]) > 1e-6),
      name,
    ).toBe(-1);
  }
});

it('is refused for a network that reads the group together: its weights have other shapes', async () => {
  const request = { nepochs: 1, auto_restart: false, neighbor_count: 4, init: at('gs1'), model: grouped };
  await expect(trainWorkflow(tinyRequest(at('scan.npz'), at('joint'), request))).rejects.toMatchObject({
    code: 'WEIGHTS_MISMATCH',
  });
});
