/** The images that are compared: what each is, whether it is worth comparing, and those that other programs or other runs have finished. */

import { isPtychoError, PtychoError } from '../../core/errors.js';
import { type ComplexImage, formatShape, sameShape, type Tensor } from '../../core/tensor.js';
import { readText } from '../../data/metadata.js';
import { splitFileSpec } from '../../data/opening/files.js';
import { isHdf5File } from '../../formats/hdf5/file.js';
import { type NpzFile, openNpz } from '../../formats/npz.js';
import type { Frame } from '../../reconstruction/frame.js';
import type { ImageRFactor } from '../../reconstruction/rFactor.js';
import {
  imageFile,
  placeOnScan,
  RECONSTRUCTION_KEYS,
  readStoredImage,
  type ScanPlace,
} from '../../reconstruction/storedImage.js';
import { checkReconstruction } from '../checks.js';
import { type NamedPath, nameOfAlgorithm } from './names.js';

/** An image before it is compared. */
export interface ComparedImage {
  readonly name: string;
  /** Made here by a network, or finished before. */
  readonly kind: 'bundle' | 'reconstruction';
  readonly path: string;
  readonly image: ComplexImage;
  /** In pixels of the scan's object. */
  readonly frame: Frame;
  /** False where the image does not say where it lies: then it is centred on the scan, and registration has to find the rest. */
  readonly frameKnown: boolean;
  /** (rows, cols), not 0 where the image means something. */
  readonly weight: Tensor;
  /** What making it took; NaN where nobody knows. */
  readonly seconds: number;
  /** What it is, in words: `cnn_cbam, pinn, gridsize 2`, or the algorithm. */
  readonly what: string;
  /** Patterns that went into it; undefined where the file does not say. */
  readonly patterns?: number;
  readonly rFactor?: ImageRFactor;
  /** What a reader of its numbers must know, a sentence each. */
  readonly warnings: readonly string[];
}

/** Numbers of such an image would hide that something went wrong before. */
const WORTHLESS = new Set(['empty', 'flat']);

/**
 * Looks at an image before it is compared. Single pixels that are no numbers are told: its metrics will be NaN, and shown so.
 * @param what the image is, as the beginning of a sentence
 * @returns what must be known of its numbers
 * @throws PtychoError DATASET_VALUE for an image that is zero or one value everywhere, or holds no number at all
 */
export function checkImage(image: ComplexImage, weight: Tensor, what: string): string[] {
  const { problems } = checkReconstruction(image, { weight: weight.data });
  const worthless = problems.find(({ code }) => WORTHLESS.has(code));
  const noNumber = image.re.every(
    (v, i) => !(weight.data[i] > 0) || !Number.isFinite(v) || !Number.isFinite(image.im[i]),
  );
  if (worthless || noNumber) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${what} ${worthless?.code === 'flat' ? 'is one value everywhere' : noNumber && !worthless ? 'holds no finite number' : 'is zero everywhere'}: the model did not learn, or the scan is not of the kind it was made for; look at the run that made it.`,
      { code: worthless?.code ?? 'not_finite' },
    );
  }
  // How much of the compared pixels is covered is measured on these.
  return problems.filter(({ code }) => code !== 'uncovered').map(({ message }) => `${what}: ${message}`);
}

/** What of a scan a finished reconstruction must fit. */
export interface FinishedContext {
  /** Shape of the truth; undefined where the scan has none. */
  readonly truthShape: readonly number[] | undefined;
  /** The rectangle that is compared. */
  readonly box: Frame;
  /** The scan; its `sampleIndices` are the patterns of the file that were drawn, ascending. */
  readonly scan: ScanPlace;
}

/** At least this share of the compared rectangle must lie in a finished reconstruction. */
const LEAST_SHARE = 0.25;

/**
 * Reads a result of another program (see `readStoredImage`), or `reconstructed_object` (rows, cols), complex, and what the file says about it: `algorithm`, `frame_origin_yx_px`,
 * `overlap_count`, `sample_indices`, `computation_time_seconds`. Its pixels are those of the truth. Without
 * `frame_origin_yx_px` an image of the truth's shape lies on it, any other is centred on the scan, as published.
 *
 * @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE for a file that does not keep the contract, or that was
 * made of other patterns; and those of reading
 */
export async function readFinished(arm: NamedPath, context: FinishedContext): Promise<ComparedImage> {
  const { name } = arm;
  const path = await imageFile(arm.path);
  if (await isForeign(path)) return readForeign({ name, path }, context);
  const npz = await openNpz(path);
  try {
    const image = await readObject(npz);
    await checkPatterns(npz, context.scan.sampleIndices);
    const algorithm = npz.has('algorithm') ? await readText(npz, 'algorithm') : undefined;
    const text = algorithm && 'text' in algorithm ? algorithm.text : undefined;
    const warnings: string[] = [];
    const found = nameOfAlgorithm(text ?? '');
    if (name === undefined && !found.known) {
      warnings.push(
        `${path} ${text === undefined ? 'names no algorithm' : `was made by ${JSON.stringify(text)}, which is no known algorithm`}, so it is called ${found.name} here; say --arm NAME=${path} to call it otherwise.`,
      );
    }
    if (!npz.has('sample_indices')) {
      warnings.push(
        `${path} does not say which patterns it was made of (sample_indices); see to it that they are the same.`,
      );
    }
    const { frame, frameKnown } = frameOf(await originOf(npz), image, context);
    if (!frameKnown) warnings.push(centredNote(path, image));
    requireOverlap(path, image, frame, context.box);
    return {
      name: name ?? found.name,
      kind: 'reconstruction',
      path,
      image,
      ...{ frame, frameKnown, warnings },
      weight: await weightOf(npz, image),
      seconds: await secondsOf(npz),
      what: text ?? 'algorithm not stated',
      ...(npz.has('sample_indices') ? { patterns: context.scan.count } : {}),
    };
  } finally {
    await npz.close();
  }
}

const centredNote = (path: string, { shape }: ComplexImage): string =>
  `${path} does not say where its ${formatShape(shape)} pixels lie (frame_origin_yx_px), so it was centred on the scan; the rest is up to registration.`;

/** True for what is no NPZ with `reconstructed_object`, but holds an image under a name of other programs. */
async function isForeign(path: string): Promise<boolean> {
  if (splitFileSpec(path).key !== undefined || (await isHdf5File(path))) return true;
  const npz = await openNpz(path);
  try {
    return !npz.has('reconstructed_object') && RECONSTRUCTION_KEYS.some((key) => npz.has(key));
  } finally {
    await npz.close();
  }
}

/** A result of another program; what it says of its place counts. */
async function readForeign({ name, path }: NamedPath, context: FinishedContext): Promise<ComparedImage> {
  const before = await readStoredImage(path, 'the reconstruction', RECONSTRUCTION_KEYS);
  const stored = placeOnScan(before, context.scan);
  const { image } = stored;
  const program = before.coordinates?.program;
  const { frame, frameKnown } = frameOf(stored.originYxPx, image, context);
  requireOverlap(path, image, frame, context.box);
  const found = nameOfAlgorithm(program ?? '');
  return {
    name: name ?? found.name,
    kind: 'reconstruction',
    path,
    image,
    ...{ frame, frameKnown },
    warnings: [
      ...stored.notes,
      ...(frameKnown ? [] : [centredNote(path, image)]),
      `${path} does not say which patterns it was made of (sample_indices); see to it that they are the same.`,
    ],
    weight: { data: Float32Array.from(image.re, (v, i) => (v !== 0 || image.im[i] !== 0 ? 1 : 0)), shape: image.shape },
    seconds: Number.NaN,
    what: program === undefined ? 'algorithm not stated' : `made by ${program}`,
  };
}

async function readObject(npz: NpzFile): Promise<ComplexImage> {
  if (!npz.has('reconstructed_object')) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${npz.path} holds no reconstructed_object (it has ${npz.keys.join(', ') || 'nothing'}): save the complex object, rows and columns, under that name.`,
      { key: 'reconstructed_object', path: npz.path },
    );
  }
  const { shape, dtype } = await npz.header('reconstructed_object');
  if (shape.length !== 2 || shape.some((n) => n === 0)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${npz.path}: reconstructed_object must have shape (rows, columns), found ${formatShape(shape)}; save one image without leading axes.`,
      { key: 'reconstructed_object', path: npz.path, found: shape },
    );
  }
  if (!dtype.startsWith('complex')) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${npz.path}: reconstructed_object must be complex, found ${dtype}; save amplitude·exp(i·phase).`,
      { key: 'reconstructed_object', path: npz.path, found: dtype },
    );
  }
  return npz.readComplex64('reconstructed_object');
}

async function checkPatterns(npz: NpzFile, expected: Int32Array): Promise<void> {
  if (!npz.has('sample_indices')) return;
  const { data } = await npz.readReal('sample_indices');
  const own = Array.from(data as ArrayLike<number | bigint>, Number).sort((a, b) => a - b);
  if (own.length === expected.length && own.every((v, i) => v === expected[i])) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `${npz.path} was made of ${own.length} patterns (sample_indices) that are not the ${expected.length} compared here; make it of the same scan with the same number and seed (--n_subsample, --subsample_seed).`,
    { key: 'sample_indices', path: npz.path, found: own.length, expected: expected.length },
  );
}

async function originOf(npz: NpzFile): Promise<readonly [number, number] | undefined> {
  if (!npz.has('frame_origin_yx_px')) return undefined;
  const { data } = await npz.readReal('frame_origin_yx_px');
  const origin = Array.from(data as ArrayLike<number | bigint>, Number);
  if (origin.length === 2 && origin.every(Number.isInteger)) return [origin[0], origin[1]];
  throw new PtychoError(
    'DATASET_VALUE',
    `${npz.path}: frame_origin_yx_px must be two whole numbers, row and column of the first pixel, found ${origin.join(', ')}.`,
    { key: 'frame_origin_yx_px', path: npz.path, found: origin },
  );
}

function frameOf(
  originYxPx: readonly [number, number] | undefined,
  { shape }: ComplexImage,
  { truthShape, box }: FinishedContext,
): { readonly frame: Frame; readonly frameKnown: boolean } {
  const [height, width] = shape;
  if (originYxPx) return { frame: { originYxPx, height, width }, frameKnown: true };
  if (truthShape && sameShape(shape, truthShape)) {
    return { frame: { originYxPx: [0, 0], height, width }, frameKnown: true };
  }
  const [top, left] = box.originYxPx;
  // As alignForEvaluation cuts: where the difference is odd, the smaller part lies before.
  const before = (own: number, others: number) => (own >= others ? -Math.floor((own - others) / 2) : Math.floor((others - own) / 2)); // biome-ignore format: one line
  return {
    frame: { originYxPx: [top + before(height, box.height), left + before(width, box.width)], height, width },
    frameKnown: false,
  };
}

function requireOverlap(path: string, image: ComplexImage, frame: Frame, box: Frame): void {
  const along = (axis: 0 | 1, own: number, others: number) =>
    Math.min(frame.originYxPx[axis] + own, box.originYxPx[axis] + others) -
    Math.max(frame.originYxPx[axis], box.originYxPx[axis]);
  const height = Math.max(0, along(0, frame.height, box.height));
  const width = Math.max(0, along(1, frame.width, box.width));
  if (height * width >= LEAST_SHARE * box.height * box.width) return;
  throw new PtychoError(
    'DATASET_SHAPE',
    `${path}: reconstructed_object of shape ${formatShape(image.shape)} holds ${height}×${width} of the ${box.height}×${box.width} pixels that are compared; it must be in the pixels of the truth and cover the scan.`,
    { path, found: image.shape, expected: [box.height, box.width] },
  );
}

/** Where the image means something: what the file says, else where it is not zero (unscanned corners are filled with zeros). */
async function weightOf(npz: NpzFile, image: ComplexImage): Promise<Tensor> {
  if (npz.has('overlap_count')) {
    const { data, shape } = await npz.readReal('overlap_count');
    if (sameShape(shape, image.shape)) return { data: Float32Array.from(data as ArrayLike<number>), shape };
  }
  return { data: image.re.map((v, i) => (v !== 0 || image.im[i] !== 0 ? 1 : 0)), shape: image.shape };
}

async function secondsOf(npz: NpzFile): Promise<number> {
  if (!npz.has('computation_time_seconds')) return Number.NaN;
  try {
    const { data } = await npz.readReal('computation_time_seconds');
    return data.length === 1 ? Number(data[0]) : Number.NaN;
  } catch (error) {
    // A time that cannot be read is no reason to refuse the image.
    if (isPtychoError(error)) return Number.NaN;
    throw error;
  }
}
