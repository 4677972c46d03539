/** Where the light of a scan goes through empty space: between slices of the object, and to a detector that is near. */
import type { SolverOptions } from '../config/schemas/solver.js';
import { PtychoError } from '../core/errors.js';
import type { ComplexImage } from '../core/tensor.js';
import { freeSpaceOf, nanometres, wavelengthOf } from '../data/opening/wavelength.js';
import type { ScanGeometry } from '../data/scanFile.js';
import { nearFieldReach_m, transferFunction } from '../physics/propagation.js';

/** Empty space that light goes through: what it makes of each frequency, (N, N) with frequency 0 in the corner. */
export type Transfer = ComplexImage<Float64Array>;

/** Where light goes through empty space. */
export interface Propagation {
  /** From the object to a detector that is near: the wave is first shifted back, as beam and detector stay; left out: far away. */
  readonly detector?: Transfer;
  /** From each slice of the object to the next: one fewer than slices. */
  readonly slices?: readonly Transfer[];
  /** Their distance. */
  readonly sliceDistance_m?: number;
}

/**
 * The empty space of a scan that is solved with these options; undefined where there is none.
 * @throws PtychoError DATASET_UNITS where the distance of slices, the wavelength or the object pixel is unknown, or slices lie too far apart
 */
export function propagationOf(
  { source, N, geometry = {} }: { readonly source: string; readonly N: number; readonly geometry?: ScanGeometry },
  options: Pick<SolverOptions, 'slices' | 'slice_distance_m'>,
): Propagation | undefined {
  const detector = geometry.nearField && transferFunction(N, freeSpaceOf(geometry));
  const slices = options.slices > 1 ? slicesOf(source, N, geometry, options) : undefined;
  if (!detector && !slices) return undefined;
  return { detector, slices, ...(slices && { sliceDistance_m: sliceDistance_m(geometry, options.slice_distance_m) }) };
}

/** From each slice to the next, as it is given or as the file says. */
const sliceDistance_m = (geometry: ScanGeometry, given: number | null): number | undefined =>
  given ?? geometry.sliceDistance_m;

const short = (value: number): string => Number(value.toPrecision(3)).toString();

function slicesOf(
  source: string,
  N: number,
  geometry: ScanGeometry,
  { slices, slice_distance_m }: Pick<SolverOptions, 'slices' | 'slice_distance_m'>,
): Transfer[] {
  const distance_m = sliceDistance_m(geometry, slice_distance_m);
  const wavelength_m = wavelengthOf(geometry);
  const { objectPixel_m: pixel_m } = geometry;
  if (distance_m === undefined || wavelength_m === undefined || pixel_m === undefined) {
    const missing = [
      distance_m === undefined && 'the distance of its slices (slice_distance_m)',
      wavelength_m === undefined && 'the energy (energy_eV)',
      pixel_m === undefined && 'the object pixel (object_pixel_m, or detector_distance_m and detector_pixel_m)',
    ].filter((name) => name !== false);
    throw new PtychoError(
      'DATASET_UNITS',
      `${source}: light that goes through ${slices} slices needs ${missing.join(', ')}; give ${missing.length === 1 ? 'it' : 'them'}.`,
      { path: source, missing },
    );
  }
  // Light of the finest waves goes λ/(2·pixel) aside by unit of length, and what leaves at one side comes in at the other: up to
  // N·pixel²/λ (half a patch) it is where it belongs; beyond twice that it has crossed the whole patch.
  const most_m = 2 * nearFieldReach_m(N, { pixel_m, wavelength_m });
  if (distance_m > most_m) {
    throw new PtychoError(
      'DATASET_UNITS',
      `${source}: slices ${short(distance_m)} m apart are too far from each other for patches of ${N} pixels of ${nanometres(pixel_m)}, whose finest waves cross the whole patch in ${short(most_m)} m (2·N·pixel²/λ); look at the unit of slice_distance_m, or at energy and object pixel.`,
      { path: source, found: distance_m, expected: most_m },
    );
  }
  const transfer = transferFunction(N, { wavelength_m, distance_m, pixel_m });
  return Array.from({ length: slices - 1 }, () => transfer);
}
