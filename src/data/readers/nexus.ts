/**
 * Lengths, energy and pixel mask of NeXus files, with the units that the file declares; those of the detector that recorded the
 * patterns, where there are several.
 */
import type { Hdf5File } from '../../formats/hdf5/file.js';
import type { ScanGeometry } from '../scanFile.js';
import { distanceAt, energyAt, energyOfWavelengthAt, pixelAt, textOf } from './hdf5Quantities.js';

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

/** A group of the file and its class, `NXdetector` and the like. */
export interface NexusGroup {
  readonly path: string;
  readonly name: string;
  readonly nxClass?: string;
}

/** Entry, instrument, detector, and one more. */
const DEEPEST = 4;
/** A look, no search. */
const MOST_GROUPS = 2000;
/** Names under which a detector keeps its frames. */
const MOST_MEMBERS = 50;

/** The groups of a file, those near its root first. */
export function groupsOf(file: Hdf5File): NexusGroup[] {
  const found: NexusGroup[] = [];
  const seen = new Set<string>();
  let level = [''];
  for (let depth = 0; depth < DEEPEST && level.length > 0; depth++) {
    const next: string[] = [];
    for (const above of level) {
      for (const name of file.groupsIn(above === '' ? '/' : above)) {
        const path = `${above}/${name}`;
        const identity = file.placesOf(path).at(-1) ?? path;
        if (found.length >= MOST_GROUPS || seen.has(identity)) continue;
        seen.add(identity);
        found.push({ path, name, nxClass: textOf(file.attributes(path).NX_class) });
        next.push(path);
      }
    }
    level = next;
  }
  return found;
}

/** The paths of the detectors: groups of class NXdetector, and those that are called so in an instrument. */
export function detectorsOf(groups: readonly NexusGroup[]): string[] {
  return groups
    .filter(
      ({ path, name, nxClass }) =>
        nxClass === 'NXdetector' ||
        ((nxClass === undefined || nxClass === 'NXcollection') &&
          /^detector/i.test(name) &&
          /\/instrument[^/]*\/[^/]+$/i.test(path)),
    )
    .map(({ path }) => path);
}

/** Which of several detectors the patterns are from; undefined where nothing leads from one to the other. */
export function detectorOf(file: Hdf5File, patterns: string, detectors: readonly string[]): string | undefined {
  const places = file.placesOf(patterns);
  const own = places[0]?.slice(0, -patterns.replace(/^\/?/, '/').length);
  // What a NeXus library writes beside each of two names of one dataset.
  const target = file.has(patterns) ? textOf(file.attributes(patterns).target) : undefined;
  if (target !== undefined && own !== undefined) places.push(`${own}/${target.replace(/^\/+/, '')}`);
  const inside = (detector: string) => {
    const bases = file.placesOf(detector).filter((place) => place.includes(':/'));
    return places.some((place) => bases.some((base) => place.startsWith(`${base}/`)));
  };
  const holding = detectors.filter(inside);
  // The innermost: a detector may have modules.
  if (holding.length > 0) return holding.reduce((a, b) => (b.length > a.length ? b : a));
  const wanted = new Set(places);
  return detectors.find((detector) =>
    file
      .keys(detector)
      .slice(0, MOST_MEMBERS)
      .some(
        (name) => file.has(`${detector}/${name}`) && file.placesOf(`${detector}/${name}`).some((p) => wanted.has(p)),
      ),
  );
}
