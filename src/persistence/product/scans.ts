import path from 'node:path';
import type { ProductExportConfig } from '../../config/schemas/tools.js';
import { createdBy } from '../../core/version.js';
import {
  geometryRecord,
  type MetadataRecord,
  nphotonsOf,
  withSection,
  withTransformation,
} from '../../data/metadata.js';
import type { RawData } from '../../data/rawData.js';
import { LAYER_KEYS, POSITION_KEYS } from '../../data/readers/keys.js';
import { patternsToWrite } from '../../data/scanWriter.js';
import type { NpyInput } from '../../formats/npyWrite.js';
import { writeNpz } from '../../formats/npz.js';
import { projection } from '../../physics/layers.js';
import { energyOfWavelength_eV } from '../../physics/radiation.js';
import { gridOfObject, positionsOnObject } from './geometry.js';
import type { PatternDtype, Product, ProductLosses, ProductMetadata, ProductRawData } from './product.js';

/** The loss of each epoch, of the model's training or of the solver. */
export function lossesOf(values: readonly unknown[]): ProductLosses {
  const rows = values.flatMap((value, i) => (typeof value === 'number' ? [{ epoch: i + 1, value }] : []));
  return {
    epochs: Int32Array.from(rows, ({ epoch }) => epoch),
    values: Float64Array.from(rows, ({ value }) => value),
  };
}

/** What a product says of the experiment: what is given, else what the scan says. */
export function metadataOf(
  config: Partial<ProductExportConfig>,
  { metadata, geometry, source }: Pick<RawData, 'metadata' | 'geometry' | 'source'>,
): ProductMetadata {
  const number = (
    key: Exclude<keyof ProductExportConfig & keyof ProductMetadata, 'name' | 'comments'>,
    otherwise = 0,
  ) => {
    const own = metadata[key];
    return config[key] ?? (typeof own === 'number' && Number.isFinite(own) ? own : otherwise);
  };
  const text = (key: 'name' | 'comments', otherwise: string) => {
    const own = metadata[key];
    return config[key] ?? (typeof own === 'string' && own !== '' ? own : otherwise);
  };
  return {
    name: text('name', path.basename(source, path.extname(source))),
    comments: text('comments', ''),
    detector_object_distance_m: geometry.detectorDistance_m ?? 0,
    // A product knows photons only: for electrons, those of the same wavelength.
    probe_energy_eV: (geometry.wavelength_m ? energyOfWavelength_eV(geometry.wavelength_m) : geometry.energy_eV) ?? 0,
    exposure_time_s: number('exposure_time_s'),
    probe_photon_count: number('probe_photon_count', nphotonsOf(metadata)),
    mass_attenuation_m2_kg: number('mass_attenuation_m2_kg'),
    tomography_angle_deg: number('tomography_angle_deg'),
  };
}

/** The patterns of a scan as the raw data of its product. */
export function rawDataOf(raw: RawData, product: Product): ProductRawData {
  const { dtype, shape, pieces, domain } = patternsToWrite(raw);
  const { x, y } = positionsOnObject(product);
  return {
    diffraction: { dtype: dtype as PatternDtype, shape, pieces },
    xcoords_px: x,
    ycoords_px: y,
    scan_index: raw.scanIndex,
    measurement_domain: domain,
    ...(raw.badPixels && { bad_pixels: { data: raw.badPixels, shape: [raw.N, raw.N] } }),
  };
}

/** Writes the positions (object pixels), probe and object of a product that has no patterns, for `positions` and `probe` of commands. */
export async function writeWithoutPatterns(target: string, file: string, product: Product): Promise<void> {
  const { probe, object, positions, metadata } = product;
  const { x, y } = positionsOnObject(product);
  const n = x.length;
  const { pixel_m, centre_m } = gridOfObject(object);
  const geometry = geometryRecord({
    energy_eV: metadata.probe_energy_eV || undefined,
    detectorDistance_m: metadata.detector_object_distance_m || undefined,
    objectPixel_m: pixel_m,
    objectCentre_m: centre_m,
  });
  const record = withTransformation(
    withSection(metadata as unknown as MetadataRecord, 'additional_parameters', { geometry }),
    {
      tool: `${createdBy.package} product import`,
      operation: 'product import',
      parameters: { product: file, version: createdBy.version },
    },
  );
  const [, modes, height, width] = probe.array.shape;
  const size = modes * height * width;
  const arrays: Record<string, NpyInput> = {
    xcoords: { data: x, shape: [n] },
    ycoords: { data: y, shape: [n] },
    probeGuess: {
      re: probe.array.re.subarray(0, size),
      im: probe.array.im.subarray(0, size),
      shape: modes === 1 ? [height, width] : [modes, height, width],
    },
    objectGuess: projection(object.array),
    ...(object.array.shape[0] > 1 && {
      [LAYER_KEYS.array]: object.array,
      [LAYER_KEYS.spacing]: { data: object.layer_spacing_m, shape: [object.layer_spacing_m.length] },
    }),
    scan_index: { data: new Int32Array(n), shape: [n] },
    [POSITION_KEYS[0]]: { data: positions.indexes, shape: [n] },
    _metadata: { strings: [JSON.stringify(record)], shape: [] },
  };
  await writeNpz(target, arrays);
}
