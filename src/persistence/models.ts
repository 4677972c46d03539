/**
 * The two models of a bundle as ONNX: the one encoder that everything which writes a bundle goes through.
 *
 * @example
 * await saveBundle('wts.zip', content, encodeModels(network));
 */
import { encodeOnnx } from '../formats/onnx/encode.js';
import type { ByteRange } from '../formats/safetensors.js';
import type { Program } from '../graph/program.js';
import type { PtychoNetwork } from '../model/network.js';

/** The names of the models, as published. */
export const MODELS = ['autoencoder', 'diffraction_to_obj'] as const;
export type ModelName = (typeof MODELS)[number];

/** The member that the initialisers of both models point into. */
export const WEIGHTS_FILE = 'weights.safetensors';

/** Makes both models once it is known where each weight lies in {@link WEIGHTS_FILE}. */
export type ModelEncoder = (entries: ReadonlyMap<string, ByteRange>) => Readonly<Record<ModelName, Uint8Array>>;

/** The models of a network that was made for the canvas of its bundle; equal networks give equal bytes. */
export function encodeModels(network: Pick<PtychoNetwork, 'predict' | 'autoencode'>): ModelEncoder {
  return (entries) => {
    const encode = (program: (batch: number) => Program) =>
      encodeOnnx(program(2), { externalData: { location: WEIGHTS_FILE, entries }, twin: program(3) });
    return {
      autoencoder: encode((batch) => network.autoencode(batch)),
      diffraction_to_obj: encode((batch) => network.predict(batch)),
    };
  };
}
