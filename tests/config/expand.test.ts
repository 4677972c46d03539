/** Words for several fields, and what fields must be together. */
import { describe, expect, it } from 'vitest';
import { trainingDefinition } from '../../src/config/commands.js';
import { finaliseTrainingConfig } from '../../src/config/finalise.js';
import { type Layers, resolveConfig } from '../../src/config/resolve.js';
import { trainingRequestSchema } from '../../src/config/schema.js';

type Values = Record<string, unknown>;
const train = (flags: Values, file?: Values) =>
  resolveConfig(trainingDefinition, {
    flags,
    ...(file ? { file: { origin: 'run.yaml', values: file } } : {}),
  } satisfies Layers);

describe('profile ci', () => {
  const written = {
    scale_contract_version: 'ci_intensity_v2',
    measurement_domain: 'count_intensity',
    torch_loss_mode: 'poisson',
    nll_weight: 1,
    model: {
      physics_forward_mode: 'rectangular_scaled',
      cnn_output_mode: 'real_imag',
      rect_s1s2_init: 'data',
      rect_s1s2_trainable: true,
    },
  };

  it('is written out into its fields, with its origin', () => {
    const { config, provenance } = train({ profile: 'ci' });
    expect(config).toMatchObject(written);
    expect(provenance.scale_contract_version).toEqual({
      value: 'ci_intensity_v2',
      source: 'flag',
      origin: 'profile ci',
    });
    expect(train({}, { profile: 'ci' }).provenance.cnn_output_mode.origin).toBe('run.yaml');
  });

  it('leaves what is only proposed to whoever says otherwise', () => {
    const { config } = train({ profile: 'ci' }, { model: { rect_s1s2_init: 'ones', rect_s1s2_trainable: false } });
    expect(config.model).toMatchObject({ rect_s1s2_init: 'ones', rect_s1s2_trainable: false });
    // Null says nothing.
    expect(train({ profile: 'ci' }, { measurement_domain: null }).config.measurement_domain).toBe('count_intensity');
  });

  it.each<[Values, string]>([
    [{ scale_contract_version: 'counts_v1' }, 'scale_contract_version "ci_intensity_v2"'],
    [{ measurement_domain: 'count_amplitude' }, 'measurement_domain "count_intensity"'],
    [{ model: { physics_forward_mode: 'amplitude' } }, 'physics_forward_mode "rectangular_scaled"'],
    [{ torch_loss_mode: 'mae' }, 'torch_loss_mode "poisson"'],
  ])('is contradicted by %j', (file, demanded) => {
    expect(() => train({ profile: 'ci' }, file)).toThrow(`profile ci demands ${demanded}, but `);
  });

  it('survives being written to a file and read again, and the end of the request', () => {
    const { config, provenance } = train({ profile: 'ci' });
    const again = train({}, JSON.parse(JSON.stringify(config)) as Values);
    expect(again.config).toEqual(config);
    const scan = { N: 64, count: 9, origin: 'scan.npz', values: { nphotons: 1e6 } };
    expect(finaliseTrainingConfig(config, scan, provenance).config).toMatchObject(written);
  });
});

describe('torch_loss_mode', () => {
  it('mae becomes the two weights, with a note', () => {
    const { config, notes, provenance } = train({ torch_loss_mode: 'mae' });
    expect(config).toMatchObject({ nll_weight: 0, mae_weight: 1, torch_loss_mode: 'mae' });
    expect(notes).toEqual(['torch_loss_mode mae is nll_weight 0 and mae_weight 1 here.']);
    expect(provenance.mae_weight.source).toBe('flag');
    // Weights that agree stay as they are.
    const agreed = train({ torch_loss_mode: 'mae' }, { nll_weight: 0, mae_weight: 0.5, preset: 'measured' });
    expect(agreed.config.mae_weight).toBe(0.5);
    expect(agreed.notes).toEqual([]);
  });

  it.each<[Values, Values, string | RegExp]>([
    [
      { torch_loss_mode: 'mae' },
      { nll_weight: 1 },
      'torch_loss_mode mae contradicts nll_weight 1; leave one of them out.',
    ],
    [
      { torch_loss_mode: 'mae' },
      { mae_weight: 0 },
      'torch_loss_mode mae contradicts mae_weight 0; leave one of them out.',
    ],
    [
      { torch_loss_mode: 'poisson' },
      { nll_weight: 0, mae_weight: 1 },
      'torch_loss_mode poisson contradicts nll_weight 0',
    ],
    [
      { torch_loss_mode: 'poisson', model_type: 'supervised' },
      {},
      /^model_type supervised .* needs torch_loss_mode mae, got poisson\.$/,
    ],
  ])('%j beside %j is a contradiction', (flags, file, message) => {
    expect(() => train(flags, file)).toThrow(message);
  });

  it('poisson in a file is the published default, which every dump holds', () => {
    const dump = { ...train({ nll_weight: 0, mae_weight: 1 }).config };
    expect(train({}, JSON.parse(JSON.stringify(dump)) as Values).config.mae_weight).toBe(1);
    expect(train({}, { torch_loss_mode: 'poisson', model_type: 'supervised' }).config.model.model_type).toBe(
      'supervised',
    );
  });

  it('is checked where nobody writes it out, too', () => {
    expect(() => trainingRequestSchema.parse({ torch_loss_mode: 'mae', nll_weight: 1 })).toThrow(
      /give these weights with it/,
    );
  });
});

describe('scheduler', () => {
  it.each([
    ['CosineAnnealing', 'WarmupCosine', /^scheduler CosineAnnealing is called WarmupCosine here/],
    ['MultiStage', 'Default', /^scheduler MultiStage is Default here: the stages are set by stage_1_epochs/],
  ])('%s is understood as %s, with a note', (written, value, note) => {
    const { config, notes } = train({ torch_scheduler: written });
    expect(config.scheduler).toBe(value);
    expect(notes).toEqual([expect.stringMatching(note)]);
  });
});

describe('what does nothing or cannot work beside the rest is refused', () => {
  it.each<[Values, RegExp]>([
    [{ tv_weight: 0.1 }, /^tv_weight is a share of the losses of the object, whose weight realspace_weight is 0/],
    [{ realspace_mae_weight: 0.1 }, /^realspace_mae_weight is a share/],
    [{ realspace_weight: 0.1 }, /^realspace_weight weighs nothing/],
    [{ realspace_weight: 1, tv_weight: 1, mae_weight: 0 }, /^mae_weight and nll_weight are both 0/],
    [{ position_trainable: true }, /^position_trainable needs gridsize above 1/],
    [
      { position_trainable: true, gridsize: 2, object_big: false },
      /^position_trainable needs gridsize above 1 and object_big/,
    ],
    [{ architecture: 'baseline' }, /^architecture baseline learns from labels only/],
    [{ model_type: 'supervised', probe_trainable: true }, /^probe_trainable has no part in supervised training/],
    [{ model_type: 'supervised', stage_1_epochs: 1 }, /^stage_1_epochs has no part in supervised training/],
    [
      { model_type: 'supervised', physics_forward_mode: 'rectangular_scaled', cnn_output_mode: 'real_imag' },
      /^physics_forward_mode rectangular_scaled has no part in supervised training/,
    ],
    [{ physics_forward_mode: 'rectangular_scaled' }, /needs cnn_output_mode real_imag\.$/],
    [{ rect_s1s2_init: 'data' }, /^rect_s1s2_init data needs physics_forward_mode rectangular_scaled/],
    [
      { stage_1_epochs: 30, stage_2_epochs: 21, nepochs: 50 },
      /^stage_1_epochs and stage_2_epochs are 51 epochs together, but nepochs is 50/,
    ],
    [{ model_type: 'supervised', mae_weight: 0.5 }, /^mae_weight has no part in supervised training/],
    [{ model_type: 'supervised', gridsize: 2, object_big: false }, /^supervised training .* needs object_big/],
    [{ architecture: 'baseline', model_type: 'supervised', probe_big: false }, /^architecture baseline .* probe_big/],
    [{ cnn_output_mode: 'real_imag', amp_activation: 'relu' }, /^amp_activation relu belongs to an amplitude head/],
    [{ rect_s1s2_trainable: false }, /^rect_s1s2_trainable belongs to physics_forward_mode rectangular_scaled/],
    [
      { torch_mae_pred_l2_match_target: true, nll_weight: 1, mae_weight: 0 },
      /^torch_mae_pred_l2_match_target changes the mean absolute error/,
    ],
    [{ probe_learning_rate: 1e-3 }, /^probe_learning_rate is the step size of a trained probe/],
    [
      { scale_contract_version: 'ci_intensity_v2', measurement_domain: 'normalized_amplitude' },
      /^scale_contract_version ci_intensity_v2 needs counted photons/,
    ],
    [{ do_stitching: true }, /^do_stitching reconstructs test_data_file, which is not given/],
  ])('%j', (flags, message) => {
    expect(() => train(flags)).toThrow(message);
  });

  it.each<[Values]>([
    [{ realspace_weight: 1, realspace_mae_weight: 1, mae_weight: 0 }],
    [{ realspace_weight: 1, tv_weight: 0.5 }],
    [{ position_trainable: true, gridsize: 2 }],
    [{ architecture: 'baseline', model_type: 'supervised' }],
    [{ stage_1_epochs: 25, stage_2_epochs: 25 }],
    [{ do_stitching: true, test_data_file: 'test.npz' }],
  ])('%j works', (flags) => {
    expect(() => train(flags)).not.toThrow();
  });
});
