/**
 * A configuration as people see it: one flat list of fields in titled sections, although the object behind it nests
 * `model` and `execution`. Flags, files, help and the generated documentation walk through this.
 *
 * @example
 * sectionOf(trainingDefinition, 'gridsize')?.key; // 'model'
 */

import { z } from 'zod';
import { type FieldInfo, fieldsOf } from './field.js';
import {
  type DemoConfig,
  demoConfigSchema,
  executionConfigSchema,
  type InferenceConfig,
  inferenceConfigSchema,
  type ModelRequest,
  modelConfigSchema,
  modelRequestSchema,
  type SimulationConfig,
  simulationConfigSchema,
  type TrainingRequest,
  trainingConfigSchema,
  trainingRequestSchema,
} from './schema.js';
import { dataConfigSchema } from './schemas/data.js';
import {
  type ConvertConfig,
  convertConfigSchema,
  type InspectConfig,
  inspectConfigSchema,
  type OrientConfig,
  orientConfigSchema,
  type SplitConfig,
  splitConfigSchema,
} from './schemas/tools.js';

/** Fields that live under the same key of the configuration object. */
export interface Section {
  readonly title: string;
  /** Key of the nested object, `null` for the top level. */
  readonly key: 'model' | 'execution' | 'data' | null;
  readonly fields: readonly FieldInfo[];
  /** The fields are no choices but are compared with what a bundle says: files may hold them, there are no flags. */
  readonly claim?: boolean;
}

/** A whole configuration: its schema and its fields. */
export interface ConfigDefinition<T> {
  readonly name: string;
  readonly schema: z.ZodType<unknown>;
  readonly sections: readonly Section[];
  /** Published keys that play no part in this configuration; they are left out with a note. */
  readonly ignores?: readonly string[];
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
  sections: [
    { title: 'Inference', key: null, fields: fieldsOf(inferenceConfigSchema) },
    { title: 'Model', key: 'model', fields: fieldsOf(modelConfigSchema), claim: true },
    dataSection,
    { ...executionSection, fields: executionSection.fields.filter((field) => !field.trainingOnly) },
  ],
  // Published execution settings hold these, although they belong to training.
  ignores: [
    ...fieldsOf(trainingConfigSchema).filter((field) => field.alsoIn === 'execution'),
    ...executionSection.fields.filter((field) => field.trainingOnly),
  ].flatMap((field) => [field.name, ...field.aliases]),
};

/** `demo`: the few choices of the demonstration. */
export const demoDefinition: ConfigDefinition<DemoConfig> = {
  name: 'demo',
  schema: demoConfigSchema,
  sections: [
    { title: 'Demo', key: null, fields: fieldsOf(demoConfigSchema) },
    {
      ...executionSection,
      fields: executionSection.fields.filter(({ name }) => name === 'accelerator' || name === 'threads'),
    },
  ],
};

/** `simulate`: a scan with a known object. */
export const simulationDefinition: ConfigDefinition<SimulationConfig> = {
  name: 'simulation',
  schema: simulationConfigSchema,
  sections: [{ title: 'Simulation', key: null, fields: fieldsOf(simulationConfigSchema) }],
};

/** The model alone, for configurations that say nothing else. */
export const modelDefinition: ConfigDefinition<{ readonly model: ModelRequest }> = {
  name: 'model',
  schema: z.strictObject({ model: modelRequestSchema.prefault({}) }),
  sections: [{ title: 'Model', key: 'model', fields: fieldsOf(modelConfigSchema) }],
};

/** How a scan is opened, without what concerns groups and, for `orient`, without what it is to find out. */
function openingSection(without: readonly string[] = []): Section {
  const left = new Set([
    'neighbor_function',
    'min_neighbor_distance_px',
    'max_neighbor_distance_px',
    'quadrant_candidates',
    'cache_groups',
    ...without,
  ]);
  return { ...dataSection, fields: dataSection.fields.filter((field) => !left.has(field.name)) };
}

/** `inspect`: what a scan file holds. */
export const inspectDefinition: ConfigDefinition<InspectConfig> = {
  name: 'inspection',
  schema: inspectConfigSchema,
  sections: [{ title: 'Inspection', key: null, fields: fieldsOf(inspectConfigSchema) }, openingSection()],
};

/** `convert`: any scan to a contract NPZ. */
export const convertDefinition: ConfigDefinition<ConvertConfig> = {
  name: 'conversion',
  schema: convertConfigSchema,
  sections: [{ title: 'Conversion', key: null, fields: fieldsOf(convertConfigSchema) }, openingSection()],
};

/** `split`: a scan cut in two. */
export const splitDefinition: ConfigDefinition<SplitConfig> = {
  name: 'split',
  schema: splitConfigSchema,
  sections: [{ title: 'Split', key: null, fields: fieldsOf(splitConfigSchema) }, openingSection()],
};

/** `orient`: the search for the orientation of the positions. */
export const orientDefinition: ConfigDefinition<OrientConfig> = {
  name: 'orientation',
  schema: orientConfigSchema,
  sections: [
    { title: 'Orientation', key: null, fields: fieldsOf(orientConfigSchema) },
    openingSection(['flip_x', 'flip_y', 'swap_xy']),
  ],
};

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

/** Every name by which the fields of a definition may be given. */
export function namesOf(definition: ConfigDefinition<unknown>): Set<string> {
  return new Set(allFields(definition).flatMap((field) => [field.name, ...field.aliases, ...field.formerly]));
}
