/** The files that a simulation starts from: object, pictures, probe, positions, mask. */

import type { SimulationConfig } from '../config/schema.js';
import { PtychoError } from '../core/errors.js';
import { closing, readInput } from '../core/inputFile.js';
import { type ComplexImage, type ComplexTensor, formatShape, type Shape, type Tensor } from '../core/tensor.js';
import { sentenceOf } from '../data/findings/finding.js';
import { readArrayFile } from '../data/opening/arrayFile.js';
import { hasMagic, splitFileSpec } from '../data/opening/files.js';
import { checkFinite } from '../data/opening/positions.js';
import { readPositionsFile } from '../data/opening/positionsFile.js';
import { checkProbe, incoherentModes, PROBE_KEYS, type ProbeNote } from '../data/opening/probe.js';
import { readBadPixels } from '../data/prepare/masks.js';
import { expectComplex64, expectReal } from '../formats/npy.js';
import { type NpyOrigin, nameOf } from '../formats/npyHeader.js';
import { pngBrightness } from '../report/png.js';
import type { ImagePair } from './objects.js';
import type { ScanPositions } from './scans.js';

/** Fields that say what is written, and what is done with it then. */
const OUTPUTS = ['output_file', 'overwrite', 'visualize', 'publish', 'publish_hz', 'publish_encoding'] as const;

/** What of a configuration shapes the scan (everything but what else is written where). */
export type SimulationRecipe = Omit<SimulationConfig, (typeof OUTPUTS)[number]>;

/** The recipe in a configuration. */
export function recipeIn(config: SimulationConfig): SimulationRecipe {
  const outputs: readonly string[] = OUTPUTS;
  return Object.fromEntries(Object.entries(config).filter(([name]) => !outputs.includes(name))) as SimulationRecipe;
}

/** What was read; only what the recipe needs. */
export interface SimulationInputs {
  readonly object?: ComplexImage;
  readonly images?: ImagePair;
  /** (N, N) or (P, N, N). */
  readonly probe?: ComplexTensor;
  /** Object pixels. */
  readonly positions?: ScanPositions;
  /** The origin of the positions is that of the stage: they have to be moved onto the object. */
  readonly positionsAreStage?: boolean;
  /** (N, N), other than 0 = bad. */
  readonly mask?: Tensor<Uint8Array>;
}

const OBJECT_KEYS = ['objectGuess', 'object', 'reconstructed_object'] as const;
const IMAGE_KEYS = ['image', 'data', 'arr_0'] as const;

/**
 * Reads what a recipe names.
 * @param note hears sentences about what was assumed
 * @throws PtychoError DATASET_KEY_MISSING, DATASET_SHAPE, DATASET_VALUE, DATASET_UNITS, PROBE_SHAPE, and those of reading files
 */
export async function loadSimulationInputs(
  config: SimulationRecipe,
  note: (sentence: string) => void = () => {},
): Promise<SimulationInputs> {
  const { amplitude_image, phase_image, positions_file, detector_mask } = config;
  const image = async (spec: string | null) => (spec === null ? undefined : readPicture(spec));
  return {
    ...(config.object === 'file' && { object: await readObject(needed(config.object_file ?? config.input_file)) }),
    ...(config.object === 'image' && {
      images: { amplitude: await image(amplitude_image), phase: await image(phase_image) },
    }),
    ...(config.probe === 'file' && {
      probe: await readAnyProbe(needed(config.probe_file ?? config.input_file), config.N, note),
    }),
    ...(config.scan === 'file' && (await readPositions(needed(positions_file), config, note))),
    ...(detector_mask !== null && { mask: (await readBadPixels(detector_mask)).mask }),
  };
}

/** The schema asks for a file wherever one is read. */
function needed(spec: string | null): string {
  if (spec !== null) return spec;
  throw new PtychoError('CONFIG_INVALID', 'A recipe with object, probe or scan "file" must name the file.', {
    key: 'input_file',
  });
}

async function readObject(spec: string): Promise<ComplexImage> {
  const { array, origin } = await readArrayFile(spec, OBJECT_KEYS, 'the object');
  const { re, im, shape } = expectComplex64(array, origin);
  const image = { re, im, shape: withoutOnes(shape) };
  if (image.shape.length !== 2) throw notTwo(origin, shape, 'an object');
  if (!(re.every(Number.isFinite) && im.every(Number.isFinite))) {
    throw new PtychoError('DATASET_VALUE', `${nameOf(origin)} holds values that are not finite; repair the object.`, {
      path: origin.path,
      key: origin.member,
    });
  }
  return image;
}

/** A probe of the given side, or of its own where none is asked for. */
async function readAnyProbe(spec: string, side: number | null, note: ProbeNote): Promise<ComplexTensor> {
  const { array, origin } = await readArrayFile(spec, PROBE_KEYS, 'the probe');
  const probe = incoherentModes(expectComplex64(array, origin), origin, note);
  return checkProbe(probe, side ?? probe.shape[probe.shape.length - 1], origin);
}

/** Inflated, a picture is some times larger. */
const MAX_PNG_BYTES = 2 ** 28;

async function readPicture(spec: string): Promise<Tensor<Float64Array>> {
  const { file } = splitFileSpec(spec);
  if (await hasMagic(file, '\x89PNG')) return pngBrightness(await readInput(file, { maxBytes: MAX_PNG_BYTES }), file);
  if (/\.tiff?$/i.test(file)) {
    const { TiffFile } = await import('../formats/tiff.js');
    return closing(await TiffFile.open(file, 1), async (tiff) => {
      const { data, shape } = await tiff.read(0);
      return finite({ data: Float64Array.from(data), shape }, { path: file });
    });
  }
  const { array, origin } = await readArrayFile(spec, IMAGE_KEYS, 'the picture');
  const { data, shape } = expectReal(array, origin);
  if (withoutOnes(shape).length !== 2) throw notTwo(origin, shape, 'a picture');
  return finite({ data: Float64Array.from(data), shape: withoutOnes(shape) }, origin);
}

function finite(image: Tensor<Float64Array>, origin: NpyOrigin): Tensor<Float64Array> {
  if (image.data.every(Number.isFinite)) return image;
  throw new PtychoError('DATASET_VALUE', `${nameOf(origin)} holds values that are not finite; repair the picture.`, {
    path: origin.path,
    key: origin.member,
  });
}

async function readPositions(
  spec: string,
  { positions_unit, object_pixel_m }: Pick<SimulationConfig, 'positions_unit' | 'object_pixel_m'>,
  note: (sentence: string) => void,
): Promise<Pick<SimulationInputs, 'positions' | 'positionsAreStage'>> {
  const { x, y, unit, origin, findings = [] } = await readPositionsFile(spec, positions_unit ?? undefined);
  for (const finding of findings) note(sentenceOf(finding));
  checkFinite(x, origin, 'x');
  checkFinite(y, origin, 'y');
  if (unit === 'px') return { positions: { xs: x, ys: y } };
  if (object_pixel_m === null) {
    throw new PtychoError(
      'DATASET_UNITS',
      `${nameOf(origin)} holds positions in metres; say how large an object pixel is with object_pixel_m, or that they are pixels with positions_unit px.`,
      { path: origin.path, key: 'object_pixel_m' },
    );
  }
  const pixels = (values: Float64Array) => values.map((v) => v / object_pixel_m);
  return { positions: { xs: pixels(x), ys: pixels(y) }, positionsAreStage: true };
}

const withoutOnes = (shape: Shape): number[] => (shape.length > 2 ? shape.filter((n) => n !== 1) : [...shape]);

function notTwo(origin: NpyOrigin, shape: Shape, what: string): PtychoError {
  return new PtychoError(
    'DATASET_SHAPE',
    `${nameOf(origin)} has shape ${formatShape(shape)}, but ${what} must have rows and columns.`,
    { path: origin.path, key: origin.member, found: shape },
  );
}
