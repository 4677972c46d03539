/**
 * From metres to object pixels: the geometry of an opened scan, from its file and from options, and its positions on the grid
 * of the patterns as they are used.
 *
 * Object pixel = λ·distance/(N·detector pixel), of near fields that of the detector; λ = hc/E for photons, hc/√(E² + 2·E·mc²) for electrons. The file's own grid (frames, probe, object) may be finer than that
 * of cropped patterns; positions in pixels and a declared object pixel are converted with it.
 */

import { invalidOption, PtychoError } from '../../core/errors.js';
import { placeOf } from '../../formats/npyHeader.js';
import { electronWavelength_m } from '../../physics/radiation.js';
import type { OpenDatasetOptions } from '../options.js';
import type { FrameLayout } from '../prepare/frameLayout.js';
import type { RawData } from '../rawData.js';
import type { ScanFile, ScanGeometry, StoredPositions } from '../scanFile.js';
import { isNearField, nearFieldGeometry } from './nearField.js';
import { type Coordinates, keepsAxes, type Orientation, orientCoordinates } from './orientation.js';
import { nanometres, type Pair, wavelengthOf } from './wavelength.js';

/** Object pixels that differ by more are worth a word. */
const TOLERANCE = 0.02;

/** λ·distance/(N·detector pixel) in metres; undefined where one of them is unknown. */
export function objectPixel(geometry: ScanGeometry, N: number): Pair | undefined {
  const { detectorDistance_m, detectorPixel_m } = geometry;
  const wavelength_m = wavelengthOf(geometry);
  if (wavelength_m === undefined || detectorDistance_m === undefined || detectorPixel_m === undefined) return undefined;
  const reach = (wavelength_m * detectorDistance_m) / N;
  return { x: reach / detectorPixel_m.x, y: reach / detectorPixel_m.y };
}

/** How the file's grid lies to that of the finished patterns. */
export interface GridChange {
  /** Pixels of the finished patterns along each side. */
  readonly N: number;
  /** Finished pixels in one pixel of the file's positions, probe and object: side/frame, 1 where nothing was cropped or padded. */
  readonly scale: Pair;
  /** Detector pixels in one of the finished patterns, each way. */
  readonly rebin: number;
}

/**
 * The grid of the file is that of its probe; where it has none, that of its frames. A product whose probe already has the
 * cropped side thus keeps its pixels.
 */
export function gridChange(
  file: ScanFile,
  { window, padded, rebin, N }: FrameLayout,
  { transpose, near }: { readonly transpose: boolean; readonly near: boolean },
): GridChange {
  // Images keep their pixels however they are cut.
  if (near) return { N, scale: { x: 1 / rebin, y: 1 / rebin }, rebin };
  const probeSide = file.probeGuess?.shape.at(-1);
  const { height, width } = file.patterns;
  const changed = window !== undefined || padded !== width || padded !== height;
  if (!changed || (probeSide === N && rebin === 1)) return { N, scale: { x: 1, y: 1 }, rebin };
  const [columns, rows] = transpose ? [height, width] : [width, height];
  return { N, scale: { x: padded / columns, y: padded / rows }, rebin };
}

/**
 * The geometry with options and computed object pixel filled in.
 * @throws PtychoError CONFIG_INVALID for options that are not positive numbers.
 */
export function resolveGeometry(
  file: ScanFile,
  options: OpenDatasetOptions,
  { N, scale, rebin }: GridChange,
  transpose: boolean,
  note: (sentence: string) => void,
): ScanGeometry {
  for (const key of [
    'energy_eV',
    'electron_keV',
    'detector_distance_m',
    'detector_pixel_m',
    'object_pixel_m',
  ] as const) {
    const value = options[key];
    if (value === undefined || value === null || (value > 0 && Number.isFinite(value))) continue;
    throw invalidOption(key, `${key} must be a positive number, got ${value}.`, value);
  }
  if (options.energy_eV && options.electron_keV) {
    throw invalidOption(
      'electron_keV',
      `energy_eV (photons, ${options.energy_eV}) and electron_keV (electrons, ${options.electron_keV}) are both given; leave out the one that does not belong to this scan.`,
      [options.energy_eV, options.electron_keV],
    );
  }
  const both = (value: number | null | undefined): Pair | undefined => (value ? { x: value, y: value } : undefined);
  const larger = (pair: Pair | undefined, by: number) => pair && { x: pair.x * by, y: pair.y * by };
  const turned = (pair: Pair | undefined) => (pair && transpose ? { x: pair.y, y: pair.x } : pair);
  const given: ScanGeometry = {
    ...file.geometry,
    ...radiationOf(options),
    detectorDistance_m: options.detector_distance_m ?? file.geometry.detectorDistance_m,
    detectorPixel_m: larger(both(options.detector_pixel_m) ?? turned(file.geometry.detectorPixel_m), rebin),
  };
  const ofFile = file.geometry.objectPixel_m;
  const declared = ofFile && { x: ofFile.x / scale.x, y: ofFile.y / scale.y };
  if (isNearField(file.geometry, options)) return nearFieldGeometry(file.path, given, declared, options, N);
  if (options.source_distance_m) {
    throw invalidOption(
      'source_distance_m',
      `source_distance_m is about near fields in a cone beam, but ${file.path} is opened as a far-field scan; give propagation_distance_m too (or near_field, where the file has the distance of its detector), or leave it out.`,
      options.source_distance_m,
    );
  }
  const computed = objectPixel(given, N);
  const overridden = [
    options.energy_eV,
    options.electron_keV,
    options.detector_distance_m,
    options.detector_pixel_m,
  ].some(Boolean);
  if (computed && declared && !overridden && !options.object_pixel_m && differ(computed, declared)) {
    note(
      `${file.path} gives object pixels of ${nanometres(declared)}, but wavelength · distance / (N · detector pixel) is ${nanometres(computed)}; the former is used, object_pixel_m replaces it.`,
    );
  }
  const objectPixel_m = both(options.object_pixel_m) ?? (overridden ? (computed ?? declared) : (declared ?? computed));
  return { ...given, objectPixel_m };
}

/** Energy and wavelength that options give, each in the place of both of the file. */
function radiationOf({
  energy_eV,
  electron_keV,
}: OpenDatasetOptions): Pick<ScanGeometry, 'energy_eV' | 'wavelength_m'> {
  if (electron_keV) {
    const kinetic_eV = 1e3 * electron_keV;
    return { energy_eV: kinetic_eV, wavelength_m: electronWavelength_m(kinetic_eV) };
  }
  return energy_eV ? { energy_eV, wavelength_m: undefined } : {};
}

/** What {@link positionsInPixels} needs. */
export interface PositionRequest {
  readonly stored: StoredPositions;
  readonly startUnit?: StoredPositions['unit'];
  readonly positions: Coordinates;
  readonly start?: Coordinates;
  readonly end?: Coordinates;
  readonly orientation: Orientation;
  readonly geometry: ScanGeometry;
  readonly grid: GridChange;
  /** Columns and rows of the object that positions shall fall on, where it is kept as it is. */
  readonly object?: { readonly width: number; readonly height: number };
}

/**
 * Orientation first (in the file's unit), then the unit: metres are divided by the object pixel; where the file has an
 * object, (0, 0) is the position `objectCentre_m` of its middle, so that positions fall on its pixels.
 * @throws PtychoError DATASET_UNITS when positions are in metres and the object pixel is unknown, naming what is missing.
 */
export function positionsInPixels(request: PositionRequest): Pick<PositionRequest, 'positions' | 'start' | 'end'> {
  const { orientation, stored } = request;
  const convert = (coordinates: Coordinates, unit: StoredPositions['unit']): Coordinates => {
    const { x, y } = orientCoordinates(coordinates, orientation);
    const to = converters(request, unit);
    return { x: x.map(to.x), y: y.map(to.y) };
  };
  return {
    positions: convert(request.positions, stored.unit),
    start: request.start && convert(request.start, request.startUnit ?? stored.unit),
    end: request.end && convert(request.end, request.startUnit ?? stored.unit),
  };
}

function converters(request: PositionRequest, unit: StoredPositions['unit']): Converters {
  const { geometry, grid, orientation, object } = request;
  if (unit === 'px') {
    const { x, y } = grid.scale;
    return { x: (v) => v * x, y: (v) => v * y };
  }
  const pixel = geometry.objectPixel_m;
  if (pixel === undefined) throw unknownPixel(request.stored, geometry);
  return toPixels(gridOf(pixel, geometry, orientation, object));
}

/** The grid that positions in metres are laid on: the object's where the file has one, else one with its corner at (0, 0). */
function gridOf(
  pixel_m: Pair,
  { objectCentre_m }: ScanGeometry,
  orientation: Orientation,
  object: PositionRequest['object'],
): ObjectGrid {
  const known = object !== undefined && keepsAxes(orientation) && orientation.coord_scale === 1;
  if (!known || objectCentre_m === undefined) return { pixel_m, centre_m: { x: 0, y: 0 }, width: 0, height: 0 };
  return { pixel_m, centre_m: objectCentre_m, width: object.width, height: object.height };
}

/**
 * The grid of an opened scan: what turns its positions in object pixels back into metres, as they were measured (or, where
 * they were turned or scaled on opening, as they then are).
 * @param pixel_m object pixel; the scan's own, or one that is assumed
 */
export function gridOfScan(scan: Pick<RawData, 'geometry' | 'orientation' | 'objectGuess'>, pixel_m: Pair): ObjectGrid {
  const [height, width] = scan.objectGuess?.shape ?? [];
  return gridOf(pixel_m, scan.geometry, scan.orientation, scan.objectGuess && { width, height });
}

function unknownPixel({ origin }: StoredPositions, geometry: ScanGeometry): PtychoError {
  const missing = [
    wavelengthOf(geometry) === undefined && 'energy_eV (or electron_keV)',
    geometry.detectorDistance_m === undefined && 'detector_distance_m',
    geometry.detectorPixel_m === undefined && 'detector_pixel_m',
  ].filter((name) => name !== false);
  return new PtychoError(
    'DATASET_UNITS',
    `The positions in ${placeOf(origin)} are in metres, and for their object pixel ${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} missing; give ${missing.length === 1 ? 'it' : 'them'}, or object_pixel_m itself, or positions_unit px if they are object pixels.`,
    { path: origin.path, key: origin.member, missing, expected: 'object_pixel_m' },
  );
}

const differ = (a: Pair, b: Pair): boolean =>
  Math.abs(a.x / b.x - 1) > TOLERANCE || Math.abs(a.y / b.y - 1) > TOLERANCE;

/** Where an array of object pixels lies. */
export interface ObjectGrid {
  readonly pixel_m: Pair;
  /** Position of the array's middle. */
  readonly centre_m: Pair;
  /** Columns and rows. */
  readonly width: number;
  readonly height: number;
}

/** One conversion for x (columns) and one for y (rows). */
export interface Converters {
  readonly x: (value: number) => number;
  readonly y: (value: number) => number;
}

/** Metres to pixels of the array. */
export function toPixels({ pixel_m, centre_m, width, height }: ObjectGrid): Converters {
  return {
    x: (value) => (value - centre_m.x) / pixel_m.x + width / 2,
    y: (value) => (value - centre_m.y) / pixel_m.y + height / 2,
  };
}

/** Pixels of the array to metres: the reverse of {@link toPixels}. */
export function toMetres({ pixel_m, centre_m, width, height }: ObjectGrid): Converters {
  return {
    x: (value) => (value - width / 2) * pixel_m.x + centre_m.x,
    y: (value) => (value - height / 2) * pixel_m.y + centre_m.y,
  };
}
