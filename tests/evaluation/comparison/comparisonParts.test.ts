/** Names, tables, rectangles and settings of a comparison. */
import { describe, expect, it } from 'vitest';
import { comparisonDefinition } from '../../../src/config/commands.js';
import { resolveConfig } from '../../../src/config/resolve.js';
import { comparisonConfigSchema } from '../../../src/config/schemas/comparison.js';
import { sixDecimals } from '../../../src/evaluation/comparison/files.js';
import { scanBox } from '../../../src/evaluation/comparison/measure.js';
import {
  canonicalName,
  checkNames,
  curvesPrefix,
  nameOfAlgorithm,
  parseArm,
  parseModel,
} from '../../../src/evaluation/comparison/names.js';

describe('names', () => {
  it.each([
    ['ptychopinn', 'PtychoPINN'],
    ['pinn', 'PtychoPINN'],
    ['BASELINE', 'Baseline'],
    ['pty-chi', 'PtyChi'],
    ['tike', 'Tike'],
    ['epie', 'ePIE'],
    ['lsqml', 'LSQML'],
    ['PINN_gs2', 'PINN_gs2'],
  ])('%s is %s', (written, name) => expect(canonicalName(written)).toBe(name));

  it.each(['a,b', 'a/b', '2nd', '', 'ü', 'x'.repeat(41), 'a b'])('%j is no name', (written) => {
    expect(() => canonicalName(written)).toThrow(/cannot be the name of a model/);
  });

  it('reads NAME=PATH, with more = in the path', () => {
    expect(parseModel('pinn=runs/a=b')).toEqual({ name: 'PtychoPINN', path: 'runs/a=b' });
    expect(parseArm('recon.npz')).toEqual({ name: undefined, path: 'recon.npz' });
    expect(parseArm('out/lr=3/recon.npz')).toEqual({ name: undefined, path: 'out/lr=3/recon.npz' });
    expect(parseArm('dm=recon.npz')).toEqual({ name: 'DM', path: 'recon.npz' });
    expect(() => parseModel('runs/a')).toThrow(/--model needs NAME=PATH/);
    expect(() => parseModel('ePIE=run')).toThrow(/ePIE names an iterative code, but .* is a network/);
  });

  it.each([
    ['tike', 'Tike', true],
    ['Tike rPIE', 'Tike', true],
    ['pty-chi', 'PtyChi', true],
    ['ePIE', 'PtyChi', true],
    ['PtychoPINN cnn_cbam', 'PtychoPINN', true],
    ['PtychoPINN ePIE', 'ePIE', true],
    ['ptychopinn lsqml', 'LSQML', true],
    ['somebody', 'PtyChi', false],
    ['', 'PtyChi', false],
  ])('the algorithm %j is %s', (algorithm, name, known) => {
    expect(nameOfAlgorithm(algorithm)).toEqual({ name, known });
  });

  it('refuses two of one name, and names of other rows', () => {
    expect(() => checkNames(['A', 'B'])).not.toThrow();
    expect(() => checkNames(['Mine', 'mine'])).toThrow(/Two things to compare are called mine/);
    expect(() => checkNames(['Ground_Truth'])).toThrow(/the name of the truth/);
    expect(() => checkNames(['constant'])).toThrow(/of a floor/);
  });

  it('names curves as published', () => {
    expect(['PtychoPINN', 'Baseline', 'PtyChi'].map(curvesPrefix)).toEqual(['pinn', 'baseline', 'ptychi']);
  });
});

it('writes numbers with six decimals, and shows what is none', () => {
  const values = [1 / 3, -2, -1e-9, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  expect(values.map(sixDecimals)).toEqual(['0.333333', '-2.000000', '0.000000', 'NaN', 'inf', '-inf']);
});

it('compares the published rectangle of the scan, cut to the truth', () => {
  const bounds = { xMin: 30.9, xMax: 60.2, yMin: 5.5, yMax: 70 };
  expect(scanBox(bounds, 20, undefined)).toEqual({ originYxPx: [-5, 20], height: 85, width: 50 });
  const truth = { re: new Float32Array(6400), im: new Float32Array(6400), shape: [80, 80] };
  expect(scanBox(bounds, 20, truth)).toEqual({ originYxPx: [0, 20], height: 80, width: 50 });
  expect(() => scanBox({ xMin: 200, xMax: 210, yMin: 5, yMax: 6 }, 20, truth)).toThrow(
    /lies outside of its objectGuess/,
  );
});

describe('settings', () => {
  const base = { test_data_file: 't.npz', output_dir: 'o', pinn_dir: 'p', baseline_dir: 'b' };
  it('has the published defaults', () => {
    expect(comparisonConfigSchema.parse(base)).toMatchObject({
      p_min: 10,
      p_max: 90,
      pinn_phase_vmin: null,
      skip_registration: false,
      save_npz: true,
      save_npz_aligned: true,
      phase_align_method: 'plane',
      frc_sigma: 0,
      ms_ssim_sigma: 1,
      stitch_crop_size: 20,
      neighbor_count: 7,
      fixed_canvas: false,
      baseline_chunk_size: null,
      batch_size: 32,
    });
  });

  it.each([
    [{ pinn_dir: null, baseline_dir: null }, /nothing to compare/],
    [{ p_min: 90, p_max: 90 }, /p_min is 90 and p_max 90/],
    [{ skip_registration: true, register_ptychi_only: true }, /contradict each other/],
    [{ baseline_dir: null, baseline_debug_limit: 5 }, /needs a Baseline/],
    [{ baseline_dir: null, baseline_debug_dir: 'd' }, /needs a Baseline/],
  ])('refuses %j', (over, message) => {
    expect(() => comparisonConfigSchema.parse({ ...base, ...over })).toThrow(message);
  });

  it('understands deprecated names, with a warning each, and lists in files', () => {
    const { config, warnings } = resolveConfig(comparisonDefinition, {
      flags: { ...base, n_test_images: 64, n_subsample: 100, subsample_seed: 3 },
      file: { origin: 'c.yaml', values: { model: ['X=1', 'Y=2'], arms: ['z.npz'] } },
    });
    expect(config).toMatchObject({
      n_test_groups: 64,
      n_test_subsample: 100,
      test_subsample_seed: 3,
      models: ['X=1', 'Y=2'],
      arms: ['z.npz'],
    });
    expect(warnings).toEqual([
      'n_test_images is the former name of n_test_groups; write n_test_groups.',
      'n_subsample is the former name of n_test_subsample; write n_test_subsample.',
      'subsample_seed is the former name of test_subsample_seed; write test_subsample_seed.',
    ]);
  });
});
