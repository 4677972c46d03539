/**
 * A configured network and its programs: `trainStep`, `evaluate`, `predict`, each for any batch size.
 *
 * @example
 * const network = new PtychoNetwork({ config, scale, canvasSide_px: 64, meanAmplitude: 0.2, … });
 * const step = await backend.compile(network.trainStep(16));
 */
import type { ModelConfig } from '../config/schema.js';
import type { Shape, Tensor } from '../core/tensor.js';
import { gradients } from '../graph/gradients.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { defineProgram, type Program } from '../graph/program.js';
import { type AdamOptions, adamDefaults, adamState, adamUpdates } from './adam.js';
import { type ComplexNode, fromPolar } from './complex.js';
import { amplitudeOf, detectorIntensity, memberPatches, probeModes } from './forward.js';
import { generatorOf } from './generators/registry.js';
import { amplitudeMae, type PixelMask, poissonDeviance } from './losses.js';
import { initialWeights, ParameterScope, type ParameterSpec } from './parameters.js';
import type { PhysicsScale } from './scale.js';

/** Name of the one scalar parameter that is not a convolution's: ln of the intensity scale. */
export const LOG_INTENSITY_SCALE = 'log_intensity_scale';

export interface NetworkSpec {
  readonly config: ModelConfig;
  readonly scale: PhysicsScale;
  /** Side of the group canvas, even, at least N. */
  readonly canvasSide_px: number;
  /** Mean of the normalised amplitude X over the valid training pixels: scale of the MAE loss. */
  readonly meanAmplitude: number;
  readonly nll_weight: number;
  readonly mae_weight: number;
  readonly intensity_scale_trainable: boolean;
  /** (N, N): 1 where the probe counts; all ones when not given. */
  readonly probeMask?: ArrayLike<number>;
  /** (N, N): 1 at detector pixels that cannot be used; no loss looks at them. */
  readonly badPixels?: ArrayLike<number>;
  readonly adam?: AdamOptions;
}

interface Built {
  readonly scope: ParameterScope;
  readonly x: GraphNode<'input'>;
  readonly positions: GraphNode<'input'>;
  /** What each member sees, in the network's gauge. */
  readonly members: ComplexNode;
  /** exp(ℓ − ln s): 1 unless the intensity scale is trained. */
  readonly gain: GraphNode;
  readonly amplitude: GraphNode;
}

/** Network, physics and losses of one configuration; a value, holds no weights. */
export class PtychoNetwork {
  readonly spec: NetworkSpec;
  /** Every trainable parameter, in order of declaration. */
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
    return adamState(this.parameters.map((p): [string, Shape] => [p.name, p.shape]));
  }

  #build(batch: number): Built {
    const { config, scale } = this.spec;
    const channels = config.gridsize ** 2;
    const x = op.input('input', [batch, channels, config.N, config.N]);
    const positions = op.input('input_positions', [batch, channels, 1, 2]);
    const scope = new ParameterScope();
    const { amplitude, phase } = generatorOf(config.architecture)(config, x, scope);
    const members = memberPatches(config, fromPolar(amplitude, phase), positions, {
      canvasSide_px: this.spec.canvasSide_px,
    });
    const logScale = Math.log(scale.intensityScale);
    const gain = this.spec.intensity_scale_trainable
      ? op.exp(op.sub(scope.parameter(LOG_INTENSITY_SCALE, [], logScale), logScale))
      : op.scalar(1);
    return { scope, x, positions, members, gain, amplitude };
  }

  #losses({ x, members, gain }: Built): { loss: GraphNode; nll: GraphNode; mae: GraphNode } {
    const { config, scale, nll_weight, mae_weight, meanAmplitude, probeMask, badPixels } = this.spec;
    const probe = probeModes(scale.probe, scale.amplitudeGauge / scale.intensityScale, probeMask);
    const dark = detectorIntensity(members, probe, config.gaussian_smoothing_sigma);
    const rate = this.spec.intensity_scale_trainable ? op.mul(dark, op.square(gain)) : dark;
    const mask = badPixels && validPixels(badPixels, config.N);
    // mean X² over the valid pixels of the data set: (N/2)²/N² by the normalisation, bad pixels being zero in X
    const nll = poissonDeviance(rate, op.square(x), 0.25 / (mask?.fraction ?? 1), { mask });
    const mae = amplitudeMae(amplitudeOf(rate), x, meanAmplitude, mask);
    const terms: GraphNode[] = [
      ...(nll_weight > 0 ? [op.mul(nll, nll_weight)] : []),
      ...(mae_weight > 0 ? [op.mul(mae, mae_weight)] : []),
    ];
    return { loss: terms.reduce((a, b) => op.add(a, b)), nll, mae };
  }

  /**
   * One optimiser step. Feeds: `input` [B,C,N,N], `input_positions` [B,C,1,2], `learning_rate` []. Outputs: `loss`,
   * `nll`, `mae` before the step, and `amplitude_contrast`, the standard deviation of the amplitude relative to its mean (0: flat).
   */
  trainStep(batch: number): Program {
    const built = this.#build(batch);
    const { loss, nll, mae } = this.#losses(built);
    const weights = built.scope.nodes;
    const names = [...weights.keys()];
    const grads = gradients(
      loss,
      names.map((n) => weights.get(n) as GraphNode),
    );
    const updates = adamUpdates(
      weights,
      new Map(names.map((n, i) => [n, grads[i]])),
      op.input('learning_rate', []),
      this.spec.adam ?? adamDefaults,
    );
    return defineProgram({
      name: `train_step_b${batch}`,
      inputs: [built.x, built.positions],
      outputs: { loss, nll, mae, amplitude_contrast: contrast(built.amplitude) },
      updates,
    });
  }

  /** Losses without a step; same feeds (but the learning rate) and outputs as {@link trainStep}. */
  evaluate(batch: number): Program {
    const built = this.#build(batch);
    const { loss, nll, mae } = this.#losses(built);
    return defineProgram({
      name: `evaluate_b${batch}`,
      inputs: [built.x, built.positions],
      outputs: { loss, nll, mae, amplitude_contrast: contrast(built.amplitude) },
    });
  }

  /** Diffraction to object: `input`, `input_positions` → `object_real`, `object_imag` [B,C,N,N], in the object's own units. */
  predict(batch: number): Program {
    const built = this.#build(batch);
    // A trained intensity scale is part of the object: only e^ℓ·O is measurable.
    const unit = op.mul(built.gain, this.spec.scale.amplitudeGauge);
    return defineProgram({
      name: `predict_b${batch}`,
      inputs: [built.x, built.positions],
      outputs: { object_real: op.mul(built.members.re, unit), object_imag: op.mul(built.members.im, unit) },
    });
  }
}

function validPixels(bad: ArrayLike<number>, N: number): PixelMask {
  const valid = Float32Array.from({ length: N * N }, (_, i) => (bad[i] ? 0 : 1));
  const fraction = valid.reduce((a, b) => a + b, 0) / (N * N);
  return { valid: op.constant(valid, [N, N], 'valid pixels'), fraction };
}

/** √(mean (A − Ā)²)/Ā over the batch. */
function contrast(amplitude: GraphNode): GraphNode {
  const mean = op.reduceMean(amplitude);
  const variance = op.reduceMean(op.square(op.sub(amplitude, mean)));
  return op.div(op.sqrt(op.add(variance, 1e-12)), op.add(mean, 1e-12));
}
