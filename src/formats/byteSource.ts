/**
 * The bytes of a file, read by position, wherever they lie: on a disk, behind an address, in a browser. What reads a format reads
 * from this, and knows no file system.
 *
 * @example
 * const head = await source.read(0, 8);
 */
export interface ByteSource {
  /** What messages call it: the path of a file. */
  readonly name: string;
  /** Bytes in all, when it was opened. */
  readonly size: number;
  /** Bytes from `offset` on, in memory of their own: `length` of them, fewer only at the end. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** {@link read} straight into `target`, for sources that can spare the copy; returns how many bytes there were. */
  readInto?(offset: number, target: Uint8Array): Promise<number>;
  /** Lets go of it; reads still under way may fail. */
  close(): Promise<void>;
}

/** Fills `target` from `offset` on. @returns how many bytes there were; fewer than `target` holds only at the end */
export async function readInto(source: ByteSource, offset: number, target: Uint8Array): Promise<number> {
  if (source.readInto !== undefined) return source.readInto(offset, target);
  const bytes = await source.read(offset, target.length);
  target.set(bytes);
  return bytes.length;
}

/** Bytes as letters, one each: for comparing them with the signature of a format. */
export function lettersOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
