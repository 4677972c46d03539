/**
 * Compressed arrays on a detour over disk: inflated once into a temporary file, so that their rows can be read by position
 * and memory stays small whatever the archive holds.
 */
import { tmpdir } from 'node:os';
import { PtychoError } from '../core/errors.js';
import { ScratchFile } from './scratchFile.js';
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
  private constructor(private readonly file: ScratchFile) {}

  /**
   * Inflates a member, checking its length and CRC-32.
   * @throws PtychoError as `ZipArchive.chunks`; FILE_FORMAT for an absurd ratio; OUTPUT_UNWRITABLE when the disk is too full.
   */
  static async of(zip: ZipArchive, member: string): Promise<SpilledMember> {
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
      return new SpilledMember(file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** Reads `target.length` bytes from `position` into `target`. */
  readAt(position: number, target: Uint8Array): Promise<void> {
    return this.file.readAsync(position, target);
  }

  close(): void {
    this.file.close();
  }
}
