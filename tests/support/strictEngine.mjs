/** onnxruntime-node, that refuses a program with an operator that WebGPU does not take, where it would compute it on the CPU. */
import ort from 'onnxruntime-node';

const onDevice = ({ name }) => name === 'webgpu';

export default {
  ...ort,
  InferenceSession: {
    create: (model, options) => {
      const { executionProviders, extra } = options;
      if (!executionProviders.some(onDevice)) return ort.InferenceSession.create(model, options);
      // With the CPU among the providers that would be a contradiction.
      const session = { ...extra?.session, disable_cpu_ep_fallback: '1' };
      const providers = executionProviders.filter(onDevice);
      return ort.InferenceSession.create(model, {
        ...options,
        executionProviders: providers,
        extra: { ...extra, session },
      });
    },
  },
};
