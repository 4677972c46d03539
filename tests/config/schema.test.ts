import { describe, expect, it } from 'vitest';
import {
  demoDefinition,
  inferenceDefinition,
  simulationDefinition,
  trainingDefinition,
} from '../../src/config/commands.js';
import { allFields } from '../../src/config/definition.js';
import {
  inferenceConfigSchema,
  modelConfigSchema,
  type TrainingConfig,
  type TrainingRequest,
  trainingConfigSchema,
} from '../../src/config/schema.js';

describe('configuration schemas', () => {
  it('give the measured defaults', () => {
    const { model, execution, ...training } = trainingConfigSchema.parse({ model: { N: 64 } });
    expect(model).toMatchObject({
      N: 64,
      gridsize: 1,
      architecture: 'cnn',
      cbam_encoder: true,
      n_filters_scale: 1,
      amp_activation: 'sigmoid',
      object_big: true,
      probe_big: true,
      probe_mask: false,
      pad_object: true,
      gaussian_smoothing_sigma: 0,
    });
    expect(training).toMatchObject({ batch_size: 4, nepochs: 50, mae_weight: 1, nll_weight: 0, nphotons: 1e9 });
    expect(training).toMatchObject({ neighbor_count: 4, learning_rate: 1e-3, scheduler: 'WarmupCosine', seed: 0 });
    expect(training).toMatchObject({ output_dir: 'training_outputs', backend: 'onnx' });
    expect(execution).toMatchObject({ accelerator: 'auto', engine: null, threads: null, inference_batch_size: null });
  });

  it('have no default for N: it comes from the data', () => {
    expect(modelConfigSchema.safeParse({}).success).toBe(false);
    expect(trainingConfigSchema.safeParse({}).success).toBe(false);
    for (const N of [16, 64, 96, 128, 256, 512]) expect(modelConfigSchema.parse({ N }).N).toBe(N);
    for (const N of [8, 100, 520]) expect(modelConfigSchema.safeParse({ N }).success).toBe(false);
  });

  it.each([
    ['batch_size', 12],
    ['batch_size', 0],
    ['batch_size', 2.5],
    ['nepochs', 0],
    ['mae_weight', 1.5],
    ['nll_weight', -0.1],
    ['nphotons', 0],
    ['learning_rate', Number.NaN],
    ['learning_rate', null],
    ['plateau_factor', 1],
    ['val_fraction', 1],
    ['threads', 0],
    ['n_groups', -1],
    ['scheduler', 'CosineAnnealing'],
  ])('refuse %s = %s', (name, value) => {
    const input = name === 'threads' ? { execution: { threads: value } } : { [name]: value };
    expect(trainingConfigSchema.safeParse({ model: { N: 64 }, ...input }).success).toBe(false);
  });

  it('refuse the word "False" for a boolean', () => {
    expect(modelConfigSchema.safeParse({ N: 64, probe_mask: 'False' }).success).toBe(false);
  });

  it('refuse keys that no field has, at every level', () => {
    expect(trainingConfigSchema.safeParse({ model: { N: 64, gridsise: 2 } }).success).toBe(false);
    expect(trainingConfigSchema.safeParse({ model: { N: 64 }, nepoch: 2 }).success).toBe(false);
    expect(inferenceConfigSchema.safeParse({ model_path: 'm', test_data_file: 't', gridsize: 2 }).success).toBe(false);
  });

  it('check what belongs together', () => {
    expect(trainingConfigSchema.safeParse({ model: { N: 64, gridsize: 3 }, neighbor_count: 8 }).success).toBe(false);
    expect(trainingConfigSchema.safeParse({ model: { N: 64, gridsize: 3 }, neighbor_count: 9 }).success).toBe(true);
    expect(trainingConfigSchema.safeParse({ model: { N: 64 }, neighbor_count: 1 }).success).toBe(true);
    expect(trainingConfigSchema.safeParse({ model: { N: 64 }, mae_weight: 0 }).success).toBe(false);
    expect(trainingConfigSchema.safeParse({ model: { N: 64 }, nll_weight: 1, mae_weight: 0 }).success).toBe(true);
  });

  it('a training configuration is also a request', () => {
    const config: TrainingConfig = trainingConfigSchema.parse({ model: { N: 128 } });
    const request: TrainingRequest = config;
    expect(request.model.N).toBe(128);
  });

  it.each([trainingDefinition, inferenceDefinition, simulationDefinition, demoDefinition])(
    'every field of $name is described and named once',
    (definition) => {
      const fields = allFields(definition);
      for (const field of fields) {
        expect(field.description, field.name).toMatch(/^[A-Z0-9].*\.$/);
        expect(field.expected, field.name).not.toBe('');
        // What the type says must be what the words say.
        if (field.choices && field.fallback !== undefined && field.fallback !== null)
          expect(field.choices).toContain(field.fallback);
      }
      const names = fields.flatMap((field) => [field.name, ...field.aliases, ...field.formerly]);
      expect(new Set(names).size).toBe(names.length);
    },
  );

  it('keeps the legacy keys of the published mapping', () => {
    const keys = Object.fromEntries(allFields(trainingDefinition).map((field) => [field.name, field.legacyKey]));
    expect(keys).toMatchObject({
      N: 'N',
      object_big: 'object.big',
      probe_big: 'probe.big',
      probe_mask: 'probe.mask',
      intensity_scale_trainable: 'intensity_scale.trainable',
      output_dir: 'output_prefix',
      train_data_file: 'train_data_file_path',
      test_data_file: 'test_data_file_path',
      accelerator: null,
      threads: null,
    });
  });
});
