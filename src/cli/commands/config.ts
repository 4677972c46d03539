/** `ptychopinn config`: what a configuration comes to and why, its schema, and its view as a legacy dictionary. */

import { COMMAND_DEFINITIONS, inferenceDefinition, trainingDefinition } from '../../config/commands.js';
import { type ConfigDefinition, jsonSchemaOf, type Layer } from '../../config/definition.js';
import { type LegacyConfig, toLegacyParams } from '../../config/legacy/params.js';
import { loadConfigFile } from '../../config/load.js';
import { type Resolved, resolveConfig } from '../../config/resolve.js';
import { NO_PRESET } from '../../config/trainingPresets.js';
import { isPtychoError, PtychoError } from '../../core/errors.js';
import { wordList } from '../../core/field.js';
import type { ProvenanceEntry } from '../../core/services.js';
import { architecturesWith } from '../../networks/architectures.js';
import { configurationIn } from '../options.js';
import { commandOf, groupOf } from '../run.js';
import { formatTable } from '../terminal.js';

const EXAMPLE = `
Examples:
  ptychopinn config show --config run.yaml
  ptychopinn config show train --config run.yaml --nepochs 5`;

const show = (definition: ConfigDefinition<unknown>, published: boolean) =>
  commandOf({
    definition,
    others: published ? 'published' : 'config',
    json: 'Print configuration, provenance and notes as JSON.',
    // Notes and warnings are part of what is printed.
    level: () => 'ERROR',
    work: async ({ resolved }) => resolved,
    text: (resolved) => shown(definition, resolved),
    always: true,
  });

/** One verb for each command of one word that has a configuration. */
const shows = Object.entries(COMMAND_DEFINITIONS)
  .filter(([name]) => !name.includes(' '))
  .map(
    ([name, definition]) =>
      [
        name,
        'show what this command would run with',
        show(definition, definition === trainingDefinition || definition === inferenceDefinition),
      ] as const,
  );

/** A configuration file as one command reads it. */
interface Reading {
  readonly command: string;
  readonly resolved: Resolved<unknown>;
}

/**
 * What a file means to the commands that can read it, the one that it fits best first.
 * @param name of the only command that counts
 * @throws PtychoError that of the command that knows all of its fields, or of the first one
 */
function readingsOf(file: Layer, name: string | undefined): Reading[] {
  const readings: Reading[] = [];
  const failures: unknown[] = [];
  for (const [command, definition] of Object.entries(COMMAND_DEFINITIONS)) {
    if (name !== undefined && name !== command) continue;
    try {
      readings.push({ command, resolved: resolveConfig(definition, { file }) });
    } catch (error) {
      failures.push(error);
    }
  }
  if (readings.length === 0) {
    throw failures.find((error) => !isPtychoError(error, 'CONFIG_UNKNOWN_KEY')) ?? failures[0] ?? withoutOne(name);
  }
  const remarks = ({ resolved: { notes, warnings } }: Reading) =>
    notes.filter((note) => !note.includes(NO_PRESET)).length + warnings.length;
  return readings.sort((a, b) => remarks(a) - remarks(b));
}

const showFile = commandOf({
  args: { '[COMMAND]': 'The command that is to read the file; the one that it fits when left out.' },
  others: 'config',
  json: 'Print configuration, provenance and notes as JSON.',
  work: async ({ args: [name], given: { config: file } }) => {
    if (typeof file !== 'string') {
      throw new PtychoError('USAGE', 'There is nothing to show; give --config FILE, or a command and its flags.', {
        flag: 'config',
      });
    }
    return readingsOf(configurationIn(await loadConfigFile(file)), name);
  },
  data: ([{ command, resolved }]) => ({ command, ...resolved }),
  text: ([{ command, resolved }, ...others]) => {
    const names = others.map((other) => other.command);
    const also = names.length === 0 ? '' : `; ${wordList(names, 'and')} can read it, too`;
    return `As ${command} reads it${also}.\n\n${shown(COMMAND_DEFINITIONS[command], resolved)}`;
  },
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

const withoutOne = (name: string | undefined) =>
  new PtychoError('USAGE', `${name} has no configuration; the commands that have one are ${NAMES}.`, { found: name });

const schema = commandOf({
  args: { '[COMMAND]': `${NAMES}; all of them when left out` },
  work: async ({ args: [name] }) => {
    if (name === undefined) {
      return Object.fromEntries(Object.entries(COMMAND_DEFINITIONS).map(([key, of]) => [key, jsonSchemaOf(of)]));
    }
    if (Object.hasOwn(COMMAND_DEFINITIONS, name)) return jsonSchemaOf(COMMAND_DEFINITIONS[name]);
    throw withoutOne(name);
  },
  text: (wanted) => `${JSON.stringify(wanted, null, 2)}\n`,
  always: true,
});

export const command = groupOf(
  [
    [
      'show',
      'print the configuration that flags, file and defaults result in, and where each value comes from',
      groupOf(shows, '', showFile),
    ],
    ['schema', 'print the JSON Schema of configuration files', schema],
    [
      'legacy',
      'print the configuration as the params dictionary of the Python tools, as JSON',
      groupOf([
        ['train', 'the dictionary of this command', legacy(trainingDefinition)],
        ['infer', 'the dictionary of this command', legacy(inferenceDefinition)],
      ]),
    ],
  ],
  EXAMPLE,
);

/** Sections as tables; fixed fields that nobody gave, and those of other networks, are counted, not listed. */
function shown(definition: ConfigDefinition<unknown>, { provenance, notes, warnings }: Resolved<unknown>): string {
  const parts: string[] = [];
  let [hidden, idle] = [0, 0];
  const { architecture } = provenance;
  const usedBy = (name: string) =>
    architecture === undefined || architecturesWith(name).includes(String(architecture.value));
  for (const section of definition.sections) {
    const rows: string[][] = [];
    for (const field of section.fields) {
      const entry = provenance[field.name];
      if (field.fixed && entry?.source === 'default') hidden++;
      else if (entry?.source === 'default' && !usedBy(field.name)) idle++;
      else if (entry !== undefined) rows.push(row(field.name, entry));
      else if (!section.claim) rows.push([field.name, '–', 'the data', '']);
    }
    if (rows.length > 0) {
      const table = formatTable(['field', 'value', 'source', 'origin'], rows);
      parts.push(`${section.title}\n${table.replace(/^/gm, '  ')}`);
    }
  }
  parts.push(`${hidden} fields that are fixed in this version have their published defaults (--json shows them).`);
  if (idle > 0)
    parts.push(
      `${idle} fields of other networks than ${String(architecture?.value)} play no part (--json shows them).`,
    );
  const remarks = [...warnings.map((warning) => `warning: ${warning}`), ...notes];
  if (remarks.length > 0) parts.push(remarks.join('\n'));
  return `${parts.join('\n\n')}\n`;
}

function row(name: string, { value, source, origin = '' }: ProvenanceEntry): string[] {
  return [name, typeof value === 'string' ? value : JSON.stringify(value), source, origin];
}
