/** The images that are compared: what each is, whether it is worth comparing, and those that other programs or other runs have finished. */

import { PtychoError } from '../../core/errors.js';
import { type ComplexImage, formatShape, sameShape, type Tensor } from '../../core/tensor.js';
import { splitFileSpec } from '../../data/opening/files.js';
import { isHdf5File } from '../../formats/hdf5/file.js';
import { usingNpz } from '../../formats/npz.js';
import type { Frame } from '../../reconstruction/frame.js';
import { readReconstruction, type StoredReconstruction } from '../../reconstruction/reconstructionFile.js';
import type { ImageRFactor } from '../../reconstruction/rFactor.js';
import {
  imageFile,
  placeOnScan,
  RECONSTRUCTION_KEYS,
  readStoredImage,
  type ScanPlace,
  type TurnedAxes,
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
  /** What laying it on the scan did to its axes. */
  readonly turned?: TurnedAxes;
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
 * Reads a result of another program (see `readStoredImage`), or a `reconstruction.npz`. Its pixels are those of the truth. Without
 * `frame_origin_yx_px` an image of the truth's shape lies on it, any other is centred on the scan, as published.
 *
 * @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE for a file that does not keep the contract, or that was
 * made of other patterns; and those of reading
 */
export async function readFinished(arm: NamedPath, context: FinishedContext): Promise<ComparedImage> {
  const { name } = arm;
  const path = await imageFile(arm.path);
  if (await isForeign(path)) return readForeign({ name, path }, context);
  const stored = await readReconstruction(path);
  const { image, sampleIndices, algorithm, seconds } = stored;
  requirePatterns(path, sampleIndices, context.scan.sampleIndices);
  const warnings: string[] = [];
  const found = nameOfAlgorithm(algorithm ?? '');
  if (name === undefined && !found.known) {
    warnings.push(
      `${path} ${algorithm === undefined ? 'names no algorithm' : `was made by ${JSON.stringify(algorithm)}, which is no known algorithm`}, so it is called ${found.name} here; say --arm NAME=${path} to call it otherwise.`,
    );
  }
  if (!sampleIndices) warnings.push(unknownPatterns(path));
  const { frame, frameKnown } = frameOf(stored.originYxPx, image, context);
  if (!frameKnown) warnings.push(centredNote(path, image));
  requireOverlap(path, image, frame, context.box);
  return {
    name: name ?? found.name,
    kind: 'reconstruction',
    path,
    image,
    ...{ frame, frameKnown, warnings, seconds },
    weight: weightOf(stored),
    what: algorithm ?? 'algorithm not stated',
    ...(sampleIndices && { patterns: context.scan.count }),
  };
}

const unknownPatterns = (path: string): string =>
  `${path} does not say which patterns it was made of (sample_indices); see to it that they are the same.`;

const centredNote = (path: string, { shape }: ComplexImage): string =>
  `${path} does not say where its ${formatShape(shape)} pixels lie (frame_origin_yx_px), so it was centred on the scan; the rest is up to registration.`;

/** True for what is no NPZ with `reconstructed_object`, but holds an image under a name of other programs. */
async function isForeign(path: string): Promise<boolean> {
  if (splitFileSpec(path).key !== undefined || (await isHdf5File(path))) return true;
  return usingNpz(path, (npz) => !npz.has('reconstructed_object') && RECONSTRUCTION_KEYS.some((key) => npz.has(key)));
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
    ...{ frame, frameKnown, turned: stored.turned },
    warnings: [...stored.notes, ...(frameKnown ? [] : [centredNote(path, image)]), unknownPatterns(path)],
    weight: weightOf({ image }),
    seconds: Number.NaN,
    what: program === undefined ? 'algorithm not stated' : `made by ${program}`,
  };
}

/** @throws PtychoError DATASET_VALUE for an image of other patterns than those of the scan, where it says which */
function requirePatterns(path: string, given: readonly number[] | undefined, expected: Int32Array): void {
  if (!given) return;
  const own = [...given].sort((a, b) => a - b);
  if (own.length === expected.length && own.every((v, i) => v === expected[i])) return;
  throw new PtychoError(
    'DATASET_VALUE',
    `${path} was made of ${own.length} patterns (sample_indices) that are not the ${expected.length} compared here; make it of the same scan with the same number and seed (--n_subsample, --subsample_seed).`,
    { key: 'sample_indices', path, found: own.length, expected: expected.length },
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
function weightOf({ image, overlapCount }: Pick<StoredReconstruction, 'image' | 'overlapCount'>): Tensor {
  const { re, im, shape } = image;
  if (overlapCount && sameShape(overlapCount.shape, shape)) {
    return { data: Float32Array.from(overlapCount.data as ArrayLike<number>), shape };
  }
  return { data: re.map((v, i) => (v !== 0 || im[i] !== 0 ? 1 : 0)), shape };
}
