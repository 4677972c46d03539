/** Whether a network's gradient is that of its loss. */
import type { Backend } from '../../src/backends/backend.js';
import { optimiserDefaults } from '../../src/model/trainingSteps.js';
import { type SimulatedOptions, simulated } from './simulatedBatch.js';

/**
 * By how much a small step of plain gradient descent lowers the loss, relative to what the norm of the gradient says: 1 where
 * gradient and loss belong together.
 */
export async function lossDrop(backend: Backend, options: Omit<SimulatedOptions, 'loss'>): Promise<number> {
  const { network, feeds } = simulated({
    ...options,
    loss: 'mae',
    spec: { optimiser: { ...optimiserDefaults, kind: 'sgd', momentum: 0 } },
  });
  const state = await backend.createState({ ...network.initialWeights(4), ...network.initialOptimiserState() });
  const program = await backend.compile(network.trainStep(options.batch));
  const step = async (learning_rate: number) => {
    const rate = { data: Float32Array.of(learning_rate), shape: [] };
    const { loss, gradient_norm } = await program.run({ ...feeds(), learning_rate: rate }, state);
    return { loss: loss.data[0], norm: gradient_norm.data[0] };
  };
  const before = await step(0);
  const wanted = 3e-4 * before.loss;
  await step(wanted / before.norm ** 2);
  const after = await step(0);
  return (before.loss - after.loss) / wanted;
}
