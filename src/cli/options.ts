/** Commander options from the fields of a configuration, and the values that were given back. */

import { type Command, Option } from 'commander';
import { type ConfigDefinition, flagFields } from '../config/definition.js';
import type { FieldInfo } from '../config/field.js';
import { fixedFieldsHelp, flagHelp, flagSyntax, parseFlagValue } from '../config/flags.js';
import { loadConfigFile } from '../config/load.js';
import { type Layers, type Resolved, resolveConfig } from '../config/resolve.js';
import type { Logger } from '../core/log.js';

/**
 * Adds one option for each field, under the titles of its sections; none has a default of its own. Fields with one
 * accepted value are listed in a paragraph at the end of the help.
 */
export function addConfigOptions(command: Command, definition: ConfigDefinition<unknown>): void {
  for (const section of definition.sections) {
    if (section.claim) continue;
    for (const field of section.fields) addFieldOption(command, field, section.title);
  }
  const fixed = flagFields(definition).filter((field) => field.fixed);
  if (fixed.length === 0) return;
  command.addHelpText('after', ({ command }) => {
    const width = command.configureOutput().getOutHelpWidth?.() ?? 100;
    return `\nFixed in this version (accepted with these values only):\n${wrap(fixedFieldsHelp(fixed), width)}`;
  });
}

function addFieldOption(command: Command, field: FieldInfo, group: string): void {
  const option = (flags: string) =>
    new Option(flags, flagHelp(field)).argParser((written: string) => parseFlagValue(field, written));
  command.addOption(option(flagSyntax(field)).helpGroup(`${group}:`).hideHelp(field.fixed));
  if (field.kind === 'boolean') command.addOption(new Option(`--no-${field.name}`).hideHelp());
  for (const former of field.formerly) {
    command.addOption(option(flagSyntax({ ...field, name: former })).hideHelp());
    if (field.kind === 'boolean') command.addOption(new Option(`--no-${former}`).hideHelp());
  }
}

/** Lines of at most `width` letters, indented by two. */
function wrap(text: string, width: number): string {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last.length + word.length + 3 > width) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines.map((line) => `  ${line}`).join('\n');
}

/** Resolves what was given on the command line and in the file of `--config`. */
export async function resolveFlags<T>(
  definition: ConfigDefinition<T>,
  given: Record<string, unknown>,
): Promise<Resolved<T>> {
  const { config, quiet: _quiet, json: _json, ...flags } = given;
  const layers: Layers = { flags, file: typeof config === 'string' ? await loadConfigFile(config) : undefined };
  return resolveConfig(definition, layers);
}

/** Tells what was understood in another way than it was written. */
export function logResolution(resolved: Resolved<unknown>, logger: Logger): void {
  for (const warning of resolved.warnings) logger.warn(warning);
  for (const note of resolved.notes) logger.info(note);
}

/** The options that are no configuration: they change what is shown, not what is computed. */
export function addCommonOptions(command: Command): void {
  command.optionsGroup('Other:');
  addConfigFileOption(command);
  addQuietOption(command);
}

/** `--config FILE`. */
export function addConfigFileOption(command: Command): void {
  command.option('--config <FILE>', 'Configuration in YAML or JSON; flags win over it.');
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
