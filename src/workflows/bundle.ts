/**
 * `bundle info`, `verify` and `extract`: what a bundle is, whether it is exactly what it says, and its members as files.
 *
 * @example
 * await verifyBundle('run'); // throws a sentence with member and byte where it is not
 * await extractBundle('run', { output_dir: 'members' });
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { ModelConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { sizeOf } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { makeOutputFolder, writeAtomically } from '../formats/outputFiles.js';
import { replaceFolder } from '../formats/replaceFile.js';
import { encodeModels, locateBundle, type Manifest, openMembers } from '../persistence/bundle.js';
import { verifyBundleBytes } from '../persistence/verify.js';
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
}

/**
 * Compares every byte of a bundle with what its content comes to: JSON, weights, probe, history, both models written anew from
 * configuration and weights, and the archive around them.
 * @throws PtychoError BUNDLE_INVALID naming member and byte; as `openBundle`; WEIGHTS_MISMATCH
 */
export async function verifyBundle(file: string): Promise<BundleVerification> {
  const { source, manifest } = await verifyBundleBytes(
    file,
    (content) => encodeModels(PtychoModel.of(content).network()),
    createdBy,
  );
  const members = Object.fromEntries(Object.entries(manifest.members).map(([name, { bytes }]) => [name, bytes]));
  return { path: source.path, members };
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
