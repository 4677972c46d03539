/** Texts in NPZ files, in all the ways in which NumPy users store one; nothing is unpickled. */
import { isPtychoError } from '../../core/errors.js';
import { npyHeaderLength, PREFIX_BYTES } from '../../formats/npyHeader.js';
import type { NpzFile } from '../../formats/npz.js';
import { pickledText } from '../../formats/pickleText.js';
import { MAX_METADATA_BYTES } from '../metadata.js';

/**
 * The one text of an array: a `<U` scalar, `|S` or uint8 bytes (UTF-8), or an object array of one str, whose pickle is read
 * without executing anything.
 * @returns the text, or why there is none, in words that go after the name of the array.
 * @throws PtychoError reading errors of the file.
 */
export async function readText(
  npz: NpzFile,
  key: string,
): Promise<{ readonly text: string } | { readonly problem: string }> {
  let descr: string;
  try {
    const header = await npz.header(key);
    if (header.dataBytes > MAX_METADATA_BYTES)
      return { problem: `holds ${header.dataBytes} bytes, too many for a text` };
    const array = await npz.read(key);
    if (array.kind === 'text' && array.strings.length === 1) return { text: array.strings[0] };
    if (array.kind === 'real' && array.dtype === 'uint8') return decoded(array.data as Uint8Array);
    return { problem: `holds ${array.dtype} values and not one text` };
  } catch (error) {
    if (!isPtychoError(error, 'FORMAT_UNSUPPORTED') || typeof error.fields.found !== 'string') throw error;
    descr = error.fields.found;
  }
  const bytes = await npz.memberBytes(key, MAX_METADATA_BYTES);
  const content = bytes.subarray(npyHeaderLength(bytes.subarray(0, PREFIX_BYTES), npz.origin(key)));
  if (/^\|S\d+$/.test(descr)) return decoded(content);
  const text = /O/.test(descr) ? pickledText(content) : undefined;
  return text === undefined
    ? { problem: `has dtype ${descr} and is no pickled text; other pickled objects are never loaded` }
    : { text };
}

function decoded(bytes: Uint8Array): { readonly text: string } | { readonly problem: string } {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, end)) };
  } catch {
    return { problem: 'holds bytes that are no UTF-8 text' };
  }
}
