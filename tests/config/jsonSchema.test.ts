import { describe, expect, it } from 'vitest';
import {
  demoDefinition,
  inferenceDefinition,
  simulationDefinition,
  trainingDefinition,
} from '../../src/config/commands.js';
import { allFields, type ConfigDefinition, jsonSchemaOf } from '../../src/config/definition.js';
import { ARCHITECTURES } from '../../src/networks/architectures.js';

interface Property {
  readonly type?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: unknown[];
  readonly anyOf?: readonly Property[];
  readonly description?: string;
  readonly properties?: Record<string, Property>;
  readonly [key: string]: unknown;
}
const propertiesOf = (definition: ConfigDefinition<unknown>) =>
  (jsonSchemaOf(definition) as unknown as Property).properties as Record<string, Property>;

describe('jsonSchemaOf', () => {
  it.each([trainingDefinition, inferenceDefinition, simulationDefinition, demoDefinition])(
    'describes every field of $name, with default, unit and legacy key',
    (definition) => {
      const properties = propertiesOf(definition);
      for (const section of definition.sections) {
        const fields = section.key === null ? properties : properties[section.key].properties!;
        for (const field of section.fields) {
          const property = fields[field.name];
          expect(property.description, field.name).toBe(field.description);
          expect(property['x-unit'] ?? null, field.name).toBe(field.unit);
          expect(property['x-legacy-key'] ?? null, field.name).toBe(field.legacyKey);
          if (!section.claim && !field.required) expect(property.default, field.name).toEqual(field.fallback);
          const words = property.enum ?? property.anyOf?.[0].enum;
          for (const word of field.unavailable) expect(words, field.name).not.toContain(word);
        }
      }
    },
  );

  it('knows limits, words and what is fixed, and refuses other keys', () => {
    const properties = propertiesOf(trainingDefinition);
    expect(properties.batch_size).toMatchObject({ type: 'integer', exclusiveMinimum: 0, default: 4 });
    expect(properties.batch_size.maximum).toBeUndefined();
    expect(properties.execution.properties?.num_workers.const).toBe(0);
    expect(properties.model.properties?.architecture.enum).toEqual(ARCHITECTURES);
    expect(jsonSchemaOf(trainingDefinition)).toMatchObject({ additionalProperties: false, type: 'object' });
    expect(jsonSchemaOf(inferenceDefinition).required).toEqual(['model_path', 'test_data_file']);
    // Only JSON Schema's own words and ours with x-.
    expect(JSON.stringify(jsonSchemaOf(trainingDefinition))).not.toMatch(
      /"(legacyKey|formerly|valueAliases|instead|bare)"/,
    );
    expect(allFields(trainingDefinition).length).toBeGreaterThan(100);
  });
});
