/**
 * The settings of the reconstructors, with the groups, keys, defaults and bounds that Ptychodus gives them
 * (`docs/ptychodus.md`), and groups of our own for the solvers and the engine.
 *
 * @example
 * const settings = new PtychoPinnSettings();
 * settings.registry.fromIni(await readFile('settings.ini', 'utf8'));
 * settings.model.gridSize.value;
 */

import { solverOptionsSchema } from '../../../config/schemas/solver.js';
import { type Parameter, type ParameterGroup, SettingsRegistry } from './parameters.js';

export { type Parameter, SettingsRegistry } from './parameters.js';

/** Paths of this folder are what Ptychodus shows where nobody has chosen one. */
const NOT_CHOSEN = '/path/to/';

/** The path of a parameter, undefined where nobody has chosen one. */
export function chosenPath(parameter: Parameter<string>): string | undefined {
  const { value } = parameter;
  return value === '' || value.startsWith(NOT_CHOSEN) ? undefined : value;
}

// The groups of the host's PyTorch plug-in, whose keys count where a file has no group of ours.
const TORCH_DATA = 'PtychoPINNTorchData';
const TORCH_MODEL = 'PtychoPINNTorchModel';
const TORCH_TRAINING = 'PtychoPINNTorchTraining';

function modelSettings(group: ParameterGroup) {
  return {
    gridSize: group.createInteger('GridSize', 1, { minimum: 1, maximum: 5 }, [
      ['PtychoPINNModel', 'gridsize'],
      [TORCH_DATA, 'grid_size_x'],
    ]),
    numFiltersScale: group.createInteger('NumFiltersScale', 2, { minimum: 1, maximum: 4 }, [
      ['PtychoPINNModel', 'n_filters_scale'],
      [TORCH_MODEL, 'n_filters_scale'],
    ]),
    ampActivation: group.createString('AmpActivation', 'sigmoid', [
      ['PtychoPINNModel', 'amp_activation'],
      [TORCH_MODEL, 'amp_activation'],
    ]),
    objectBig: group.createBoolean('ObjectBig', true, [
      ['PtychoPINNModel', 'object_big'],
      [TORCH_MODEL, 'object_big'],
    ]),
    probeBig: group.createBoolean('ProbeBig', true, [
      ['PtychoPINNModel', 'probe_big'],
      [TORCH_MODEL, 'probe_big'],
    ]),
    probeMask: group.createBoolean('ProbeMask', false, [['PtychoPINNModel', 'probe_mask']]),
    padObject: group.createBoolean('PadObject', true, [
      ['PtychoPINNModel', 'pad_object'],
      [TORCH_MODEL, 'pad_object'],
    ]),
    probeScale: group.createReal('ProbeScale', 4, { minimum: 0 }, [
      ['PtychoPINNModel', 'probe_scale'],
      [TORCH_DATA, 'probe_scale'],
    ]),
    gaussianSmoothingSigma: group.createReal('GaussianSmoothingSigma', 0, { minimum: 0 }, [
      [TORCH_MODEL, 'gaussian_smoothing_sigma'],
    ]),
  };
}

function trainingSettings(group: ParameterGroup) {
  const weight = { minimum: 0, maximum: 1 };
  return {
    numPhotons: group.createReal('NumPhotons', 1e6, {}, [[TORCH_DATA, 'nphotons']]),
    dataDir: group.createPath('DataDir', '/path/to/training_data'),
    batchSize: group.createInteger('BatchSize', 16, { minimum: 1, maximum: 2 ** 30 }, [
      ['PtychoPINNTraining', 'batch_size'],
      [TORCH_TRAINING, 'batch_size'],
    ]),
    numEpochs: group.createInteger('NumEpochs', 50, { minimum: 1 }, [
      ['PtychoPINNTraining', 'nepochs'],
      [TORCH_TRAINING, 'epochs'],
    ]),
    maeWeight: group.createReal('MAEWeight', 0, weight, [['PtychoPINNTraining', 'mae_weight']]),
    nllWeight: group.createReal('NLLWeight', 1, weight, [['PtychoPINNTraining', 'nll_weight']]),
    realspaceMaeWeight: group.createReal('RealspaceMAEWeight', 0, weight, [
      ['PtychoPINNTraining', 'realspace_mae_weight'],
    ]),
    realspaceWeight: group.createReal('RealspaceWeight', 0, weight, [['PtychoPINNTraining', 'realspace_weight']]),
    positionsProvided: group.createBoolean('PositionsProvided', true),
    probeTrainable: group.createBoolean('ProbeTrainable', false, [['PtychoPINNTraining', 'probe_trainable']]),
    intensityScaleTrainable: group.createBoolean('IntensityScaleTrainable', true, [
      ['PtychoPINNTraining', 'intensity_scale_trainable'],
      [TORCH_MODEL, 'intensity_scale_trainable'],
    ]),
    outputDir: group.createPath('OutputDir', '/path/to/output_data', [['PtychoPINNTraining', 'output_dir']]),
  };
}

function inferenceSettings(group: ParameterGroup) {
  return {
    modelPath: group.createPath('ModelPath', '/path/to/model.zip', [['PtychoPINNInference', 'model_path']]),
    numNearestNeighbors: group.createInteger('NumNearestNeighbors', 7, { minimum: 0 }, [[TORCH_DATA, 'K']]),
    numSamples: group.createInteger('NumSamples', 1, { minimum: 1 }),
  };
}

/** What Ptychodus has no word for. */
function engineSettings(group: ParameterGroup) {
  return {
    /** `onnx` or `tensorflow`, for the library `PtychoPINN`. */
    backend: group.createString('Backend', 'onnx'),
    /** As the field `accelerator`. */
    accelerator: group.createString('Accelerator', 'auto'),
    /** 0: as many as the engine likes. */
    threads: group.createInteger('Threads', 0, { minimum: 0 }),
    /** Seconds between previews of a reconstruction. */
    previewSeconds: group.createReal('PreviewSeconds', 1, { minimum: 0.1 }),
    /** Codes of findings that shall not stop, with commas: as the field `accept`. */
    accept: group.createString('Accept', ''),
    seed: group.createInteger('Seed', 0, { minimum: 0, maximum: 2 ** 32 - 1 }),
  };
}

/** Least value of what must be positive, and least distance to 1 of what must be below it. */
const LEAST = 1e-3;

/**
 * The iterative solvers, which all share one group. Names and defaults are those of the solver's options (`docs/configuration.md`)
 * in the host's spelling; INI files have no word for "not given", so that 0, or no word at all, stands for it.
 */
function solverSettings(group: ParameterGroup) {
  const defaults = solverOptionsSchema.parse({});
  const count = (name: string, value: number) => group.createInteger(name, value, { minimum: 1 });
  const countOrNone = (name: string, value: number | null) => group.createInteger(name, value ?? 0, { minimum: 0 });
  const positive = (name: string, value: number) => group.createReal(name, value, { minimum: LEAST });
  const positiveOrNone = (name: string, value: number | null) => group.createReal(name, value ?? 0, { minimum: 0 });
  const below1 = (name: string, value: number | null, minimum = 0) =>
    group.createReal(name, value ?? 0, { minimum, maximum: 1 - LEAST });
  /** 0 is a value of these, so that what is below stands for "that of the algorithm". */
  const regularisation = (name: string, value: number | null) =>
    group.createReal(name, value ?? -1, { minimum: -1, maximum: 1 });
  return {
    numEpochs: count('NumEpochs', defaults.epochs),
    batchSize: countOrNone('BatchSize', defaults.batch_size),
    batching: group.createString('Batching', ''),
    objectStep: positiveOrNone('ObjectStep', defaults.object_step),
    probeStep: positiveOrNone('ProbeStep', defaults.probe_step),
    objectRegularisation: regularisation('ObjectRegularisation', defaults.object_regularisation),
    probeRegularisation: regularisation('ProbeRegularisation', defaults.probe_regularisation),
    momentum: below1('Momentum', defaults.momentum),
    acceleration: group.createReal('Acceleration', -1, { minimum: -1, maximum: 1 - LEAST }),
    noiseModel: group.createString('NoiseModel', defaults.noise_model),
    relaxation: group.createReal('Relaxation', defaults.relaxation ?? 0, { minimum: 0, maximum: 1 }),
    objectStart: count('ObjectStart', defaults.object_start),
    objectStop: countOrNone('ObjectStop', defaults.object_stop),
    objectStride: count('ObjectStride', defaults.object_stride),
    slices: count('Slices', defaults.slices),
    sliceDistance: positiveOrNone('SliceDistanceInMeters', defaults.slice_distance_m),
    sliceRegularisation: group.createReal('SliceRegularisation', defaults.slice_regularisation, {
      minimum: 0,
      maximum: 1,
    }),
    probeStart: count('ProbeStart', defaults.probe_start),
    probeStop: countOrNone('ProbeStop', defaults.probe_stop),
    probeStride: count('ProbeStride', defaults.probe_stride),
    probeModes: countOrNone('ProbeModes', defaults.probe_modes),
    probeModeShare: below1('ProbeModeShare', defaults.probe_mode_share, LEAST),
    orthogonaliseStride: countOrNone('OrthogonaliseStride', defaults.orthogonalise_stride),
    rescaleProbe: group.createBoolean('RescaleProbe', defaults.rescale_probe),
    holdProbePower: group.createBoolean('HoldProbePower', defaults.hold_probe_power),
    probePower: positiveOrNone('ProbePowerInCounts', defaults.probe_power_counts),
    probeSupport: below1('ProbeSupport', defaults.probe_support),
    oprModes: countOrNone('OPRModes', defaults.opr_modes),
    oprStart: count('OPRStart', defaults.opr_start),
    oprSmooth: countOrNone('OPRSmoothingDegree', defaults.opr_smooth),
    flux: group.createBoolean('FitFlux', defaults.flux),
    tvWeight: positiveOrNone('TVWeight', defaults.tv_weight),
    positionStart: countOrNone('PositionStart', defaults.position_start),
    positionStop: countOrNone('PositionStop', defaults.position_stop),
    positionStride: count('PositionStride', defaults.position_stride),
    positionStep: positive('PositionStep', defaults.position_step),
    positionMomentum: below1('PositionMomentum', defaults.position_momentum),
    positionUpdateLimit: positive('PositionUpdateLimitInPixels', defaults.position_update_limit_px),
    positionLimit: positive('PositionLimitInPixels', defaults.position_limit_px),
    affine: group.createBoolean('CorrectAffine', defaults.affine),
    affineFreedom: group.createString('AffineFreedom', defaults.affine_freedom),
    affineStart: count('AffineStart', defaults.affine_start),
    affineStop: count('AffineStop', defaults.affine_stop),
    background: group.createString('Background', defaults.background),
    backgroundStart: count('BackgroundStart', defaults.background_start),
    flyPositions: count('FlyPositions', defaults.fly_positions),
    flyDuty: group.createReal('FlyDuty', defaults.fly_duty ?? 0, { minimum: 0, maximum: 1 }),
    passes: group.createString('Engine', defaults.passes),
  };
}

/** The groups, by name of their parameters. */
interface Groups {
  readonly model: ReturnType<typeof modelSettings>;
  readonly training: ReturnType<typeof trainingSettings>;
  readonly inference: ReturnType<typeof inferenceSettings>;
  readonly solver: ReturnType<typeof solverSettings>;
  readonly engine: ReturnType<typeof engineSettings>;
  readonly reconstructor: { readonly algorithm: Parameter<string> };
}

/** The groups of each registry, made once. */
const GROUPS_OF = new WeakMap<SettingsRegistry, Groups>();

/** The settings of a host's registry, by group; the same registry has the same ones. */
export class PtychoPinnSettings implements Groups {
  readonly registry: SettingsRegistry;
  readonly model: Groups['model'];
  readonly training: Groups['training'];
  readonly inference: Groups['inference'];
  readonly solver: Groups['solver'];
  readonly engine: Groups['engine'];
  readonly reconstructor: Groups['reconstructor'];

  /** @param registry gets the groups where it does not have them yet */
  constructor(registry: SettingsRegistry = new SettingsRegistry()) {
    this.registry = registry;
    const groups = GROUPS_OF.get(registry) ?? makeGroups(registry);
    GROUPS_OF.set(registry, groups);
    ({
      model: this.model,
      training: this.training,
      inference: this.inference,
      solver: this.solver,
      engine: this.engine,
      reconstructor: this.reconstructor,
    } = groups);
  }
}

function makeGroups(registry: SettingsRegistry): Groups {
  return {
    reconstructor: { algorithm: registry.createGroup('Reconstructor').createString('Algorithm', 'PtychoPINN/PINN') },
    model: modelSettings(registry.createGroup('PtychoPINNModel')),
    training: trainingSettings(registry.createGroup('PtychoPINNTraining')),
    inference: inferenceSettings(registry.createGroup('PtychoPINNInference')),
    solver: solverSettings(registry.createGroup('PtychoPINNSolver')),
    engine: engineSettings(registry.createGroup('PtychoPINNNode')),
  };
}
