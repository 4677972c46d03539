/**
 * From what was given to one frozen configuration: flag before file before dataset or bundle metadata before default,
 * with a record of where each value came from.
 *
 * @example
 * const { config, provenance } = resolveConfig(trainingDefinition, {
 *   flags: { nepochs: 5 },
 *   file: { origin: 'run.yaml', values: { nepochs: 20, model: { gridsize: 2 } } },
 * });
 * config.nepochs; // 5
 * provenance.gridsize; // { value: 2, source: 'file', origin: 'run.yaml' }
 */

import type { z } from 'zod';
import { PtychoError } from '../core/errors.js';
import { allFields, type ConfigDefinition, sectionOf, trainingDefinition } from './definition.js';
import type { FieldInfo } from './field.js';
import { SUPPORTED_N, type TrainingConfig, type TrainingRequest, trainingConfigSchema } from './schema.js';
import { nearestName } from './suggest.js';

/** Where a value came from; `caller` is a program that passed a finished configuration. */
export type Source = 'flag' | 'file' | 'caller' | 'metadata' | 'default';

/** A value and where it came from; `origin` names the file where there is one. */
export interface ProvenanceEntry {
  readonly value: unknown;
  readonly source: Source;
  readonly origin?: string;
}

/** Field name → entry, for every field that has a value. */
export type Provenance = Readonly<Record<string, ProvenanceEntry>>;

/** A configuration with its provenance; both are frozen. */
export interface Resolved<T> {
  readonly config: T;
  readonly provenance: Provenance;
}

/** Values read from a file or its metadata, flat or nested under `model` and `execution`. */
export interface Layer {
  readonly origin: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** What was given, strongest first; an `undefined` value counts as not given. */
export interface Layers {
  /** Flat: field name → value. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly file?: Layer;
  readonly metadata?: Layer;
}

/** What the scan that was opened says about the configuration. */
export interface DatasetFacts {
  /** Side of the patterns in pixels. */
  readonly N: number;
  /** Where the scan was read from, for messages. */
  readonly origin: string;
  /** Values that the file's metadata gives, `{ nphotons: 1e6 }`; they replace defaults only. */
  readonly values?: Readonly<Record<string, unknown>>;
}

/**
 * Merges the layers, checks every value and freezes the result.
 * @throws PtychoError CONFIG_UNKNOWN_KEY for a key that no field has, CONFIG_INVALID for a value that is refused.
 */
export function resolveConfig<T>(definition: ConfigDefinition<T>, layers: Layers): Resolved<T> {
  const given = new Map<string, ProvenanceEntry>();
  // Weakest first, so that a stronger layer overwrites.
  if (layers.metadata) collect(definition, layers.metadata.values, 'metadata', layers.metadata.origin, given);
  if (layers.file) collect(definition, layers.file.values, 'file', layers.file.origin, given);
  if (layers.flags) collect(definition, layers.flags, 'flag', undefined, given);

  const input = nest(definition, given);
  const parsed = definition.schema.safeParse(input);
  if (!parsed.success) throw invalid(definition, parsed.error, given);
  const config = deepFreeze(parsed.data) as T;
  return { config, provenance: Object.freeze(provenanceOf(definition, config, given)) };
}

/**
 * Completes a training request with what its data file says: N always, metadata such as `nphotons` where only the
 * default stands against it.
 *
 * Without `provenance` every value counts as deliberately given, so that metadata replaces none.
 * @throws PtychoError CONFIG_INVALID when the request names another N than the file has, or the file's N is unsupported.
 */
export function finaliseTrainingConfig(
  request: TrainingRequest,
  dataset: DatasetFacts,
  provenance?: Provenance,
): Resolved<TrainingConfig> {
  const { N, origin } = dataset;
  const asked = request.model.N;
  if (asked !== undefined && asked !== N) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `N is given as ${asked}, but the patterns in ${origin} are ${N} × ${N}; leave N out, it is taken from the file.`,
      { field: 'N', found: asked, expected: N, path: origin },
    );
  }
  if (!SUPPORTED_N.some((side) => side === N)) {
    throw new PtychoError(
      'CONFIG_INVALID',
      `The patterns in ${origin} are ${N} × ${N}, but the network exists for 64, 128 and 256; crop or pad them first.`,
      { field: 'N', found: N, expected: SUPPORTED_N, path: origin },
    );
  }
  const given = new Map<string, ProvenanceEntry>(Object.entries(provenance ?? everythingGiven(request)));
  if (asked === undefined) given.set('N', { value: N, source: 'metadata', origin });
  const known = new Set(allFields(trainingDefinition).map((field) => field.name));
  for (const [name, value] of Object.entries(dataset.values ?? {})) {
    // A file may say more than there are fields for.
    if (!known.has(name) || value === undefined || value === null) continue;
    if (given.get(name)?.source === 'default') given.set(name, { value, source: 'metadata', origin });
  }
  const parsed = trainingConfigSchema.safeParse(nest(trainingDefinition, given));
  if (!parsed.success) throw invalid(trainingDefinition, parsed.error, given);
  const config: TrainingConfig = deepFreeze(parsed.data);
  return { config, provenance: Object.freeze(provenanceOf(trainingDefinition, config, given)) };
}

function everythingGiven(request: TrainingRequest): Record<string, ProvenanceEntry> {
  const entries: Record<string, ProvenanceEntry> = {};
  for (const field of allFields(trainingDefinition)) {
    const value = valueAt(trainingDefinition, request, field.name);
    if (value !== undefined) entries[field.name] = { value, source: 'caller' };
  }
  return entries;
}

function collect(
  definition: ConfigDefinition<unknown>,
  values: Readonly<Record<string, unknown>>,
  source: Source,
  origin: string | undefined,
  into: Map<string, ProvenanceEntry>,
): void {
  const seen = new Map<string, unknown>();
  const put = (name: string, value: unknown, written: string) => {
    if (value === undefined) return;
    if (seen.has(name) && !Object.is(seen.get(name), value)) {
      throw new PtychoError(
        'CONFIG_INVALID',
        `${origin ?? 'The configuration'} gives ${name} twice, as ${show(seen.get(name))} and, at ${written}, as ${show(value)}; keep one of them.`,
        { field: name, path: origin },
      );
    }
    seen.set(name, value);
    into.set(name, origin === undefined ? { value, source } : { value, source, origin });
  };
  for (const [key, value] of Object.entries(values)) {
    const nested = definition.sections.find((section) => section.key !== null && section.key === key);
    if (nested !== undefined) {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) {
        throw new PtychoError(
          'CONFIG_INVALID',
          `${origin ?? 'The configuration'}: ${key} must be a block of fields, got ${show(value)}.`,
          { field: key, found: value, path: origin },
        );
      }
      for (const [name, inner] of Object.entries(value)) {
        if (!nested.fields.some((field) => field.name === name)) {
          throw unknownKey(`${key}.${name}`, name, nested.fields, origin);
        }
        put(name, inner, `${key}.${name}`);
      }
    } else {
      if (sectionOf(definition, key) === undefined) throw unknownKey(key, key, allFields(definition), origin);
      put(key, value, key);
    }
  }
}

function unknownKey(written: string, name: string, known: readonly FieldInfo[], origin?: string): PtychoError {
  const suggestion = nearestName(
    name,
    known.map((field) => field.name),
  );
  const advice = suggestion ? `did you mean ${suggestion}?` : 'docs/configuration.md lists every field.';
  return new PtychoError('CONFIG_UNKNOWN_KEY', `${origin ?? 'Configuration'}: unknown key ${written}; ${advice}`, {
    key: written,
    suggestion,
    path: origin,
  });
}

function nest(
  definition: ConfigDefinition<unknown>,
  given: ReadonlyMap<string, ProvenanceEntry>,
): Record<string, unknown> {
  const top: Record<string, unknown> = {};
  for (const section of definition.sections) {
    const target: Record<string, unknown> = {};
    for (const field of section.fields) {
      const entry = given.get(field.name);
      if (entry !== undefined) target[field.name] = entry.value;
    }
    if (section.key === null) Object.assign(top, target);
    else top[section.key] = target;
  }
  return top;
}

function provenanceOf(
  definition: ConfigDefinition<unknown>,
  config: unknown,
  given: ReadonlyMap<string, ProvenanceEntry>,
): Record<string, ProvenanceEntry> {
  const entries: Record<string, ProvenanceEntry> = {};
  for (const field of allFields(definition)) {
    const value = valueAt(definition, config, field.name);
    if (value === undefined) continue;
    entries[field.name] = Object.freeze(given.get(field.name) ?? { value, source: 'default' as const });
  }
  return entries;
}

function valueAt(definition: ConfigDefinition<unknown>, config: unknown, name: string): unknown {
  const key = sectionOf(definition, name)?.key ?? null;
  const holder = key === null ? config : (config as Record<string, unknown>)[key];
  return (holder as Record<string, unknown>)[name];
}

function invalid(
  definition: ConfigDefinition<unknown>,
  error: z.ZodError,
  given: ReadonlyMap<string, ProvenanceEntry>,
): PtychoError {
  // One sentence: the first thing that is wrong; the others wait for the next attempt but are in the fields.
  const sentences = error.issues.map((issue) => {
    if (issue.code === 'custom' && issue.message !== 'Invalid input') return issue.message;
    const name = String(issue.path.at(-1));
    const field = allFields(definition).find((candidate) => candidate.name === name);
    const entry = given.get(name);
    if (entry === undefined) return `${name} is needed: ${field?.description ?? ''}`;
    return `${name} must be ${field?.expected ?? 'valid'}, got ${show(entry.value)} (${placeOf(name, entry)}).`;
  });
  return new PtychoError('CONFIG_INVALID', sentences[0], {
    field: error.issues[0].path.at(-1),
    problems: sentences,
  });
}

function placeOf(name: string, entry: ProvenanceEntry): string {
  if (entry.origin !== undefined) return entry.origin;
  return entry.source === 'flag' ? `--${name}` : entry.source;
}

function show(value: unknown): string {
  return typeof value === 'number' ? String(value) : (JSON.stringify(value) ?? String(value));
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
