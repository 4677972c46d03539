/** The arrays of a frame, loaded when they are asked for. */
import { readFile } from 'node:fs/promises';
import { PtychoError } from '../../core/errors.js';
import { openInput } from '../../core/inputFile.js';
import { type ComplexTensor, formatShape, type NumericArray, type Tensor } from '../../core/tensor.js';
import { expectComplex64, expectReal, type NpyArray, parseNpy } from '../../formats/npy.js';
import type { NpyOrigin } from '../../formats/npyHeader.js';
import { type Blob, decodeBlob } from './blobs.js';
import type { Frame } from './frame.js';

/** See the module. */
export class FrameArrays {
  readonly #where: string;
  readonly #blobs: ReadonlyMap<string, Blob>;

  constructor(frame: Pick<Frame, 'number' | 'blobs'>) {
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
  const handle = await openInput(path);
  try {
    return parseNpy(await readFile(handle), { path });
  } finally {
    await handle.close();
  }
}
