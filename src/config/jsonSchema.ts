/**
 * JSON Schema of a configuration file, for editors and other programs: types, limits, defaults, descriptions, and as
 * `x-unit` and `x-legacy-key` what only this package knows.
 *
 * @example
 * jsonSchemaOf(trainingDefinition).properties; // { model: …, nepochs: { type: 'integer', default: 50, … }, … }
 */

import { z } from 'zod';
import type { ConfigDefinition } from './definition.js';
import type { FieldMeta } from './field.js';

type JsonObject = Record<string, unknown>;

/**
 * The schema of a definition in JSON Schema 2020-12, with fields in their blocks (`resolveConfig` also takes them flat).
 * Values that this version does not have are left out.
 */
export function jsonSchemaOf(definition: ConfigDefinition<unknown>): JsonObject {
  const schema = z.toJSONSchema(definition.schema, {
    io: 'input',
    override: ({ jsonSchema, path }) => rewrite(jsonSchema as JsonObject, String(path.at(-1))),
  }) as JsonObject;
  return { ...schema, title: `ptychopinn ${definition.name} configuration` };
}

/** Our own metadata under names that JSON Schema leaves to others; noise of safe integers away. */
function rewrite(schema: JsonObject, name: string): void {
  const { unit, fixed, expected, legacyKey = name } = schema as FieldMeta;
  const own: readonly (keyof FieldMeta)[] = [
    'unit',
    'legacyKey',
    'aliases',
    'formerly',
    'bare',
    'trainingOnly',
    'valueAliases',
    'alsoIn',
    'fixed',
    'unavailable',
    'instead',
    'expected',
  ];
  for (const key of own) delete schema[key];
  if (unit !== undefined) schema['x-unit'] = unit;
  // Only a declared field says what it expects.
  if (expected !== undefined && legacyKey !== null) schema['x-legacy-key'] = legacyKey;
  if (fixed) schema.const = schema.default;
  if (schema.maximum === Number.MAX_SAFE_INTEGER) delete schema.maximum;
  if (schema.minimum === Number.MIN_SAFE_INTEGER) delete schema.minimum;
}
