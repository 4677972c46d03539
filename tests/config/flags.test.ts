import { describe, expect, it } from 'vitest';
import { comparisonDefinition, inferenceDefinition, trainingDefinition } from '../../src/config/commands.js';
import { allFields } from '../../src/config/definition.js';
import { canonicalArguments, flagHelp, flagSyntax, parseFlagValue, repeatCommand } from '../../src/config/flags.js';
import { PtychoError } from '../../src/core/errors.js';
import type { FieldInfo } from '../../src/core/field.js';

const fields = allFields(trainingDefinition);
const named = (name: string): FieldInfo => fields.find((field) => field.name === name)!;

it('collects texts: one flag, one text', () => {
  const models = allFields(comparisonDefinition).find((field) => field.name === 'models')!;
  expect(models.kind).toBe('texts');
  expect(flagSyntax(models)).toBe('--models <text>');
  expect(parseFlagValue(models, 'A=x,y')).toEqual(['A=x,y']);
  expect(flagHelp(models)).toBe('Another bundle, NAME=PATH; may be repeated. (also --model)');
});

describe('canonicalArguments', () => {
  const canonical = (...words: string[]) => canonicalArguments(words, fields);

  it('understands dashes as underscores', () => {
    expect(canonical('--n-groups', '5', '--n_groups=6', '--N', '64')).toEqual([
      '--n_groups',
      '5',
      '--n_groups=6',
      '--N',
      '64',
    ]);
    expect(canonical('--gaussian-smoothing_sigma=1')).toEqual(['--gaussian_smoothing_sigma=1']);
  });

  it('understands the negative of a boolean in both spellings', () => {
    expect(canonical('--no-probe-big', '--no_object_big', '--no-pad_object')).toEqual([
      '--no-probe_big',
      '--no-object_big',
      '--no-pad_object',
    ]);
    expect(canonical('--no-nepochs')).toEqual(['--no-nepochs']);
  });

  it('keeps a former name, so that its use can be remarked on', () => {
    expect(canonical('--n-images', '5')).toEqual(['--n_images', '5']);
  });

  it('leaves unknown words, values and what follows -- alone', () => {
    const words = ['--n-group', '-q', 'a-b', '--', '--n-groups'];
    expect(canonical(...words)).toEqual(words);
  });

  it('knows the short name of the test data', () => {
    expect(canonicalArguments(['--test-data', 'a.npz'], allFields(inferenceDefinition))).toEqual([
      '--test_data_file',
      'a.npz',
    ]);
  });
});

it('refuses a field that is given by two of its names, and a flag where a path belongs', () => {
  const twice = () => canonicalArguments(['--devices', '2', '--workers', '3'], fields);
  expect(twice).toThrow('--devices and --workers are two names of one flag; leave one of them out.');
  const same = ['--n-groups', '2', '--n_groups', '3', '--no-probe_big', '--probe_big'];
  expect(() => canonicalArguments(same, fields)).not.toThrow();
  expect(() => parseFlagValue(named('output_dir'), '--overwrite')).toThrow(
    '--output_dir needs a path, but the flag --overwrite follows it; name the file or folder behind --output_dir.',
  );
  expect(parseFlagValue(named('output_dir'), '-old/--run')).toBe('-old/--run');
});

describe('flags from fields', () => {
  it.each([
    ['nepochs', '20', 20],
    ['nphotons', '1e9', 1e9],
    ['probe_big', 'False', false],
    ['probe_big', 'true', true],
    ['architecture', 'cnn_cbam', 'cnn_cbam'],
    ['n_groups', 'none', null],
    ['n_groups', 'all', 'all'],
    ['n_groups', '12', 12],
    ['devices', 'auto', 'auto'],
    ['deterministic', 'warn', 'warn'],
    ['deterministic', 'no', false],
    ['output_dir', 'none', 'none'],
    ['probe', 'a.npz:probe', 'a.npz:probe'],
  ])('--%s %s is %j', (name, written, value) => {
    expect(parseFlagValue(named(name), written)).toBe(value);
  });

  it.each([
    ['nepochs', 'many'],
    ['nepochs', ''],
    ['learning_rate', '1e-3x'],
    ['learning_rate', 'Infinity'],
    ['probe_big', 'maybe'],
    ['n_groups', 'many'],
    ['recon_log_fixed_indices', '1,x'],
  ])('--%s %s is a usage error', (name, written) => {
    expect(() => parseFlagValue(named(name), written)).toThrow(PtychoError);
    expect(() => parseFlagValue(named(name), written)).toThrow(new RegExp(`^--${name} must be .*, got `));
  });

  it('show their form, unit and default', () => {
    expect(flagSyntax(named('n_groups'))).toBe('--n_groups <integer|all>');
    expect(flagSyntax(named('n_subsample'))).toBe('--n_subsample <integer>');
    expect(flagSyntax(named('recon_log_fixed_indices'))).toBe('--recon_log_fixed_indices <a,b,…>');
    expect(flagSyntax(named('probe_big'))).toBe('--probe_big [true|false]');
    expect(flagSyntax(named('N'))).toBe('--N <integer>');
    expect(flagSyntax(named('accelerator'))).toBe('--accelerator <name>');
    expect(flagSyntax(named('scheduler'))).toBe('--scheduler <name>');
    expect(flagSyntax(named('output_dir'))).toBe('--output_dir <path>');
    expect(flagHelp(named('scheduler'))).toMatch(
      /\(Default, Exponential, .*; default WarmupCosine; also --torch_scheduler; Adaptive is Default; CosineAnnealing is WarmupCosine; MultiStage is Default\)$/,
    );
    expect(flagHelp(named('n_subsample'))).toBe(
      'Patterns kept before grouping, drawn at random; default: all. (patterns)',
    );
    expect(flagHelp(named('accelerator'))).toMatch(
      /; default auto; also --torch_accelerator; gpu is cuda; mps is webgpu\)$/,
    );
    expect(flagHelp(named('nphotons'))).toMatch(/\(photons; default 1e9\)$/);
    expect(flagHelp(named('test_data_file'))).toMatch(/\(also --test_data\)$/);
    expect(flagHelp(named('nepochs'))).toMatch(
      /^Passes over the training groups; default: as many .* \(epochs; also --max_epochs\)$/,
    );
    // A flag that means something without a value.
    expect(flagSyntax(named('resume'))).toBe('--resume [path]');
  });
});

describe('repeatCommand', () => {
  it('says what was given and nothing else, so that a shell reads it back', () => {
    const entry = (value: unknown, source: 'flag' | 'file' | 'default' | 'metadata' = 'flag') => ({ value, source });
    const command = repeatCommand('solve', {
      test_data_file: entry("it's $HOME.h5"),
      epochs: entry(50, 'default'),
      N: entry(64, 'metadata'),
      seed: entry(-3, 'file'),
      overwrite: entry(true),
      uncertainty: entry(false),
      probe: entry(null),
      centre: entry([1, 2]),
      models: entry(['A=a.zip', 'B=b.zip']),
    });
    expect(command).toBe(
      `ptychopinn solve --test_data_file 'it'\\''s $HOME.h5' --seed=-3 --overwrite --no-uncertainty --probe none --centre 1,2 --models A=a.zip --models B=b.zip`,
    );
    expect(repeatCommand('solve', undefined)).toBeUndefined();
  });
});
