/** Bundles of the published networks with fresh weights: small, and made without training. */
import { type TrainingConfig, trainingConfigSchema } from '../../src/config/schema.js';
import { PUBLISHED_TRAINING } from '../../src/config/trainingPresets.js';
import type { Bundle } from '../../src/persistence/bundle.js';
import { networkOfBundle } from '../../src/reconstruction/networkSpec.js';
import { PtychoModel } from '../../src/reconstruction/ptychoModel.js';
import { content, N, sample } from '../persistence/sampleBundle.js';

/** What `over` does not say: `cnn` of N 64 with n_filters_scale 1, one member a group, a probe around the middle. */
export function networkContent(
  over: { readonly model?: Partial<TrainingConfig['model']>; readonly canvasSide_px?: number } & Record<
    string,
    unknown
  > = {},
): Bundle {
  const { model, canvasSide_px = model?.gridsize === 2 ? 72 : N, ...rest } = over;
  const config = trainingConfigSchema.parse({
    ...PUBLISHED_TRAINING,
    model: { N, n_filters_scale: 1, ...model },
    nepochs: 2,
    ...rest,
  });
  const falloff = (i: number) => 3 * Math.exp(-(((i >> 6) - 32) ** 2 + ((i & 63) - 32) ** 2) / 200);
  const probe = {
    re: sample([N, N], 6).data.map((v, i) => (1 + v) * falloff(i)),
    im: sample([N, N], 7).data.map((v, i) => v * falloff(i)),
    shape: [N, N],
  };
  const parts = { ...content, config, canvasSide_px, probe };
  return { ...parts, weights: networkOfBundle(parts, canvasSide_px).initialWeights(5) };
}

/** Writes such a bundle. */
export function writeNetworkBundle(file: string, over?: Parameters<typeof networkContent>[0]): Promise<string> {
  return PtychoModel.of(networkContent(over)).save(file);
}
