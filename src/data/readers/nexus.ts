/** Lengths, energy and pixel mask of NeXus files, with the units that the file declares. */
import type { Hdf5File } from '../../formats/hdf5/file.js';
import { nameOf } from '../../formats/npyHeader.js';
import { asElectronvolts, asMetres, energyOfWavelength_eV } from '../opening/geometry.js';
import type { ScanGeometry } from '../scanFile.js';

/** Where beamlines put what we want, inside an NXentry. */
const ENERGY = [
  'instrument/beam/incident_energy',
  'sample/beam/incident_energy',
  'instrument/beam/energy',
  'instrument/monochromator/energy',
];
const WAVELENGTH = [
  'instrument/beam/incident_wavelength',
  'sample/beam/incident_wavelength',
  'instrument/monochromator/wavelength',
];
const DISTANCE = ['distance', 'detector_distance'];
const MASK = ['detectorSpecific/pixel_mask', 'pixel_mask', 'bad_pixels'];

/** What a NeXus file says about the experiment. */
export interface NexusFacts {
  readonly geometry: ScanGeometry;
  /** Path of the pixel mask. */
  readonly mask?: string;
  readonly notes: readonly string[];
}

/**
 * Looks in every entry of the file; the first value of each kind counts. A value without the attribute `units` is left out,
 * with a note: metres and millimetres cannot be told apart.
 * @throws PtychoError DATASET_UNITS for units that are no length or energy, and reading errors of the file.
 */
export function nexusFacts(file: Hdf5File): NexusFacts {
  const notes: string[] = [];
  const entries = file.keys().filter((name) => /^entry/.test(name) && file.kindOf(`/${name}`) === 'group');
  const at = (places: readonly string[]) =>
    entries.flatMap((entry) => places.map((place) => `/${entry}/${place}`)).find((path) => file.has(path));
  const detectors = entries.flatMap((entry) => {
    const instrument = `${entry}/instrument`;
    if (file.kindOf(`/${instrument}`) !== 'group') return [];
    return file.keys(`/${instrument}`).flatMap((name) => (/^detector/.test(name) ? [`instrument/${name}`] : []));
  });
  const inDetector = (names: readonly string[]) => at(detectors.flatMap((d) => names.map((name) => `${d}/${name}`)));
  const quantity = (path: string | undefined, convert: typeof asMetres): number | undefined => {
    if (path === undefined) return undefined;
    const array = file.read(path);
    const { units } = file.attributes(path);
    if (array.kind !== 'real' || array.data.length !== 1 || !(array.data[0] > 0)) return undefined;
    const where = nameOf(file.origin(path)).replace(/,$/, '');
    if (typeof units === 'string') return convert(array.data[0], units, where);
    notes.push(`Left out: ${where} is ${array.data[0]}, but does not say in which units.`);
    return undefined;
  };
  const wavelength = () => quantity(at(WAVELENGTH), asMetres);
  const energy_eV = quantity(at(ENERGY), asElectronvolts);
  const lambda = energy_eV === undefined ? wavelength() : undefined;
  const [x, y] = ['x_pixel_size', 'y_pixel_size'].map((name) => quantity(inDetector([name]), asMetres));
  return {
    geometry: {
      energy_eV: energy_eV ?? (lambda && energyOfWavelength_eV(lambda)),
      detectorDistance_m: quantity(inDetector(DISTANCE), asMetres),
      detectorPixel_m: x !== undefined && y !== undefined ? { x, y } : undefined,
    },
    mask: inDetector(MASK),
    notes,
  };
}
