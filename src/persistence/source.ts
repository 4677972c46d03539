/**
 * Where the members of a bundle come from: the archive, or a folder that holds them unpacked. Names and sizes are looked at before
 * anything is read.
 *
 * @example
 * const source = await locateBundle('out'); // out/wts.zip, or the members in out
 * const members = await readMembers(source);
 */
import { lstat, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { PtychoError } from '../core/errors.js';
import { openInput, readInput } from '../core/inputFile.js';
import { readZip } from '../formats/zip.js';
import { ZipArchive } from '../formats/zipArchive.js';
import { describeForeignArchive, describeForeignFile, knownForeignArchive } from './foreign.js';
import { MEMBERS } from './manifest.js';
import { MEMBER_LIMITS } from './members.js';

/** The file name under which a bundle is written, and looked for in a folder. */
export const BUNDLE_FILE = 'wts.zip';
/** Names under which a bundle is looked for in a folder, in this order. */
const FILE_NAMES = [BUNDLE_FILE, 'wts.h5.zip'];
const MANIFEST = 'manifest.json';

/** No bundle is larger than this once unpacked: a buffer's and ONNX's own limit. */
const MAX_BYTES = 2 ** 31;
/** Unpacked, a bundle may be larger than its archive by this much (we store, others may have deflated it). */
const SLACK_BYTES = 32 * 2 ** 20;

/** Every name that a member may have. */
export const MEMBER_NAMES: readonly string[] = [MANIFEST, ...MEMBERS];

/** A bundle that was found. */
export interface BundleSource {
  readonly kind: 'archive' | 'folder';
  readonly path: string;
}

/**
 * The bundle that a path means: the file itself, `wts.zip` inside the folder, or the folder of the unpacked members.
 * @throws PtychoError FILE_NOT_FOUND; BUNDLE_INVALID for a folder that another program's bundle was unpacked into.
 */
export async function locateBundle(path: string): Promise<BundleSource> {
  const kind = await kindOf(path);
  if (kind === 'file') return { kind: 'archive', path };
  if (kind === 'folder') {
    for (const name of FILE_NAMES) {
      if ((await kindOf(join(path, name))) === 'file') return { kind: 'archive', path: join(path, name) };
    }
    if ((await kindOf(join(path, MANIFEST))) === 'file') return { kind: 'folder', path };
    const foreign = knownForeignArchive(await readdir(path, { recursive: true }).catch(() => []));
    if (foreign !== undefined) throw invalid(path, `${path}, unpacked, ${foreign}`);
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

/**
 * Reads the members after names and sizes were found to be those of a bundle.
 * @throws PtychoError BUNDLE_INVALID, and those of the archive.
 */
export function readMembers({ kind, path }: BundleSource): Promise<Map<string, Uint8Array>> {
  return kind === 'archive' ? readArchive(path) : readFolder(path);
}

async function readArchive(path: string): Promise<Map<string, Uint8Array>> {
  const archiveBytes = await sizeOfArchive(path);
  const archive = await ZipArchive.open(path);
  const sizes = new Map([...archive.members.values()].map((m) => [m.name, m.size]));
  await archive.close();
  const names = [...sizes.keys()];
  if (!names.includes(MANIFEST)) throw invalid(path, `${path} ${describeForeignArchive(names)}`, { found: names });
  const extra = names.find((n) => !MEMBER_NAMES.includes(n));
  if (extra !== undefined) {
    throw invalid(
      path,
      `${path} holds "${extra}", which is no member of a bundle; it was changed after it was written, or written by a newer ptychopinn.`,
      { member: extra, expected: MEMBER_NAMES },
    );
  }
  const limit = Math.min(archiveBytes + SLACK_BYTES, MAX_BYTES);
  checkSizes(path, sizes, limit, `in an archive of ${archiveBytes} bytes`);
  return readZip(path, { maxMemberBytes: limit, maxTotalBytes: limit });
}

/** Its size, after its first bytes were found to be those of a zip. */
async function sizeOfArchive(path: string): Promise<number> {
  const handle = await openInput(path);
  try {
    const head = Buffer.alloc(8);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    const foreign =
      bytesRead === 0 ? 'is empty; copy or write it again.' : describeForeignFile(head.subarray(0, bytesRead));
    if (foreign !== undefined) throw invalid(path, `${path} ${foreign}`);
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

/** Files of other names are not looked at; a member must be a plain file, so that nothing outside is read and nothing blocks. */
async function readFolder(path: string): Promise<Map<string, Uint8Array>> {
  const present = new Set(await readdir(path));
  const names = MEMBER_NAMES.filter((name) => present.has(name));
  const sizes = new Map<string, number>();
  for (const name of names) {
    const found = await lstat(join(path, name));
    if (!found.isFile()) {
      throw invalid(path, `${join(path, name)} is not a plain file; copy the member itself.`, { member: name });
    }
    sizes.set(name, found.size);
  }
  checkSizes(path, sizes, MAX_BYTES, 'in a folder');
  const members = new Map<string, Uint8Array>();
  for (const name of names)
    members.set(name, await readInput(join(path, name), { maxBytes: MEMBER_LIMITS[name] ?? MAX_BYTES }));
  return members;
}

function checkSizes(path: string, sizes: ReadonlyMap<string, number>, limit: number, where: string): void {
  const total = [...sizes.values()].reduce((a, b) => a + b, 0);
  if (total > limit) {
    throw invalid(path, `${path} declares ${total} bytes of content ${where}; at most ${limit} are unpacked.`, {
      found: total,
      expected: limit,
    });
  }
  for (const [name, size] of sizes) {
    const most = MEMBER_LIMITS[name] ?? limit;
    if (size <= most) continue;
    throw invalid(path, `${path}, ${name}: it has ${size} bytes, more than the ${most} that are read.`, {
      member: name,
      found: size,
      expected: most,
    });
  }
}

function invalid(path: string, message: string, fields: Readonly<Record<string, unknown>> = {}): PtychoError {
  return new PtychoError('BUNDLE_INVALID', message, { path, ...fields });
}

/** What a folder of unpacked members holds besides them. */
export async function foreignFiles(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => !MEMBER_NAMES.includes(name)).sort();
}
