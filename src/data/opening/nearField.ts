/**
 * Near fields: whether the patterns of a scan are images a little behind the sample, and how far the light goes to the detector. A cone
 * beam becomes the parallel one in which the sample makes the same pictures, with the pixels that the detector has there.
 */
import { invalidOption, PtychoError } from '../../core/errors.js';
import { coneBeam, nearFieldReach_m } from '../../physics/propagation.js';
import type { OpenDatasetOptions } from '../options.js';
import type { RawData } from '../rawData.js';
import type { ScanGeometry } from '../scanFile.js';
import { nanometres, type Pair, wavelengthOf } from './wavelength.js';

/** Options that near fields have. */
export type NearFieldOptions = Pick<
  OpenDatasetOptions,
  'near_field' | 'propagation_distance_m' | 'source_distance_m' | 'object_pixel_m'
>;

/** Whether patterns are near fields: because they are said to be, or because there is a distance that only near fields have. */
export const isNearField = (
  geometry: ScanGeometry,
  { near_field, propagation_distance_m }: NearFieldOptions = {},
): boolean => near_field ?? (Boolean(propagation_distance_m) || geometry.propagationDistance_m !== undefined);

/**
 * The geometry of a near-field scan: object pixels of the parallel beam, and the distance that it goes.
 * @param given the geometry with options filled in, detector pixels as they are used
 * @param declared object pixels that the file gives
 * @param N side of the patterns
 * @throws PtychoError DATASET_UNITS for what is missing, and for a detector that is not near; CONFIG_INVALID for distances that are none
 */
export function nearFieldGeometry(
  path: string,
  given: ScanGeometry,
  declared: Pair | undefined,
  options: NearFieldOptions,
  N: number,
): ScanGeometry {
  for (const key of ['propagation_distance_m', 'source_distance_m'] as const) {
    const value = options[key];
    if (value === undefined || value === null || (value > 0 && Number.isFinite(value))) continue;
    throw invalidOption(key, `${key} must be a positive number, got ${value}.`, value);
  }
  const detector_m = options.propagation_distance_m ?? given.propagationDistance_m ?? given.detectorDistance_m;
  const source_m = options.source_distance_m ?? given.sourceDistance_m;
  const wavelength_m = wavelengthOf(given);
  const magnification = detector_m && source_m ? coneBeam({ source_m, detector_m }).magnification : 1;
  const { detectorPixel_m: detector } = given;
  const own = options.object_pixel_m ? { x: options.object_pixel_m, y: options.object_pixel_m } : declared;
  const pixel_m = own ?? (detector && { x: detector.x / magnification, y: detector.y / magnification });
  if (detector_m === undefined || wavelength_m === undefined || pixel_m === undefined) {
    const missing = [
      detector_m === undefined && 'propagation_distance_m (sample to detector)',
      wavelength_m === undefined && 'energy_eV',
      pixel_m === undefined && 'detector_pixel_m (or object_pixel_m)',
    ].filter((name) => name !== false);
    throw new PtychoError(
      'DATASET_UNITS',
      `${path} is opened as a near-field scan, for which ${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing; give ${missing.length === 1 ? 'it' : 'them'}, and source_distance_m too where the beam is a cone.`,
      { path, missing },
    );
  }
  const distance_m = source_m ? coneBeam({ source_m, detector_m }).distance_m : detector_m;
  const reach_m = nearFieldReach_m(N, { pixel_m, wavelength_m });
  if (distance_m > reach_m) {
    throw new PtychoError(
      'DATASET_UNITS',
      `${path} is opened as a near-field scan, but with pixels of ${nanometres(pixel_m)} its detector is near up to ${short(reach_m)} m (N·pixel²/λ) and light goes ${short(distance_m)} m to it: give the right propagation_distance_m, detector_pixel_m and, in a cone beam, source_distance_m, or leave near_field out (near_field false where the file has the distance): the patterns are then far fields, and the probe takes up their curvature.`,
      { path, found: distance_m, expected: reach_m },
    );
  }
  return {
    ...given,
    ...(source_m !== undefined && { sourceDistance_m: source_m }),
    propagationDistance_m: detector_m,
    objectPixel_m: pixel_m,
    nearField: { distance_m },
  };
}

const short = (value: number): string => Number(value.toPrecision(3)).toString();

/**
 * Refuses near fields to what knows far fields only.
 * @param who as the sentence begins, after "far fields are what"
 * @throws PtychoError FORMAT_UNSUPPORTED
 */
export function requireFarField({ source, geometry }: Pick<RawData, 'source' | 'geometry'>, who: string): void {
  if (!geometry.nearField) return;
  throw new PtychoError(
    'FORMAT_UNSUPPORTED',
    `${source} is a near-field scan, and far fields are what ${who}; reconstruct it with "ptychopinn solve" or "ptychopinn reconstruct".`,
    { path: source, found: 'near field' },
  );
}
