/** CRC-32 as zip uses it (polynomial 0xEDB88320). */
import * as zlib from 'node:zlib';

// zlib.crc32 came with Node 20.15; earlier 20.x releases fall back to the table below.
const native: ((data: Uint8Array, value?: number) => number) | undefined = zlib.crc32;

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

/** The table-driven CRC-32, for a Node without `zlib.crc32`; same arguments and result as {@link crc32}. */
export function crc32ByTable(data: Uint8Array, value = 0): number {
  let c = ~value;
  for (let i = 0; i < data.length; i++) c = table[(c ^ data[i]) & 255] ^ (c >>> 8);
  return ~c >>> 0;
}

/** CRC-32 of `data`, continuing from `value` (the CRC of what came before; 0 at the start). */
export const crc32 = (data: Uint8Array, value = 0): number =>
  native ? native(data, value) : crc32ByTable(data, value);
