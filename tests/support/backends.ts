/** The backends that a test of numbers runs on. */
import type { Backend, BackendInfo } from '../../src/backends/backend.js';
import { createOnnxBackend } from '../../src/backends/onnx/backend.js';
import { createTensorflowBackend } from '../../src/backends/tf/backend.js';

export interface BackendCase {
  readonly name: string;
  readonly info: BackendInfo;
  /** Arguments of `selectBackend`, as source. */
  readonly call: string;
  create(threads?: number): Promise<Backend>;
}

const onnx: BackendCase = {
  name: 'onnxruntime',
  info: { name: 'onnx', engine: 'onnxruntime-node 1.30.0', device: 'cpu', threads: 1 },
  call: `{ backend: 'onnx', execution: { accelerator: 'cpu', threads: 2 } }`,
  // Test files run side by side: more threads would only wait for each other's cores.
  create: (threads = 1) => createOnnxBackend({ accelerator: 'cpu', threads }),
};

const tensorflow = (engine: 'wasm' | 'cpu', version: string): BackendCase => ({
  name: `TensorFlow.js ${engine}`,
  info: { name: 'tensorflow', engine: version, device: 'cpu', threads: 1, skipped: [] },
  call: `{ backend: 'tensorflow', execution: { accelerator: 'cpu', threads: null, engine: '${engine}' } }`,
  create: (threads) => createTensorflowBackend({ accelerator: 'cpu', engine, threads }),
});

/** One engine each: the wasm engine is the one that every installation has. */
export const backendCases: readonly BackendCase[] = [onnx, tensorflow('wasm', 'tfjs-backend-wasm 4.22.0')];

/** Also the engine that is only there for want of a better one. */
export const allEngineCases: readonly BackendCase[] = [...backendCases, tensorflow('cpu', 'tfjs-backend-cpu 4.22.0')];
