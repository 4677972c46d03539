/**
 * LZ4 blocks and bitshuffle, as detectors send frames over a network. Read are all blocks; written are blocks of literals, which are
 * valid but not small, for simulations.
 * Source: the LZ4 block format (Y. Collet) and the bitshuffle format (K. Masui et al., Astronomy and Computing 12, 181, 2015).
 *
 * @example
 * const bytes = decodeLz4(block, 2 * 1030 * 1065);
 */
import { PtychoError } from '../core/errors.js';

const damaged = (what: string) => new PtychoError('FILE_FORMAT', `The compressed frame is damaged: ${what}.`, {});

/** What a block of LZ4 holds. @throws PtychoError FILE_FORMAT for a block that is damaged or of another size */
export function decodeLz4(block: Uint8Array, size: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(size);
  let [from, to] = [0, 0];
  const long = (length: number): number => {
    if (length < 15) return length;
    let [sum, byte] = [length, 255];
    while (byte === 255) {
      if (from >= block.length) throw damaged('it ends within a length');
      byte = block[from++];
      sum += byte;
    }
    return sum;
  };
  while (from < block.length) {
    const token = block[from++];
    const literals = long(token >> 4);
    if (from + literals > block.length || to + literals > size) throw damaged('it holds more than it says');
    out.set(block.subarray(from, from + literals), to);
    [from, to] = [from + literals, to + literals];
    // The last sequence has literals alone.
    if (from >= block.length) break;
    if (from + 2 > block.length) throw damaged('it ends within a distance');
    const distance = block[from] + 256 * block[from + 1];
    from += 2;
    const length = long(token & 15) + 4;
    if (distance === 0 || distance > to || to + length > size) throw damaged('it refers to what is not there');
    // Matches may overlap what they make: byte by byte.
    for (let k = 0; k < length; k++, to++) out[to] = out[to - distance];
  }
  if (to !== size) throw damaged(`it holds ${to} bytes in place of ${size}`);
  return out;
}

/** A block of LZ4 that holds the bytes as they are. */
export function encodeLz4(bytes: Uint8Array): Uint8Array {
  const more = bytes.length < 15 ? [] : lengthBytes(bytes.length - 15);
  const out = new Uint8Array(1 + more.length + bytes.length);
  out[0] = Math.min(15, bytes.length) << 4;
  out.set(more, 1);
  out.set(bytes, 1 + more.length);
  return out;
}

function lengthBytes(rest: number): number[] {
  const bytes = new Array<number>(Math.floor(rest / 255)).fill(255);
  return [...bytes, rest % 255];
}

/** Elements in a block, about 8 kB, where nothing else is said. */
const blockElements = (size: number): number => Math.max(128, Math.floor(8192 / size / 8) * 8);
const HEADER_BYTES = 12;

/**
 * What a frame of bitshuffle and LZ4 holds: eight bytes of its size and four of its blocks' (big endian), then blocks, each after its
 * length, then what makes no eight elements.
 * @param element bytes of an element: 1, 2 or 4
 * @param size bytes of the frame
 * @throws PtychoError FILE_FORMAT
 */
export function decodeBitshuffleLz4(bytes: Uint8Array, element: number, size: number): Uint8Array<ArrayBuffer> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_BYTES) throw damaged('it ends within its head');
  const said = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
  if (said !== size) throw damaged(`it says that it holds ${said} bytes in place of ${size}`);
  const block = view.getUint32(8) === 0 ? blockElements(element) * element : view.getUint32(8);
  if (block % (8 * element) !== 0 || block > 2 ** 24)
    throw damaged(`its blocks of ${block} bytes are no multiple of eight elements`);
  const out = new Uint8Array(size);
  let [from, to] = [HEADER_BYTES, 0];
  const whole = Math.floor(size / (8 * element)) * 8 * element;
  while (to < whole) {
    const length = Math.min(block, whole - to);
    if (from + 4 > bytes.length) throw damaged('it ends before a block');
    const packed = view.getUint32(from);
    from += 4;
    if (from + packed > bytes.length) throw damaged('it ends within a block');
    unshuffle(decodeLz4(bytes.subarray(from, from + packed), length), element, out.subarray(to, to + length));
    [from, to] = [from + packed, to + length];
  }
  if (bytes.length - from < size - whole) throw damaged('it ends before its last elements');
  out.set(bytes.subarray(from, from + size - whole), whole);
  return out;
}

/** The same the other way, in blocks of literals. */
export function encodeBitshuffleLz4(bytes: Uint8Array, element: number): Uint8Array {
  const block = blockElements(element) * element;
  const whole = Math.floor(bytes.length / (8 * element)) * 8 * element;
  const parts: Uint8Array[] = [];
  const head = new DataView(new ArrayBuffer(HEADER_BYTES));
  head.setUint32(0, Math.floor(bytes.length / 2 ** 32));
  head.setUint32(4, bytes.length % 2 ** 32);
  head.setUint32(8, block);
  parts.push(new Uint8Array(head.buffer));
  for (let at = 0; at < whole; at += block) {
    const packed = encodeLz4(shuffle(bytes.subarray(at, Math.min(whole, at + block)), element));
    const length = new DataView(new ArrayBuffer(4));
    length.setUint32(0, packed.length);
    parts.push(new Uint8Array(length.buffer), packed);
  }
  parts.push(bytes.subarray(whole));
  return Uint8Array.from(Buffer.concat(parts));
}

/** Bit b of all elements stands in row b, eight elements a byte, the first in the lowest bit. */
function unshuffle(rows: Uint8Array, element: number, out: Uint8Array): void {
  const count = rows.length / element;
  const width = count / 8;
  for (let byte = 0; byte < element; byte++) {
    for (let bit = 0; bit < 8; bit++) {
      const row = (8 * byte + bit) * width;
      for (let k = 0; k < width; k++) {
        const eight = rows[row + k];
        if (eight === 0) continue;
        for (let i = 0; i < 8; i++) {
          if (eight & (1 << i)) out[(8 * k + i) * element + byte] |= 1 << bit;
        }
      }
    }
  }
}

function shuffle(bytes: Uint8Array, element: number): Uint8Array {
  const rows = new Uint8Array(bytes.length);
  const count = bytes.length / element;
  const width = count / 8;
  for (let i = 0; i < count; i++) {
    for (let byte = 0; byte < element; byte++) {
      const value = bytes[i * element + byte];
      for (let bit = 0; bit < 8; bit++) {
        if (value & (1 << bit)) rows[(8 * byte + bit) * width + (i >> 3)] |= 1 << (i & 7);
      }
    }
  }
  return rows;
}
