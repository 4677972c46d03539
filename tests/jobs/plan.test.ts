import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { changeOf, fingerprintOf } from '../../src/jobs/fingerprint.js';
import { findJob, readPlan } from '../../src/jobs/plan.js';
import { rangesOf, slurmBatches } from '../../src/jobs/slurm.js';
import { planJobs, submitPlan } from '../../src/workflows/jobs.js';
import { writeTinyScan } from '../support/tinyRun.js';

let folder: string;
const at = (name: string) => path.join(folder, name);
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'ptychopinn-plan-'));
  await writeTinyScan(at('scan.npz'));
  writeFileSync(at('bad.npz'), 'no scan');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const flag = (value: unknown) => ({ value, source: 'flag' as const });

describe('a plan', () => {
  it('has a job for each scan and each combination, which can be read back', async () => {
    const warned: string[] = [];
    const { file, jobs } = await planJobs(
      { verb: 'solve', output_root: at('plan'), sweep: ['probe_modes=1,2', 'algorithm=rpie,lsqml'] },
      { scans: [at('scan.npz'), at('bad.npz')], given: { epochs: flag(7), init: flag(at('bad.npz')) } },
      { logger: { info: () => {}, warn: (message) => warned.push(message) } },
    );
    expect(jobs.map(({ id }) => id)).toEqual([
      '0001-scan-probe_modes=1-algorithm=rpie',
      '0002-scan-probe_modes=1-algorithm=lsqml',
      '0003-scan-probe_modes=2-algorithm=rpie',
      '0004-scan-probe_modes=2-algorithm=lsqml',
      ...['0005-bad-probe_modes=1-algorithm=rpie', '0006-bad-probe_modes=1-algorithm=lsqml'],
      ...['0007-bad-probe_modes=2-algorithm=rpie', '0008-bad-probe_modes=2-algorithm=lsqml'],
    ]);
    expect(await readPlan(at('plan'))).toEqual(jobs);
    expect(jobs[2].config).toEqual({
      epochs: 7,
      init: at('bad.npz'),
      probe_modes: 2,
      algorithm: 'rpie',
      test_data_file: at('scan.npz'),
    });
    expect(jobs[2].provenance.probe_modes).toEqual({ value: 2, source: 'flag', origin: '--sweep' });
    expect(jobs[2].output_dir).toBe(path.join(at('plan'), jobs[2].id));
    // Everything that is read is known by its content.
    expect(jobs[2].inputs.map(({ path: name }) => name)).toEqual([at('scan.npz'), at('bad.npz')]);
    // Two modes take twice as long, but for what is fixed.
    const [one, two] = [jobs[0], jobs[2]].map(({ estimate }) => estimate?.processor_seconds ?? Number.NaN);
    expect(two).toBeGreaterThanOrEqual(one);
    expect(jobs[4].estimate).toBeNull();
    expect(warned).toEqual([expect.stringContaining('bad.npz is planned, but its job will fail')]);
    expect(findJob(jobs, '3', file)).toBe(jobs[2]);
    expect(() => findJob(jobs, '9', file)).toThrow(/plan\.jsonl has no job 9; give a number from 1 to 8/);
  });

  it('takes an option that does something in one of its jobs, and refuses one that does in none', async () => {
    const planned = (name: string, sweep: string[], given: object) =>
      planJobs({ verb: 'solve', output_root: at(name), sweep }, { scans: [at('scan.npz')], given: { ...given } });
    const { jobs } = await planned('idle', ['algorithm=rpie,lsqml'], { momentum: flag(0.5) });
    expect(jobs.map(({ config }) => config.momentum)).toEqual([0.5, 0.5]);
    const wrong = planned('none', ['algorithm=dm,lsqml'], { momentum: flag(0.5) });
    await expect(wrong).rejects.toThrow(/^momentum would do nothing: /);
    // A file may hold what other runs need.
    const fromFile = { momentum: { value: 0.5, source: 'file' as const, origin: 'run.yaml' } };
    expect((await planned('file', ['algorithm=dm,lsqml'], fromFile)).jobs).toHaveLength(2);
  });

  it.each([
    [{ sweep: ['probe_mode=1'] }, /did you mean probe_modes\?/],
    [{ sweep: ['probe_modes=two'] }, /--probe_modes must be a positive whole number or null, got "two"/],
    [{ sweep: ['probe_modes=0'] }, /probe_modes must be a positive whole number or null, got 0/],
    [{ after: ['1'] }, /--after names jobs of a plan that is there: give --append/],
    [{ append: true, output_root: 'nowhere' }, /There is no plan .*nowhere.*leave --append out/],
    [{ output_root: 'plan' }, /plan\.jsonl exists already; choose another --output_root, or give --overwrite/],
  ])('refuses %j', async (over, message) => {
    const root = 'output_root' in over ? at(over.output_root as string) : at('other');
    const config = { verb: 'solve', ...over, output_root: root } as const;
    await expect(planJobs(config, { scans: [at('scan.npz')] })).rejects.toThrow(message);
  });

  it('says what its jobs would: too many parts, a network that is not there, a scan alone that shares something', async () => {
    const scans = [at('scan.npz')];
    const plan = (over: object, given = {}, warn: (message: string) => void = () => {}) => planJobs({ verb: 'solve', output_root: at('parts'), ...over }, { scans, given }, { logger: { info: () => {}, warn } }); // biome-ignore format: one line
    await expect(plan({ tiles: 1000 })).rejects.toThrow(
      /scan\.npz has \d+ patterns, too few for 1000 tiles; make fewer/,
    );
    const model_path = flag('nowhere');
    await expect(plan({ verb: 'infer', shards: 5000 }, { model_path })).rejects.toThrow(/shard must be a part of several, .* with at most 4096 parts; got "1\/5000"/); // biome-ignore format: one call
    for (const share of ['object', 'probe']) await expect(plan({}, { share: flag(share) })).rejects.toThrow(new RegExp(`share ${share} is for several scans, but there is one`)); // biome-ignore format: one line
    await expect(plan({ tiles: 2 }, { share: flag('object') })).rejects.toThrow(/A scan is cut in tiles by itself, so --share does not go with --tiles/); // biome-ignore format: one call
    expect(existsSync(at('parts'))).toBe(false);
    const warned: string[] = [];
    await plan({ verb: 'infer', shards: 2 }, { model_path }, (message) => warned.push(message));
    expect(warned).toEqual([expect.stringMatching(/^The jobs are planned, but they will fail: There is no bundle nowhere/)]); // biome-ignore format: one call
    await plan({ verb: 'infer', append: true, after: ['1'] }, { model_path }, (message) => warned.push(message));
    expect(warned).toHaveLength(1);
  });

  it('has one job for scans that share something, of all of them, and others for each', async () => {
    for (const name of ['a.npz', 'b.npz']) copyFileSync(at('scan.npz'), at(name));
    const scans = [at('a.npz'), at('b.npz'), at('scan.npz')];
    const { jobs } = await planJobs({ verb: 'solve', output_root: at('shared'), sweep: ['share=null,object', 'probe_modes=1,2'] }, { scans, given: { epochs: flag(3000) } }); // biome-ignore format: one call
    expect(jobs.map(({ id }) => id)).toEqual([
      ...['a', 'b', 'scan'].flatMap((name, s) => [1, 2].map((m) => `000${2 * s + m}-${name}-share=null-probe_modes=${m}`)), // biome-ignore format: one line
      '0007-a-and-2-more-share=object-probe_modes=1',
      '0008-a-and-2-more-share=object-probe_modes=2',
    ]);
    const [alone, together] = [jobs[0], jobs[7]];
    expect(together.config).toEqual({ epochs: 3000, share: 'object', probe_modes: 2, test_data_file: scans[0], test_data_files: scans.slice(1) }); // biome-ignore format: one call
    expect(together.inputs.map(({ path: name }) => name)).toEqual(scans);
    expect(alone.config).not.toHaveProperty('test_data_files');
    // All patterns count, and the epochs in which each is solved alone first.
    const seconds = ({ estimate }: (typeof jobs)[number]) => estimate!.processor_seconds;
    expect(seconds(jobs[6])).toBeGreaterThan(seconds(jobs[0]));
    // One that every scan goes along with, each in a job of its own, by a path that holds elsewhere.
    const given = { share: flag('probe'), test_data_files: flag([path.relative(process.cwd(), at('b.npz'))]) };
    const pairs = await planJobs({ verb: 'solve', output_root: at('pairs') }, { scans: [at('a.npz'), at('scan.npz')], given }); // biome-ignore format: one call
    expect(pairs.jobs.map(({ config }) => [config.test_data_file, config.test_data_files])).toEqual([
      [at('a.npz'), [at('b.npz')]],
      [at('scan.npz'), [at('b.npz')]],
    ]);
    expect(pairs.jobs[0].inputs.map(({ path: name }) => name)).toEqual([at('a.npz'), at('b.npz')]);
  });

  it('says of scans to solve together what their job would', async () => {
    const plan = (scans: string[], given = {}, warn: (message: string) => void = () => {}) => planJobs({ verb: 'solve', output_root: at('wrong') }, { scans, given: { share: flag('object'), ...given } }, { logger: { info: () => {}, warn } }); // biome-ignore format: one line
    const [a, b] = [at('a.npz'), at('b.npz')];
    await expect(plan([a, b, a])).rejects.toThrow(/a\.npz is named twice among the scans to solve together/);
    await expect(plan([a, b], { init: flag('image.npz') })).rejects.toThrow(/init does not go together with share/);
    expect(existsSync(at('wrong'))).toBe(false);
    await writeTinyScan(at('larger.npz'), 3, 64);
    const warned: string[] = [];
    const { jobs } = await plan([a, at('larger.npz')], {}, (message) => warned.push(message));
    expect(jobs[0].estimate).toBeNull();
    expect(warned).toEqual([expect.stringMatching(/are planned, but their job will fail: .* have patterns of 32 and 64 pixels a side/)]); // biome-ignore format: one call
  });

  it('refuses a scan that is not there, and what the plan decides itself', async () => {
    const config = { verb: 'solve', output_root: at('other') } as const;
    await expect(planJobs(config, { scans: [at('none.npz')] })).rejects.toThrow(
      /none\.npz: there is no such file or folder/,
    );
    await expect(planJobs(config, { scans: [] })).rejects.toThrow(/A plan needs a scan at least/);
    const given = { resume: flag('somewhere') };
    await expect(planJobs(config, { scans: [at('scan.npz')], given })).rejects.toThrow(/--resume is set by the plan/);
  });

  it.each([
    ['{"format":1}', /line 2: this is no job of a plan: id/],
    ['{', /line 2: this is no JSON/],
    ['SAME', /line 2: there are two jobs called 0001-scan/],
    ['AFTER', /line 2: it comes after nobody, which no earlier line is/],
    ['ESCAPE', /line 2: this is no job of a plan: id: must be of letters/],
  ])('names a line that is none: %s', async (line, message) => {
    const { jobs, file } = await planJobs({ verb: 'solve', output_root: at('lines'), overwrite: true }, { scans: [at('scan.npz')] }); // biome-ignore format: one call
    const first = JSON.stringify(jobs[0]);
    const lines: Record<string, string> = {
      SAME: first,
      AFTER: JSON.stringify({ ...jobs[0], id: 'b', after: ['nobody'] }),
      ESCAPE: JSON.stringify({ ...jobs[0], id: '../b' }),
    };
    writeFileSync(file, `${first}\n${lines[line] ?? line}\n`);
    await expect(readPlan(at('lines'))).rejects.toThrow(message);
  });
});

describe('a fingerprint', () => {
  it('knows a file that was touched from one that was changed', async () => {
    writeFileSync(at('input'), 'abc');
    const before = await fingerprintOf(at('input'));
    writeFileSync(at('input'), 'abc');
    expect(await changeOf(before)).toBeUndefined();
    writeFileSync(at('input'), 'abd');
    expect(await changeOf(before)).toBe('has another content now');
    writeFileSync(at('input'), 'abcd');
    expect(await changeOf(before)).toBe('has 4 bytes now in place of 3');
    rmSync(at('input'));
    expect(await changeOf(before)).toBe('is not there any more');
  });
});

describe('a plan for Slurm', () => {
  it('is an array for each level of dependencies', async () => {
    const scans = [at('scan.npz')];
    await planJobs({ verb: 'solve', output_root: at('levels'), sweep: ['epochs=1,2,3'] }, { scans });
    await planJobs({ verb: 'solve', output_root: at('levels'), append: true, after: ['2'] }, { scans });
    await planJobs({ verb: 'solve', output_root: at('levels'), append: true }, { scans, given: { threads: flag(4) } });
    const options = {
      slurm: true,
      dry_run: true,
      partition: 'short',
      max_running: 2,
      slurm_options: ['--constraint=fast'],
    };
    const summary = await submitPlan(at('levels'), options, ['node', "it's here/main.js"]);
    if (summary.to !== 'slurm') throw new Error('not to Slurm');
    const { batches, numbers } = summary;
    expect(numbers).toEqual([]);
    expect(batches.map(({ numbers: those }) => those)).toEqual([[1, 2, 3, 5], [4]]);
    const script = readFileSync(batches[0].file, 'utf8');
    expect(script).toContain('#SBATCH --array=1-3,5%2\n');
    expect(script).toContain('#SBATCH --cpus-per-task=4\n#SBATCH --partition=short\n#SBATCH --constraint=fast\n');
    expect(script).toContain('#SBATCH --time=00:10:00\n#SBATCH --mem=1000M\n');
    expect(script).toContain(
      `node 'it'\\''s here/main.js' jobs run ${at('levels/plan.jsonl')} --index "$SLURM_ARRAY_TASK_ID" &\n`,
    );
  });

  it('leaves out what is done', () => {
    const job = (id: string, after: string[] = []) => ({ id, after, config: {}, estimate: null }) as never;
    const options = { slurm: true, minutes: 1500, slurm_options: [] } as never;
    const [first, ...others] = slurmBatches([job('a'), job('b', ['a']), job('c', ['b'])], {
      plan: 'p',
      program: ['x'],
      options,
      done: new Set(['a']),
    });
    expect([first, ...others].map(({ jobs }) => jobs)).toEqual([['b'], ['c']]);
    expect(first.script).toContain('--time=1-01:00:00\n');
  });

  it('names its jobs in ranges', () => {
    expect(rangesOf([1, 2, 3, 5, 7, 8])).toBe('1-3,5,7-8');
  });
});
