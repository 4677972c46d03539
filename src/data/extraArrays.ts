/**
 * Arrays of an NPZ scan that the contract does not know (`objectTrue`, `source_index`, …), so that tools which rewrite a scan do
 * not lose them.
 *
 * @example
 * const extra = await readExtraArrays('scan.npz');
 * await writeScan('half.npz', raw, { rows, extra: extra.of(rows) });
 */
import { isPtychoError, messageOf } from '../core/errors.js';
import { type NumericArray, sizeOf } from '../core/tensor.js';
import type { NpyArray } from '../formats/npy.js';
import type { NpyInput } from '../formats/npyWrite.js';
import { type NpzFile, openNpz } from '../formats/npz.js';

/** Everything that readers of NPZ scans understand or writers make. */
const CONTRACT_KEYS: ReadonlySet<string> = new Set([
  'diffraction',
  'diff3d',
  'patterns',
  'xcoords',
  'ycoords',
  'xcoords_start',
  'ycoords_start',
  'probeGuess',
  'objectGuess',
  'scan_index',
  'probe_position_indexes',
  'bad_pixels',
  'measurement_domain',
  'Y',
  'ground_truth_patches',
  'label',
  'norm_Y_I',
  'sample_indices',
  '_metadata',
]);
/** Larger ones are left out: they would be copied through the memory. */
const LARGEST_BYTES = 2 ** 29;

/** What {@link readExtraArrays} found. */
export interface ExtraArrays {
  readonly keys: readonly string[];
  /** What was left out and why, whole sentences. */
  readonly notes: readonly string[];
  /** The arrays for some patterns of the file: those with one entry a pattern are picked from, the others are whole. */
  of(rows: ArrayLike<number>): Record<string, NpyInput>;
}

/**
 * Reads them. An array belongs to the patterns when its first axis is as long as the scan and it is no complex image.
 * @throws PtychoError reading errors of the file, but not for arrays of types that cannot be read: these are left out.
 */
export async function readExtraArrays(path: string): Promise<ExtraArrays> {
  const npz = await openNpz(path, { maxResidentBytes: LARGEST_BYTES });
  try {
    const notes: string[] = [];
    const arrays: [string, NpyArray][] = [];
    for (const key of npz.keys.filter((name) => !CONTRACT_KEYS.has(name))) {
      try {
        arrays.push([key, await npz.read(key)]);
      } catch (error) {
        if (!isPtychoError(error, 'FORMAT_UNSUPPORTED')) throw error;
        notes.push(`Left out: ${messageOf(error)}`);
      }
    }
    const patterns = await countOf(npz);
    return {
      keys: arrays.map(([key]) => key),
      notes,
      of: (rows) =>
        Object.fromEntries(
          arrays.map(([key, array]) => {
            const whole = array.shape[0] !== patterns || (array.kind === 'complex' && array.shape.length === 2);
            return [key, input(whole ? array : pickRows(array, rows))];
          }),
        ),
    };
  } finally {
    await npz.close();
  }
}

/** One value of `xcoords` a pattern; without them nothing is taken to belong to patterns. */
async function countOf(npz: NpzFile): Promise<number> {
  return npz.has('xcoords') ? ((await npz.header('xcoords')).shape[0] ?? -1) : -1;
}

function pickRows(array: NpyArray, rows: ArrayLike<number>): NpyArray {
  const size = sizeOf(array.shape.slice(1));
  const shape = [rows.length, ...array.shape.slice(1)];
  const pick = <T extends NumericArray>(data: T): T => {
    const out = new (data.constructor as new (length: number) => T)(rows.length * size);
    for (let i = 0; i < rows.length; i++) out.set(data.subarray(rows[i] * size, (rows[i] + 1) * size), i * size);
    return out;
  };
  switch (array.kind) {
    case 'real':
      return { ...array, data: pick(array.data), shape };
    case 'complex':
      return { ...array, re: pick(array.re), im: pick(array.im), shape };
    case 'text':
      return {
        ...array,
        strings: Array.from(rows).flatMap((row) => array.strings.slice(row * size, (row + 1) * size)),
        shape,
      };
  }
}

/** What is written back is what was read; float16 becomes float32. */
function input(array: NpyArray): NpyInput {
  if (array.kind !== 'real') return array;
  const { data, shape, dtype } = array;
  return dtype === 'bool' || dtype === 'int64' || dtype === 'uint64' ? { data, shape, dtype } : { data, shape };
}
