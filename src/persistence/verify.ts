/**
 * The strictest look at a bundle: it is opened, and everything that it holds is written again and compared byte for byte. What passes is
 * what `saveBundle` would write for this content.
 */
import { PtychoError } from '../core/errors.js';
import { openInput } from '../core/inputFile.js';
import { zipChunks } from '../formats/zip.js';
import { bundleEntries, openMembers } from './bundle.js';
import type { BundleContent } from './content.js';
import { isComplete, type Manifest } from './manifest.js';
import { type DecodedMembers, encodeMembers } from './members.js';
import type { ModelEncoder } from './models.js';
import { type BundleSource, foreignFiles, locateBundle } from './source.js';

/** A bundle that holds what it should, and not a byte else. */
export interface VerifiedBundle {
  readonly source: BundleSource;
  readonly manifest: Manifest;
  readonly content: DecodedMembers;
}

/**
 * Opens a bundle and compares every byte with what its content comes to: each member, and the archive around them.
 * @param encoderOf the encoder of the network that a content describes; here the caller checks the weights against it
 * @param writer name and version of the package that encodes now, for the sentence where another wrote the bundle
 * @throws PtychoError BUNDLE_INVALID naming member and byte; those of `openBundle` and of `encoderOf`.
 */
export async function verifyBundleBytes(
  path: string,
  encoderOf: (content: BundleContent) => ModelEncoder,
  writer: { readonly package: string; readonly version: string },
): Promise<VerifiedBundle> {
  const source = await locateBundle(path);
  const { members, decoded } = await openMembers(source);
  const { manifest } = decoded;
  const bad = (why: string, fields: Readonly<Record<string, unknown>> = {}) =>
    new PtychoError('BUNDLE_INVALID', `${source.path}: ${why}.`, { path: source.path, ...fields });
  if (!isComplete(manifest)) {
    throw bad(
      'it has no params.json and no autoencoder.onnx, because an older ptychopinn wrote it; it can be used, and PtychoModel.save writes a whole one',
    );
  }
  const again = encodeMembers(decoded, encoderOf(decoded), members.get('config.json'));
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
  if (source.kind === 'archive') {
    const at = await firstDifferenceInFile(source.path, zipChunks(bundleEntries(again)));
    if (at !== undefined) {
      throw bad(
        `byte ${at} of the archive, outside of the members' content, is not what ptychopinn writes (order, time stamps, compression or bytes that belong to nothing)`,
        { offset: at },
      );
    }
  } else {
    const [other] = await foreignFiles(source.path);
    if (other !== undefined)
      throw bad(`the folder also holds "${other}", which is no member of a bundle`, { found: other });
  }
  return { source, manifest, content: decoded };
}

/** Where two arrays begin to differ, the shorter ending; undefined: nowhere. */
function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  if (Buffer.compare(a, b) === 0) return undefined;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) if (a[i] !== b[i]) return i;
  return length;
}

/** Where a file begins to differ from these bytes; undefined: nowhere. */
export async function firstDifferenceInFile(
  path: string,
  expected: AsyncIterable<Uint8Array>,
): Promise<number | undefined> {
  const file = await openInput(path);
  try {
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
  } finally {
    await file.close();
  }
}
