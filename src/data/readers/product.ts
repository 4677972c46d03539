/**
 * Ptychodus products, HDF5 or NPZ: scan positions with their indexes, probe, object and geometry
 * (`../shared/reference/ptychodus.md` §2.1). Attributes of the HDF5 file have the names of the NPZ keys here.
 */
import { PtychoError } from '../../core/errors.js';
import { type ComplexImage, type ComplexTensor, formatShape, type NumericArray, sizeOf } from '../../core/tensor.js';
import { type Hdf5File, type Hdf5Value, isHdf5File, openHdf5 } from '../../formats/hdf5/file.js';
import { type NpyOrigin, npyError } from '../../formats/npyHeader.js';
import { openNpz } from '../../formats/npz.js';
import { checkFinite } from '../opening/positions.js';
import type { ScanGeometry, StoredPositions } from '../scanFile.js';

/** What a product holds for us. */
export interface Product {
  readonly positions: StoredPositions;
  /** Which pattern each position belongs to. */
  readonly indexes: NumericArray;
  /** (height, width), or modes first. */
  readonly probe?: ComplexTensor;
  readonly object?: ComplexImage;
  readonly geometry: ScanGeometry;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly notes: readonly string[];
}

/** Where the parts of a product come from. */
interface ProductSource {
  readonly path: string;
  has(key: string): boolean;
  real(key: string): Promise<NumericArray>;
  complex(key: string): Promise<ComplexTensor>;
  /** A single value: an attribute, or an array of one. */
  value(key: string): Promise<Hdf5Value | undefined>;
  origin(key: string): NpyOrigin;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** A hundred million positions are a lie. */
const MAX_BYTES = 2 ** 28;
/** The datasets without which a file is no product. */
const POSITION_KEYS = ['probe_position_indexes', 'probe_position_x_m', 'probe_position_y_m'] as const;

/** True when an HDF5 file has the positions of a product. */
export const isProduct = (file: Hdf5File): boolean => POSITION_KEYS.every((key) => file.has(`/${key}`));

/**
 * Reads a product file.
 * @throws PtychoError DATASET_KEY_MISSING when it is none, DATASET_SHAPE, DATASET_VALUE, and those of reading the file.
 */
export async function readProduct(path: string): Promise<Product> {
  if (await isHdf5File(path)) {
    const file = await openHdf5(path);
    try {
      return await readProductOf(file);
    } finally {
      file.close();
    }
  }
  const npz = await openNpz(path);
  try {
    const value = async (key: string): Promise<Hdf5Value | undefined> => {
      if (!npz.has(key)) return undefined;
      const array = await npz.read(key);
      if (array.kind === 'text') return array.strings[0];
      return array.kind === 'real' ? array.data[0] : undefined;
    };
    const metadata: Record<string, unknown> = {};
    for (const key of METADATA_KEYS) if (npz.has(key)) metadata[key] = await value(key);
    return await read({
      path,
      has: (key) => npz.has(key),
      real: async (key) => (await npz.readReal(key)).data,
      complex: (key) => npz.readComplex64(key),
      value,
      origin: (key) => npz.origin(key),
      metadata,
    });
  } finally {
    await npz.close();
  }
}

const METADATA_KEYS = [
  'name',
  'comments',
  'detector_object_distance_m',
  'probe_energy_eV',
  'exposure_time_s',
  'probe_photon_count',
  'mass_attenuation_m2_kg',
  'tomography_angle_deg',
] as const;

/** The product in an opened HDF5 file. @throws PtychoError as {@link readProduct} */
export function readProductOf(file: Hdf5File): Promise<Product> {
  const metadata = file.attributes();
  const attributes: Readonly<Record<string, Record<string, Hdf5Value>>> = Object.fromEntries(
    ['probe', 'object'].map((key) => [key, file.has(`/${key}`) ? file.attributes(`/${key}`) : {}]),
  );
  return read({
    path: file.path,
    has: (key) => file.has(`/${key}`),
    real: async (key) => file.readReal(`/${key}`, MAX_BYTES).data,
    complex: async (key) => file.readComplex64(`/${key}`),
    value: async (key) => {
      const part = /^(probe|object)_(pixel|center)_/.exec(key)?.[1];
      return part === undefined ? metadata[key] : attributes[part][key.slice(part.length + 1)];
    },
    origin: (key) => file.origin(`/${key}`),
    metadata,
  });
}

async function read(source: ProductSource): Promise<Product> {
  const { path } = source;
  const missing = POSITION_KEYS.filter((key) => !source.has(key));
  if (missing.length > 0) {
    throw new PtychoError(
      'DATASET_KEY_MISSING',
      `${path} is no Ptychodus product: ${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing.`,
      { path, key: missing[0], expected: POSITION_KEYS },
    );
  }
  const [indexes, xs, ys] = [
    await source.real(POSITION_KEYS[0]),
    await source.real(POSITION_KEYS[1]),
    await source.real(POSITION_KEYS[2]),
  ];
  const [x, y] = [Float64Array.from(xs), Float64Array.from(ys)];
  if (x.length !== indexes.length || y.length !== indexes.length) {
    throw new PtychoError(
      'DATASET_SHAPE',
      `${path} has ${indexes.length} position indexes, but ${x.length} x and ${y.length} y coordinates; there must be one of each.`,
      { path, found: [indexes.length, x.length, y.length] },
    );
  }
  checkFinite(x, source.origin(POSITION_KEYS[1]));
  checkFinite(y, source.origin(POSITION_KEYS[2]));
  const notes: string[] = [];
  return {
    positions: { x, y, unit: 'm', origin: { path } },
    indexes,
    probe: source.has('probe') ? firstProbe(await source.complex('probe'), source.origin('probe'), notes) : undefined,
    object: source.has('object')
      ? firstLayer(await source.complex('object'), source.origin('object'), notes)
      : undefined,
    geometry: await geometry(source),
    metadata: source.metadata,
    notes,
  };
}

/** The incoherent modes of the first coherent (OPR) one: (coherent, incoherent, height, width), or fewer axes. */
export function firstProbe(probe: ComplexTensor, origin: NpyOrigin, notes: string[]): ComplexTensor {
  const { shape } = probe;
  if (shape.length < 2 || shape.length > 4) {
    throw npyError('PROBE_SHAPE', origin, `has shape ${formatShape(shape)}, but a probe has two to four axes.`, {
      found: shape,
    });
  }
  if (shape.length === 4 && shape[0] > 1) {
    notes.push(`${origin.path}: the first of ${shape[0]} coherent (OPR) modes of the probe is used.`);
  }
  const kept = shape.slice(-3);
  const modes = kept.length === 3 && kept[0] === 1 ? kept.slice(1) : kept;
  return { re: probe.re.subarray(0, sizeOf(modes)), im: probe.im.subarray(0, sizeOf(modes)), shape: modes };
}

/** The first layer of an object (layers, height, width). */
export function firstLayer(object: ComplexTensor, origin: NpyOrigin, notes: string[]): ComplexImage {
  const { shape } = object;
  if (shape.length !== 2 && shape.length !== 3) {
    throw npyError('DATASET_SHAPE', origin, `has shape ${formatShape(shape)}, but an object has two or three axes.`, {
      found: shape,
    });
  }
  if (shape.length === 3 && shape[0] > 1)
    notes.push(`${origin.path}: the first of ${shape[0]} layers of the object is used.`);
  const image = shape.slice(-2);
  return { re: object.re.subarray(0, sizeOf(image)), im: object.im.subarray(0, sizeOf(image)), shape: image };
}

async function geometry(source: ProductSource): Promise<ScanGeometry> {
  const number = async (key: string) => {
    const value = await source.value(key);
    return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
  };
  /** Zero stands for unknown. */
  const positive = async (key: string) => {
    const value = await number(key);
    return value !== undefined && value > 0 ? value : undefined;
  };
  // Probe and object have the same pixels.
  const width = (await positive('object_pixel_width_m')) ?? (await positive('probe_pixel_width_m'));
  const height = (await positive('object_pixel_height_m')) ?? (await positive('probe_pixel_height_m'));
  const [x, y] = [await number('object_center_x_m'), await number('object_center_y_m')];
  return {
    energy_eV: await positive('probe_energy_eV'),
    detectorDistance_m: await positive('detector_object_distance_m'),
    objectPixel_m: width !== undefined && height !== undefined ? { x: width, y: height } : undefined,
    objectCentre_m: x !== undefined && y !== undefined ? { x, y } : undefined,
  };
}
