/** Files of this machine as sources of bytes. */
import type { FileHandle } from 'node:fs/promises';
import { closing, openInput } from '../core/inputFile.js';
import type { ByteSource } from './byteSource.js';

/** One call is limited to 2 GiB by the operating system's interface. */
const MOST_AT_ONCE = 2 ** 30;

/**
 * Opens a file for reading by position; `close` it when done.
 * @throws PtychoError as `openInput`
 */
export async function openFileSource(path: string): Promise<ByteSource> {
  const handle = await openInput(path);
  try {
    return new FileSource(path, (await handle.stat()).size, handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Hands an opened file to `work` and closes it afterwards. @throws PtychoError as `openInput`, and what `work` throws */
export async function withFileSource<T>(path: string, work: (source: ByteSource) => Promise<T>): Promise<T> {
  return closing(await openFileSource(path), work);
}

class FileSource implements ByteSource {
  constructor(
    readonly name: string,
    readonly size: number,
    private readonly handle: FileHandle,
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    // Not more than there is, whatever a damaged file asks for.
    const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(length, this.size - offset)));
    return bytes.subarray(0, await this.readInto(offset, bytes));
  }

  async readInto(offset: number, target: Uint8Array): Promise<number> {
    let done = 0;
    while (done < target.length) {
      const want = Math.min(target.length - done, MOST_AT_ONCE);
      const { bytesRead } = await this.handle.read(target, done, want, offset + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return done;
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}
