/**
 * The settings of the iterative solvers, and what they come to. Names and defaults are those of the solver's options
 * (`docs/configuration.md`) in the host's spelling; INI files have no word for "not given", so that 0 stands for it.
 */
import { type SolverAlgorithm, type SolverOptions, solverOptionsSchema } from '../../../config/schemas/solver.js';
import { PtychoError } from '../../../core/errors.js';
import type { FromSettings } from './configs.js';
import { idle } from './idle.js';
import type { Parameter, ParameterGroup } from './parameters.js';
import type { PtychoPinnSettings } from './settings.js';

/** Least value of what must be positive, and least distance to 1 of what must be below it. */
const LEAST = 1e-3;

const NOISE_MODELS = ['gaussian', 'poisson'] as const satisfies readonly SolverOptions['noise_model'][];
const PASSES = ['auto', 'host', 'program'] as const satisfies readonly SolverOptions['passes'][];

/** All algorithms share one group. */
export function solverSettings(group: ParameterGroup) {
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
    objectStep: positiveOrNone('ObjectStep', defaults.object_step),
    probeStep: positiveOrNone('ProbeStep', defaults.probe_step),
    objectRegularisation: regularisation('ObjectRegularisation', defaults.object_regularisation),
    probeRegularisation: regularisation('ProbeRegularisation', defaults.probe_regularisation),
    momentum: below1('Momentum', defaults.momentum),
    noiseModel: group.createString('NoiseModel', defaults.noise_model),
    relaxation: group.createReal('Relaxation', defaults.relaxation ?? 0, { minimum: 0, maximum: 1 }),
    objectStart: count('ObjectStart', defaults.object_start),
    objectStop: countOrNone('ObjectStop', defaults.object_stop),
    objectStride: count('ObjectStride', defaults.object_stride),
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
    tvWeight: positiveOrNone('TVWeight', defaults.tv_weight),
    positionStart: countOrNone('PositionStart', defaults.position_start),
    positionStop: countOrNone('PositionStop', defaults.position_stop),
    positionStride: count('PositionStride', defaults.position_stride),
    positionStep: positive('PositionStep', defaults.position_step),
    positionMomentum: below1('PositionMomentum', defaults.position_momentum),
    positionUpdateLimit: positive('PositionUpdateLimitInPixels', defaults.position_update_limit_px),
    positionLimit: positive('PositionLimitInPixels', defaults.position_limit_px),
    passes: group.createString('Engine', defaults.passes),
  };
}

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
    algorithm,
    epochs: solver.numEpochs.value,
    batch_size: solver.batchSize.value || null,
    object_step: solver.objectStep.value || null,
    probe_step: solver.probeStep.value || null,
    object_regularisation: regularisation(solver.objectRegularisation),
    probe_regularisation: regularisation(solver.probeRegularisation),
    momentum: solver.momentum.value,
    noise_model: wordOf(solver.noiseModel, NOISE_MODELS),
    relaxation: solver.relaxation.value || null,
    seed: engine.seed.value,
    object_start: solver.objectStart.value,
    object_stop: solver.objectStop.value || null,
    object_stride: solver.objectStride.value,
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
    tv_weight: solver.tvWeight.value,
    position_start: solver.positionStart.value || null,
    position_stop: solver.positionStop.value || null,
    position_stride: solver.positionStride.value,
    position_step: solver.positionStep.value,
    position_momentum: solver.positionMomentum.value,
    position_update_limit_px: solver.positionUpdateLimit.value,
    position_limit_px: solver.positionLimit.value,
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
      return [solver.objectStep, solver.probeStep, solver.momentum, solver.noiseModel];
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
