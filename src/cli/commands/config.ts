/** `ptychopinn config`: what a configuration comes to and why, its schema, and its view as a legacy dictionary. */

import { COMMAND_DEFINITIONS, inferenceDefinition, trainingDefinition } from '../../config/commands.js';
import { type ConfigDefinition, jsonSchemaOf } from '../../config/definition.js';
import { type LegacyConfig, toLegacyParams } from '../../config/legacy/params.js';
import type { Resolved } from '../../config/resolve.js';
import { PtychoError } from '../../core/errors.js';
import type { ProvenanceEntry } from '../../core/services.js';
import { type CommandModule, commandOf, groupOf } from '../run.js';
import { formatTable } from '../terminal.js';

const EXAMPLE = `
Example:
  ptychopinn config show train --config run.yaml --nepochs 5`;

/** The commands with a view as dictionary, each as a command below `show` or `legacy`. */
const runs = (summary: string, of: (definition: ConfigDefinition<LegacyConfig>) => CommandModule) =>
  groupOf([
    ['train', summary, of(trainingDefinition)],
    ['infer', summary, of(inferenceDefinition)],
  ]);

const show = (definition: ConfigDefinition<LegacyConfig>) =>
  commandOf({
    definition,
    others: 'published',
    json: 'Print configuration, provenance and notes as JSON.',
    // Notes and warnings are part of what is printed.
    level: () => 'ERROR',
    work: async ({ resolved }) => resolved,
    text: (resolved) => shown(definition, resolved),
    always: true,
  });

const legacy = (definition: ConfigDefinition<LegacyConfig>) =>
  commandOf({
    definition,
    others: 'published',
    level: () => 'ERROR',
    work: async ({ resolved: { config, warnings, notes }, context }) => {
      for (const note of [...warnings, ...notes]) context.stderr.write(`${note}\n`);
      return toLegacyParams(config);
    },
    text: (params) => `${JSON.stringify(params, null, 2)}\n`,
    always: true,
  });

const NAMES = Object.keys(COMMAND_DEFINITIONS).join(', ');

const schema = commandOf({
  args: { '[COMMAND]': `${NAMES}; all of them when left out` },
  work: async ({ args: [name] }) => {
    if (name === undefined) {
      return Object.fromEntries(Object.entries(COMMAND_DEFINITIONS).map(([key, of]) => [key, jsonSchemaOf(of)]));
    }
    if (Object.hasOwn(COMMAND_DEFINITIONS, name)) return jsonSchemaOf(COMMAND_DEFINITIONS[name]);
    throw new PtychoError('USAGE', `${name} has no configuration; the commands that have one are ${NAMES}.`, {
      found: name,
    });
  },
  text: (wanted) => `${JSON.stringify(wanted, null, 2)}\n`,
  always: true,
});

export const command = groupOf(
  [
    [
      'show',
      'print the configuration that flags, file and defaults result in, and where each value comes from',
      runs('show what this command would run with', show),
    ],
    ['schema', 'print the JSON Schema of configuration files', schema],
    [
      'legacy',
      'print the configuration as the params dictionary of the Python tools, as JSON',
      runs('the dictionary of this command', legacy),
    ],
  ],
  EXAMPLE,
);

/** Sections as tables; fixed fields that nobody gave are counted, not listed. */
function shown(definition: ConfigDefinition<unknown>, { provenance, notes, warnings }: Resolved<unknown>): string {
  const parts: string[] = [];
  let hidden = 0;
  for (const section of definition.sections) {
    const rows: string[][] = [];
    for (const field of section.fields) {
      const entry = provenance[field.name];
      if (field.fixed && entry?.source === 'default') hidden++;
      else if (entry !== undefined) rows.push(row(field.name, entry));
      else if (!section.claim) rows.push([field.name, '–', 'the data', '']);
    }
    if (rows.length > 0) {
      const table = formatTable(['field', 'value', 'source', 'origin'], rows);
      parts.push(`${section.title}\n${table.replace(/^/gm, '  ')}`);
    }
  }
  parts.push(`${hidden} fields that are fixed in this version have their published defaults (--json shows them).`);
  const remarks = [...warnings.map((warning) => `warning: ${warning}`), ...notes];
  if (remarks.length > 0) parts.push(remarks.join('\n'));
  return `${parts.join('\n\n')}\n`;
}

function row(name: string, { value, source, origin = '' }: ProvenanceEntry): string[] {
  return [name, typeof value === 'string' ? value : JSON.stringify(value), source, origin];
}
