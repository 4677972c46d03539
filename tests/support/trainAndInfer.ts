/** A small training of a network from end to end. */
import path from 'node:path';
import { expect } from 'vitest';
import { inferenceConfigSchema } from '../../src/config/schema.js';
import { architecturesWith } from '../../src/networks/architectures.js';
import { openBundle } from '../../src/persistence/bundle.js';
import { readReconstruction } from '../../src/reconstruction/reconstructionFile.js';
import { inferWorkflow } from '../../src/workflows/infer.js';
import { trainWorkflow } from '../../src/workflows/train.js';
import { bundleHash, tinyRequest, writeTinyScan } from './tinyRun.js';

/** Fields of networks with spectral layers that make them small. */
export const SMALL_SPECTRAL = {
  fno_width: 4,
  fno_modes: 5,
  fno_blocks: 2,
  fno_cnn_blocks: 1,
  hybrid_resnet_blocks: 2,
  spectral_bottleneck_blocks: 2,
  spectral_bottleneck_modes: 3,
  ffno_encoder_blocks: 2,
  ffno_encoder_modes: 3,
};

/** Networks that are made of layers of others: watched in all ways by the slow tests, and against a transcription by the others. */
export const SAME_LAYERS: readonly string[] = [
  'fno_vanilla',
  'stable_hybrid',
  'hybrid_resnet_ffno_bottleneck',
  'hybrid_resnet_ffno_ptychoblock_encoder',
  'hybrid_resnet_ptychoblock_ffno_encoder',
  'spectral_resnet_bottleneck_linear_decoder',
];

/**
 * Trains two epochs at once and one after the other, reconstructs with the result, and expects equal bytes and an image.
 * @param more fields that differ
 */
export async function trainAndInfer(
  folder: string,
  architecture: string,
  { model: extra = {}, ...training }: { readonly model?: object } & Record<string, unknown> = {},
): Promise<void> {
  const scan = path.join(folder, 'scan.npz');
  await writeTinyScan(scan);
  const own = Object.entries(SMALL_SPECTRAL).filter(([name]) => architecturesWith(name).includes(architecture));
  const model = { architecture, ...Object.fromEntries(own), ...extra };
  const at = (name: string) => path.join(folder, `${architecture}-${name}`);
  const over = { model, ...training };
  await trainWorkflow(tinyRequest(scan, at('whole'), over));
  const stop = new AbortController();
  const onProgress = ({ note }: { note?: string }) => {
    if (note?.startsWith('epoch 2/')) stop.abort();
  };
  await trainWorkflow(tinyRequest(scan, at('parts'), over), { signal: stop.signal, onProgress });
  await trainWorkflow({ ...tinyRequest(scan, at('parts'), over), resume: at('parts') });
  expect(await bundleHash(at('parts'))).toBe(await bundleHash(at('whole')));
  const { config, weights } = await openBundle(at('whole'));
  expect(config.model).toMatchObject({ architecture, N: 32 });
  expect(Object.values(weights).every(({ data }) => data.every(Number.isFinite))).toBe(true);
  const output_dir = at('image');
  const execution = { accelerator: 'cpu', threads: 1 };
  await inferWorkflow(
    inferenceConfigSchema.parse({ model_path: at('whole'), test_data_file: scan, output_dir, execution }),
  );
  const { image } = await readReconstruction(path.join(output_dir, 'reconstruction.npz'));
  expect(image.re.every(Number.isFinite)).toBe(true);
  expect(image.re.some((v) => v !== 0)).toBe(true);
}
