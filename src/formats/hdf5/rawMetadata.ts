/**
 * Metadata of HDF5 files that are looked at, and mended, before the library sees them. Layout: HDF5 File Format Specification 4.0.
 *
 * The superblock (II.A), version 3, tells whether a writer has the file open, or died with it open. The library refuses such a file; to a
 * reader that takes its flags for cleared, what has been flushed is all there. Global heaps (III.E) keep strings of variable length: a
 * damaged one with an object of no size keeps the library in a loop without end (found by damaging files at random; HDF5 2.0).
 *
 * @example
 * openFlagsOf('running.h5'); // 'swmr'
 */
import { closeSync, openSync, readSync } from 'node:fs';

const SIGNATURE = Buffer.from('\x89HDF\r\n\x1a\n', 'latin1');
/** The one version whose flags the library heeds. */
const VERSION = 3;
const AT = { version: 8, offsetBytes: 9, flags: 11 } as const;
const WRITING = 0b001;
const SWMR = 0b100;
/** Signature to check sum with offsets of 8 bytes, the longest there are. */
const MAX_BYTES = 48;
/** User blocks may be longer; nobody makes them so. */
const MOST_PLACES = 24;

/** How a writer has a file open: so that others may read, or alone; undefined when none has. */
export function openFlagsOf(path: string): 'swmr' | 'writing' | undefined {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(MAX_BYTES);
    for (let i = 0, at = 0; i < MOST_PLACES; i++, at = at === 0 ? 512 : 2 * at) {
      if (readSync(fd, bytes, 0, MAX_BYTES, at) < SIGNATURE.length) return undefined;
      if (!bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE)) continue;
      if (bytes[AT.version] !== VERSION || (bytes[AT.flags] & (WRITING | SWMR)) === 0) return undefined;
      return bytes[AT.flags] & SWMR ? 'swmr' : 'writing';
    }
    return undefined;
  } finally {
    closeSync(fd);
  }
}

/** Clears the flags in some bytes that were read, where they are a superblock, and makes its check sum right again. */
export function clearOpenFlags(bytes: Uint8Array): void {
  // The library reads a superblock on its own; anything longer is data.
  if (bytes.length > 2 * MAX_BYTES || bytes.length < MAX_BYTES / 2 || bytes[AT.version] !== VERSION) return;
  // (Buffers of the build for browsers compare themselves with nothing but Buffers.)
  if (SIGNATURE.some((byte, i) => byte !== bytes[i]) || bytes[AT.flags] === 0) return;
  const end = AT.flags + 1 + 4 * bytes[AT.offsetBytes];
  if (end + 4 > bytes.length) return;
  bytes[AT.flags] = 0;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(end, checksum(bytes.subarray(0, end)), true);
}

/** Bob Jenkins' lookup3, as HDF5 uses it for all metadata. */
export function checksum(bytes: Uint8Array): number {
  let a = (0xdeadbeef + bytes.length) | 0;
  let b = a;
  let c = a;
  const word = (at: number) => {
    let value = 0;
    for (let i = 3; i >= 0; i--) value = (value << 8) | (bytes[at + i] ?? 0);
    return value;
  };
  const turn = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  let at = 0;
  for (; bytes.length - at > 12; at += 12) {
    a = (a + word(at)) | 0;
    b = (b + word(at + 4)) | 0;
    c = (c + word(at + 8)) | 0;
    a = ((a - c) ^ turn(c, 4)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ turn(a, 6)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ turn(b, 8)) | 0;
    b = (b + a) | 0;
    a = ((a - c) ^ turn(c, 16)) | 0;
    c = (c + b) | 0;
    b = ((b - a) ^ turn(a, 19)) | 0;
    a = (a + c) | 0;
    c = ((c - b) ^ turn(b, 4)) | 0;
    b = (b + a) | 0;
  }
  if (bytes.length === at) return c >>> 0;
  a = (a + word(at)) | 0;
  b = (b + word(at + 4)) | 0;
  c = (c + word(at + 8)) | 0;
  c = ((c ^ b) - turn(b, 14)) | 0;
  a = ((a ^ c) - turn(c, 11)) | 0;
  b = ((b ^ a) - turn(a, 25)) | 0;
  c = ((c ^ b) - turn(b, 16)) | 0;
  a = ((a ^ c) - turn(c, 4)) | 0;
  b = ((b ^ a) - turn(a, 14)) | 0;
  c = ((c ^ b) - turn(b, 24)) | 0;
  return c >>> 0;
}

const HEAP_SIGNATURE = Buffer.from('GCOL');
/** Of a collection and of an object; sizes of 8 bytes, as every writer of today uses. */
const HEADER_BYTES = 16;
/** Metadata are read in small pieces; larger reads are data. */
const MAX_HEAP_BYTES = 1 << 20;

/** True unless some bytes that were read hold a global heap whose objects do not fill it one after the other. */
export function globalHeapsAreSound(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_HEAP_BYTES) return true;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = view.indexOf(HEAP_SIGNATURE); at >= 0; at = view.indexOf(HEAP_SIGNATURE, at + 1)) {
    if (!isSound(view.subarray(at))) return false;
  }
  return true;
}

/** A collection from its signature on, as far as it was read. */
function isSound(heap: Buffer): boolean {
  if (heap.length < HEADER_BYTES || heap[4] !== 1 || heap.readUIntBE(5, 3) !== 0) return true;
  const declared = heap.readBigUInt64LE(8);
  const end = Number(declared < BigInt(heap.length) ? declared : BigInt(heap.length));
  for (let at = HEADER_BYTES; at + HEADER_BYTES <= end; ) {
    const size = heap.readBigUInt64LE(at + 8);
    const isFree = heap.readUInt16LE(at) === 0;
    const needed = isFree ? size : BigInt(HEADER_BYTES) + ((size + 7n) & ~7n);
    if (needed < BigInt(HEADER_BYTES) || BigInt(at) + needed > declared) return false;
    // The rest of the collection comes with another read.
    if (BigInt(at) + needed > BigInt(end)) return true;
    at += Number(needed);
  }
  return true;
}
