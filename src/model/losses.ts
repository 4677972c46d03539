/**
 * Losses between predicted and measured patterns, and how a network mixes them; each is O(1) and scaled by constants of the data set,
 * never of a batch, so that gradient accumulation and partial batches change nothing.
 */
import type { ModelConfig } from '../config/schema.js';
import { type ComplexNode, intensity } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { GeneratorOutput } from '../networks/generator.js';
import { UNKNOWN_LABEL } from '../physics/sampling.js';
import { amplitudeOf } from './forward.js';
import { disagreement } from './members.js';
import { COUNT_FLOOR, gaugeFactor, type PhysicsScale } from './scale.js';
import type { ScanRows } from './scanRows.js';

/** λ is kept above this fraction of the mean count: log λ stays finite where the model predicts darkness. */
const RATE_FLOOR = 1e-12;

/** Which detector pixels count. */
export interface PixelMask {
  /** [N, N] of 0 and 1. */
  readonly valid: GraphNode;
  /** Share of the pixels that are valid; [B, 1, 1, 1] where it differs from pattern to pattern. */
  readonly fraction: number | GraphNode;
}

/** The mean over all pixels, or over the valid ones, times a factor; [B, 1, 1, 1] where that differs from pattern to pattern. */
function scaledMean(x: GraphNode, factor: number | GraphNode, mask?: PixelMask): GraphNode {
  if (typeof factor === 'number' && (mask === undefined || typeof mask.fraction === 'number')) {
    const mean = mask ? op.mul(op.reduceMean(op.mul(x, mask.valid)), 1 / (mask.fraction as number)) : op.reduceMean(x);
    return op.mul(mean, factor);
  }
  const each = op.reduceMean(mask ? op.mul(x, mask.valid) : x, [1, 2, 3], true);
  return op.reduceMean(op.mul(each, mask ? op.div(factor, mask.fraction) : factor));
}

/**
 * Poisson negative log-likelihood λ − k·ln λ + (k·ln k − k), averaged over pixels and divided by the mean count: 0 for a perfect
 * prediction. The part in brackets belongs to the data and changes no gradient.
 * @param rate λ, @param count k ≥ 0 (any common unit), @param meanCount the data set's mean of k over valid pixels, in that unit;
 * [B, 1, 1, 1] where it differs from pattern to pattern
 * @param options mask: pixels that count; floor: see {@link RATE_FLOOR}
 */
export function poissonDeviance(
  rate: GraphNode,
  count: GraphNode,
  meanCount: number | GraphNode,
  { mask, floor = RATE_FLOOR }: { readonly mask?: PixelMask; readonly floor?: number } = {},
): GraphNode {
  const low = floor * (typeof meanCount === 'number' ? meanCount : USUAL_MEAN);
  const safeRate = op.maximum(rate, low);
  const model = op.sub(safeRate, op.mul(count, op.log(safeRate)));
  const data = op.sub(op.mul(count, op.log(op.maximum(count, low))), count);
  return scaledMean(op.add(model, data), typeof meanCount === 'number' ? 1 / meanCount : op.div(1, meanCount), mask);
}

/** Mean X² over all pixels: (N/2)²/N² by the normalisation. */
const USUAL_MEAN = 0.25;

/**
 * Mean |predicted − measured| amplitude over (valid) pixels, divided by the data set's mean amplitude there: the R-factor of
 * the batch.
 */
export function amplitudeMae(
  predicted: GraphNode,
  measured: GraphNode,
  meanAmplitude: number | GraphNode,
  mask?: PixelMask,
): GraphNode {
  const factor = typeof meanAmplitude === 'number' ? 1 / meanAmplitude : op.div(1, meanAmplitude);
  return scaledMean(op.abs(op.sub(predicted, measured)), factor, mask);
}

/** Each predicted pattern [B, C, N, N] scaled to the norm of the measured one, over the pixels that count. */
export function matchNorm(predicted: GraphNode, measured: GraphNode, mask?: PixelMask): GraphNode {
  const power = (x: GraphNode) => {
    const square = op.square(x);
    return op.reduceSum(mask ? op.mul(square, mask.valid) : square, [2, 3], true);
  };
  // Two roots, not one of the quotient: where nothing was measured that would be √0, whose slope is infinite.
  return op.mul(predicted, op.div(op.sqrt(power(measured)), op.sqrt(op.add(power(predicted), 1e-12))));
}

/**
 * Total variation of complex images [B, C, n, n]: squared forward differences of real and imaginary part along rows and
 * columns, summed, over the number of pixels. Differences that would leave the image count as zero.
 */
export function totalVariation({ re, im }: ComplexNode): GraphNode {
  const [batch, channels, rows, columns] = re.shape;
  const along = (x: GraphNode, axis: 2 | 3) => {
    const n = x.shape[axis] - 1;
    return op.reduceSum(op.square(op.sub(op.sliceAxis(x, axis, 1, n), op.sliceAxis(x, axis, 0, n))));
  };
  const sum = [re, im].flatMap((x) => [along(x, 2), along(x, 3)]).reduce((a, b) => op.add(a, b));
  return op.mul(sum, 1 / (batch * channels * rows * columns));
}

/** Under the root of |difference|: its derivative stays finite where prediction and label agree. */
const EQUAL = 1e-12;

/**
 * The mean over the pixels whose label is known ({@link UNKNOWN_LABEL}), of which the data set has this share; over all where no share
 * is given.
 */
function meanOverKnown(x: GraphNode, label: ComplexNode, share: number | undefined): GraphNode {
  if (share === undefined) return op.reduceMean(x);
  const known = op.greater(label.re, UNKNOWN_LABEL / 2);
  return op.mul(op.reduceMean(op.mul(x, known)), 1 / share);
}

/** Mean |O − O*| of complex images of one shape, over known labels. */
export function complexMae(predicted: ComplexNode, label: ComplexNode, share?: number): GraphNode {
  const difference = { re: op.sub(predicted.re, label.re), im: op.sub(predicted.im, label.im) };
  return meanOverKnown(op.sqrt(op.add(intensity(difference), EQUAL)), label, share);
}

/**
 * Mean |φ − φ*|, differences wrapped to −π…π, of a predicted exp(iφ) and known complex labels; where a label is dark it has no
 * phase and the difference is 0.
 */
export function phaseMae(phasor: ComplexNode, label: ComplexNode, share?: number): GraphNode {
  // The angle of e^{iφ}·conj(label), by halves: |angle| = 2·atan(|sin|/(1 + cos)) for cos ≥ 0, π minus that of −cos else.
  const cos = op.add(op.mul(phasor.re, label.re), op.mul(phasor.im, label.im));
  const sin = op.sub(op.mul(phasor.im, label.re), op.mul(phasor.re, label.im));
  const radius = op.sqrt(op.add(intensity(label), 1e-24));
  const half = op.atan(op.div(op.abs(sin), op.add(radius, op.abs(cos))));
  const acute = op.mul(half, 2);
  const obtuse = op.greater(op.neg(cos), 0);
  return meanOverKnown(op.add(acute, op.mul(obtuse, op.sub(Math.PI, op.mul(acute, 2)))), label, share);
}

/** Mean |A − |O*||, over known labels. */
export function objectAmplitudeMae(amplitude: GraphNode, label: ComplexNode, share?: number): GraphNode {
  return meanOverKnown(op.abs(op.sub(amplitude, op.sqrt(intensity(label)))), label, share);
}

/** The central N/2 square of images [B, C, N, N]. */
export function centralHalf(x: GraphNode): GraphNode {
  const side = x.shape[x.shape.length - 1];
  const start = x.shape.map((_, i) => (i < x.shape.length - 2 ? 0 : side / 4));
  return op.slice(
    x,
    start,
    x.shape.map((d, i) => (i < x.shape.length - 2 ? d : side / 2)),
  );
}

/** Weights of amplitude and phase in the supervised loss, as published. */
const SUPERVISED = { amplitude: 2, phase: 4 } as const;
/** The baseline network weighs both the same. */
const BASELINE = { amplitude: 1, phase: 1 } as const;

/** What is wanted of a part of the object: little change from pixel to pixel, or little distance from its mean. */
export interface PartLoss {
  readonly kind: 'Total_Variation' | 'Mean_Deviation';
  readonly weight: number;
}

/** Of real images [B, C, n, n]: absolute forward differences along rows and columns, or distances from the mean; over the pixels. */
export function partLoss(x: GraphNode, kind: PartLoss['kind']): GraphNode {
  if (kind === 'Mean_Deviation') return op.reduceMean(op.abs(op.sub(x, op.reduceMean(x, [2, 3], true))));
  const along = (axis: 2 | 3) => {
    const n = x.shape[axis] - 1;
    return op.reduceSum(op.abs(op.sub(op.sliceAxis(x, axis, 1, n), op.sliceAxis(x, axis, 0, n))));
  };
  return op.mul(op.add(along(2), along(3)), 1 / x.shape.reduce((a, b) => a * b, 1));
}

/** φ in −π…π of e^{iφ}. */
function angleOf({ re, im }: ComplexNode): GraphNode {
  // By halves, as in phaseMae.
  const acute = op.mul(op.atan(op.div(op.abs(im), op.add(op.abs(re), 1))), 2);
  const obtuse = op.greater(op.neg(re), 0);
  return op.mul(op.sign(im), op.add(acute, op.mul(obtuse, op.sub(Math.PI, op.mul(acute, 2)))));
}

/** What a network's specification wants of the parts of what it paints, before their weights. */
function partLosses(spec: LossSpec, painted: GeneratorOutput): Record<string, GraphNode> {
  const { config, amplitudeLoss, phaseLoss } = spec;
  const part = config.architecture !== 'baseline' && config.pad_object && !config.probe_big ? centralHalf : whole;
  // 1 is the amplitude of the constant object.
  const amplitude = () => part(op.mul(painted.amplitude, gaugeFactor(config)));
  return {
    ...(amplitudeLoss ? { amp_loss: partLoss(amplitude(), amplitudeLoss.kind) } : {}),
    ...(phaseLoss ? { phase_loss: partLoss(part(angleOf(painted.phasor)), phaseLoss.kind) } : {}),
  };
}

/** What of a network's specification decides its loss. */
export interface LossSpec {
  readonly config: ModelConfig;
  readonly scale: PhysicsScale;
  /** Mean of the normalised amplitude X over the valid training pixels: scale of the MAE loss. */
  readonly meanAmplitude: number;
  readonly nll_weight: number;
  readonly mae_weight: number;
  /** Weight of the losses of the object as a whole; those of its parts follow. */
  readonly realspace_weight?: number;
  /** Of the mean |O − O*| against known patches (`label_real`, `label_imag`). */
  readonly realspace_mae_weight?: number;
  /** Of how far overlapping patches of a group disagree. */
  readonly overlap_weight?: number;
  /** Of the total variation. */
  readonly tv_weight?: number;
  /** Losses of the painted amplitude and phase, and their weights. */
  readonly amplitudeLoss?: PartLoss;
  readonly phaseLoss?: PartLoss;
  /** Share of the pixels of the known patches that are known; not given: all, and no loss looks for others. */
  readonly labelShare?: number;
  /** Scale each predicted pattern to the norm of the measured one in the amplitude MAE. */
  readonly matchPredictedNorm?: boolean;
}

/** The nodes of a network that its losses look at. */
export interface Painting {
  readonly x: GraphNode<'input'>;
  /** What the generator painted. */
  readonly painted: GeneratorOutput;
  /** What each member sees, in the network's gauge. */
  readonly members: ComplexNode;
  /** Patches before they were merged, and what their pixels count, where there is something to merge. */
  readonly merged?: { readonly own?: ComplexNode; readonly share?: GraphNode };
  /** Object, in its own units, per unit of `members`. */
  readonly unit: GraphNode;
}

export interface LossInputs {
  /** Predicted intensity [B,C,N,N] in units of X². */
  readonly rate: GraphNode;
  readonly mask?: PixelMask;
  /** Known patches [B,C,N,N] in the object's units. */
  readonly label?: ComplexNode;
  /** The scans of the groups, where there are several: every pattern is measured by the scale of its own. */
  readonly rows?: ScanRows;
  /** Scalar 0…1: how much of the configured mixture counts. */
  readonly physicsWeight?: GraphNode;
}

/**
 * `loss`, and its terms before their weights: `nll` and `mae` always (also where they only watch), `tv` and `object_mae` where they
 * are part of it, `amp_loss` and `phase_loss` likewise, `label_amplitude_mae` and `label_phase_mae` with labels in supervised training.
 */
export function networkLosses(
  spec: LossSpec,
  { x, members, merged, painted, unit }: Painting,
  { rate, mask, label, rows, physicsWeight }: LossInputs,
): Record<'loss' | 'nll' | 'mae', GraphNode> & Record<string, GraphNode> {
  const { config, scale, nll_weight, mae_weight, labelShare } = spec;
  const { fraction = 1 } = mask ?? {};
  // mean X² over the valid pixels of the data set, bad pixels being zero in X
  const meanCount = typeof fraction === 'number' ? USUAL_MEAN / fraction : op.div(USUAL_MEAN, fraction);
  const floorOf = ({ countIntensity }: PhysicsScale) =>
    countIntensity ? COUNT_FLOOR / countIntensity.meanMeasuredIntensity : RATE_FLOOR;
  const floor = rows ? Math.min(...rows.scans.map((scan) => floorOf(scan.scale))) : floorOf(scale);
  const meanAmplitude = rows ? rows.numbers((scan) => scan.meanAmplitude) : spec.meanAmplitude;
  const nll = poissonDeviance(rate, op.square(x), meanCount, { mask, floor });
  const predicted = amplitudeOf(rate);
  const mae = amplitudeMae(spec.matchPredictedNorm ? matchNorm(predicted, x, mask) : predicted, x, meanAmplitude, mask);

  const parts = partLosses(spec, painted);
  const wanted: [GraphNode | undefined, number][] = [
    [parts.amp_loss, spec.amplitudeLoss?.weight ?? 0],
    [parts.phase_loss, spec.phaseLoss?.weight ?? 0],
  ];
  /** They count in full in every stage, as published. */
  const regularised = (loss: GraphNode) =>
    wanted.reduce((sum, [term, weight]) => (term && weight > 0 ? op.add(sum, op.mul(term, weight)) : sum), loss);

  if (config.model_type === 'supervised') {
    const weights = config.architecture === 'baseline' ? BASELINE : SUPERVISED;
    const part = config.architecture !== 'baseline' && !config.probe_big ? centralHalf : whole;
    const known = complexPart(label as ComplexNode, part);
    const amplitude = objectAmplitudeMae(part(op.mul(painted.amplitude, unit)), known, labelShare);
    const phase = phaseMae(complexPart(painted.phasor, part), known, labelShare);
    const labels = op.add(op.mul(amplitude, weights.amplitude), op.mul(phase, weights.phase));
    const loss = regularised(labels);
    return { loss, nll, mae, label_amplitude_mae: amplitude, label_phase_mae: phase, ...parts };
  }

  const { realspace_weight = 0, realspace_mae_weight = 0, tv_weight = 0, overlap_weight = 0 } = spec;
  // With several members only the middle of a patch is painted by its own pattern; the rest of the canvas may be empty.
  const part = config.gridsize > 1 || !config.probe_big ? centralHalf : whole;
  const object = () => complexPart({ re: op.mul(members.re, unit), im: op.mul(members.im, unit) }, part);
  const extra: Record<string, GraphNode> = {
    ...(realspace_weight * tv_weight > 0 ? { tv: totalVariation(object()) } : {}),
    ...(overlap_weight > 0 ? overlapTerm(config, members, merged) : {}),
    ...(label ? { object_mae: complexMae(object(), complexPart(label, part), labelShare) } : {}),
  };
  const weighted: [GraphNode | undefined, number][] = [
    [nll, nll_weight],
    [mae, mae_weight],
    [extra.overlap, overlap_weight],
    [extra.tv, realspace_weight * tv_weight],
    [extra.object_mae, realspace_weight * realspace_mae_weight],
  ];
  const terms = weighted.flatMap(([term, weight]): GraphNode[] => (term && weight > 0 ? [op.mul(term, weight)] : []));
  const mixture = terms.reduce((a, b) => op.add(a, b));
  const staged = physicsWeight
    ? op.add(op.mul(op.sub(1, physicsWeight), mae), op.mul(physicsWeight, mixture))
    : mixture;
  return { loss: regularised(staged), nll, mae, ...extra, ...parts };
}

/** How far the patches of a group disagree with what is merged of them, relative to the constant object. */
function overlapTerm(config: ModelConfig, members: ComplexNode, merged: Painting['merged']): Record<string, GraphNode> {
  const { own, share } = merged ?? {};
  return own && share ? { overlap: op.mul(disagreement(own, members, share), gaugeFactor(config) ** 2) } : {};
}

const whole = (x: GraphNode) => x;

function complexPart(z: ComplexNode, part: (x: GraphNode) => GraphNode): ComplexNode {
  return { re: part(z.re), im: part(z.im) };
}
