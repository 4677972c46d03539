/** `docs/configuration.md` from the schemas, so that it cannot lag behind them. */

import {
  type ConfigDefinition,
  demoDefinition,
  inferenceDefinition,
  simulationDefinition,
  trainingDefinition,
} from './definition.js';
import type { FieldInfo } from './field.js';

/** The whole document in Markdown; a test keeps the file in `docs/` equal to it. */
export function configurationDocument(): string {
  return [
    '# Configuration',
    '',
    'Generated from `src/config/schema.ts`; a test compares this file with it.',
    '`npx vitest run tests/config -u` writes it anew.',
    '',
    'Every field is a key of a configuration file (`--config FILE`, YAML or JSON), a command-line flag of the same name',
    '(`--n_groups` or `--n-groups`; a boolean is `--x`, `--no-x` or `--x true|false`; `none` stands for null), and a',
    'property of the typed configuration in TypeScript.',
    '',
    'Where a field is given more than once the strongest wins: **flag > file > metadata of the scan > default**.',
    '`config.json` beside every trained bundle lists each value with the place it came from. A key that no field has is an',
    'error. Paths are taken from the working directory.',
    '',
    'In a file the fields of `model` and `execution` may stand in a block of that name or at the top level:',
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
    '`N`, the side of the patterns, always comes from the data; a value given for it is only compared with the data.',
    '',
    '"Legacy key" is the key that the Python tools use for the field in their `params` dictionary; "–" means that the field',
    'never enters it.',
    ...chapter('`ptychopinn train`', trainingDefinition),
    ...chapter('`ptychopinn infer`', inferenceDefinition),
    ...chapter('`ptychopinn simulate`', simulationDefinition),
    ...chapter('`ptychopinn demo`', demoDefinition),
    '',
    '## Departures from the published defaults',
    '',
    '- `backend` is `onnx` (published: `tensorflow`).',
    '- `n_groups` null means one group for each pattern (published: 512 where nothing is given).',
    '- `N` has no default (published: 64, silently).',
    '- The inference configuration holds no `model`: the bundle says what the model is.',
    '- `batch_size` of `infer` is its own field.',
    '',
  ].join('\n');
}

function chapter(title: string, definition: ConfigDefinition<unknown>): string[] {
  const lines = ['', `## ${title}`];
  for (const section of definition.sections) {
    lines.push(
      '',
      `### ${section.title}${section.key === null ? '' : ` (\`${section.key}\`)`}`,
      '',
      '| field | default | accepted | unit | legacy key | meaning |',
      '|---|---|---|---|---|---|',
      ...section.fields.map(row),
    );
  }
  return lines;
}

function row(field: FieldInfo): string {
  const fallback = field.required ? '*needed*' : `\`${JSON.stringify(field.fallback)}\``;
  const cells = [
    `\`${field.name}\``,
    field.name === 'N' && field.required ? '*from the data*' : fallback,
    field.expected,
    field.unit ?? '',
    field.legacyKey === null ? '–' : `\`${field.legacyKey}\``,
    field.description,
  ];
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
