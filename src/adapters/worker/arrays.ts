/** Arrays in frames: the table in the header, and the bytes that follow it. */

import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { PtychoError } from '../../core/errors.js';
import { closing, openInput } from '../../core/inputFile.js';
import {
  type ComplexTensor,
  formatShape,
  type NumericArray,
  type Shape,
  sizeOf,
  type Tensor,
} from '../../core/tensor.js';
import { expectComplex64, expectReal, type NpyArray, NpyDecoder, parseNpy } from '../../formats/npy.js';
import { headerOfData, type NpyDtype, type NpyOrigin } from '../../formats/npyHeader.js';
import { npyBytes } from '../../formats/npyWrite.js';

/** Bytes of an element of each type that goes over the pipe. */
export const DTYPE_BYTES = {
  bool: 1,
  int8: 1,
  int16: 2,
  int32: 4,
  int64: 8,
  uint8: 1,
  uint16: 2,
  uint32: 4,
  uint64: 8,
  float16: 2,
  float32: 4,
  float64: 8,
  complex64: 8,
  complex128: 16,
} as const satisfies Partial<Record<NpyDtype, number>>;

/** Types whose little-endian bytes are those of a typed array. */
const VIEWS: Partial<Record<keyof typeof DTYPE_BYTES, new (buffer: ArrayBuffer) => NumericArray>> = {
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
};

const name = z.string().min(1).max(64);
const inline = z.strictObject({
  name,
  dtype: z.enum(Object.keys(DTYPE_BYTES) as (keyof typeof DTYPE_BYTES)[]),
  shape: z.array(z.number().int().nonnegative()).max(8),
});
const reference = z.strictObject({ name, path: z.string().min(1) });

/** The table `blobs` of a header. */
export const blobTable = z.array(z.union([inline, reference])).default([]);
/** An array whose bytes follow the header. */
export type InlineBlob = z.output<typeof inline>;
/** An array, or the `.npy` file that holds it. */
export type BlobEntry = InlineBlob | z.output<typeof reference>;

/** An array of a frame that has come whole: its bytes, or the `.npy` file that holds it. */
export type Blob = { readonly entry: InlineBlob; readonly bytes: Uint8Array } | { readonly path: string };

/** Bytes of an array in the payload; Infinity where the shape is impossible. */
export function bytesOf(entry: BlobEntry): number {
  if ('path' in entry) return 0;
  const bytes = sizeOf(entry.shape) * DTYPE_BYTES[entry.dtype];
  return Number.isSafeInteger(bytes) ? bytes : Number.POSITIVE_INFINITY;
}

/**
 * The array of a blob whose bytes are here; plain numbers are not copied where `bytes` has its buffer for itself.
 * @param origin the frame, for messages
 * @throws PtychoError DATASET_VALUE for 64-bit integers that no double holds
 */
function decodeBlob(entry: InlineBlob, bytes: Uint8Array, origin: string): NpyArray {
  const { dtype, shape } = entry;
  const view = VIEWS[dtype];
  const buffer = bytes.buffer as ArrayBuffer;
  if (view && bytes.byteLength === buffer.byteLength) {
    return { kind: 'real', dtype, shape, data: new view(buffer) };
  }
  const header = headerOfData(dtype, DTYPE_BYTES[dtype], shape);
  const decoder = new NpyDecoder(header, { path: origin, member: entry.name });
  decoder.push(bytes);
  return decoder.finish();
}

/** An array that is sent: real, or complex with its parts apart. */
export type OutgoingArray = Tensor<NumericArray> | ComplexTensor<Float32Array | Float64Array>;

/** Entry and bytes of an array. Complex numbers are copied here; real ones are sent from where they lie. */
export function encodeBlob(blobName: string, array: OutgoingArray): { entry: InlineBlob; chunks: Uint8Array[] } {
  const chunks = [...npyBytes(array).values()];
  const dtype = 're' in array ? (array.re.BYTES_PER_ELEMENT === 4 ? 'complex64' : 'complex128') : dtypeName(array.data);
  return { entry: { name: blobName, dtype, shape: [...array.shape] }, chunks };
}

function dtypeName(data: NumericArray): keyof typeof DTYPE_BYTES {
  return data[Symbol.toStringTag].replace('Array', '').toLowerCase() as keyof typeof DTYPE_BYTES;
}

/** A vector as an array to send. */
export const vector = (data: NumericArray): OutgoingArray => ({ data, shape: [data.length] satisfies Shape });

/** The arrays of a frame, loaded when they are asked for. */
export class FrameArrays {
  readonly #where: string;
  readonly #blobs: ReadonlyMap<string, Blob>;

  constructor(frame: { readonly number: number; readonly blobs: ReadonlyMap<string, Blob> }) {
    this.#where = `frame ${frame.number}`;
    this.#blobs = frame.blobs;
  }

  has(name: string): boolean {
    return this.#blobs.has(name);
  }

  /**
   * Refuses arrays that nobody would look at.
   * @throws PtychoError USAGE
   */
  only(known: readonly string[]): void {
    for (const name of this.#blobs.keys()) {
      if (known.includes(name)) continue;
      const expected = known.length === 0 ? 'it takes none' : `it takes ${known.join(', ')}`;
      throw new PtychoError('USAGE', `The request has an array "${name}", but ${expected}.`, {
        key: name,
        expected: known,
      });
    }
  }

  /** Real numbers; @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE, and those of reading a file */
  async real(name: string, axes: readonly number[]): Promise<Tensor<NumericArray>> {
    const [array, origin] = await this.#load(name, axes);
    const { data, shape } = expectReal(array, origin);
    return { data, shape };
  }

  /** Complex numbers in single precision; throws as {@link real}. */
  async complex(name: string, axes: readonly number[]): Promise<ComplexTensor> {
    const [array, origin] = await this.#load(name, axes);
    return expectComplex64(array, origin);
  }

  async #load(name: string, axes: readonly number[]): Promise<[NpyArray, NpyOrigin]> {
    const blob = this.#blobs.get(name);
    if (blob === undefined) {
      throw new PtychoError('DATASET_KEY_MISSING', `The request needs the array "${name}".`, { key: name });
    }
    const origin = 'path' in blob ? { path: blob.path } : { path: this.#where, member: name };
    const array = 'path' in blob ? await readNpy(blob.path) : decodeBlob(blob.entry, blob.bytes, this.#where);
    if (!axes.includes(array.shape.length)) {
      throw new PtychoError(
        'DATASET_SHAPE',
        `The array "${name}" has shape ${formatShape(array.shape)}; ${axes.join(' or ')} axes were expected.`,
        { key: name, found: array.shape, expected: axes },
      );
    }
    return [array, origin];
  }
}

async function readNpy(path: string): Promise<NpyArray> {
  return closing(await openInput(path), async (handle) => parseNpy(await readFile(handle), { path }));
}
