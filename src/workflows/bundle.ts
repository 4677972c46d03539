/**
 * `bundle info`, `verify` and `extract`: what a bundle is, whether it is exactly what it says, and its members as files.
 *
 * @example
 * await verifyBundle('run'); // throws a sentence with member and byte where it is not
 * await extractBundle('run', { output_dir: 'members' });
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ModelConfig } from '../config/schema.js';
import { messageOf, PtychoError } from '../core/errors.js';
import { sizeOf } from '../core/tensor.js';
import { encodeModels, locateBundle, type Manifest, openBundle, openMembers } from '../persistence/bundle.js';
import { verifyBundleBytes } from '../persistence/verify.js';
import { makeOutputFolder } from './files.js';
import { modelOf } from './model.js';
import { createdBy } from './version.js';

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
  const { bundle } = modelOf(await openBundle(file));
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
    (content) => encodeModels(modelOf(content).network(content.canvasSide_px)),
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
 * @throws PtychoError as `openBundle`; OUTPUT_UNWRITABLE, also where the folder exists and is not empty
 */
export async function extractBundle(
  file: string,
  { output_dir }: { readonly output_dir: string },
): Promise<ExtractedBundle> {
  const source = await locateBundle(file);
  const { members } = await openMembers(source);
  const target = path.resolve(output_dir);
  const taken = await readdir(target).catch((error: NodeJS.ErrnoException) =>
    error.code === 'ENOENT' ? [] : undefined,
  );
  if (taken === undefined || taken.length > 0) {
    throw new PtychoError(
      'OUTPUT_UNWRITABLE',
      `${output_dir} exists and is not an empty folder; choose another --output_dir.`,
      { path: output_dir },
    );
  }
  await makeOutputFolder(path.dirname(target));
  const temporary = path.join(path.dirname(target), `.${path.basename(target)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await mkdir(temporary);
    for (const [name, bytes] of members) await writeFile(path.join(temporary, name), bytes);
    await rename(temporary, target);
  } catch (cause) {
    await rm(temporary, { recursive: true, force: true });
    throw new PtychoError(
      'OUTPUT_UNWRITABLE',
      `${output_dir} cannot be written: ${messageOf(cause)}; check space and permissions, or choose another --output_dir.`,
      { path: output_dir },
      { cause },
    );
  }
  return { path: source.path, output_dir, files: [...members.keys()] };
}
