import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inferenceDefinition, trainingDefinition } from '../../../src/config/commands.js';
import { allFields, type ConfigDefinition, sectionOf } from '../../../src/config/definition.js';
import {
  derivedParams,
  fromLegacyParams,
  KEY_MAPPINGS,
  LEGACY_DEFAULTS,
  type LegacyConfig,
  LegacyParams,
  toLegacyParams,
  updateLegacyDict,
} from '../../../src/config/legacy/params.js';
import { resolveConfig } from '../../../src/config/resolve.js';
import { executionConfigSchema, modelConfigSchema } from '../../../src/config/schema.js';
import type { PtychoError } from '../../../src/core/errors.js';
import type { FieldInfo } from '../../../src/core/field.js';
import { architecturesWith } from '../../../src/networks/architectures.js';

const needed: Record<string, Record<string, unknown>> = {
  training: {},
  inference: { model_path: 'run', test_data_file: 'scan.npz' },
};

/** What must stand beside a field, so that it does something. */
const together: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  engine: { backend: 'tensorflow' },
  realspace_weight: { tv_weight: 1 },
  realspace_mae_weight: { realspace_weight: 1 },
  tv_weight: { realspace_weight: 1 },
  input_reference_share: { input_reference: 'mean' },
  amp_loss_coeff: { amp_loss: 'Total_Variation' },
  phase_loss_coeff: { phase_loss: 'Mean_Deviation' },
  fine_tune_gamma: { epochs_fine_tune: 2 },
  eca_encoder: { architecture: 'cnn_cbam', cbam_encoder: false },
  ensemble_from: { ensemble: 2 },
  decoder_spatial_kernel: { architecture: 'cnn_cbam', spatial_decoder: true },
  decoder_last_c_outer_fraction: { architecture: 'cnn_cbam', use_legacy_decoder_channel_override: true },
  torch_mae_pred_l2_match_target: { mae_weight: 1 },
  probe_learning_rate: { probe_trainable: true },
  rect_s1s2_trainable: { physics_forward_mode: 'rectangular_scaled', cnn_output_mode: 'real_imag' },
  position_trainable: { gridsize: 2 },
  overlap_weight: { gridsize: 2 },
  member_permutations: { gridsize: 2 },
  member_networks: { gridsize: 2 },
  align_members: { gridsize: 2 },
  probe_mask_edge: { probe_mask: true },
  probe_mask_sigma: { probe_mask: true, probe_mask_edge: 'soft' },
  probe_mask_diameter: { probe_mask: true, probe_mask_edge: 'soft' },
  do_stitching: { test_data_file: 'test.npz' },
  physics_forward_mode: { cnn_output_mode: 'real_imag' },
  rect_s1s2_init: { physics_forward_mode: 'rectangular_scaled', cnn_output_mode: 'real_imag' },
  hybrid_resnet_bottleneck_layerscale_mode: { hybrid_resnet_bottleneck_layerscale_value: 1 },
  hybrid_resnet_bottleneck_layerscale_value: { hybrid_resnet_bottleneck_layerscale_mode: 'fixed' },
};
/** A network that has a field which the default one has not. */
function networkOf(name: string): Readonly<Record<string, unknown>> {
  const owners = architecturesWith(name);
  return owners.includes('cnn') ? {} : { architecture: owners[0] };
}

const INTEGERS: Readonly<Record<string, number>> = {
  N: 128,
  gridsize: 2,
  neighbor_count: 9,
  batch_size: 32,
  crop_px: 96,
  pad_to: 96,
  hybrid_downsample_steps: 1,
  resnet_width: 8,
};

/** A value that is accepted and, where there is another, not the default. */
function sample(field: FieldInfo): unknown {
  if (field.fixed) return field.fallback;
  switch (field.kind) {
    case 'boolean':
      return !field.fallback;
    case 'choice':
      return field.choices?.find((choice) => choice !== field.fallback);
    case 'integer':
      return INTEGERS[field.name] ?? 3;
    case 'number':
      return 0.25;
    case 'pair':
      return [0.2, 0.7];
    case 'list':
      return [1, 2];
    case 'texts':
      return ['one', 'other'];
    case 'text':
      return field.name === 'refine' ? 'lsqml:3' : 'somewhere';
  }
}

function valueIn(definition: ConfigDefinition<unknown>, config: object, name: string): unknown {
  const key = sectionOf(definition, name)?.key ?? null;
  return Reflect.get(key === null ? config : ((Reflect.get(config, key) as object | undefined) ?? {}), name);
}

const cases = ([trainingDefinition, inferenceDefinition] as ConfigDefinition<LegacyConfig>[]).flatMap((definition) =>
  allFields(definition).map((field) => [definition.name, field.name, definition, field] as const),
);

describe('every field through schema, dictionary and back', () => {
  it.each(cases)('%s: %s', (_definition, name, definition, field) => {
    const value = sample(field);
    const given = {
      ...needed[definition.name],
      ...(definition === trainingDefinition ? networkOf(name) : {}),
      [name]: value,
    };
    Object.assign(given, definition === trainingDefinition || name === 'engine' ? together[name] : {});
    const { config } = resolveConfig(definition, { file: { origin: 'file', values: given } });
    expect(valueIn(definition, config, name)).toEqual(value);
    const params = toLegacyParams(config);
    if (field.legacyKey === null) {
      expect(Object.keys(params)).not.toContain(name);
      return;
    }
    if (value === null) expect(params).not.toHaveProperty([field.legacyKey]);
    else expect(params[field.legacyKey]).toEqual(value);
    const back = fromLegacyParams(params, definition);
    // A model field that is null claims nothing: for a reconstruction it comes back as not given.
    expect(valueIn(definition, back.config, name) ?? null).toEqual(value);
    expect(toLegacyParams(back.config)).toEqual(params);
  });
});

describe('toLegacyParams', () => {
  it('renames exactly what is published', () => {
    expect(KEY_MAPPINGS).toEqual({
      object_big: 'object.big',
      probe_big: 'probe.big',
      probe_mask: 'probe.mask',
      probe_trainable: 'probe.trainable',
      intensity_scale_trainable: 'intensity_scale.trainable',
      positions_provided: 'positions.provided',
      output_dir: 'output_prefix',
      train_data_file: 'train_data_file_path',
      test_data_file: 'test_data_file_path',
    });
  });

  it('writes for inference what is published and nothing else', () => {
    const { config } = resolveConfig(inferenceDefinition, {
      flags: { model_path: 'run', test_data_file: 'scan.npz', n_groups: 5, n_subsample: 7, subsample_seed: 1 },
    });
    expect(toLegacyParams(config)).toEqual({
      model_path: 'run',
      test_data_file_path: 'scan.npz',
      output_prefix: 'inference_outputs',
      n_groups: 5,
      n_subsample: 7,
      subsample_seed: 1,
      neighbor_count: 4,
      enable_oversampling: false,
      debug: false,
      backend: 'onnx',
    });
  });

  it('leaves out null, and a number of groups that has not met the data', () => {
    const { config } = resolveConfig(trainingDefinition, { flags: { n_groups: 'all' } });
    const params = toLegacyParams(config);
    for (const key of ['n_groups', 'n_subsample', 'train_data_file_path', 'gradient_clip_val', 'N']) {
      expect(params).not.toHaveProperty([key]);
    }
  });

  it('takes a model alone', () => {
    const params = toLegacyParams(modelConfigSchema.parse({ N: 64, probe_big: false }));
    expect(params).toMatchObject({ N: 64, gridsize: 1, 'probe.big': false });
    expect(params).not.toHaveProperty('nepochs');
  });

  it('CONFIG-002: never takes execution settings', () => {
    const execution = executionConfigSchema.parse({}) as unknown as LegacyConfig;
    expect(() => toLegacyParams(execution)).toThrow(/^CONFIG-002: /);
    const { config } = resolveConfig(trainingDefinition, { flags: { threads: 3 } });
    const names = allFields(trainingDefinition)
      .filter((field) => sectionOf(trainingDefinition, field.name)?.key === 'execution')
      .map((field) => field.name);
    expect(Object.keys(toLegacyParams(config)).filter((key) => names.includes(key))).toEqual([]);
  });
});

describe('updateLegacyDict', () => {
  it('overwrites what is given, leaves the rest alone', () => {
    const params: Record<string, unknown> = { N: 128, n_subsample: 99, label: 'mine', nepochs: 60 };
    updateLegacyDict(params, resolveConfig(trainingDefinition, { flags: { N: 64, nepochs: 50 } }).config);
    expect(params).toMatchObject({ N: 64, n_subsample: 99, label: 'mine', nepochs: 50, 'object.big': true });
  });

  it('works on the object, too', () => {
    const params = new LegacyParams();
    updateLegacyDict(params, modelConfigSchema.parse({ N: 256 }));
    expect(params.get('N')).toBe(256);
    expect(params.get('bigN')).toBe(256);
  });
});

describe('fromLegacyParams', () => {
  it('understands a whole dictionary and says what it left out', () => {
    const { config, notes } = fromLegacyParams({ ...LEGACY_DEFAULTS, intensity_scale: 3.2, probe: [[1]] });
    expect(config.model).toMatchObject({ N: 128, gridsize: 2, probe_big: false, probe_mask: true, probe_scale: 10 });
    expect(config).toMatchObject({ nepochs: 60, output_dir: 'outputs', intensity_scale_trainable: false });
    expect(notes).toEqual([
      expect.stringMatching(/^params: offset, .* of the params dictionary play no part in training/),
    ]);
    expect(notes[0]).toContain('intensity_scale');
  });

  it('refuses what it does not have', () => {
    expect(() => fromLegacyParams({ ...LEGACY_DEFAULTS, tv_weight: 0.1 })).toThrow(
      'tv_weight is a share of the losses of the object, whose weight realspace_weight is 0; give that a weight, too.',
    );
    expect(() => fromLegacyParams({ 'object.bg': true })).toThrow(
      /^params: unknown key object.bg; did you mean object_big\?$/,
    );
  });

  it('serves a reconstruction: training keys are left out, the model is a claim', () => {
    const params = { ...LEGACY_DEFAULTS, model_path: 'run', test_data_file_path: 'scan.npz' };
    const { config, notes } = fromLegacyParams(params, inferenceDefinition);
    expect(config.model).toMatchObject({ N: 128, gridsize: 2 });
    expect(config.debug).toBe(true);
    expect(notes[0]).toMatch(/batch_size|nepochs/);
  });
});

describe('derivedParams', () => {
  it.each([
    [64, 1, 74],
    [64, 2, 78],
    [128, 1, 138],
    [128, 2, 142],
  ])('N %i, gridsize %i: padded to %i', (N, gridsize, padded_size) => {
    const spread = (gridsize - 1) * 4;
    expect(derivedParams({ N, gridsize })).toEqual({ bigN: N + spread, padding_size: spread + 10, padded_size });
  });
});

describe('LegacyParams', () => {
  it('starts with the published defaults', () => {
    expect(new LegacyParams().toObject()).toEqual(LEGACY_DEFAULTS);
    expect(new LegacyParams({ N: 64 }).get('N')).toBe(64);
  });

  it('get: a default for the unknown, an error without one, missing defaults come back', () => {
    const params = new LegacyParams();
    expect(params.get('unheard', 7)).toBe(7);
    expect(params.get('unheard', undefined)).toBeUndefined();
    expect(() => params.get('unheard')).toThrow('The params dictionary has no key unheard.');
    params.delete('size');
    expect(params.get('size')).toBe(392);
  });

  it('get computes bigN anew each time', () => {
    const params = new LegacyParams({ N: 64, gridsize: 1 });
    expect(params.get('bigN')).toBe(64);
    params.set('gridsize', 2);
    expect(params.get('bigN')).toBe(68);
    expect(params.toObject().bigN).toBe(68);
  });

  it('set validates, and takes nothing that is refused', () => {
    const params = new LegacyParams();
    expect(() => params.set('data_source', 'elsewhere')).toThrow(/^data_source must be one of lines, grf, /);
    expect(params.get('data_source')).toBe('generic');
    expect(() => params.set('realspace_mae_weight', 0.5)).toThrow(/realspace_weight must be above 0, got 0\.$/);
    params.set('realspace_weight', 1);
    params.set('realspace_mae_weight', 0.5);
    expect(params.get('realspace_mae_weight')).toBe(0.5);
  });

  it('seal warns of writes, except of computed keys, and never refuses', () => {
    const warnings: string[] = [];
    const params = new LegacyParams({}, { info() {}, warn: (message) => warnings.push(message) });
    params.seal();
    params.set('intensity_scale', 2);
    expect(warnings).toEqual([]);
    params.set('N', 64);
    expect(params.get('N')).toBe(64);
    expect(warnings).toEqual(['The params dictionary is sealed, but N was set.']);
    params.unseal();
    params.set('N', 128);
    expect(warnings).toHaveLength(1);
  });

  it('belongs to its caller: two of them share nothing', () => {
    const [a, b] = [new LegacyParams(), new LegacyParams()];
    a.set('intensity_scale', 5);
    expect(() => b.get('intensity_scale')).toThrow(/no key intensity_scale/);
  });
});

describe('the dictionary', () => {
  it('is read by nothing numeric: only what hands it out or takes it in may know it', () => {
    const importers: string[] = [];
    for (const entry of readdirSync('src', { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() || !entry.name.endsWith('.ts')) continue;
      const file = join(entry.parentPath, entry.name);
      if (/from '[^']*\/legacy\/(params|dictionary)\.js'/.test(readFileSync(file, 'utf8'))) importers.push(file);
    }
    const outside = importers.filter(
      (file) =>
        !/^src\/(config|cli|adapters|persistence)\/|^src\/reconstruction\/ptychoModel\.ts$|^src\/index\.ts$/.test(file),
    );
    expect(outside).toEqual([]);
    expect(importers.length).toBeGreaterThan(1);
  });
});

// Errors of this room carry a code for programs.
it('names the kind of trouble', () => {
  expect(() => new LegacyParams().get('x')).toThrow(
    expect.objectContaining({ code: 'CONFIG_UNKNOWN_KEY' }) as PtychoError,
  );
});
