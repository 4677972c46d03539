/**
 * The configuration of ptychopinn: one strict schema each for the model, a training run, an inference run and the
 * machine it runs on. Types, defaults, flags, help and `docs/configuration.md` all come from here.
 *
 * `N` has no default on purpose: it is the side of the patterns in the data file, so a run is described by a
 * {@link TrainingRequest} (N may be missing) until `finaliseTrainingConfig` has seen the data.
 *
 * @example
 * const config = trainingConfigSchema.parse({ model: { N: 64, gridsize: 2 }, nepochs: 20 });
 * config.model.n_filters_scale; // 2
 */

import { z } from 'zod';
import { type DataConfig, dataConfigSchema } from './dataSchema.js';
import {
  belowOne,
  field,
  flag,
  type Kind,
  nonNegativeNumber,
  oneOf,
  openUnitInterval,
  optional,
  path,
  positiveInteger,
  positiveNumber,
  powerOfTwo,
  required,
  seedNumber,
  text,
  unitInterval,
  wholeNumber,
} from './field.js';

/** The pattern sides that the network exists for. */
export const SUPPORTED_N = [64, 128, 256] as const;

const patternSide: Kind<z.ZodLiteral<64 | 128 | 256>> = { schema: z.literal(SUPPORTED_N), expected: '64, 128 or 256' };

const modelFields = {
  N: required(patternSide, 'Side of the square diffraction patterns and of the patches; taken from the data file.', {
    unit: 'px',
  }),
  gridsize: field(
    positiveInteger,
    1,
    'A group is gridsize × gridsize neighbouring patterns, the channels of the network.',
  ),
  architecture: field(
    oneOf('cnn', 'cnn_cbam'),
    'cnn',
    'Generator network: cnn is the published encoder with two decoders, cnn_cbam the variant with attention.',
  ),
  cbam_encoder: field(flag, true, 'Attention blocks in the encoder; only cnn_cbam has them.', { legacyKey: null }),
  n_filters_scale: field(positiveInteger, 2, 'Multiplies the width of every convolution.'),
  amp_activation: field(
    oneOf('sigmoid', 'swish', 'softplus', 'relu'),
    'sigmoid',
    'Activation of the amplitude head; sigmoid keeps the amplitude positive and bounded.',
  ),
  object_big: field(
    flag,
    true,
    'Predict one patch per member of a group and merge them on a canvas; false: one patch for the whole group.',
    { legacyKey: 'object.big' },
  ),
  probe_big: field(flag, true, 'Add the low-resolution head that fills the outer N/4 border of the patch.', {
    legacyKey: 'probe.big',
  }),
  probe_mask: field(flag, false, 'Cut the probe to a disk of radius N/4.', { legacyKey: 'probe.mask' }),
  pad_object: field(flag, true, 'Predict the central N/2 square and pad it; false: a full N × N head.'),
  border_activation: field(
    oneOf('same', 'swish'),
    'same',
    "Activation of the border branch: the head's own, or the published swish, which is unbounded.",
    { legacyKey: null },
  ),
  gaussian_smoothing_sigma: field(
    nonNegativeNumber,
    0,
    'Width of the 3 × 3 Gaussian blur of the illuminated field; 0 switches it off.',
    { unit: 'px' },
  ),
};

const executionFields = {
  accelerator: field(
    oneOf('auto', 'cuda', 'cpu'),
    'auto',
    'Where programs run: auto tries CUDA and falls back to the CPU with a warning, cuda insists on it.',
    { legacyKey: null },
  ),
  threads: field(optional(positiveInteger), null, 'CPU threads of the engine; null: one for each core.', {
    unit: 'threads',
    legacyKey: null,
  }),
};

const neighborCount = field(positiveInteger, 4, 'Nearest neighbours among which the members of a group are drawn.');
const nSubsample = field(
  optional(positiveInteger),
  null,
  'Patterns kept before grouping, drawn at random; null: all.',
  {
    unit: 'patterns',
  },
);
const subsampleSeed = field(
  optional(seedNumber),
  null,
  'Seed of the drawing of patterns and groups, NumPy-compatible; null: the value of seed.',
);
const sequentialSampling = field(flag, false, 'Take the first patterns instead of a random draw.');
const probe = field(
  optional(text),
  null,
  'Use this probe instead of the one in the data file: FILE or FILE:key of an NPZ.',
  { legacyKey: null },
);
const measurementDomain = field(
  optional(oneOf('normalized_amplitude', 'count_amplitude', 'count_intensity')),
  null,
  'What the numbers in the data file are; null: as the file declares or as its values show, with the reason printed.',
  { legacyKey: null },
);
const backend = field(oneOf('onnx'), 'onnx', 'Engine that runs the network: onnx is ONNX Runtime.');
const seed = field(seedNumber, 0, 'Seed of the initial weights, of the shuffling and of the grouping.', {
  legacyKey: null,
});

const trainingFields = {
  train_data_file: field(optional(path), null, 'NPZ scan to train on.', { legacyKey: 'train_data_file_path' }),
  test_data_file: field(optional(path), null, 'NPZ scan to validate on; null: val_fraction of the training groups.', {
    legacyKey: 'test_data_file_path',
    aliases: ['test_data'],
  }),
  output_dir: field(path, 'training_outputs', 'Folder of the trained bundle and its reports; made if missing.', {
    legacyKey: 'output_prefix',
  }),
  nepochs: field(positiveInteger, 50, 'Passes over the training groups.', { unit: 'epochs' }),
  batch_size: field(powerOfTwo, 16, 'Groups in one training step.', { unit: 'groups' }),
  learning_rate: field(positiveNumber, 1e-3, 'Step size of Adam at the start.', { legacyKey: null }),
  scheduler: field(
    oneOf('Default', 'Exponential', 'WarmupCosine', 'ReduceLROnPlateau'),
    'Default',
    'Learning rate over the epochs: Default is constant, Exponential multiplies by 0.95 an epoch.',
  ),
  lr_warmup_epochs: field(wholeNumber, 0, 'WarmupCosine: epochs of linear rise from a tenth of the rate.', {
    unit: 'epochs',
  }),
  lr_min_ratio: field(unitInterval, 0.1, 'WarmupCosine: the last rate as a fraction of learning_rate.'),
  plateau_factor: field(openUnitInterval, 0.5, 'ReduceLROnPlateau: factor on the rate when the loss stands still.'),
  plateau_patience: field(wholeNumber, 2, 'ReduceLROnPlateau: epochs without improvement before the rate falls.', {
    unit: 'epochs',
  }),
  plateau_min_lr: field(nonNegativeNumber, 5e-5, 'ReduceLROnPlateau: the rate never falls below this.'),
  plateau_threshold: field(nonNegativeNumber, 0, 'ReduceLROnPlateau: relative improvement that counts.'),
  adam_beta1: field(belowOne, 0.9, 'Decay of the first moment of Adam.'),
  adam_beta2: field(belowOne, 0.999, 'Decay of the second moment of Adam.'),
  nll_weight: field(unitInterval, 1, 'Weight of the Poisson negative log-likelihood of the diffraction.'),
  mae_weight: field(unitInterval, 0, 'Weight of the mean absolute error of the diffraction amplitude.'),
  nphotons: field(positiveNumber, 1e9, 'Expected photons per pattern; sets the scale of the Poisson loss.', {
    unit: 'photons',
  }),
  intensity_scale_trainable: field(flag, true, 'Train the factor between normalised amplitudes and counts.', {
    legacyKey: 'intensity_scale.trainable',
  }),
  n_groups: field(optional(positiveInteger), null, 'Groups to train on; null: one for each pattern.', {
    unit: 'groups',
  }),
  n_subsample: nSubsample,
  subsample_seed: subsampleSeed,
  sequential_sampling: sequentialSampling,
  neighbor_count: neighborCount,
  val_fraction: field(
    belowOne,
    0.05,
    'Share of the groups kept for validation where no test_data_file is given; 0: none.',
    { legacyKey: null },
  ),
  seed,
  probe,
  measurement_domain: measurementDomain,
  backend,
};

const inferenceFields = {
  model_path: required(path, 'Trained bundle: wts.zip or the folder that holds it.'),
  test_data_file: required(path, 'NPZ scan to reconstruct.', {
    legacyKey: 'test_data_file_path',
    aliases: ['test_data'],
  }),
  output_dir: field(path, 'inference_outputs', 'Folder of the reconstruction and its pictures; made if missing.', {
    legacyKey: 'output_prefix',
  }),
  n_groups: field(optional(positiveInteger), null, 'Groups to reconstruct from; null: one for each pattern.', {
    unit: 'groups',
  }),
  n_subsample: nSubsample,
  subsample_seed: subsampleSeed,
  sequential_sampling: sequentialSampling,
  neighbor_count: neighborCount,
  batch_size: field(positiveInteger, 32, 'Groups in one prediction.', { unit: 'groups' }),
  stitch_crop_px: field(
    optional(positiveInteger),
    null,
    'Side of the central square of each patch that is stitched (M, at most N); null: chosen from the scan.',
    { unit: 'px', legacyKey: null },
  ),
  patch_weighting: field(
    oneOf('probe', 'uniform'),
    'probe',
    'How overlapping patches share a pixel: by the intensity of the probe there, or evenly.',
    { legacyKey: null },
  ),
  r_factor_patterns: field(
    wholeNumber,
    64,
    'The amplitude R-factor of the image is measured on up to this many patterns; 0: not at all.',
    { unit: 'patterns', legacyKey: null },
  ),
  seed: field(seedNumber, 0, 'Seed of the grouping.', { legacyKey: null }),
  probe,
  measurement_domain: measurementDomain,
  backend,
};

/** The network and its physics. */
export const modelConfigSchema = z.strictObject(modelFields);

/** The machine: nothing in it changes what is computed beyond rounding. */
export const executionConfigSchema = z.strictObject(executionFields);

/** A training run, complete. */
export const trainingConfigSchema = z
  .strictObject({
    model: modelConfigSchema,
    ...trainingFields,
    data: dataConfigSchema.prefault({}),
    execution: executionConfigSchema.prefault({}),
  })
  .superRefine(checkTraining);

/** A training run before its data was opened: `model.N` may be missing. */
export const trainingRequestSchema = z
  .strictObject({
    model: z.strictObject({ ...modelFields, N: modelFields.N.optional() }).prefault({}),
    ...trainingFields,
    data: dataConfigSchema.prefault({}),
    execution: executionConfigSchema.prefault({}),
  })
  .superRefine(checkTraining);

/** A reconstruction with a trained bundle; the model comes from the bundle. */
export const inferenceConfigSchema = z.strictObject({
  ...inferenceFields,
  data: dataConfigSchema.prefault({}),
  execution: executionConfigSchema.prefault({}),
});

/** The demonstration: everything else about it is fixed. */
export const demoConfigSchema = z.strictObject({
  output_dir: field(path, 'demo-output', 'Folder of the pictures, the report and the trained bundle; made if missing.'),
  nepochs: field(optional(positiveInteger), null, 'Passes over the training groups; null: as many as the demo needs.', {
    unit: 'epochs',
  }),
  gridsize: modelFields.gridsize,
  seed: field(seedNumber, 0, 'Seed of the scan, the object and the training.'),
  execution: executionConfigSchema.prefault({}),
});

/** A simulated scan with a known object. */
export const simulationConfigSchema = z
  .strictObject({
    output_file: required(path, 'NPZ file to write.', { legacyKey: null }),
    N: field(patternSide, 64, 'Side of the square diffraction patterns.', { unit: 'px', legacyKey: null }),
    object: field(
      oneOf('lines', 'siemens_star'),
      'lines',
      'What is imaged: random line segments seen at three scales, or a Siemens star.',
      { legacyKey: null },
    ),
    object_side_px: field(optional(positiveInteger), null, 'Side of the object; null: three and a half times N.', {
      unit: 'px',
      legacyKey: null,
    }),
    probe: field(
      oneOf('structured', 'default_disk'),
      'structured',
      'What illuminates: a round probe with curved phase, or the published default disk.',
      { legacyKey: null },
    ),
    probe_diameter_px: field(
      optional(positiveNumber),
      null,
      'Full width at half maximum of the structured probe; null: a third of N.',
      { unit: 'px', legacyKey: null },
    ),
    probe_curvature_rad: field(
      nonNegativeNumber,
      1.2,
      'Curvature of the structured probe: its phase at half maximum minus that at the centre.',
      { unit: 'rad', legacyKey: null },
    ),
    scan: field(
      oneOf('jittered_raster', 'fermat_spiral'),
      'jittered_raster',
      'Where it is scanned: a raster with random shifts, or a Fermat spiral.',
      { legacyKey: null },
    ),
    step_px: field(optional(positiveNumber), null, 'Mean distance of neighbouring positions; null: a twelfth of N.', {
      unit: 'px',
      legacyKey: null,
    }),
    n_patterns: field(
      optional(positiveInteger),
      null,
      'About this many positions, in place of step_px; null: as step_px gives.',
      { unit: 'patterns', legacyKey: null },
    ),
    photons: field(positiveNumber, 1e6, 'Mean counts of a pattern.', { unit: 'photons', legacyKey: null }),
    noise: field(flag, true, 'Draw Poisson counts; false: expected values.', { legacyKey: null }),
    seed: field(seedNumber, 0, 'Seed of the object, the scan and the noise.', { legacyKey: null }),
  })
  .superRefine((config, context) => {
    if (config.step_px !== null && config.n_patterns !== null) {
      context.addIssue({
        code: 'custom',
        path: ['n_patterns'],
        message: 'step_px and n_patterns both say how dense the scan is; give one of them.',
      });
    }
  });

/** See {@link modelConfigSchema}. */
export type ModelConfig = Readonly<z.output<typeof modelConfigSchema>>;
/** See {@link executionConfigSchema}. */
export type ExecutionConfig = Readonly<z.output<typeof executionConfigSchema>>;
/** See {@link trainingConfigSchema}. */
export type TrainingConfig = Readonly<
  Omit<z.output<typeof trainingConfigSchema>, 'model' | 'data' | 'execution'> & {
    model: ModelConfig;
    data: DataConfig;
    execution: ExecutionConfig;
  }
>;
/** See {@link trainingRequestSchema}; every {@link TrainingConfig} is one. */
export type TrainingRequest = Readonly<
  Omit<TrainingConfig, 'model'> & { model: Readonly<Omit<ModelConfig, 'N'> & { N?: ModelConfig['N'] }> }
>;
/** See {@link inferenceConfigSchema}. */
export type InferenceConfig = Readonly<
  Omit<z.output<typeof inferenceConfigSchema>, 'data' | 'execution'> & { data: DataConfig; execution: ExecutionConfig }
>;

/** See {@link simulationConfigSchema}. */
export type SimulationConfig = Readonly<z.output<typeof simulationConfigSchema>>;
/** See {@link demoConfigSchema}. */
export type DemoConfig = Readonly<
  Omit<z.output<typeof demoConfigSchema>, 'execution'> & { execution: ExecutionConfig }
>;

function checkTraining(
  config: {
    readonly model: { readonly gridsize: number };
    readonly neighbor_count: number;
    readonly mae_weight: number;
    readonly nll_weight: number;
  },
  context: z.RefinementCtx,
): void {
  const members = config.model.gridsize ** 2;
  if (members > 1 && config.neighbor_count < members) {
    context.addIssue({
      code: 'custom',
      path: ['neighbor_count'],
      message: `neighbor_count (${config.neighbor_count}) must be at least gridsize² (${members}), the patterns of one group.`,
    });
  }
  if (config.mae_weight === 0 && config.nll_weight === 0) {
    context.addIssue({
      code: 'custom',
      path: ['nll_weight'],
      message: 'mae_weight and nll_weight are both 0, so there is nothing to train on; give one of them a weight.',
    });
  }
}
