/** One array out of another file, as options name it: `FILE` or `FILE:key`; NPY, NPZ, HDF5 or TIFF, told apart by content. */
import { PtychoError } from '../../core/errors.js';
import { closing } from '../../core/inputFile.js';
import { type Hdf5File, isHdf5File, refuseMatlab5, usingHdf5 } from '../../formats/hdf5/file.js';
import type { NpyArray } from '../../formats/npy.js';
import { isNpyFile, readNpyFile } from '../../formats/npyFile.js';
import type { NpyOrigin } from '../../formats/npyHeader.js';
import { usingNpz } from '../../formats/npz.js';
import { isTiffFile, splitFileSpec } from './files.js';

/** An array and where it is from. */
export interface FoundArray {
  readonly array: NpyArray;
  readonly origin: NpyOrigin;
}

/**
 * Reads the array that `FILE[:key]` names. Arrays of MATLAB (7.3) have their axes as MATLAB shows them.
 * @param usual keys to look for when none is given; the first that the file has is taken. A `*` stands for any name in a group of
 * an HDF5 file.
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
  const choose = (find: (name: string) => string | undefined): string => {
    for (const name of key === undefined ? usual : []) {
      const found = find(name);
      if (found !== undefined) return found;
    }
    if (key !== undefined) return key;
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file} holds no ${namesIn(usual)}; say which of its arrays is ${what} with ${file}:key.`,
      { path: file, expected: usual },
    );
  };
  if (await isHdf5File(file)) {
    return usingHdf5(
      file,
      (hdf5) => {
        const name = choose((candidate) => datasetLike(hdf5, candidate));
        return { array: hdf5.read(name), origin: hdf5.origin(name) };
      },
      allowLinks,
    );
  }
  await refuseMatlab5(file);
  return usingNpz(file, async (npz) => {
    const name = choose((candidate) => (npz.has(candidate) ? candidate : undefined)).replace(/^\//, '');
    return { array: await npz.read(name), origin: npz.origin(name) };
  });
}

/** All pages, (pages, height, width), in single precision. @throws PtychoError DATASET_SHAPE for pages that differ in size */
async function readTiffPages(path: string): Promise<NpyArray> {
  const { TiffFile } = await import('../../formats/tiff.js');
  return closing(await TiffFile.open(path), async (tiff) => {
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
  });
}

/** The usual names in a message: those of other programs' results are too many to be listed. */
function namesIn(usual: readonly string[]): string {
  const plain = usual.filter((name) => !name.includes('/'));
  return (plain.length > 0 ? plain : usual).join(' or ');
}

/** The dataset that a path leads to, in which `*` stands for the first name of a group with which it leads to one. */
export function datasetLike(file: Hdf5File, pattern: string): string | undefined {
  const at = pattern.indexOf('/*/');
  if (at < 0) return file.has(pattern) ? pattern : undefined;
  const [group, rest] = [pattern.slice(0, at), pattern.slice(at + 3)];
  if (file.kindOf(group) !== 'group') return undefined;
  for (const name of file.keys(group)) {
    const found = datasetLike(file, `${group}/${name}/${rest}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
