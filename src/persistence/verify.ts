/**
 * The strictest look at a bundle or a product of ours: it is opened, and everything that it holds is written again and compared byte for
 * byte. What passes is what this version would write for this content.
 */
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { PtychoError } from '../core/errors.js';
import { closing, openInput } from '../core/inputFile.js';
import { makeScratchFolder } from '../formats/scratchFile.js';
import { zipChunks } from '../formats/zip.js';
import { ZipArchive } from '../formats/zipArchive.js';
import { bundleEntries, openMembers } from './bundle.js';
import type { Bundle } from './content.js';
import { isComplete, type Manifest } from './manifest.js';
import { encodeMembers, type StoredBundle } from './members.js';
import type { ModelEncoder } from './models.js';
import { SEAL_KEY } from './product/arrays.js';
import { readStoredProduct, refuseChanges, type StoredProduct } from './product/readProduct.js';
import { writeProductFile } from './product/writeProduct.js';
import { type BundleSource, foreignFiles, locateBundle } from './source.js';

/** A bundle that holds what it should, and not a byte else. */
export interface VerifiedBundle {
  readonly source: BundleSource;
  readonly manifest: Manifest;
  readonly content: StoredBundle;
  /** Whether the archive around the members is compressed, as ptychopinn writes none: then only the members were compared. */
  readonly compressed: boolean;
}

/**
 * Opens a bundle and compares every byte with what its content comes to: each member, and the archive around them, unless somebody
 * compressed it.
 * @param encoderOf the encoder of the network that a content describes; here the caller checks the weights against it
 * @param writer name and version of the package that encodes now, for the sentence where another wrote the bundle
 * @throws PtychoError BUNDLE_INVALID naming member and byte; those of `openBundle` and of `encoderOf`.
 */
export async function verifyBundleBytes(
  path: string,
  encoderOf: (content: Bundle) => ModelEncoder,
  writer: { readonly package: string; readonly version: string },
): Promise<VerifiedBundle> {
  const source = await locateBundle(path);
  const { members, bundle } = await openMembers(source);
  const { manifest } = bundle;
  const bad = (why: string, fields: Readonly<Record<string, unknown>> = {}) =>
    new PtychoError('BUNDLE_INVALID', `${source.path}: ${why}.`, { path: source.path, ...fields });
  if (!isComplete(manifest)) {
    throw bad(
      'it has no params.json and no autoencoder.onnx, because an older ptychopinn wrote it; it can be used, and PtychoModel.save writes a whole one',
    );
  }
  const again = encodeMembers(bundle, encoderOf(bundle), members);
  const { version } = manifest.created_by;
  const reason =
    version === writer.version
      ? 'it was changed after it was written'
      : `it was written by version ${version}, this is ${writer.version}`;
  // The manifest last: where a member differs, its hash does, too.
  for (const name of [...again.keys()].reverse()) {
    const at = firstDifference(members.get(name) as Uint8Array, again.get(name) as Uint8Array);
    if (at === undefined) continue;
    throw bad(`${name}: byte ${at} is not what this content comes to; ${reason}`, { member: name, offset: at });
  }
  const compressed = source.kind === 'archive' && (await isCompressed(source.path));
  if (source.kind === 'archive' && !compressed) {
    const at = await firstDifferenceInFile(source.path, zipChunks(bundleEntries(again)));
    if (at !== undefined) {
      throw bad(
        `byte ${at} of the archive, outside of the members' content, is not what ptychopinn writes (order, time stamps or bytes that belong to nothing)`,
        { offset: at },
      );
    }
  } else if (source.kind === 'folder') {
    const [other] = await foreignFiles(source.path);
    if (other !== undefined)
      throw bad(`the folder also holds "${other}", which is no member of a bundle`, { found: other });
  }
  return { source, manifest, content: bundle, compressed };
}

async function isCompressed(path: string): Promise<boolean> {
  return closing(await ZipArchive.open(path), async ({ members }) =>
    [...members.values()].some(({ method }) => method === 'deflated'),
  );
}

/**
 * Reads a product, checks the hash of its content and compares every byte with what its content comes to.
 * @throws PtychoError FILE_FORMAT for a product of other programs, which holds no hash, and for the first byte that differs;
 * those of reading.
 */
export async function verifyProductFile(path: string): Promise<StoredProduct> {
  const stored = await readStoredProduct(path);
  refuseChanges(path, stored);
  if (stored.seal === 'none') {
    throw new PtychoError(
      'FILE_FORMAT',
      `${path} holds no ${SEAL_KEY}, so it was not written by ptychopinn, or not completely; there is nothing to verify it against.`,
      { path, key: SEAL_KEY },
    );
  }
  const { folder, dispose } = await makeScratchFolder('verify');
  try {
    const again = join(folder, stored.format === 'npz' ? 'product.npz' : 'product.h5');
    await writeProductFile(again, stored.product);
    const at = await firstDifferenceInFile(path, createReadStream(again));
    if (at === undefined) return stored;
    throw new PtychoError(
      'FILE_FORMAT',
      `${path}: byte ${at} is not what ptychopinn writes for this content, although the content is right; the file was changed, or written by another version.`,
      { path, found: at },
    );
  } finally {
    await dispose();
  }
}

/** Where two arrays begin to differ, the shorter ending; undefined: nowhere. */
function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  if (Buffer.compare(a, b) === 0) return undefined;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/** Where a file begins to differ from these bytes; undefined: nowhere. */
async function firstDifferenceInFile(path: string, expected: AsyncIterable<Uint8Array>): Promise<number | undefined> {
  return closing(await openInput(path), async (file) => {
    let at = 0;
    for await (const chunk of expected) {
      const found = Buffer.alloc(chunk.length);
      let filled = 0;
      while (filled < found.length) {
        const { bytesRead } = await file.read(found, filled, found.length - filled, at + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      const differs = firstDifference(found.subarray(0, filled), chunk);
      if (differs !== undefined) return at + differs;
      at += chunk.length;
    }
    return (await file.stat()).size === at ? undefined : at;
  });
}
