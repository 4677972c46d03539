/**
 * A configured network and its programs: `trainStep`, `evaluate`, `predict`, …, each for any batch size.
 *
 * @example
 * const network = new PtychoNetwork({ config, scale, canvasSide_px: 64, meanAmplitude: 0.2, … });
 * const step = await backend.compile(network.trainStep(16));
 */
import type { ModelConfig } from '../config/schema.js';
import type { ComplexTensor, Tensor } from '../core/tensor.js';
import type { ComplexNode } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { initialWeights, ParameterScope, type ParameterSpec } from '../graph/parameters.js';
import { defineProgram, type Program } from '../graph/program.js';
import { generatorOf } from '../networks/architectures.js';
import type { GeneratorOutput } from '../networks/generator.js';
import { detectorIntensity, forwardProbe, mergedMembers, trainedProbe } from './forward.js';
import { relativeInput } from './inputReference.js';
import { type InputScaling, inputScaling } from './inputScaling.js';
import { centralHalf, type LossSpec, networkLosses, type Painting, type PixelMask } from './losses.js';
import { paintMembers } from './members.js';
import { probeModulation } from './probeConditioning.js';
import { rectangularMoments, rectangularScaled } from './rectangular.js';
import type { PhysicsScale } from './scale.js';
import { ScanRows, type ScanTerms } from './scanRows.js';
import {
  accumulationStep,
  applyAccumulated,
  averagedName,
  type OptimiserOptions,
  optimiserDefaults,
  optimiserState,
  type StepParts,
  trainingStep,
} from './trainingSteps.js';
import { borderRatio, contrast, intensityRatio, PREDICTED, patternSpread, saturation, shareOutputs } from './watch.js';

/** Name of the one scalar parameter that is not a convolution's: ln of the intensity scale. */
export const LOG_INTENSITY_SCALE = 'log_intensity_scale';

/** Keeps the derivative of √λ finite where an offset is added to it. */
const OFFSET_EPSILON = 1e-9;

/** What a network is made of. A knob that is left out is off. */
export interface NetworkSpec extends LossSpec {
  /** Side of the group canvas, even, at least N. */
  readonly canvasSide_px: number;
  readonly intensity_scale_trainable: boolean;
  /** The losses fade in: programs take `physics_weight` [], 0: amplitude MAE alone, 1: the configured losses. */
  readonly staged?: boolean;
  readonly probe_trainable?: boolean;
  /** Training steps put out `position_gradients`. */
  readonly position_trainable?: boolean;
  /** (N, N): 1 where the probe counts; all ones when not given. */
  readonly probeMask?: ArrayLike<number>;
  /** (N, N): 1 at detector pixels that cannot be used; no loss looks at them. */
  readonly badPixels?: ArrayLike<number>;
  /** The network sees patterns relative to this reference (`inputReference.ts`). */
  readonly inputReference?: 'mean' | 'constant';
  /** How the network sees patterns besides (`inputScaling.ts`), and the factor of the scan. */
  readonly inputScaling?: InputScaling;
  readonly inputFactor?: number;
  /** The network is told of the probe (`probeConditioning.ts`). */
  readonly probeConditioning?: boolean;
  /** Training steps put out `pattern_spread`. */
  readonly patternSpread?: boolean;
  /**
   * Several scans to learn from; `scale`, `meanAmplitude` and `badPixels` are then those of the first. Programs take `scan` [B, S], 1 at
   * the scan of a group; they only train and evaluate: what predicts is {@link PtychoNetwork.ofScan}.
   */
  readonly scans?: readonly ScanTerms[];
  readonly optimiser?: OptimiserOptions;
}

/** What a program of training is made for. */
export interface ProgramOptions {
  /** The moving averages of the weights instead of the weights. */
  readonly averaged?: boolean;
  /** A share of a batch, from whose outputs `joinedFigures` (`watch.ts`) makes those of the batch. */
  readonly share?: boolean;
  /** The weights of the encoder stay as they are. */
  readonly frozen?: boolean;
}

/** Which weights a step of training moves. */
export type StepKind = Pick<ProgramOptions, 'frozen'>;

interface PartOptions extends ProgramOptions {
  /** Layers with statistics take those of the batch. */
  readonly training?: boolean;
}

/** The nodes of one program. */
interface Built extends Painting {
  readonly scope: ParameterScope;
  readonly positions: GraphNode<'input'>;
  readonly rows: ScanRows | undefined;
  /** exp(ℓ − ln s): 1 unless the intensity scale is trained. */
  readonly gain: GraphNode;
  /** The modes of the probe in the network's gauge. */
  readonly probe: readonly ComplexNode[];
}

/** Network, physics and losses of one configuration; a value, holds no weights. */
export class PtychoNetwork {
  readonly spec: NetworkSpec;
  /** Every parameter, in order of declaration; all are trained but those marked `fixed`. */
  readonly parameters: readonly ParameterSpec[];

  constructor(spec: NetworkSpec) {
    this.spec = spec;
    this.parameters = this.#build(1).scope.specs;
  }

  /** Fresh weights from a seed. */
  initialWeights(seed: number): Record<string, Tensor> {
    return initialWeights(this.parameters, seed);
  }

  /** Fresh optimiser state. */
  initialOptimiserState(): Record<string, Tensor> {
    return optimiserState(this.#trained, this.#optimiser);
  }

  /** The probe that goes with weights, √count units, before its mask: the trained one, or that of the scale. */
  probeOf(weights: Readonly<Record<string, Tensor>>): ComplexTensor {
    return this.spec.probe_trainable ? trainedProbe(this.spec.config, this.spec.scale, weights) : this.spec.scale.probe;
  }

  /** The network of one of several scans, for weights of that scan (`scanWeights.ts`). */
  ofScan(index: number): PtychoNetwork {
    const { scans, ...spec } = this.spec;
    return scans ? new PtychoNetwork({ ...spec, badPixels: undefined, ...scans[index] }) : this;
  }

  /** Whether training and evaluation need known patches: programs then take `label_real`, `label_imag` [B,C,N,N]. */
  get needsLabels(): boolean {
    return needsLabels(this.spec);
  }

  get #trained(): ParameterSpec[] {
    return this.parameters.filter((p) => !p.fixed);
  }

  get #optimiser(): OptimiserOptions {
    return this.spec.optimiser ?? optimiserDefaults;
  }

  #build(batch: number, { averaged = false, training = false } = {}): Built {
    const { config, scale } = this.spec;
    const channels = config.gridsize ** 2;
    const x = op.input('input', [batch, channels, config.N, config.N]);
    const positions = op.input('input_positions', [batch, channels, 1, 2]);
    const { scans } = this.spec;
    const rows = scans && new ScanRows(op.input('scan', [batch, scans.length]), scans);
    const scope = new ParameterScope(averaged ? averagedName : undefined, training);
    const fed = scale.countIntensity
      ? op.mul(op.square(x), rows ? rows.numbers(countFactor) : countFactor({ scale }))
      : x;
    const seen = this.spec.inputReference ? relativeInput(fed, config.N, scope, rows) : fed;
    const modulate = this.spec.probeConditioning ? probeModulation(config.N, scale.probe, scope, rows) : undefined;
    const { inputScaling: scaling, inputFactor: factor } = this.spec;
    const factors = scaling ? inputScaling(scaling, x, scope, { factor, rows }) : {};
    const fresh = paintMembers(config, factors.seen ? op.mul(seen, factors.seen) : seen, scope, modulate);
    const painted = factors.painted ? brightened(fresh, factors.painted) : fresh;
    const merged =
      config.model_type === 'supervised'
        ? { members: painted.object }
        : mergedMembers(config, painted.object, positions, {
            canvasSide_px: this.spec.canvasSide_px,
            probe: scale.probe,
            rows,
          });
    const members =
      config.physics_forward_mode === 'rectangular_scaled'
        ? rectangularScaled(merged.members, scope, config.rect_s1s2_trainable, rows)
        : merged.members;
    const gain = this.spec.intensity_scale_trainable ? this.#gain(scope, rows) : op.scalar(1);
    const { probe_trainable: trainable = false, probeMask: mask } = this.spec;
    const probe = forwardProbe(config, scale, { trainable, mask, scope, rows });
    const gauge = rows ? rows.numbers((scan) => scan.scale.amplitudeGauge) : scale.amplitudeGauge;
    // A trained intensity scale is part of the object: only e^ℓ·O is measurable.
    return { scope, x, positions, rows, painted, merged, members, gain, unit: op.mul(gain, gauge), probe };
  }

  /** What training makes of the intensity scale, relative to that of the data; each scan has its own. */
  #gain(scope: ParameterScope, rows: ScanRows | undefined): GraphNode {
    const logOf = (scale: PhysicsScale) => Math.log(scale.intensityScale);
    if (!rows) {
      const start = logOf(this.spec.scale);
      return op.exp(op.sub(scope.parameter(LOG_INTENSITY_SCALE, [], start), start));
    }
    const start = Float32Array.from(rows.scans, (scan) => logOf(scan.scale));
    const shape = [start.length];
    return op.exp(rows.scalars(op.sub(scope.parameter(LOG_INTENSITY_SCALE, shape, start), op.constant(start, shape))));
  }

  /** λ in units of X². An imported model may add an offset to the amplitude √λ, below which nothing is predicted. */
  #rate({ members, probe, gain }: Built): GraphNode {
    const { config, intensity_scale_trainable, scale } = this.spec;
    const dark = detectorIntensity(members, probe, config.gaussian_smoothing_sigma);
    const rate = intensity_scale_trainable ? op.mul(dark, op.square(gain)) : dark;
    if (!scale.amplitudeOffset) return rate;
    return op.square(op.add(op.sqrt(op.add(rate, OFFSET_EPSILON)), scale.amplitudeOffset));
  }

  #mask({ rows }: Pick<Built, 'rows'>): PixelMask | undefined {
    const { badPixels, config } = this.spec;
    if (!rows) return badPixels && validPixels(badPixels, config.N);
    if (!rows.scans.some((scan) => scan.badPixels)) return undefined;
    return {
      valid: rows.images(config.N, 'valid pixels', (scan) => validOf(scan.badPixels, config.N)),
      fraction: rows.numbers((scan) => shareOf(validOf(scan.badPixels, config.N))),
    };
  }

  /** Inputs, loss and outputs of a training step or an evaluation. */
  #parts(name: string, batch: number, of: PartOptions = {}): StepParts {
    const { share } = of;
    const { config, staged, position_trainable, patternSpread: spread } = this.spec;
    const built = this.#build(batch, of);
    const mask = this.#mask(built);
    const { rows } = built;
    const rate = this.#rate(built);
    const labels = this.needsLabels ? labelInputs(built.x.shape) : undefined;
    const physicsWeight = staged ? op.input('physics_weight', []) : undefined;
    const { loss, ...losses } = networkLosses(this.spec, built, { rate, mask, label: labels, rows, physicsWeight });
    const { painted, members, x } = built;
    const visible = paintsCentreOnly(config) ? centralHalf : (v: GraphNode) => v;
    const outputs = {
      loss,
      ...losses,
      amplitude_contrast: contrast(visible(painted.amplitude)),
      saturation: saturation(visible(painted.head.values), painted.head.limits),
      border_ratio: borderRatio(members),
      intensity_ratio: intensityRatio(rate, op.square(x), mask),
      // Of one group there is no spread.
      ...(spread && batch > 1 && !share ? { pattern_spread: patternSpread(op.sqrt(rate), x, mask, rows) } : {}),
      ...(share
        ? shareOutputs({
            amplitude: visible(painted.amplitude),
            members,
            measured: mask ? op.mul(op.square(x), mask.valid) : op.square(x),
            predicted: spread ? op.sqrt(rate) : undefined,
          })
        : {}),
    };
    return {
      name,
      inputs: [
        x,
        built.positions,
        ...(rows ? [rows.which as GraphNode<'input'>] : []),
        ...(labels ? [labels.re, labels.im] : []),
        ...(physicsWeight ? [physicsWeight] : []),
      ],
      loss,
      outputs,
      gradientOutputs: position_trainable ? { position_gradients: built.positions } : {},
      ...this.#shared(built.scope.nodes, of),
      statistics: built.scope.updates,
      optimiser: this.#optimiser,
    };
  }

  /** Weights that a step moves, and those that it leaves as they are. */
  #shared<T>(nodes: ReadonlyMap<string, T>, { frozen = false }: StepKind) {
    const isStill = (name: string) => frozen && this.#encoder.some((prefix) => name.startsWith(prefix));
    const which = (still: boolean) => new Map([...nodes].filter(([name]) => isStill(name) === still));
    return { weights: which(false), frozen: which(true) };
  }

  get #encoder(): readonly string[] {
    return generatorOf(this.spec.config.architecture).encoder ?? [];
  }

  /**
   * One optimiser step. Feeds: `input` [B,C,N,N], `input_positions` [B,C,1,2], `learning_rate` []; with labels `label_real`,
   * `label_imag` [B,C,N,N]; with stages `physics_weight` []; with several scans `scan` [B,S]. Outputs, all from before the step: `loss`, `nll`, `mae` and the other
   * terms that the loss has; `gradient_norm`; `amplitude_contrast`, the standard deviation of the amplitude relative to its mean
   * (0: flat); `saturation`, `border_ratio`, `intensity_ratio`, and where it is asked for `pattern_spread` (see `watch.ts`); with trained positions `position_gradients`
   * [B,C,1,2].
   */
  trainStep(batch: number, kind: StepKind = {}): Program {
    return trainingStep(
      this.#parts(`train_step_${kind.frozen ? 'frozen_' : ''}b${batch}`, batch, { ...kind, training: true }),
    );
  }

  /** Adds the gradients of a batch, times `batch_weight` [], to sums; feeds and outputs else as {@link trainStep}. */
  accumulateStep(batch: number, options: Omit<ProgramOptions, 'averaged'> = {}): Program {
    const kind = `${options.share ? 'share_' : ''}${options.frozen ? 'frozen_' : ''}`;
    return accumulationStep(this.#parts(`accumulate_step_${kind}b${batch}`, batch, { ...options, training: true }));
  }

  /** For shares of a batch: `input`, `predicted` [B,C,N,N], the amplitudes, and with several scans `scan` → `pattern_spread`. */
  spread(batch: number): Program {
    const { scans, config } = this.spec;
    const shape = [batch, config.gridsize ** 2, config.N, config.N];
    const [x, predicted] = [op.input('input', shape), op.input('predicted', shape)];
    const rows = scans && new ScanRows(op.input('scan', [batch, scans.length]), scans);
    return defineProgram({
      name: `spread_b${batch}`,
      inputs: [x, predicted, ...(rows ? [rows.which as GraphNode<'input'>] : [])],
      outputs: { pattern_spread: patternSpread(predicted, x, this.#mask({ rows }), rows) },
    });
  }

  /** The optimiser step with what {@link accumulateStep} summed; feeds `learning_rate` [], `total_weight` []. */
  applyStep(kind: StepKind = {}): Program {
    const { weights, frozen } = this.#shared(new Map(this.#trained.map((p) => [p.name, p])), kind);
    return applyAccumulated([...weights.values()], this.#optimiser, [...frozen.values()]);
  }

  /**
   * Whether steps also move statistics of the batches that they see (`batch_norm`). Steps of parts of a batch, one beside the other, have
   * other statistics than one step of all of it: whoever shares a batch out among several engines must refuse such a network.
   */
  get keepsStatistics(): boolean {
    return this.parameters.some(({ statistic }) => statistic);
  }

  /**
   * Losses without a step; same feeds (but the learning rate) and outputs (but gradients) as {@link trainStep}.
   * @param options averaged: of the moving averages of the weights instead of the weights
   */
  evaluate(batch: number, options: ProgramOptions = {}): Program {
    const name = `evaluate_${options.averaged ? 'averaged_' : ''}${options.share ? 'share_' : ''}b${batch}`;
    const { inputs, outputs: all } = this.#parts(name, batch, options);
    // How far patterns differ is asked of steps only.
    const { [PREDICTED]: _, ...outputs } = all;
    return defineProgram({ name, inputs, outputs });
  }

  /** Diffraction to object: `input`, `input_positions` → `object_real`, `object_imag` [B,C,N,N], in the object's own units. */
  predict(batch: number): Program {
    const { x, positions, members, unit } = this.#build(batch);
    return defineProgram({
      name: `predict_b${batch}`,
      inputs: [x, positions],
      outputs: { object_real: op.mul(members.re, unit), object_imag: op.mul(members.im, unit) },
    });
  }

  /**
   * Diffraction to object and to the patterns that the object explains: the feeds and outputs of {@link predict}, then
   * `pred_amplitude`, √counts, and `pred_intensity`, counts (both [B,C,N,N], λ = |F(P·O)Fᵀ|² with the network's probe).
   */
  autoencode(batch: number): Program {
    const built = this.#build(batch);
    const { x, positions, members, unit } = built;
    const s = this.spec.scale.intensityScale;
    const rate = this.#rate(built);
    return defineProgram({
      name: `autoencode_b${batch}`,
      inputs: [x, positions],
      outputs: {
        object_real: op.mul(members.re, unit),
        object_imag: op.mul(members.im, unit),
        // No ε under the root: nothing is differentiated here.
        pred_amplitude: op.mul(op.sqrt(rate), s),
        pred_intensity: op.mul(rate, s * s),
      },
    });
  }

  /** For `fitRectangular`: `input`, `input_positions` → `normal` [3,3], `right` [3], `measured` [], `predicted` []. */
  calibrate(batch: number): Program {
    const built = this.#build(batch);
    const { x, positions, members, probe } = built;
    const sigma = this.spec.config.gaussian_smoothing_sigma;
    return defineProgram({
      name: `calibrate_b${batch}`,
      inputs: [x, positions],
      outputs: rectangularMoments(members, probe, op.square(x), sigma, this.#mask(built)),
    });
  }
}

/** Whether a network learns from known patches. */
export function needsLabels(
  spec: Pick<NetworkSpec, 'realspace_weight' | 'realspace_mae_weight'> & { config: Pick<ModelConfig, 'model_type'> },
): boolean {
  const { config, realspace_weight = 0, realspace_mae_weight = 0 } = spec;
  return config.model_type === 'supervised' || realspace_weight * realspace_mae_weight > 0;
}

/** Patches times the brightness of their group. */
function brightened(painted: GeneratorOutput, by: GraphNode): GeneratorOutput {
  const { re, im } = painted.object;
  return {
    ...painted,
    object: { re: op.mul(re, by), im: op.mul(im, by) },
    amplitude: op.mul(painted.amplitude, by),
  };
}

/** Whether the generator leaves the border of a patch empty. */
function paintsCentreOnly(config: ModelConfig): boolean {
  return config.architecture !== 'baseline' && config.pad_object && !config.probe_big;
}

function labelInputs(shape: readonly number[]): { re: GraphNode<'input'>; im: GraphNode<'input'> } {
  return { re: op.input('label_real', shape), im: op.input('label_imag', shape) };
}

function validPixels(bad: ArrayLike<number>, N: number): PixelMask {
  const valid = validOf(bad, N);
  return { valid: op.constant(valid, [N, N], 'valid pixels'), fraction: shareOf(valid) };
}

const validOf = (bad: ArrayLike<number> | undefined, N: number): Float32Array =>
  Float32Array.from({ length: N * N }, (_, i) => (bad?.[i] ? 0 : 1));

const shareOf = (valid: Float32Array): number => valid.reduce((a, b) => a + b, 0) / valid.length;

/** What X² is multiplied by where the network is fed counts (`ci_intensity_v2`). */
const countFactor = ({ scale: { intensityScale, countIntensity } }: Pick<ScanTerms, 'scale'>): number =>
  intensityScale ** 2 * (countIntensity?.rmsInputScale ?? 1);
