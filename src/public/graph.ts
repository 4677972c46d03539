/**
 * `ptychopinn/graph`: tensor programs and their gradients, the network as such a program, the engines that run them, and the
 * bundle that keeps what was trained.
 *
 * @example
 * import { defineProgram, gradients, ops, selectBackend } from 'ptychopinn/graph';
 * const x = ops.input('x', [2]);
 * const loss = ops.reduceSum(ops.square(x));
 * const program = defineProgram({ name: 'square', outputs: { loss, slope: gradients(loss, [x])[0] } });
 *
 * @module graph
 */
export type {
  Backend,
  BackendInfo,
  Compiled,
  CompileOptions,
  DeviceState,
  SharedPlace,
  SharedSum,
  Tensors,
} from '../backends/backend.js';
export { type PeersChoice, startEngines } from '../backends/peers.js';
export {
  type BackendChoice,
  type BackendLoader,
  backendNames,
  describeEngine,
  openBackend,
  registerBackend,
  selectBackend,
} from '../backends/select.js';
export { encodeOnnx } from '../formats/onnx/encode.js';
export { gradients } from '../graph/gradients.js';
export type { GraphNode, OpAttrs, OpName } from '../graph/node.js';
export * as ops from '../graph/ops.js';
export { defineProgram, type Program } from '../graph/program.js';
export { type NetworkSpec, PtychoNetwork } from '../model/network.js';
export { type PhysicsScale, physicsScale } from '../model/scale.js';
export { type Bundle, encodeModels, openBundle, type StoredBundle, saveBundle } from '../persistence/bundle.js';
