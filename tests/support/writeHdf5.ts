/** Whole HDF5 files in one call, and filters to write them with. */
import { type Hdf5AttributeInput, type Hdf5StorageOptions, Hdf5Writer } from '../../src/formats/hdf5/writer.js';
import type { NpyInput } from '../../src/formats/npyWrite.js';

/** Number and options of filters that can be written. (LZF gives up on some chunks, which h5wasm does not let it do.) */
export const FILTERS = {
  lz4: { id: 32004, options: [0] },
  // Block size chosen by the filter, then 2 for LZ4.
  bitshuffle_lz4: { id: 32008, options: [0, 2] },
  zstd: { id: 32015, options: [3] },
  // Level 5 with byte shuffle and LZ4.
  blosc: { id: 32001, options: [0, 0, 0, 0, 5, 1, 1] },
} as const;

/** What {@link writeHdf5} writes, by absolute path. */
export interface Hdf5Content {
  readonly datasets: Readonly<
    Record<string, NpyInput | { readonly input: NpyInput; readonly storage: Hdf5StorageOptions }>
  >;
  readonly attributes?: Readonly<Record<string, Readonly<Record<string, Hdf5AttributeInput>>>>;
  /** New path → path of the dataset or group that it stands for, too. */
  readonly links?: Readonly<Record<string, string>>;
}

/**
 * Writes a whole file.
 * @throws PtychoError OUTPUT_UNWRITABLE (nothing is left behind), DATASET_SHAPE, DATASET_VALUE.
 */
export async function writeHdf5(path: string, content: Hdf5Content): Promise<void> {
  const file = await Hdf5Writer.create(path);
  try {
    for (const [name, entry] of Object.entries(content.datasets)) {
      if ('input' in entry) file.write(name, entry.input, entry.storage);
      else file.write(name, entry);
    }
    for (const [name, target] of Object.entries(content.links ?? {})) file.link(target, name);
    for (const [name, attributes] of Object.entries(content.attributes ?? {})) file.attributes(name, attributes);
  } catch (error) {
    await file.abort();
    throw error;
  }
  await file.close();
}
