/** Functions that GPUs get wrong, as they are spelt out for them, on the processor: what is wrong here is no fault of a driver. */
import * as ort from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { rulesOf } from '../../src/backends/onnx/accelerators.js';
import { encodeOnnx } from '../../src/formats/onnx/encode.js';
import { expectWholeRange, type Ranging } from '../support/rangeCases.js';

it('functions made of others are right for every number', async () => {
  const { lacking } = rulesOf('webgpu');
  for (const operator of ['Sin', 'Cos', 'Sign', 'Tanh', 'Log1p', 'Sigmoid', 'Softplus'])
    expect(lacking).toContain(operator);
  const engine: Ranging = {
    async compile(program) {
      const opened = await ort.InferenceSession.create(encodeOnnx(program, { lacking }), { intraOpNumThreads: 1 });
      return {
        async run({ x }) {
          const found = await opened.run({ x: new ort.Tensor('float32', x.data as Float32Array, x.shape) });
          return Object.fromEntries(
            Object.entries(found).map(([name, { data, dims }]) => [name, { data: data as Float32Array, shape: dims }]),
          );
        },
        dispose: () => opened.release(),
      };
    },
  };
  await expectWholeRange(engine);
});
