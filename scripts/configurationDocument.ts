/** `docs/configuration.md` from the schemas, so that it cannot lag behind them: `npm run docs:configuration` writes it. */

import { COMMAND_DEFINITIONS, trainingDefinition } from '../src/config/commands.js';
import { allFields, type ConfigDefinition, type Section } from '../src/config/definition.js';
import { KEY_MAPPINGS, LEGACY_WITHOUT_PART } from '../src/config/legacy/dictionary.js';
import { TORCH_FIELDS, type TorchBlock, type TorchField, torchFieldsOf } from '../src/config/torch/fields.js';
import { PUBLISHED_MODEL, PUBLISHED_TRAINING } from '../src/config/trainingPresets.js';
import type { FieldInfo } from '../src/core/field.js';

/** The whole document in Markdown; a test keeps the file in `docs/` equal to it. */
export function configurationDocument(): string {
  return [
    '# Configuration',
    '',
    'Generated from the schemas in `src/config`; a test compares this file with them.',
    '`npm run docs:configuration` rewrites it.',
    '',
    'Every field is a key of a configuration file (`--config FILE`, YAML or JSON), a command-line flag of the same name',
    '(`--n_groups` or `--n-groups`; a boolean is `--x`, `--no-x` or `--x true|false`; `none` stands for null), and a',
    'property of the typed configuration in TypeScript.',
    '',
    'If a field is given more than once, the strongest source wins: **flag > file > metadata of the scan > default**.',
    '`ptychopinn config show COMMAND` prints the configuration that its flags result in and where each value comes from, and',
    '`ptychopinn config show --config FILE` what a file means to the command that it fits best;',
    '`config.json` beside every trained bundle holds the same. `ptychopinn config schema` prints JSON Schema. An unknown key',
    'is an error. Paths are relative to the working directory.',
    '',
    'In a file the fields of `model`, `data` and `execution` may stand in a block of that name or at the top level:',
    '',
    '```yaml',
    'train_data_file: scan.npz',
    'output_dir: run',
    'nepochs: 40',
    'model:',
    '  gridsize: 2',
    'execution:',
    '  threads: 4',
    '```',
    '',
    '`N`, the side of the patterns, always comes from the data; a value given for it is only checked against them.',
    '',
    '"Legacy key" is the key that the Python tools use for the field in their `params` dictionary; "–" means that the field',
    'never enters it. The tables "fixed in this version" list published fields that have no effect here: old',
    'configurations load; other values than the one in the table raise an error that names the field.',
    ...Object.entries(COMMAND_DEFINITIONS).flatMap(([name, definition]) =>
      chapter(`\`ptychopinn ${name}\``, definition),
    ),
    ...legacyChapter(),
    ...torchChapter(),
    '',
    '## Departures from the published configuration',
    '',
    '- `backend` is `onnx` (published: `tensorflow`). `tf` is short for `tensorflow`; `pytorch` means `onnx`, which takes the',
    '  place of PyTorch in the published tools.',
    '- `N` has no default (published: 64, silently).',
    '- The defaults of a training are others: see `preset: published`.',
    '- The published default of `n_groups` (512) is never more than there are patterns; the word `all` takes one group for each.',
    '- The model of a reconstruction is that of its bundle; a `model` block for `infer` is only checked against it.',
    '- `learning_rate`, `scheduler`, `gradient_clip_val` and `gradient_clip_algorithm` live once, in training; written in an',
    '  `execution` block, as published, they are moved there.',
    '- `scheduler` has one set of words everywhere, those of training; CosineAnnealing is understood as WarmupCosine, MultiStage',
    '  as Default with the stages of `stage_1_epochs` and `stage_2_epochs`.',
    '- `torch_loss_mode`, `profile` and `preset` are words for other fields: they are expanded when a configuration is made, and refused',
    '  if a given field says otherwise.',
    '- A field that would have no effect beside the others is refused (`tv_weight` without `realspace_weight`, `position_trainable` with',
    '  gridsize 1, physics in supervised training, …).',
    '- `batch_size` of `infer` is its own field.',
    '- Values are checked when the configuration is made, not when a model is built.',
    '',
  ].join('\n');
}

function chapter(title: string, definition: ConfigDefinition<unknown>): string[] {
  const lines = ['', `## ${title}`];
  for (const section of definition.sections) lines.push(...sectionLines(section, definition));
  if (definition === trainingDefinition) lines.push(...presetLines());
  return lines;
}

/** What the other preset of a training stands for. */
function presetLines(): string[] {
  const values = Object.entries({ ...PUBLISHED_TRAINING, ...PUBLISHED_MODEL });
  const fields = new Map(allFields(trainingDefinition).map((field) => [field.name, field]));
  return [
    '',
    '### `preset: published`',
    '',
    'The defaults above were chosen by measurement ([results.md](results.md#does-it-learn)). One line, `preset: published` in a file or',
    '`--preset published`, brings those of the published tools where no other value is given:',
    '',
    '| field | measured | published |',
    '|---|---|---|',
    ...values.map(([name, value]) =>
      cells(`\`${name}\``, `\`${JSON.stringify(fields.get(name)?.fallback)}\``, `\`${JSON.stringify(value)}\``),
    ),
    '',
    'Files that only the published tools write (blocks `…_config`, or keys of the `params` dictionary) mean this preset without',
    'naming it; one of the TensorFlow tools that holds nothing but fields of the tables above is like any other file here, and needs',
    'the line.',
  ];
}

function sectionLines(section: Section, definition: ConfigDefinition<unknown>): string[] {
  const heading = `### ${section.title}${section.key === null ? '' : ` (\`${section.key}\`)`}`;
  if (section.claim) {
    return [
      '',
      heading,
      '',
      'There are no flags for these: a file may state fields of the model, which are checked against the bundle; a difference',
      'is an error.',
    ];
  }
  // Blocks that several commands share are printed once.
  if (definition !== trainingDefinition && section.key !== null) return ['', heading, '', asForTraining(section)];
  const fixed = section.fields.filter((field) => field.fixed);
  const lines = [
    '',
    heading,
    '',
    '| field | default | accepted | unit | legacy key | meaning |',
    '|---|---|---|---|---|---|',
    ...section.fields.filter((field) => !field.fixed).map(row),
  ];
  if (fixed.length > 0) {
    lines.push(
      '',
      `Fixed in this version (${section.title.toLowerCase()}):`,
      '',
      '| field | value | not available | unit | legacy key | meaning |',
      '|---|---|---|---|---|---|',
      ...fixed.map(fixedRow),
    );
  }
  return lines;
}

function asForTraining({ key, fields }: Section): string {
  const whole = trainingDefinition.sections.find((section) => section.key === key);
  const missing = (whole?.fields ?? []).filter((field) => !fields.some(({ name }) => name === field.name));
  if (missing.length === 0) return 'As for `train`.';
  return `As for \`train\`, without ${missing.map(({ name }) => `\`${name}\``).join(', ')}.`;
}

function row(field: FieldInfo): string {
  const fallback = field.required ? '*needed*' : `\`${JSON.stringify(field.fallback)}\``;
  const also = Object.entries(field.valueAliases).map(([word, { value }]) => `\`${word}\` = \`${String(value)}\``);
  const former = field.formerly.map((name) => ` Formerly \`${name}\`.`);
  const aliases = field.aliases.length > 0 ? ` Also ${listed(field.aliases)}.` : '';
  const refused =
    field.unavailable.length > 0 ? ` Not available in this version: ${field.unavailable.join(', ')}.` : '';
  return cells(
    `\`${field.name}\``,
    field.name === 'N' && field.required ? '*from the data*' : fallback,
    [field.expected, ...also].join('; '),
    field.unit ?? '',
    legacyKey(field),
    field.description + refused + aliases + former.join(''),
  );
}

function fixedRow(field: FieldInfo): string {
  const others = field.unavailable.length > 0 ? field.unavailable.join(', ') : 'any other';
  return cells(
    `\`${field.name}\``,
    `\`${JSON.stringify(field.fallback)}\``,
    others,
    field.unit ?? '',
    legacyKey(field),
    field.description,
  );
}

function legacyKey(field: FieldInfo): string {
  return field.legacyKey === null ? '–' : `\`${field.legacyKey}\``;
}

function legacyChapter(): string[] {
  return [
    '',
    '## The `params` dictionary',
    '',
    'A file may use legacy keys, or be a whole dump of the dictionary. Every field keeps its name there except these:',
    '',
    '| field | legacy key |',
    '|---|---|',
    ...Object.entries(KEY_MAPPINGS).map(([name, key]) => cells(`\`${name}\``, `\`${key}\``)),
    '',
    `Keys that shape simulated data, name files or hold computed state are left out with a note: ${listed(LEGACY_WITHOUT_PART)};`,
    'in such a dump, so are keys of the other command.',
    '',
    '`ptychopinn config legacy train|infer` prints the dictionary of a configuration; `toLegacyParams`, `updateLegacyDict`,',
    '`fromLegacyParams`, `derivedParams` and `LegacyParams` are its library. Null leaves a key as it is, execution settings',
    'never enter it, and nothing numeric reads it.',
  ];
}

function torchChapter(): string[] {
  const lines = [
    '',
    '## PyTorch-style configurations',
    '',
    'A file is of this style if its top level has one of the blocks `data_config`, `model_config`, `training_config`,',
    '`inference_config`, `datagen_config`, `training` or `inference` (`data` and `model` then are of this style, too).',
    'What a block leaves out has the default of that family, except `N`, which comes from the data. Fields of this package',
    'may stand beside the blocks and override them; `n_groups`, `train_data_file` and, because the families disagree on its',
    'default, `nphotons` must be given there or as flags. `profile: ci` is understood. `fromTorchConfigs` does the same for',
    'objects.',
  ];
  for (const block of Object.keys(TORCH_FIELDS) as TorchBlock[]) {
    lines.push(
      '',
      `### \`${block}_config\``,
      '',
      '| name there | default there | here |',
      '|---|---|---|',
      ...Object.entries(torchFieldsOf(block)).map(([name, field]) => torchRow(name, field)),
    );
  }
  return lines;
}

/** Fields that are judged together, in words. */
const SPECIAL: Readonly<Record<string, string>> = {
  scale_contract_version:
    'with `measurement_domain`, both or neither: ci_intensity_v2 with count_intensity, legacy_v1 with normalized_amplitude; `scale_contract_version` where physics_forward_mode is rectangular_scaled',
  measurement_domain: '`measurement_domain`, with scale_contract_version',
  C: 'must be the patterns of a group',
  C_model: 'must be the patterns of a group',
  C_forward: 'must be the patterns of a group',
  grid_size: '`gridsize`; must be square',
  probe_mask: '`probe_mask`; a tensor is true',
  probe_mask_tensor: '`probe_mask`; a tensor is true',
  nll: '`nll_weight` 1 or 0',
  torch_loss_mode: 'mae is `nll_weight` 0 and `mae_weight` 1; with mode Supervised it must be mae',
  loss_function: 'only the default, torch_loss_mode chooses the loss',
  amplitude_physics_gain: 'only the default',
  stage_3_epochs: '`nepochs`, the sum of the three stages',
};

function torchRow(name: string, field: TorchField): string {
  const fallback = field.fallback === undefined ? '–' : `\`${JSON.stringify(field.fallback)}\``;
  const only =
    field.also && field.also.length > 0
      ? `only the default or ${field.also.map(String).join(', ')}`
      : 'only the default';
  let here = SPECIAL[name] ?? only;
  if (field.to !== undefined) {
    const word = field.convert?.(field.fallback, name);
    here = `\`${field.to}\`${word === undefined || word === field.fallback ? '' : ` (\`${String(word)}\`)`}`;
  }
  return cells(`\`${name}\``, fallback, here);
}

function listed(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

function cells(...values: readonly string[]): string {
  return `| ${values.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
