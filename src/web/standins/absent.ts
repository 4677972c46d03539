/** In place of what pages do without: TensorFlow.js, which has no advantage there over ONNX Runtime, and locks between processes. */
import { PtychoError } from '../../core/errors.js';

export async function createTensorflowBackend(): Promise<never> {
  throw new PtychoError(
    'BACKEND_MISSING',
    'TensorFlow.js is not part of the build for browsers; use backend: "onnx".',
    {},
  );
}

/** As proper-lockfile has it: a page has its files alone. */
export const lock = async () => async () => {};
export const check = async () => false;
export default { lock, check };
