/** A trained model, opened from a bundle or fresh from training, checked against its own architecture. */
import { PtychoNetwork } from '../model/network.js';
import { type BundleContent, type OpenedBundle, openBundle } from '../persistence/bundle.js';
import { checkWeights } from '../persistence/weights.js';

/** A model that can be run: what is known of it, and its network. */
export interface TrainedNetwork<B extends BundleContent = BundleContent> {
  readonly bundle: B;
  /** The network for groups that lie within `canvasSide_px`. */
  network(canvasSide_px: number): PtychoNetwork;
}

/** A model from a file. */
export type OpenedModel = TrainedNetwork<OpenedBundle>;

/**
 * Opens `wts.zip` (or the folder that holds it).
 * @throws PtychoError FILE_NOT_FOUND, BUNDLE_INVALID, FORMAT_UNSUPPORTED, WEIGHTS_MISMATCH
 */
export async function openModel(path: string): Promise<OpenedModel> {
  return modelOf(await openBundle(path));
}

/**
 * The model that a bundle's content describes.
 * @throws PtychoError WEIGHTS_MISMATCH
 */
export function modelOf<B extends BundleContent>(bundle: B): TrainedNetwork<B> {
  const { config, scale, statistics, probe } = bundle;
  const network = (canvasSide_px: number) =>
    new PtychoNetwork({
      config: config.model,
      scale: {
        intensityScale: scale.intensityScale,
        amplitudeGauge: scale.amplitudeGauge,
        probeFactor: scale.probeFactor,
        meanCounts: statistics.meanCounts,
        probe,
      },
      canvasSide_px,
      meanAmplitude: statistics.meanAmplitude,
      nll_weight: config.nll_weight,
      mae_weight: config.mae_weight,
      intensity_scale_trainable: config.intensity_scale_trainable,
    });
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
