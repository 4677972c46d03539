/**
 * A configuration as people see it: one flat list of fields in titled sections, although the object behind it nests
 * `model` and `execution`. Flags, files, help and the generated documentation walk through this.
 *
 * @example
 * sectionOf(trainingDefinition, 'gridsize')?.key; // 'model'
 */

import type { z } from 'zod';
import { dataConfigSchema } from './dataSchema.js';
import { type FieldInfo, fieldsOf } from './field.js';
import {
  type DemoConfig,
  demoConfigSchema,
  executionConfigSchema,
  type InferenceConfig,
  inferenceConfigSchema,
  modelConfigSchema,
  type SimulationConfig,
  simulationConfigSchema,
  type TrainingRequest,
  trainingConfigSchema,
  trainingRequestSchema,
} from './schema.js';

/** Fields that live under the same key of the configuration object. */
export interface Section {
  readonly title: string;
  /** Key of the nested object, `null` for the top level. */
  readonly key: 'model' | 'execution' | 'data' | null;
  readonly fields: readonly FieldInfo[];
}

/** A whole configuration: its schema and its fields. */
export interface ConfigDefinition<T> {
  readonly name: string;
  readonly schema: z.ZodType<unknown>;
  readonly sections: readonly Section[];
  /** Never set: carries the type of the parsed configuration. */
  readonly type?: T;
}

const dataSection: Section = { title: 'Data', key: 'data', fields: fieldsOf(dataConfigSchema) };
const executionSection: Section = { title: 'Execution', key: 'execution', fields: fieldsOf(executionConfigSchema) };

/** `train`: model, training and execution; N may be left to the data. */
export const trainingDefinition: ConfigDefinition<TrainingRequest> = {
  name: 'training',
  schema: trainingRequestSchema,
  sections: [
    { title: 'Training', key: null, fields: fieldsOf(trainingConfigSchema) },
    { title: 'Model', key: 'model', fields: fieldsOf(modelConfigSchema) },
    dataSection,
    executionSection,
  ],
};

/** `infer`: inference and execution; the model comes from the bundle. */
export const inferenceDefinition: ConfigDefinition<InferenceConfig> = {
  name: 'inference',
  schema: inferenceConfigSchema,
  sections: [{ title: 'Inference', key: null, fields: fieldsOf(inferenceConfigSchema) }, dataSection, executionSection],
};

/** `demo`: the few choices of the demonstration. */
export const demoDefinition: ConfigDefinition<DemoConfig> = {
  name: 'demo',
  schema: demoConfigSchema,
  sections: [{ title: 'Demo', key: null, fields: fieldsOf(demoConfigSchema) }, executionSection],
};

/** `simulate`: a scan with a known object. */
export const simulationDefinition: ConfigDefinition<SimulationConfig> = {
  name: 'simulation',
  schema: simulationConfigSchema,
  sections: [{ title: 'Simulation', key: null, fields: fieldsOf(simulationConfigSchema) }],
};

/** All fields of a definition, in order. */
export function allFields(definition: ConfigDefinition<unknown>): FieldInfo[] {
  return definition.sections.flatMap((section) => section.fields);
}

/** The section that holds the field of this name. */
export function sectionOf(definition: ConfigDefinition<unknown>, name: string): Section | undefined {
  return definition.sections.find((section) => section.fields.some((field) => field.name === name));
}
