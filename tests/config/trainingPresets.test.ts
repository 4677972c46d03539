/** The preset `published`: what it stands for, what stands against it, and which files mean it without saying so. */
import { describe, expect, it } from 'vitest';
import { trainingDefinition } from '../../src/config/commands.js';
import { completeConfig, type Layers, resolveConfig } from '../../src/config/resolve.js';
import { trainingRequestSchema } from '../../src/config/schema.js';
import { PUBLISHED_MODEL, PUBLISHED_TRAINING } from '../../src/config/trainingPresets.js';

const train = (layers: Layers) => resolveConfig(trainingDefinition, layers);
const file = (values: Record<string, unknown>): Layers => ({ file: { origin: 'run.yaml', values } });

describe('preset published', () => {
  it('is one line that brings every published value, named in the provenance', () => {
    const { config, provenance } = train(file({ preset: 'published' }));
    // A field of another network has no place in this one.
    const { uno_resized_waves, ...model } = PUBLISHED_MODEL;
    expect(config).toMatchObject({ ...PUBLISHED_TRAINING, preset: 'published', model });
    const uno = train(file({ preset: 'published', model: { architecture: 'neuralop_uno' } })).config;
    expect([uno, config, train({}).config].map((of) => of.model.uno_resized_waves)).toEqual([
      uno_resized_waves,
      'kept',
      'kept',
    ]);
    for (const name of Object.keys({ ...PUBLISHED_TRAINING, ...model })) {
      expect(provenance[name]).toMatchObject({ source: 'file', origin: 'run.yaml' });
    }
    expect(train({ flags: { preset: 'published' } }).provenance.batch_size).toEqual({
      value: 16,
      source: 'flag',
      origin: 'preset published',
    });
    // Every value of it is another one without it.
    const { config: measured } = train({});
    for (const [name, value] of Object.entries(PUBLISHED_TRAINING)) {
      expect((measured as unknown as Record<string, unknown>)[name], name).not.toEqual(value);
    }
    expect(measured.model.n_filters_scale).not.toBe(PUBLISHED_MODEL.n_filters_scale);
  });

  it('leaves what is given, in any layer, and other words', () => {
    const { config } = train({
      flags: { preset: 'published', batch_size: 8 },
      ...file({ model: { n_filters_scale: 3 }, torch_loss_mode: 'mae' }),
    });
    expect(config).toMatchObject({ batch_size: 8, nll_weight: 0, mae_weight: 1, scheduler: 'Default' });
    expect(config.model.n_filters_scale).toBe(3);
    expect(train({ flags: { preset: 'published', mae_weight: 1, nll_weight: 0 } }).config.mae_weight).toBe(1);
  });

  it('is what files of the published tools mean, unless they or a flag say otherwise', () => {
    const dictionary = { 'object.big': true, batch_size: 32 };
    expect(train(file(dictionary)).config).toMatchObject({ preset: 'published', batch_size: 32, nepochs: 50 });
    expect(train({ flags: { preset: 'measured' }, ...file(dictionary) }).config).toMatchObject({
      preset: 'measured',
      nll_weight: 0,
    });
    const blocks = { training_config: { epochs: 7 }, n_groups: 512, train_data_file: 's.npz', nphotons: 1e9 };
    const { config, provenance } = train(file(blocks));
    expect(config).toMatchObject({ preset: 'published', nepochs: 7, input_reference: 'none', auto_restart: false });
    expect(provenance.auto_restart).toEqual({ value: false, source: 'file', origin: 'run.yaml' });
    expect(train(file({ nepochs: 7 })).config).toMatchObject({ preset: 'measured', batch_size: 4 });
  });

  it('is spoken of where a file names none, and means others than it may', () => {
    const { notes } = train({ flags: { batch_size: 8 }, ...file({ nepochs: 7, model: { n_filters_scale: 2 } }) });
    expect(notes).toEqual([
      'run.yaml names no preset: n_groups, nll_weight, mae_weight, torch_loss_mode, scheduler, lr_warmup_epochs, lr_min_ratio, input_reference, auto_restart have the measured defaults; preset: published brings those of the published tools.',
    ]);
    expect(train(file({ nepochs: 7, preset: 'measured' })).notes).toEqual([]);
    expect(train({ flags: { nepochs: 7 } }).notes).toEqual([]);
    const { config } = train({});
    expect(train(file(JSON.parse(JSON.stringify(config)))).notes).toEqual([]);
  });

  it('is refused where nobody writes it out', () => {
    expect(() => trainingRequestSchema.parse({ preset: 'published' })).toThrow('schemas do not write it out');
    expect(() => trainingRequestSchema.parse({ ...PUBLISHED_TRAINING, preset: 'published' })).not.toThrow();
  });
});

describe('auto_restart', () => {
  it('is off in supervised training, and refused where somebody asks for it', () => {
    const supervised = { model_type: 'supervised' };
    expect(train({ flags: supervised }).config.auto_restart).toBe(false);
    expect(() => train({ flags: { ...supervised, auto_restart: true } })).toThrow('auto_restart has no part in');
    const whole = trainingRequestSchema.parse({ model: supervised });
    expect(completeConfig(trainingDefinition, whole).auto_restart).toBe(false);
  });
});

describe('torch_loss_mode', () => {
  it('poisson brings the published weights where none are given', () => {
    for (const layers of [{ flags: { torch_loss_mode: 'poisson' } }, file({ torch_loss_mode: 'poisson' })]) {
      expect(train(layers).config).toMatchObject({ nll_weight: 1, mae_weight: 0 });
    }
    expect(train(file({ torch_loss_mode: 'poisson', nll_weight: 0, mae_weight: 1 })).config.mae_weight).toBe(1);
    expect(train({ flags: { profile: 'ci' } }).config).toMatchObject({ nll_weight: 1, mae_weight: 0 });
  });
});
