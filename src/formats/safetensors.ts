/**
 * safetensors: named float32 arrays in one file, readable at an offset (https://github.com/huggingface/safetensors).
 *
 * Layout: 8 bytes little endian = length of the header; the header, JSON `{name: {dtype, shape, data_offsets}}` padded with
 * spaces; then the data, back to back without holes. We write names in order and let the data begin at a multiple of 64, so
 * equal tensors give equal bytes and a reader may map the file.
 *
 * @example
 * const { bytes, entries } = encodeSafetensors({ 'encoder.0.weight': { data, shape: [64, 1, 3, 3] } });
 * const { tensors } = decodeSafetensors(bytes, 'weights.safetensors');
 */
import { PtychoError } from '../core/errors.js';
import { type Shape, sizeOf, type Tensor } from '../core/tensor.js';

/** Where a tensor's bytes lie, counted from the beginning of the file. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** A file's bytes and where each tensor lies in it, in name order. */
export interface EncodedSafetensors {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly entries: ReadonlyMap<string, ByteRange>;
}

/** A file's tensors in the order of their bytes, and where each lies. */
export interface DecodedSafetensors {
  readonly tensors: Readonly<Record<string, Tensor>>;
  readonly entries: ReadonlyMap<string, ByteRange>;
}

/** The data of a file that we write begin at a multiple of this. */
const ALIGNMENT = 64;
/** The limit that the format's own implementation puts on a header. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA = '__metadata__';

/**
 * Writes float32 tensors as one safetensors file.
 * @param tensors name → array; names must not be empty or `__metadata__`.
 * @throws PtychoError FORMAT_UNSUPPORTED for a name that the format reserves, DATASET_SHAPE for data of another length than its shape.
 */
export function encodeSafetensors(tensors: Readonly<Record<string, Tensor>>): EncodedSafetensors {
  const names = Object.keys(tensors).sort();
  const header: [string, unknown][] = [];
  let end = 0;
  for (const name of names) {
    const { data, shape } = tensors[name];
    if (name === '' || name === METADATA) {
      throw new PtychoError('FORMAT_UNSUPPORTED', `A tensor of a safetensors file cannot be called "${name}".`, {
        name,
      });
    }
    if (data.length !== sizeOf(shape)) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `${name}: ${data.length} values cannot have shape ${list(shape)} (${sizeOf(shape)} values).`,
        { name, found: data.length, expected: sizeOf(shape) },
      );
    }
    header.push([name, { dtype: 'F32', shape, data_offsets: [end, end + data.byteLength] }]);
    end += data.byteLength;
  }
  // fromEntries, not assignment: a tensor may be called "__proto__".
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  const start = Math.ceil((8 + json.length) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(start + end);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(start - 8), true);
  bytes.fill(0x20, 8, start);
  bytes.set(json, 8);
  const entries = new Map<string, ByteRange>();
  let offset = start;
  for (const name of names) {
    const { data } = tensors[name];
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    entries.set(name, { offset, length: data.byteLength });
    offset += data.byteLength;
  }
  return { bytes, entries };
}

/**
 * Reads a safetensors file of float32 tensors and checks all of it: the header's length and JSON, dtypes, shapes, and that
 * the data lie back to back from the header to the end of the file.
 *
 * @param bytes the whole file. The tensors are views of it where it is aligned to 4 bytes, else copies: do not write to them.
 * @param source what to call the file in an error.
 * @throws PtychoError FILE_TRUNCATED when bytes are missing, FORMAT_UNSUPPORTED for a dtype other than F32, FILE_FORMAT for
 * everything else that is not as the format wants it.
 */
export function decodeSafetensors(bytes: Uint8Array, source = 'safetensors file'): DecodedSafetensors {
  const bad = (why: string): never => {
    throw new PtychoError('FILE_FORMAT', `${source}: ${why}.`, { source });
  };
  const truncated = (why: string): never => {
    throw new PtychoError('FILE_TRUNCATED', `${source}: the file ends too early, ${why}; copy or download it again.`, {
      source,
    });
  };
  if (bytes.length < 8) truncated(`${bytes.length} bytes cannot hold a safetensors header`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getBigUint64(0, true);
  if (headerLength > BigInt(MAX_HEADER_BYTES)) bad(`a header of ${headerLength} bytes is no safetensors header`);
  const start = 8 + Number(headerLength);
  if (start > bytes.length) truncated(`its header claims ${headerLength} bytes, ${bytes.length - 8} are there`);

  let text = '';
  let header: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(8, start));
    header = JSON.parse(text);
  } catch (cause) {
    throw new PtychoError('FILE_FORMAT', `${source}: the safetensors header is not valid JSON.`, { source }, { cause });
  }
  if (!isRecord(header) || text[0] !== '{') return bad('the safetensors header is not a JSON object');
  const twice = duplicateKey(text);
  if (twice !== undefined) bad(`the safetensors header names "${twice}" twice`);

  const found: { name: string; shape: number[]; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === METADATA) {
      if (!isRecord(entry) || !Object.values(entry).every((v) => typeof v === 'string'))
        bad(`${METADATA} may hold text only`);
      continue;
    }
    if (!isRecord(entry)) return bad(`the entry "${name}" is not a JSON object`);
    const { dtype, shape, data_offsets: range } = entry;
    if (dtype !== 'F32') {
      throw new PtychoError(
        'FORMAT_UNSUPPORTED',
        `${source}: tensor "${name}" has dtype ${JSON.stringify(dtype)}; only F32 is supported.`,
        { source, name, found: dtype, expected: 'F32' },
      );
    }
    if (!isCounts(shape) || !Number.isSafeInteger(4 * sizeOf(shape))) return bad(`tensor "${name}" has no valid shape`);
    if (!isCounts(range) || range.length !== 2 || range[1] < range[0])
      return bad(`tensor "${name}" has no valid data_offsets`);
    const [begin, end] = range;
    if (start + end > bytes.length) {
      truncated(`tensor "${name}" needs bytes up to ${start + end}, the file has ${bytes.length}`);
    }
    if (end - begin !== 4 * sizeOf(shape)) {
      bad(
        `tensor "${name}" of shape ${list(shape)} needs ${4 * sizeOf(shape)} bytes, its data_offsets give ${end - begin}`,
      );
    }
    found.push({ name, shape, begin, end });
  }

  found.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const t of found) {
    if (t.begin !== at)
      bad(`tensor "${t.name}" begins at data byte ${t.begin}, ${at} was expected: holes and overlaps are not allowed`);
    at = t.end;
  }
  if (start + at !== bytes.length) bad(`${bytes.length - start - at} bytes at the end belong to no tensor`);

  const entries = new Map<string, ByteRange>();
  const tensors = found.map((t): [string, Tensor] => {
    const range = { offset: start + t.begin, length: t.end - t.begin };
    entries.set(t.name, range);
    return [t.name, { data: floatsAt(bytes, range), shape: t.shape }];
  });
  return { tensors: Object.fromEntries(tensors), entries };
}

/** A view of the floats at `range`, a copy where they are not aligned. */
function floatsAt(bytes: Uint8Array, { offset, length }: ByteRange): Float32Array {
  const at = bytes.byteOffset + offset;
  return at % 4 === 0
    ? new Float32Array(bytes.buffer, at, length / 4)
    : new Float32Array(new Uint8Array(bytes.subarray(offset, offset + length)).buffer);
}

/** The first key that an object of this (valid) JSON text holds twice; JSON.parse would keep the last one silently. */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  let last: string | undefined;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]/g)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token === ':' && last !== undefined) {
      const keys = open[open.length - 1];
      if (keys.has(last)) return last;
      keys.add(last);
    }
    last = token[0] === '"' ? (JSON.parse(token) as string) : undefined;
  }
  return undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && v >= 0);
}

const list = (shape: Shape) => `[${shape.join(', ')}]`;
