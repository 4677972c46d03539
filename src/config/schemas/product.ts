/**
 * The product tools: `product export` and `product import`. What is read is the command's argument; how a scan is opened is the
 * block `data`, as for training.
 *
 * @example
 * productExportConfigSchema.parse({ output_file: 'product.h5' }).raw_data; // false
 */

import { z } from 'zod';
import { field, required } from '../field.js';
import { anyNumber, flag, nonNegativeNumber, optional, path, text } from '../kinds.js';
import { dataConfigSchema, type WithData } from './data.js';
import { overwriteFields } from './output.js';
import { sourceFields } from './sampling.js';

const local = { legacyKey: null } as const;
const { probe, measurement_domain } = sourceFields;

/** A scan, or what `infer` made of one, as a product. */
export const productExportConfigSchema = z.strictObject({
  output_file: required(path, 'Product to write: HDF5 (.h5, .hdf5) or NPZ (.npz).', local),
  ...overwriteFields,
  test_data_file: field(
    optional(path),
    null,
    'Scan that the image of an output folder was made of; null: the one that its run.json names.',
    local,
  ),
  raw_data: field(flag, false, 'Put the patterns into the product, too (HDF5 only).', local),
  name: field(optional(text), null, "Name of the product; null: the source's.", local),
  comments: field(optional(text), null, "Comments; null: the source's.", local),
  exposure_time_s: field(optional(nonNegativeNumber), null, "Exposure of a pattern; null: the source's, else 0.", {
    ...local,
    unit: 's',
  }),
  probe_photon_count: field(
    optional(nonNegativeNumber),
    null,
    "Photons of the probe in a pattern; null: the source's, else 0.",
    { ...local, unit: 'photons' },
  ),
  mass_attenuation_m2_kg: field(
    optional(nonNegativeNumber),
    null,
    "Mass attenuation of the object; null: the source's, else 0.",
    { ...local, unit: 'm²/kg' },
  ),
  tomography_angle_deg: field(optional(anyNumber), null, "Angle of the object; null: the source's, else 0.", {
    ...local,
    unit: '°',
  }),
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** A product as a contract NPZ. */
export const productImportConfigSchema = z.strictObject({
  output_file: required(path, 'NPZ file to write.', local),
  ...overwriteFields,
  diffraction: field(
    optional(path),
    null,
    "The patterns that belong to the product (Ptychodus' diffraction.h5, or an NPZ of patterns); null: those inside the product, if it has any.",
    local,
  ),
  compress: field(
    flag,
    false,
    'Deflate the arrays: a smaller file, but one whose patterns cannot be read one by one.',
    local,
  ),
  accept_changes: field(
    flag,
    false,
    'Import a product of ptychopinn that was changed after it was written; without it that is an error.',
    local,
  ),
  probe,
  measurement_domain,
  data: dataConfigSchema.prefault({}),
});

/** See {@link productExportConfigSchema}. */
export type ProductExportConfig = WithData<typeof productExportConfigSchema>;
/** See {@link productImportConfigSchema}. */
export type ProductImportConfig = WithData<typeof productImportConfigSchema>;
