/**
 * The text of `src/config/interfaces.ts`: every configuration as an interface whose fields say in an editor what
 * docs/configuration.md says. `npm run docs:configuration` writes it anew; `tests/config/interfaces.test.ts` compares it.
 */

import { compile, type JSONSchema } from 'json-schema-to-typescript';
import { z } from 'zod';
import { calibrationConfigSchema } from '../src/config/schemas/calibration.js';
import { comparisonConfigSchema } from '../src/config/schemas/comparison.js';
import { dataConfigSchema } from '../src/config/schemas/data.js';
import { evaluationConfigSchema, overlapConfigSchema } from '../src/config/schemas/evaluation.js';
import { deviceConfigSchema, executionConfigSchema } from '../src/config/schemas/execution.js';
import { inferenceConfigSchema } from '../src/config/schemas/inference.js';
import { modelConfigSchema } from '../src/config/schemas/model.js';
import { reconstructConfigSchema, reconstructOptionsSchema } from '../src/config/schemas/reconstruct.js';
import { simulationConfigSchema } from '../src/config/schemas/simulation.js';
import { solveConfigSchema } from '../src/config/schemas/solve.js';
import { solverOptionsSchema } from '../src/config/schemas/solver.js';
import {
  convertConfigSchema,
  demoConfigSchema,
  exportConfigSchema,
  exportWeightsConfigSchema,
  extractConfigSchema,
  importConfigSchema,
  inspectConfigSchema,
  labelConfigSchema,
  orientConfigSchema,
  productExportConfigSchema,
  productImportConfigSchema,
  splitConfigSchema,
} from '../src/config/schemas/tools.js';
import { trainingConfigSchema } from '../src/config/schemas/training.js';

/** Name of the interface → its schema and its sentence. */
const INTERFACES: Readonly<Record<string, readonly [schema: z.ZodType, sentence: string]>> = {
  ModelConfig: [modelConfigSchema, 'The network: the fields of the block `model`, N settled.'],
  DataConfig: [dataConfigSchema, 'How scan files are opened: the fields of the block `data`.'],
  DeviceConfig: [deviceConfigSchema, 'Where a command computes that has no use for the rest of `execution`.'],
  ExecutionConfig: [
    executionConfigSchema,
    'The machine: accelerator, threads, logging; the fields of the block `execution`.',
  ],
  TrainingConfig: [trainingConfigSchema, 'The configuration of a training, everything settled.'],
  InferenceConfig: [inferenceConfigSchema, 'The configuration of `infer`.'],
  ReconstructOptions: [reconstructOptionsSchema, 'How a scan is reconstructed where nothing is written.'],
  ReconstructConfig: [reconstructConfigSchema, 'The configuration of `reconstruct`.'],
  SolverOptions: [solverOptionsSchema, 'How a scan is solved, whatever becomes of the result.'],
  SolveConfig: [solveConfigSchema, 'The configuration of `solve`.'],
  SimulationConfig: [simulationConfigSchema, 'The configuration of `simulate`.'],
  DemoConfig: [demoConfigSchema, 'The configuration of `demo`.'],
  EvaluationConfig: [evaluationConfigSchema, 'The configuration of `evaluate`.'],
  CalibrationConfig: [calibrationConfigSchema, 'The configuration of `calibrate`.'],
  ComparisonConfig: [comparisonConfigSchema, 'The configuration of `compare`.'],
  OverlapConfig: [overlapConfigSchema, 'The configuration of `overlap`.'],
  InspectConfig: [inspectConfigSchema, 'The configuration of `inspect`.'],
  ConvertConfig: [convertConfigSchema, 'The configuration of `convert`.'],
  SplitConfig: [splitConfigSchema, 'The configuration of `split`.'],
  OrientConfig: [orientConfigSchema, 'The configuration of `orient`.'],
  LabelConfig: [labelConfigSchema, 'The configuration of `label`.'],
  ExportConfig: [exportConfigSchema, 'The configuration of `export`.'],
  ProductExportConfig: [productExportConfigSchema, 'The configuration of `product export`.'],
  ProductImportConfig: [productImportConfigSchema, 'The configuration of `product import`.'],
  ExtractConfig: [extractConfigSchema, 'The configuration of `bundle extract`.'],
  ExportWeightsConfig: [exportWeightsConfigSchema, 'The configuration of `bundle export`.'],
  ImportConfig: [importConfigSchema, 'The configuration of `bundle import`.'],
};

/** Blocks that are interfaces of their own: their type, by name of the block and number of its fields. */
const BLOCKS: Readonly<Record<string, (fields: number) => JSONSchema>> = {
  model: () => ({ tsType: 'ModelConfig', description: 'The network.' }),
  data: () => ({ tsType: 'DataConfig', description: 'How the scan is opened.' }),
  execution: (fields) => ({ tsType: fields > 3 ? 'ExecutionConfig' : 'DeviceConfig', description: 'The machine.' }),
};
/** A model that is stated, not chosen. */
const CLAIM: JSONSchema = {
  tsType: 'Partial<ModelConfig>',
  description: 'What the model is expected to be; compared with the bundle.',
};

const HEAD = `/**
 * Every configuration as an interface, complete as the schemas give it. Generated from the schemas by \`npm run docs:configuration\`;
 * do not change it here.
 */
`;

/** The file, as it should be. */
export async function configurationTypes(): Promise<string> {
  const parts: string[] = [];
  for (const [name, [schema, sentence]] of Object.entries(INTERFACES)) {
    const compiled = await compile(readable(name, schema, sentence), name, {
      bannerComment: '',
      additionalProperties: false,
      style: { singleQuote: true, printWidth: 120 },
    });
    // Configurations are frozen. One line is enough for one sentence.
    parts.push(
      compiled.replace(/^ {2}(?=\w+\??:(?: |$))/gm, '  readonly ').replace(/\/\*\*\n\s*\* (.*)\n\s*\*\//g, '/** $1 */'),
    );
  }
  return `${HEAD}\n${parts.join('\n')}`;
}

type Node = JSONSchema & { readonly unit?: string; readonly properties?: Record<string, Node> };

/** The JSON Schema of a configuration, with what an editor should show as descriptions. */
function readable(name: string, schema: z.ZodType, sentence: string): JSONSchema {
  const { properties = {}, required } = z.toJSONSchema(schema, { io: 'output', target: 'draft-7' }) as Node;
  const fields = Object.entries(properties).map(([key, field]): [string, JSONSchema] => [
    key,
    member(name, key, field),
  ]);
  return { title: name, description: sentence, type: 'object', properties: Object.fromEntries(fields), required };
}

function member(name: string, key: string, { description = '', unit, default: value, ...node }: Node): JSONSchema {
  if (key in BLOCKS && node.properties) {
    return key === 'model' && name !== 'TrainingConfig' ? CLAIM : BLOCKS[key](Object.keys(node.properties).length);
  }
  const said = [
    unit === undefined ? '' : `Unit: ${unit}.`,
    value === undefined || value === null ? '' : `Default: ${JSON.stringify(value)}.`,
  ];
  const text = [description, ...said].filter((part) => part !== '').join(' ');
  return { ...shape(node), description: text.replaceAll('*/', '*\u200b/') };
}

/** What matters of a value's type; limits are in the sentence of the field, if anywhere. */
function shape({
  type,
  enum: words,
  const: only,
  anyOf,
  items,
  additionalProperties,
  properties,
  required,
  pattern,
}: Node): JSONSchema {
  // Beside words, which editors then still offer.
  if (pattern) return { tsType: '(string & {})' };
  if (anyOf) return { anyOf: anyOf.map((node) => shape(node as Node)) };
  if (Array.isArray(items)) {
    const parts = items.map((node) => shape(node as Node));
    return { type: 'array', items: parts, minItems: parts.length, maxItems: parts.length };
  }
  if (items) return { type: 'array', items: shape(items as Node) };
  if (properties) {
    const parts = Object.entries(properties).map(([key, node]): [string, JSONSchema] => [key, member('', key, node)]);
    return { type: 'object', properties: Object.fromEntries(parts), required };
  }
  if (type === 'object') return { type, additionalProperties };
  return { ...(type && { type }), ...(words && { enum: words }), ...(only !== undefined && { const: only }) };
}
