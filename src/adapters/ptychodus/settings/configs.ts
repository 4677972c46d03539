/**
 * From the host's settings to our configurations and solver options, in one place: what has another range here is brought into it,
 * and what has no effect here is said.
 */
import type { ModelConfig } from '../../../config/schema.js';
import {
  BATCHINGS,
  type SolverAlgorithm,
  type SolverOptions,
  solverOptionsSchema,
} from '../../../config/schemas/solver.js';
import { PtychoError } from '../../../core/errors.js';
import type { EngineChoice } from '../../../reconstruction/inputs.js';
import type { ImageOptions } from '../../../reconstruction/pipeline.js';
import type { TrainingOptions } from '../../../training/train.js';
import { idle, type Parameter } from './parameters.js';
import type { PtychoPinnSettings } from './settings.js';

/** A configuration and what is to be said about it, one sentence each. */
export interface FromSettings<T> {
  readonly config: T;
  readonly notes: readonly string[];
}

/** Which network, by the name of its reconstructor. */
export type ModelType = 'pinn' | 'supervised';

/** The engine of the settings, unless one is fixed. */
export function engineFromSettings(
  { engine }: PtychoPinnSettings,
  fixed?: 'onnx' | 'tensorflow',
): Required<Pick<EngineChoice, 'backend' | 'execution'>> {
  const { backend, accelerator, threads } = engine;
  return {
    // Words are checked with the configuration that they become part of.
    backend: fixed ?? (backend.value as 'onnx'),
    execution: {
      accelerator: accelerator.value as 'auto',
      threads: threads.value === 0 ? null : threads.value,
    },
  };
}

/** Findings about a scan that shall not stop. */
export function acceptFromSettings({ engine }: PtychoPinnSettings): string[] {
  return engine.accept.value.split(/[\s,]+/).filter((code) => code !== '');
}

/** A training run as the settings describe it; every pattern starts a group. */
export function trainingFromSettings(
  settings: PtychoPinnSettings,
  modelType: ModelType,
  fixed?: 'onnx' | 'tensorflow',
): FromSettings<TrainingOptions & { readonly nphotons: number }> {
  const { model, training, engine } = settings;
  const notes: string[] = [];
  const neighbours = neighboursFromSettings(settings, notes);
  if (!training.positionsProvided.value) {
    notes.push(idle(training.positionsProvided, 'positions are always those of the product'));
  }
  if (!model.probeScale.isDefault) {
    notes.push(idle(model.probeScale, 'scales are taken from the counts and the probe'));
  }
  return {
    config: {
      // The host's defaults are the published ones.
      preset: 'published',
      model: {
        gridsize: model.gridSize.value,
        model_type: modelType,
        n_filters_scale: model.numFiltersScale.value,
        amp_activation: model.ampActivation.value as ModelConfig['amp_activation'],
        object_big: model.objectBig.value,
        probe_big: model.probeBig.value,
        probe_mask: model.probeMask.value,
        pad_object: model.padObject.value,
        gaussian_smoothing_sigma: model.gaussianSmoothingSigma.value,
      },
      ...(engineFromSettings(settings, fixed) as Pick<TrainingOptions, 'backend' | 'execution'>),
      nepochs: training.numEpochs.value,
      batch_size: powerOfTwo(training.batchSize, notes),
      nphotons: training.numPhotons.value,
      intensity_scale_trainable: training.intensityScaleTrainable.value,
      ...lossesFromSettings(settings, modelType, notes),
      n_groups: 'all',
      neighbor_count: neighbours,
      data: { accept: acceptFromSettings(settings) },
      seed: engine.seed.value,
    },
    notes,
  };
}

/**
 * A reconstruction as the settings describe it.
 * @param patterns in the scan
 * @param gridsize of the model
 */
export function imageFromSettings(
  settings: PtychoPinnSettings,
  patterns: number,
  gridsize: number,
): FromSettings<ImageOptions & { readonly every: { readonly seconds: number } }> {
  const { numSamples } = settings.inference;
  const notes: string[] = [];
  const samples = gridsize > 1 ? numSamples.value : 1;
  if (samples !== numSamples.value) notes.push(idle(numSamples, 'a group of a model of GridSize 1 is one pattern'));
  return {
    config: {
      n_groups: samples > 1 ? samples * patterns : null,
      enable_oversampling: samples > 1,
      neighbor_count: neighboursFromSettings(settings, notes, gridsize),
      data: { accept: acceptFromSettings(settings) },
      seed: settings.engine.seed.value,
      // A product has no place for it.
      uncertainty: false,
      every: { seconds: settings.engine.previewSeconds.value },
    },
    notes,
  };
}

/**
 * Sets the group `PtychoPINNModel` to what a model is, so that the host shows it and the next training makes one like it.
 * @returns what changed, one sentence; nothing where nothing did
 */
export function settingsFromModel({ model }: PtychoPinnSettings, config: ModelConfig): string[] {
  const before: [Parameter, unknown][] = Object.values(model).map((p) => [p as unknown as Parameter, p.value]);
  model.gridSize.set(config.gridsize);
  model.numFiltersScale.set(config.n_filters_scale);
  model.ampActivation.set(config.amp_activation);
  model.objectBig.set(config.object_big);
  model.probeBig.set(config.probe_big);
  model.probeMask.set(config.probe_mask);
  model.padObject.set(config.pad_object);
  model.gaussianSmoothingSigma.set(config.gaussian_smoothing_sigma);
  const changes = before
    .filter(([p, value]) => p.value !== value)
    .map(([p, value]) => `${p.name} ${value} → ${p.value}`);
  return changes.length === 0 ? [] : [`Settings follow the model: ${changes.join(', ')}.`];
}

function lossesFromSettings({ training }: PtychoPinnSettings, modelType: ModelType, notes: string[]): TrainingOptions {
  const { maeWeight, nllWeight, realspaceMaeWeight, realspaceWeight, probeTrainable } = training;
  if (modelType === 'supervised') {
    for (const parameter of [maeWeight, nllWeight, realspaceMaeWeight, realspaceWeight, probeTrainable]) {
      if (!parameter.isDefault) notes.push(idle(parameter, 'supervised training compares patches with known ones'));
    }
    return {};
  }
  const realspace = realspaceWeight.value > 0 && realspaceMaeWeight.value > 0;
  if (!realspace) {
    for (const parameter of [realspaceWeight, realspaceMaeWeight]) {
      if (parameter.value > 0) notes.push(idle(parameter, 'RealspaceWeight and RealspaceMAEWeight are multiplied'));
    }
  }
  return {
    mae_weight: maeWeight.value,
    nll_weight: nllWeight.value,
    realspace_weight: realspace ? realspaceWeight.value : 0,
    realspace_mae_weight: realspace ? realspaceMaeWeight.value : 0,
    probe_trainable: probeTrainable.value,
  };
}

/** Neighbours among which the members of a group are drawn: a group needs that many. */
function neighboursFromSettings(
  { model, inference }: PtychoPinnSettings,
  notes: string[],
  gridsize = model.gridSize.value,
): number {
  const { numNearestNeighbors } = inference;
  const members = gridsize ** 2;
  if (gridsize === 1 || numNearestNeighbors.value >= members) return Math.max(1, numNearestNeighbors.value);
  notes.push(
    `PtychoPINNInference/NumNearestNeighbors = ${numNearestNeighbors.value} is too few for a GridSize of ${gridsize}, so ${members} are used.`,
  );
  return members;
}

function powerOfTwo(parameter: Parameter<number>, notes: string[]): number {
  const rounded = 2 ** Math.floor(Math.log2(parameter.value));
  if (rounded !== parameter.value) {
    notes.push(
      `PtychoPINNTraining/BatchSize = ${parameter.value} is no power of two, as a batch must be, so ${rounded} is used.`,
    );
  }
  return rounded;
}

const NOISE_MODELS = ['gaussian', 'poisson'] as const satisfies readonly SolverOptions['noise_model'][];
const BACKGROUNDS = ['none', 'pixel', 'pattern'] as const satisfies readonly SolverOptions['background'][];
const PASSES = ['auto', 'host', 'program'] as const satisfies readonly SolverOptions['passes'][];

/**
 * The options of a solver as the settings describe them.
 * @throws PtychoError CONFIG_INVALID for a word that is none of those that a setting may hold
 */
export function solverFromSettings(
  { solver, engine }: PtychoPinnSettings,
  algorithm: SolverAlgorithm,
): FromSettings<SolverOptions> {
  const regularisation = ({ value }: Parameter<number>) => (value < 0 ? null : value);
  const config: SolverOptions = {
    // What has no setting is as it is without one.
    ...solverOptionsSchema.parse({ algorithm }),
    epochs: solver.numEpochs.value,
    batch_size: solver.batchSize.value || null,
    batching: solver.batching.value.trim() === '' ? null : wordOf(solver.batching, BATCHINGS),
    object_step: solver.objectStep.value || null,
    probe_step: solver.probeStep.value || null,
    object_regularisation: regularisation(solver.objectRegularisation),
    probe_regularisation: regularisation(solver.probeRegularisation),
    momentum: solver.momentum.value,
    acceleration: regularisation(solver.acceleration),
    noise_model: wordOf(solver.noiseModel, NOISE_MODELS),
    relaxation: solver.relaxation.value || null,
    seed: engine.seed.value,
    object_start: solver.objectStart.value,
    object_stop: solver.objectStop.value || null,
    object_stride: solver.objectStride.value,
    slices: solver.slices.value,
    slice_distance_m: solver.sliceDistance.value || null,
    slice_regularisation: solver.sliceRegularisation.value,
    probe_start: solver.probeStart.value,
    probe_stop: solver.probeStop.value || null,
    probe_stride: solver.probeStride.value,
    probe_modes: solver.probeModes.value || null,
    probe_mode_share: solver.probeModeShare.value,
    orthogonalise_stride: solver.orthogonaliseStride.value || null,
    rescale_probe: solver.rescaleProbe.value,
    hold_probe_power: solver.holdProbePower.value,
    probe_power_counts: solver.probePower.value || null,
    probe_support: solver.probeSupport.value || null,
    opr_modes: solver.oprModes.value,
    opr_start: solver.oprStart.value,
    opr_smooth: solver.oprSmooth.value,
    flux: solver.flux.value,
    tv_weight: solver.tvWeight.value,
    // A program of its own, of which the host has no settings.
    ...{ prior: 'none', prior_start: 31, prior_width: 32, prior_learning_rate: 0.003 },
    position_start: solver.positionStart.value || null,
    position_stop: solver.positionStop.value || null,
    position_stride: solver.positionStride.value,
    position_step: solver.positionStep.value,
    position_momentum: solver.positionMomentum.value,
    position_update_limit_px: solver.positionUpdateLimit.value,
    position_limit_px: solver.positionLimit.value,
    affine: solver.affine.value,
    affine_freedom: solver.affineFreedom.value,
    affine_start: solver.affineStart.value,
    affine_stop: solver.affineStop.value,
    background: wordOf(solver.background, BACKGROUNDS),
    background_start: solver.backgroundStart.value,
    fly_positions: solver.flyPositions.value,
    fly_duty: solver.flyDuty.value || null,
    passes: wordOf(solver.passes, PASSES),
  };
  const notes = withoutEffect(solver, algorithm)
    .filter((parameter) => !parameter.isDefault)
    .map((parameter) => idle(parameter, `${algorithm} does not have it`));
  return { config, notes };
}

/** What an algorithm does not look at. */
function withoutEffect(
  solver: PtychoPinnSettings['solver'],
  algorithm: SolverAlgorithm,
): Pick<Parameter, 'group' | 'name' | 'value' | 'isDefault'>[] {
  switch (algorithm) {
    case 'dm':
      return [solver.objectStep, solver.probeStep, solver.momentum, solver.noiseModel, solver.batching];
    case 'ml':
      return [solver.objectStep, solver.probeStep, solver.momentum, solver.batching, solver.relaxation];
    case 'lsqml':
      return [solver.probeRegularisation, solver.momentum, solver.relaxation];
    case 'rpie':
    case 'epie':
    case 'pie':
      return [solver.relaxation];
  }
}

function wordOf<const W extends string>({ group, name, value }: Parameter<string>, words: readonly W[]): W {
  const found = words.find((word) => word === value.trim().toLowerCase());
  if (found !== undefined) return found;
  throw new PtychoError(
    'CONFIG_INVALID',
    `The setting ${group}/${name} must be one of ${words.join(', ')}, got ${JSON.stringify(value)}; correct it.`,
    { key: `${group}/${name}`, found: value, expected: words },
  );
}
