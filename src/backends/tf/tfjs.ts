/** The types of TensorFlow.js that this room uses; the package itself is only loaded by `engines.ts`. */
export type Tf = typeof import('@tensorflow/tfjs');
export type TfTensor = import('@tensorflow/tfjs').Tensor;
export type TfTensor2D = import('@tensorflow/tfjs').Tensor2D;
export type TfTensor4D = import('@tensorflow/tfjs').Tensor4D;
