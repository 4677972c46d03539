/** The configuration of every command: its sections, cut from the fields of the schemas, and what is particular about it. */

import { z } from 'zod';
import { type FieldInfo, type FieldShape, fieldsOf } from '../core/field.js';
import { type ConfigDefinition, type Section, sectionsOf } from './definition.js';
import { FLAGS_ELSEWHERE, translateElsewhere } from './elsewhere/translate.js';
import { legacyState } from './legacy/dictionary.js';
import { type CalibrationConfig, calibrationConfigSchema, calibrationFields } from './schemas/calibration.js';
import { COMPARISON_GROUPS, type ComparisonConfig, comparisonConfigSchema } from './schemas/comparison.js';
import { dataFields, openingFields, orientingFields, productFields } from './schemas/data.js';
import {
  EVALUATION_GROUPS,
  type EvaluationConfig,
  evaluationConfigSchema,
  type OverlapConfig,
  overlapConfigSchema,
} from './schemas/evaluation.js';
import {
  checkEngine,
  deviceFields,
  type ExecutionConfig,
  executionConfigSchema,
  executionFields,
} from './schemas/execution.js';
import {
  checkTwins,
  type ImageConfig,
  type InferenceConfig,
  imageConfigSchema,
  inferenceConfigSchema,
} from './schemas/inference.js';
import {
  type JobsPlanConfig,
  type JobsSubmitConfig,
  type JobsWorkConfig,
  jobsPlanSchema,
  jobsSubmitSchema,
  jobsWorkSchema,
} from './schemas/jobs.js';
import { type LiveConfig, liveConfigSchema } from './schemas/live.js';
import { type ModelRequest, modelFields, modelRequestSchema } from './schemas/model.js';
import {
  RECONSTRUCT_GROUPS,
  type ReconstructConfig,
  type ReconstructOptions,
  reconstructConfigSchema,
  reconstructOptionsSchema,
} from './schemas/reconstruct.js';
import { sourceFields } from './schemas/shared.js';
import { SOLVE_GROUPS, type SolveConfig, solveConfigSchema } from './schemas/solve.js';
import { type StudyJobConfig, type StudyRunConfig, studyJobSchema, studyRunSchema } from './schemas/study.js';
import {
  type ConvertConfig,
  convertConfigSchema,
  type DemoConfig,
  demoConfigSchema,
  type ExportConfig,
  type ExportWeightsConfig,
  type ExtractConfig,
  exportConfigSchema,
  exportWeightsConfigSchema,
  extractConfigSchema,
  type ImportConfig,
  type InspectConfig,
  importConfigSchema,
  inspectConfigSchema,
  type LabelConfig,
  labelConfigSchema,
  type OrientConfig,
  orientConfigSchema,
  type ProductExportConfig,
  type ProductImportConfig,
  productExportConfigSchema,
  productImportConfigSchema,
  type SplitConfig,
  splitConfigSchema,
  type ViewConfig,
  viewConfigSchema,
} from './schemas/tools.js';
import { expandWords, type TrainingRequest, trainingConfigSchema, trainingRequestSchema } from './schemas/training.js';

export { simulationDefinition } from './simulationDefinition.js';

import { withoutIdle } from './solverIdle.js';

export { solverDefinition } from './solverDefinition.js';

import { simulationDefinition } from './simulationDefinition.js';
import { readTorchStyle } from './torch/layers.js';

const dataSection = (fields: FieldShape): Section => ({ title: 'Data', key: 'data', fields: fieldsOf(fields) });
const executionSection = (fields: readonly FieldInfo[]): Section => ({ title: 'Execution', key: 'execution', fields });
const modelSection: Section = { title: 'Model', key: 'model', fields: fieldsOf(modelFields) };

const ofTraining = fieldsOf(executionFields);
const ofNetworks = ofTraining.filter((field) => !field.trainingOnly);
const { inference_batch_size: _, ...withoutBatches } = executionFields;
const ofDevices = fieldsOf(deviceFields);

/** A command with one section of its own, which is its schema, and maybe the block `data`. */
const tool = <T>(name: string, title: string, schema: z.ZodObject, opening?: FieldShape): ConfigDefinition<T> => ({
  name,
  schema,
  sections: [...sectionsOf({ [title]: schema.shape }), ...(opening ? [dataSection(opening)] : [])],
});

/** Every name of fields that a configuration leaves out, although published files hold them. */
const ignored = (fields: readonly FieldInfo[]): string[] => fields.flatMap(({ name, aliases }) => [name, ...aliases]);

/** `train`: model, training and execution; N may be left to the data. */
export const trainingDefinition: ConfigDefinition<TrainingRequest> = {
  name: 'training',
  scan: 'train_data_file',
  moreScans: 'train_data_files',
  schema: trainingRequestSchema,
  sections: [
    ...sectionsOf({ Training: trainingRequestSchema.shape }),
    modelSection,
    dataSection(dataFields),
    executionSection(ofTraining),
  ],
  readFile: readTorchStyle,
  legacyState,
  expand: expandWords,
};

/** `infer`: inference and execution; the model comes from the bundle. */
export const inferenceDefinition: ConfigDefinition<InferenceConfig> = {
  name: 'inference',
  scan: 'test_data_file',
  schema: inferenceConfigSchema,
  sections: [
    ...sectionsOf({ Inference: inferenceConfigSchema.shape }),
    { ...modelSection, claim: true },
    dataSection(dataFields),
    executionSection(ofNetworks),
  ],
  // Published execution settings hold these, although they belong to training.
  ignores: ignored([
    ...fieldsOf(trainingConfigSchema).filter((field) => field.alsoIn === 'execution'),
    ...ofTraining.filter((field) => field.trainingOnly),
  ]),
  readFile: readTorchStyle,
  legacyState,
  expand: checkTwins,
};

/** The same for programs that bring model and scan along. */
export const imageDefinition: ConfigDefinition<ImageConfig> = {
  ...inferenceDefinition,
  scan: undefined,
  schema: imageConfigSchema,
  sections: [...sectionsOf({ Inference: imageConfigSchema.shape }), ...inferenceDefinition.sections.slice(1)],
  type: undefined,
};

/** `live`: a scan that is being measured. */
export const liveDefinition: ConfigDefinition<LiveConfig> = {
  name: 'live scan',
  schema: liveConfigSchema,
  sections: [
    ...sectionsOf({ 'Live scan': liveConfigSchema.shape }),
    dataSection(dataFields),
    executionSection(ofDevices),
  ],
};

/** `solve`: an iterative algorithm; who computes its passes is a field of its own. */
export const solveDefinition: ConfigDefinition<SolveConfig> = {
  name: 'solving',
  scan: 'test_data_file',
  moreScans: 'test_data_files',
  schema: solveConfigSchema,
  sections: [...sectionsOf(SOLVE_GROUPS), dataSection(dataFields), executionSection(ofDevices)],
  // Execution settings of networks.
  ignores: ignored(ofTraining.filter(({ name }) => !(name in deviceFields))),
  elsewhere: translateElsewhere,
  flagsElsewhere: FLAGS_ELSEWHERE,
  expand: withoutIdle,
};

/** `reconstruct`: everything is found out that nobody says. */
export const reconstructDefinition: ConfigDefinition<ReconstructConfig> = {
  name: 'reconstruction',
  scan: 'test_data_file',
  moreScans: 'test_data_files',
  schema: reconstructConfigSchema,
  sections: [...sectionsOf(RECONSTRUCT_GROUPS), dataSection(dataFields), executionSection(ofDevices)],
  ignores: solveDefinition.ignores,
};

/** The same for programs that bring the scan along and write nothing. */
export const reconstructOptionsDefinition: ConfigDefinition<ReconstructOptions> = {
  name: 'reconstruction',
  schema: reconstructOptionsSchema,
  sections: [
    ...sectionsOf({ Reconstruction: reconstructOptionsSchema.shape }),
    dataSection(dataFields),
    executionSection(ofDevices),
  ],
};

/** `demo`: the few choices of the demonstration. */
export const demoDefinition: ConfigDefinition<DemoConfig> = {
  name: 'demo',
  schema: demoConfigSchema,
  sections: [...sectionsOf({ Demo: demoConfigSchema.shape }), executionSection(ofDevices)],
};

/** `label`: labels for supervised training from a reconstruction. */
export const labelDefinition = tool<LabelConfig>('labelling', 'Labels', labelConfigSchema);

/** `export`: images as TIFF and CXI. */
export const exportDefinition = tool<ExportConfig>('export', 'Export', exportConfigSchema);

/** The model alone, for configurations that say nothing else. */
export const modelDefinition: ConfigDefinition<{ readonly model: ModelRequest }> = {
  name: 'model',
  schema: z.strictObject({ model: modelRequestSchema.prefault({}) }),
  sections: [modelSection],
};

const { backend } = sourceFields;

/** The engine of a network alone. */
export const engineDefinition: ConfigDefinition<{
  readonly backend: InferenceConfig['backend'];
  readonly execution: ExecutionConfig;
}> = {
  name: 'engine',
  schema: z.strictObject({ backend, execution: executionConfigSchema.prefault({}) }).superRefine(checkEngine),
  sections: [...sectionsOf({ Engine: { backend } }), executionSection(ofNetworks)],
  ignores: inferenceDefinition.ignores,
};

/** `inspect`: what a scan file holds. */
export const inspectDefinition = tool<InspectConfig>('inspection', 'Inspection', inspectConfigSchema, openingFields);

/** `view`: the page. */
export const viewDefinition = tool<ViewConfig>('page', 'Page', viewConfigSchema);

/** `convert`: any scan to a contract NPZ. */
export const convertDefinition = tool<ConvertConfig>('conversion', 'Conversion', convertConfigSchema, openingFields);

/** `split`: a scan cut in two. */
export const splitDefinition = tool<SplitConfig>('split', 'Split', splitConfigSchema, openingFields);

/** `orient`: the search for the orientation of the positions. */
export const orientDefinition = tool<OrientConfig>('orientation', 'Orientation', orientConfigSchema, orientingFields);

/** `bundle extract`: the members of a bundle as files. */
export const extractDefinition = tool<ExtractConfig>('extraction', 'Extraction', extractConfigSchema);

/** `bundle export`: a bundle under the names of the published tools. */
export const exportWeightsDefinition = tool<ExportWeightsConfig>('weights', 'Export', exportWeightsConfigSchema);

/** `bundle import`: a model of another program as a bundle. */
export const importDefinition = tool<ImportConfig>('import', 'Import', importConfigSchema);

/** `compare`: models and finished reconstructions on the same patterns; its batches have fields of their own. */
export const comparisonDefinition: ConfigDefinition<ComparisonConfig> = {
  name: 'comparison',
  scan: 'test_data_file',
  schema: comparisonConfigSchema,
  sections: [
    ...sectionsOf(COMPARISON_GROUPS),
    dataSection(dataFields),
    executionSection(fieldsOf(withoutBatches).filter((field) => !field.trainingOnly)),
  ],
};

/** `calibrate`: from the spread of networks or patches to intervals. */
export const calibrationDefinition: ConfigDefinition<CalibrationConfig> = {
  name: 'calibration',
  schema: calibrationConfigSchema,
  sections: [
    ...sectionsOf({ Calibration: calibrationFields }),
    dataSection(dataFields),
    executionSection(fieldsOf(withoutBatches).filter((field) => !field.trainingOnly)),
  ],
};

/** `evaluate`: an image against the truth, or two halves of a scan. */
export const evaluationDefinition: ConfigDefinition<EvaluationConfig> = {
  name: 'evaluation',
  scan: 'test_data_file',
  schema: evaluationConfigSchema,
  sections: [...sectionsOf(EVALUATION_GROUPS), dataSection(openingFields), executionSection(ofNetworks)],
};

/** `overlap`: how much neighbouring patterns share. */
export const overlapDefinition = tool<OverlapConfig>('overlap', 'Overlap', overlapConfigSchema, openingFields);

/** `study dose-overlap`: where, and how much of it; the study itself is a file. */
export const studyRunDefinition = tool<StudyRunConfig>('study', 'Study', studyRunSchema);

/** A step of a study as a job of a plan; not typed by anybody. */
export const studyJobDefinition = tool<StudyJobConfig>('study step', 'Step', studyJobSchema);

/** `jobs plan`: many runs of one verb; the fields of the verb come besides. */
export const jobsPlanDefinition = tool<JobsPlanConfig>('jobs', 'Plan', jobsPlanSchema);

/** `jobs submit`: a plan for Slurm or for a queue. */
export const jobsSubmitDefinition = tool<JobsSubmitConfig>('submission', 'Submission', jobsSubmitSchema);

/** `jobs work`: a worker of a queue. */
export const jobsWorkDefinition = tool<JobsWorkConfig>('worker', 'Queue', jobsWorkSchema);

/** `product export`: a scan, or the image of one, as a product of Ptychodus. */
export const productExportDefinition = tool<ProductExportConfig>(
  'product export',
  'Export',
  productExportConfigSchema,
  openingFields,
);

/** `product import`: a product as a contract NPZ. */
export const productImportDefinition = tool<ProductImportConfig>(
  'product import',
  'Import',
  productImportConfigSchema,
  productFields,
);

/** Every command that has a configuration, by the words that are typed. */
export const COMMAND_DEFINITIONS: Readonly<Record<string, ConfigDefinition<unknown>>> = {
  train: trainingDefinition,
  infer: inferenceDefinition,
  reconstruct: reconstructDefinition,
  solve: solveDefinition,
  live: liveDefinition,
  simulate: simulationDefinition,
  demo: demoDefinition,
  inspect: inspectDefinition,
  view: viewDefinition,
  convert: convertDefinition,
  split: splitDefinition,
  orient: orientDefinition,
  label: labelDefinition,
  evaluate: evaluationDefinition,
  calibrate: calibrationDefinition,
  compare: comparisonDefinition,
  overlap: overlapDefinition,
  export: exportDefinition,
  'study dose-overlap': studyRunDefinition,
  'jobs plan': jobsPlanDefinition,
  'jobs submit': jobsSubmitDefinition,
  'jobs work': jobsWorkDefinition,
  'bundle extract': extractDefinition,
  'bundle export': exportWeightsDefinition,
  'bundle import': importDefinition,
  'product export': productExportDefinition,
  'product import': productImportDefinition,
};
