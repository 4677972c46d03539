/**
 * An image painted by a small convolutional network from fixed noise: the weights are the unknowns, and what such a network paints
 * easily (structure that repeats, edges) comes before what it does not (noise). The deep image prior of Ulyanov, Vedaldi & Lempitsky,
 * CVPR 2018.
 *
 * @example
 * const prior = new ImagePrior({ height: 72, width: 80, channels: 32, seed: 0 });
 * const state = await backend.createState({ ...prior.initialWeights(), ...prior.initialOptimiserState() });
 * const image = await backend.compile(prior.image()); // object_real, object_imag [H, W]
 * const step = await backend.compile(prior.step()); // gradient_real, gradient_imag [H, W], learning_rate []
 */

import { LegacyRng } from '../core/rng.js';
import type { Tensor } from '../core/tensor.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import { initialWeights, ParameterScope } from '../graph/parameters.js';
import { defineProgram, type Program } from '../graph/program.js';
import { convolutions } from '../networks/generator.js';
import { optimiserDefaults, optimiserState, trainingStep } from './trainingSteps.js';

/** Between the smallest image and the painted one lie so many doublings. */
const DOUBLINGS = 3;

/** The first outputs are small, so that the object begins near 1. */
const HEAD_SCALE = 0.05;

/** Under the root of the variance of a channel. */
const VARIANCE_EPSILON = 1e-5;

/** What an image prior is made of. */
export interface ImagePriorSpec {
  /** Of the image, pixels. */
  readonly height: number;
  readonly width: number;
  /** Channels of every layer. */
  readonly channels: number;
  /** Of the noise and the weights. */
  readonly seed: number;
}

/** The network and its programs; a value, holds no weights. */
export class ImagePrior {
  constructor(readonly spec: ImagePriorSpec) {}

  /** Fresh weights: they paint an object near 1. */
  initialWeights(): Record<string, Tensor> {
    return initialWeights(this.#build().scope.specs, this.spec.seed);
  }

  /** Fresh optimiser state (Adam). */
  initialOptimiserState(): Record<string, Tensor> {
    return optimiserState(this.#build().scope.specs);
  }

  /** → `object_real`, `object_imag` [H, W]. */
  image(): Program {
    const { re, im } = this.#build();
    return defineProgram({ name: 'prior_image', inputs: [], outputs: { object_real: re, object_imag: im } });
  }

  /**
   * One step of Adam down a gradient by the image: with G = ∂L/∂Re O + i·∂L/∂Im O (`gradient_real`, `gradient_imag` [H, W]) and
   * `learning_rate` [], the weights move as if L were the loss.
   */
  step(): Program {
    const { re, im, scope } = this.#build();
    const gradient = { re: op.input('gradient_real', re.shape), im: op.input('gradient_imag', im.shape) };
    // Its derivative by the weights is that of L: the chain rule, with the image's gradient from outside.
    const loss = op.add(op.reduceSum(op.mul(re, gradient.re)), op.reduceSum(op.mul(im, gradient.im)));
    return trainingStep({
      name: 'prior_step',
      inputs: [gradient.re, gradient.im],
      loss,
      outputs: {},
      weights: scope.nodes,
      optimiser: optimiserDefaults,
    });
  }

  #build(): { readonly scope: ParameterScope; readonly re: GraphNode; readonly im: GraphNode } {
    const { height, width, channels, seed } = this.spec;
    const scope = new ParameterScope();
    const { conv, upConv } = convolutions(scope);
    const part = 2 ** DOUBLINGS;
    const [rows, columns] = [Math.ceil(height / part), Math.ceil(width / part)];
    const rng = new LegacyRng((seed + 1) >>> 0);
    const noise = Float32Array.from({ length: channels * rows * columns }, () => rng.uniform(-1, 1));
    let x: GraphNode = op.constant(noise, [1, channels, rows, columns], 'noise');
    x = normalised(conv(x, 'prior.first', channels), 'prior.first', scope);
    for (let i = 0; i < DOUBLINGS; i++) {
      x = normalised(upConv(x, `prior.${i}.up`, channels), `prior.${i}.up`, scope);
      x = normalised(conv(x, `prior.${i}.conv`, channels), `prior.${i}.conv`, scope);
    }
    const painted = op.mul(conv(x, 'prior.out', 2), HEAD_SCALE);
    const plane = (channel: number) =>
      op.reshape(op.slice(painted, [0, channel, 0, 0], [1, 1, height, width]), [height, width]);
    return { scope, re: op.add(plane(0), 1), im: plane(1) };
  }
}

/** Each channel with mean 0 and variance 1 over the image, times a trained factor, plus a trained bias; then a ReLU that leaks. */
function normalised(x: GraphNode, name: string, scope: ParameterScope): GraphNode {
  const shape = [1, x.shape[1], 1, 1];
  const centred = op.sub(x, op.reduceMean(x, [2, 3], true));
  const variance = op.reduceMean(op.square(centred), [2, 3], true);
  const scaled = op.div(centred, op.sqrt(op.add(variance, VARIANCE_EPSILON)));
  const gain = scope.parameter(`${name}.gain`, shape, 1);
  const shift = scope.parameter(`${name}.shift`, shape, 0);
  const y = op.add(op.mul(scaled, gain), shift);
  return op.sub(op.relu(y), op.mul(op.relu(op.neg(y)), LEAK));
}

const LEAK = 0.1;
