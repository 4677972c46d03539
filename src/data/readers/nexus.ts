/**
 * Lengths, energy and pixel mask of NeXus files, with the units that the file declares; those of the detector that recorded the
 * patterns, where there are several.
 */
import type { Hdf5File } from '../../formats/hdf5/file.js';
import type { ScanGeometry } from '../scanFile.js';
import { detectorOf, detectorsOf, groupsOf, type NexusGroup } from './detectors.js';
import { distanceAt, energyAt, energyOfWavelengthAt, pixelAt } from './hdf5Quantities.js';

/** Groups of a beam, and what they hold; the energy of a source is that of its electrons. */
const BEAM_CLASSES = ['NXbeam', 'NXmonochromator'];
const BEAM_NAMES = /^(beam|incident_beam|monochromator|mono|dcm)(_\d+)?$/i;
const ENERGY = ['incident_energy', 'energy'];
const WAVELENGTH = ['incident_wavelength', 'wavelength'];
const DETECTOR_ENERGY = ['detectorSpecific/photon_energy', 'photon_energy', 'incident_energy'];
const DETECTOR_WAVELENGTH = ['incident_wavelength'];
const DISTANCE = ['distance', 'detector_distance'];
const MASK = ['detectorSpecific/pixel_mask', 'pixel_mask', 'bad_pixels', 'mask'];
/** Energy and wavelength that differ by more contradict each other. */
const TOLERANCE = 0.01;

/** What a NeXus file says about the experiment. */
export interface NexusFacts {
  readonly geometry: ScanGeometry;
  /** Path of the pixel mask. */
  readonly mask?: string;
  /** The group of the detector, where it is known. */
  readonly detector?: string;
  readonly notes: readonly string[];
}

/**
 * Looks through the file. Lengths and mask are those of the detector of the patterns; of several detectors to none of which the
 * patterns lead, only what they agree in. A value that nobody can tell the unit of is left out, with a note.
 * @param patterns path of the dataset of the patterns, or of its first piece
 * @throws PtychoError DATASET_UNITS for units that are no length or energy, and reading errors of the file.
 */
export function nexusFacts(file: Hdf5File, patterns: string): NexusFacts {
  const notes: string[] = [];
  const groups = groupsOf(file);
  const all = detectorsOf(groups);
  const detector = all.length === 1 ? all[0] : detectorOf(file, patterns, all);
  const detectors = detector === undefined ? all : [detector];
  const firstOf = (group: string, names: readonly string[]) =>
    names.map((name) => `${group}/${name}`).find((path) => file.has(path));
  const shared = (what: string, names: readonly string[], read: typeof distanceAt): number | undefined => {
    const found = detectors.flatMap((group) => {
      const path = firstOf(group, names);
      const value = path && read(file, path, notes);
      return path && value ? [{ path, value }] : [];
    });
    if (found.every(({ value }) => value === found[0].value)) return found[0]?.value;
    const listed = found.map(({ path, value }) => `${path} (${value} m)`).join(', ');
    notes.push(
      `Left out: the ${what} of ${file.path} is one of ${listed}, and the patterns at ${patterns} lead to none of these detectors; give the right one.`,
    );
    return undefined;
  };
  const [x, y] = ['x_pixel_size', 'y_pixel_size'].map((name) => shared(name.replaceAll('_', ' '), [name], pixelAt));
  const masks = detectors.flatMap((group) => firstOf(group, MASK) ?? []);
  if (masks.length > 1) {
    notes.push(
      `Left out: the masks of ${file.path} at ${masks.join(', ')}, for the patterns at ${patterns} lead to none of these detectors; name one with bad_pixels FILE:key.`,
    );
  }
  return {
    geometry: {
      energy_eV: energyOf(file, groups, patterns, detectors, notes),
      detectorDistance_m: shared('distance', DISTANCE, distanceAt),
      detectorPixel_m: x !== undefined && y !== undefined ? { x, y } : undefined,
    },
    mask: masks.length === 1 ? masks[0] : undefined,
    detector,
    notes,
  };
}

/** The energy of the beam; that of the entry of the patterns where entries have several. */
function energyOf(
  file: Hdf5File,
  groups: readonly NexusGroup[],
  patterns: string,
  detectors: readonly string[],
  notes: string[],
): number | undefined {
  const entry = `/${patterns.split('/').filter(Boolean)[0]}/`;
  const mine = ({ path }: NexusGroup) => (path.startsWith(entry) ? 0 : 1);
  const isBeam = ({ nxClass, name }: NexusGroup) =>
    nxClass === undefined ? BEAM_NAMES.test(name) : BEAM_CLASSES.includes(nxClass);
  const beams = groups.filter(isBeam).sort((a, b) => mine(a) - mine(b));
  const places = (names: readonly string[], ofDetector: readonly string[]) => [
    ...names.flatMap((name) => beams.map(({ path }) => `${path}/${name}`)),
    ...ofDetector.flatMap((name) => detectors.map((path) => `${path}/${name}`)),
  ];
  const first = (paths: readonly string[], read: typeof energyAt) => {
    for (const path of paths) {
      const value = read(file, path, notes);
      if (value !== undefined) return { path, value };
    }
    return undefined;
  };
  const energy = first(places(ENERGY, DETECTOR_ENERGY), energyAt);
  const wavelength = first(places(WAVELENGTH, DETECTOR_WAVELENGTH), energyOfWavelengthAt);
  if (energy && wavelength && Math.abs(energy.value / wavelength.value - 1) > TOLERANCE) {
    notes.push(
      `${file.path} contradicts itself: ${energy.path} is ${energy.value.toPrecision(6)} eV, and the wavelength at ${wavelength.path} means ${wavelength.value.toPrecision(6)} eV; the former is used, energy_eV replaces it.`,
    );
  }
  return energy?.value ?? wavelength?.value;
}
