/** What every network offers: normalised diffraction in, amplitude and phase patches out. */
import type { ModelConfig } from '../../config/schema.js';
import type { GraphNode } from '../../graph/node.js';
import type { ParameterScope } from '../parameters.js';

/** Patches of a batch: both [B, K, N, N], K = gridsize² when patches are merged on a canvas, else 1. */
export interface GeneratorOutput {
  readonly amplitude: GraphNode;
  readonly phase: GraphNode;
  /** Intermediate activations by name, for tests and inspection; nodes not used are dropped from programs. */
  readonly taps: Readonly<Record<string, GraphNode>>;
}

/** Builds a network on `x` [B, C, N, N] with parameters from `scope`. */
export type Generator = (config: ModelConfig, x: GraphNode, scope: ParameterScope) => GeneratorOutput;
