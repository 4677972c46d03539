/** The engine of the CPU in the place of any device: `PTYCHOPINN_PROVIDERS` is a file that gets the execution providers of every session. */
import { appendFileSync } from 'node:fs';
import ort from 'onnxruntime-node';

export default {
  Tensor: ort.Tensor,
  env: ort.env,
  InferenceSession: {
    create(model, { executionProviders, ...options }) {
      appendFileSync(process.env.PTYCHOPINN_PROVIDERS, `${JSON.stringify(executionProviders)}\n`);
      const { preferredOutputLocation: _, ...others } = options;
      return ort.InferenceSession.create(model, { ...others, executionProviders: ['cpu'] });
    },
  },
};
