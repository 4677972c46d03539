/**
 * Calibration of 4D-STEM cubes in EMD files, as py4DSTEM writes them: `dim0` … `dim3` beside the cube, a group `calibration`.
 * The first scan axis is that of the rows.
 *
 * @example
 * py4dstemFacts(file, '/datacube_root/datacube/data')?.step; // { y: 5e-11, x: 5e-11, unit: 'm' }
 */
import type { Hdf5File } from '../../formats/hdf5/file.js';
import type { Finding } from '../findings/finding.js';
import type { ScanStep } from '../opening/patternLayout.js';
import { lengthUnit } from '../opening/units.js';
import type { ScanGeometry } from '../scanFile.js';

/** What such a file says. */
export interface Py4dstemFacts {
  /** Absent where the file has pixels only. */
  readonly step?: ScanStep;
  readonly geometry: ScanGeometry;
  readonly findings: readonly Finding[];
}

/** Reciprocal lengths, as a length for one unit: 1 Å⁻¹ belongs to 1 Å. */
const RECIPROCAL = /^\s*(.*?)\s*(?:\^\s*\{?\s*-\s*1\s*\}?|⁻¹)\s*\$?$/;

interface Measure {
  readonly size: number;
  readonly units: string;
}

/**
 * The calibration beside a dataset; undefined where it has no dimensions (`dim0` …) and is thus no cube of an EMD file.
 * @throws PtychoError reading errors of the file.
 */
export function py4dstemFacts(file: Hdf5File, path: string): Py4dstemFacts | undefined {
  const group = path.slice(0, path.lastIndexOf('/'));
  const { shape } = file.header(path);
  const dims = [0, 1, 2, 3].map((axis) => `${group}/dim${axis}`);
  if (shape.length !== 4 || !dims.every((dim) => file.has(dim))) return undefined;
  const calibration = file.datasets().find((name) => name.endsWith('calibration/R_pixel_size'));
  const inCalibration = (name: string): string | undefined => {
    const place = calibration?.replace('R_pixel_size', name);
    return place !== undefined && file.has(place) ? place : undefined;
  };
  const number = (place: string | undefined): number | undefined => {
    const array = place === undefined ? undefined : file.read(place);
    return array?.kind === 'real' && array.data.length === 1 && Number.isFinite(array.data[0])
      ? array.data[0]
      : undefined;
  };
  const text = (place: string | undefined): string | undefined => {
    const array = place === undefined ? undefined : file.read(place);
    return array?.kind === 'text' ? array.strings[0] : undefined;
  };
  const calibrated = (space: 'R' | 'Q'): Measure | undefined => {
    const [size, units] = [number(inCalibration(`${space}_pixel_size`)), text(inCalibration(`${space}_pixel_units`))];
    return size !== undefined && size > 0 && units !== undefined ? { size, units } : undefined;
  };
  /** A dimension is given in full, or by its first two values. */
  const dimension = (dim: string): Measure | undefined => {
    const { units } = file.attributes(dim);
    const { data } = file.readReal(dim);
    const size = Math.abs(data[1] - data[0]);
    return typeof units === 'string' && data.length > 1 && size > 0 ? { size, units } : undefined;
  };
  const [ry, rx, qy, qx] = dims.map((dim, axis) => calibrated(axis < 2 ? 'R' : 'Q') ?? dimension(dim));
  const findings: Finding[] = [];
  const rotation = number(inCalibration('QR_rotation')) ?? number(inCalibration('QR_rotation_degrees'));
  const flipped = number(inCalibration('QR_flip'));
  if (rotation || flipped) {
    findings.push({
      code: 'SCAN_ROTATED',
      severity: 'doubt',
      message: `${file.path} says that its scan is ${rotation ? 'rotated' : 'flipped'} against its detector, which is not taken into account`,
      remedy: 'rotate the positions and give them with --positions',
    });
  }
  return { step: stepOf(ry, rx), geometry: geometryOf([qy, qx], shape), findings };
}

function stepOf(ry: Measure | undefined, rx: Measure | undefined): ScanStep | undefined {
  const metres = (measure: Measure | undefined) => {
    const factor = measure && lengthUnit(measure.units);
    return typeof factor === 'number' ? measure!.size * factor : undefined;
  };
  const [y, x] = [metres(ry), metres(rx)];
  return y === undefined || x === undefined ? undefined : { y, x, unit: 'm' };
}

/** Object pixel = 1/(N·Δq); angles are pixels of a detector at 1 m. */
function geometryOf([qy, qx]: readonly (Measure | undefined)[], [, , height, width]: readonly number[]): ScanGeometry {
  if (qy === undefined || qx === undefined) return {};
  const pixel = ({ size, units }: Measure, N: number): number | undefined => {
    const length = RECIPROCAL.exec(units)?.[1];
    const factor = length === undefined ? undefined : lengthUnit(length);
    return typeof factor === 'number' ? factor / (N * size) : undefined;
  };
  const [y, x] = [pixel(qy, height), pixel(qx, width)];
  if (y !== undefined && x !== undefined) return { objectPixel_m: { x, y } };
  const angle = ({ size, units }: Measure) => (/^mrad$/i.test(units.trim()) ? size / 1e3 : undefined);
  const [ay, ax] = [angle(qy), angle(qx)];
  if (ay === undefined || ax === undefined) return {};
  return { detectorDistance_m: 1, detectorPixel_m: { x: ax, y: ay } };
}
