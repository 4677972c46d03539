/**
 * Wavelengths of photons and electrons, and units: what files give in keV, joules, micrometres or ångström becomes eV and metres.
 *
 * @example
 * wavelength_m(8800); // 1.409e-10
 * asMetres(75, 'um', 'x_pixel_size of scan.h5'); // 7.5e-5
 */
import { PtychoError } from '../../core/errors.js';
import type { ScanGeometry } from '../scanFile.js';

const ELEMENTARY_CHARGE_C = 1.602176634e-19;
/** h·c in eV·m (CODATA 2018; h, c and e are exact). */
const HC_EV_M = (6.62607015e-34 * 299792458) / ELEMENTARY_CHARGE_C;

/** Wavelength of photons: λ = hc/E, metres. */
export const wavelength_m = (energy_eV: number): number => HC_EV_M / energy_eV;

/** Energy of photons of a wavelength in metres: E = hc/λ, eV. */
export const energyOfWavelength_eV = (wavelength: number): number => HC_EV_M / wavelength;

/** m·c² of the electron, eV (CODATA 2018). */
const ELECTRON_REST_eV = 510998.95;

/** Relativistic wavelength of electrons of a kinetic energy: λ = hc/√(E² + 2·E·mc²), metres. */
export const electronWavelength_m = (energy_eV: number): number =>
  HC_EV_M / Math.sqrt(energy_eV ** 2 + 2 * energy_eV * ELECTRON_REST_eV);

/** The wavelength of a scan: its own (electrons), or that of photons of its energy; undefined where neither is known. */
export function wavelengthOf({ wavelength_m: own, energy_eV }: ScanGeometry): number | undefined {
  return own ?? (energy_eV === undefined ? undefined : wavelength_m(energy_eV));
}

const METRES: Readonly<Record<string, number>> = {
  m: 1,
  meter: 1,
  metre: 1,
  cm: 1e-2,
  mm: 1e-3,
  millimeter: 1e-3,
  um: 1e-6,
  // The micro sign and the Greek letter, which look the same.
  '\u00b5m': 1e-6,
  '\u03bcm': 1e-6,
  micron: 1e-6,
  micrometer: 1e-6,
  nm: 1e-9,
  nanometer: 1e-9,
  pm: 1e-12,
  angstrom: 1e-10,
  å: 1e-10,
  a: 1e-10,
};
const ELECTRONVOLTS: Readonly<Record<string, number>> = {
  ev: 1,
  kev: 1e3,
  mev: 1e6,
  j: 1 / ELEMENTARY_CHARGE_C,
  joule: 1 / ELEMENTARY_CHARGE_C,
};

/** `Microns` and `micron` are the same. */
const singular = (units: string): string => {
  const name = units.trim().toLowerCase();
  return name.length > 3 ? name.replace(/s$/, '') : name;
};

/** How many metres a unit of length has, `px` for pixels, undefined for anything else. */
export function lengthUnit(units: string): number | 'px' | undefined {
  const name = singular(units);
  return ['px', 'pixel'].includes(name) ? 'px' : METRES[name];
}

/**
 * A length in metres.
 * @param where file and key, for messages
 * @throws PtychoError DATASET_UNITS for units that are no length.
 */
export function asMetres(value: number, units: string, where: string): number {
  const factor = lengthUnit(units);
  if (typeof factor === 'number') return value * factor;
  throw new PtychoError(
    'DATASET_UNITS',
    `${where} is in "${units}", which is no unit of length that is known here (m, mm, um, nm, angstrom).`,
    { found: units },
  );
}

/** An energy in eV, see {@link asMetres}. @throws PtychoError DATASET_UNITS for units that are no energy. */
export function asElectronvolts(value: number, units: string, where: string): number {
  const factor = ELECTRONVOLTS[singular(units)];
  if (factor !== undefined) return value * factor;
  throw new PtychoError(
    'DATASET_UNITS',
    `${where} is in "${units}", which is no unit of energy that is known here (eV, keV, J).`,
    { found: units },
  );
}
