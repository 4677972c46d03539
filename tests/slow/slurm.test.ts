/**
 * Plans on a real cluster of one node: arrays, a bad file, requeues in mid-run, a node that dies, dependencies. Needs Debian's Slurm, root and
 * `npm run build`. A requeue is held for two minutes by Slurm itself, so only the plain array and the first steps of a study run
 * with PTYCHOPINN_SLOW_SAMPLE=1.
 */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JobStatus } from '../../src/jobs/record.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { describeSlurm, type SlurmCluster, startSlurm } from '../support/slurmCluster.js';
import { writeTinyScan } from '../support/tinyRun.js';

const sample = process.env.PTYCHOPINN_SLOW_SAMPLE === '1';
const cli = path.resolve('dist/cli/main.js');
const SCANS = 11;
/** Long enough to be stopped in the middle. */
const [SHORT, LONG] = [5, 4000];

/** Three views of one dose: small, and enough to be verified. */
const STUDY = {
  doses: [1e5],
  gridsizes: [1],
  views: { dense: {}, middle: { s_img: 0.8 }, sparse: { s_img: 0.6 } },
  splits: ['test'],
  simulation: { N: 32, object: 'lines', object_side_px: 90, n_patterns: 100, probe_diameter_px: 10 },
  training: { nepochs: 2, batch_size: 4, n_groups: 12, n_filters_scale: 1 },
  pinn: { nll_weight: 0, mae_weight: 1 },
  comparison: { r_factor_patterns: 4, register_ptychi_only: true },
  execution: { accelerator: 'cpu', threads: 1 },
};

describeSlurm('a plan on a cluster', () => {
  let folder: string;
  let cluster: SlurmCluster;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-slurm-'));
    cluster = await startSlurm(path.join(folder, 'cluster'));
    await writeTinyScan(at('scan1.npz'));
    for (let k = 2; k <= SCANS; k++) await writeTinyScan(at(`scan${k}.npz`), k);
    writeFileSync(at('bad.npz'), 'no scan');
  });
  afterAll(async () => {
    await cluster?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  const at = (name: string) => path.join(folder, name);
  async function ptychopinn(...words: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...words], { env: cluster.env, cwd: folder });
    return stdout;
  }
  const states = async (plan: string) => JSON.parse(await ptychopinn('jobs', 'status', plan, '--json')) as JobStatus[];
  async function until<T>(what: () => Promise<T | undefined | false>, seconds: number): Promise<T> {
    for (const end = Date.now() + 1000 * seconds; ; ) {
      const found = await what();
      if (found) return found;
      if (Date.now() > end)
        throw new Error(
          `not within ${seconds} s: ${await cluster.run('squeue')}\n${JSON.stringify(await states('plan'), null, 1)}`,
        );
      await new Promise((done) => setTimeout(done, 500));
    }
  }
  const over = async (plan: string) => {
    const found = await states(plan);
    return found.every(({ state }) => state === 'done' || state === 'failed') && found;
  };
  const alone = async (scan: string, epochs: number) => {
    const name = `alone-${scan}-${epochs}`;
    if (!existsSync(at(name))) {
      await ptychopinn(
        'solve',
        `${scan}.npz`,
        '--output_dir',
        name,
        '--epochs',
        String(epochs),
        '--threads',
        '1',
        '--quiet',
      );
    }
    return readReconstruction(at(`${name}/reconstruction.npz`));
  };
  const expectSame = async ({ job }: JobStatus, scan: string, epochs: number) => {
    const found = await readReconstruction(path.join(job.output_dir, 'reconstruction.npz'));
    const expected = await alone(scan, epochs);
    expect(found.image.re).toEqual(expected.image.re);
    expect(found.image.im).toEqual(expected.image.im);
  };

  it('makes the images that are made one by one, and names the one failure', async () => {
    const scans = [...Array.from({ length: SCANS }, (_, k) => `scan${k + 1}.npz`), 'bad.npz'];
    await ptychopinn(
      'jobs',
      'plan',
      ...scans,
      '--verb',
      'solve',
      '--output_root',
      'plan',
      '--epochs',
      String(SHORT),
      '--threads',
      '1',
    );
    expect(await ptychopinn('jobs', 'submit', 'plan', '--slurm', '--max_running', '2')).toMatch(
      /^Slurm job \d+: 12 jobs/,
    );
    const found = await until(() => over('plan'), 120);
    expect(found.map(({ state }) => state)).toEqual([...Array<string>(SCANS).fill('done'), 'failed']);
    expect(found[SCANS].record?.message).toContain('bad.npz is a file of no kind that is recognised as a scan');
    expect(found[0].record?.scheduler_job).toMatch(/^\d+_1$/);
    for (const k of sample ? [1, SCANS] : scans.keys()) {
      if (k < SCANS) await expectSame(found[k], `scan${k + 1}`, SHORT);
    }
    await ptychopinn('jobs', 'collect', 'plan');
    expect(
      readFileSync(at('plan/jobs.csv'), 'utf8')
        .split('\n')
        .filter((line) => line.includes(',done,')),
    ).toHaveLength(SCANS);
    expect(readFileSync(at('plan/index.html'), 'utf8')).toContain('0012-bad failed');
    // Nothing that is done is submitted again.
    expect(await ptychopinn('jobs', 'submit', 'plan', '--slurm', '--dry_run')).toMatch(/^Would submit 1 job,/);
  });

  it('makes one image of the parts of a scan: shards of a network, tiles of a solver', async () => {
    const training = [
      '--nepochs',
      '1',
      '--n_groups',
      '12',
      '--n_filters_scale',
      '1',
      '--accelerator',
      'cpu',
      '--threads',
      '1',
    ];
    await ptychopinn('train', 'scan1.npz', '--output_dir', 'model', ...training);
    await ptychopinn(
      'infer',
      'scan1.npz',
      '--model_path',
      'model',
      '--output_dir',
      'whole',
      '--accelerator',
      'cpu',
      '--threads',
      '1',
    );
    const shards = [
      '--verb',
      'infer',
      '--model_path',
      'model',
      '--shards',
      '3',
      '--accelerator',
      'cpu',
      '--threads',
      '1',
    ];
    await ptychopinn('jobs', 'plan', 'scan1.npz', '--output_root', 'shards', ...shards);
    const tiles = ['--verb', 'solve', '--tiles', '2', '--epochs', String(SHORT), '--threads', '1'];
    await ptychopinn('jobs', 'plan', 'scan2.npz', '--output_root', 'tiles', ...tiles);
    for (const [plan, jobs] of [
      ['shards', 4],
      ['tiles', 3],
    ] as const) {
      await ptychopinn('jobs', 'submit', plan, '--slurm', '--max_running', '2');
      const found = await until(() => over(plan), 180);
      expect(found.map(({ state, record }) => record?.message ?? state)).toEqual(Array<string>(jobs).fill('done'));
      const { image } = await readReconstruction(path.join(found[jobs - 1].job.output_dir, 'reconstruction.npz'));
      expect(image.re.every(Number.isFinite)).toBe(true);
      // What the parts of a network come to is what one process comes to.
      if (plan === 'shards')
        expect(image.re).toEqual((await readReconstruction(at('whole/reconstruction.npz'))).image.re);
    }
  });

  it.skipIf(sample)(
    'goes on after a requeue in mid-run and after the death of the node',
    { timeout: 900_000 },
    async () => {
      const plan = ['jobs', 'plan', 'scan1.npz', 'scan2.npz', '--verb', 'solve', '--output_root', 'long'];
      await ptychopinn(...plan, '--epochs', String(LONG), '--save_every', '20', '--threads', '1');
      // Comes after them.
      await ptychopinn(
        'jobs',
        'plan',
        'scan3.npz',
        '--verb',
        'solve',
        '--output_root',
        'long',
        '--append',
        '--after',
        'all',
        '--epochs',
        '5',
        '--threads',
        '1',
      );
      const said = await ptychopinn('jobs', 'submit', 'long', '--slurm');
      const number = /Slurm job (\d+): 2 jobs/.exec(said)?.[1];
      expect(number).toBeDefined();
      const saved = (id: string) => existsSync(at(`long/${id}/solver_state.npz`));
      await until(async () => saved('0001-scan1') && saved('0002-scan2'), 120);
      cpSync(at('long/0002-scan2/solver_state.npz'), at('state-before.npz'));
      await cluster.run('scontrol', 'requeue', `${number}_1`);
      await cluster.killNode();
      await new Promise((done) => setTimeout(done, 3000));
      cluster.startNode();
      const found = await until(() => over('long'), 840);
      expect(found.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
      expect(found.slice(0, 2).map(({ record }) => (record?.attempts ?? 0) > 1)).toEqual([true, true]);
      const logs = readFileSync(at('long/0002-scan2/logs/debug.log'), 'utf8');
      expect(logs).toContain('Resuming after epoch');
      await expectSame(found[0], 'scan1', LONG);
      await expectSame(found[1], 'scan2', LONG);
    },
  );

  it('does the steps of a study, and verifies it as when it is run alone', async () => {
    writeFileSync(at('study.json'), JSON.stringify(STUDY));
    const study = ['study', 'dose-overlap', '--config', 'study.json', '--output_dir'];
    // Twenty-four steps, of which the last two are one job; in the sample the six that make the scans of one view.
    expect(await ptychopinn(...study, 'study', '--plan')).toContain('23 jobs in ');
    if (sample) {
      const plan = readFileSync(at('study/plan/plan.jsonl'), 'utf8').split('\n');
      writeFileSync(at('study/plan/plan.jsonl'), plan.slice(0, 6).join('\n'));
    }
    expect(await ptychopinn('jobs', 'submit', 'study/plan', '--slurm')).toMatch(/^Slurm job \d+: 1 job,/);
    const found = await until(() => over('study/plan'), 540);
    expect(found.map(({ record }) => record?.message ?? record?.state)).toEqual(found.map(() => 'done'));
    if (sample) {
      expect(existsSync(at('study/steps/phase_d.dose_100000.dense.test.json'))).toBe(true);
      return;
    }
    expect(found.at(-1)?.record?.figures).toEqual({ checks_passed: 10, checks: 10 });
    expect(await ptychopinn('study', 'dose-overlap', '--output_dir', 'study', '--post_verify_only')).toContain('Verification: 10/10 checks passed'); // biome-ignore format: one call
    // What is done is not repeated when it is run as a whole.
    expect(await ptychopinn(...study, 'study')).toContain('0 steps done, 24 unchanged');
    expect(await ptychopinn(...study, 'study-alone')).toContain('Verification: 10/10 checks passed');
    const metrics = (name: string): unknown =>
      JSON.parse(readFileSync(at(`${name}/analysis/metrics_summary.json`), 'utf8'), (key, value: unknown) =>
        // All but what time it was, and how long it took.
        key === 'generated_at' || key === 'computation_time_s' ? undefined : value,
      );
    expect(metrics('study')).toEqual(metrics('study-alone'));
  });
});
