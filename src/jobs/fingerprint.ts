/**
 * What an input was when a job was planned, so that a job does not run on another: size, time and a hash, of large files of evenly
 * spaced parts, because a plan names hundreds of files of gigabytes.
 *
 * @example
 * const before = await fingerprintOf('scan.h5');
 * const change = await changeOf(before); // undefined: it is the same
 */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { PtychoError } from '../core/errors.js';
import { Sha256 } from '../core/hash.js';
import { openInput } from '../core/inputFile.js';
import type { JobInput } from './plan.js';

const PART_BYTES = 2 ** 20;
/** Files up to this many parts are hashed whole. */
const PARTS = 64;

/**
 * The fingerprint of a file, or of the files of a folder (names and sizes).
 * @throws PtychoError FILE_NOT_FOUND
 */
export async function fingerprintOf(input: string): Promise<JobInput> {
  const found = await stat(input).catch((cause) => {
    throw new PtychoError('FILE_NOT_FOUND', `${input}: there is no such file or folder.`, { path: input }, { cause });
  });
  const hash = new Sha256();
  let bytes = found.size;
  let time = found.mtimeMs;
  if (found.isDirectory()) {
    bytes = 0;
    for (const name of (await readdir(input)).sort()) {
      const member = await stat(path.join(input, name));
      if (!member.isFile()) continue;
      bytes += member.size;
      time = Math.max(time, member.mtimeMs);
      hash.add(`${name} ${member.size}\n`);
    }
  } else await addParts(input, found.size, hash);
  return { path: path.resolve(input), bytes, modified: new Date(time).toISOString(), sha256: hash.hex() };
}

async function addParts(file: string, bytes: number, hash: Sha256): Promise<void> {
  const handle = await openInput(file);
  try {
    const parts = Math.ceil(bytes / PART_BYTES);
    const taken = Math.min(parts, PARTS);
    const buffer = new Uint8Array(PART_BYTES);
    for (let part = 0; part < taken; part++) {
      // The first and the last part are always among them.
      const index = taken === parts ? part : Math.round((part * (parts - 1)) / (taken - 1));
      const { bytesRead } = await handle.read(buffer, 0, PART_BYTES, index * PART_BYTES);
      hash.add(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
}

/** What has become of an input since it was planned, as the end of a sentence; undefined where it is the same. */
export async function changeOf(input: JobInput): Promise<string | undefined> {
  const now = await fingerprintOf(input.path).catch(() => undefined);
  if (now === undefined) return 'is not there any more';
  if (now.bytes !== input.bytes) return `has ${now.bytes} bytes now in place of ${input.bytes}`;
  return now.sha256 === input.sha256 ? undefined : 'has another content now';
}
