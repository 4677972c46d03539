/**
 * A configuration as people see it: one flat list of fields in titled sections, although the object behind it nests
 * `model`, `data` and `execution`. Flags, files, help and the generated documentation walk through this. What only one
 * command needs (words that stand for several fields, other styles of files) hangs on its definition as a hook.
 *
 * @example
 * sectionOf(trainingDefinition, 'gridsize')?.key; // 'model'
 */

import { z } from 'zod';
import { type FieldInfo, type FieldMeta, type FieldShape, fieldsOf } from '../core/field.js';
import type { ProvenanceEntry } from '../core/services.js';

/** What was given so far; a stronger layer overwrites. */
export interface Collection {
  readonly given: Map<string, ProvenanceEntry>;
  /** What was understood in another way than it was written. */
  readonly notes: string[];
  /** What should be written differently next time. */
  readonly warnings: string[];
}

/**
 * Values read from a file or its metadata: flat or in the blocks `model`, `data` and `execution`, with names of this
 * package or of the legacy dictionary; a file may also be of the PyTorch style (`torch/layers.ts`).
 */
export interface Layer {
  readonly origin: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** Where the values of a program are from. */
export const IN_MEMORY = 'the given configuration';

/** Fields that live under the same key of the configuration object. */
export interface Section {
  readonly title: string;
  /** Key of the nested object, `null` for the top level. */
  readonly key: 'model' | 'execution' | 'data' | null;
  readonly fields: readonly FieldInfo[];
  /** The fields are no choices but are compared with what a bundle says: files may hold them, there are no flags. */
  readonly claim?: boolean;
}

/** A whole configuration: its schema, its fields, and what is particular about reading it. */
export interface ConfigDefinition<T> {
  readonly name: string;
  readonly schema: z.ZodType<unknown>;
  readonly sections: readonly Section[];
  /** The field that names the scan, where the command line also takes it without a flag. */
  readonly scan?: 'train_data_file' | 'test_data_file';
  /** The field that names further scans, where the command line takes any number of them. */
  readonly moreScans?: 'train_data_files' | 'test_data_files';
  /** Published keys that play no part in this configuration; they are left out with a note. */
  readonly ignores?: readonly string[];
  /**
   * Collects a file of another style, where it is one; otherwise its keys are read as names of fields.
   * @returns what can be checked only when all stronger layers are collected; undefined for a file of no other style.
   */
  readonly readFile?: (
    definition: ConfigDefinition<unknown>,
    file: Layer,
    into: Collection,
  ) => (() => void) | undefined;
  /** For a dump of the `params` dictionary: tells its keys that say nothing here; undefined for any other file. */
  readonly legacyState?: (
    definition: ConfigDefinition<unknown>,
    values: Layer['values'],
  ) => ((key: string, value: unknown) => boolean) | undefined;
  /** Reads names that other programs have for its fields; undefined where none are given. */
  readonly elsewhere?: (
    given: Layer['values'],
    fields: readonly FieldInfo[],
  ) => { readonly values: Layer['values']; readonly notes: readonly string[] } | undefined;
  /** Such names that may stand as flags. */
  readonly flagsElsewhere?: readonly string[];
  /** Writes out words that stand for several fields, and refuses what contradicts itself, before values are checked. */
  readonly expand?: (collection: Collection) => void;
  /** Never set: carries the type of the parsed configuration. */
  readonly type?: T;
}

/** Sections of the top level from their titles and fields. */
export function sectionsOf(groups: Readonly<Record<string, FieldShape>>): Section[] {
  return Object.entries(groups).map(([title, fields]) => ({ title, key: null, fields: fieldsOf(fields) }));
}

/** All fields of a definition, in order. */
export function allFields(definition: ConfigDefinition<unknown>): FieldInfo[] {
  return definition.sections.flatMap((section) => section.fields);
}

/** The fields that have flags: all but those that are only compared. */
export function flagFields(definition: ConfigDefinition<unknown>): FieldInfo[] {
  return definition.sections.filter((section) => !section.claim).flatMap((section) => section.fields);
}

/** The section that holds the field of this name. */
export function sectionOf(definition: ConfigDefinition<unknown>, name: string): Section | undefined {
  return definition.sections.find((section) => section.fields.some((field) => field.name === name));
}

/** Every name by which fields may be given. */
export function namesOf(fields: readonly FieldInfo[]): Set<string> {
  return new Set(fields.flatMap((field) => [field.name, ...field.aliases, ...field.formerly]));
}

type JsonObject = Record<string, unknown>;

/**
 * JSON Schema (2020-12) of a configuration file, for editors and other programs: types, limits, defaults, descriptions, and
 * as `x-unit` and `x-legacy-key` what only this package knows. Fields are in their blocks (`resolveConfig` also takes them
 * flat); values that this version does not have are left out.
 *
 * @example
 * jsonSchemaOf(trainingDefinition).properties; // { model: …, nepochs: { type: 'integer', default: 50, … }, … }
 */
export function jsonSchemaOf(definition: ConfigDefinition<unknown>): JsonObject {
  const schema = z.toJSONSchema(definition.schema, {
    io: 'input',
    override: ({ jsonSchema, path }) => rewrite(jsonSchema as JsonObject, String(path.at(-1))),
  }) as JsonObject;
  return { ...schema, title: `ptychopinn ${definition.name} configuration` };
}

/** Every key of {@link FieldMeta}, which JSON Schema does not know. */
const OWN_KEYS: Readonly<Record<keyof FieldMeta, true>> = {
  unit: true,
  legacyKey: true,
  aliases: true,
  formerly: true,
  bare: true,
  trainingOnly: true,
  valueAliases: true,
  alsoIn: true,
  fixed: true,
  unavailable: true,
  instead: true,
  expected: true,
};

/** Our own metadata under names that JSON Schema leaves to others; noise of safe integers away. */
function rewrite(schema: JsonObject, name: string): void {
  const { unit, fixed, legacyKey } = schema as FieldMeta;
  for (const key of Object.keys(OWN_KEYS)) delete schema[key];
  if (unit !== undefined) schema['x-unit'] = unit;
  if (legacyKey !== undefined) schema['x-legacy-key'] = legacyKey === true ? name : legacyKey;
  if (fixed) schema.const = schema.default;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
}
