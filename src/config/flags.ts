/**
 * Command-line flags from the schemas: names, help and values. Both `--n_groups` and `--n-groups` are understood;
 * a boolean is `--x`, `--no-x` or `--x true|false`.
 *
 * @example
 * const words = canonicalArguments(['--n-groups', '64', '--no-probe-big'], allFields(trainingDefinition));
 * // ['--n_groups', '64', '--no-probe_big']
 */

import { PtychoError } from '../core/errors.js';
import type { FieldInfo } from '../core/field.js';
import type { Provenance } from '../core/services.js';

/** Words of this many letters and more would push the help's second column off the screen. */
const LONG_CHOICE = 20;

/** The flag as help shows it: `--n_groups <integer>`, `--probe_big [true|false]`. */
export function flagSyntax(field: FieldInfo): string {
  if (field.kind === 'boolean') return `--${field.name} [true|false]`;
  return field.bare === null ? `--${field.name} <${valueWord(field)}>` : `--${field.name} [${valueWord(field)}]`;
}

function valueWord(field: FieldInfo): string {
  const words = field.choices?.join('|');
  if (field.word !== null && field.kind === 'pair') return `${field.word}|a,b`;
  if (field.word !== null) return field.kind === 'integer' ? `integer|${field.word}` : field.word;
  if (words !== undefined) return words.length < LONG_CHOICE ? words : 'name';
  if (field.kind === 'text') return field.expected.includes('path') ? 'path' : 'text';
  if (field.kind === 'pair') return 'a,b';
  if (field.kind === 'list') return 'a,b,…';
  if (field.kind === 'texts') return 'text';
  return field.kind === 'integer' ? 'integer' : 'number';
}

/** Fields with one accepted value, in one paragraph: `fno_modes=12, fno_width=32, …`. */
export function fixedFieldsHelp(fields: readonly FieldInfo[]): string {
  return fields.map((field) => `${field.name}=${shown(field.fallback)}`).join(', ');
}

/** The help text: description, choices, unit, default. */
export function flagHelp(field: FieldInfo): string {
  const facts: string[] = [];
  if (valueWord(field) === 'name') facts.push(field.expected.replace(/ or null$/, ''));
  if (field.unit !== null) facts.push(field.unit);
  if (!field.required && field.fallback !== null && field.kind !== 'texts')
    facts.push(`default ${shown(field.fallback)}`);
  for (const alias of [...field.aliases, ...Object.keys(field.valueAliases)]) {
    facts.push(
      field.aliases.includes(alias) ? `also --${alias}` : `${alias} is ${shown(field.valueAliases[alias].value)}`,
    );
  }
  // What null means is what happens without the flag, or with the word none.
  const description = field.description.replace('; null: ', field.fallback === null ? '; default: ' : '; none: ');
  return facts.length === 0 ? description : `${description} (${facts.join('; ')})`;
}

function shown(value: unknown): string {
  return typeof value === 'number' && Math.abs(value) >= 1e5 ? value.toExponential().replace('e+', 'e') : String(value);
}

/**
 * The typed value of what stands behind a flag; `none` and `null` mean null where the field allows it.
 * Only the form is judged here, the range by the schema.
 * @throws PtychoError USAGE
 */
export function parseFlagValue(field: FieldInfo, written: string): unknown {
  if (field.nullable && (written === 'none' || written === 'null')) return null;
  if (written === field.word) return written;
  switch (field.kind) {
    case 'boolean': {
      const word = written.toLowerCase();
      if (word === 'true' || word === 'yes' || word === '1') return true;
      if (word === 'false' || word === 'no' || word === '0') return false;
      throw wrong(field, written);
    }
    case 'integer':
    case 'number': {
      const value = Number(written);
      if (written.trim() === '' || !Number.isFinite(value)) throw wrong(field, written);
      return value;
    }
    case 'pair':
    case 'list': {
      const values = written.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
      if ((field.kind === 'pair' && values.length !== 2) || !values.every(Number.isFinite)) throw wrong(field, written);
      return values;
    }
    case 'text':
      if (PLACES.test(field.expected) && /^--[a-z]/i.test(written)) {
        throw new PtychoError('USAGE', `--${field.name} needs ${field.expected.replace(/ or null$/, '')}, but the flag ${written} follows it; name the file or folder behind --${field.name}.`, { flag: field.name, found: written }); // biome-ignore format: one sentence
      }
      return written;
    case 'choice':
      return written;
    case 'texts':
      return [written];
  }
}

function wrong(field: FieldInfo, written: string): PtychoError {
  return new PtychoError('USAGE', `--${field.name} must be ${field.expected}, got ${JSON.stringify(written)}.`, {
    flag: field.name,
    found: written,
  });
}

/** What the value of a field is where it names a file or a folder. */
const PLACES = /\ba path\b/;

/** What no truth value looks like. */
const PATH = /^[^-].*[./\\]|^[./\\]/;

/**
 * Rewrites dashes and aliases of known flags to the canonical name; everything else stays as it is. A path behind a switch is an
 * argument of its own, not the value of the switch: `--overwrite scan.npz`.
 * @param others flags that are no fields.
 * @throws PtychoError USAGE for a field that is given by two of its names
 */
export function canonicalArguments(
  words: readonly string[],
  fields: readonly FieldInfo[],
  others: readonly string[] = [],
): string[] {
  const canonical = new Map<string, string>(others.map((name) => [name, name]));
  for (const field of fields) {
    // A former name stays as it is, so that its use can be remarked on.
    for (const name of field.formerly) {
      canonical.set(name, name);
      if (field.kind === 'boolean') canonical.set(`no_${name}`, `no-${name}`);
    }
    for (const name of [field.name, ...field.aliases]) {
      const spelling = name.replaceAll('-', '_');
      canonical.set(spelling, field.name);
      if (field.kind === 'boolean') canonical.set(`no_${spelling}`, `no-${field.name}`);
    }
  }
  // Of a group of commands a name may be a switch in one and take a value in another; then what follows may be its value.
  const taking = new Set(fields.filter(({ kind }) => kind !== 'boolean').map(({ name }) => name));
  const switches = new Set(fields.flatMap(({ kind, name }) => (kind === 'boolean' && !taking.has(name) ? [name] : [])));
  const repeatable = new Set(fields.filter(({ kind }) => kind === 'texts').map(({ name }) => name));
  const typed = new Map<string, string>();
  const end = words.indexOf('--');
  return words.map((word, index) => {
    if (!word.startsWith('--') || word === '--' || (end >= 0 && index > end)) return word;
    const equals = word.indexOf('=');
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals);
    const found = canonical.get(name.replaceAll('-', '_'));
    if (found === undefined) return word;
    const [spelling, before] = [name.replaceAll('-', '_'), typed.get(found)];
    if (before !== undefined && before !== spelling && !repeatable.has(found)) {
      throw new PtychoError('USAGE', `--${before} and --${spelling} are two names of one flag; leave one of them out.`, { flag: found }); // biome-ignore format: one sentence
    }
    typed.set(found, spelling);
    if (equals >= 0) return `--${found}${word.slice(equals)}`;
    return switches.has(found) && PATH.test(words[index + 1] ?? '') ? `--${found}=true` : `--${found}`;
  });
}

/**
 * What does the same again when it is typed: every value that is no default as its flag.
 * @param command `solve`
 * @param args what stands behind it without a flag
 * @returns undefined where nobody says what was given
 */
export function repeatCommand(
  command: string,
  provenance: Provenance | undefined,
  args: readonly string[] = [],
): string | undefined {
  if (provenance === undefined) return undefined;
  const words = Object.entries(provenance)
    .filter(([, { source }]) => source !== 'default' && source !== 'metadata')
    .flatMap(([name, { value }]) => flagWords(name, value));
  return ['ptychopinn', command, ...args, ...words].map(shellWord).join(' ');
}

/** What of a configuration a page shows: the values that somebody gave, or that the scan did. */
export const shownSettings = (
  provenance: Provenance | undefined,
): { name: string; value: unknown; source: string; origin?: string }[] =>
  Object.entries(provenance ?? {})
    .filter(([, { source }]) => source !== 'default')
    .map(([name, { value, source, origin }]) => ({ name, value, source, origin }));

function flagWords(name: string, value: unknown): string[] {
  if (typeof value === 'boolean') return [value ? `--${name}` : `--no-${name}`];
  if (value === null) return [`--${name}`, 'none'];
  // A list of texts is a flag for each, one of numbers a word.
  if (Array.isArray(value) && value.some((item) => typeof item === 'string')) {
    return value.flatMap((item) => flagWords(name, item));
  }
  const written = String(value);
  return written.startsWith('-') ? [`--${name}=${written}`] : [`--${name}`, written];
}

/** A word as a POSIX shell reads it whole. */
const shellWord = (word: string): string =>
  /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
