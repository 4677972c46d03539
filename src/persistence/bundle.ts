/**
 * The bundle `wts.zip`: a trained model as one file of plain formats. Normative: `specs/bundle.md`.
 *
 * @example
 * await saveBundle('out/wts.zip', content, encodeModels(network));
 * const bundle = await openBundle('out'); // the file, the folder that holds it, or that of its unpacked members
 * const session = await InferenceSession.create(bundle.model.bytes, { externalData: bundle.model.externalData });
 */
import { PtychoError } from '../core/errors.js';
import { writeZip, type ZipEntry } from '../formats/zip.js';
import type { Bundle } from './content.js';
import type { Manifest } from './manifest.js';
import { decodeMembers, encodeMembers, type StoredBundle } from './members.js';
import { fetchMlflowBundle, isMlflowUri, type MlflowAccess } from './mlflowArtifacts.js';
import type { ModelEncoder } from './models.js';
import { type BundleSource, locateBundle, readMembers } from './source.js';

export type { Bundle } from './content.js';
export type { Manifest } from './manifest.js';
export type { StoredBundle } from './members.js';
export { encodeModels, type ModelEncoder } from './models.js';
export { BUNDLE_FILE, locateBundle } from './source.js';

/**
 * Writes a bundle; equal content gives equal bytes. What would not open again is not written, and an old file at `path`
 * stays as it is unless the new one is complete.
 *
 * @param path the file to write, by custom `wts.zip`; its folder must exist.
 * @returns the manifest that was written.
 * @throws PtychoError BUNDLE_INVALID when the content contradicts itself, OUTPUT_UNWRITABLE.
 */
export async function saveBundle(path: string, content: Bundle, encodeModel: ModelEncoder): Promise<Manifest> {
  const members = encodeMembers(content, encodeModel);
  const { manifest } = decodeMembers(members, path);
  await writeZip(path, bundleEntries(members));
  return manifest;
}

/** The members as they go into the archive. */
export function bundleEntries(members: ReadonlyMap<string, Uint8Array>): ZipEntry[] {
  return [...members].map(([name, data]) => ({ name, data }));
}

/**
 * Opens a bundle and checks all of it: members, sizes, hashes, the agreement of its parts, and that the models point to
 * nothing outside. Runs no code and changes nothing; whether the weights fit a network is for `checkWeights` to say.
 *
 * @param path a bundle, the folder that holds `wts.zip` or its unpacked members, or an artifact of MLflow
 * (`runs:/RUN_ID/wts.zip`, `mlflow-artifacts:/…`), which is fetched from `mlflowTrackingUri` (null: `MLFLOW_TRACKING_URI`).
 * @throws PtychoError FILE_NOT_FOUND; FORMAT_UNSUPPORTED for a newer format version; BUNDLE_INVALID for everything else.
 */
export async function openBundle(path: string, options: MlflowAccess = {}): Promise<StoredBundle> {
  if (!isMlflowUri(path)) return openLocal(path);
  const fetched = await fetchMlflowBundle(path, options.mlflowTrackingUri, { allowFile: options.mlflowAllowFile });
  try {
    return { ...(await openLocal(fetched.path)), path };
  } catch (error) {
    if (!(error instanceof PtychoError)) throw error;
    const message = error.message.replaceAll(fetched.path, path);
    throw new PtychoError(error.code, message, { ...error.fields, path }, { cause: error });
  } finally {
    await fetched.dispose();
  }
}

async function openLocal(path: string): Promise<StoredBundle> {
  const source = await locateBundle(path);
  return (await openMembers(source)).bundle;
}

/**
 * Reads and decodes the members of a bundle that was located.
 * @throws PtychoError as {@link openBundle}
 */
export async function openMembers(
  source: BundleSource,
): Promise<{ readonly members: ReadonlyMap<string, Uint8Array>; readonly bundle: StoredBundle }> {
  const file = source.path;
  try {
    const members = await readMembers(source);
    return { members, bundle: decodeMembers(members, file) };
  } catch (error) {
    if (!(error instanceof PtychoError) || error.code === 'FILE_NOT_FOUND') throw error;
    // A newer bundle is sound; whatever else a format inside refuses makes this one invalid.
    const code = 'formatVersion' in error.fields ? error.code : 'BUNDLE_INVALID';
    const message = error.message.includes(file) ? error.message : `${file}: ${error.message}`;
    throw new PtychoError(code, message, { ...error.fields, path: file }, { cause: error });
  }
}
