/** The wasm engine: memory is the module's heap. Its kernels for what {@link HostKernels} replaces are absent, slow or wrong. */
import type { BackendWasm } from '@tensorflow/tfjs-backend-wasm';
import type { Tf } from '../tfjs.js';
import { HostKernels, type HostMemory } from './host.js';

/**
 * Replaced because of tfjs-backend-wasm 4.22: no gradient of a convolution's kernel; the gradient of max-pooling drops
 * windows without a positive value; products of several or transposed matrices at 1 GFLOP/s instead of 30; slices copy the
 * whole operand first; sums over other than the last axes transpose it; doubling and transposing are slow.
 */
export function wasmKernels(tf: Tf): HostKernels {
  const backend = tf.backend() as BackendWasm;
  const memory: HostMemory = {
    view: ({ dataId, shape }) => backend.typedArrayFromHeap({ dataId, shape, dtype: 'float32' }) as Float32Array,
    create: (shape, fill) => {
      const info = backend.makeOutput([...shape], 'float32');
      fill(backend.typedArrayFromHeap(info) as Float32Array);
      return tf.engine().makeTensorFromTensorInfo(info);
    },
  };
  return new HostKernels(tf, memory);
}
