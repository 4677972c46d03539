/** Commander options from the fields of a configuration, and the values that were given back. */

import { existsSync } from 'node:fs';
import path from 'node:path';
import { type Command, Option } from 'commander';
import { allFields, type ConfigDefinition, flagFields, type Layer, namesOf } from '../config/definition.js';
import { canonicalArguments, fixedFieldsHelp, flagHelp, flagSyntax, parseFlagValue } from '../config/flags.js';
import { loadConfigFile } from '../config/load.js';
import { type Layers, type Resolved, resolveConfig } from '../config/resolve.js';
import { PtychoError } from '../core/errors.js';
import { type FieldInfo, wordList } from '../core/field.js';
import type { Logger } from '../core/log.js';
import { nearestName } from '../core/words.js';
import { CONSOLE_LEVELS } from './terminal.js';

/**
 * Adds one option for each field, under the titles of its sections; none has a default of its own. Fields with one
 * accepted value are listed in a paragraph at the end of the help.
 */
export function addConfigOptions(command: Command, definition: ConfigDefinition<unknown>): void {
  for (const section of definition.sections) {
    if (section.claim) continue;
    for (const field of section.fields) addFieldOption(command, field, section.title);
  }
  const shown = new Set(command.options.map(({ long }) => long));
  for (const name of new Set(definition.flagsElsewhere)) {
    if (shown.has(`--${name}`)) continue;
    command.addOption(new Option(`--${name} [value]`).argParser(valueElsewhere).hideHelp());
  }
  const fixed = flagFields(definition).filter((field) => field.fixed);
  if (fixed.length === 0) return;
  command.addHelpText('after', ({ command }) => {
    const width = command.configureOutput().getOutHelpWidth?.() ?? 100;
    return `\nFixed in this version (accepted with these values only):\n${wrap(fixedFieldsHelp(fixed), width)}`;
  });
}

/** What stands behind a flag of another program: a number, a switch, or a word. */
function valueElsewhere(written: string): unknown {
  const known = new Map<string, unknown>([
    ['true', true],
    ['false', false],
    ['null', null],
    ['none', null],
    ['inf', Number.POSITIVE_INFINITY],
  ]);
  const word = written.toLowerCase();
  if (known.has(word)) return known.get(word);
  if (written.includes(',')) return written.split(',').map(valueElsewhere);
  const value = Number(written);
  return written.trim() !== '' && Number.isFinite(value) ? value : written;
}

function addFieldOption(command: Command, field: FieldInfo, group: string): void {
  const option = (flags: string) =>
    new Option(flags, flagHelp(field)).argParser((written: string, before: unknown) => {
      const value = parseFlagValue(field, written);
      return field.kind === 'texts' && Array.isArray(before) ? [...before, ...(value as string[])] : value;
    });
  const add = (added: Option) => {
    command.addOption(added);
    // commander takes null for a value that is missing, and makes '' of it.
    command.on(`option:${added.name()}`, (written: unknown) => {
      if (typeof written === 'string' && parseFlagValue(field, written) === null) {
        command.setOptionValueWithSource(added.attributeName(), null, 'cli');
      }
    });
  };
  add(option(flagSyntax(field)).helpGroup(`${group}:`).hideHelp(field.fixed));
  if (field.kind === 'boolean') command.addOption(new Option(`--no-${field.name}`).hideHelp());
  for (const former of field.formerly) {
    add(option(flagSyntax({ ...field, name: former })).hideHelp());
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

/**
 * Resolves what was given on the command line and in the file of `--config`. A run that is resumed without such a file has
 * the configuration that lies in its folder.
 * @param runs whether the command is going to run with it, and does not only show it
 * @throws PtychoError where there is nothing to resume
 */
export async function resolveFlags<T>(
  definition: ConfigDefinition<T>,
  given: Readonly<Record<string, unknown>>,
  runs: boolean,
): Promise<Resolved<T>> {
  const { flags, warnings } = translatePublished(withoutConsole(given));
  const named = typeof given.config === 'string' ? await loadConfigFile(given.config) : undefined;
  fillBareFlags(definition, flags, named);
  const file = named ?? (await configurationOfRun(flags.resume, allFields(definition)));
  if (runs && typeof flags.resume === 'string' && !file && !namesScan(definition, flags)) {
    throw new PtychoError(
      'USAGE',
      `There is nothing to resume in ${flags.resume}: it holds no config.json, so it is not the output folder of a run; name that folder, or begin a run without --resume.`,
      { flag: 'resume', path: flags.resume },
    );
  }
  const resolved = resolveConfig(definition, { flags, file } satisfies Layers);
  return warnings.length === 0 ? resolved : { ...resolved, warnings: [...resolved.warnings, ...warnings] };
}

/** Whether a flag names the scan of the command, by any of its names; true for a command without one. */
function namesScan(definition: ConfigDefinition<unknown>, flags: Readonly<Record<string, unknown>>): boolean {
  const { scan } = definition;
  if (scan === undefined) return true;
  const aliases = allFields(definition).find(({ name }) => name === scan)?.aliases ?? [];
  return [scan, ...aliases].some((name) => flags[name] !== undefined);
}

/**
 * The flags with the scan that was named without one.
 * @throws PtychoError USAGE where a flag names another
 */
function withScan(
  given: Readonly<Record<string, unknown>>,
  field: string,
  scan: string | undefined,
): Readonly<Record<string, unknown>> {
  const named = given[field];
  if (scan === undefined) return given;
  if (typeof named === 'string' && path.resolve(named) !== path.resolve(scan)) {
    throw new PtychoError(
      'USAGE',
      `There are two scans, ${scan} and --${field} ${named}, but one is needed; leave one of them out.`,
      { flag: field, found: [scan, named] },
    );
  }
  return { ...given, [field]: scan };
}

/**
 * The flags with the scans that were named without one: the first as by the flag `field`, the others as by `more`.
 * @throws PtychoError USAGE where a flag names another first one
 */
export function withScans(
  given: Readonly<Record<string, unknown>>,
  { scan, moreScans }: Pick<ConfigDefinition<unknown>, 'scan' | 'moreScans'>,
  [first, ...others]: readonly string[],
): Readonly<Record<string, unknown>> {
  if (scan === undefined) return given;
  const flags = withScan(given, scan, first);
  if (moreScans === undefined || others.length === 0) return flags;
  return { ...flags, [moreScans]: [...others, ...((flags[moreScans] as string[] | undefined) ?? [])] };
}

function withoutConsole(given: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const apart: readonly string[] = [...CONSOLE_FLAGS, 'config', 'json'];
  return Object.fromEntries(Object.entries(given).filter(([name]) => !apart.includes(name)));
}

/** `--resume` and `--debug_dump` without a value mean a place in the output folder. */
function fillBareFlags(
  definition: ConfigDefinition<unknown>,
  flags: Record<string, unknown>,
  file: Layers['file'],
): void {
  const bare = allFields(definition).filter((field) => field.bare !== null && flags[field.name] === true);
  if (bare.length === 0) return;
  const others = { ...flags };
  for (const { name } of bare) delete others[name];
  const { config } = resolveConfig(definition, { flags: others, file });
  const { output_dir } = config as { readonly output_dir: string };
  for (const field of bare) flags[field.name] = path.join(output_dir, field.bare ?? '');
}

/**
 * What `config.json` in the folder of a run says; undefined where there is none. The run goes on in that folder, which may have
 * been moved.
 */
async function configurationOfRun(folder: unknown, fields: readonly FieldInfo[]): Promise<Layers['file']> {
  if (typeof folder !== 'string') return undefined;
  const origin = path.join(folder, 'config.json');
  if (!existsSync(origin)) return undefined;
  const { resume: _, ...config } = configurationIn(await loadConfigFile(origin)).values;
  // Nobody wrote these: an older version called its fields otherwise, which is no reason to warn.
  const nameOf = (key: string) => fields.find(({ formerly }) => formerly.includes(key))?.name ?? key;
  const values = Object.fromEntries(Object.entries(config).map(([key, value]) => [nameOf(key), value]));
  return { origin, values: { ...values, output_dir: folder } };
}

/** The configuration in a file: `config.json` of a run also holds where its values came from. */
export function configurationIn(file: Layer): Layer {
  const { config } = file.values;
  const isRun = typeof config === 'object' && config !== null;
  if (!isRun) return file;
  const values = config as Layer['values'];
  // Trainings of versions without presets had the published defaults, also of fields that came later.
  const before = 'nepochs' in values && !('preset' in values) ? { preset: 'published' } : {};
  return { origin: file.origin, values: { ...before, ...values } };
}

/** Commands that have a flag are named up to this number, and flags that have its words. */
const FEW = { commands: 4, flags: 6 } as const;

/**
 * What is said of a flag that a command does not have: the flag that was probably meant, or the commands that have it.
 * @param fields of the command, for their other names
 */
export async function unknownFlag(flag: string, command: Command, fields: readonly FieldInfo[]): Promise<PtychoError> {
  const word = flag.replace(/^-+/, '').replaceAll('-', '_');
  const shown = command.options.flatMap(({ long, hidden }) => (long && !hidden ? [long.slice(2)] : []));
  const aliases = fields.filter(({ name }) => shown.includes(name)).flatMap((field) => field.aliases);
  const near = nearestName(word, [...shown, ...aliases]);
  const parts = word.length > 2 ? word.split('_') : [];
  const longer = shown.filter((name) => parts.length > 0 && parts.every((part) => name.split('_').includes(part)));
  const meant = near ? [near] : longer.length <= FEW.flags ? longer : [];
  const failure = (advice: string) =>
    new PtychoError('USAGE', `Unknown option '${flag}'; ${advice}`, { found: flag, suggestion: meant[0] ?? null });
  if (meant.length > 0) {
    return failure(
      `did you mean ${wordList(
        meant.map((name) => `--${name}`),
        'or',
      )}?`,
    );
  }
  const { COMMAND_DEFINITIONS } = await import('../config/commands.js');
  const others = Object.entries(COMMAND_DEFINITIONS)
    .filter(([, definition]) => namesOf(flagFields(definition)).has(word))
    .map(([name]) => name);
  if (others.length > 0 && others.length <= FEW.commands) return failure(`it is a flag of ${wordList(others, 'and')}.`);
  return failure(`"ptychopinn ${pathOf(command)}--help" lists the flags.`);
}

/** Flags that a command hands on, by the command: what it does not know itself is another one's. */
const handedOn = new WeakMap<Command, (words: readonly string[]) => string | undefined>();

/**
 * Lets a command take flags of another one.
 * @param wrong the first of the words that neither has; undefined where all are known
 */
export function handOnFlags(command: Command, wrong: (words: readonly string[]) => string | undefined): void {
  command.allowUnknownOption();
  handedOn.set(command, wrong);
}

/** The first flag that a command does not have, of words without those that ask for help. */
export function wrongFlagOf(command: Command, words: readonly string[]): string | undefined {
  const own = command.parent ? [] : ['-V', '--version'];
  const { operands, unknown } = command.parseOptions([...words]);
  const flag = handedOn.has(command)
    ? handedOn.get(command)?.([...operands, ...unknown])
    : unknown.find((word) => /^--?[a-z]/i.test(word) && !own.includes(word));
  return flag?.replace(/=.*/s, '');
}

/** `bundle info `; nothing for the program itself. */
function pathOf(command: Command): string {
  const { parent } = command;
  return parent ? `${pathOf(parent)}${command.name()} ` : '';
}

/** Tells what was understood in another way than it was written. */
export function logResolution(resolved: Resolved<unknown>, logger: Logger): void {
  for (const warning of resolved.warnings) logger.warn(warning);
  for (const note of resolved.notes) logger.info(note);
}

/** Which options a command has that are no configuration: they change what is shown, not what is computed. */
export type OtherOptions = 'run' | 'levels' | 'published' | 'config' | 'file' | 'quiet' | 'none';

/**
 * Adds them, `--help` last: `config` has `--config FILE`; `published` also the flags of published command lines, `levels` how
 * much is shown, `run` both, `file` `--quiet` alone; `quiet` has that and no file.
 */
export function addOtherOptions(command: Command, which: OtherOptions): void {
  command.optionsGroup('Other:');
  if (which !== 'quiet' && which !== 'none') {
    command.option('--config <FILE>', 'Configuration in YAML or JSON; flags override it.');
  }
  if (which === 'run' || which === 'published') addPublishedOptions(command);
  if (which === 'run' || which === 'levels') addConsoleOptions(command);
  if (which === 'file' || which === 'quiet') command.option('--quiet', 'Write warnings and errors only.');
  addHelpOption(command, 'Other:');
}

/** `--quiet`, `--verbose` and `--console-level`: at most one of them. */
export function addConsoleOptions(command: Command): void {
  command.optionsGroup('Other:');
  command.addOption(new Option('--quiet', 'Write warnings and errors only.').conflicts(['verbose', 'console_level']));
  command.addOption(
    new Option('--verbose', 'Write everything that the log file gets, too.').conflicts(['quiet', 'console_level']),
  );
  command.addOption(
    new Option('--console_level <LEVEL>', 'What reaches the terminal, at least; default: INFO.').choices(
      CONSOLE_LEVELS,
    ),
  );
}

/** Names of these flags, which are no fields of a configuration. */
const CONSOLE_FLAGS = ['quiet', 'verbose', 'console_level'] as const;

/** The words of a command line with canonical names of its flags; dashes and underscores mean the same. */
export function canonicalWords(words: readonly string[], fields: readonly FieldInfo[]): string[] {
  return canonicalArguments(words, fields, [...CONSOLE_FLAGS, ...PUBLISHED_FLAGS]);
}

/** `--help`, listed last in its group. */
export function addHelpOption(command: Command, group: string): void {
  command.addHelpOption(new Option('-h, --help', 'Print this help.').helpGroup(group));
}

/** Flags of published command lines that are other words for fields; dashes and underscores mean the same, as for fields. */
const PUBLISHED_FLAGS = ['device', 'disable_mlflow', 'disable_checkpointing'] as const;

/** Adds them without showing them in the help. */
function addPublishedOptions(command: Command): void {
  command.addOption(new Option('--device <name>').hideHelp());
  command.addOption(new Option('--disable_mlflow').hideHelp());
  command.addOption(new Option('--disable_checkpointing').hideHelp());
}

/**
 * The flags with these words replaced by the fields that they stand for.
 * @throws PtychoError USAGE for words that contradict a field that was given.
 */
function translatePublished(given: Readonly<Record<string, unknown>>): {
  readonly flags: Record<string, unknown>;
  readonly warnings: readonly string[];
} {
  const { device, disable_mlflow, disable_checkpointing, ...others } = given;
  const flags: Record<string, unknown> = others;
  const warnings: string[] = [];
  if (typeof device === 'string') {
    const accelerator = device === 'cpu' ? 'cpu' : 'cuda';
    if (flags.accelerator === undefined || flags.accelerator === 'auto') {
      flags.accelerator = accelerator;
      warnings.push(`device is deprecated: write --accelerator ${accelerator}.`);
    } else {
      warnings.push(
        `device is deprecated and was left out: --accelerator ${String(flags.accelerator)} says where to run.`,
      );
    }
  }
  if (disable_mlflow === true) {
    if (flags.logger_backend === 'mlflow') throw contradiction('disable_mlflow', 'logger_backend mlflow');
    if (flags.logger_backend === undefined) flags.logger_backend = 'none';
    warnings.push(`disable_mlflow is deprecated: write --logger ${String(flags.logger_backend)}.`);
  }
  if (disable_checkpointing === true) {
    if (flags.enable_checkpointing === true) throw contradiction('disable_checkpointing', 'enable_checkpointing');
    flags.enable_checkpointing = false;
  }
  return { flags, warnings };
}

function contradiction(flag: string, field: string): PtychoError {
  return new PtychoError('USAGE', `--${flag} contradicts --${field}; leave one of them out.`, { flag });
}
