/**
 * Units: what files give in keV, joules, micrometres or ångström becomes eV and metres.
 *
 * @example
 * asMetres(75, 'um', 'x_pixel_size of scan.h5'); // 7.5e-5
 */
import { PtychoError } from '../../core/errors.js';
import { ELEMENTARY_CHARGE_C } from '../../physics/radiation.js';

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
