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
import { PtychoError, requireObject } from '../core/errors.js';
import { isRegistered, show } from '../core/field.js';
import type { Logger } from '../core/log.js';
import type { Provenance, ProvenanceEntry } from '../core/services.js';
import { collectLayer, newCollection } from './collect.js';
import { allFields, type Collection, type ConfigDefinition, IN_MEMORY, type Layer, sectionOf } from './definition.js';

/** A configuration with its provenance; both are frozen. */
export interface Resolved<T> {
  readonly config: T;
  readonly provenance: Provenance;
  /** What was understood in another way than it was written, or settled by the data: one sentence each. */
  readonly notes: readonly string[];
  /** What should be written differently next time: one sentence each. */
  readonly warnings: readonly string[];
}

/** What was given, strongest first; an `undefined` value counts as not given. */
export interface Layers {
  /** Flat: field name → value. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly file?: Layer;
  readonly metadata?: Layer;
}

/**
 * Merges the layers, checks every value and freezes the result.
 * @throws PtychoError CONFIG_UNKNOWN_KEY for a key that no field has, CONFIG_INVALID for a value that is refused.
 */
export function resolveConfig<T>(definition: ConfigDefinition<T>, layers: Layers): Resolved<T> {
  const collection = newCollection();
  const { metadata } = layers;
  const own = (given: Layer['values']): Layer['values'] => {
    const translated = definition.elsewhere?.(given, allFields(definition));
    collection.notes.push(...(translated?.notes ?? []));
    return translated?.values ?? given;
  };
  const file = layers.file && { ...layers.file, values: own(layers.file.values) };
  const flags = layers.flags && own(layers.flags);
  // Weakest first, so that a stronger layer overwrites.
  if (metadata) collectLayer(definition, { ...metadata, source: 'metadata' }, collection);
  const check = file && definition.readFile?.(definition, file, collection);
  if (file && !check) collectLayer(definition, { ...file, source: 'file' }, collection);
  if (flags) collectLayer(definition, { source: 'flag', values: flags }, collection);
  check?.();
  return settle(definition, collection);
}

/**
 * A complete, frozen configuration from any part of one: fields flat or in their blocks; what is left out has its default.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID
 */
export function completeConfig<T>(definition: ConfigDefinition<T>, part: object, logger?: Logger): T {
  return resolvePart(definition, part, logger).config;
}

/** {@link completeConfig} with where each value came from, by which defaults are known. */
export function resolvePart<T>(definition: ConfigDefinition<T>, part: object, logger?: Logger): Resolved<T> {
  requireObject(
    part,
    `The settings of ${definition.name} are an object of fields (docs/configuration.md), {} for the defaults`,
  );
  // undefined says nothing, as everywhere in JavaScript.
  const values = Object.fromEntries(Object.entries(part).filter(([, value]) => value !== undefined));
  const resolved = resolveConfig(definition, { file: { origin: IN_MEMORY, values } });
  for (const warning of resolved.warnings) logger?.warn(warning);
  return resolved;
}

/**
 * A configuration for a verb: any part of one completed ({@link completeConfig}); a complete one as it is, which also holds fields of
 * its blocks that the command has no flags for.
 * @throws PtychoError CONFIG_UNKNOWN_KEY, CONFIG_INVALID
 */
export function wholeConfig<T>(definition: ConfigDefinition<T>, given: object, logger?: Logger): T {
  const parsed = definition.schema.safeParse(given);
  const complete = parsed.success && Object.keys(parsed.data as object).every((key) => key in given);
  return complete ? (parsed.data as T) : completeConfig(definition, given, logger);
}

/** Writes out what was collected, checks and freezes it. */
export function settle<T>(definition: ConfigDefinition<T>, collection: Collection): Resolved<T> {
  definition.expand?.(collection);
  return parseGiven(definition, collection);
}

/**
 * Checks every value, fills in the defaults and freezes the result.
 * @throws PtychoError CONFIG_INVALID
 */
export function parseGiven<T>(definition: ConfigDefinition<T>, collection: Collection): Resolved<T> {
  const { given, notes, warnings } = collection;
  // Registered names are no words of the schema: it sees the default in their place, and the configuration has them.
  const named = allFields(definition).filter((field) => isRegistered(field, given.get(field.name)?.value));
  const known = new Map(given);
  for (const { name } of named) known.delete(name);
  const parsed = definition.schema.safeParse(nest(definition, known));
  if (!parsed.success) throw invalid(definition, parsed.error, given);
  for (const { name } of named) {
    const key = sectionOf(definition, name)?.key ?? null;
    const holder = (key === null ? parsed.data : (parsed.data as Record<string, unknown>)[key]) as Record<
      string,
      unknown
    >;
    holder[name] = given.get(name)?.value;
  }
  const config = deepFreeze(parsed.data) as T;
  return deepFreeze({ config, provenance: provenanceOf(definition, config, given), notes, warnings });
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
    else if (!section.claim || Object.keys(target).length > 0) top[section.key] = target;
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

/** The value of a field in a configuration. */
export function valueAt(definition: ConfigDefinition<unknown>, config: unknown, name: string): unknown {
  const key = sectionOf(definition, name)?.key ?? null;
  const holder = key === null ? config : (config as Record<string, unknown>)[key];
  return (holder as Record<string, unknown> | undefined)?.[name];
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
    if (field && entry && field.unavailable.includes(String(entry.value))) return issue.message;
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

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
