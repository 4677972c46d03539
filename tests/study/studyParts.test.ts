/** Parts of the study: its file, its steps, its numbers and texts; the command `overlap`. */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfigFile } from '../../src/config/load.js';
import { parseStudy } from '../../src/config/schemas/study.js';
import { jobsOf, logsOf } from '../../src/study/layout.js';
import { writeStudyPage } from '../../src/study/page.js';
import { type Step, StepRunner } from '../../src/study/steps.js';
import { collectSummary, deltaSummary, executionResult } from '../../src/study/summary.js';
import { aggregateHighlights, deltaHighlights, metricsDigest, ssimGrid } from '../../src/study/tables.js';
import { cli } from '../cli/capture.js';
import { writeTinyScan } from '../support/tinyRun.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'ptychopinn-study-parts-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));
const inside = (...parts: string[]) => path.join(folder, ...parts);

describe('the file of a study', () => {
  it('has the published design where it says nothing', () => {
    expect(parseStudy({}, 'x.yaml')).toMatchObject({
      doses: [1e3, 1e4, 1e5],
      gridsizes: [1, 2],
      neighbor_count: 7,
      split: { axis: 'y' },
      seeds: { simulation: 42, subsample: 123, training: 456 },
    });
  });

  it.each(['mini.yaml', 'dose-overlap.yaml'])('examples/study/%s is one', async (name) => {
    const { values, origin } = await loadConfigFile(path.join('examples', 'study', name));
    expect(jobsOf(parseStudy(values, origin)).length).toBeGreaterThan(1);
  });

  it.each([
    [{ dose: [1] }, /x\.yaml, the top level: unknown key dose/],
    [{ doses: [] }, /doses/],
    [{ doses: [10, 10] }, /names a dose twice/],
    [{ gridsizes: [3] }, /gridsizes\.0/],
    [{ views: { Dense: {} } }, /views\.Dense/],
    [{ views: { baseline: {} } }, /no view can be called baseline/],
    [{ views: { a: { s_img: 0 } } }, /views\.a\.s_img/],
    [{ simulation: { photons: 5 } }, /simulation\.photons: the study itself sets photons/],
    [{ training: { model: { gridsize: 2 } } }, /training\.gridsize: the study itself/],
    [{ pinn: { seed: 1 } }, /pinn\.seed/],
    [{ iterative: {} }, /iterative\.file: source file needs the path/],
  ])('%o is refused by name', (values, message) => expect(() => parseStudy(values, 'x.yaml')).toThrow(message));

  it('names logs by dose where there are several', () => {
    const names = (doses: number[]) => logsOf(parseStudy({ doses }, 'x')).map(({ name }) => name);
    expect(names([1000])).toEqual(expect.arrayContaining(['phase_c_generation', 'phase_d_dense', 'phase_e_baseline_gs1_dose1000', 'phase_e_sparse_gs2_dose1000', 'phase_f_dense_train', 'phase_g_sparse_test', 'run_phase_g_dense'])); // biome-ignore format: one list
    const two = names([1000, 1e5]);
    expect(two).toContain('phase_g_sparse_test_dose100000');
    expect(new Set(two).size).toBe(two.length);
  });
});

describe('StepRunner', () => {
  let runs: { begun: boolean }[];
  const step = (over: Partial<Step> = {}): Step => ({
    id: 'double',
    title: 'Doubling',
    config: { factor: 2 },
    inputs: ['in.txt'],
    outputs: ['out/b.txt'],
    folder: 'out',
    run: async ({ begun, services }) => {
      runs.push({ begun });
      services.logger.info('working');
      await mkdir(inside('out'), { recursive: true });
      await writeFile(inside('out', 'b.txt'), `2 ${await readFile(inside('in.txt'), 'utf8')}`);
      return { answer: 42 };
    },
    ...over,
  });
  const once = (over: Partial<Step> = {}) => new StepRunner(folder).run(step(over));
  beforeEach(async () => {
    runs = [];
    await writeFile(inside('in.txt'), 'a');
  });

  it('does a step once, and again after any change', async () => {
    const first = await once();
    expect(first).toMatchObject({ reused: false, record: { result: { answer: 42 }, inputs: { 'in.txt': expect.stringMatching(/^[0-9a-f]{64}$/) } } }); // biome-ignore format: one call
    expect(first.record.log.join('\n')).toMatch(/INFO working/);
    expect(await once()).toEqual({ ...first, reused: true });
    await writeFile(inside('in.txt'), 'b');
    expect((await once()).reused).toBe(false);
    expect((await once({ config: { factor: 3 } })).reused).toBe(false);
    await writeFile(inside('out', 'b.txt'), 'tampered');
    expect((await once({ config: { factor: 3 } })).reused).toBe(false);
    expect((await once({ config: { factor: 3 } })).reused).toBe(true);
    await writeFile(inside('steps', 'double.json'), '{"broken');
    expect((await once({ config: { factor: 3 } })).reused).toBe(false);
    expect(runs).toHaveLength(5);
  });

  it('says that it was begun before, keeping its files only if nothing changed', async () => {
    const killed = async ({ begun }: { begun: boolean }) => {
      runs.push({ begun });
      await mkdir(inside('out'), { recursive: true });
      await writeFile(inside('out', 'half.txt'), 'half');
      throw new Error('killed');
    };
    await expect(once({ run: killed })).rejects.toThrow('killed');
    await expect(once({ run: killed })).rejects.toThrow('killed');
    expect(runs).toEqual([{ begun: false }, { begun: true }]);
    expect(existsSync(inside('out', 'half.txt'))).toBe(true);
    await writeFile(inside('in.txt'), 'other');
    expect((await once()).reused).toBe(false);
    expect(runs.at(-1)).toEqual({ begun: false });
    expect(existsSync(inside('out', 'half.txt'))).toBe(false);
    expect(existsSync(inside('steps', 'double.begun'))).toBe(false);
  });

  it('does not count a step that lost its output as done, nor begins one after an interrupt', async () => {
    await expect(once({ run: async () => null })).rejects.toThrow('ended without writing out/b.txt');
    expect(existsSync(inside('steps', 'double.json'))).toBe(false);
    const signal = AbortSignal.abort();
    await expect(new StepRunner(folder, { signal }).run(step())).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('numbers and texts', () => {
  const config = parseStudy({ doses: [10, 1000], views: { dense: {} } }, 'x');
  const COLUMNS = 'model,metric,amplitude,phase,value';
  const table = (rows: string[]) => `${[COLUMNS, ...rows].join('\n')}\n`;

  /** Two doses; the network is better by 0.1 and 0.3 in the test part, and NaN where it is asked for. */
  async function write(nan = false, arm = false): Promise<void> {
    for (const job of jobsOf(config)) {
      const at = inside('phase_g', `dose_${job.dose}`, job.view, job.split);
      await mkdir(at, { recursive: true });
      const gain = job.dose === 10 ? 0.1 : 0.3;
      const rows = [
        `PtychoPINN,ms_ssim,0.5,${nan && job.dose === 10 ? 'NaN' : 0.5 + gain},`,
        'PtychoPINN,mae,0.1,0.2,',
        'PtychoPINN,psnr,inf,60,',
        'Baseline,ms_ssim,0.6,0.5,',
        'Baseline,mae,0.1,0.3,',
        ...(arm && job.dose === 10 ? ['PtyChi,ms_ssim,0.9,0.9,', 'PtyChi,mae,0.01,0.01,'] : []),
        'PtychoPINN,computation_time_s,,,3.5',
      ];
      await writeFile(path.join(at, 'comparison_metrics.csv'), table(rows));
      await writeFile(path.join(at, 'comparison_metrics_standard.csv'), table(rows));
      await writeFile(path.join(at, 'comparison_floors.csv'), `family,floor,metric,amplitude,phase,value\nreference,Constant,ssim,0.1,0.83,\n`); // biome-ignore format: one call
    }
  }
  const now = '2026-01-31T12:00:00.000Z';
  const collect = () => collectSummary(folder, config, [], now);

  it('averages the test part and subtracts', async () => {
    await write();
    const summary = await collect();
    expect(summary).toMatchObject({ n_jobs: 4, aggregate_split: 'test', iterative: 'PtyChi' });
    expect(summary.jobs[0].reference.PtychoPINN).toMatchObject({ psnr: { amplitude: 'inf', phase: 60 }, computation_time_s: { value: 3.5 } }); // biome-ignore format: one call
    expect(summary.jobs[0].floors.Constant.reference.ssim).toEqual({ amplitude: 0.1, phase: 0.83 });
    const { ms_ssim, mae } = summary.aggregate_metrics.PtychoPINN;
    expect(ms_ssim.phase).toEqual({ mean: expect.closeTo(0.7, 12), best: 0.8, n: 2 });
    expect(mae.phase).toEqual({ mean: 0.2, best: 0.2, n: 2 });
    const delta = deltaSummary(summary, now);
    expect(delta.deltas.vs_Baseline.ms_ssim).toEqual({
      amplitude: expect.closeTo(-0.1, 12),
      phase: expect.closeTo(0.2, 12),
    });
    expect(delta).toMatchObject({
      source_metrics: 'analysis/metrics_summary.json',
      n_jobs: { vs_Baseline: 2, vs_PtyChi: 0 },
    });
    expect(deltaHighlights(delta)).toBe(
      'MS-SSIM Δ (PtychoPINN - Baseline): +0.200\nMS-SSIM Δ (PtychoPINN - PtyChi): NaN\nMAE Δ (PtychoPINN - Baseline): -0.100000\nMAE Δ (PtychoPINN - PtyChi): NaN\n',
    );
    expect(aggregateHighlights(summary)).toContain(
      'PtychoPINN ms_ssim: amplitude 0.500 (best 0.500), phase 0.700 (best 0.800), of 2',
    );
    expect(metricsDigest(summary, delta)).toContain('No comparison has PtyChi: its deltas are NaN.');
    expect(ssimGrid(summary)).toContain('| 1000 | dense | test | 0.800 | 0.500 |');
  });

  it('subtracts only where there are both, and shows NaN', async () => {
    await write(true, true);
    const summary = await collect();
    expect(summary.aggregate_metrics.PtychoPINN.ms_ssim.phase).toMatchObject({ mean: 'NaN', n: 2 });
    const delta = deltaSummary(summary, now);
    expect(delta.n_jobs).toEqual({ vs_Baseline: 2, vs_PtyChi: 1 });
    expect(delta.deltas.vs_PtyChi).toEqual({
      ms_ssim: { amplitude: expect.closeTo(-0.4, 12), phase: 'NaN' },
      mae: { amplitude: expect.closeTo(0.09, 12), phase: expect.closeTo(0.19, 12) },
    });
    // What is written can be read again, word for word.
    expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
    expect(ssimGrid(summary)).toContain('| 10 | dense | test | NaN | 0.500 | 0.900 |');
    expect(ssimGrid(summary)).toContain('| 1000 | dense | test | 0.800 | 0.500 | – |');
  });

  it('become a page that says what failed and is missing', async () => {
    await write(true, true);
    const jobs = jobsOf(config);
    const results = jobs.map(
      (job) =>
      job.dose === 1000 && job.split === 'train'
        ? executionResult(job, { status: 'failed', models: [], error: 'An image of <zeros>.' })
        : executionResult(job, { status: 'success', models: ['PtychoPINN'], iterative_skipped: job.dose === 1000 ? 'no file' : undefined }), // biome-ignore format: one call
    );
    const verification = { generated_at: now, study_format: 1 as const, all_passed: false, n_passed: 9, n_checks: 10, checks: [{ name: 'cli_logs' as const, passed: false, problems: ['one is lost'] }], optional: { present: [], missing: [] } }; // biome-ignore format: one report
    await writeStudyPage({ folder, config, origin: 'my study.yaml' }, results, verification);
    const page = await readFile(inside('index.html'), 'utf8');
    expect(page).toContain('2 doses, 1 view: 4 comparisons, 1 failed; 9 of 10 checks passed');
    expect(page).toContain('dose 1000, dense, train failed: An image of &lt;zeros&gt;.');
    expect(page).toContain('dose 1000, dense, test has no iterative arm: no file');
    expect(page).toContain('Check cli_logs: one is lost');
    // Amplitude and phase over two doses; the failed comparison has no row, a model that is missing a dash.
    expect(page.match(/<svg/g)).toHaveLength(2);
    expect(page).toContain('<th scope="row">dose 10, dense, test</th><td class="value">0.500 | NaN</td><td>0.600 | 0.500</td><td>0.900 | 0.900</td>'); // biome-ignore format: one row
    expect(page).toContain('<th scope="row">dose 1000, dense, test</th><td class="value">0.500 | 0.800</td><td>0.600 | 0.500</td><td>– | –</td>'); // biome-ignore format: one row
    expect(page).not.toContain('<th scope="row">dose 1000, dense, train</th>');
    expect(page).toContain(`ptychopinn study dose-overlap --config &#39;my study.yaml&#39; --output_dir ${folder}`);
  });

  it('leaves out comparisons that failed, and refuses other tables', async () => {
    await write();
    const failed = { dose: 10, view: 'dense', split: 'test' } as const;
    const summary = await collectSummary(folder, config, [failed], now);
    expect(summary.n_jobs).toBe(3);
    expect(summary.aggregate_metrics.Baseline.mae.phase.n).toBe(1);
    await writeFile(inside('phase_g/dose_10/dense/test/comparison_metrics.csv'), 'a,b\n1,2\n');
    await expect(collect()).rejects.toThrow(/must have the columns model, metric, amplitude, phase, value/);
  });
});

describe('ptychopinn overlap', () => {
  it('prints the metrics of one scan, and the bundle of two', async () => {
    await writeTinyScan(inside('a.npz'), 3);
    await writeTinyScan(inside('b.npz'), 4);
    const one = await cli('overlap', inside('a.npz'), '--gridsize', '1', '--simg', '1', '--ngroups', '10', '--quiet');
    expect(one.code).toBe(0);
    expect(JSON.parse(one.out)).toMatchObject({ gridsize: 1, s_img: 1, n_groups: 10, probe_diameter_source: 'probe' });
    const words = ['--gridsize', '2', '--s-img', '0.8', '--n-groups', '8', '--neighbor-count', '5', '--probe-diameter-px', '20', '--rng-seed-subsample', '7']; // biome-ignore format: one line
    const two = await cli(
      'overlap',
      inside('a.npz'),
      inside('b.npz'),
      ...words,
      '--output_dir',
      inside('o'),
      '--quiet',
    );
    expect(two.err).toBe('');
    expect(JSON.parse(two.out)).toMatchObject({ train: { rng_seed_subsample: 7 }, test: { metric_1_group_based_avg: expect.any(Number) } }); // biome-ignore format: one call
    expect((await readdir(inside('o'))).sort()).toEqual([
      'metrics_bundle.json',
      'test_metrics.json',
      'train_metrics.json',
    ]);
    expect(JSON.parse(await readFile(inside('o', 'metrics_bundle.json'), 'utf8'))).toEqual(JSON.parse(two.out));
  }, 60_000);

  it.each([
    [['--gridsize', '3', '--simg', '1', '--ngroups', '4'], /gridsize must be 1 or 2/],
    [['--gridsize', '1', '--simg', '2', '--ngroups', '4'], /s_img must be a number above 0, at most 1/],
    [['--gridsize', '1', '--simg', '1'], /n_groups/],
  ])('refuses %o', async (words, message) => {
    await writeTinyScan(inside('a.npz'));
    const { code, err } = await cli('overlap', inside('a.npz'), ...words);
    expect(code).toBe(2);
    expect(err).toMatch(message);
  });
});
