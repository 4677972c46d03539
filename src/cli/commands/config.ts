/** `ptychopinn config`: what a configuration comes to and why, its schema, and its view as a legacy dictionary. */

import type { Command } from 'commander';
import { COMMAND_DEFINITIONS, inferenceDefinition, trainingDefinition } from '../../config/commands.js';
import { type ConfigDefinition, flagFields, jsonSchemaOf } from '../../config/definition.js';
import { type LegacyConfig, toLegacyParams } from '../../config/legacy/params.js';
import type { Resolved } from '../../config/resolve.js';
import { PtychoError } from '../../core/errors.js';
import type { ProvenanceEntry } from '../../core/services.js';
import type { CommandModule } from '../command.js';
import type { CliContext } from '../context.js';
import { EXIT_OK } from '../exit.js';
import { formatTable } from '../format.js';
import { addConfigFileOption, addConfigOptions, addHelpOption, resolveFlags } from '../options.js';
import { addPublishedOptions } from '../published.js';

/** Commands with a configuration that a file can hold. */
const RUNS: readonly [string, ConfigDefinition<LegacyConfig>][] = [
  ['train', trainingDefinition],
  ['infer', inferenceDefinition],
];
const EXAMPLE = `
Example:
  ptychopinn config show train --config run.yaml --nepochs 5`;

export const configCommand: CommandModule = {
  fields: bothFields(),
  configure(command, context, done) {
    const show = command
      .command('show')
      .description('print what flags, file and defaults come to, and where each value comes from');
    addRuns(show, 'show what this command would run with', (run, definition) => {
      run.option('--json', 'Print configuration, provenance and notes as JSON.');
      run.action(async (given: Record<string, unknown>) => {
        const resolved = await resolveFlags(definition, given);
        context.stdout.write(
          given.json === true ? `${JSON.stringify(resolved, null, 2)}\n` : shown(definition, resolved),
        );
        done(EXIT_OK);
      });
    });
    addSchema(command, context, done);
    const legacy = command
      .command('legacy')
      .description('print the configuration as the params dictionary of the Python tools, as JSON');
    addRuns(legacy, 'the dictionary of this command', (run, definition) => {
      run.action(async (given: Record<string, unknown>) => {
        const resolved = await resolveFlags(definition, given);
        for (const note of [...resolved.warnings, ...resolved.notes]) context.stderr.write(`${note}\n`);
        context.stdout.write(`${JSON.stringify(toLegacyParams(resolved.config), null, 2)}\n`);
        done(EXIT_OK);
      });
    });
    command.addHelpText('after', EXAMPLE);
  },
};

function addRuns(
  parent: Command,
  summary: string,
  configure: (run: Command, definition: ConfigDefinition<LegacyConfig>) => void,
): void {
  for (const [name, definition] of RUNS) {
    const run = parent.command(name).description(summary);
    addConfigOptions(run, definition);
    run.optionsGroup('Other:');
    addConfigFileOption(run);
    addPublishedOptions(run);
    configure(run, definition);
    addHelpOption(run, 'Other:');
  }
}

function addSchema(command: Command, context: CliContext, done: (code: number) => void): void {
  command
    .command('schema')
    .description('print the JSON Schema of configuration files')
    .argument('[COMMAND]', `${Object.keys(COMMAND_DEFINITIONS).join(', ')}; all of them when left out`)
    .action((name: string | undefined) => {
      if (name !== undefined && !Object.hasOwn(COMMAND_DEFINITIONS, name)) {
        throw new PtychoError(
          'USAGE',
          `${name} has no configuration; the commands that have one are ${Object.keys(COMMAND_DEFINITIONS).join(', ')}.`,
          { found: name },
        );
      }
      const wanted =
        name === undefined
          ? Object.fromEntries(
              Object.entries(COMMAND_DEFINITIONS).map(([key, definition]) => [key, jsonSchemaOf(definition)]),
            )
          : jsonSchemaOf(COMMAND_DEFINITIONS[name]);
      context.stdout.write(`${JSON.stringify(wanted, null, 2)}\n`);
      done(EXIT_OK);
    });
}

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

/** Flags of both runs; a name that both have is one flag. */
function bothFields() {
  const fields = new Map(RUNS.flatMap(([, definition]) => flagFields(definition).map((field) => [field.name, field])));
  return [...fields.values()];
}
