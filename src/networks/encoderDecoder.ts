/**
 * The convolutional encoder–decoder family: one encoder, two decoders (amplitude and phase), and a head that paints the
 * central half of the patch finely and its border coarsely.
 */
import type { z } from 'zod';
import { PtychoError } from '../core/errors.js';
import { field, flag, oneOf, positiveInteger, published } from '../core/field.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import {
  type Convolution,
  cartesianOutput,
  convolutions,
  type GeneratorOutput,
  type HeadLimits,
  type Modulate,
  type NetworkShape,
  paintedPatches,
  polarOutput,
} from './generator.js';
import { isNetworkSide, NETWORK_SIDES, networkSideRemedy, type PublishedSide, publishedSide } from './sides.js';

/** The width of the networks of convolutions. */
export const widthField = {
  n_filters_scale: published(
    positiveInteger,
    1,
    'Multiplies the width of every convolution of cnn, cnn_cbam and baseline.',
  ),
};

/** Fields of the networks of this family. */
export const encoderDecoderFields = {
  ...widthField,
  amp_activation: published(
    oneOf('sigmoid', 'swish', 'softplus', 'relu'),
    'sigmoid',
    'Activation of the amplitude head of cnn and cnn_cbam; sigmoid keeps the amplitude positive and bounded.',
    {
      valueAliases: {
        silu: { value: 'swish', note: 'amp_activation silu is called swish here.' },
        SiLU: { value: 'swish', note: 'amp_activation SiLU is called swish here.' },
      },
    },
  ),
  probe_big: field(flag, true, 'Add the low-resolution head that fills the outer N/4 border of the patch.', {
    legacyKey: 'probe.big',
  }),
  pad_object: published(flag, true, 'Predict the central N/2 square and pad it; false: a full N × N head.'),
  cnn_output_mode: field(
    oneOf('amp_phase', 'real_imag'),
    'amp_phase',
    'What cnn and cnn_cbam output: amplitude and phase, or real and imaginary parts.',
  ),
  border_activation: field(
    oneOf('same', 'swish'),
    'same',
    "Activation of the border branch: the head's own, or the published swish, which is unbounded.",
  ),
};

type Fields = { readonly [K in keyof typeof encoderDecoderFields]: z.output<(typeof encoderDecoderFields)[K]> };

/** What the networks of this family have in common besides their layers. */
export const encoderDecoderTraits = {
  // sigmoid(0) = ½. Real parts lie in −0.8 … 1.2: twice the rms amplitude leaves room for phases and for bright places.
  gaugeFactor: (config: Fields) =>
    config.cnn_output_mode === 'real_imag' || config.amp_activation === 'sigmoid' ? 2 : 1,
  paintsParts: (config: Fields) => config.cnn_output_mode === 'real_imag',
  modulated: true,
  encoder: ['encoder.'],
};

/** Changes an image by parameters called `name`. */
export type Layer = (x: GraphNode, name: string, scope: ParameterScope) => GraphNode;

/** Where the members of the family differ. */
export interface EncoderDecoderVariant {
  /** Channels of the decoder's last block that feed the border branch, of so many whose head paints `outputs` channels. */
  readonly borderInputChannels: (channels: number, outputs: number) => number;
  /** Width of the border branch. */
  readonly borderWidth: number;
  /** Applied between a block's second convolution and its pooling. */
  readonly attention?: Layer;
  /** Applied to what the encoder ends with. */
  readonly bottleneck?: Layer;
  /** Applied behind every block of a decoder, to its enlarged image. */
  readonly decoderAttention?: Layer;
  /** Behind every convolution of the encoder and of the second decoder, before its activation. */
  readonly normalise?: Layer;
  /** One decoder for both parts, with this behind its blocks (`last`: behind the last one) and at its end. */
  readonly shared?: {
    readonly refine: (x: GraphNode, name: string, last: boolean, scope: ParameterScope) => GraphNode;
    readonly end: Layer;
  };
  /** Applied to a block's features before their pooling. */
  readonly modulate?: Modulate;
}

/** Filters of the encoder and decoder blocks per published side, before `n_filters_scale`. */
const LADDERS: Readonly<Record<PublishedSide, { encoder: readonly number[]; decoder: readonly number[] }>> = {
  64: { encoder: [32, 64, 128], decoder: [64, 32] },
  128: { encoder: [16, 32, 64, 128], decoder: [128, 64, 32] },
  256: { encoder: [8, 16, 32, 64, 128], decoder: [256, 128, 64, 32] },
};

/** Sides that are odd, as of patches of 272 after four poolings, get a row and a column of zeros: least of what a ReLU lets through. */
function evenSides(x: GraphNode): GraphNode {
  const [rows, columns] = [x.shape[2] % 2, x.shape[3] % 2];
  return rows + columns === 0 ? x : op.pad(x, [0, 0, 0, 0], [0, 0, rows, columns]);
}

/** The image without the row and column that {@link evenSides} brought in. */
function cutTo(x: GraphNode, side: number): GraphNode {
  return x.shape[2] === side ? x : op.sliceAxis(op.sliceAxis(x, 2, 0, side), 3, 0, side);
}

type Activation = (x: GraphNode) => GraphNode;

/** Output activation of the amplitude head, by its configured name. */
const amplitudeActivations: Readonly<Record<Fields['amp_activation'], Activation>> = {
  sigmoid: (x) => op.sigmoid(x),
  swish: (x) => op.silu(x),
  softplus: (x) => op.softplus(x),
  relu: (x) => op.relu(x),
};

/** Where an amplitude head can paint; the minimum of swish is −0.278. */
const amplitudeLimits: Readonly<Record<Fields['amp_activation'], HeadLimits>> = {
  sigmoid: { low: 0, high: 1 },
  swish: { low: -0.2784645, high: null },
  softplus: { low: 0, high: null },
  relu: { low: 0, high: null },
};

const phaseActivation: Activation = (x) => op.mul(op.tanh(x), Math.PI);

/** Heads of `cnn_output_mode: real_imag`, as published. */
const realActivation: Activation = (x) => op.add(op.tanh(x), 0.2);
const imaginaryActivation: Activation = (x) => op.mul(op.tanh(x), 1.2);

/** 1 in the border of an N×N patch, 0 in its central N/2 square. */
function borderMask(side: number): GraphNode {
  const data = new Float32Array(side * side).fill(1);
  const quarter = side / 4;
  for (let r = quarter; r < side - quarter; r++) data.fill(0, r * side + quarter, (r + 1) * side - quarter);
  return op.constant(data, [side, side], 'border mask');
}

/** Builds the network of a variant; see physics and model notes in `docs/architecture.md`. */
export function encoderDecoder(
  config: NetworkShape & Fields,
  x: GraphNode,
  scope: ParameterScope,
  variant: EncoderDecoderVariant,
): GeneratorOutput {
  const side = config.N;
  if (!isNetworkSide(side)) {
    throw new PtychoError(
      'MODEL_UNSUPPORTED',
      `Patterns of ${side}×${side} pixels are not supported by architecture "${config.architecture}": N must be ${NETWORK_SIDES}; ${networkSideRemedy(side)}.`,
      { N: side, expected: NETWORK_SIDES },
    );
  }
  const ladder = LADDERS[publishedSide(side)];
  const scale = config.n_filters_scale;
  const outChannels = paintedPatches(config);
  const taps: Record<string, GraphNode> = {};

  const { conv, upConv } = convolutions(scope);
  const normalised = (v: GraphNode, name: string, normal: boolean) =>
    normal && variant.normalise ? variant.normalise(v, name, scope) : v;
  /** A convolution as far as its activation. */
  const convolved = (apply: Convolution, v: GraphNode, name: string, part: string, width: number, normal: boolean) =>
    normalised(apply(v, `${name}.${part}`, width), `${name}.${part}.norm`, normal);

  // Of the images that are pooled, from the patch down.
  const sides: number[] = [];
  let h: GraphNode = x;
  ladder.encoder.forEach((filters, i) => {
    const name = `encoder.${i}`;
    h = op.relu(convolved(conv, h, name, 'conv1', scale * filters, true));
    h = op.relu(convolved(conv, h, name, 'conv2', scale * filters, true));
    if (variant.attention) h = variant.attention(h, `${name}.attention`, scope);
    if (variant.modulate) h = variant.modulate(h, name);
    sides.push(h.shape[2]);
    h = op.maxPool2(evenSides(h));
    taps[name] = h;
  });
  if (variant.bottleneck) h = variant.bottleneck(h, 'bottleneck.attention', scope);
  const latent = h;

  /** The image of the last block of a decoder, and the convolution that takes it from there: enlarging it, or finding it enlarged. */
  const decoded = (name: string, normal: boolean): { features: GraphNode; first: Convolution } => {
    const { decoderAttention, shared } = variant;
    const enlarges = decoderAttention !== undefined || shared !== undefined;
    const next = enlarges ? conv : upConv;
    let v: GraphNode = latent;
    ladder.decoder.forEach((filters, i) => {
      v = op.relu(convolved(i === 0 ? conv : next, v, `${name}.${i}`, 'conv1', scale * filters, normal));
      if (i > 0) v = cutTo(v, sides[sides.length - i]);
      v = op.relu(convolved(conv, v, `${name}.${i}`, 'conv2', scale * filters, normal));
      if (enlarges) v = cutTo(op.upsampleNearest2(v), sides[sides.length - 1 - i]);
      if (decoderAttention) v = decoderAttention(v, `${name}.${i}.attention`, scope);
      if (shared) v = shared.refine(v, `${name}.${i}.refine`, i === ladder.decoder.length - 1, scope);
      taps[`${name}.${i}`] = v;
    });
    if (shared) v = shared.end(v, `${name}.eca`, scope);
    return { features: v, first: next };
  };

  /** What a decoder paints before its activation, `outputs` channels: all of the patch, or its middle and its border. */
  const painted = (name: string, outputs: number, normal: boolean) => {
    const { features: v, first } = decoded(name, normal);
    const { borderWidth: width } = variant;
    if (!config.pad_object) {
      const u = op.relu(convolved(first, v, name, 'full.conv1', width, normal));
      const wide = op.relu(convolved(conv, u, name, 'full.conv2', width, normal));
      return { whole: convolved(upConv, wide, name, 'full.out', outputs, normal) };
    }
    const channels = v.shape[1];
    const outer = variant.borderInputChannels(channels, outputs);
    const inner = channels - outer;
    const centre = convolved(first, op.sliceAxis(v, 1, 0, inner), name, 'centre', outputs, normal);
    if (!config.probe_big) return { centre };
    let u: GraphNode = op.relu(convolved(first, op.sliceAxis(v, 1, inner, outer), name, 'border.conv1', width, normal));
    u = op.relu(convolved(conv, u, name, 'border.conv2', width, normal));
    return { centre, border: convolved(upConv, u, name, 'border.out', outputs, normal) };
  };

  /** Activated and put together. @param of takes a part of the channels */
  const finished = (
    { whole, centre, border }: { whole?: GraphNode; centre?: GraphNode; border?: GraphNode },
    activate: Activation,
    of: (v: GraphNode) => GraphNode = (v) => v,
  ): GraphNode => {
    if (whole) return activate(of(whole));
    const q = side / 4;
    const padded = op.pad(activate(of(centre as GraphNode)), [0, 0, q, q], [0, 0, q, q]);
    if (!border) return padded;
    // The published border branch is swish whatever the head: unbounded, it lets the border escape the head's range. Where both parts have
    // one decoder, the head's own activation follows.
    const swish = (v: GraphNode) => (variant.shared ? activate(op.silu(v)) : op.silu(v));
    const rim = config.border_activation === 'swish' ? swish(of(border)) : activate(of(border));
    return op.add(padded, op.mul(rim, borderMask(side)));
  };

  /** Both parts, each from a decoder of its own or from half of the channels of one. */
  const both = ([first, second]: readonly [string, string], activations: readonly [Activation, Activation]) => {
    if (!variant.shared) {
      const one = finished(painted(first, outChannels, false), activations[0]);
      return [one, finished(painted(second, outChannels, true), activations[1])] as const;
    }
    const raw = painted('shared', 2 * outChannels, true);
    const half = (i: 0 | 1) => finished(raw, activations[i], (v) => op.sliceAxis(v, 1, i * outChannels, outChannels));
    return [half(0), half(1)] as const;
  };

  if (config.cnn_output_mode === 'real_imag') {
    const [re, im] = both(['real', 'imaginary'], [realActivation, imaginaryActivation]);
    return cartesianOutput(re, im, { low: -0.8, high: 1.2 }, taps);
  }
  const [amplitude, phase] = both(
    ['amplitude', 'phase'],
    [amplitudeActivations[config.amp_activation], phaseActivation],
  );
  return polarOutput(amplitude, phase, amplitudeLimits[config.amp_activation], taps);
}
