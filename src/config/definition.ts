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
import { type ExtractConfig, extractConfigSchema, type ImportConfig, importConfigSchema } from './schemas/bundle.js';
import { COMPARISON_GROUPS, type ComparisonConfig, comparisonConfigSchema } from './schemas/comparison.js';
import { dataConfigSchema } from './schemas/data.js';
import { EVALUATION_GROUPS, type EvaluationConfig, evaluationConfigSchema } from './schemas/evaluation.js';
import { type OverlapConfig, overlapConfigSchema } from './schemas/overlap.js';
import {
  type ProductExportConfig,
  type ProductImportConfig,
  productExportConfigSchema,
  productImportConfigSchema,
} from './schemas/product.js';
import { type LabelConfig, labelConfigSchema, SIMULATION_GROUPS } from './schemas/simulation.js';
import { SOLVE_GROUPS, type SolveConfig, solveConfigSchema } from './schemas/solve.js';
import { studyRunSchema } from './schemas/study.js';
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

const deviceFields = executionSection.fields.filter(({ name }) => name === 'accelerator' || name === 'threads');

/** `solve`: an iterative algorithm; its engine is a field of its own. */
export const solveDefinition: ConfigDefinition<SolveConfig> = {
  name: 'solving',
  schema: solveConfigSchema,
  sections: [
    ...Object.entries(SOLVE_GROUPS).map(([title, fields]) => ({
      title,
      key: null,
      fields: fieldsOf(z.object(fields)),
    })),
    dataSection,
    { ...executionSection, fields: deviceFields },
  ],
  // Execution settings of networks.
  ignores: executionSection.fields.flatMap((field) =>
    deviceFields.includes(field) ? [] : [field.name, ...field.aliases],
  ),
};

/** `demo`: the few choices of the demonstration. */
export const demoDefinition: ConfigDefinition<DemoConfig> = {
  name: 'demo',
  schema: demoConfigSchema,
  sections: [
    { title: 'Demo', key: null, fields: fieldsOf(demoConfigSchema) },
    { ...executionSection, fields: deviceFields },
  ],
};

/** `simulate`: a scan with a known object. */
export const simulationDefinition: ConfigDefinition<SimulationConfig> = {
  name: 'simulation',
  schema: simulationConfigSchema,
  sections: Object.entries(SIMULATION_GROUPS).map(([title, fields]) => ({
    title,
    key: null,
    fields: fieldsOf(z.object(fields)),
  })),
};

/** `label`: labels for supervised training from a reconstruction. */
export const labelDefinition: ConfigDefinition<LabelConfig> = {
  name: 'labelling',
  schema: labelConfigSchema,
  sections: [{ title: 'Labels', key: null, fields: fieldsOf(labelConfigSchema) }],
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

/** `bundle extract`: the members of a bundle as files. */
export const extractDefinition: ConfigDefinition<ExtractConfig> = {
  name: 'extraction',
  schema: extractConfigSchema,
  sections: [{ title: 'Extraction', key: null, fields: fieldsOf(extractConfigSchema) }],
};

/** `bundle import`: a model of another program as a bundle. */
export const importDefinition: ConfigDefinition<ImportConfig> = {
  name: 'import',
  schema: importConfigSchema,
  sections: [{ title: 'Import', key: null, fields: fieldsOf(importConfigSchema) }],
};

/** `compare`: models and finished reconstructions on the same patterns. */
export const comparisonDefinition: ConfigDefinition<ComparisonConfig> = {
  name: 'comparison',
  schema: comparisonConfigSchema,
  sections: [
    ...Object.entries(COMPARISON_GROUPS).map(([title, fields]) => ({
      title,
      key: null,
      fields: fieldsOf(z.object(fields)),
    })),
    dataSection,
    {
      ...executionSection,
      // Batches of a comparison have fields of their own.
      fields: executionSection.fields.filter(
        ({ trainingOnly, name }) => !trainingOnly && name !== 'inference_batch_size',
      ),
    },
  ],
};

/** `evaluate`: an image against the truth, or two halves of a scan. */
export const evaluationDefinition: ConfigDefinition<EvaluationConfig> = {
  name: 'evaluation',
  schema: evaluationConfigSchema,
  sections: [
    ...Object.entries(EVALUATION_GROUPS).map(([title, fields]) => ({
      title,
      key: null,
      fields: fieldsOf(z.object(fields)),
    })),
    openingSection(),
    { ...executionSection, fields: executionSection.fields.filter(({ trainingOnly }) => !trainingOnly) },
  ],
};

/** `overlap`: how much neighbouring patterns share. */
export const overlapDefinition: ConfigDefinition<OverlapConfig> = {
  name: 'overlap',
  schema: overlapConfigSchema,
  sections: [{ title: 'Overlap', key: null, fields: fieldsOf(overlapConfigSchema) }, openingSection()],
};

/** `study dose-overlap`: where, and how much of it; the study itself is a file. */
export const studyRunDefinition: ConfigDefinition<{
  readonly output_dir: string;
  readonly overwrite: boolean;
  readonly post_verify_only: boolean;
}> = {
  name: 'study',
  schema: studyRunSchema,
  sections: [{ title: 'Study', key: null, fields: fieldsOf(studyRunSchema) }],
};

/** `product export`: a scan, or the image of one, as a product of Ptychodus. */
export const productExportDefinition: ConfigDefinition<ProductExportConfig> = {
  name: 'product export',
  schema: productExportConfigSchema,
  sections: [{ title: 'Export', key: null, fields: fieldsOf(productExportConfigSchema) }, openingSection()],
};

/** `product import`: a product as a contract NPZ. */
export const productImportDefinition: ConfigDefinition<ProductImportConfig> = {
  name: 'product import',
  schema: productImportConfigSchema,
  sections: [{ title: 'Import', key: null, fields: fieldsOf(productImportConfigSchema) }, openingSection(['product'])],
};

/** Every command that has a configuration, by the words that are typed. */
export const COMMAND_DEFINITIONS: Readonly<Record<string, ConfigDefinition<unknown>>> = {
  train: trainingDefinition,
  infer: inferenceDefinition,
  solve: solveDefinition,
  simulate: simulationDefinition,
  demo: demoDefinition,
  inspect: inspectDefinition,
  convert: convertDefinition,
  split: splitDefinition,
  orient: orientDefinition,
  label: labelDefinition,
  evaluate: evaluationDefinition,
  compare: comparisonDefinition,
  overlap: overlapDefinition,
  'study dose-overlap': studyRunDefinition,
  'bundle extract': extractDefinition,
  'bundle import': importDefinition,
  'product export': productExportDefinition,
  'product import': productImportDefinition,
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
