/** The algorithm that the options name. */
import type { Algorithm, AlgorithmContext } from './algorithm.js';
import { DifferenceMap } from './differenceMap.js';
import { LeastSquaresML } from './lsqml.js';
import { MaximumLikelihood } from './ml.js';
import { PieFamily } from './pie.js';

export function createAlgorithm(context: AlgorithmContext): Algorithm {
  switch (context.options.algorithm) {
    case 'lsqml':
      return new LeastSquaresML(context);
    case 'dm':
      return new DifferenceMap(context);
    case 'ml':
      return new MaximumLikelihood(context);
    case 'pie':
    case 'epie':
    case 'rpie':
      return new PieFamily(context);
  }
}
