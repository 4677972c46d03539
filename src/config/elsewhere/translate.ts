/**
 * Options of other programs in a configuration, read as the fields that stand for them, with a note of each.
 *
 * @example
 * translateElsewhere({ eng: { number_iterations: 300, variable_intensity: true } }, fields);
 * // { values: { epochs: 300, flux: true }, notes: ['eng.number_iterations of PtychoShelves is epochs: 300.', …] }
 */
import { PtychoError } from '../../core/errors.js';
import { type FieldInfo, show } from '../../core/field.js';
import { PROGRAMS, type Program } from './names.js';

/** What was read. */
interface Translated {
  readonly values: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

/** Where options lie in files of their own. */
const PREFIX = /^(p\.)?(eng\.|engines\.[^.]+\.)/;

/** What other options are read by. */
const READ_BY_OTHERS = /\.(enabled|optimizable|pixel_size_m)$/;

/** Names that say too little without their block. */
const VAGUE: readonly string[] = ['name', 'method'];

/** Blocks of a configuration of this package. */
const OWN_BLOCKS: readonly string[] = ['model', 'data', 'execution'];

/**
 * What a configuration says in names of other programs as fields; undefined where it says nothing in them. Names that a field has are that
 * field's. Options of a file of such a program that nothing stands for here are left out, and named.
 * @throws PtychoError CONFIG_INVALID for two values of one field
 */
export function translateElsewhere(
  given: Readonly<Record<string, unknown>>,
  fields: readonly FieldInfo[],
): Translated | undefined {
  const own = new Set(fields.flatMap(({ name, aliases, formerly }) => [name, ...aliases, ...formerly]));
  const foreign: Record<string, unknown> = {};
  const values: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (own.has(key) || OWN_BLOCKS.includes(key) || !isForeign(key, value)) values[key] = value;
    else Object.assign(foreign, flattened(key, value));
  }
  if (Object.keys(foreign).length === 0) return undefined;
  const notes: string[] = [];
  const said = new Map<string, string>();
  const known = new Set(fields.map(({ name }) => name));
  const several = Array.isArray(given.test_data_files) && given.test_data_files.length > 0;
  for (const program of PROGRAMS) {
    const options = optionsOf(program, foreign);
    const all = Object.fromEntries(options.map(({ name, value }) => [name, value]));
    const nothing: string[] = [];
    for (const { written, name, value } of options) {
      const translate = Object.hasOwn(program.options, name) ? program.options[name] : undefined;
      const meaning = translate?.(value, all, several);
      // Switches and sizes that others are read by.
      if (meaning === undefined && READ_BY_OTHERS.test(name)) continue;
      if (meaning === undefined) nothing.push(written);
      else if (typeof meaning === 'string') notes.push(`${written} of ${program.name} was left out: ${meaning}.`);
      else {
        for (const [field, v] of Object.entries(meaning)) {
          if (!known.has(field)) {
            nothing.push(written);
            continue;
          }
          const before = said.get(field) ?? (Object.hasOwn(given, field) ? field : undefined);
          if (before !== undefined && show(values[field]) !== show(v))
            throw twice(field, before, written, values[field], v);
          said.set(field, written);
          values[field] = v;
          notes.push(`${written} of ${program.name} is ${field}: ${show(v)}.`);
        }
      }
    }
    if (nothing.length > 0) notes.push(`${program.name}: nothing here stands for ${nothing.join(', ')}; left out.`);
  }
  return { values, notes: [...new Set(notes)] };
}

/** Names that flags may have without a field: those that need no block. */
export const FLAGS_ELSEWHERE: readonly string[] = PROGRAMS.flatMap(({ options }) =>
  Object.keys(options).filter((name) => standsAlone(name) && /^[a-z_]+$/i.test(name)),
);

function standsAlone(name: string): boolean {
  return !VAGUE.includes(name);
}

/** Belongs to a file of another program, or is a name that one has. */
function isForeign(key: string, value: unknown): boolean {
  return Object.keys(flattened(key, value)).some((name) =>
    PROGRAMS.some(({ tells, options }) => tells(name) || (standsAlone(name) && Object.hasOwn(options, name))),
  );
}

/** Options of a program: those of its own files, and those that stand alone under a name that it has. */
function optionsOf(
  program: Program,
  foreign: Readonly<Record<string, unknown>>,
): { readonly written: string; readonly name: string; readonly value: unknown }[] {
  return Object.entries(foreign).flatMap(([written, value]) => {
    const name = written.replace(PREFIX, '');
    const mine =
      program.tells(written) || (name === written && standsAlone(name) && Object.hasOwn(program.options, name));
    return mine ? [{ written, name, value }] : [];
  });
}

/** By whole names, with dots; lists are values. */
function flattened(key: string, value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { [key]: value };
  return Object.assign({}, ...Object.entries(value).map(([name, v]) => flattened(`${key}.${name}`, v))) as Record<
    string,
    unknown
  >;
}

const twice = (field: string, before: string, written: string, a: unknown, b: unknown): PtychoError =>
  new PtychoError(
    'CONFIG_INVALID',
    `${before} gives ${field} as ${show(a)}, and ${written} as ${show(b)}; keep one of them.`,
    { field },
  );
