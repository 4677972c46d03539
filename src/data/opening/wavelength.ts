/** The wavelength of a scan, the empty space that its light goes through, and lengths of pixels in words. */

import type { FreeSpace } from '../../physics/propagation.js';
import { wavelength_m } from '../../physics/radiation.js';
import type { ScanGeometry } from '../scanFile.js';

/** A value for columns (x) and one for rows (y). */
export interface Pair {
  readonly x: number;
  readonly y: number;
}

/** The wavelength of a scan: its own (electrons), or that of photons of its energy; undefined where neither is known. */
export function wavelengthOf({ wavelength_m: own, energy_eV }: ScanGeometry): number | undefined {
  return own ?? (energy_eV === undefined ? undefined : wavelength_m(energy_eV));
}

/** The way of light to a near detector. The geometry is that of a near-field scan, which has all three. */
export function freeSpaceOf(geometry: ScanGeometry): FreeSpace {
  return {
    wavelength_m: wavelengthOf(geometry)!,
    distance_m: geometry.nearField!.distance_m,
    pixel_m: geometry.objectPixel_m!,
  };
}

/** `12.35 nm`, or `12.35 × 13.1 nm` (x × y). */
export function nanometres({ x, y }: Pair): string {
  const one = (metres: number) => Number((metres * 1e9).toPrecision(4)).toString();
  return x === y ? `${one(x)} nm` : `${one(x)} × ${one(y)} nm`;
}
