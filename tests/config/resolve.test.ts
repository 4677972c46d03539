import { describe, expect, it } from 'vitest';
import { inferenceDefinition, trainingDefinition } from '../../src/config/commands.js';
import { finaliseTrainingConfig } from '../../src/config/finalise.js';
import { completeConfig, type Layers, resolveConfig } from '../../src/config/resolve.js';
import { modelConfigSchema, trainingRequestSchema } from '../../src/config/schema.js';
import { checkModelClaim } from '../../src/config/schemas/model.js';
import { isPtychoError, type PtychoError } from '../../src/core/errors.js';
import { acceptName } from '../../src/core/field.js';

const train = (layers: Layers) => resolveConfig(trainingDefinition, layers);

function failure(action: () => unknown): PtychoError {
  try {
    action();
  } catch (error) {
    if (isPtychoError(error)) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('names that programs register', () => {
  it('stand in configurations while they are registered, and only there', () => {
    const given = { train_data_file: 's.npz', backend: 'mine', data: { data_format: 'lab' } };
    expect(() => completeConfig(trainingDefinition, given)).toThrow(/^backend must be onnx or tensorflow, got "mine"/);
    const forget = [acceptName('backend', 'mine'), acceptName('data_format', 'lab')];
    const config = completeConfig(trainingDefinition, given);
    expect(config).toMatchObject({ backend: 'mine', data: { data_format: 'lab', flip_x: false }, batch_size: 4 });
    const { provenance } = resolveConfig(trainingDefinition, { file: { origin: 'a.yaml', values: given } });
    expect(provenance.backend).toEqual({ value: 'mine', source: 'file', origin: 'a.yaml' });
    expect(() => completeConfig(trainingDefinition, { ...given, backend: 'yours' })).toThrow(/got "yours"/);
    for (const one of forget) one();
    expect(() => completeConfig(trainingDefinition, given)).toThrow(/got "mine"/);
  });
});

describe('resolveConfig', () => {
  const file = { origin: 'run.yaml', values: { nepochs: 20, batch_size: 8, nphotons: 1e5, model: { gridsize: 2 } } };
  const metadata = { origin: 'scan.npz', values: { nphotons: 1e6, n_filters_scale: 1 } };

  it('takes flag before file before metadata before default, and says so', () => {
    const { config, provenance } = train({ flags: { nepochs: 5, threads: 2 }, file, metadata });
    expect(config.nepochs).toBe(5);
    expect(config.batch_size).toBe(8);
    expect(config.nphotons).toBe(1e5);
    expect(config.model.gridsize).toBe(2);
    expect(config.model.n_filters_scale).toBe(1);
    expect(config.execution.threads).toBe(2);
    expect(config.learning_rate).toBe(1e-3);
    expect(provenance.nepochs).toEqual({ value: 5, source: 'flag' });
    expect(provenance.gridsize).toEqual({ value: 2, source: 'file', origin: 'run.yaml' });
    expect(provenance.n_filters_scale).toEqual({ value: 1, source: 'metadata', origin: 'scan.npz' });
    expect(provenance.learning_rate).toEqual({ value: 1e-3, source: 'default' });
    expect(provenance.threads).toEqual({ value: 2, source: 'flag' });
  });

  it('a flag that was not given never overwrites the file', () => {
    const { config } = train({ flags: { nepochs: undefined, batch_size: undefined }, file });
    expect([config.nepochs, config.batch_size]).toEqual([20, 8]);
  });

  it('null is a value, where the field allows it', () => {
    const { config, provenance } = train({
      flags: { n_groups: null },
      file: { origin: 'run.yaml', values: { n_groups: 64 } },
    });
    expect(config.n_groups).toBeNull();
    expect(provenance.n_groups.source).toBe('flag');
    expect(failure(() => train({ flags: { batch_size: null } })).code).toBe('CONFIG_INVALID');
  });

  it('leaves N out unless somebody gave it', () => {
    const { config, provenance } = train({});
    expect('N' in config.model).toBe(false);
    expect(provenance.N).toBeUndefined();
    expect(train({ flags: { N: 128 } }).config.model.N).toBe(128);
  });

  it('freezes what it returns, all the way down', () => {
    const { config, provenance } = train({ file });
    expect(Object.isFrozen(config) && Object.isFrozen(config.model) && Object.isFrozen(config.execution)).toBe(true);
    expect(Object.isFrozen(provenance) && Object.isFrozen(provenance.nepochs)).toBe(true);
  });

  it('accepts model fields flat or nested, but not twice with different values', () => {
    const nested = { origin: 'a.yaml', values: { model: { gridsize: 2 }, execution: { threads: 1 } } };
    const flat = { origin: 'a.yaml', values: { gridsize: 2, threads: 1 } };
    expect(train({ file: nested }).config).toEqual(train({ file: flat }).config);
    const twice = { origin: 'a.yaml', values: { gridsize: 1, model: { gridsize: 2 } } };
    expect(failure(() => train({ file: twice })).message).toBe(
      'a.yaml gives gridsize twice, as 1 and, at model.gridsize, as 2; keep one of them.',
    );
    expect(failure(() => train({ file: { origin: 'a.yaml', values: { model: 3 } } })).message).toContain('block');
  });

  it.each([
    ['nepoch', 'nepochs'],
    ['n-groups', 'n_groups'],
    ['n', 'N'],
    ['learningrate', 'learning_rate'],
    ['Gridsize', 'gridsize'],
    ['epochs', 'nepochs'],
  ])('unknown key %s: did you mean %s', (key, meant) => {
    const error = failure(() => train({ file: { origin: 'run.yaml', values: { [key]: 1 } } }));
    expect(error.code).toBe('CONFIG_UNKNOWN_KEY');
    expect(error.message).toBe(`run.yaml: unknown key ${key}; did you mean ${meant}?`);
    expect(error.fields.suggestion).toBe(meant);
  });

  it('suggests nothing for a key that is near to none, and looks inside blocks', () => {
    const far = failure(() => train({ file: { origin: 'run.yaml', values: { tomography_angle: 1 } } }));
    expect(far.message).toBe('run.yaml: unknown key tomography_angle; docs/configuration.md lists every field.');
    const inside = failure(() => train({ file: { origin: 'run.yaml', values: { model: { gridsiz: 1 } } } }));
    expect(inside.message).toBe('run.yaml: unknown key model.gridsiz; did you mean gridsize?');
    expect(failure(() => train({ file: { origin: 'x', values: { model: { nepochs: 1 } } } })).code).toBe(
      'CONFIG_UNKNOWN_KEY',
    );
  });

  it('names the field, what is accepted, the value and its place', () => {
    expect(failure(() => train({ flags: { batch_size: 12 } })).message).toBe(
      'batch_size must be a positive power of two, got 12 (--batch_size).',
    );
    expect(failure(() => train({ file: { origin: 'run.yaml', values: { precision: 'bf16' } } })).message).toMatch(
      /^precision: bf16-mixed is not available in this version; only .* are \(no engine/,
    );
    expect(failure(() => train({ flags: { gridsize: 3 } })).message).toBe(
      'neighbor_count (4) must be at least gridsize² (9), the patterns of one group; give --neighbor_count 9 or more, or --gridsize 1.',
    );
    expect(failure(() => train({ flags: { N: 100 } })).message).toBe(
      'N must be a multiple of 16 from 16 to 512 (crop_px and pad_to change that of a scan), got 100 (--N).',
    );
    expect(failure(() => resolveConfig(inferenceDefinition, { flags: {} })).message).toMatch(/^model_path is needed: /);
  });

  it('replaces other words for a value and says so', () => {
    const { config, provenance, notes } = train({
      flags: { backend: 'tf', accelerator: 'gpu' },
      file: { origin: 'run.yaml', values: { amp_activation: 'silu', preset: 'measured' } },
    });
    expect([config.backend, config.execution.accelerator, config.model.amp_activation]).toEqual([
      'tensorflow',
      'cuda',
      'swish',
    ]);
    expect(provenance.backend).toEqual({ value: 'tensorflow', source: 'flag' });
    expect(notes).toEqual([
      'amp_activation silu is called swish here.',
      'backend tf is short for tensorflow.',
      'accelerator gpu means cuda; webgpu is any GPU.',
    ]);
    const pytorch = train({ flags: { backend: 'pytorch' } });
    expect(pytorch.config.backend).toBe('onnx');
    expect(pytorch.notes).toEqual([expect.stringMatching(/^backend pytorch means onnx here: /)]);
    expect(failure(() => train({ flags: { backend: 'jax' } })).message).toBe(
      'backend must be onnx or tensorflow, got "jax" (--backend).',
    );
  });

  it('takes n_images for n_groups, with one warning, but not both', () => {
    const values = { n_images: 64 };
    const { config, warnings } = train({ flags: values, file: { origin: 'a.yaml', values } });
    expect(config.n_groups).toBe(64);
    expect(warnings).toEqual(['n_images is the former name of n_groups; write n_groups.']);
    expect(train({ flags: { n_images: 5, n_groups: 5 } }).config.n_groups).toBe(5);
    expect(failure(() => train({ flags: { n_images: 5, n_groups: 6 } })).message).toBe(
      'The configuration gives n_groups twice, as 5 and, at n_groups, as 6; keep one of them.',
    );
    const infer = { model_path: 'm', test_data_file: 's.npz', n_images: 9 };
    expect(resolveConfig(inferenceDefinition, { flags: infer }).config.n_groups).toBe(9);
  });

  it('moves training fields out of an execution block', () => {
    const execution = { learning_rate: 0.01, scheduler: 'Exponential', gradient_clip_val: null, threads: 2 };
    const { config, provenance } = train({ file: { origin: 'a.yaml', values: { execution } } });
    expect([config.learning_rate, config.scheduler, config.execution.threads]).toEqual([0.01, 'Exponential', 2]);
    expect(provenance.learning_rate).toEqual({ value: 0.01, source: 'file', origin: 'a.yaml' });
    const twice = { learning_rate: 0.1, execution };
    expect(failure(() => train({ file: { origin: 'a.yaml', values: twice } })).message).toBe(
      'a.yaml gives learning_rate twice, as 0.1 and, at execution.learning_rate, as 0.01; keep one of them.',
    );
    const infer = resolveConfig(inferenceDefinition, {
      flags: { model_path: 'm', test_data_file: 's.npz' },
      file: { origin: 'a.yaml', values: { execution } },
    });
    expect(infer.config.execution.threads).toBe(2);
    expect(infer.notes).toContain('a.yaml: learning_rate plays no part in inference and was left out.');
  });

  it('lets engine choose among those of TensorFlow.js only', () => {
    expect(train({ flags: { engine: 'wasm', backend: 'tf' } }).config.execution.engine).toBe('wasm');
    expect(failure(() => train({ flags: { engine: 'wasm' } })).message).toBe(
      'engine: wasm is an engine of TensorFlow.js and needs backend tensorflow; leave engine out, or set backend to tensorflow.',
    );
  });

  it('takes what a file says about the model of a reconstruction as a claim', () => {
    const flags = { model_path: 'm', test_data_file: 's.npz' };
    const file = { origin: 'a.yaml', values: { gridsize: 2, model: { N: 64 } } };
    const { config, provenance } = resolveConfig(inferenceDefinition, { flags, file });
    expect(config.model).toEqual({ gridsize: 2, N: 64 });
    expect(provenance.architecture).toBeUndefined();
    const model = modelConfigSchema.parse({ N: 64, gridsize: 1 });
    expect(() => checkModelClaim({ N: 64 }, model, 'run')).not.toThrow();
    expect(() => checkModelClaim(undefined, model, 'run')).not.toThrow();
    expect(failure(() => checkModelClaim(config.model, model, 'run')).message).toBe(
      'gridsize is given as 2, but the model in run was trained with 1; leave gridsize out, the bundle decides.',
    );
  });

  it('knows one number for the groups of a prediction', () => {
    const flags = { model_path: 'm', test_data_file: 's.npz', batch_size: 8 };
    expect(
      failure(() => resolveConfig(inferenceDefinition, { flags: { ...flags, inference_batch_size: 4 } })).message,
    ).toBe('batch_size is 8, but inference_batch_size, which means the same, is 4; keep one of them.');
    expect(train({ flags: { batch_size: 8, inference_batch_size: 4 } }).config.batch_size).toBe(8);
  });

  it('is not fooled by keys of the prototype', () => {
    const values = JSON.parse('{"__proto__": {"nepochs": 1}}');
    expect(failure(() => train({ file: { origin: 'x.json', values } })).code).toBe('CONFIG_UNKNOWN_KEY');
    expect(failure(() => train({ file: { origin: 'x.json', values: { toString: 1 } } })).code).toBe(
      'CONFIG_UNKNOWN_KEY',
    );
  });
});

describe('finaliseTrainingConfig', () => {
  const request = train({ flags: { nepochs: 3 } });

  it('takes N from the data and records it', () => {
    const { config, provenance } = finaliseTrainingConfig(
      request.config,
      { N: 128, origin: 'scan.npz', count: 400 },
      request.provenance,
    );
    expect(config.model.N).toBe(128);
    expect(config.nepochs).toBe(3);
    expect(provenance.N).toEqual({ value: 128, source: 'metadata', origin: 'scan.npz' });
    expect(provenance.nepochs).toEqual({ value: 3, source: 'flag' });
    expect(Object.isFrozen(config.model)).toBe(true);
  });

  it('lets metadata replace a default but nothing that was given', () => {
    const dataset = { N: 64, origin: 'scan.npz', count: 400, values: { nphotons: 1e6, nepochs: 7, wavelength: 3 } };
    const { config, provenance } = finaliseTrainingConfig(request.config, dataset, request.provenance);
    expect(config.nphotons).toBe(1e6);
    expect(provenance.nphotons).toEqual({ value: 1e6, source: 'metadata', origin: 'scan.npz' });
    expect(config.nepochs).toBe(3);
  });

  it('without provenance every value counts as given by the caller', () => {
    const plain = trainingRequestSchema.parse({});
    const { config, provenance } = finaliseTrainingConfig(plain, {
      N: 64,
      count: 400,
      origin: 'scan.npz',
      values: { nphotons: 1e6 },
    });
    expect(config.nphotons).toBe(1e9);
    expect(provenance.nphotons).toEqual({ value: 1e9, source: 'caller' });
  });

  it.each([
    [{}, 600, 600, 'default', undefined],
    [
      { preset: 'published' },
      400,
      400,
      'default',
      /^n_groups is 400: the published number is 512, and scan.npz has 400 patterns\.$/,
    ],
    [{ preset: 'published' }, 512, 512, 'default', undefined],
    [
      { n_groups: null },
      600,
      512,
      'default',
      /^n_groups is 512, the published number, of 600 patterns in scan.npz; n_groups all /,
    ],
    [{ n_groups: 'all' }, 600, 600, 'flag', undefined],
    [{ n_groups: 700 }, 600, 700, 'flag', undefined],
  ] as const)('%j of %i patterns are %i groups', (flags, count, n_groups, source, note) => {
    const asked = train({ flags: { nepochs: 3, ...flags } });
    const { config, provenance, notes } = finaliseTrainingConfig(
      asked.config,
      { N: 64, origin: 'scan.npz', count },
      asked.provenance,
    );
    expect(config.n_groups).toBe(n_groups);
    expect(provenance.n_groups).toEqual({ value: n_groups, source });
    expect(notes).toEqual(note ? [expect.stringMatching(note)] : []);
  });

  it.each([
    [64, 289, 42],
    [128, 516, 16],
    [64, 1089, 11],
    [64, 20, 50],
    [64, 1e5, 4],
  ])('N %i and %i patterns are %i epochs, the same on every machine', (N, count, epochs) => {
    const asked = train({});
    const { config, provenance, notes } = finaliseTrainingConfig(
      asked.config,
      { N, origin: 'scan.npz', count },
      asked.provenance,
    );
    expect(config.nepochs).toBe(epochs);
    expect(provenance.nepochs).toEqual({ value: epochs, source: 'default' });
    expect(notes).toEqual([`nepochs is ${epochs}, as suits ${count} groups of N ${N}.`]);
  });

  it('refuses a contradiction and an unsupported side', () => {
    const given = train({ flags: { N: 64 } });
    const clash = failure(() => finaliseTrainingConfig(given.config, { N: 128, origin: 'scan.npz', count: 400 }));
    expect(clash.message).toBe(
      'N is given as 64, but the patterns in scan.npz are 128 × 128; leave N out, it is taken from the file.',
    );
    const odd = failure(() => finaliseTrainingConfig(request.config, { N: 100, origin: 'scan.npz', count: 400 }));
    expect(odd.message).toBe(
      'The patterns in scan.npz are 100 × 100, but networks take a multiple of 16 from 16 to 512; cut them with crop_px (--crop_px 96), or surround them with empty pixels by pad_to (--pad_to 112).',
    );
    expect(odd.code).toBe('CONFIG_INVALID');
    const { config } = finaliseTrainingConfig(request.config, { N: 96, origin: 'scan.npz', count: 400 });
    expect(config.model.N).toBe(96);
  });
});
