/** `.npy` files made by hand, for what no writer of ours produces. */

/** A version 1 (or other) `.npy` file from a header text and data bytes. */
export function npyFile(header: string, data: Uint8Array, version = 1): Uint8Array {
  const prefix = version === 1 ? 10 : 12;
  const text = `${header}\n`;
  const head = Buffer.alloc(prefix + Buffer.byteLength(text));
  head.write('\x93NUMPY', 'latin1');
  head[6] = version;
  if (version === 1) head.writeUInt16LE(head.length - prefix, 8);
  else head.writeUInt32LE(head.length - prefix, 8);
  head.write(text, prefix);
  return Buffer.concat([head, data]);
}

/** The usual header dictionary. */
export const dictionary = (descr: string, shape: string, fortran = false): string =>
  `{'descr': '${descr}', 'fortran_order': ${fortran ? 'True' : 'False'}, 'shape': ${shape}, }`;
