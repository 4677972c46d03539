/** `infer` on several processes: parts, their image, and the plan of both. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inferenceConfigSchema } from '../../src/config/schema.js';
import { slurmBatches } from '../../src/jobs/slurm.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { weightsSha256, writeEnsemble } from '../../src/persistence/ensemble.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { inferShardWorkflow, inferWorkflow } from '../../src/workflows/infer.js';
import { collectPlan, jobsStatus, planJobs, retryPlannedJobs, runPlannedJob } from '../../src/workflows/jobs.js';
import { networkContent } from '../support/networkBundle.js';
import { writeTinyScan } from '../support/tinyRun.js';

let folder: string;
const at = (...names: string[]) => path.join(folder, ...names);
const bytes = (...names: string[]) => readFileSync(at(...names, 'reconstruction.npz'));

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-inferShards-'));
  await writeTinyScan(at('scan.npz'), 3, 64);
  const members = [];
  for (const [k, seed] of [5, 6].entries()) {
    const content = networkContent({ model: { N: 64 }, seed });
    const weights = PtychoModel.of(content).network().initialWeights(seed);
    const file = await PtychoModel.of({ ...content, weights }).save(at('models', `member-${k + 1}`));
    members.push({ folder: `member-${k + 1}`, seed, sha256: weightsSha256(await openBundle(file)) });
  }
  await writeEnsemble(at('models'), members);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const execution = { accelerator: 'cpu', threads: 1 } as const;
const config = (name: string, over: Record<string, unknown> = {}) =>
  inferenceConfigSchema.parse({
    ...{ model_path: at('models', 'member-1'), test_data_file: at('scan.npz'), output_dir: at(name), execution },
    ...{ n_subsample: 9, seed: 4, batch_size: 4 },
    ...over,
  });
const flag = (value: unknown) => ({ value, source: 'flag' as const });

describe('a plan of shards', () => {
  it('makes the image of one process, byte for byte, and does again only what is not there', async () => {
    await inferWorkflow(config('alone'));
    const given = { model_path: flag(at('models', 'member-1')), n_subsample: flag(9), seed: flag(4), batch_size: flag(4), execution: flag(execution) }; // biome-ignore format: one line
    const inputs = { scans: [at('scan.npz')], given };
    const { jobs } = await planJobs({ verb: 'infer', output_root: at('plan'), shards: 3 }, inputs);
    expect(jobs.map(({ id }) => id)).toEqual(['0001-scan-shard=1of3', '0002-scan-shard=2of3', '0003-scan-shard=3of3', '0004-scan']); // biome-ignore format: one line
    expect(jobs[3].after).toEqual(jobs.slice(0, 3).map(({ id }) => id));
    const batches = slurmBatches(jobs, { plan: at('plan'), program: ['ptychopinn'], options: { slurm_options: [] } as never, done: new Set() }); // biome-ignore format: one line
    expect(batches.map(({ numbers }) => numbers)).toEqual([[1, 2, 3], [4]]);
    const ends = async () => {
      const results = [];
      for (const { id } of jobs) results.push(await runPlannedJob(at('plan'), id));
      return results.map(({ end, reused, message }) => (end === 'done' ? `${end}${reused ? ' before' : ''}` : message));
    };
    // The image waits for its parts.
    expect((await runPlannedJob(at('plan'), '4')).message).toMatch(
      /comes after 0001-scan-shard=1of3, which is not done/,
    );
    expect(await ends()).toEqual(['done', 'done', 'done', 'done']);
    expect(bytes('plan', '0004-scan').equals(bytes('alone'))).toBe(true);
    expect(await ends()).toEqual(['done before', 'done before', 'done before', 'done before']);
    // A part that was lost is made again, and nothing else.
    rmSync(at('plan', '0002-scan-shard=2of3', 'shard.npz'));
    expect(await ends()).toEqual(['done before', 'done', 'done before', 'done before']);
    // One that is lost when the image is made is named.
    rmSync(at('plan', '0002-scan-shard=2of3', 'shard.npz'));
    rmSync(at('plan', '0004-scan', 'reconstruction.npz'));
    const lost = await runPlannedJob(at('plan'), '4');
    expect(lost).toMatchObject({ end: 'failed', message: expect.stringMatching(/There is no shard .*0002-scan/) });
    await retryPlannedJobs(at('plan'));
    expect(await ends()).toEqual(['done before', 'done', 'done before', 'done']);
    expect((await jobsStatus(at('plan'))).map(({ state }) => state)).toEqual(['done', 'done', 'done', 'done']);
    const { files } = await collectPlan(at('plan'));
    expect(files).toEqual(['index.html', 'jobs.csv']);
    expect(readFileSync(at('plan', 'index.html'), 'utf8').match(/<title>0004-scan|>0004-scan/)).toBeTruthy();
  });

  it('is refused for a verb that predicts nothing, and with what the plan decides', async () => {
    const inputs = { scans: [at('scan.npz')], given: { model_path: flag(at('models')), shard: flag('1/2') } };
    await expect(planJobs({ verb: 'infer', output_root: at('no'), shards: 2 }, inputs)).rejects.toThrow(/--shard is set by the plan/); // biome-ignore format: one call
    const solve = { verb: 'solve', output_root: at('no'), shards: 2 } as const;
    await expect(planJobs(solve, { scans: inputs.scans })).rejects.toThrow(
      /--shards is for infer; solve does a scan in one job/,
    );
    expect(existsSync(at('no'))).toBe(false);
  });
});

describe('shards by hand', () => {
  it('are predicted by all networks of an ensemble', async () => {
    const over = { model_path: at('models'), n_subsample: 6 };
    const alone = await inferWorkflow(config('ensemble', over));
    for (const k of [1, 2]) {
      const part = await inferShardWorkflow(config(path.join('parts', String(k)), { ...over, shard: `${k}/2` }));
      expect(part).toMatchObject({ part: { index: k, of: 2 }, patterns: 3, total: 6, files: ['shard.npz', 'shard-2.npz', 'run.json'] }); // biome-ignore format: one call
    }
    const image = await inferWorkflow(config('image', { ...over, from_shards: [at('parts')] }));
    expect(image).toMatchObject({ patterns: 6, cancelled: false });
    expect(image.stitched.image).toEqual(alone.stitched.image);
    expect(bytes('image').equals(bytes('ensemble'))).toBe(true);
  });

  it('are refused with what needs the whole scan', async () => {
    const shard = (over: Record<string, unknown>) => inferShardWorkflow(config('refused', { shard: '1/2', ...over }));
    await expect(shard({ adapt: 2 })).rejects.toThrow(/adapt needs the whole scan in one process.*adapt with --save_adapted first/); // biome-ignore format: one call
    await expect(shard({ refine_positions: 2 })).rejects.toThrow(/refine_positions needs the whole scan/);
    await expect(shard({ varpro_scaling: true })).rejects.toThrow(/varpro_scaling needs the whole scan/);
    await expect(shard({ from_shards: [at('parts')] })).rejects.toThrow(/shard predicts a part, from_shards makes .*: leave one of them out/); // biome-ignore format: one call
    await expect(shard({ shard: '3/2' })).rejects.toThrow(/shard must be a part of several/);
    await expect(inferWorkflow(config('refused', { shard: '1/2' }))).rejects.toThrow(/call inferShardWorkflow/);
    const image = (over: Record<string, unknown>) => inferWorkflow(config('refused', { from_shards: [at('parts')], ...over })); // biome-ignore format: one line
    await expect(image({ log_patch_stats: true })).rejects.toThrow(/log_patch_stats needs the whole scan/);
    await expect(image({ from_shards: [at('nothing')] })).rejects.toThrow(/There is no shard .*nothing/);
    writeFileSync(at('parts', '1', 'shard.npz'), 'no file');
    await expect(image({ model_path: at('models') })).rejects.toMatchObject({ name: 'PtychoError' });
    expect(existsSync(at('refused', 'reconstruction.npz'))).toBe(false);
  });
});
