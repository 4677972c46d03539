/** The images of a comparison as NPZ, with the published keys, and a text that says what is in them. */
import path from 'node:path';
import { type ComplexImage, formatShape } from '../../core/tensor.js';
import type { NpyInput } from '../../formats/npyWrite.js';
import { writeNpz } from '../../formats/npz.js';
import { writeAtomically } from '../../formats/outputFiles.js';
import type { Frame } from '../../reconstruction/frame.js';
import { modulusOf, phaseOf } from '../images.js';
import type { Measured } from './measure.js';
import { curvesPrefix } from './names.js';
import { sixDecimals } from './tables.js';

type Arrays = Record<string, NpyInput>;

/** Amplitude, phase and the complex image itself. */
function three(prefix: string, image: ComplexImage): Arrays {
  const single = ({ data, shape }: { data: Float64Array; shape: readonly number[] }) => ({ data: Float32Array.from(data), shape }); // biome-ignore format: one line
  return {
    [`${prefix}_amplitude`]: single(modulusOf(image)),
    [`${prefix}_phase`]: single(phaseOf(image)),
    [`${prefix}_complex`]: image,
  };
}

const originOf = ({ originYxPx }: Frame): NpyInput => ({ data: Float64Array.from(originYxPx), shape: [2] });
const scalar = (value: number): NpyInput => ({ data: Float64Array.of(value), shape: [] });

/**
 * `reconstructions.npz`: images as they were made, each in its own frame; the truth whole.
 * @returns the names of the files
 */
export async function writeRaw(
  folder: string,
  models: readonly Measured[],
  truth: ComplexImage | undefined,
  sampleIndices: Int32Array,
): Promise<string[]> {
  const arrays: Arrays = {};
  for (const { name, image, frame } of models) {
    const prefix = name.toLowerCase();
    Object.assign(arrays, three(prefix, image), { [`${prefix}_frame_origin_yx_px`]: originOf(frame) });
  }
  if (truth) Object.assign(arrays, three('ground_truth', truth));
  arrays.sample_indices = { data: sampleIndices, shape: [sampleIndices.length] };
  return writeBoth(folder, 'reconstructions', arrays, [
    '*_amplitude: modulus (float32)',
    '*_phase: radians, -pi to pi (float32)',
    '*_complex: the image itself (complex64)',
    '*_frame_origin_yx_px: row and column, in pixels of the ground truth, of the first pixel',
    'sample_indices: patterns of the scan file that were reconstructed',
    'Images are as they were made, BEFORE registration, each in a frame of its own.',
  ]);
}

/**
 * `reconstructions_aligned.npz`: images and truth on the pixels that were compared.
 * @returns the names of the files
 */
export async function writeAligned(
  folder: string,
  models: readonly Measured[],
  truth: ComplexImage | undefined,
  region: Frame,
): Promise<string[]> {
  const arrays: Arrays = {};
  for (const { name, placed, registration } of models) {
    Object.assign(arrays, three(name.toLowerCase(), placed));
    const [dy, dx] = registration?.succeeded ? registration.shiftYxPx : [Number.NaN, Number.NaN];
    arrays[`${curvesPrefix(name)}_offset_dy`] = scalar(dy);
    arrays[`${curvesPrefix(name)}_offset_dx`] = scalar(dx);
  }
  if (truth) Object.assign(arrays, three('ground_truth', truth));
  arrays.frame_origin_yx_px = originOf(region);
  return writeBoth(folder, 'reconstructions_aligned', arrays, [
    '*_amplitude: modulus (float32)',
    '*_phase: radians, -pi to pi (float32)',
    '*_complex: the image itself (complex64)',
    '*_offset_dy, *_offset_dx: shift in pixels, down and right, by which the image was moved; NaN where it was not',
    'frame_origin_yx_px: row and column, in pixels of the scanned object, of the first pixel of all images',
    'All images are on the same pixels, AFTER registration.',
  ]);
}

async function writeBoth(
  folder: string,
  name: string,
  arrays: Arrays,
  description: readonly string[],
): Promise<string[]> {
  await writeNpz(path.join(folder, `${name}.npz`), arrays, { compress: true });
  const rows = Object.entries(arrays).map(([key, array]) => {
    if (array.shape.length === 0 && 'data' in array) return `- ${key}: ${sixDecimals(Number(array.data[0]))} (scalar)`;
    return `- ${key}: ${formatShape(array.shape)} ${'re' in array ? 'complex64' : dtypeName(array)}`;
  });
  const text = [`Arrays in ${name}.npz:`, ...rows, '', ...description, ''].join('\n');
  await writeAtomically(path.join(folder, `${name}_metadata.txt`), text);
  return [`${name}.npz`, `${name}_metadata.txt`];
}

function dtypeName(array: NpyInput): string {
  return 'data' in array ? array.data.constructor.name.replace('Array', '').toLowerCase() : 'text';
}
