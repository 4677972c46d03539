/**
 * Energies and lengths that HDF5 files give, in eV and metres: one value, or one for each frame; the unit in the attribute
 * `units`, or the one that the format prescribes. What no experiment has is said with its likely unit.
 *
 * @example
 * const energy_eV = energyAt(file, '/entry/instrument/beam/incident_energy', notes);
 */
import { extentOf, meanOf } from '../../core/numbers.js';
import type { Hdf5File, Hdf5Value } from '../../formats/hdf5/file.js';
import { placeOf } from '../../formats/npyHeader.js';
import { energyOfWavelength_eV } from '../../physics/radiation.js';
import { asElectronvolts, asMetres } from '../opening/units.js';

/** One for each frame, and a frame is never too many. */
const MAX_BYTES = 2 ** 26;
/** Values that differ by less, from frame to frame, are one. */
const SAME = 1e-6;
/** Values that differ by less are averaged. */
const CLOSE = 0.01;

/** What a number can be, and what it is likely to be, in SI units (energies in eV). */
interface Kind {
  readonly symbol: 'eV' | 'm';
  readonly possible: readonly [number, number];
  readonly likely: readonly [number, number];
  readonly units: readonly string[];
  readonly flag: string;
  convert(value: number, units: string, where: string): number;
}

const ENERGY: Kind = {
  symbol: 'eV',
  possible: [1, 1e6],
  likely: [50, 2e5],
  units: ['J', 'keV', 'eV'],
  flag: 'energy_eV',
  convert: asElectronvolts,
};
const WAVELENGTH: Kind = {
  symbol: 'm',
  possible: [energyOfWavelength_eV(1e6), energyOfWavelength_eV(1)],
  likely: [energyOfWavelength_eV(2e5), energyOfWavelength_eV(50)],
  units: ['angstrom', 'nm', 'm'],
  flag: 'energy_eV',
  convert: asMetres,
};
const DISTANCE: Kind = {
  symbol: 'm',
  possible: [1e-4, 1e3],
  likely: [0.02, 100],
  units: ['mm', 'm', 'um'],
  flag: 'detector_distance_m',
  convert: asMetres,
};
/** Of a source or a focus; NeXus gives the place along the beam, which is negative before the sample. */
const SOURCE_DISTANCE: Kind = {
  symbol: 'm',
  possible: [1e-6, 1e4],
  likely: [1e-4, 200],
  units: ['mm', 'm', 'um'],
  flag: 'source_distance_m',
  convert: asMetres,
};
const PIXEL: Kind = {
  symbol: 'm',
  possible: [1e-8, 0.02],
  likely: [1e-6, 1e-3],
  units: ['um', 'mm', 'm'],
  flag: 'detector_pixel_m',
  convert: asMetres,
};

/** Reads a quantity; undefined where it is not there, or nobody can tell what it is (then a note says so). @param implied its unit */
type QuantityReader = (file: Hdf5File, path: string, notes: string[], implied?: string) => number | undefined;
const readerOf =
  (kind: Kind): QuantityReader =>
  (file, path, notes, implied) =>
    quantity(file, path, kind, notes, implied);

/** Photon energy, eV. */
export const energyAt = readerOf(ENERGY);
/** Distance from sample to detector, metres. */
export const distanceAt = readerOf(DISTANCE);
/** Distance from the source, or the focus, to the sample, metres, whichever way it is counted. */
export const sourceDistanceAt: QuantityReader = (file, path, notes, implied) =>
  quantity(file, path, SOURCE_DISTANCE, notes, implied, Math.abs);
/** Pixel size of a detector, metres. */
export const pixelAt = readerOf(PIXEL);
/** Photon energy of a wavelength, eV. */
export const energyOfWavelengthAt: QuantityReader = (file, path, notes, implied) => {
  const wavelength = quantity(file, path, WAVELENGTH, notes, implied);
  return wavelength && energyOfWavelength_eV(wavelength);
};

/** Text of an attribute: a string, or an array of one. */
export function textOf(value: Hdf5Value | undefined): string | undefined {
  const text: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value;
  return typeof text === 'string' ? text : undefined;
}

/** The unit that a dataset declares. */
export function unitsAt(file: Hdf5File, path: string): string | undefined {
  const { units, unit } = file.attributes(path);
  const text = (textOf(units) ?? textOf(unit))?.trim();
  return text === '' || text === 'None' ? undefined : text;
}

/** @throws PtychoError DATASET_UNITS for units of another kind, and reading errors of the file. */
function quantity(
  file: Hdf5File,
  path: string,
  kind: Kind,
  notes: string[],
  implied: string | undefined,
  size = (value: number) => value,
): number | undefined {
  if (!file.has(path)) return undefined;
  const { type } = file.header(path);
  if (type.kind !== 'numbers' || type.dtype.startsWith('complex')) return undefined;
  const where = placeOf(file.origin(path));
  const value = oneOf(Array.from(file.readReal(path, MAX_BYTES).data as ArrayLike<number>, size), where, notes);
  if (value === undefined) return undefined;
  const declared = unitsAt(file, path);
  const units = declared ?? implied;
  const converted = units === undefined ? undefined : kind.convert(value, units, where);
  if (converted !== undefined && within(converted, declared === undefined ? kind.likely : kind.possible)) {
    return converted;
  }
  return guess(value, where, kind, { units, converted }, notes);
}

/** The one number of many, one for each frame; 0 stands for unknown. */
function oneOf(values: ArrayLike<number>, where: string, notes: string[]): number | undefined {
  const known = Array.from(values).filter((value) => value > 0 && Number.isFinite(value));
  if (known.length === 0) return undefined;
  const [min, max] = extentOf(known);
  const mean = meanOf(known);
  const spread = (max - min) / mean;
  if (spread <= SAME) return known[0];
  const range = `${where} goes from ${short(min)} to ${short(max)} over ${known.length} values, ${short(100 * spread)} %`;
  notes.push(
    spread < CLOSE
      ? `${range}; its mean, ${short(mean)}, is used.`
      : `${range}: one value cannot describe such a scan; the mean, ${short(mean)}, is used, so use the frames of one value alone (frames), or give the right one.`,
  );
  return mean;
}

/** What a number without a unit, or one that is impossible in its unit, is likely to be. */
function guess(
  value: number,
  where: string,
  { convert, units: known, likely, possible, symbol, flag }: Kind,
  { units, converted }: { readonly units?: string; readonly converted?: number },
  notes: string[],
): number | undefined {
  const inUnits = (unit: string) => convert(value, unit, where);
  const could = known.filter((unit) => unit !== units && within(inUnits(unit), possible));
  const best = known.filter((unit) => unit !== units && within(inUnits(unit), likely));
  // Unusual, but what the format prescribes.
  if (converted !== undefined && within(converted, possible) && best.length !== 1) return converted;
  const asFlag = (unit: string) =>
    short(flag === 'energy_eV' && symbol === 'm' ? energyOfWavelength_eV(inUnits(unit)) : inUnits(unit));
  // What has one possible reading is taken; lengths without units are not, for metres and millimetres are too near.
  const sure = flag === 'energy_eV' ? could.length === 1 : converted !== undefined && best.length === 1;
  const found =
    converted === undefined
      ? `${where} is ${short(value)}, but does not say in which units`
      : `${where} is ${short(value)} ${units}, that is ${short(converted)} ${symbol}, which no experiment has`;
  if (sure) {
    const [unit] = best.length === 1 ? best : could;
    notes.push(`${found}; it is taken as ${unit}, so ${flag} is ${asFlag(unit)}; give another if that is wrong.`);
    return inUnits(unit);
  }
  const readings = (best.length > 0 ? best : could).map((unit) => `${unit} (then give ${flag} ${asFlag(unit)})`);
  notes.push(`Left out: ${found}${readings.length > 0 ? `; likely ${readings.join(' or ')}` : ''}.`);
  return undefined;
}

const within = (value: number, [low, high]: readonly [number, number]): boolean => value >= low && value <= high;

const short = (value: number): string => Number(value.toPrecision(6)).toString();
