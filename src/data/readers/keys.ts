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

/** Lengths along x (columns) and y (rows) in metres: one dataset each, or one that holds both in this order (or one for both). */
export type PairKeys =
  | { readonly x: string; readonly y: string }
  | { readonly both: string; readonly order: 'xy' | 'yx' };

/** How one program lays out its results. */
export interface ResultLayout {
  /** For messages. */
  readonly program: string;
  /** Object: (rows, columns), layers or modes first. */
  readonly object: string;
  /** Probe, in an order of axes that `incoherentModes` knows. */
  readonly probe: string;
  /** Side of an object pixel. */
  readonly pixel_m?: PairKeys;
  /** Position of the middle of the first object pixel, in the metres of the scan. */
  readonly corner_m?: PairKeys;
  /** Positions of the columns (x) and rows (y) of the object, in the unit of their attribute `units`. Rows may run either way. */
  readonly axes?: { readonly x: string; readonly y: string };
  /** Positions of the patterns, (n, 2) or with its axes exchanged: in metres as corner and axes, or in pixels from the middle. */
  readonly positions?: { readonly key: string; readonly order: 'xy' | 'yx' };
}

/** All that are known; the first whose object a file holds is taken. */
export const RESULT_LAYOUTS: readonly ResultLayout[] = [
  {
    program: 'PtyPy',
    object: '/content/obj/*/data',
    probe: '/content/probe/*/data',
    pixel_m: { both: '/content/obj/*/_psize', order: 'yx' },
    corner_m: { both: '/content/obj/*/_origin', order: 'yx' },
  },
  ...['entry_1', 'entry_last'].flatMap((entry) =>
    [
      ['object', 'probe'],
      ['result_1', 'result_2'],
    ].map(([object, probe]) => ({
      program: 'PyNX',
      object: `/${entry}/${object}/data`,
      probe: `/${entry}/${probe}/data`,
      pixel_m: { x: `/${entry}/${object}/x_pixel_size`, y: `/${entry}/${object}/y_pixel_size` },
      axes: { x: `/${entry}/${object}/col_coords`, y: `/${entry}/${object}/row_coords` },
      positions: { key: `/${entry}/${object === 'object' ? 'positions' : 'result_5'}/data`, order: 'xy' as const },
    })),
  ),
  {
    program: 'PtychoShelves',
    object: '/object',
    probe: '/probe',
    pixel_m: { both: '/p/dx_spec', order: 'xy' },
    positions: { key: '/outputs/probe_positions', order: 'xy' },
  },
  {
    program: 'Pty-Chi',
    object: '/object',
    probe: '/probe',
    pixel_m: { both: '/obj_pixel_size_m', order: 'yx' },
    positions: { key: '/positions_px', order: 'yx' },
  },
];

const distinct = (keys: readonly string[]): readonly string[] => [...new Set(keys)];
// An NPZ has the same names without their slash.
const withPlain = (keys: readonly string[]) =>
  distinct(keys.flatMap((key) => (/^\/\w+$/.test(key) ? [key.slice(1), key] : [key])));

/** Where objects are. */
export const RESULT_OBJECTS: readonly string[] = withPlain(RESULT_LAYOUTS.map(({ object }) => object));
/** Where probes are. */
export const RESULT_PROBES: readonly string[] = withPlain(RESULT_LAYOUTS.map(({ probe }) => probe));

/** Layers of an object in an NPZ scan, whose `objectGuess` is their product. */
export const LAYER_KEYS = { array: 'object_layers', spacing: PRODUCT_KEYS.layerSpacing } as const;
