/** `study dose-overlap` from end to end, small: it goes on where it was killed, repeats what changed, and finds what was tampered with. */
import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseStudy } from '../../src/config/schemas/study.js';
import type { Logger } from '../../src/core/log.js';
import type { Services } from '../../src/core/services.js';
import { openDataset } from '../../src/data/openDataset.js';
import { writeNpz } from '../../src/formats/npz.js';
import { CHECKS, type CheckName } from '../../src/study/verify.js';
import {
  ARM_SOURCES,
  type ArmSource,
  doseOverlapStudy,
  type StudySummary,
  verifyFinishedStudy,
} from '../../src/workflows/study.js';
import { cli } from '../cli/capture.js';

const TINY = {
  doses: [1e5],
  views: { dense: { s_img: 0.9 } },
  splits: ['test'],
  simulation: { N: 32, object: 'lines', object_side_px: 90, n_patterns: 100, probe_diameter_px: 10 },
  training: { nepochs: 2, batch_size: 4, n_groups: 12, n_filters_scale: 1 },
  pinn: { nll_weight: 0, mae_weight: 1 },
  comparison: { r_factor_patterns: 4, register_ptychi_only: true },
  execution: { accelerator: 'cpu', threads: 1 },
};
/** Steps: simulate, split, validate; 2 subsets, 2 overlaps; 3 trainings; arm; comparison; 2 of the analysis. */
const STEPS = 14;
const TIME = 900_000;

let root: string;
let folder: string;
beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'ptychopinn-study-'));
  folder = path.join(root, 'study');
});
afterAll(() => rm(root, { recursive: true, force: true }));

function run(
  over: object = {},
  logger?: Logger,
  sources?: readonly ArmSource[],
  where = folder,
  services: Services = {},
): Promise<StudySummary> {
  const config = parseStudy({ ...TINY, ...over }, 'tiny.yaml');
  return doseOverlapStudy({ folder: where, config, origin: 'tiny.yaml' }, { logger, ...services }, sources);
}
const inside = (...parts: string[]) => path.join(folder, ...parts);
const read = (name: string) => readFile(inside(name), 'utf8');
const failed = (checks: StudySummary['verification']['checks']) =>
  checks.filter(({ passed }) => !passed).map(({ name }) => name);

/** A logger that ends the run at a line, as a kill would: no step after it is done, none before it is lost. */
const killAt = (line: RegExp): Logger => {
  const hear = (message: string) => {
    if (line.test(message)) throw new Error('killed');
  };
  return { info: hear, warn: hear };
};

describe('a tiny study', () => {
  it(
    'goes on where it was killed, and is verified',
    async () => {
      await expect(run({}, killAt(/training PtychoPINN gridsize 1/))).rejects.toThrow('killed');
      expect(existsSync(inside('steps', 'phase_e.dose_100000.baseline.gs1.json'))).toBe(true);
      expect(await read('cli/phase_c_generation.log')).toMatch(/SUCCESS: phase_c_generation\n$/);
      const killed = await read('cli/phase_e_dense_gs1_dose100000.log');
      expect(killed).toContain('ERROR killed');
      expect(killed).not.toContain('SUCCESS');
      const stop = new AbortController();
      // In the second epoch of the last training.
      let grouped = false;
      const quiet: Logger = {
        info: (m) => {
          grouped ||= m.includes('training PtychoPINN gridsize 2');
        },
        warn() {},
      };
      const interrupted = run({}, quiet, undefined, folder, {
        signal: stop.signal,
        onProgress: ({ stage, note }) => {
          if (grouped && stage === 'training' && note?.includes('epoch 2/2')) stop.abort();
        },
      });
      await expect(interrupted).rejects.toMatchObject({ code: 'CANCELLED' });
      const heard: string[] = [];
      const summary = await run({}, { info: (m) => heard.push(m), warn: (m) => heard.push(m) });
      expect(summary.steps).toEqual({ done: STEPS - 9, reused: 9 });
      expect(heard).toContain('Phase E, dose 100000: training the baseline: done before.');
      expect(heard).toContainEqual(expect.stringMatching(/^Resuming after epoch 1 from/));
      expect(failed(summary.verification.checks)).toEqual([]);
      expect(summary.verification).toMatchObject({ all_passed: true, n_passed: 10, n_checks: 10 });
      expect(summary.results).toMatchObject([
        {
          status: 'success',
          models: ['PtychoPINN', 'Baseline', 'PtychoPINN_gs1'],
          iterative_skipped: expect.any(String),
        },
      ]);
    },
    TIME,
  );

  it('writes what the published study does, under its names', async () => {
    const inventory = (await read('analysis/artifact_inventory.txt')).trim().split('\n');
    expect(inventory).toEqual([...inventory].sort());
    expect(inventory).toEqual(
      expect.arrayContaining([
        'phase_c/dose_100000/patched_train.npz',
        'phase_d/dose_100000/dense/dense_test.npz',
        'phase_d/dose_100000/dense/gs2/metrics_bundle.json',
        'phase_e/dose_100000/dense/gs2/wts.zip',
        'phase_f/dose_100000/dense/test/skip_summary.json',
        'phase_g/dose_100000/dense/test/comparison_metrics.csv',
        'analysis/comparison_manifest.json',
        'cli/phase_e_baseline_gs1_dose100000.log',
        'cli/phase_f_dense_test.log',
        'cli/run_phase_g_dense.log',
        'cli/aggregate_report_cli.log',
      ]),
    );
    for (const file of inventory) expect(existsSync(inside(file)), file).toBe(true);
    const lines = (await read('analysis/metrics_delta_highlights_preview.txt')).split('\n');
    expect(lines).toEqual([
      expect.stringMatching(/^MS-SSIM Δ \(PtychoPINN - Baseline\): [+-]\d\.\d{3}$/),
      'MS-SSIM Δ (PtychoPINN - PtyChi): NaN',
      expect.stringMatching(/^MAE Δ \(PtychoPINN - Baseline\): [+-]\d\.\d{6}$/),
      'MAE Δ (PtychoPINN - PtyChi): NaN',
      '',
    ]);
    const overlap = JSON.parse(await read('phase_d/dose_100000/dense/gs2/metrics_bundle.json'));
    expect(Object.keys(overlap)).toEqual(['train', 'test']);
    expect(overlap.train).toMatchObject({ gridsize: 2, s_img: 0.9, neighbor_count: 7, rng_seed_subsample: 123 });
    const raw = await openDataset(inside('phase_d/dose_100000/dense/dense_test.npz'));
    expect(raw.count).toBe(overlap.test.n_images_subsampled);
    await raw.close();
  });

  it(
    'repeats nothing that is unchanged, and only what follows from a change',
    async () => {
      expect((await run()).steps).toEqual({ done: 0, reused: STEPS });
      // The machine is no part of it.
      expect((await run({ execution: { accelerator: 'cpu', threads: 2 } })).steps.done).toBe(0);
      // A file that is not what its step wrote.
      await rm(inside('phase_d/dose_100000/dense/gs1/test_metrics.json'));
      expect((await run()).steps).toEqual({ done: 1, reused: STEPS - 1 });
      // Comparison, and the analysis of it.
      const other = await run({ comparison: { ...TINY.comparison, ms_ssim_sigma: 0.5 } });
      expect(other.steps).toEqual({ done: 3, reused: STEPS - 3 });
      expect(other.verification.all_passed).toBe(true);
    },
    TIME,
  );

  it(
    'is complete without optional files',
    async () => {
      await rm(inside('phase_g/dose_100000/dense/test/comparison_plot.png'));
      await rm(inside('phase_g/dose_100000/dense/test/index.html'));
      const report = await verifyFinishedStudy(folder);
      expect(report.all_passed).toBe(true);
      expect(report.optional.missing).toHaveLength(2);
    },
    TIME,
  );

  const replace = (from: string | RegExp, to: string) => (text: string) => {
    const changed = text.replace(from, to);
    if (changed === text) throw new Error('nothing was tampered with');
    return changed;
  };
  const TAMPERING: readonly (readonly [CheckName, string, ((text: string) => string) | null])[] = [
    ['comparison_manifest', 'analysis/comparison_manifest.json', replace('"n_success": 1', '"n_success": 2')],
    ['comparison_manifest', 'analysis/comparison_manifest.json', replace('"PtychoPINN_gs1"', '"Other"')],
    ['comparison_manifest', 'analysis/comparison_manifest.json', () => 'not JSON'],
    ['metrics_summary', 'analysis/metrics_summary.json', replace(/"best": \S+/, '"best": 0.123,')],
    ['metrics_summary', 'analysis/metrics_summary.md', replace(/\d\.\d{6} \|\n/, '9.999999 |\n')],
    ['metrics_summary', 'phase_g/dose_100000/dense/test/comparison_metrics.csv', replace(/\.\d{6},/, '.999999,')],
    ['metrics_delta_summary', 'analysis/metrics_delta_summary.json', replace(/"phase": [-0-9.e]+/, '"phase": 0.5')],
    ['metrics_delta_summary', 'analysis/metrics_delta_summary.json', replace(/("generated_at": ".*)Z"/, '$1"')],
    ['metrics_delta_highlights', 'analysis/metrics_delta_highlights.txt', replace(/[+-]\d/, '+9')],
    ['metrics_delta_highlights', 'analysis/metrics_delta_highlights.txt', (text) => `${text}one line more\n`],
    ['metrics_delta_preview', 'analysis/metrics_delta_highlights_preview.txt', replace('MS-SSIM', 'MS-SSIM amplitude')],
    ['metrics_delta_preview', 'analysis/metrics_delta_highlights_preview.txt', null],
    ['aggregate_highlights', 'analysis/aggregate_highlights.txt', replace(/phase \d/, 'phase 7')],
    ['metrics_digest', 'analysis/metrics_digest.md', replace(/\| Baseline \|/, '| Basis |')],
    ['ssim_grid_summary', 'analysis/ssim_grid_summary.md', replace(/\d\.\d{3} \|/, '9.000 |')],
    ['cli_logs', 'cli/phase_g_dense_test.log', replace('SUCCESS', 'success')],
    ['cli_logs', 'cli/metrics_digest_cli.log', null],
    ['artifact_inventory', 'analysis/artifact_inventory.txt', replace('study.json\n', '')],
    ['artifact_inventory', 'phase_e/dose_100000/dense/gs2/wts.zip', () => 'no bundle'],
    ['artifact_inventory', 'phase_c/dose_100000/validation.json', null],
  ];

  it('has a tampering for each of the ten checks', () => {
    expect(new Set(TAMPERING.map(([check]) => check))).toEqual(new Set(CHECKS));
    expect(CHECKS).toHaveLength(10);
  });

  it.each(TAMPERING)('%s fails after tampering with %s', async (check, file, change) => {
    const before = await readFile(inside(file));
    try {
      if (change === null) await rm(inside(file));
      else await writeFile(inside(file), change(before.toString('utf8')));
      const report = await verifyFinishedStudy(folder);
      expect(failed(report.checks)).toContain(check);
      expect(report.all_passed).toBe(false);
      expect(report.checks.find(({ name }) => name === check)?.problems[0]).toMatch(/\.$/);
    } finally {
      await writeFile(inside(file), before);
    }
    expect((await verifyFinishedStudy(folder)).n_passed).toBe(10);
  });

  it('is verified again by the command line, with an exit code', async () => {
    const good = await cli('study', 'dose-overlap', '--output_dir', folder, '--post-verify-only');
    expect(good).toMatchObject({ code: 0, out: expect.stringContaining('Verification: 10/10 checks passed') });
    const before = await read('analysis/metrics_digest.md');
    await writeFile(inside('analysis/metrics_digest.md'), 'nothing');
    const bad = await cli('study', 'dose-overlap', '--output-dir', folder, '--post_verify_only', '--quiet');
    expect(bad.code).toBe(1);
    expect(bad.out).toMatch(/FAILED +metrics_digest/);
    await writeFile(inside('analysis/metrics_digest.md'), before);
    const none = await cli('study', 'dose-overlap', '--output_dir', root, '--post-verify-only');
    expect(none).toMatchObject({ code: 1, err: expect.stringContaining('There is no study.json') });
    expect((await cli('study', 'dose-overlap', '--output_dir', root)).code).toBe(2);
  });
});

describe('the iterative arm', () => {
  const arm = (over: object) => ({ iterative: { file: path.join(root, '{dose}_{view}_{split}.npz'), ...over } });
  const file = () => path.join(root, '100000_dense_test.npz');

  it(
    'is skipped while its file is missing or no image, and compared once it is there',
    async () => {
      const without = await run(arm({}));
      expect(without.results[0].iterative_skipped).toMatch(/100000_dense_test\.npz/);
      expect(without.verification.all_passed).toBe(true);
      const flat = { data: new Float32Array(4), shape: [2, 2] };
      await writeNpz(file(), { reconstructed_object: flat });
      expect((await run(arm({}))).results[0].iterative_skipped).toMatch(/must be complex/);

      const raw = await openDataset(inside('phase_d/dose_100000/dense/dense_test.npz'));
      await writeNpz(file(), { reconstructed_object: raw.objectGuess as NonNullable<typeof raw.objectGuess> });
      await raw.close();
      const summary = await run(arm({}));
      expect(summary.steps).toEqual({ done: 4, reused: STEPS - 4 });
      expect(summary.results[0]).toMatchObject({ models: expect.arrayContaining(['PtyChi']) });
      expect(summary.verification.all_passed).toBe(true);
      // The truth itself is better than any network.
      expect(await read('analysis/metrics_delta_highlights.txt')).toMatch(
        /^MS-SSIM Δ \(PtychoPINN - PtyChi\): -0\.\d{3}$/m,
      );
      const manifest = JSON.parse(await read('phase_f/dose_100000/dense/test/reconstruction_manifest.json'));
      expect(manifest).toMatchObject({ name: 'PtyChi', file: 'ptychi_reconstruction.npz' });
    },
    TIME,
  );

  it(
    'may come from a solver; a comparison that fails is told, and fails the verification',
    async () => {
      const where = path.join(root, 'solver');
      await cp(folder, where, { recursive: true });
      const solver: ArmSource = {
        name: 'zeros',
        inputs: () => [],
        provide: async ({ outputFile, scanFile }) => {
          const raw = await openDataset(scanFile);
          const { shape } = raw.objectGuess as NonNullable<typeof raw.objectGuess>;
          await raw.close();
          const zeros = () => new Float32Array(shape[0] * shape[1]);
          await writeNpz(outputFile, { reconstructed_object: { re: zeros(), im: zeros(), shape } });
          return { facts: { iterations: 0 } };
        },
      };
      const request = { iterative: { source: 'zeros', name: 'ePIE' } };
      await expect(run(request, undefined, undefined, where)).rejects.toThrow(/iterative\.source "zeros" is not known/);
      const summary = await run(request, undefined, [...ARM_SOURCES, solver], where);
      expect(summary.results).toMatchObject([{ status: 'failed', error: expect.stringMatching(/zero everywhere/) }]);
      expect(failed(summary.verification.checks)).toEqual(expect.arrayContaining(['comparison_manifest', 'cli_logs']));
      expect(await readFile(path.join(where, 'cli', 'phase_g_dense_test.log'), 'utf8')).toMatch(
        /ERROR .*zero everywhere/,
      );
    },
    TIME,
  );
});
