/**
 * Energies and wavelengths of photons and electrons. h, c and e are exact (CODATA 2018).
 *
 * @example
 * wavelength_m(8800); // 1.409e-10
 */

/** Joules of an electronvolt. */
export const ELEMENTARY_CHARGE_C = 1.602176634e-19;
/** h·c in eV·m. */
const HC_EV_M = (6.62607015e-34 * 299792458) / ELEMENTARY_CHARGE_C;
/** m·c² of the electron, eV. */
const ELECTRON_REST_eV = 510998.95;

/** Wavelength of photons: λ = hc/E, metres. */
export const wavelength_m = (energy_eV: number): number => HC_EV_M / energy_eV;

/** Energy of photons of a wavelength in metres: E = hc/λ, eV. */
export const energyOfWavelength_eV = (wavelength: number): number => HC_EV_M / wavelength;

/** Relativistic wavelength of electrons of a kinetic energy: λ = hc/√(E² + 2·E·mc²), metres. */
export const electronWavelength_m = (energy_eV: number): number =>
  HC_EV_M / Math.sqrt(energy_eV ** 2 + 2 * energy_eV * ELECTRON_REST_eV);
