/**
 * What a reconstruction leaves on disk, `reconstruction.npz` and its pictures, and how it is read back.
 *
 * @example
 * const files = await writeReconstruction('image', stitched, { algorithm: 'PtychoPINN cnn_cbam', sampleIndices, groups });
 */
import path from 'node:path';
import { isPtychoError, PtychoError, requireObject } from '../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape, type NumericArray, type Tensor } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { readText } from '../data/metadata.js';
import type { NpyInput } from '../formats/npyWrite.js';
import { type NpzFile, usingNpz, writeNpz } from '../formats/npz.js';
import { drawingFiles, makeOutputFolder, textArray, writeAtomically } from '../formats/outputFiles.js';
import type { ObjectLayers } from '../physics/layers.js';
import { GRAY, VIRIDIS } from '../report/colormaps.js';
import { renderValues } from '../report/image.js';
import { encodePng } from '../report/png.js';
import { type ImageRecord, type RecordedFacts, readRecord, recordArrays } from './imageRecord.js';
import type { StitchedImage } from './patchStitcher.js';
import { IMAGE_PICTURES, type PictureOptions, type WrittenImage, writePictures } from './pictures.js';

/** What else goes into `reconstruction.npz`, and how pictures are coloured. */
export interface ReconstructionFacts extends RecordedFacts {
  /** Who made the image, for instance `PtychoPINN cnn`; the name of this package where not given. */
  readonly algorithm?: string;
  /** (n) which patterns of the file were selected. */
  readonly sampleIndices?: Int32Array;
  /** (groups, C) members of each group, as indices into the selected patterns. */
  readonly groups?: { readonly count: number; readonly C: number; readonly members: Int32Array };
  readonly pictures?: PictureOptions;
  /** More arrays for `reconstruction.npz`. */
  readonly arrays?: Readonly<Record<string, NpyInput>>;
}

/**
 * Writes `reconstruction.npz`, pictures of amplitude, phase and both, and, where it was measured, the uncertainty as arrays and
 * pictures, to `folder`, which is made if missing. Files appear whole or not at all.
 *
 * Keys of the NPZ: `reconstructed_object` (rows, cols) complex64, `frame_origin_yx_px` (2,) object pixel of its first pixel,
 * `overlap_count` (rows, cols), `amplitude_uncertainty` and `phase_uncertainty` (rows, cols; NaN where fewer than two patches
 * lie), `ensemble_amplitude_spread`, `ensemble_phase_spread`, `amplitude_interval`, `phase_interval`, `interval_level` (of an ensemble,
 * and where a calibration is known), `sample_indices`, `nn_indices`, `algorithm`, what `recordArrays` makes of geometry and provenance (`object_pixel_yx_m`,
 * `energy_eV`, `wavelength_m`, `provenance`), and the arrays that are given.
 *
 * @param result a stitched image, or what `reconstruct` or `runSolver` came to; the probe of the latter becomes `reconstructed_probe`
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function writeReconstruction(
  folder: string,
  result: WrittenImage | { readonly stitched: WrittenImage },
  facts: ReconstructionFacts = {},
): Promise<string[]> {
  requireObject(result, 'writeReconstruction takes a folder, and then an image or what reconstruct gives');
  const stitched = 'stitched' in result ? result.stitched : result;
  requireObject(stitched, 'What is written is an image with its frame, as reconstruct gives it', ['image', 'frame']);
  await makeOutputFolder(folder);
  await writeNpz(path.join(folder, 'reconstruction.npz'), reconstructionArrays(stitched, facts));
  return ['reconstruction.npz', ...(await writePictures(folder, stitched, facts.pictures))];
}

/** What is in `reconstruction.npz`, see {@link writeReconstruction}. */
export function reconstructionArrays(
  {
    image,
    frame,
    overlapCount,
    uncertainty,
    spread,
    intervals,
    probe,
  }: WrittenImage & { readonly probe?: ComplexTensor },
  { sampleIndices, groups, arrays, algorithm = createdBy.package, geometry, provenance }: ReconstructionFacts,
): Record<string, NpyInput> {
  return {
    reconstructed_object: image,
    frame_origin_yx_px: { data: Float64Array.from(frame.originYxPx), shape: [2] },
    overlap_count: overlapCount,
    ...(uncertainty && {
      amplitude_uncertainty: uncertainty.amplitude,
      phase_uncertainty: uncertainty.phase,
    }),
    ...(spread && { ensemble_amplitude_spread: spread.amplitude, ensemble_phase_spread: spread.phase }),
    ...(intervals && {
      amplitude_interval: intervals.amplitude,
      phase_interval: intervals.phase,
      interval_level: { data: Float64Array.of(intervals.level), shape: [] },
    }),
    ...(sampleIndices && { sample_indices: { data: sampleIndices, shape: [sampleIndices.length] } }),
    ...(groups && { nn_indices: { data: groups.members, shape: [groups.count, groups.C] } }),
    ...(probe && { reconstructed_probe: probe }),
    ...arrays,
    ...recordArrays({ geometry, provenance }),
    algorithm: textArray(algorithm),
  };
}

/** What a `reconstruction.npz` says; other programs may have written it, with less. */
export interface StoredReconstruction extends ImageRecord {
  readonly image: ComplexImage;
  /** Object pixel [y, x] of the first pixel. */
  readonly originYxPx?: readonly [number, number];
  /** How many patches cover a pixel, or how much light fell on it; 0 where nothing was stitched. */
  readonly overlapCount?: Tensor<NumericArray>;
  /** Which patterns of the file it was made of, as the file lists them. */
  readonly sampleIndices?: readonly number[];
  /** The probe that a solver found with it. */
  readonly probe?: ComplexTensor;
  /** Who made the image, for instance `PtychoPINN cnn`. */
  readonly algorithm?: string;
  /** What making it took; NaN where the file does not say. */
  readonly seconds: number;
}

/**
 * Reads a `reconstruction.npz`, ours or one that keeps its contract (docs/comparison.md).
 * @param options `probe`: also the probe
 * @throws PtychoError DATASET_KEY_MISSING without a complex `reconstructed_object`, DATASET_SHAPE, DATASET_VALUE, and those of reading
 */
export async function readReconstruction(
  file: string,
  options: { readonly probe?: boolean } = {},
): Promise<StoredReconstruction> {
  return usingNpz(file, async (npz) => {
    const image = await readObject(npz);
    const samples = npz.has('sample_indices') ? await npz.readReal('sample_indices') : undefined;
    const probe = options.probe && npz.has('reconstructed_probe') ? await npz.readComplex64('reconstructed_probe') : undefined; // biome-ignore format: one call
    const sampleIndices = samples && Array.from(samples.data as ArrayLike<number | bigint>, Number);
    const text = npz.has('algorithm') ? await readText(npz, 'algorithm') : undefined;
    const algorithm = text && 'text' in text ? text.text : undefined;
    const seconds = await secondsOf(npz);
    const record = await readRecord(npz);
    return { image, ...(await readPlace(npz)), sampleIndices, probe, algorithm, seconds, ...record };
  });
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

async function readObject(npz: NpzFile): Promise<ComplexImage> {
  const key = 'reconstructed_object';
  if (!npz.has(key)) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${npz.path} holds no ${key} (it has ${npz.keys.join(', ') || 'nothing'}): save the complex object, rows and columns, under that name.`,
      { key, path: npz.path },
    );
  }
  const { shape, dtype } = await npz.header(key);
  if (shape.length !== 2 || shape.some((n) => n === 0)) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${npz.path}: ${key} must have shape (rows, columns), found ${formatShape(shape)}; save one image without leading axes.`,
      { key, path: npz.path, found: shape },
    );
  }
  if (!dtype.startsWith('complex')) {
    throw new PtychoError(
      'DATASET_VALUE',
      `${npz.path}: ${key} must be complex, found ${dtype}; save amplitude·exp(i·phase).`,
      { key, path: npz.path, found: dtype },
    );
  }
  return npz.readComplex64(key);
}

/**
 * Where an image of an NPZ lies, and how well it is covered, as far as the file says so.
 * @throws PtychoError DATASET_VALUE for an origin that is no pixel
 */
export async function readPlace(npz: NpzFile): Promise<Pick<StoredReconstruction, 'originYxPx' | 'overlapCount'>> {
  const overlapCount = npz.has('overlap_count') ? await npz.readReal('overlap_count') : undefined;
  const key = 'frame_origin_yx_px';
  if (!npz.has(key)) return { overlapCount };
  const { data } = await npz.readReal(key);
  const origin = Array.from(data as ArrayLike<number | bigint>, Number);
  if (origin.length === 2 && origin.every(Number.isInteger))
    return { originYxPx: [origin[0], origin[1]], overlapCount };
  throw new PtychoError(
    'DATASET_VALUE',
    `${npz.path}: ${key} must be two whole numbers, row and column of the first pixel, found ${origin.join(', ')}.`,
    { key, path: npz.path, found: origin },
  );
}

/** What {@link writeReconstruction} may write. */
export const RECONSTRUCTION_FILES: readonly string[] = ['reconstruction.npz', ...IMAGE_PICTURES.flatMap(drawingFiles)];

/**
 * `save_outputs` as published: `reconstructed_amplitude.png` (grey) and `reconstructed_phase.png` (viridis) without axes, each
 * over its full range of values. Does nothing where both images are null. Results that hold a stitched image also give its
 * `reconstruction.npz`.
 *
 * @param amplitude (rows, cols), as `runCdiExample` returns it
 * @param phase (rows, cols), radians
 * @param outputPrefix the folder, made if missing
 * @returns the names of the files
 * @throws PtychoError OUTPUT_UNWRITABLE
 */
export async function saveOutputs(
  amplitude: Tensor | null,
  phase: Tensor | null,
  results: { readonly stitched?: StitchedImage },
  outputPrefix: string,
): Promise<string[]> {
  if (amplitude === null || phase === null) return [];
  await makeOutputFolder(outputPrefix);
  const files: string[] = [];
  if (results.stitched) {
    files.push(...(await writeReconstruction(outputPrefix, results.stitched, { algorithm: 'PtychoPINN' })));
  }
  const plain = [
    ['reconstructed_amplitude.png', renderValues(amplitude.data, amplitude.shape, { colormap: GRAY })],
    ['reconstructed_phase.png', renderValues(phase.data, phase.shape, { colormap: VIRIDIS, unit: 'rad' })],
  ] as const;
  for (const [name, picture] of plain) await writeAtomically(path.join(outputPrefix, name), encodePng(picture));
  return [...new Set([...files, ...plain.map(([name]) => name)])];
}

/** (slices, rows, columns), and the distances from each to the next, metres. */
export const LAYERS_BESIDE = { array: 'reconstructed_layers', spacing: 'layer_spacing_m' } as const;

/** Undefined where there are none of the shape of the image. */
export async function layersBeside(
  file: string,
  [height, width]: readonly number[],
): Promise<ObjectLayers | undefined> {
  return usingNpz(file, async (npz) => {
    const { array: key, spacing } = LAYERS_BESIDE;
    if (!npz.has(key) || !npz.has(spacing)) return undefined;
    const array = await npz.readComplex64(key);
    const [count, rows, columns] = array.shape;
    const spacing_m = Float64Array.from((await npz.readReal(spacing)).data as ArrayLike<number>);
    const fits = array.shape.length === 3 && rows === height && columns === width && spacing_m.length === count - 1;
    return fits ? { array, spacing_m } : undefined;
  });
}
