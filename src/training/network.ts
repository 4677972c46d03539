/** What training asks of a network. */
import type { Tensor } from '../core/tensor.js';
import type { Program } from '../graph/program.js';
import type { ParameterSpec } from '../model/parameters.js';

/** A network with the programs of training; `PtychoNetwork` is one. */
export interface TrainableNetwork {
  readonly parameters: readonly Pick<ParameterSpec, 'name' | 'shape' | 'fixed'>[];
  initialWeights(seed: number): Record<string, Tensor>;
  initialOptimiserState(): Record<string, Tensor>;
  trainStep(batch: number): Program;
  accumulateStep(batch: number): Program;
  applyStep(): Program;
  evaluate(batch: number, options?: { readonly averaged?: boolean }): Program;
}
