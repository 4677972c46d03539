/**
 * Compressed arrays on a detour over disk: inflated once into a temporary file, so that their rows can be read by position
 * and memory stays small whatever the archive holds.
 */
import { type FileHandle, mkdtemp, open, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PtychoError } from '../core/errors.js';
import type { ZipArchive } from './zipArchive.js';

/** Below this, an array is inflated whatever its ratio. */
export const SMALL_BYTES = 64 * 2 ** 20;
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

/** The inflated bytes of a member in a temporary file that nobody else sees; gone after `close`, or with the process. */
export class SpilledMember {
  private constructor(
    private readonly handle: FileHandle,
    private readonly folder: string | undefined,
  ) {}

  /**
   * Inflates a member, checking its length and CRC-32.
   * @throws PtychoError as `ZipArchive.chunks`; FILE_FORMAT for an absurd ratio; OUTPUT_UNWRITABLE when the disk is too full.
   */
  static async of(zip: ZipArchive, member: string): Promise<SpilledMember> {
    checkRatio(zip, member);
    await zip.checkSize(member);
    const { size } = zip.members.get(member)!;
    const { bavail, bsize } = await statfs(tmpdir());
    if (bavail * bsize < size) {
      throw new PtychoError(
        'OUTPUT_UNWRITABLE',
        `${zip.path}, member "${member}", is compressed and needs ${size} bytes in the folder for temporary files (${tmpdir()}), which has ${bavail * bsize} left; free some, set TMPDIR to another disk, or save the file uncompressed (numpy.savez).`,
        { path: zip.path, member, found: bavail * bsize, expected: size },
      );
    }
    const folder = await mkdtemp(join(tmpdir(), 'ptychopinn-'));
    let handle: FileHandle | undefined;
    try {
      handle = await open(join(folder, 'array'), 'wx+', 0o600);
      for await (const chunk of zip.chunks(member)) {
        let done = 0;
        while (done < chunk.length) done += (await handle.write(chunk, done)).bytesWritten;
      }
      // An open file may be removed where the system allows it: then nothing stays behind, even after a crash.
      if (process.platform === 'win32') return new SpilledMember(handle, folder);
      await rm(folder, { recursive: true });
      return new SpilledMember(handle, undefined);
    } catch (error) {
      await handle?.close();
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  /** Reads `target.length` bytes from `position` into `target`. */
  async readAt(position: number, target: Uint8Array): Promise<void> {
    for (let done = 0; done < target.length; ) {
      const want = Math.min(target.length - done, 1 << 30);
      done += (await this.handle.read(target, done, want, position + done)).bytesRead;
    }
  }

  async close(): Promise<void> {
    await this.handle.close();
    if (this.folder !== undefined) await rm(this.folder, { recursive: true, force: true });
  }
}
