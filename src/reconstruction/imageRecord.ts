/**
 * What `reconstruction.npz` says of an image besides the image: how large its pixels are, with what it was lit, and what it was made
 * of and how. Other programs find numbers under names with units; files of earlier versions have none of them.
 *
 * @example
 * const arrays = recordArrays({ geometry: raw.geometry, provenance: { scan: raw.source, settings } });
 * const { pixel_m, provenance } = await usingNpz('reconstruction.npz', readRecord);
 */
import { sizeOf } from '../core/tensor.js';
import { createdBy } from '../core/version.js';
import { readText } from '../data/metadata.js';
import { wavelengthOf } from '../data/opening/wavelength.js';
import type { ScanGeometry } from '../data/scanFile.js';
import type { NpyInput } from '../formats/npyWrite.js';
import type { NpzFile } from '../formats/npz.js';
import { textArray } from '../formats/outputFiles.js';

/** What an image was made of, and how: for whoever finds it later. Nothing in it differs between equal runs. */
export interface ImageOrigin {
  /** The file of the scan, as it was given. */
  readonly scan: string;
  /** The bundle, of a network. */
  readonly model?: string;
  /** What was asked for; places and engines, which change nothing, are left out. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** What of a scan goes with its image. */
export interface RecordedFacts {
  readonly geometry?: ScanGeometry;
  readonly provenance?: ImageOrigin;
}

/** What a file says; each is undefined where it does not. */
export interface ImageRecord {
  /** Sides of a pixel, metres. */
  readonly pixel_m?: { readonly x: number; readonly y: number };
  /** Of photons, or of electrons (kinetic). */
  readonly energy_eV?: number;
  readonly wavelength_m?: number;
  readonly provenance?: ImageOrigin & { readonly program?: string; readonly version?: string };
}

const [PIXEL, ENERGY, WAVELENGTH, PROVENANCE] = ['object_pixel_yx_m', 'energy_eV', 'wavelength_m', 'provenance'];

/** Settings that choose places, engines and what is shown, and change no pixel. */
const NO_MATTER = new Set([
  ...['output_dir', 'overwrite', 'resume', 'product_file', 'execution', 'strict', 'debug', 'debug_dump'],
  ...['log_patch_stats', 'patch_stats_limit', 'preview_seconds', 'save_every', 'comparison_plot'],
  ...[
    'phase_vmin',
    'phase_vmax',
    'vector_pictures',
    'r_factor_patterns',
    'test_data_file',
    'model_path',
    'shard',
    'from_shards',
  ],
]);

/** The part of a configuration that shapes an image. */
export function settingsOf(config: object): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(config).filter(([key]) => !NO_MATTER.has(key)));
}

/** The record as arrays: numbers (float64) where they are known, and `provenance`, JSON. */
export function recordArrays({ geometry = {}, provenance }: RecordedFacts): Record<string, NpyInput> {
  const { objectPixel_m: pixel, energy_eV } = geometry;
  const wavelength = wavelengthOf(geometry);
  const number = (value: number) => ({ data: Float64Array.of(value), shape: [] });
  const origin = provenance && { program: createdBy.package, version: createdBy.version, ...provenance };
  return {
    ...(pixel && { [PIXEL]: { data: Float64Array.of(pixel.y, pixel.x), shape: [2] } }),
    ...(energy_eV !== undefined && { [ENERGY]: number(energy_eV) }),
    ...(wavelength !== undefined && { [WAVELENGTH]: number(wavelength) }),
    ...(origin && { [PROVENANCE]: textArray(JSON.stringify(origin)) }),
  };
}

/** The record of a file. What is no positive number, or no JSON, is nothing of ours: other programs may use these names, too. */
export async function readRecord(npz: NpzFile): Promise<ImageRecord> {
  const [y, x = y] = await positive(npz, PIXEL);
  const [energy_eV] = await positive(npz, ENERGY);
  const [wavelength_m] = await positive(npz, WAVELENGTH);
  const provenance = await readOrigin(npz);
  return {
    ...(y !== undefined && { pixel_m: { x, y } }),
    ...(energy_eV !== undefined && { energy_eV }),
    ...(wavelength_m !== undefined && { wavelength_m }),
    ...(provenance && { provenance }),
  };
}

/** One number, or two; none where there is anything else. */
async function positive(npz: NpzFile, key: string): Promise<number[]> {
  if (!npz.has(key)) return [];
  const { shape, dtype } = await npz.header(key);
  if (sizeOf(shape) > 2 || !/^(u?int|float)/.test(dtype)) return [];
  const values = Array.from((await npz.readReal(key)).data as ArrayLike<number | bigint>, Number);
  return values.every((value) => value > 0 && Number.isFinite(value)) ? values : [];
}

async function readOrigin(npz: NpzFile): Promise<ImageRecord['provenance']> {
  if (!npz.has(PROVENANCE)) return undefined;
  const stored = await readText(npz, PROVENANCE);
  try {
    const origin: unknown = JSON.parse('text' in stored ? stored.text : '');
    const known = typeof origin === 'object' && origin !== null && 'scan' in origin && typeof origin.scan === 'string';
    return known ? (origin as ImageRecord['provenance']) : undefined;
  } catch {
    return undefined;
  }
}
