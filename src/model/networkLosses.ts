/** The loss of a network as its specification mixes it, and the terms that go with it. */
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ComplexNode } from './complex.js';
import { amplitudeOf } from './forward.js';
import {
  amplitudeMae,
  complexMae,
  matchNorm,
  objectAmplitudeMae,
  type PixelMask,
  phaseMae,
  poissonDeviance,
  RATE_FLOOR,
  totalVariation,
} from './losses.js';
import type { Built, NetworkSpec } from './network.js';
import { COUNT_FLOOR } from './scale.js';
import { centralHalf } from './watch.js';

/** Weights of amplitude and phase in the supervised loss, as published. */
const SUPERVISED = { amplitude: 2, phase: 4 } as const;
/** The baseline network weighs both the same. */
const BASELINE = { amplitude: 1, phase: 1 } as const;

export interface LossInputs {
  /** Predicted intensity [B,C,N,N] in units of X². */
  readonly rate: GraphNode;
  readonly mask?: PixelMask;
  /** Known patches [B,C,N,N] in the object's units. */
  readonly label?: ComplexNode;
  /** Scalar 0…1: how much of the configured mixture counts. */
  readonly physicsWeight?: GraphNode;
}

/**
 * `loss`, and its terms before their weights: `nll` and `mae` always (also where they only watch), `tv` and `object_mae` where they
 * are part of it, `label_amplitude_mae` and `label_phase_mae` with labels in supervised training.
 */
export function networkLosses(
  spec: NetworkSpec,
  { x, members, painted, unit }: Built,
  { rate, mask, label, physicsWeight }: LossInputs,
): Record<'loss' | 'nll' | 'mae', GraphNode> & Record<string, GraphNode> {
  const { config, scale, meanAmplitude, nll_weight, mae_weight, labelShare } = spec;
  // mean X² over the valid pixels of the data set: (N/2)²/N² by the normalisation, bad pixels being zero in X
  const meanCount = 0.25 / (mask?.fraction ?? 1);
  const floor = scale.countIntensity ? COUNT_FLOOR / scale.countIntensity.meanMeasuredIntensity : RATE_FLOOR;
  const nll = poissonDeviance(rate, op.square(x), meanCount, { mask, floor });
  const predicted = amplitudeOf(rate);
  const mae = amplitudeMae(spec.matchPredictedNorm ? matchNorm(predicted, x, mask) : predicted, x, meanAmplitude, mask);

  if (config.model_type === 'supervised') {
    const weights = config.architecture === 'baseline' ? BASELINE : SUPERVISED;
    const part = config.architecture !== 'baseline' && !config.probe_big ? centralHalf : whole;
    const known = complexPart(label as ComplexNode, part);
    const amplitude = objectAmplitudeMae(part(op.mul(painted.amplitude, unit)), known, labelShare);
    const phase = phaseMae(complexPart(painted.phasor, part), known, labelShare);
    const loss = op.add(op.mul(amplitude, weights.amplitude), op.mul(phase, weights.phase));
    return { loss, nll, mae, label_amplitude_mae: amplitude, label_phase_mae: phase };
  }

  const { realspace_weight = 0, realspace_mae_weight = 0, tv_weight = 0 } = spec;
  // With several members only the middle of a patch is painted by its own pattern; the rest of the canvas may be empty.
  const part = config.gridsize > 1 || !config.probe_big ? centralHalf : whole;
  const object = () => complexPart({ re: op.mul(members.re, unit), im: op.mul(members.im, unit) }, part);
  const extra: Record<string, GraphNode> = {
    ...(realspace_weight * tv_weight > 0 ? { tv: totalVariation(object()) } : {}),
    ...(label ? { object_mae: complexMae(object(), complexPart(label, part), labelShare) } : {}),
  };
  const weighted: [GraphNode | undefined, number][] = [
    [nll, nll_weight],
    [mae, mae_weight],
    [extra.tv, realspace_weight * tv_weight],
    [extra.object_mae, realspace_weight * realspace_mae_weight],
  ];
  const terms = weighted.flatMap(([term, weight]): GraphNode[] => (term && weight > 0 ? [op.mul(term, weight)] : []));
  const mixture = terms.reduce((a, b) => op.add(a, b));
  const loss = physicsWeight ? op.add(op.mul(op.sub(1, physicsWeight), mae), op.mul(physicsWeight, mixture)) : mixture;
  return { loss, nll, mae, ...extra };
}

const whole = (x: GraphNode) => x;

function complexPart(z: ComplexNode, part: (x: GraphNode) => GraphNode): ComplexNode {
  return { re: part(z.re), im: part(z.im) };
}
