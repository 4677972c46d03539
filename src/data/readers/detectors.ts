/**
 * The detectors of a NeXus or CXI file, and the one that recorded the patterns: the detector that their link leads to, or that
 * links to them. Links may be soft, hard, external, or those of a virtual dataset.
 *
 * @example
 * const detector = detectorOf(file, '/entry/data/data', detectorsOf(groupsOf(file)));
 */
import type { Hdf5File } from '../../formats/hdf5/file.js';
import { textOf } from './hdf5Quantities.js';

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
