/**
 * Convolutions with their parameters: 3×3, stride 1, same padding, with bias.
 *
 * An up-sampling followed by a convolution is one op of the graph ({@link op.upConv2d}): "ConvUp" blocks are therefore
 * written with their up-sampling moved into the next convolution, which computes the same numbers.
 */
import type { GraphNode } from '../../graph/node.js';
import * as op from '../../graph/ops.js';
import type { ParameterScope } from '../parameters.js';

/** A convolution of an image [B, Ci, H, W] to `cout` channels, its kernel and bias called `name`. */
export type Convolution = (x: GraphNode, name: string, cout: number) => GraphNode;

/** The convolutions of a network whose parameters live in `scope`. */
export function convolutions(scope: ParameterScope): { readonly conv: Convolution; readonly upConv: Convolution } {
  const kernel = (name: string, cin: number, cout: number) => ({
    w: scope.parameter(`${name}.weight`, [cout, cin, 3, 3], 'glorot_uniform'),
    b: scope.parameter(`${name}.bias`, [cout], 0),
  });
  return {
    conv: (x, name, cout) => {
      const { w, b } = kernel(name, x.shape[1], cout);
      return op.conv2d(x, w, b, name);
    },
    upConv: (x, name, cout) => {
      const { w, b } = kernel(name, x.shape[1], cout);
      return op.upConv2d(x, w, b, name);
    },
  };
}
