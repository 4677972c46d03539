/** What `infer` and `solve` left in a folder, read back: the scan and how it was opened, image, positions, losses. */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { solveDefinition } from '../config/commands.js';
import { resolveConfig } from '../config/resolve.js';
import { inferenceConfigSchema } from '../config/schema.js';
import type { DataConfig } from '../config/schemas/data.js';
import { messageOf, PtychoError } from '../core/errors.js';
import { readTextInput, TABLE_BYTES } from '../core/inputFile.js';
import { type ComplexTensor, formatShape, sizeOf } from '../core/tensor.js';
import type { RawData } from '../data/rawData.js';
import { usingNpz } from '../formats/npz.js';
import { openBundle, type StoredBundle } from '../persistence/bundle.js';
import type { PlacedImage } from '../persistence/product/geometry.js';
import { frameForScan, scanBounds } from './frame.js';
import { readReconstruction } from './reconstructionFile.js';

/** Names in the output folders of `infer` and `solve`. */
const [RECONSTRUCTION, RUN, POSITIONS] = ['reconstruction.npz', 'run.json', 'positions.npz'];

/** Whether a path is an output folder of `infer` or `solve`. */
export const isReconstruction = (source: string): boolean =>
  existsSync(source) && statSync(source).isDirectory() && existsSync(path.join(source, RECONSTRUCTION));

/** What the run that left a folder says of it. */
export interface FinishedRun {
  readonly test_data_file: string;
  readonly probe: string | null;
  readonly measurement_domain: RawData['domain'] | null;
  readonly n_subsample: number | null;
  readonly subsample_seed: number | null;
  readonly seed: number;
  readonly data: DataConfig;
  /** Of `infer`. */
  readonly model_path?: string;
  /** Of `solve`, one an epoch. */
  readonly losses?: readonly number[];
}

/** @throws PtychoError FILE_NOT_FOUND, CONFIG_INVALID */
export async function readRun(folder: string): Promise<FinishedRun> {
  const file = path.join(folder, RUN);
  if (!existsSync(file)) {
    throw new PtychoError(
      'FILE_NOT_FOUND',
      `${folder} has an image but no ${RUN}, which tells the scan that it was made of; give an output folder of infer or solve.`,
      { path: file },
    );
  }
  let found: { readonly config?: unknown; readonly losses?: readonly number[] };
  try {
    found = JSON.parse(await readTextInput(file, { maxBytes: TABLE_BYTES })) as typeof found;
  } catch (error) {
    throw new PtychoError('CONFIG_INVALID', `${file} is not JSON: ${messageOf(error)}.`, { path: file });
  }
  const inferred = inferenceConfigSchema.safeParse(found.config);
  if (inferred.success) return inferred.data;
  try {
    const values = found.config as Readonly<Record<string, unknown>>;
    // Former names of fields are understood here, too.
    const { config } = resolveConfig(solveDefinition, { file: { origin: file, values } });
    return { ...config, losses: found.losses };
  } catch (cause) {
    const sentence = `${file} does not hold the configuration of a run of infer or solve.`;
    throw new PtychoError('CONFIG_INVALID', sentence, { path: file }, { cause });
  }
}

/** The image of a folder, with the probe that a solver made beside it. */
export async function readRunImage(
  folder: string,
  raw: RawData,
): Promise<PlacedImage & { readonly probe?: ComplexTensor }> {
  const file = path.join(folder, RECONSTRUCTION);
  const { image, originYxPx, sampleIndices, probe } = await readReconstruction(file, { probe: true });
  if (originYxPx === undefined) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${file} does not say where its ${formatShape(image.shape)} pixels lie (frame_origin_yx_px).`,
      { key: 'frame_origin_yx_px', path: file },
    );
  }
  const used = sampleIndices ?? raw.sampleIndices;
  if (used.length !== raw.count || !raw.sampleIndices.every((sample, i) => sample === used[i])) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `The image in ${folder} was made of ${used.length} patterns that are not the ${raw.count} of ${raw.source}; give the scan that it was made of.`,
      { path: folder, found: used.length, expected: raw.count },
    );
  }
  return { image, originYxPx, probe };
}

/** The object of the file, or ones where patterns lie, with which iterative reconstruction begins. */
export function startImage(
  raw: RawData,
  note: (sentence: string) => void,
): PlacedImage & { readonly probe?: undefined } {
  if (raw.objectGuess) return { image: raw.objectGuess, originYxPx: [0, 0] };
  note(`${raw.source} has no object; the product gets ones of the size of the scan.`);
  const { height, width, originYxPx } = frameForScan(scanBounds(raw.xcoords, raw.ycoords), raw.N);
  const shape = [height, width];
  return {
    image: { re: new Float32Array(sizeOf(shape)).fill(1), im: new Float32Array(sizeOf(shape)), shape },
    originYxPx,
  };
}

/** Positions at which the image was made. */
export async function refinedPositions(
  folder: string,
  raw: RawData,
  note: (sentence: string) => void,
): Promise<Pick<RawData, 'xcoords' | 'ycoords'>> {
  const file = path.join(folder, POSITIONS);
  if (!existsSync(file)) return raw;
  return usingNpz(file, async (npz) => {
    const [x, y] = [await npz.readReal('xcoords'), await npz.readReal('ycoords')];
    if (x.data.length !== raw.count || y.data.length !== raw.count) return raw;
    note(`Positions are the refined ones of ${file}, at which the image was made.`);
    return { xcoords: Float64Array.from(x.data), ycoords: Float64Array.from(y.data) };
  });
}

/** The model of a run, for its losses and its probe; the image can do without. */
export async function findBundle(model: string, note: (sentence: string) => void): Promise<StoredBundle | undefined> {
  try {
    return await openBundle(model);
  } catch (error) {
    note(`The product has no losses, because the model cannot be opened: ${messageOf(error)}`);
    return undefined;
  }
}
