/** Commander options from the fields of a configuration, and the values that were given back. */

import { type Command, Option } from 'commander';
import type { ConfigDefinition } from '../config/definition.js';
import type { FieldInfo } from '../config/field.js';
import { flagHelp, flagSyntax, parseFlagValue } from '../config/flags.js';
import { loadConfigFile } from '../config/load.js';
import { type Layers, type Resolved, resolveConfig } from '../config/resolve.js';

/** Adds one option for each field, under the titles of its sections; none has a default of its own. */
export function addConfigOptions(command: Command, definition: ConfigDefinition<unknown>): void {
  for (const section of definition.sections) {
    for (const field of section.fields) addFieldOption(command, field, section.title);
  }
}

function addFieldOption(command: Command, field: FieldInfo, group: string): void {
  command.addOption(
    new Option(flagSyntax(field), flagHelp(field))
      .argParser((written: string) => parseFlagValue(field, written))
      .helpGroup(`${group}:`),
  );
  if (field.kind === 'boolean') command.addOption(new Option(`--no-${field.name}`).hideHelp());
}

/** Resolves what was given on the command line and in the file of `--config`. */
export async function resolveFlags<T>(
  definition: ConfigDefinition<T>,
  given: Record<string, unknown>,
): Promise<Resolved<T>> {
  const { config, quiet: _quiet, ...flags } = given;
  const layers: Layers = { flags, file: typeof config === 'string' ? await loadConfigFile(config) : undefined };
  return resolveConfig(definition, layers);
}

/** The options that are no configuration: they change what is shown, not what is computed. */
export function addCommonOptions(command: Command): void {
  command.optionsGroup('Other:');
  command.option('--config <FILE>', 'Configuration in YAML or JSON; flags win over it.');
  addQuietOption(command);
}

/** `--quiet` alone, for commands that read no configuration file. */
export function addQuietOption(command: Command): void {
  command.optionsGroup('Other:');
  command.option('--quiet', 'Write warnings and errors only.');
  addHelpOption(command, 'Other:');
}

/** `--help`, listed last in its group. */
export function addHelpOption(command: Command, group: string): void {
  command.addHelpOption(new Option('-h, --help', 'Print this help.').helpGroup(group));
}
