/**
 * The bundle `wts.zip`: a trained model as one file of plain formats. Normative: `specs/bundle.md`.
 *
 * @example
 * await saveBundle('out/wts.zip', content, (externalEntries) => encodeOnnx(program, { … }));
 * const bundle = await openBundle('out'); // the file, or the folder that holds it
 * const session = await InferenceSession.create(bundle.model.bytes, { externalData: bundle.model.externalData });
 */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PtychoError } from '../core/errors.js';
import { readZip, writeZip } from '../formats/zip.js';
import { openForReading, ZipArchive } from '../formats/zipArchive.js';
import type { BundleContent } from './content.js';
import { describeForeignArchive, describeForeignFile } from './foreign.js';
import { type Manifest, MEMBERS } from './manifest.js';
import { type DecodedMembers, decodeMembers, encodeMembers, type ModelEncoder } from './members.js';
import { fetchMlflowBundle, isMlflowUri } from './mlflowArtifacts.js';

export type { BundleContent } from './content.js';
export type { Manifest } from './manifest.js';
export type { ModelEncoder, RuntimeModel } from './members.js';

/** The file name under which a bundle is written, and looked for in a folder. */
export const BUNDLE_FILE = 'wts.zip';
/** Names under which a bundle is looked for in a folder, in this order. */
const FILE_NAMES = [BUNDLE_FILE, 'wts.h5.zip'];

/** No bundle is larger than this once unpacked: a buffer's and ONNX's own limit. */
const MAX_BYTES = 2 ** 31;
/** Unpacked, a bundle may be larger than its archive by this much (we store, others may have deflated it). */
const SLACK_BYTES = 32 * 2 ** 20;

/** A bundle that was opened and found right. */
export interface OpenedBundle extends DecodedMembers {
  /** The file that it was read from. */
  readonly path: string;
}

/**
 * Writes a bundle; equal content gives equal bytes. What would not open again is not written, and an old file at `path`
 * stays as it is unless the new one is complete.
 *
 * @param path the file to write, by custom `wts.zip`; its folder must exist.
 * @returns the manifest that was written.
 * @throws PtychoError BUNDLE_INVALID when the content contradicts itself, OUTPUT_UNWRITABLE.
 */
export async function saveBundle(path: string, content: BundleContent, encodeModel: ModelEncoder): Promise<Manifest> {
  const members = encodeMembers(content, encodeModel);
  const { manifest } = decodeMembers(members);
  await writeZip(
    path,
    [...members].map(([name, data]) => ({ name, data })),
  );
  return manifest;
}

/**
 * Opens a bundle and checks all of it: members, sizes, hashes, the agreement of its parts, and that the model points to
 * nothing outside. Runs no code and changes nothing; whether the weights fit a network is for `checkWeights` to say.
 *
 * @param path a bundle, the folder that holds `wts.zip`, or an artifact of MLflow (`runs:/RUN_ID/wts.zip`,
 * `mlflow-artifacts:/…`), which is fetched from `mlflowTrackingUri` (null: `MLFLOW_TRACKING_URI`).
 * @throws PtychoError FILE_NOT_FOUND; FORMAT_UNSUPPORTED for a newer format version; BUNDLE_INVALID for everything else.
 */
export async function openBundle(
  path: string,
  options: { readonly mlflowTrackingUri?: string | null } = {},
): Promise<OpenedBundle> {
  if (!isMlflowUri(path)) return openBundleFile(path);
  const fetched = await fetchMlflowBundle(path, options.mlflowTrackingUri);
  try {
    return { ...(await openBundleFile(fetched.path)), path };
  } catch (error) {
    if (!(error instanceof PtychoError)) throw error;
    const message = error.message.replaceAll(fetched.path, path);
    throw new PtychoError(error.code, message, { ...error.fields, path }, { cause: error });
  } finally {
    await fetched.dispose();
  }
}

async function openBundleFile(path: string): Promise<OpenedBundle> {
  const file = await locateBundle(path);
  try {
    return { ...decodeMembers(await readMembers(file)), path: file };
  } catch (error) {
    if (!(error instanceof PtychoError) || error.code === 'FILE_NOT_FOUND') throw error;
    // A newer bundle is sound; whatever else a format inside refuses makes this one invalid.
    const code = 'formatVersion' in error.fields ? error.code : 'BUNDLE_INVALID';
    const message = error.message.includes(file) ? error.message : `${file}: ${error.message}`;
    throw new PtychoError(code, message, { ...error.fields, path: file }, { cause: error });
  }
}

/**
 * The bundle that a path means: the file itself, or `wts.zip` inside the folder.
 * @throws PtychoError FILE_NOT_FOUND
 */
export async function locateBundle(path: string): Promise<string> {
  const kind = await kindOf(path);
  if (kind === 'file') return path;
  if (kind === 'folder') {
    for (const name of FILE_NAMES) if ((await kindOf(join(path, name))) === 'file') return join(path, name);
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `The folder ${path} holds no ${BUNDLE_FILE}; give the output folder of "ptychopinn train" or the bundle itself.`,
      { path, expected: BUNDLE_FILE },
    );
  }
  throw new PtychoError(
    'FILE_NOT_FOUND',
    `There is no bundle ${path}; give the ${BUNDLE_FILE} that "ptychopinn train" wrote, or its folder.`,
    { path },
  );
}

async function kindOf(path: string): Promise<'file' | 'folder' | undefined> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch {
    return undefined;
  }
}

/** Reads the members of an archive after its directory was found to be that of a bundle of bearable size. */
async function readMembers(path: string): Promise<Map<string, Uint8Array>> {
  const handle = await openForReading(path);
  const head = Buffer.alloc(8);
  let archiveBytes: number;
  try {
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    archiveBytes = (await handle.stat()).size;
    const foreign =
      bytesRead === 0 ? 'is empty; copy or write it again.' : describeForeignFile(head.subarray(0, bytesRead));
    if (foreign !== undefined) throw new PtychoError('BUNDLE_INVALID', `${path} ${foreign}`, { path });
  } finally {
    await handle.close();
  }

  const archive = await ZipArchive.open(path);
  const names = [...archive.members.keys()];
  const sizes = [...archive.members.values()].map((m) => m.size);
  await archive.close();
  if (!names.includes('manifest.json')) {
    throw new PtychoError('BUNDLE_INVALID', `${path} ${describeForeignArchive(names)}`, { path, found: names });
  }
  const allowed = new Set<string>(['manifest.json', ...MEMBERS]);
  const extra = names.find((n) => !allowed.has(n));
  if (extra !== undefined) {
    throw new PtychoError(
      'BUNDLE_INVALID',
      `${path} holds "${extra}", which is no member of a bundle; it was changed after it was written, or written by a newer ptychopinn.`,
      { path, member: extra, expected: [...allowed] },
    );
  }
  const limit = Math.min(archiveBytes + SLACK_BYTES, MAX_BYTES);
  const total = sizes.reduce((a, b) => a + b, 0);
  if (total > limit) {
    throw new PtychoError(
      'BUNDLE_INVALID',
      `${path} declares ${total} bytes of content in an archive of ${archiveBytes} bytes; at most ${limit} are unpacked.`,
      { path, found: total, expected: limit },
    );
  }
  return readZip(path, { maxMemberBytes: limit, maxTotalBytes: limit, allow: (name) => allowed.has(name) });
}
