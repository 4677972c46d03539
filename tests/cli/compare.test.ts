/** How `compare` hands flags to its workflows and says what these did; the workflows themselves are replaced. */
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { compareModels, forwardWorkflow } from '../../src/workflows/compare.js';
import { cli } from './capture.js';

vi.mock('../../src/workflows/compare.js', () => ({ compareModels: vi.fn(), forwardWorkflow: vi.fn() }));

beforeEach(() => {
  vi.mocked(compareModels)
    .mockReset()
    .mockResolvedValue({
      models: [
        { name: 'PtychoPINN', coverage: 1, registration: { succeeded: true, shiftYxPx: [0.125, -1] } },
        { name: 'Tike', coverage: 0.5, registration: { succeeded: false } },
      ],
      sampleIndices: new Int32Array(1234),
      warnings: [],
      outputDir: 'out',
      files: ['comparison_metrics.csv'],
    } as never);
  const of = { mean_abs: 0.25, rms: 0.5, max_abs: 1, pearson: Number.NaN };
  vi.mocked(forwardWorkflow)
    .mockReset()
    .mockResolvedValue({
      statistics: { difference: { amplitude: of } },
      patterns: 8,
      outputDir: 'out',
      files: ['forward_parity.json'],
    } as never);
});

describe('compare', () => {
  it('takes the published command line, deprecated names too', async () => {
    const words = [
      'compare --pinn_dir p --baseline_dir b --test_data t.npz --output_dir o --p_min 5 --p_max 95',
      '--skip-registration --no-save-npz --phase-align-method mean --frc-sigma 0.5 --n-test-images 64 --n-subsample 100',
      '--subsample-seed 3 --tike_recon_path r.npz --stitch-crop-size 30 --fixed-canvas --baseline-debug-limit 10',
      '--pinn-chunk-size 256 --baseline-predict-batch-size 16 --pinn_phase_vmin -1.5 --save-debug-images',
    ];
    const { code, out, err } = await cli(...words.join(' ').split(' '));
    expect(err.match(/is the former name of/g)).toHaveLength(3);
    expect(code).toBe(0);
    expect(vi.mocked(compareModels).mock.calls[0][0]).toMatchObject({
      pinn_dir: 'p',
      baseline_dir: 'b',
      test_data_file: 't.npz',
      p_min: 5,
      skip_registration: true,
      save_npz: false,
      save_npz_aligned: true,
      phase_align_method: 'mean',
      frc_sigma: 0.5,
      n_test_groups: 64,
      n_test_subsample: 100,
      test_subsample_seed: 3,
      tike_recon_path: 'r.npz',
      stitch_crop_size: 30,
      fixed_canvas: true,
      baseline_debug_limit: 10,
      pinn_chunk_size: 256,
      baseline_predict_batch_size: 16,
      pinn_phase_vmin: -1.5,
      save_debug_images: true,
    });
    expect(out).toMatch(/PtychoPINN +– +NaN.*100\.0 %.*0\.13, -1\.00/);
    expect(out).toMatch(/Tike .*50\.0 % +failed/);
    expect(out).toContain('Compared on 1,234 patterns, written to out: comparison_metrics.csv');
  });

  it('takes any number of models and reconstructions', async () => {
    const { code } = await cli(
      ...'compare --model A=1 --models B=2 --model=C=3 --arm x.npz --arm DM=y.npz --test_data t --output_dir o'.split(
        ' ',
      ),
    );
    expect(code).toBe(0);
    expect(vi.mocked(compareModels).mock.calls[0][0]).toMatchObject({
      models: ['A=1', 'B=2', 'C=3'],
      arms: ['x.npz', 'DM=y.npz'],
    });
  });

  it('compares predictions with --forward', async () => {
    const { code, out } = await cli(
      ...'compare --forward --model A=1 --model B=2 --test_data t --output_dir o'.split(' '),
    );
    expect(code).toBe(0);
    expect(compareModels).not.toHaveBeenCalled();
    expect(vi.mocked(forwardWorkflow).mock.calls[0][0]).toMatchObject({ forward: true, models: ['A=1', 'B=2'] });
    expect(out).toMatch(/amplitude +0\.2500 +0\.5000 +1\.000 +NaN/);
    expect(out).toContain('Compared on 8 patches');
  });

  it('says what is wrong in one sentence', async () => {
    const { code, err } = await cli(...'compare --test_data t --output_dir o'.split(' '));
    expect(code).not.toBe(0);
    expect(err).toMatch(/^ptychopinn: There is nothing to compare: give pinn_dir/);
    const { out } = await cli('compare', '--help');
    expect(out).toMatch(/--models <text> +Another bundle, NAME=PATH; may be repeated\. \(also\s+--model\)/);
  });
});
