/**
 * Global heaps, where HDF5 keeps strings of variable length, checked before the library sees them: a damaged one with an
 * object of no size keeps it in a loop without end (found by damaging files at random; HDF5 2.0). Layout: HDF5 File Format
 * Specification 4.0, III.E.
 */

const SIGNATURE = Buffer.from('GCOL');
/** Of a collection and of an object; sizes of 8 bytes, as every writer of today uses. */
const HEADER_BYTES = 16;
/** Metadata are read in small pieces; larger reads are data. */
const MAX_BYTES = 1 << 20;

/** True unless some bytes that were read hold a global heap whose objects do not fill it one after the other. */
export function globalHeapsAreSound(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_BYTES) return true;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = view.indexOf(SIGNATURE); at >= 0; at = view.indexOf(SIGNATURE, at + 1)) {
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
