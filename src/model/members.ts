/**
 * The members of a group: who paints them, and how they are brought to one phase before they are merged.
 *
 * A pattern leaves the phase of its patch as a whole open, so that patches of one group that are merged as they are painted cancel each
 * other where a network has not learned a common phase by other means.
 */
import type { ModelConfig } from '../config/schema.js';
import type { ComplexNode } from '../graph/complex.js';
import type { GraphNode } from '../graph/node.js';
import * as op from '../graph/ops.js';
import type { ParameterScope } from '../graph/parameters.js';
import { generatorOf } from '../networks/architectures.js';
import type { GeneratorOutput, Modulate } from '../networks/generator.js';

/** Keeps the root of a vanishing overlap differentiable. */
const NO_OVERLAP = 1e-12;

/**
 * What the network of a configuration paints on patterns [B, C, N, N]: one network that reads the patterns of a group together, or the
 * same one on each of them (`member_networks: shared`), whose parameters are those of gridsize 1.
 */
export function paintMembers(
  config: ModelConfig,
  x: GraphNode,
  scope: ParameterScope,
  modulate?: Modulate,
): GeneratorOutput {
  const network = generatorOf(config.architecture);
  if (config.member_networks === 'joint' || config.gridsize === 1) return network.layers(config, x, scope, modulate);
  const [batch, channels, rows, columns] = x.shape;
  const alone = op.reshape(x, [batch * channels, 1, rows, columns]);
  const painted = network.layers({ ...config, gridsize: 1 }, alone, scope, modulate);
  const together = (v: GraphNode) => op.reshape(v, [batch, channels, rows, columns]);
  const both = ({ re, im }: ComplexNode): ComplexNode => ({ re: together(re), im: together(im) });
  return {
    ...painted,
    object: both(painted.object),
    amplitude: together(painted.amplitude),
    phasor: both(painted.phasor),
    head: { ...painted.head, values: together(painted.head.values) },
  };
}

/**
 * What the pixels of patches count, as their share of the sum over a patch.
 * @param weight w, N·N numbers or [B, 1, N, N]
 */
export function shares(weight: Float32Array | GraphNode, side: number): GraphNode {
  if (!(weight instanceof Float32Array)) return op.div(weight, op.reduceSum(weight, [2, 3], true));
  const total = weight.reduce((sum, w) => sum + w, 0);
  return op.constant(
    weight.map((w) => w / total),
    [side, side],
    'share of a pixel',
  );
}

/**
 * Patches [B, C, N, N], each turned by the phase that makes it agree best with others [B, C, N, N]: e^{iθ} = Σ w·conj(O)·V / |…|.
 * @param share w, [N, N] or [B, 1, N, N]
 */
export function turnedTo(patches: ComplexNode, others: ComplexNode, share: GraphNode): ComplexNode {
  const sum = (v: GraphNode) => op.reduceSum(op.mul(v, share), [2, 3], true);
  const re = sum(op.add(op.mul(patches.re, others.re), op.mul(patches.im, others.im)));
  const im = sum(op.sub(op.mul(patches.re, others.im), op.mul(patches.im, others.re)));
  const modulus = op.sqrt(op.add(op.add(op.square(re), op.square(im)), NO_OVERLAP));
  const [c, s] = [op.div(re, modulus), op.div(im, modulus)];
  return {
    re: op.sub(op.mul(patches.re, c), op.mul(patches.im, s)),
    im: op.add(op.mul(patches.re, s), op.mul(patches.im, c)),
  };
}

/** Σ w|O − V|² of patches and what is merged of all, mean over batch and members. @param share w, [N, N] or [B, 1, N, N] */
export function disagreement(patches: ComplexNode, merged: ComplexNode, share: GraphNode): GraphNode {
  const [batch, channels] = patches.re.shape;
  const away = op.add(op.square(op.sub(patches.re, merged.re)), op.square(op.sub(patches.im, merged.im)));
  return op.mul(op.reduceSum(op.mul(away, share)), 1 / (batch * channels));
}
