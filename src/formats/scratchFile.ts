/**
 * Temporary files and folders for values that are costly to make again; gone after use, or with the process. Among them are
 * compressed arrays on a detour over disk: inflated once, so that their rows can be read by position and memory stays small
 * whatever the archive holds.
 */
import { closeSync, mkdtempSync, openSync, read, readSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PtychoError } from '../core/errors.js';
import { isAbandoned, processMark } from './replaceFile.js';
import type { ZipArchive } from './zipArchive.js';

const readFrom = promisify(read);

/** Space that is left free for others. */
const SPARE_BYTES = 2 ** 30;
/** One call is limited to 2 GiB by the operating system's interface. */
const MOST_AT_ONCE = 2 ** 30;

/** A temporary file without a name, for values by position. */
export class ScratchFile {
  private constructor(
    private readonly fd: number,
    private readonly folder: string | undefined,
  ) {}

  /** Makes one; undefined where the disk has no room for `bytes`, or temporary files cannot be made. */
  static create(bytes: number): ScratchFile | undefined {
    try {
      const { bavail, bsize } = statfsSync(tmpdir());
      if (bavail * bsize < bytes + SPARE_BYTES) return undefined;
      const folder = mkdtempSync(join(tmpdir(), 'ptychopinn-'));
      const fd = openSync(join(folder, 'rows'), 'wx+', 0o600);
      // An open file may be removed where the system allows it: then nothing stays behind, even after a crash.
      if (process.platform === 'win32') return new ScratchFile(fd, folder);
      rmSync(folder, { recursive: true });
      return new ScratchFile(fd, undefined);
    } catch {
      return undefined;
    }
  }

  /** Writes bytes to a place; false when the disk is full. */
  write(at: number, bytes: Uint8Array): boolean {
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.fd, bytes, done, bytes.length - done, at + done);
      return true;
    } catch {
      return false;
    }
  }

  /** Fills `target` from a place that has been written. */
  read(at: number, target: Uint8Array): void {
    for (let done = 0; done < target.length; ) done += readSync(this.fd, target, done, target.length - done, at + done);
  }

  /** {@link read} without holding up the event loop. */
  async readAsync(at: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const want = Math.min(target.length - done, MOST_AT_ONCE);
      done += (await readFrom(this.fd, target, done, want, at + done)).bytesRead;
    }
  }

  close(): void {
    closeSync(this.fd);
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}

const SCRATCH_FOLDER = /^ptychopinn-[a-z]+-([0-9a-f]{8}\.\d{1,10}-[0-9a-z]{1,12})-\w+$/;

/**
 * Makes a folder for temporary files, after removing those that dead processes have left.
 * @param purpose a word for its name
 * @returns its path, and what removes it
 */
export async function makeScratchFolder(
  purpose: string,
): Promise<{ readonly folder: string; readonly dispose: () => Promise<void> }> {
  for (const name of await readdir(tmpdir()).catch(() => [] as string[])) {
    const mark = SCRATCH_FOLDER.exec(name)?.[1];
    if (mark === undefined || !(await isAbandoned(join(tmpdir(), name), mark))) continue;
    // That of another user stays.
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => {});
  }
  const folder = await mkdtemp(join(tmpdir(), `ptychopinn-${purpose}-${processMark()}-`));
  return { folder, dispose: () => rm(folder, { recursive: true, force: true }) };
}

/** Below this, an array is inflated whatever its ratio. */
const SMALL_BYTES = 64 * 2 ** 20;
/** Sparse photon counts deflate to a hundredth at most; beyond this a large array is zeros, or a trap. */
const MAX_RATIO = 500;

/**
 * Refuses members that inflate out of all proportion.
 * @throws PtychoError FILE_FORMAT
 */
export function checkRatio(zip: ZipArchive, member: string, maxRatio = MAX_RATIO): void {
  const { size, compressedSize, method } = zip.members.get(member)!;
  if (method === 'stored' || size <= SMALL_BYTES || size <= maxRatio * compressedSize) return;
  throw new PtychoError(
    'FILE_FORMAT',
    `${zip.path}, member "${member}", inflates from ${compressedSize} to ${size} bytes, more than ${maxRatio} times: either it is empty or it is a trap; if the data are meant, save them uncompressed (numpy.savez).`,
    { path: zip.path, member, found: size, expected: maxRatio * compressedSize },
  );
}

/**
 * Inflates a member into a temporary file that nobody else sees, checking its length and CRC-32.
 * @throws PtychoError as `ZipArchive.chunks`; FILE_FORMAT for an absurd ratio; OUTPUT_UNWRITABLE when the disk is too full.
 */
export async function spillMember(zip: ZipArchive, member: string): Promise<ScratchFile> {
  checkRatio(zip, member);
  await zip.checkSize(member);
  const { size } = zip.members.get(member)!;
  const noRoom = () =>
    new PtychoError(
      'OUTPUT_UNWRITABLE',
      `${zip.path}, member "${member}", is compressed and needs ${size} bytes in the folder for temporary files (${tmpdir()}), which has no room for them; free some, set TMPDIR to another disk, or save the file uncompressed (numpy.savez).`,
      { path: zip.path, member, expected: size },
    );
  const file = ScratchFile.create(size);
  if (file === undefined) throw noRoom();
  try {
    let at = 0;
    for await (const chunk of zip.chunks(member)) {
      if (!file.write(at, chunk)) throw noRoom();
      at += chunk.length;
    }
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}
