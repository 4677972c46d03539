/** A trained model, opened from a bundle or fresh from training, checked against its own architecture. */
import path from 'node:path';
import { makeOutputFolder } from '../formats/outputFiles.js';
import type { PtychoNetwork } from '../model/network.js';
import {
  BUNDLE_FILE,
  type BundleContent,
  encodeModels,
  type OpenedBundle,
  openBundle,
  saveBundle,
} from '../persistence/bundle.js';
import { checkWeights } from '../persistence/weights.js';
import { networkOfBundle } from './networkSpec.js';

/** A model that can be run: what is known of it, and its network. */
export interface TrainedNetwork<B extends BundleContent = BundleContent> {
  readonly bundle: B;
  /** The network for groups that lie within `canvasSide_px`. */
  network(canvasSide_px: number): PtychoNetwork;
}

/** A model from a file. */
export type OpenedModel = TrainedNetwork<OpenedBundle>;

/**
 * Opens `wts.zip`, the folder that holds it or its unpacked members, or a bundle on an MLflow server.
 * @throws PtychoError FILE_NOT_FOUND, BUNDLE_INVALID, FORMAT_UNSUPPORTED, WEIGHTS_MISMATCH
 */
export async function openModel(path: string, options: Parameters<typeof openBundle>[1] = {}): Promise<OpenedModel> {
  return modelOf(await openBundle(path, options));
}

/**
 * The model that a bundle's content describes.
 * @throws PtychoError WEIGHTS_MISMATCH
 */
export function modelOf<B extends BundleContent>(bundle: B): TrainedNetwork<B> {
  const network = (canvasSide_px: number) => networkOfBundle(bundle, canvasSide_px);
  const own = network(bundle.canvasSide_px);
  checkWeights(
    own.parameters.map((p) => [p.name, p.shape] as const),
    bundle.weights,
  );
  return {
    bundle,
    network: (side) => (side === bundle.canvasSide_px ? own : network(side)),
  };
}

/**
 * Writes a model as a bundle: all that is known of it, and its two models as ONNX. Equal models give equal bytes.
 * @param target the file (`….zip`), or a folder, made if missing, which gets a `wts.zip`
 * @returns the file
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function saveModel(target: string, { bundle, network }: TrainedNetwork): Promise<string> {
  const file = target.endsWith('.zip') ? target : path.join(target, BUNDLE_FILE);
  await makeOutputFolder(path.dirname(path.resolve(file)));
  await saveBundle(file, bundle, encodeModels(network(bundle.canvasSide_px)));
  return file;
}
