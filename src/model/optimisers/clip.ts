/** Limits of gradients, and their norm. */
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import type { GradientClip } from './optimiser.js';

/** Keeps the factor finite where all gradients are 0; PyTorch's value. */
const NORM_EPSILON = 1e-6;
/** A tensor of weights counts as at least this long, so that weights that begin at 0 can leave it. */
const AGC_LEAST_NORM = 1e-3;
/** Only against 0/0. */
const TINY = 1e-30;

type Nodes = ReadonlyMap<string, GraphNode>;

/** √Σg² over all tensors together; `squareOf` as in {@link StepInputs}. */
export function globalNorm(gradients: Nodes, squareOf: (g: GraphNode) => GraphNode): GraphNode {
  const sums = [...gradients.values()].map((g) => op.reduceSum(squareOf(g)));
  return op.sqrt(sums.reduce((a, b) => op.add(a, b)));
}

/**
 * Limited gradients. `norm`: g·min(1, limit/(‖all g‖ + 1e-6)). `value`: each value within ±limit. `agc`: tensor by tensor
 * ‖g‖ ≤ limit·max(‖w‖, 1e-3), after Brock et al., ICML 2021 (there unit by unit; tensor by tensor in the published code).
 *
 * @param norm - {@link globalNorm} of the gradients.
 */
export function clippedGradients(
  gradients: Nodes,
  weights: Nodes,
  norm: GraphNode,
  squareOf: (g: GraphNode) => GraphNode,
  clip: GradientClip | null,
): Nodes {
  if (clip === null) return gradients;
  const { algorithm, limit } = clip;
  const mapped = (rule: (g: GraphNode, name: string) => GraphNode) =>
    new Map([...gradients].map(([name, g]) => [name, rule(g, name)]));
  switch (algorithm) {
    case 'norm': {
      const factor = op.minimum(op.div(limit, op.add(norm, NORM_EPSILON)), 1);
      return mapped((g) => op.mul(g, factor));
    }
    case 'value':
      return mapped((g) => op.maximum(op.minimum(g, limit), -limit));
    case 'agc':
      return mapped((g, name) => {
        const length = (square: GraphNode) => op.sqrt(op.reduceSum(square));
        const weight = weights.get(name) as GraphNode;
        const allowed = op.mul(op.maximum(length(op.square(weight)), AGC_LEAST_NORM), limit);
        return op.mul(g, op.minimum(op.div(allowed, op.maximum(length(squareOf(g)), TINY)), 1));
      });
  }
}
