/** One array out of another file, as options name it: `FILE` or `FILE:key`; NPY, NPZ, HDF5 or TIFF, told apart by content. */
import { PtychoError } from '../../core/errors.js';
import { isHdf5File, openHdf5, refuseMatlab5 } from '../../formats/hdf5/file.js';
import type { NpyArray } from '../../formats/npy.js';
import type { NpyOrigin } from '../../formats/npyHeader.js';
import { isNpyFile, openNpz, readNpyFile } from '../../formats/npz.js';
import { TiffFile } from '../../formats/tiff.js';
import { isTiffFile } from './fileKind.js';
import { splitFileSpec } from './fileSpec.js';

/** An array and where it is from. */
export interface FoundArray {
  readonly array: NpyArray;
  readonly origin: NpyOrigin;
}

/**
 * Reads the array that `FILE[:key]` names.
 * @param usual keys to look for when none is given; the first that the file has is taken.
 * @param allowLinks folders that links of an HDF5 file may lead to.
 * @param what the array is to be, for messages: `a probe`.
 * @throws PtychoError DATASET_KEY_MISSING, and those of reading the file.
 */
export async function readArrayFile(
  spec: string,
  usual: readonly string[],
  what: string,
  allowLinks?: readonly string[],
): Promise<FoundArray> {
  const { file, key } = splitFileSpec(spec);
  if (await isNpyFile(file)) {
    if (key === undefined) return { array: await readNpyFile(file), origin: { path: file } };
    throw new PtychoError('CONFIG_INVALID', `${file} is a single array, so it has no "${key}"; write ${file} alone.`, {
      path: file,
      key,
    });
  }
  if (await isTiffFile(file)) return { array: await readTiffPages(file), origin: { path: file } };
  const choose = (has: (name: string) => boolean): string => {
    const chosen = key ?? usual.find(has);
    if (chosen !== undefined) return chosen;
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file} holds no ${usual.join(' or ')}; say which of its arrays is ${what} with ${file}:key.`,
      { path: file, expected: usual },
    );
  };
  if (await isHdf5File(file)) {
    const hdf5 = await openHdf5(file, allowLinks);
    try {
      const name = choose((candidate) => hdf5.has(candidate));
      return { array: hdf5.read(name), origin: hdf5.origin(name) };
    } finally {
      hdf5.close();
    }
  }
  await refuseMatlab5(file);
  const npz = await openNpz(file);
  try {
    const name = choose((candidate) => npz.has(candidate)).replace(/^\//, '');
    return { array: await npz.read(name), origin: npz.origin(name) };
  } finally {
    await npz.close();
  }
}

/** All pages, (pages, height, width), in single precision. @throws PtychoError DATASET_SHAPE for pages that differ in size */
async function readTiffPages(path: string): Promise<NpyArray> {
  const tiff = await TiffFile.open(path);
  try {
    const [{ width, height }] = tiff.pages;
    const data = new Float32Array(tiff.pages.length * width * height);
    for (let page = 0; page < tiff.pages.length; page++) {
      const { data: pixels } = await tiff.read(page);
      if (pixels.length !== width * height) {
        throw new PtychoError('DATASET_SHAPE', `${path}, page ${page + 1}, is of another size than page 1.`, { path });
      }
      data.set(pixels, page * width * height);
    }
    return { kind: 'real', data, dtype: 'float32', shape: [tiff.pages.length, height, width] };
  } finally {
    await tiff.close();
  }
}
