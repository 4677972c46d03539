/** Options of solvers under the names of Pty-Chi, PtychoShelves and PtyPy. */
import { describe, expect, it } from 'vitest';
import { COMMAND_DEFINITIONS, solveDefinition, solverDefinition } from '../../src/config/commands.js';
import { allFields } from '../../src/config/definition.js';
import { PROGRAMS } from '../../src/config/elsewhere/names.js';
import { completeConfig, resolveConfig } from '../../src/config/resolve.js';

const read = (values: Record<string, unknown>) => {
  const { config, notes } = resolveConfig(solveDefinition, {
    file: { origin: 'run.yaml', values: { test_data_file: 'a.npz', ...values } },
  });
  return { config: config as unknown as Record<string, unknown>, notes };
};

describe('Pty-Chi', () => {
  const blocks = {
    reconstructor: 'RAAR',
    reconstructor_options: { num_epochs: 40, batching_mode: 'COMPACT', beta: 0.8, default_device: 'gpu' },
    object_options: {
      pixel_size_m: 1e-8,
      hard_limits_magnitude_phase: { enabled: true, abs_lim: [0.2, 1.1], phase_lim: null },
      remove_grid_artifacts: { enabled: false, period_x_m: 5e-8, period_y_m: 5e-8 },
    },
    probe_options: {
      optimization_plan: { start: 1, stop: 30, stride: 2 },
      center_constraint: { enabled: true },
      support_constraint: { enabled: false, threshold: 0.01 },
    },
    probe_position_options: {
      optimizable: true,
      optimization_plan: { start: 10 },
      affine_transform_constraint: { enabled: true, degrees_of_freedom: ['TRANSLATION', 'SHEAR', 'SCALE'] },
    },
    opr_mode_weight_options: { optimizable: true, optimize_intensity_variation: true },
  };

  it('means what it says; epochs are counted from 1', () => {
    const { config, notes } = read(blocks);
    expect(config).toMatchObject({
      ...{ algorithm: 'dm', epochs: 40, batching: 'compact', relaxation: 0.8 },
      ...{ object_amplitude_min: 0.2, object_amplitude_max: 1.1, object_phase_min_rad: null, grid_period_px: null },
      ...{ probe_start: 2, probe_stop: 30, probe_stride: 2, centre_probe: true, probe_support: null },
      ...{ position_start: 11, affine: true, affine_freedom: 'scale,shear', flux: true },
    });
    expect(notes).toContain('reconstructor_options.num_epochs of Pty-Chi is epochs: 40.');
    // What has no part here is named, switches of what has are not.
    expect(notes.filter((note) => note.includes('nothing here stands for'))).toEqual([
      'Pty-Chi: nothing here stands for reconstructor_options.default_device; left out.',
    ]);
  });

  it('takes a pitch in metres to pixels, where these are said', () => {
    const grid = { enabled: true, period_x_m: 5e-8, period_y_m: 5e-8, window_size: 3 };
    const object_options = { pixel_size_m: 1e-8, remove_grid_artifacts: grid };
    expect(read({ object_options }).config).toMatchObject({ grid_period_px: 5, grid_window: 3 });
    const apart = read({ object_options: { ...object_options, remove_grid_artifacts: { ...grid, period_y_m: 6e-8 } } });
    expect(apart.config.grid_period_px).toBeNull();
    expect(apart.notes.join()).toContain('period_x_m of Pty-Chi was left out: both axes have one pitch here');
  });

  it('says what is measured otherwise', () => {
    const { config, notes } = read({ object_options: { l1_norm_constraint: { enabled: true, weight: 0.1 } } });
    expect(config.object_l1).toBe(0);
    expect(notes).toEqual([
      'object_options.l1_norm_constraint.weight of Pty-Chi was left out: it is measured otherwise here; choose object_l1.',
    ]);
  });
});

describe('PtychoShelves', () => {
  it.each(['eng', 'p'])('in its block, %s', (block) => {
    const eng = {
      method: 'MLc',
      number_iterations: 300,
      variable_probe: true,
      variable_probe_modes: 2,
      probe_position_search: 'inf',
    };
    const { config, notes } = read(block === 'eng' ? { eng } : { p: { eng } });
    expect(config).toMatchObject({
      algorithm: 'lsqml',
      batching: 'compact',
      epochs: 300,
      opr_modes: 2,
      position_start: null,
    });
    expect(notes.some((note) => note.endsWith('eng.number_iterations of PtychoShelves is epochs: 300.'))).toBe(true);
  });

  it('by names that stand alone, as flags too, which are stronger', () => {
    const { config } = resolveConfig(solveDefinition, {
      file: { origin: 'a.yaml', values: { test_data_file: 'a.npz', number_iterations: 20 } },
      flags: { number_iterations: 30, variable_intensity: true },
    });
    expect(config).toMatchObject({ epochs: 30, flux: true });
    expect(completeConfig(solverDefinition, { number_iterations: 7 }).epochs).toBe(7);
  });
});

describe('what several scans of PtychoShelves have in common', () => {
  const together = { test_data_files: ['b.npz'] };

  it.each([
    [{ share_object: true }, 'object', 'share_object of PtychoShelves is share: "object".'],
    [{ p: { share_object: 1, share_probe: 0 } }, 'object', 'p.share_object of PtychoShelves is share: "object".'],
    [
      { eng: { share_probe: true, share_object: false } },
      'probe',
      'eng.share_probe of PtychoShelves is share: "probe".',
    ],
  ])('%o', (said, share, note) => {
    const { config, notes } = read({ ...together, ...said });
    expect(config.share).toBe(share);
    expect(notes.some((line) => line.endsWith(note))).toBe(true);
  });

  it('one object goes before one probe, which a single scan may say, too', () => {
    const both = read({ ...together, share_object: true, share_probe: true });
    expect(both.config.share).toBe('object');
    expect(both.notes.join()).toContain('share_probe of PtychoShelves was left out: where scans have one object');
    const alone = read({ p: { share_probe: 1, share_object: 0 } });
    expect(alone.config.share).toBeNull();
    expect(alone.notes.join()).toContain(
      'p.share_probe of PtychoShelves was left out: it is of account for several scans',
    );
  });
});

it('PtyPy: parameters of an engine', () => {
  const engine00 = {
    name: 'ML',
    numiter: 50,
    probe_update_start: 2,
    floating_intensities: true,
    position_refinement: { start: 4 },
  };
  expect(read({ p: { engines: { engine00 } } }).config).toMatchObject({
    ...{ algorithm: 'ml', epochs: 50, probe_start: 3, flux: true, position_start: 5 },
  });
});

describe('what does not fit', () => {
  it('two values of one field are refused', () => {
    expect(() => read({ epochs: 5, reconstructor_options: { num_epochs: 40 } })).toThrow(
      /epochs gives epochs as 5, and reconstructor_options.num_epochs as 40; keep one of them/,
    );
  });

  it('names of nobody are refused as ever', () => {
    expect(() => read({ number_of_iterations: 5 })).toThrow(/unknown key number_of_iterations/);
    expect(() => resolveConfig(COMMAND_DEFINITIONS.train, { flags: { number_iterations: 5 } })).toThrow(/unknown key/);
    expect(() => read({ eng: { method: 'magic' } })).not.toThrow();
  });

  it('all names lead to fields that there are', () => {
    const fields = new Set(allFields(solveDefinition).map(({ name }) => name));
    for (const { options } of PROGRAMS) {
      for (const [name, translate] of Object.entries(options)) {
        for (const value of [true, 3, 'lsqml', 'poisson', 'CG', ['scale'], [0.1, 0.9], Number.POSITIVE_INFINITY]) {
          const all = new Proxy({}, { get: () => true });
          const meaning = translate(value, all);
          if (typeof meaning === 'string') continue;
          for (const field of Object.keys(meaning)) expect(fields, `${name} → ${field}`).toContain(field);
        }
      }
    }
  });
});
