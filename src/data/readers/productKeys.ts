/**
 * What the parts of a Ptychodus product are called (`docs/ptychodus.md`, `../shared/reference/ptychodus.md` §2.1). The names
 * are those of the NPZ file; in HDF5 some of them are attributes.
 *
 * @example
 * attributeOf('probe_pixel_width_m'); // { object: '/probe', name: 'pixel_width_m' }
 * attributeOf('probe_position_x_m'); // undefined: a dataset of its own
 */

/** What a product says of the experiment in words. */
export const TEXT_KEYS = ['name', 'comments'] as const;
/** Numbers of the experiment without which Ptychodus does not open a product. */
export const REQUIRED_NUMBER_KEYS = ['detector_object_distance_m', 'probe_energy_eV', 'exposure_time_s'] as const;
/** Numbers of the experiment that are 0 where they are left out. */
export const OPTIONAL_NUMBER_KEYS = ['probe_photon_count', 'mass_attenuation_m2_kg', 'tomography_angle_deg'] as const;
/** All that a product says of the experiment. */
export const METADATA_KEYS = [...TEXT_KEYS, ...REQUIRED_NUMBER_KEYS, ...OPTIONAL_NUMBER_KEYS] as const;
/** The arrays without which a file is no product. */
export const POSITION_KEYS = ['probe_position_indexes', 'probe_position_x_m', 'probe_position_y_m'] as const;

/** The other arrays and lengths. */
export const PRODUCT_KEYS = {
  probe: 'probe',
  probePixelWidth: 'probe_pixel_width_m',
  probePixelHeight: 'probe_pixel_height_m',
  oprWeights: 'opr_weights',
  object: 'object',
  objectCenterX: 'object_center_x_m',
  objectCenterY: 'object_center_y_m',
  objectPixelWidth: 'object_pixel_width_m',
  objectPixelHeight: 'object_pixel_height_m',
  layerSpacing: 'object_layer_spacing_m',
  lossValues: 'loss_values',
  /** What `loss_values` was called before. */
  lossValuesFormerly: 'costs',
  lossEpochs: 'loss_epochs',
} as const;

/** The group of an HDF5 product that holds the measurement itself, an extension of PtychoPINN. */
export const RAW_GROUP = '/raw_data';

const ROOT_ATTRIBUTES: ReadonlySet<string> = new Set(METADATA_KEYS);

/** The attribute that holds a key's value in HDF5; undefined for those that are datasets `/key`. */
export function attributeOf(key: string): { readonly object: string; readonly name: string } | undefined {
  if (ROOT_ATTRIBUTES.has(key)) return { object: '/', name: key };
  const [, object, name] = /^(probe|object)_((?:pixel|center)_.+)$/.exec(key) ?? [];
  return object === undefined ? undefined : { object: `/${object}`, name };
}
