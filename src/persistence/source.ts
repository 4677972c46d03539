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
import { closing, openInput, readInput } from '../core/inputFile.js';
import { readZip } from '../formats/zip.js';
import { ZipArchive } from '../formats/zipArchive.js';
import { MEMBER_LIMITS, MEMBERS, SCANS_FILE } from './manifest.js';

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
const MEMBER_NAMES: readonly string[] = [MANIFEST, ...MEMBERS, SCANS_FILE];

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
    if ((await kindOf(join(path, 'ensemble.json'))) === 'file') {
      throw new PtychoError(
        'FILE_NOT_FOUND',
        `${path} holds an ensemble, but this takes one bundle; name one of its networks, such as ${join(path, 'member-1')}.`,
        { path, expected: BUNDLE_FILE },
      );
    }
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
  return closing(await openInput(path), async (handle) => {
    const head = Buffer.alloc(8);
    const { bytesRead } = await handle.read(head, 0, head.length, 0);
    const foreign =
      bytesRead === 0 ? 'is empty; copy or write it again.' : describeForeignFile(head.subarray(0, bytesRead));
    if (foreign !== undefined) throw invalid(path, `${path} ${foreign}`);
    return (await handle.stat()).size;
  });
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

// What a file that is no bundle of ours probably is, in a sentence that says what to do.

/** One kind of model or data file that people mistake for a bundle. */
interface Kind {
  readonly matches: (names: readonly string[]) => boolean;
  readonly sentence: string;
}

const has = (test: RegExp) => (names: readonly string[]) => names.some((n) => test.test(n));
const all =
  (...tests: readonly RegExp[]) =>
  (names: readonly string[]) =>
    tests.every((test) => has(test)(names));

const PICKLE = 'is a pickle, which could run code and is never opened';
const EXPORT =
  'turn it into an NPZ with examples/python/export_torch_weights.py where it was trained, then "ptychopinn bundle import" that';

/** Archives, the more telling first. */
const KINDS: readonly Kind[] = [
  {
    matches: all(/^manifest\.dill$/, /(^|\/)model\.keras$/),
    sentence: `is a wts.h5.zip of the Python PtychoPINN (TensorFlow): its manifest.dill ${PICKLE}; "ptychopinn bundle import FILE --output_dir DIR" takes over the weights, which are plain data.`,
  },
  {
    matches: all(/^manifest\.dill$/, /(^|\/)model\.pth$/),
    sentence: `is a wts.h5.zip of the Python PtychoPINN (PyTorch): its manifest.dill ${PICKLE}; ${EXPORT}.`,
  },
  {
    matches: has(/^manifest\.dill$/),
    sentence: `is a wts.h5.zip of the Python PtychoPINN: its manifest.dill ${PICKLE}; train again with "ptychopinn train".`,
  },
  {
    matches: has(/^[^/]+\/data\.pkl$/),
    sentence: `is a PyTorch or Lightning checkpoint: it ${PICKLE}; ${EXPORT}.`,
  },
  {
    matches: has(/^model\.weights\.h5$/),
    sentence:
      'is a Keras model, not a bundle of ptychopinn; "ptychopinn bundle import FILE --output_dir DIR" takes over the weights of a published network.',
  },
  {
    matches: has(/^checkpoint\.json$/),
    sentence:
      'is a checkpoint of ptychopinn, not a bundle: training goes on from it with "ptychopinn train --resume FOLDER"; the bundle is wts.zip in the folder of the run.',
  },
  {
    matches: (names) => names.length > 0 && names.every((n) => n.endsWith('.npy')),
    sentence:
      'is an NPZ archive of arrays, not a trained bundle; "ptychopinn inspect FILE" shows what is in it, and "ptychopinn bundle import FILE --output_dir DIR" makes a bundle of exported weights.',
  },
];

/** The sentence (after the name) for an archive or folder of a kind that is known; undefined for others. */
function knownForeignArchive(names: readonly string[]): string | undefined {
  return KINDS.find((k) => k.matches(names))?.sentence;
}

/** The sentence (after the file's name) for a zip archive without `manifest.json`. */
export function describeForeignArchive(names: readonly string[]): string {
  return (
    knownForeignArchive(names) ??
    'holds no manifest.json, so it is not a bundle of ptychopinn; give the wts.zip that "ptychopinn train" wrote.'
  );
}

/** First bytes that tell what a file is. */
const HEADS: readonly (readonly [head: string, sentence: string])[] = [
  [
    '\x89HDF',
    'is an HDF5 file, Keras weights or a data file perhaps, not a bundle of ptychopinn; give the wts.zip, or a model.keras to "ptychopinn bundle import".',
  ],
  ['\x80', `is a Python pickle, an old PyTorch checkpoint perhaps: it ${PICKLE}; ${EXPORT}.`],
  ['\x93NUMPY', 'is a single NPY array, not a zip archive, so it is not a bundle; give the wts.zip.'],
  [
    '\x1f\x8b',
    'is compressed by gzip, not a zip archive, so it is not a bundle; unpack it and give the wts.zip inside.',
  ],
];

/** The sentence for a file that is no zip archive, from its first bytes; undefined when they are those of a zip. */
export function describeForeignFile(head: Uint8Array): string | undefined {
  const latin1 = Buffer.from(head).toString('latin1');
  if (latin1.startsWith('PK')) return undefined;
  return (
    HEADS.find(([magic]) => latin1.startsWith(magic))?.[1] ??
    'is not a zip archive, so it is not a bundle; give the wts.zip that "ptychopinn train" wrote.'
  );
}
