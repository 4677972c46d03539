/** The plain JavaScript engine: memory is ordinary arrays. Slow, but it runs everywhere. */
import type { Tf } from '../tfjs.js';
import { HostKernels, type HostMemory } from './host.js';

/**
 * Replaced because of tfjs-backend-cpu 4.22: the gradient of nearest-neighbour resizing is wrong for batches of more than
 * one; the gradients of convolutions take several times as long as the convolutions that they can be written as.
 */
export function cpuKernels(tf: Tf): HostKernels {
  const backend = tf.backend();
  const memory: HostMemory = {
    view: ({ dataId }) => backend.readSync(dataId) as Float32Array,
    create: (shape, fill) => {
      const values = new Float32Array(shape.reduce((n, d) => n * d, 1));
      fill(values);
      return tf.tensor(values, [...shape], 'float32');
    },
  };
  return new HostKernels(tf, memory);
}
