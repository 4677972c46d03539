/**
 * `bundle info`, `verify`, `extract`, `export` and `import`: what a bundle is, whether it is exactly what it says, its members as files, and the
 * model of another program as a bundle.
 *
 * @example
 * await verifyBundle('run'); // throws a sentence with member and byte where it is not
 * await extractBundle('run', { output_dir: 'members' });
 * await importBundle('wts.h5.zip', importConfigSchema.parse({ output_dir: 'run', probe: 'scan.npz' }));
 */

import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { exportWeightsDefinition, importDefinition } from '../config/commands.js';
import { wholeConfig } from '../config/resolve.js';
import type { ModelConfig, PartOf } from '../config/schema.js';
import type { ExportWeightsConfig, ImportConfig } from '../config/schemas/tools.js';
import { PtychoError } from '../core/errors.js';
import type { Services } from '../core/services.js';
import { sizeOf } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { writeNpz } from '../formats/npz.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { newFiles, requireNew, requireNewIn } from '../formats/outputs.js';
import { replaceFolder } from '../formats/replaceFile.js';
import { BUNDLE_FILE, encodeModels, locateBundle, type Manifest, openMembers } from '../persistence/bundle.js';
import { bundleOf, readForeign } from '../persistence/importing/foreignBundle.js';
import type { ForeignModel } from '../persistence/importing/foreignWeights.js';
import { publishedArrays } from '../persistence/publishedWeights.js';
import { verifyBundleBytes } from '../persistence/verify.js';
import { networkOfBundle } from '../reconstruction/networkSpec.js';
import { PtychoModel } from '../reconstruction/ptychoModel.js';

/** What `bundle info` tells. */
export interface BundleInfo {
  readonly path: string;
  readonly manifest: Manifest;
  readonly model: ModelConfig;
  /** Numbers among the weights. */
  readonly parameters: number;
  readonly tensors: number;
  /** (N, N), or modes first. */
  readonly probeShape: readonly number[];
}

/**
 * Opens a bundle and says what it is; its weights are compared with its architecture.
 * @throws PtychoError as `openBundle`; WEIGHTS_MISMATCH
 */
export async function bundleInfo(file: string): Promise<BundleInfo> {
  const { bundle } = await PtychoModel.read(file);
  const tensors = Object.values(bundle.weights);
  return {
    path: bundle.path,
    manifest: bundle.manifest,
    model: bundle.config.model,
    parameters: tensors.reduce((n, { shape }) => n + sizeOf(shape), 0),
    tensors: tensors.length,
    probeShape: bundle.probe.shape,
  };
}

/** What `bundle verify` found in order. */
export interface BundleVerification {
  readonly path: string;
  readonly members: Readonly<Record<string, number>>;
  /** Whether the archive is compressed: then its members were compared, and not what lies between them. */
  readonly compressed: boolean;
}

/**
 * Compares every byte of a bundle with what its content comes to: JSON, weights, probe, history, both models written anew from
 * configuration and weights, and the archive around them, unless it is compressed, as bundles of the zoo are.
 * @throws PtychoError BUNDLE_INVALID naming member and byte; as `openBundle`; WEIGHTS_MISMATCH
 */
export async function verifyBundle(file: string): Promise<BundleVerification> {
  const { source, manifest, compressed } = await verifyBundleBytes(
    file,
    (content) => encodeModels(PtychoModel.of(content).network()),
    createdBy,
  );
  const members = Object.fromEntries(Object.entries(manifest.members).map(([name, { bytes }]) => [name, bytes]));
  return { path: source.path, members, compressed };
}

/** What `bundle extract` wrote. */
export interface ExtractedBundle {
  readonly path: string;
  readonly output_dir: string;
  readonly files: readonly string[];
}

/**
 * Opens a bundle and writes its members as files; the folder appears when all of them are there. It opens as a bundle, too.
 * @throws PtychoError as `openBundle`; OUTPUT_EXISTS where the folder is not empty, unless `overwrite`; OUTPUT_UNWRITABLE
 */
export async function extractBundle(
  file: string,
  { output_dir, overwrite = false }: { readonly output_dir: string; readonly overwrite?: boolean },
): Promise<ExtractedBundle> {
  const source = await locateBundle(file);
  const { members } = await openMembers(source);
  const target = path.resolve(output_dir);
  const taken = await readdir(target).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? [] : undefined,
  );
  if (taken === undefined) {
    throw new PtychoError('OUTPUT_UNWRITABLE', `${output_dir} is no folder; choose another --output_dir.`, {
      path: output_dir,
    });
  }
  if (taken.length > 0 && !overwrite) {
    throw new PtychoError(
      'OUTPUT_EXISTS',
      `${output_dir} exists already and is not empty; choose another --output_dir, or give --overwrite to replace the members in it.`,
      { path: output_dir, field: 'output_dir' },
    );
  }
  if (taken.length > 0) {
    for (const [name, bytes] of members) await writeAtomically(path.join(target, name), bytes);
    return { path: source.path, output_dir, files: [...members.keys()] };
  }
  await makeOutputFolder(path.dirname(target));
  await replaceFolder(output_dir, async (folder) => {
    for (const [name, bytes] of members) await writeAtomically(path.join(folder, name), bytes);
  });
  return { path: source.path, output_dir, files: [...members.keys()] };
}

/** What `bundle export` wrote. */
export interface ExportedWeights {
  readonly path: string;
  readonly format: ExportWeightsConfig['format'];
  /** Weights; probe, scale and settings come besides. */
  readonly arrays: number;
}

/**
 * Writes the weights of a bundle as an NPZ under the names of a published tool, without any pickle.
 * @throws PtychoError as `openBundle`; MODEL_UNSUPPORTED for networks that the tool does not have; OUTPUT_EXISTS, OUTPUT_UNWRITABLE
 */
export async function exportBundle(
  file: string,
  given: PartOf<ExportWeightsConfig>,
  services: Services = {},
): Promise<ExportedWeights> {
  const config = wholeConfig(exportWeightsDefinition, given, services.logger);
  const { output_file, format } = config;
  await requireNew([output_file], { ...newFiles(config, services), field: 'output_file' });
  const { bundle } = await PtychoModel.read(file);
  const arrays = publishedArrays(bundle, format, bundle.path);
  await makeOutputFolder(path.dirname(path.resolve(output_file)));
  await writeNpz(output_file, arrays);
  return { path: output_file, format, arrays: Object.keys(arrays).length - 3 };
}

/** What was imported, and what was not. */
export interface ImportReport {
  /** The bundle. */
  readonly path: string;
  readonly format: ForeignModel['format'];
  readonly architecture: string;
  readonly N: number;
  readonly gridsize: number;
  /** Arrays that became weights. */
  readonly mapped: number;
  /** Names in the file that have no place in this network. */
  readonly unmapped: readonly string[];
  /** Keys of its `params` that play no part here. */
  readonly unusedParams: readonly string[];
}

/**
 * Reads a model and writes it as `output_dir/wts.zip`.
 * @param file an NPZ of named arrays, a `model.keras`, or a TensorFlow `wts.h5.zip` that holds one
 * @throws PtychoError BUNDLE_INVALID for files of other kinds; MODEL_UNSUPPORTED for networks that are not the published ones, listing
 * by name what has no place; WEIGHTS_MISMATCH for weights of other shapes; DATASET_KEY_MISSING without a probe; OUTPUT_UNWRITABLE
 */
export async function importBundle(
  file: string,
  given: PartOf<ImportConfig>,
  services: Services = {},
): Promise<ImportReport> {
  const config = wholeConfig(importDefinition, given, services.logger);
  const { logger } = services;
  await requireNewIn(config.output_dir, [BUNDLE_FILE], config, services);
  const model = await readForeign(file);
  const { content, mapped, unmapped, unusedParams } = await bundleOf(model, config, {
    file,
    note: (sentence) => logger?.warn(sentence),
    parametersOf: (parts, side) => networkOfBundle(parts, side).parameters,
  });
  if (unmapped.length > 0) logger?.warn(`Left out of ${file}: ${unmapped.join(', ')}.`);
  if (unusedParams.length > 0) logger?.info(`Settings of ${file} that play no part: ${unusedParams.join(', ')}.`);
  const path = await PtychoModel.of(content).save(config.output_dir);
  const { architecture, N, gridsize } = content.config.model;
  return { path, format: model.format, architecture, N, gridsize, mapped, unmapped, unusedParams };
}
