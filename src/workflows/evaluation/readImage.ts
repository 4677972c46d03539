/** Images to score, in whatever file they lie. */
import { PtychoError } from '../../core/errors.js';
import { type ComplexImage, formatShape } from '../../core/tensor.js';
import { readArrayFile } from '../../data/opening/arrayFile.js';
import { splitFileSpec } from '../../data/opening/fileSpec.js';
import { PRODUCT_KEYS } from '../../data/readers/productKeys.js';
import { expectComplex64 } from '../../formats/npy.js';
import { nameOf } from '../../formats/npyHeader.js';
import { openNpz } from '../../formats/npz.js';

/** An image with what its file says of it. */
export interface StoredImage {
  /** The file, for messages. */
  readonly source: string;
  readonly image: ComplexImage;
  /** Object pixel [y, x] of the first pixel, where the file says so. */
  readonly originYxPx?: readonly [number, number];
  /** (rows·cols) zero where nothing was stitched. */
  readonly weight?: ArrayLike<number>;
  /** Sentences about what was assumed. */
  readonly notes: readonly string[];
}

const KEYS = ['reconstructed_object', 'objectGuess', PRODUCT_KEYS.object, 'object'];

/**
 * Reads a complex image: a `reconstruction.npz`, a scan with `objectGuess`, a Ptychodus product, or `FILE:key`.
 * @param what for messages: `the reconstruction`
 * @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, and those of reading files
 */
export async function readStoredImage(spec: string, what: string): Promise<StoredImage> {
  const { array, origin } = await readArrayFile(spec, KEYS, what);
  const whole = expectComplex64(array, origin);
  const shape = [...whole.shape];
  const notes: string[] = [];
  while (shape.length > 2) {
    const layers = shape.shift() ?? 1;
    if (layers > 1) notes.push(`${nameOf(origin)} has ${layers} layers; the first is scored.`);
  }
  if (shape.length !== 2 || shape[0] * shape[1] === 0) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${nameOf(origin)} of shape ${formatShape(whole.shape)} is no image of rows and columns; name another array with FILE:key.`,
      { path: origin.path, found: whole.shape },
    );
  }
  const size = shape[0] * shape[1];
  const image = { re: whole.re.subarray(0, size), im: whole.im.subarray(0, size), shape };
  return { source: spec, image, notes, ...(await placeOf(spec, origin.member, image)) };
}

/** What stands beside a reconstruction in an NPZ. */
async function placeOf(
  spec: string,
  key: string | undefined,
  image: ComplexImage,
): Promise<Pick<StoredImage, 'originYxPx' | 'weight'>> {
  const { file } = splitFileSpec(spec);
  // The true object of a scan is what its positions are pixels of.
  if (key === 'objectGuess') return { originYxPx: [0, 0] };
  if (key !== 'reconstructed_object' || !file.toLowerCase().endsWith('.npz')) return {};
  const npz = await openNpz(file);
  try {
    const found: { originYxPx?: readonly [number, number]; weight?: ArrayLike<number> } = {};
    if (npz.has('frame_origin_yx_px')) {
      const [y, x] = Array.from((await npz.readReal('frame_origin_yx_px')).data as ArrayLike<number>, Number);
      if (!Number.isInteger(y) || !Number.isInteger(x)) {
        throw new PtychoError(
          'DATASET_VALUE',
          `${file}: frame_origin_yx_px must be two whole numbers, row and column of the first pixel, found ${y}, ${x}.`,
          { path: file, key: 'frame_origin_yx_px' },
        );
      }
      found.originYxPx = [y, x];
    }
    if (npz.has('overlap_count')) {
      const { data } = await npz.readReal('overlap_count');
      if (data.length === image.re.length) found.weight = Float64Array.from(data as ArrayLike<number>);
    }
    return found;
  } finally {
    await npz.close();
  }
}
