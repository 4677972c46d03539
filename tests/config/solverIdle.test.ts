/** Options of a solver that would do nothing are refused on the command line, and said elsewhere. */
import { describe, expect, it } from 'vitest';
import { solveDefinition, solverDefinition } from '../../src/config/commands.js';
import { completeConfig, resolveConfig } from '../../src/config/resolve.js';
import { solverOptionsSchema } from '../../src/config/schemas/solver.js';

const withFlags = (flags: Record<string, unknown>) =>
  resolveConfig(solveDefinition, { flags: { test_data_file: 'scan.npz', ...flags } });

describe('options of a solver that would do nothing', () => {
  it.each([
    ['momentum', { algorithm: 'lsqml', momentum: 0.5 }],
    ['noise_model', { algorithm: 'dm', noise_model: 'poisson' }],
    ['batching', { algorithm: 'dm', batching: 'uniform' }],
    ['acceleration', { algorithm: 'ml', acceleration: 0.5 }],
    ['object_step', { algorithm: 'ml', object_step: 0.5 }],
    ['object_regularisation', { algorithm: 'ml', object_regularisation: 0.5 }],
    ['probe_regularisation', { algorithm: 'lsqml', probe_regularisation: 0.5 }],
    ['relaxation', { relaxation: 0.5 }],
    ['ml_start', { epochs: 20, ml_start: 21 }],
    ['ml_start', { algorithm: 'ml', ml_start: 2 }],
    ['ml_method', { ml_method: 'cg' }],
    ['progressive_epochs', { progressive_epochs: 5 }],
    ['slice_distance_m', { slice_distance_m: 1e-6 }],
    ['slice_regularisation', { slice_regularisation: 0.1 }],
    ['grid_window', { grid_window: 2 }],
    ['prior_width', { prior_width: 16 }],
    ['probe_mode_share', { probe_mode_share: 0.2 }],
    ['hold_probe_power', { hold_probe_power: false, probe_power_counts: 1e4 }],
    ['opr_start', { opr_start: 2 }],
    ['opr_smooth', { flux: true, opr_smooth: 2 }],
    ['background_start', { background_start: 2 }],
    ['background', { background: 'pixel', epochs: 4 }],
    ['background', { background: 'pixel', epochs: 9, ml_start: 5 }],
    ['position_start', { position_start: 10, epochs: 9 }],
    ['position_stop', { position_start: 5, position_stop: 4 }],
    ['position_method', { position_method: 'correlation' }],
    ['affine', { affine: true, affine_start: 60 }],
    ['affine_freedom', { affine_freedom: 'scale' }],
    ['affine_stop', { affine: true, affine_stop: 20 }],
    ['fly_duty', { fly_duty: 0.5 }],
    ['tile_margin_px', { tile_margin_px: 5 }],
    ['align_scans', { align_scans: false }],
  ])('%s is refused: %o', (key, flags) => {
    expect(() => withFlags(flags)).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', fields: expect.objectContaining({ key }) })); // biome-ignore format: one line
    expect(() => withFlags(flags)).toThrow(new RegExp(`^${key} would do nothing: `));
  });

  it.each([
    { algorithm: 'dm', noise_model: 'poisson', ml_start: 30 },
    { algorithm: 'dm', acceleration: 0 },
    { algorithm: 'raar', relaxation: 0.9 },
    { affine: true, position_limit_px: 9, affine_rule: 'gain', affine_stop: 20 },
    { flux: true, opr_start: 2 },
    { position_start: 5, position_step: 0.5 },
    { slices: 2, slice_distance_m: 1e-6, slice_regularisation: 0.1 },
    { tile: '1/4', tile_margin_px: 5 },
    { test_data_files: ['other.npz'], share: 'object', align_scans: false, probe_mode_share: 0.2 },
    { probe_start: 1000, object_start: 1000 },
    // At their defaults nobody expects anything.
    { momentum: 0, algorithm: 'dm', opr_start: 3, relaxation: null },
  ])('where one does something it stays: %o', (flags) => {
    expect(withFlags(flags).warnings).toEqual([]);
  });

  it('are noted where a file has them, as those of other programs may, and a program is warned', () => {
    const file = { origin: 'run.yaml', values: { test_data_file: 'scan.npz', momentum: 0.5, algorithm: 'lsqml' } };
    const { notes, config } = resolveConfig(solveDefinition, { file });
    expect(notes).toEqual(['run.yaml: momentum does nothing here: lsqml carries no steps over.']);
    expect(config.momentum).toBe(0.5);
    const warned: string[] = [];
    const logger = { debug: () => {}, info: () => {}, warn: (text: string) => warned.push(text), error: () => {} };
    completeConfig(solverDefinition, { fly_duty: 0.5 }, logger);
    expect(warned).toEqual(['fly_duty does nothing here: it is about the points of fly_positions, and there is one.']);
    // Hosts and forms give every option, whether it plays a part or not.
    completeConfig(solverDefinition, { ...solverOptionsSchema.parse({}), fly_duty: 0.5 }, logger);
    // So do runs that go on, whose options are those of the state.
    withFlags({ resume: 'solved', fly_duty: 0.5 });
    completeConfig(solverDefinition, solverOptionsSchema.parse({ affine: true, epochs: 7 }), logger);
    expect(warned).toHaveLength(1);
  });

  it('are refused beside a file of every option, too, as a run writes it', () => {
    const values = { test_data_file: 'scan.npz', ...solverOptionsSchema.parse({ relaxation: 0.5 }) };
    const file = { origin: 'config.json', values };
    expect(resolveConfig(solveDefinition, { file }).notes).toEqual([]);
    const typed = { file, flags: { fly_duty: 0.5 } };
    expect(() => resolveConfig(solveDefinition, typed)).toThrow(/^fly_duty would do nothing: /);
  });

  it('a search that comes too late is said', () => {
    expect(withFlags({ affine: true, epochs: 7 }).warnings).toEqual([
      expect.stringMatching(/^affine follows the rotation alone: .* come after epoch 8 .*, but there are 7 epochs/),
    ]);
    expect(withFlags({ affine: true, epochs: 8 }).warnings).toEqual([]);
  });
});
